//! Nobody gives what they do not hold, nor takes it from somebody who does.

use super::*;
use crate::Holdings;

fn reach(stations: &[&str], parts: &[&str]) -> Reach {
    let stations = stations.iter().map(|name| name.parse().unwrap()).collect();
    Reach::new(stations, parts.iter().map(|number| number.parse().unwrap()).collect()).unwrap()
}

fn by(roles: &[Role], reach: Reach, command: C) -> C {
    let holdings = Holdings { roles: roles.iter().copied().collect(), reach };
    C::Delegated { holdings, command: Box::new(command) }
}

fn give_role(text: &str, role: Role) -> C {
    C::ChangeRole { name: name(text), role, reason: "needed".into() }
}

fn give_reach(text: &str, reach: Reach) -> C {
    C::ChangeReach { name: name(text), reach, reason: "needed".into() }
}

fn set_secret(text: &str) -> C {
    C::ReplaceCredential { name: name(text), credential: Uuid::nil(), reason: "needed".into() }
}

fn enable(text: &str) -> C {
    C::EnablePrincipal { name: name(text), reason: "needed".into() }
}

const LINE: [Role; 2] = [Role::Station, Role::Operator];

/// An administrator; an operator of two stations, one of whom is disabled; and one of everywhere.
fn line() -> AccessControl {
    let operator =
        |text, reach| created(principal(text, PrincipalKind::Account, Role::Operator, reach));
    AccessControl::replay(&[
        created(person("ada", Role::Admin)),
        operator("bob", reach(&["S1", "S2"], &[])),
        operator("gone", reach(&["S1"], &[])),
        disabled("gone"),
        operator("eve", Reach::everywhere()),
    ])
}

#[test]
fn somebody_who_is_limited_gives_within_the_limits() {
    let here = || reach(&["S1", "S2"], &[]);
    let operator = |at| create(principal("new", PrincipalKind::Account, Role::Operator, at));
    for command in [
        operator(reach(&["S1"], &[])),
        operator(reach(&["S2", "S1"], &["P"])),
        disable("bob"),
        enable("gone"),
        set_secret("bob"),
        give_reach("bob", reach(&["S2"], &[])),
        give_role("bob", Role::Operator),
    ] {
        assert!(line().decide(by(&LINE, here(), command.clone())).is_ok(), "{command:?}");
    }
    for command in [
        operator(reach(&["S3"], &[])),
        operator(reach(&["S1", "S3"], &[])),
        operator(Reach::everywhere()),
        operator(reach(&[], &["P"])),
        create(principal("new", PrincipalKind::Account, Role::Quality, reach(&["S1"], &[]))),
        create(person("new", Role::Admin)),
        give_reach("bob", Reach::everywhere()),
        give_reach("eve", reach(&["S1"], &[])),
        give_role("bob", Role::Engineer),
        give_role("ada", Role::Operator),
        disable("ada"),
        disable("eve"),
        set_secret("ada"),
        set_secret("eve"),
        C::IssueClaimCode { code_sha256: code("x"), expires_at: at(9), reason: "lost".into() },
    ] {
        let refused = line().decide(by(&LINE, here(), command.clone()));
        assert_eq!(refused, Err(Rejected::NotHeld), "{command:?}");
        let within = by(&Role::ALL, Reach::everywhere(), command);
        assert_eq!(line().decide(by(&LINE, here(), within)), Err(Rejected::NotHeld));
    }
    let nobody = line().decide(by(&LINE, here(), disable("nobody")));
    assert!(matches!(nobody, Err(Rejected::PrincipalNotFound { .. })));
}

#[test]
fn who_holds_everything_is_refused_what_the_rules_refuse() {
    let all = |command| line().decide(by(&Role::ALL, Reach::everywhere(), command));
    assert!(all(disable("eve")).is_ok() && all(create(person("new", Role::Admin))).is_ok());
    assert_eq!(all(disable("ada")), Err(Rejected::LastAdministrator { name: name("ada") }));
    assert_eq!(all(create(machine("bob"))), Err(Rejected::NameTaken { name: name("bob") }));
}

fn any_reach() -> impl Strategy<Value = Reach> {
    let some = |of: &'static [&'static str]| prop::sample::subsequence(of, 0..=of.len());
    (some(&["S1", "S2", "S3"]), some(&["P", "Q"]))
        .prop_map(|(stations, parts)| reach(&stations, &parts))
}

proptest! {
    #[test]
    fn a_reach_covers_another_when_it_covers_all_that_this_covers(a in any_reach(), b in any_reach()) {
        let places = ["S1", "S2", "S3", "S4"].into_iter().flat_map(|s| ["P", "Q", "R"].map(|p| (s, p)));
        let all = places.map(|(s, p)| (s.parse().unwrap(), p.parse().unwrap()));
        let covers = all.into_iter().all(|(s, p)| !b.covers(&s, &p) || a.covers(&s, &p));
        prop_assert_eq!(a.covers_reach(&b), covers);
    }

    #[test]
    fn nothing_that_is_given_goes_beyond_what_is_held(
        held in any_reach(),
        given in any_reach(),
        roles in prop::sample::subsequence(&Role::ALL[..], 0..=6),
        role in prop::sample::select(&Role::ALL[..]),
    ) {
        let new = principal("new", PrincipalKind::Client, role, given.clone());
        if line().decide(by(&roles, held.clone(), create(new))).is_ok() {
            prop_assert!(roles.contains(&role) && held.covers_reach(&given));
        }
        let holdings = by(&roles, held.clone(), give_reach("bob", given.clone()));
        if line().decide(holdings).is_ok() {
            prop_assert!(roles.contains(&Role::Operator) && held.covers_reach(&given));
            prop_assert!(held.covers_reach(&reach(&["S1", "S2"], &[])));
        }
    }
}
