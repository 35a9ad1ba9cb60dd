//! Given / when / then over the principals of an installation, and what holds after any commands.

mod holdings;
mod withdrawn;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    AccessControl, AccessControlCommand as C, AccessControlEvent as E,
    AccessControlRejection as Rejected, NewPrincipal, PrincipalKind, PrincipalName, Role,
};
use crate::test_support::{self, Given, at, part, station};
use crate::{Aggregate as _, REACH_MAX, Reach, Rejection as _, Sha256};

fn given(events: impl IntoIterator<Item = E>) -> Given<AccessControl> {
    test_support::given(events)
}

fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn here() -> Reach {
    Reach::new(BTreeSet::from([station()]), BTreeSet::new()).unwrap()
}

fn code(text: &str) -> Sha256 {
    Sha256::digest_of(text.as_bytes())
}

fn principal(text: &str, kind: PrincipalKind, role: Role, reach: Reach) -> NewPrincipal {
    let credential = Uuid::from_u128(7);
    let (name, display_name, public_key) = (name(text), None, None);
    NewPrincipal { name, kind, display_name, role, reach, credential, public_key }
}

fn person(text: &str, role: Role) -> NewPrincipal {
    principal(text, PrincipalKind::Account, role, Reach::everywhere())
}

fn machine(text: &str) -> NewPrincipal {
    principal(text, PrincipalKind::Client, Role::Station, here())
}

fn create(principal: NewPrincipal) -> C {
    C::CreatePrincipal { principal, reason: "needed".into() }
}

fn created(principal: NewPrincipal) -> E {
    let NewPrincipal { name, kind, display_name, role, reach, credential, .. } = principal;
    let reason = "needed".into();
    E::PrincipalCreated { name, kind, display_name, role, reach, credential, reason }
}

fn disable(text: &str) -> C {
    C::DisablePrincipal { name: name(text), reason: "left".into() }
}

fn disabled(text: &str) -> E {
    E::PrincipalDisabled { name: name(text), reason: "left".into() }
}

fn claim(text: &str, seconds: i64) -> C {
    let (name, display_name, credential) = (name("ada"), None, Uuid::from_u128(7));
    C::ClaimInstallation {
        code_sha256: code(text),
        at: at(seconds),
        name,
        display_name,
        credential,
    }
}

fn code_issued() -> E {
    let reason = "first start".into();
    E::ClaimCodeIssued { code_sha256: code("right"), expires_at: at(3_600), reason }
}

#[test]
fn a_claim_code_makes_the_first_administrator_once_and_in_its_time() {
    let events = AccessControl::replay(&[code_issued()]).decide(claim("right", 3_599)).unwrap();
    let state = AccessControl::replay([code_issued()].iter().chain(&events));
    assert!(matches!(&events[..], [E::InstallationClaimed { .. }, E::PrincipalCreated { .. }]));
    let ada = state.principal(&name("ada")).unwrap();
    assert_eq!((ada.role, ada.is_enabled, state.is_claimed()), (Role::Admin, true, true));

    for (text, seconds) in [("wrong", 0), ("right", 3_600)] {
        given([code_issued()]).when(claim(text, seconds)).then_rejected(Rejected::WrongClaimCode);
    }
    given([]).when(claim("right", 0)).then_rejected(Rejected::WrongClaimCode);
    assert_eq!(state.decide(claim("right", 10)), Err(Rejected::AlreadyClaimed));
    let (code_sha256, expires_at) = (code("next"), at(9_000));
    let again = C::IssueClaimCode { code_sha256, expires_at, reason: "again".into() };
    assert_eq!(state.decide(again), Err(Rejected::AlreadyClaimed));
}

#[test]
fn a_new_code_takes_the_place_of_the_one_before() {
    let (code_sha256, expires_at) = (code("next"), at(9_000));
    let next = E::ClaimCodeIssued { code_sha256, expires_at, reason: "lost".into() };
    given([code_issued(), next]).when(claim("right", 0)).then_rejected(Rejected::WrongClaimCode);
}

#[test]
fn a_name_belongs_to_one_principal_for_ever_whatever_its_kind_and_case() {
    let ada = created(person("ada", Role::Engineer));
    for again in [person("ADA", Role::Auditor), machine("Ada")] {
        let name = again.name.clone();
        given([ada.clone(), disabled("ada")])
            .when(create(again))
            .then_rejected(Rejected::NameTaken { name });
    }
}

