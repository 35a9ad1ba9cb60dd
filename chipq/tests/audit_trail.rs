//! The audit trail of a platform that was worked on: by inspection, by subject and by time, as JSON, CSV, table and
//! GraphQL, it is what the log has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "audit_trail/csv.rs"]
mod csv;
#[path = "audit_trail/worked.rs"]
mod worked;

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::collections::BTreeSet;
use std::time::Instant;

use ::platform::event_log::Recorded;
use reqwest::Method;
use serde_json::{Value, json};

use csv::read_csv;
use platform::{chipq, finished, folder};
use station::Station;
use worked::{BELIEVED_WITHIN, FORMULA, PASSWORD, Worked};

fn positions(entries: &[Value]) -> Vec<i64> {
    entries.iter().map(|entry| entry["position"].as_i64().unwrap()).collect()
}

fn positions_where(log: &[Recorded], is_wanted: impl Fn(&Recorded) -> bool) -> Vec<i64> {
    log.iter().filter(|event| is_wanted(event)).map(|event| event.position.0).collect()
}

/// The one entry of this event.
fn only<'a>(entries: &'a [Value], event: &str) -> &'a Value {
    let found: Vec<_> = entries.iter().filter(|entry| entry["event"] == event).collect();
    assert_eq!(found.len(), 1, "{event}: {entries:#?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_what_the_log_has_in_every_way_that_it_is_asked_for() {
    let worked = Worked::start().await;
    let id = &worked.inspection;
    let log = worked.log().await;
    let by_inspection = worked.entries(&["--inspection", id]);
    let about = |event: &Recorded| {
        event.stream.aggregate_id == *id || event.payload.text().contains(id.as_str())
    };
    assert_eq!(positions(&by_inspection), positions_where(&log, about));
    assert!(by_inspection.len() >= 7, "{by_inspection:#?}");
    check_inspection(&by_inspection);

    let by_subject = worked.entries(&["--subject", "ada"]);
    assert_eq!(
        positions(&by_subject),
        positions_where(&log, |event| event.payload["name"] == "ada"),
        "ada did nothing, and everything else was done to her"
    );
    check_account(&by_subject);
    let everything = worked.entries(&["--from", "1970-01-01"]);
    assert_eq!(positions(&everything)[..log.len()], positions_where(&log, |_| true));
    check_others(&everything);
    let middle = &log[log.len() / 2];
    let from = middle.occurred_at().to_rfc3339();
    let (before, since) = (worked.entries(&["--to", &from]), worked.entries(&["--from", &from]));
    let both: BTreeSet<_> = positions(&before).into_iter().chain(positions(&since)).collect();
    assert_eq!(both.len(), before.len() + since.len(), "no event is on both sides");
    assert!(positions(&since).contains(&middle.position.0));
    let combined = worked.entries(&["--inspection", id, "--subject", "judge"]);
    assert_eq!(only(&combined, "InspectionJudged")["actor"]["subject"], "judge");

    check_csv(&worked, id);
    check_table(&worked, id);
    check_graphql(&worked, &by_inspection, &by_subject).await;
    worked.platform.stop();
}

fn check_inspection(entries: &[Value]) {
    let created = only(entries, "InspectionCreated");
    assert_eq!(created["actor"]["subject"], "demo");
    assert_eq!(created["address"], "127.0.0.1");
    assert!(created["token_id"].is_string() && created["command_id"].is_string(), "{created}");
    assert_eq!(created["caused_by"]["trace_id"].as_str().map(str::len), Some(32));
    let completed = only(entries, "InferenceCompleted");
    assert_eq!(completed["actor"]["subject"], "inference-worker");
    assert_eq!(completed["caused_by"]["event"], "ArtifactUploaded");
    let uploaded = only(entries, "ArtifactUploaded");
    assert_eq!(completed["caused_by"]["position"], uploaded["position"]);
    assert!(completed["facts"]["defects"]["count"].as_u64() > Some(0), "{completed}");
    let rejected = only(entries, "CommandRejected");
    assert_eq!(
        (&rejected["reason"], &rejected["facts"]["subject"]),
        (&json!("already-judged"), &json!("demo"))
    );
    assert_eq!(rejected["token_id"], created["token_id"]);
}

