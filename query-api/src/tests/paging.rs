//! Pages: every row once, in both directions, while rows are inserted; and cursors that are not
//! ours.

use serde_json::{Value, json};

use super::tables::recipe_json;
use super::world::{World, inspection_id};

const PAGE: &str = "query($first: Int, $after: String, $last: Int, $before: String, \
                     $filter: InspectionFilter) {
    inspections(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        edges { cursor node { id } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}";

fn ids(page: &Value) -> Vec<String> {
    let edges = page["inspections"]["edges"].as_array().unwrap();
    edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect()
}

fn newest_first(range: std::ops::RangeInclusive<i64>) -> Vec<String> {
    range.rev().map(|n| inspection_id(n).to_string()).collect()
}

#[tokio::test]
async fn going_forward_gives_every_row_once_while_rows_are_inserted() {
    let world = World::new().await;
    for n in 1..=23 {
        world.insert_inspection(n, 0).await;
    }
    let (mut seen, mut after, mut newest) = (Vec::new(), Value::Null, 100);
    loop {
        let page = world.query(PAGE, json!({"first": 5, "after": after})).await;
        seen.extend(ids(&page));
        let info = &page["inspections"]["pageInfo"];
        assert_eq!(info["hasPreviousPage"], !after.is_null());
        after = info["endCursor"].clone();
        newest += 1;
        world.insert_inspection(newest, 0).await;
        if info["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(seen, newest_first(1..=23));
}

#[tokio::test]
async fn going_backward_gives_every_row_once_while_rows_are_inserted() {
    let world = World::new().await;
    for n in 1..=23 {
        world.insert_inspection(n, 0).await;
    }
    let (mut seen, mut before, mut older) = (Vec::new(), Value::Null, 0);
    loop {
        let page = world.query(PAGE, json!({"last": 5, "before": before})).await;
        let mut rows = ids(&page);
        rows.extend(seen);
        seen = rows;
        let info = &page["inspections"]["pageInfo"];
        before = info["startCursor"].clone();
        older -= 1;
        world.insert_inspection(older, 0).await;
        if info["hasPreviousPage"] == false {
            break;
        }
    }
    assert_eq!(seen, newest_first(1..=23));
}

#[tokio::test]
async fn rest_pages_cover_every_row_of_a_filter_once() {
    let world = World::new().await;
    for n in 1..=20 {
        world.insert_inspection(n, 0).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/inspections?lot=L1&limit=3".to_owned());
    loop {
        let page = world.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|i| i["inspection_id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/inspections?lot=L1&limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let wanted: Vec<_> =
        (1..=20).rev().filter(|n| n % 3 == 1).map(|n| inspection_id(n).to_string()).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn every_list_pages_by_its_own_key() {
    let world = World::new().await;
    for n in 1..=3 {
        world.insert_inspection(n, 2).await;
        world.insert_report(n, "{}").await;
        world
            .execute(&format!(
                "INSERT INTO read.parts VALUES ('P{n}', '{}', now(), NULL, 1, {n})",
                recipe_json(1)
            ))
            .await;
    }
    for (list, node, rows) in
        [("defects", "position number", 6), ("reports", "id", 3), ("parts", "part", 3)]
    {
        let query = format!(
            "query($after: String) {{ {list}(first: 1, after: $after) {{
                nodes {{ {node} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = world.query(&query, json!({"after": after})).await[list].clone();
            seen.push(page["nodes"][0].to_string());
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(seen.len(), rows, "{seen:?}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), rows, "{seen:?}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_not_of_this_query_is_refused() {
    let world = World::new().await;
    for n in 1..=3 {
        world.insert_inspection(n, 1).await;
    }
    let page = world.query(PAGE, json!({"first": 1})).await;
    let cursor = page["inspections"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    world.query(PAGE, json!({"first": 1, "after": cursor})).await;

    let mut altered = cursor.clone().into_bytes();
    altered[30] = if altered[30] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for variables in [
        json!({"after": cursor, "filter": {"lot": "L1"}}),
        json!({"after": altered}),
        json!({"before": "made-up"}),
        json!({"after": ""}),
        json!({"after": "é".repeat(600)}),
    ] {
        assert_eq!(
            world.graphql_code(PAGE, variables.clone()).await,
            "INVALID_CURSOR",
            "{variables}"
        );
    }
    let elsewhere = "query($c: String) { defects(after: $c) { edges { cursor } } }";
    assert_eq!(world.graphql_code(elsewhere, json!({"c": cursor})).await, "INVALID_CURSOR");
    let rest = world.get(&format!("/v1/reports?cursor={cursor}")).await;
    assert_eq!(rest.problem(), (400, "invalid-cursor".into()));
    // The same list with the same filter is the same query, whichever API asks.
    let rest = world.get(&format!("/v1/inspections?cursor={cursor}")).await;
    assert_eq!(rest.status, 200);
}

#[tokio::test]
async fn a_page_goes_one_way_and_has_a_sensible_size() {
    let world = World::new().await;
    for variables in [
        json!({"first": 1, "last": 1}),
        json!({"first": 1, "before": "x"}),
        json!({"last": 1, "after": "x"}),
        json!({"first": 0}),
        json!({"first": -1}),
        json!({"last": 201}),
        json!({"first": 2_147_483_647}),
    ] {
        assert_eq!(
            world.graphql_code(PAGE, variables.clone()).await,
            "BAD_USER_INPUT",
            "{variables}"
        );
    }
    for limit in ["0", "201", "-1", "x", "99999999999", ""] {
        let answer = world.get(&format!("/v1/reports?limit={limit}")).await;
        assert_eq!(answer.problem(), (400, "invalid-query".into()), "{limit}");
    }
}

/// RFC 3339, of the second at which the world's n-th board was created, judged, and found to be flawed.
fn second(n: i64) -> String {
    chrono::DateTime::from_timestamp(1_700_000_000 + n, 0).unwrap().to_rfc3339()
}

#[tokio::test]
async fn a_stretch_of_time_begins_with_its_first_moment_and_ends_before_its_last() {
    let world = World::new().await;
    for n in 1..=9 {
        world.insert_inspection(n, 1).await;
        world.insert_report(n, "{}").await;
    }
    for list in ["inspections", "defects", "reports"] {
        let query = format!(
            "query($filter: {}Filter, $first: Int, $after: String, $last: Int, $before: String) {{
                 {list}(filter: $filter, first: $first, after: $after, last: $last, before: $before) {{
                     nodes {{ position }} pageInfo {{ endCursor startCursor }} }} }}",
            match list {
                "inspections" => "Inspection",
                "defects" => "Defect",
                _ => "Report",
            }
        );
        let positions = |page: &Value| {
            let nodes = page[list]["nodes"].as_array().unwrap().iter();
            nodes.map(|node| node["position"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        for (filter, wanted) in [
            (json!({"from": second(3), "to": second(7)}), ["6", "5", "4", "3"]),
            (json!({"from": second(6)}), ["9", "8", "7", "6"]),
            (json!({"to": second(5), "part": "P"}), ["4", "3", "2", "1"]),
        ] {
            let mut place = json!({"filter": filter, "first": 3});
            let page = world.query(&query, place.clone()).await;
            assert_eq!(positions(&page), wanted[..3], "{list} {filter}");
            place["after"] = page[list]["pageInfo"]["endCursor"].clone();
            assert_eq!(positions(&world.query(&query, place).await), wanted[3..], "{list}");
            let mut place = json!({"filter": filter, "last": 3});
            let page = world.query(&query, place.clone()).await;
            assert_eq!(positions(&page), wanted[1..], "{list} {filter}");
            place["before"] = page[list]["pageInfo"]["startCursor"].clone();
            assert_eq!(positions(&world.query(&query, place).await), wanted[..1], "{list}");
        }
        let (from, to) = (second(3).replace("+00:00", "Z"), "2023-11-14T23:13:27%2B01:00");
        let page = world.get(&format!("/v1/{list}?from={from}&to={to}")).await.json();
        let items = page["items"].as_array().unwrap().iter();
        let items: Vec<_> = items.map(|item| item["position"].as_i64().unwrap()).collect();
        assert_eq!(items, [6, 5, 4, 3], "{list}");
    }
}

#[tokio::test]
async fn what_is_no_stretch_of_time_is_refused_with_the_name_of_the_end_that_is_wrong() {
    let world = World::new().await;
    for list in ["inspections", "defects", "reports"] {
        for (wrong, must) in [
            ("from=yesterday", "from: must be a time with its offset"),
            ("from=2026-01-31", "from: must be a time with its offset"),
            ("to=2026-01-31T12:00:00", "to: must be a time with its offset"),
            ("to=2026-01-31T12:00:00+01:00", "to: must be a time with its offset"),
            ("to=", "to: must be a time with its offset"),
            ("from=1969-12-31T23:59:59Z", "from: must be in the years"),
            ("from=2026-01-31T12:00:00Z&to=2026-01-31T13:00:00%2B01:00", "to: must be later"),
            ("from=2026-01-31T12:00:00Z&to=2026-01-31T11:00:00Z", "to: must be later"),
        ] {
            let answer = world.get(&format!("/v1/{list}?{wrong}")).await;
            assert_eq!(answer.problem(), (400, "invalid-query".into()), "{list} {wrong}");
            let detail = answer.json()["detail"].to_string();
            assert!(detail.contains(must), "{list} {wrong}: {detail}");
        }
        let query = format!(
            "query($from: DateTime, $to: DateTime) {{
                 {list}(filter: {{from: $from, to: $to}}) {{ nodes {{ position }} }} }}"
        );
        for wrong in [
            json!({"from": second(3), "to": second(3)}),
            json!({"from": "2026-01-31"}),
            json!({"to": "2026-01-31T12:00:00"}),
        ] {
            assert_eq!(
                world.graphql_code(&query, wrong.clone()).await,
                "BAD_USER_INPUT",
                "{wrong}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_says_how_many_rows_it_has_when_that_is_asked_for_and_not_beyond_a_bound() {
    let world = World::new().await;
    for n in 1..=9 {
        world.insert_inspection(n, 2).await;
        world.insert_report(n, "{}").await;
    }
    world
        .execute(&format!(
            "INSERT INTO read.parts SELECT 'P' || n, '{}', now(), NULLIF(n % 10001, 0), 1, n
             FROM generate_series(1, 10001) AS n",
            recipe_json(1)
        ))
        .await;
    for (list, restricted, (all, some)) in [
        ("inspections", "lot=L1", (json!(9), json!(3))),
        ("defects", "lot=L1", (json!(18), json!(6))),
        ("reports", "lot=L1", (json!(9), json!(3))),
        ("parts", "has_golden_sample=true", (Value::Null, json!(10_000))),
    ] {
        let total =
            world.query(&format!("{{ {list}(first: 1) {{ totalCount }} }}"), json!({})).await;
        assert_eq!(total[list]["totalCount"], all, "{list}");
        let page = world.get(&format!("/v1/{list}?limit=1&count=true")).await.json();
        assert_eq!(page.get("total_count"), Some(&all), "{list}: {page}");
        let page = world.get(&format!("/v1/{list}?limit=1&count=true&{restricted}")).await.json();
        assert_eq!(page.get("total_count"), Some(&some), "{list}: {page}");
        for unasked in ["limit=1", "limit=1&count=false"] {
            let page = world.get(&format!("/v1/{list}?{unasked}")).await.json();
            assert_eq!(page.get("total_count"), None, "{list}: {page}");
        }
        let wrong = world.get(&format!("/v1/{list}?count=maybe")).await;
        assert_eq!(wrong.problem(), (400, "invalid-query".into()), "{list}");
    }
    // A page behind the first has as many before and behind it.
    let cursor = world.get("/v1/reports?limit=4").await.json()["next_cursor"].clone();
    let path = format!("/v1/reports?limit=4&count=true&cursor={}", cursor.as_str().unwrap());
    assert_eq!(world.get(&path).await.json()["total_count"], 9);
}