#[test]
fn what_is_changed_raises_the_revision_and_what_is_so_already_is_no_event() {
    let admin = created(person("root.1", Role::Admin));
    let ada = created(person("ada", Role::Engineer));
    let state = AccessControl::replay(&[admin, ada]);
    let reason = || "moved".to_owned();
    let commands = [
        C::ChangeRole { name: name("ada"), role: Role::Quality, reason: reason() },
        C::ChangeReach { name: name("ada"), reach: here(), reason: reason() },
        C::ReplaceCredential {
            name: name("ada"),
            credential: Uuid::from_u128(8),
            reason: reason(),
        },
        C::DisablePrincipal { name: name("ada"), reason: reason() },
        C::EnablePrincipal { name: name("ada"), reason: reason() },
    ];
    let mut state = state;
    for (done, command) in commands.into_iter().enumerate() {
        let events = state.decide(command.clone()).unwrap();
        assert_eq!(events.len(), 1, "{command:?}");
        state.evolve(&events[0]);
        assert_eq!(state.decide(command), Ok(vec![]));
        let revision = state.principal(&name("ada")).unwrap().revision;
        assert_eq!(revision, u32::try_from(done).unwrap() + 2);
    }
    let ada = state.principal(&name("ada")).unwrap();
    assert_eq!((ada.role, ada.credential), (Role::Quality, Uuid::from_u128(8)));
    assert_eq!(ada.reach, here());
}

#[test]
fn the_last_administrator_stays() {
    let only = || created(person("ada", Role::Admin));
    let last = || Rejected::LastAdministrator { name: name("ada") };
    given([only()]).when(disable("ada")).then_rejected(last());
    let demote = C::ChangeRole { name: name("ada"), role: Role::Auditor, reason: "r".into() };
    given([only()]).when(demote.clone()).then_rejected(last());

    let machine = principal("bot", PrincipalKind::Client, Role::Admin, Reach::everywhere());
    given([only(), created(machine)]).when(disable("ada")).then_rejected(last());
    let second = || created(person("bob", Role::Admin));
    given([only(), second()]).when(disable("ada")).then([disabled("ada")]);
    given([only(), second(), disabled("bob")]).when(demote).then_rejected(last());
}

#[test]
fn a_station_is_a_machine_somewhere_and_an_administrator_is_so_everywhere() {
    let client = PrincipalKind::Client;
    let nowhere = principal("aoi-1", client, Role::Station, Reach::everywhere());
    given([]).when(create(nowhere)).then_rejected(Rejected::StationWithoutStation);
    given([]).when(create(person("ada", Role::Station))).then_rejected(Rejected::StationIsNoPerson);
    let limited = principal("ada", PrincipalKind::Account, Role::Admin, here());
    given([]).when(create(limited)).then_rejected(Rejected::LimitedAdministrator);
    let everywhere =
        C::ChangeReach { name: name("aoi-1"), reach: Reach::everywhere(), reason: "r".into() };
    given([created(machine("aoi-1"))])
        .when(everywhere)
        .then_rejected(Rejected::StationWithoutStation);
    let promoted = C::ChangeRole { name: name("aoi-1"), role: Role::Admin, reason: "r".into() };
    given([created(machine("aoi-1"))]).when(promoted).then_rejected(Rejected::LimitedAdministrator);
}

#[test]
fn names_of_the_platform_and_of_nobody_are_refused() {
    for reserved in ["judge", "Inference-Worker", "demo", "admin"] {
        let name = name(reserved);
        given([])
            .when(create(person(reserved, Role::Auditor)))
            .then_rejected(Rejected::ReservedName { name });
    }
    given([])
        .when(disable("nobody"))
        .then_rejected(Rejected::PrincipalNotFound { name: name("nobody") });
}

#[test]
fn a_change_without_a_reason_is_refused() {
    let enabled = || created(person("ada", Role::Auditor));
    for (reason, rejected) in
        [(" \n".to_owned(), Rejected::EmptyReason), ("x".repeat(501), Rejected::LongReason)]
    {
        let command = C::DisablePrincipal { name: name("ada"), reason };
        given([enabled()]).when(command).then_rejected(rejected);
    }
}