fn check_account(entries: &[Value]) {
    let names: Vec<_> = entries.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["PrincipalCreated", "RoleChanged", "PrincipalDisabled"]);
    let changed = json!([{"field": "role", "old": "operator", "new": "engineer"}]);
    assert_eq!(
        (&entries[1]["changed"], &entries[1]["reason"]),
        (&changed, &json!("keeps recipes"))
    );
    assert_eq!(entries[2]["reason"], FORMULA);
}

fn check_others(entries: &[Value]) {
    let revised = only(entries, "RecipeRevised");
    let fields: BTreeSet<_> = revised["changed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["field"].as_str().unwrap())
        .collect();
    assert!(fields.contains("recipe.fail_at") && fields.contains("recipe.revision"), "{revised}");
    let refused = only(entries, "AccessRefused");
    assert_eq!(refused["reason"], "malformed-token");
    assert_eq!(refused["address"], "127.0.0.1");
    let taken = entries.iter().find(|entry| entry["reason"] == "part-already-registered");
    assert_eq!(taken.unwrap()["facts"]["resource"], "/v1/parts");
}

fn check_csv(worked: &Worked, id: &str) {
    for search in [["--inspection", id], ["--subject", "ada"]] {
        let entries = worked.entries(&search);
        let (code, said, _) = worked.trail(&[&search[..], &["--csv"]].concat());
        let records = read_csv(&said);
        let (columns, rows) = records.split_first().unwrap();
        assert_eq!((code, rows.len()), (0, entries.len()));
        for (row, entry) in rows.iter().zip(&entries) {
            assert_eq!(row.len(), columns.len());
            assert!(
                row.iter().all(|value| !value.starts_with(['=', '+', '-', '@', '\t'])),
                "{row:?}"
            );
            let value =
                |column: &str| &row[columns.iter().position(|name| name == column).unwrap()];
            assert_eq!(*value("position"), entry["position"].to_string());
            assert_eq!(*value("event"), entry["event"]);
            assert_eq!(*value("actor"), entry["actor"]["subject"]);
            let reason = value("reason");
            let reason = reason.strip_prefix('\'').unwrap_or(reason);
            assert_eq!(reason, entry["reason"].as_str().unwrap_or_default());
            let facts: Value = serde_json::from_str(value("facts")).unwrap_or_else(|_| json!({}));
            assert_eq!(facts, entry["facts"]);
        }
    }
}

fn check_table(worked: &Worked, id: &str) {
    let (code, said, _) = worked.trail(&["--inspection", id]);
    let (summary, lines) = said
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(last, rest)| (*last, rest.to_vec()))
        .unwrap();
    assert_eq!((code, lines.len()), (0, 2 * worked.entries(&["--inspection", id]).len()));
    assert!(lines.iter().all(|line| line.chars().count() <= 120), "{said}");
    assert!(
        summary.contains(&format!("about inspection {id}")) && summary.contains("looked at"),
        "{summary}"
    );
}

const TRAIL: &str = "query($filter: AuditTrailFilter, $after: String) {
    auditTrail(filter: $filter, first: 3, after: $after) {
        nodes { position at event eventVersion stream { type id sequence } actor { subject name roles client }
            causedBy { eventId position event traceId } correlationId commandId address tokenId reason subjects
            inspectionId changed { field old new } facts }
        pageInfo { hasNextPage endCursor } } }";

