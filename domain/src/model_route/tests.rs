//! Given / when / then over the life of a model's route, and what holds after any commands.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    Comparison, ModelRouteCommand as C, ModelRouteEvent as E, ModelRouteRejection as Rejected,
};
use crate::inspection::ModelIdentity;
use crate::test_support::{self, Given, model_version as version};
use crate::{Aggregate as _, ModelRoute, Rejection as _, Sha256};

fn given(events: impl IntoIterator<Item = E>) -> Given<ModelRoute> {
    test_support::given(events)
}

fn comparison() -> Comparison {
    Comparison {
        set: "48 flawed and 16 clean generated boards of seed 770001".into(),
        worse: vec!["more-false-calls".into()],
        boards_compared: 64,
        boards_judged_differently: 1,
        findings_matched: 310,
        findings_only_old: 2,
        findings_only_new: 3,
        labelled_defects: 320,
        labelled_found_by_old: 311,
        labelled_found_by_new: 312,
        false_calls_by_old: 2,
        false_calls_by_new: 3,
    }
}

fn route(to: ModelIdentity) -> C {
    C::RouteModel { to, reason: "finds more".into(), comparison: Some(comparison()) }
}

fn routed(from: Option<ModelIdentity>, to: ModelIdentity) -> E {
    E::ModelRouted { from, to, reason: "finds more".into(), comparison: Some(comparison()) }
}

#[test]
fn the_first_routing_replaces_what_the_software_ships_with() {
    given([]).when(route(version(2))).then([routed(None, version(2))]);
    assert_eq!(ModelRoute::default().model(), None);
}

#[test]
fn a_routing_names_what_it_replaces_and_leads_back_as_well_as_on() {
    let there = routed(None, version(2));
    let on = routed(Some(version(2)), version(3));
    given([there.clone()]).when(route(version(3))).then([on.clone()]);
    given([there.clone(), on.clone()])
        .when(route(version(2)))
        .then([routed(Some(version(3)), version(2))]);
    assert_eq!(ModelRoute::replay(&[there, on]).model(), Some(&version(3)));
}

#[test]
fn a_version_is_not_routed_to_twice_in_a_row() {
    given([routed(None, version(2))])
        .when(route(version(2)))
        .then_rejected(Rejected::AlreadyRouted { version: "2".into() });
}

#[test]
fn the_same_version_with_another_digest_is_another_network() {
    let rebuilt = ModelIdentity { sha256: Sha256::digest_of(b"rebuilt"), ..version(2) };
    given([routed(None, version(2))])
        .when(route(rebuilt.clone()))
        .then([routed(Some(version(2)), rebuilt)]);
}

#[test]
fn a_route_does_not_lead_to_another_model() {
    let other = ModelIdentity { name: "solder".into(), ..version(3) };
    given([routed(None, version(2))])
        .when(route(other))
        .then_rejected(Rejected::OtherModel { name: "solder".into() });
}

#[test]
fn a_routing_without_a_reason_is_refused() {
    for reason in ["", " \t\n"] {
        let command =
            C::RouteModel { to: version(2), reason: reason.into(), comparison: Some(comparison()) };
        given([]).when(command).then_rejected(Rejected::EmptyReason);
    }
}

#[test]
fn a_routing_needs_no_comparison_and_keeps_its_reason_storable() {
    let command = C::RouteModel { to: version(2), reason: "urgent\0".into(), comparison: None };
    let reason = "urgent\u{fffd}".to_owned();
    let kept = E::ModelRouted { from: None, to: version(2), reason, comparison: None };
    given([]).when(command).then([kept]);
}

#[test]
fn rejections_are_told_apart_by_name_and_none_means_not_found() {
    let rejections = [
        Rejected::AlreadyRouted { version: "2".into() },
        Rejected::EmptyReason,
        Rejected::OtherModel { name: "solder".into() },
    ];
    let names: std::collections::BTreeSet<_> =
        rejections.iter().map(|rejection| rejection.name()).collect();
    assert_eq!(names.len(), rejections.len());
    assert!(rejections.iter().all(|rejection| !rejection.is_not_found()));
}

fn commands() -> impl Strategy<Value = Vec<C>> {
    let name = proptest::sample::select(&["copper", "copper", "copper", "solder"][..]);
    let reason = proptest::sample::select(&["", " ", "because"][..]);
    let command = (name, 1..4_u8, reason, any::<bool>()).prop_map(|(name, n, reason, measured)| {
        let to = ModelIdentity { name: name.into(), ..version(n) };
        C::RouteModel { to, reason: reason.into(), comparison: measured.then(comparison) }
    });
    vec(command, 0..16)
}

proptest! {
    #[test]
    fn every_routing_begins_where_the_last_one_led_and_leads_elsewhere(commands in commands()) {
        let mut state = ModelRoute::default();
        let mut stream = Vec::new();
        for command in commands {
            let events = state.decide(command.clone()).unwrap_or_default();
            for event in events {
                let E::ModelRouted { from, to, reason, .. } = &event;
                prop_assert_eq!(from.as_ref(), state.model());
                prop_assert_ne!(from.as_ref(), Some(to));
                prop_assert!(from.as_ref().is_none_or(|from| from.name == to.name));
                prop_assert!(!reason.trim().is_empty());
                state.evolve(&event);
                stream.push(event);
            }
            prop_assert!(state.decide(command).is_err(), "repeated");
        }
        prop_assert_eq!(ModelRoute::replay(&stream), state);
    }

    #[test]
    fn cqrs_es_sees_the_same_events_and_rejections(commands in commands()) {
        let mut events = Vec::new();
        for command in commands {
            let expected = ModelRoute::replay(&events).decide(command.clone());
            let seen = cqrs_es::test::TestFramework::<ModelRoute>::with(())
                .given(events.clone())
                .when(command)
                .inspect_result();
            prop_assert_eq!(&seen, &expected);
            events.extend(expected.unwrap_or_default());
        }
    }
}