#[test]
fn a_name_has_only_letters_that_cannot_be_mistaken() {
    for good in ["a", "AOI-1", "ada.lovelace@example.com", "x_2", &"a".repeat(64)] {
        assert_eq!(name(good).as_str(), good.to_ascii_lowercase());
    }
    let bad = ["", " a", "a ", "-a", "a-", ".a", "a b", "\u{430}da", "ad\u{e4}", "a/b", "a\0"];
    for bad in bad.into_iter().map(str::to_owned).chain(["a".repeat(65)]) {
        assert!(bad.parse::<PrincipalName>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_reach_covers_what_it_names_and_everything_where_it_names_nothing() {
    let other = "AOI-9".parse().unwrap();
    assert!(Reach::everywhere().covers(&other, &part()));
    assert!(here().covers(&station(), &part()) && !here().covers(&other, &part()));
    let one_part = Reach::new(BTreeSet::new(), BTreeSet::from([part()])).unwrap();
    assert!(one_part.covers(&other, &part()));
    assert!(!one_part.covers_part(&"PCB-2".parse().unwrap()));
    let stations = (0..=REACH_MAX).map(|n| format!("AOI-{n}").parse().unwrap()).collect();
    assert!(Reach::new(stations, BTreeSet::new()).is_err());
}

#[test]
fn commands_on_what_is_elsewhere_are_out_of_reach() {
    let other: crate::PartNumber = "PCB-2".parse().unwrap();
    let one_part = Reach::new(BTreeSet::new(), BTreeSet::from([part()])).unwrap();
    let register = |part| crate::PartCommand::RegisterPart { part };
    let unregistered = crate::Part::Unregistered;
    assert!(unregistered.is_within(&one_part, &register(part())));
    assert!(!unregistered.is_within(&one_part, &register(other.clone())));
    let registered = crate::Part::replay(&unregistered.decide(register(other)).unwrap());
    let cancel = crate::PartCommand::CancelReservation { artifact_id: test_support::artifact(1) };
    assert!(!registered.is_within(&one_part, &cancel));
    assert!(registered.is_within(&Reach::everywhere(), &cancel));
    assert!(unregistered.is_within(&one_part, &cancel), "there is nothing to keep anybody from");
}

#[test]
fn what_a_part_is_judged_by_is_out_of_reach_of_whoever_is_limited_to_stations() {
    let register = crate::PartCommand::RegisterPart { part: part() };
    let cancel = crate::PartCommand::CancelReservation { artifact_id: test_support::artifact(1) };
    let unregistered = crate::Part::Unregistered;
    let registered = crate::Part::replay(&unregistered.decide(register.clone()).unwrap());
    let one_part = Reach::new(BTreeSet::new(), BTreeSet::from([part()])).unwrap();
    let here_of_it = Reach::new(BTreeSet::from([station()]), BTreeSet::from([part()])).unwrap();
    for state in [&unregistered, &registered] {
        for command in [&register, &cancel] {
            assert!(!state.is_within(&here(), command), "{state:?}: {command:?}");
            assert!(!state.is_within(&here_of_it, command), "{state:?}: {command:?}");
            assert!(state.is_within(&one_part, command), "{state:?}: {command:?}");
        }
    }
}

#[test]
fn only_who_is_not_there_is_not_found() {
    assert!(Rejected::PrincipalNotFound { name: name("a") }.is_not_found());
    assert!(!Rejected::NameTaken { name: name("a") }.is_not_found());
}

fn commands() -> impl Strategy<Value = Vec<C>> {
    let who = proptest::sample::select(&["ada", "bob", "bot"][..]);
    let role = proptest::sample::select(&Role::ALL[..]);
    let command = (0..6_u8, who, role, any::<bool>()).prop_map(|(kind, who, role, flag)| {
        let (name, reason) = (name(who), "because".to_owned());
        let reach = if flag { here() } else { Reach::everywhere() };
        let is_machine = if flag { PrincipalKind::Client } else { PrincipalKind::Account };
        match kind {
            0 | 1 => create(principal(who, is_machine, role, reach)),
            2 => C::DisablePrincipal { name, reason },
            3 => C::EnablePrincipal { name, reason },
            4 => C::ChangeRole { name, role, reason },
            _ => C::ChangeReach { name, reach, reason },
        }
    });
    vec(command, 0..40)
}

proptest! {
    #[test]
    fn once_claimed_it_is_never_without_an_administrator(commands in commands()) {
        let mut state = AccessControl::default();
        let mut stream = Vec::new();
        for command in commands {
            let was_claimed = state.is_claimed();
            for event in state.decide(command.clone()).unwrap_or_default() {
                state.evolve(&event);
                stream.push(event);
            }
            prop_assert!(state.is_claimed() || !was_claimed, "{command:?}");
        }
        for (_, principal) in state.principals() {
            let is_somewhere = !principal.reach.stations().is_empty();
            prop_assert!(principal.role != Role::Station || is_somewhere);
            prop_assert!(principal.role != Role::Admin || principal.reach.is_everywhere());
        }
        prop_assert_eq!(AccessControl::replay(&stream), state);
    }
}