async fn check_graphql(worked: &Worked, by_inspection: &[Value], by_subject: &[Value]) {
    let vera = worked.signed_in(&[("username", "vera"), ("password", PASSWORD)]).await;
    for (filter, entries) in [
        (json!({"inspectionId": worked.inspection}), by_inspection),
        (json!({"subject": "ada"}), by_subject),
    ] {
        let deadline = Instant::now() + BELIEVED_WITHIN;
        let nodes = loop {
            let nodes = all_pages(&vera, &filter).await;
            if nodes.len() >= entries.len() || Instant::now() > deadline {
                break nodes;
            }
        };
        assert_eq!(nodes.len(), entries.len(), "{filter}");
        for (node, entry) in nodes.iter().zip(entries) {
            assert_same(node, entry);
        }
    }
    let secret = {
        let create = ["clients", "create", "aoi-1", "--role", "station", "--station", "AOI-1"];
        let said = finished(
            chipq(&create).args(["--reason", "new", "--json", "--data"]).arg(&worked.data),
        );
        let created: Value = serde_json::from_str(&said.1).unwrap();
        created["client_secret"].as_str().unwrap().to_owned()
    };
    let form =
        [("grant_type", "client_credentials"), ("client_id", "aoi-1"), ("client_secret", &secret)];
    let station = worked.signed_in(&form).await;
    let asked = station.request(Method::POST, "/graphql").json(&json!({"query": TRAIL}));
    let (_, refused) = station::answer(asked).await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
}

async fn all_pages(vera: &Station, filter: &Value) -> Vec<Value> {
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let data = vera.graphql(TRAIL, json!({"filter": filter, "after": after})).await;
        let page = &data["auditTrail"];
        nodes.extend(page["nodes"].as_array().unwrap().clone());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// A node of GraphQL says what the command prints.
fn assert_same(node: &Value, entry: &Value) {
    assert_eq!(node["position"], entry["position"].to_string());
    let at = |value: &Value| {
        value["at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    assert_eq!(at(node), at(entry));
    for (field, other) in [
        ("event", "event"),
        ("eventVersion", "event_version"),
        ("stream", "stream"),
        ("actor", "actor"),
        ("correlationId", "correlation_id"),
        ("commandId", "command_id"),
        ("address", "address"),
        ("tokenId", "token_id"),
        ("reason", "reason"),
        ("subjects", "subjects"),
        ("inspectionId", "inspection"),
        ("changed", "changed"),
        ("facts", "facts"),
    ] {
        assert_eq!(node[field], entry[other], "{field}: {node:#} {entry:#}");
    }
    let (cause, told) = (&node["causedBy"], &entry["caused_by"]);
    assert_eq!(cause["eventId"], *told.get("event_id").unwrap_or(&Value::Null));
    assert_eq!(cause["traceId"], *told.get("trace_id").unwrap_or(&Value::Null));
    let position = told.get("position").map_or(Value::Null, |position| position.to_string().into());
    assert_eq!(cause["position"], position);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_searched_in_vain_is_said_with_where_it_was_searched() {
    let folder = folder();
    let data = folder.path().join("data");
    assert_eq!(finished(chipq(&["migrate", "--data"]).arg(&data)).0, 0);
    let trail = |arguments: &[&str]| {
        finished(chipq(&["audit", "trail"]).args(arguments).arg("--data").arg(&data))
    };
    let (code, said, error) = trail(&["--subject", "ada"]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(error.contains("no event by or about \"ada\": the log has no events yet"), "{error}");

    let claim = ["accounts", "claim-code", "--reason", "first", "--data"];
    assert_eq!(finished(chipq(&claim).arg(&data)).0, 0);
    let nobody = "00000000-0000-7000-8000-000000000000";
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--inspection", nobody], 1, "compare the id"),
        (&["--subject", "nobody", "--json"], 1, "compare the name with chipq accounts list"),
        (&["--to", "1970-01-02"], 1, "the log begins later: give a later --to"),
        (&["--from", "9999-01-01T00:00:00Z"], 1, "the log ends earlier: give an earlier --from"),
        (&["--from", "2026-01-02", "--to", "2026-01-01"], 64, "is not later than --from"),
        (&[], 64, "--inspection"),
        (&["--inspection", "7"], 64, "--inspection"),
        (&["--from", "yesterday"], 64, "2026-11-30T06:00:00Z"),
        (&["--subject", "a", "--csv", "--json"], 64, "--csv"),
    ];
    for (arguments, code, told) in cases {
        let (ended, said, error) = trail(arguments);
        assert_eq!((ended, said.as_str()), (code, ""), "{arguments:?}: {error}");
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}
