//! What claims stand for.

use domain::Reach;
use serde_json::{Value, json};

use super::*;

fn actor(map: &Value, change: Value) -> Result<Actor, ExternalTokenError> {
    let claims = changed(&claims_at(Utc::now()), change);
    mapping(map).actor_from(claims.as_object().unwrap())
}

fn stations(actor: &Actor) -> Vec<String> {
    actor.reach.stations().iter().map(ToString::to_string).collect()
}

#[test]
fn roles_are_found_where_the_mapping_says_and_others_count_for_nothing() {
    let groups =
        json!({"roles": {"claim": "groups", "values": {"/line-2": "operator", "/qa": "quality"}}});
    let roles = |groups_of| actor(&groups, json!({ "groups": groups_of })).map(|found| found.roles);
    assert_eq!(roles(json!(["/line-2"])), Ok(vec!["operator".to_owned()]));
    assert_eq!(roles(json!("/qa")), Ok(vec!["quality".to_owned()]));
    assert_eq!(roles(json!(["/qa", "/x", "/line-2"])).unwrap(), ["operator", "quality"]);
    for nothing in [json!([]), json!(null), json!(7), json!({"/qa": true}), json!(["/QA", "admin"])]
    {
        assert_eq!(roles(nothing.clone()), Err(ExternalTokenError::NoRole), "{nothing}");
    }
    let dotted =
        json!({"roles": {"claim": ["https://x.example/roles"], "values": {"a": "auditor"}}});
    let found = actor(&dotted, json!({"https://x.example/roles": ["a"]})).unwrap();
    assert_eq!(found.roles, ["auditor"]);
}

#[test]
fn a_subject_is_in_a_namespace_that_no_local_name_can_have() {
    let mut map = engineers();
    assert_eq!(actor(&map, json!({})).unwrap().subject, "oidc:0b1f-77");
    map["subject"] = "preferred_username".into();
    map["namespace"] = "id-2".into();
    assert_eq!(actor(&map, json!({})).unwrap().subject, "id-2:mia");
    assert_eq!(actor(&map, json!({"preferred_username": "demo"})).unwrap().subject, "id-2:demo");
    assert!("id-2:mia".parse::<domain::PrincipalName>().is_err());
    let long = "x".repeat(129);
    for name in ["", "m ia", "mia\n", "mi\u{430}", "\u{202e}aim", &long] {
        let named = actor(&map, json!({ "preferred_username": name }));
        assert_eq!(named, Err(ExternalTokenError::UnusableSubject), "{name:?}");
    }
    let nobody = actor(&map, json!({"preferred_username": null}));
    assert_eq!(nobody, Err(ExternalTokenError::UnusableSubject));
}

#[test]
fn who_is_limited_by_a_claim_is_limited_to_nothing_while_it_is_missing() {
    let map = json!({
        "roles": {"claim": "groups", "values": {"s": "station", "o": "operator", "a": "admin"}},
        "stations": "stations", "parts": "parts",
    });
    let reach = |change| actor(&map, change);
    let here = reach(json!({"groups": ["s"], "stations": ["AOI-1"], "parts": "*"})).unwrap();
    assert_eq!((stations(&here), here.reach.parts().len()), (vec!["AOI-1".to_owned()], 0));
    let line = json!({"groups": ["o"], "stations": ["AOI-1", "AOI-2"], "parts": ["PCB-7"]});
    assert_eq!(stations(&reach(line).unwrap()), ["AOI-1", "AOI-2"]);
    let anywhere = reach(json!({"groups": ["o"], "stations": "*", "parts": "*"})).unwrap();
    assert_eq!(anywhere.reach, Reach::everywhere());
    assert_eq!(reach(json!({"groups": ["a"]})).unwrap().reach, Reach::everywhere());

    let many: Vec<_> = (0..300).map(|n| format!("AOI-{n}")).collect();
    for change in [
        json!({"groups": ["o"]}),
        json!({"groups": ["o"], "stations": "AOI-1"}),
        json!({"groups": ["o"], "stations": [], "parts": "*"}),
        json!({"groups": ["o"], "stations": ["\u{7}"], "parts": "*"}),
        json!({"groups": ["o"], "stations": many, "parts": "*"}),
        // A station is somewhere.
        json!({"groups": ["s"], "stations": "*", "parts": "*"}),
    ] {
        assert_eq!(reach(change.clone()), Err(ExternalTokenError::NoReach), "{change}");
    }
}

#[test]
fn tokens_of_clients_that_are_not_named_count_for_nothing() {
    let mut map = engineers();
    map["clients"] = json!(["web", "aoi-7"]);
    assert!(actor(&map, json!({})).is_ok());
    assert!(actor(&map, json!({"azp": null, "client_id": "aoi-7"})).is_ok());
    for change in [json!({"azp": "other"}), json!({"azp": null}), json!({"azp": 7})] {
        assert_eq!(actor(&map, change), Err(ExternalTokenError::ForeignClient));
    }
}

#[test]
fn a_mapping_that_means_nothing_is_refused_with_the_reason() {
    let parse = |value: Value| ClaimMapping::parse(value.to_string().as_bytes()).map(drop);
    let malformed = |value| matches!(parse(value), Err(InvalidClaimMapping::Malformed(_)));
    assert!(malformed(json!({})));
    assert!(malformed(json!({"roles": {"claim": "a..b", "values": {"x": "admin"}}})));
    assert!(malformed(json!({"roles": {"claim": [], "values": {"x": "admin"}}})));
    assert!(malformed(json!({"roles": {"claim": "a", "values": {"x": "root"}}})));
    assert!(malformed(changed(&engineers(), json!({"role": "admin"}))));
    let none = json!({"roles": {"claim": "a", "values": {}}});
    assert_eq!(parse(none), Err(InvalidClaimMapping::Roles));
    let station = json!({"roles": {"claim": "a", "values": {"x": "station"}}});
    assert_eq!(parse(station), Err(InvalidClaimMapping::StationWithoutStations));
    for namespace in ["", "Oidc", "a:b", "a b", &"x".repeat(33)] {
        let named = changed(&engineers(), json!({ "namespace": namespace }));
        assert_eq!(parse(named), Err(InvalidClaimMapping::Namespace), "{namespace}");
    }
}
