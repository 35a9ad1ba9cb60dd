//! Commands and events that proptest makes up: few ids and few contents, so that they collide often.

use super::*;

pub(super) fn commands() -> impl Strategy<Value = Vec<C>> {
    let content = || proptest::sample::select(&["a", "b"][..]);
    let command = prop_oneof![
        1 => Just(register()),
        2 => (1..4_u32).prop_map(|width| revise(keeping_out(0, width))),
        4 => (1..5_u128).prop_map(reserve),
        4 => (1..9_u128, golden::purpose()).prop_map(|(n, purpose)| golden::reserve_for(n, purpose)),
        1 => (1..9_u128, 0..900_i64).prop_map(|(n, seconds)| renew(n, seconds, 900)),
        1 => (1..9_u128).prop_map(cancel),
        6 => (1..9_u128, content()).prop_map(|(n, content)| upload(n, content)),
        1 => (0..9_u32).prop_map(|superseded_by| C::RetireGoldenSamples { superseded_by, policy_revision: 1 }),
    ];
    vec(command, 0..24)
}

pub(super) fn events() -> impl Strategy<Value = Vec<E>> {
    let event = prop_oneof![
        Just(registered()),
        any::<u32>().prop_map(|revision| revised(keeping_out(revision, 4))),
        (1..5_u128).prop_map(reserved),
        (1..5_u128, 0..900_i64).prop_map(|(n, seconds)| renewed(n, seconds)),
        (1..5_u128).prop_map(cancelled),
        (1..5_u128, any::<u32>()).prop_map(|(n, revision)| golden(n, revision, "a")),
        (1..5_u128).prop_map(|n| golden(n, u32::MAX, "b")),
        (1..5_u128, golden::purpose())
            .prop_map(|(n, purpose)| golden::registered_for(n, 3, purpose)),
    ];
    vec(event, 0..16)
}
