//! Every filter of every list finds its rows by an index: the real statements of the query API, on the real
//! tables of the projectors with a hundred thousand rows each (`CHIPQ_INDEX_ROWS`), explained by the server that
//! ran them.
//!
//! What counts is how many rows a statement reads for a page. That number does not grow with the table when an
//! index serves the filter in the order of the list, so a tenth of a million rows tells as much as a million. The
//! values are not spread evenly: of what was made once, and on which line, only the oldest rows are, so that
//! whoever looks for it in the order of the list goes through everything else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "indexes/fill.rs"]
mod fill;

use std::fmt;
use std::sync::{Arc, Mutex};

use chrono::Utc;
use domain::{
    AccessControl, AccessControlEvent, Aggregate as _, PrincipalKind, PrincipalName, Reach, Role,
};
use fill::{ENTRY, FILL, PART, STATION};
use platform::auth::{
    AccessRegister, Actor, InstallationKeys, KeyRing, RoleScopes, SigningKey, TokenConfig,
    TokenIssuer,
};
use platform::event_log::postgres::PostgresEventLog;
use platform::follower::LogTail;
use platform::http::{ConnectionLimits, HttpConfig};
use platform::picture_memory::PictureMemory;
use platform::postgres::{self, DatabaseConfig, Pool};
use platform::shutdown::Shutdown;
use platform::test_support::{artifact_store_in, fresh_database};
use query_api::{QueryApi, QueryApiConfig, QueryApiDependencies};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Rows of each table, when nothing else is said.
const ROWS: usize = 100_000;
/// Rows of a page.
const PAGE: u64 = 20;
/// Rows that the statement for one page may read: the server may read a small lot whole and sort it.
const READ_MAX: u64 = 10 * PAGE;
/// The most entries of a page that any list allows.
const LARGE_PAGE: u64 = 100;

/// Rows that the statement may read that counts up to 10,000 of them.
const COUNTED_MAX: u64 = 10_001;
/// Stations, or parts, of whoever is limited here: each of theirs is counted up to the bound.
const LIMITED_COUNTS: u64 = 4;

/// The server explains every statement to whoever sent it.
const EXPLAINED: &str = "options=-c%20session_preload_libraries%3Dauto_explain\
    %20-c%20auto_explain.log_min_duration%3D0%20-c%20auto_explain.log_analyze%3Don\
    %20-c%20auto_explain.log_timing%3Doff%20-c%20auto_explain.log_format%3Djson\
    %20-c%20auto_explain.log_level%3Dnotice";

fn rows() -> usize {
    std::env::var("CHIPQ_INDEX_ROWS").map_or(ROWS, |rows| rows.parse().unwrap())
}

/// The plans of the statements that ran, as the server told them.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<Vec<Value>>>);

impl<S: tracing::Subscriber> Layer<S> for Plans {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::postgres::notice" {
            event.record(&mut PlanInMessage(self));
        }
    }
}

struct PlanInMessage<'p>(&'p Plans);

impl Visit for PlanInMessage<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message"
            && let Some((_, plan)) = value.split_once("plan:\n")
        {
            self.0.0.lock().unwrap().push(serde_json::from_str(plan).unwrap());
        }
    }
}

impl Plans {
    /// The plans of statements on `table` since the last time.
    fn take_of(&self, table: &str) -> Vec<Value> {
        let plans = std::mem::take(&mut *self.0.lock().unwrap());
        plans.into_iter().filter(|plan| !scans(&plan["Plan"], table).is_empty()).collect()
    }
}

/// The one that TimescaleDB divides into chunks, which plans name.
const HYPERTABLE: &str = "defects";

/// The nodes of a plan that read `table`.
fn scans<'p>(node: &'p Value, table: &str) -> Vec<&'p Value> {
    let is_chunk = node["Relation Name"].as_str().is_some_and(|name| name.starts_with("_hyper_"));
    let is_own = node["Relation Name"] == table || (table == HYPERTABLE && is_chunk);
    let own = is_own.then_some(node);
    let inner = node["Plans"].as_array().into_iter().flatten();
    own.into_iter().chain(inner.flat_map(|inner| scans(inner, table))).collect()
}

/// The rows of `table` that a statement read, whether it used them or not.
fn rows_read(plan: &Value, table: &str) -> u64 {
    let rows_of = |scan: &Value| {
        let told = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"];
        let rows: f64 = told.iter().filter_map(|name| scan[name].as_f64()).sum();
        (rows * scan["Actual Loops"].as_f64().unwrap_or(1.0)) as u64
    };
    scans(&plan["Plan"], table).into_iter().map(rows_of).sum()
}

/// Who reads: everybody's boards, and those of so many stations or parts.
const READERS: [(&str, &[&str], &[&str]); 4] = [
    ("everywhere", &[], &[]),
    ("one-station", &["rare"], &[]),
    ("stations", &["S0", "S1", "rare", "old-line"], &[]),
    ("parts", &[], &["P0", "P7", "old", "none"]),
];

/// The query API on a database whose statements are explained.
struct World {
    url: String,
    /// Of each reader, in their order.
    tokens: Vec<String>,
    /// The one who reads.
    reader: usize,
    plans: Plans,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start(pool: Pool, plans: Plans) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), Utc::now()).unwrap();
        let keys = InstallationKeys::new(&ring);
        let issuer = TokenIssuer::on_keys(&keys, TokenConfig::default());
        let access = readers();
        let token_of = |(name, principal): (&PrincipalName, _)| {
            issuer
                .issue(&Actor::for_principal(name, principal, &RoleScopes::default()), Utc::now())
                .unwrap()
                .token
        };
        let tokens = READERS.map(|(name, ..)| {
            let name = name.parse().unwrap();
            token_of((&name, access.principal(&name).unwrap()))
        });
        let register = AccessRegister::new();
        register.publish(access);
        let on = QueryApiDependencies {
            tail: LogTail::new(Arc::new(PostgresEventLog::new(pool.clone()))),
            pool,
            artifacts: artifact_store_in(folder.path()),
            memory: PictureMemory::default(),
            signing_key: SigningKey::new(&keys),
            verifier: Arc::new(issuer.verifier().with_register(register)),
            fold_inspection: |_| Err("nobody asks what was".to_owned()),
            shutdown: Shutdown::new(),
        };
        let router = query_api::router(QueryApi::new(on, &QueryApiConfig::default()));
        let router = platform::http::wrap(router, &HttpConfig::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/graphql", listener.local_addr().unwrap());
        tokio::spawn(platform::http::serve(
            listener,
            router,
            ConnectionLimits::default(),
            Shutdown::new(),
        ));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, tokens: tokens.to_vec(), reader: 0, plans, http, _folder: folder }
    }

    /// A page of `list`, and how its rows were read.
    async fn page(&self, list: &str, filter: &Value, page: &Value) -> (Value, Vec<Value>) {
        let kind = match list {
            "inspections" => "InspectionFilter",
            "defects" => "DefectFilter",
            "reports" => "ReportFilter",
            "auditTrail" => "AuditTrailFilter",
            _ => "PartFilter",
        };
        let counted = if page["counted"] == true { "totalCount" } else { "" };
        let query = format!(
            "query($filter: {kind}, $first: Int, $after: String, $last: Int) {{
                 {list}(filter: $filter, first: $first, after: $after, last: $last) {{
                     nodes {{ position }} pageInfo {{ endCursor hasNextPage }} {counted} }} }}"
        );
        let mut variables = page.clone();
        variables["filter"] = filter.clone();
        let body = json!({"query": query, "variables": variables});
        let sent =
            self.http.post(&self.url).bearer_auth(&self.tokens[self.reader]).json(&body).send();
        let answer: Value = sent.await.unwrap().json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{list} {filter}: {answer}");
        (answer["data"][list].clone(), self.plans.take_of(table_of(list, filter)))
    }

    /// The most rows that any page of `list` reads: the first, the one behind it, one that is farther from both
    /// ends than a page may read, the last.
    async fn most_rows_read(&self, list: &str, filter: &Value) -> u64 {
        let (first, mut plans) = self.page(list, filter, &json!({"first": PAGE})).await;
        let mut info = first["pageInfo"].clone();
        if info["hasNextPage"] == true {
            let behind = json!({"first": PAGE, "after": info["endCursor"]});
            plans.extend(self.page(list, filter, &behind).await.1);
        }
        // In pages that every list allows.
        for _ in 0..READ_MAX.div_ceil(LARGE_PAGE) {
            if info["hasNextPage"] == true {
                let far = json!({"first": LARGE_PAGE, "after": info["endCursor"]});
                info = self.page(list, filter, &far).await.0["pageInfo"].clone();
            }
        }
        if info["hasNextPage"] == true {
            let behind = json!({"first": PAGE, "after": info["endCursor"]});
            plans.extend(self.page(list, filter, &behind).await.1);
        }
        plans.extend(self.page(list, filter, &json!({"last": PAGE})).await.1);
        assert!(plans.len() >= 2, "the server did not explain {list} {filter}");
        let table = table_of(list, filter);
        plans.iter().map(|plan| rows_read(plan, table)).max().unwrap_or_default()
    }

    /// What reads more rows than it may.
    async fn explain_excess(&self, list: &str, filter: &Value) -> Vec<String> {
        let (reader, mut too_much) = (READERS[self.reader].0, Vec::new());
        let rows = self.most_rows_read(list, filter).await;
        if rows > READ_MAX {
            too_much.push(format!("{reader}: {list} {filter}: {rows} rows"));
        }
        let counted = self.most_rows_counted(list, filter).await;
        // As for a page, a few rows may be passed over on the way.
        let counts = if self.reader == 0 { 1 } else { LIMITED_COUNTS };
        if counted > counts * COUNTED_MAX + READ_MAX {
            too_much.push(format!("{reader}: {list} {filter}: {counted} rows to count them"));
        }
        too_much
    }

    /// The most rows that counting a list reads.
    async fn most_rows_counted(&self, list: &str, filter: &Value) -> u64 {
        let (_, plans) = self.page(list, filter, &json!({"first": 1, "counted": true})).await;
        assert!(plans.len() >= 2, "the server did not explain {list} {filter}");
        let table = table_of(list, filter);
        plans.iter().map(|plan| rows_read(plan, table)).max().unwrap_or_default()
    }
}

/// The table that a list is found in.
fn table_of<'a>(list: &'a str, filter: &Value) -> &'a str {
    match list {
        "auditTrail" if filter.get("subject").is_some() => "audit_trail_subjects",
        "auditTrail" => "audit_trail",
        _ => list,
    }
}

/// The readers as accounts.
fn readers() -> AccessControl {
    let mut access = AccessControl::default();
    for (name, stations, parts) in READERS {
        let stations = stations.iter().map(|name| name.parse().unwrap()).collect();
        let parts = parts.iter().map(|number| number.parse().unwrap()).collect();
        access.evolve(&AccessControlEvent::PrincipalCreated {
            name: name.parse().unwrap(),
            kind: PrincipalKind::Account,
            display_name: None,
            role: Role::Admin,
            reach: Reach::new(stations, parts).unwrap(),
            credential: uuid::Uuid::nil(),
            reason: "a test".to_owned(),
        });
    }
    access
}

/// Filters of one condition, values that many rows have, few, and none; and what bounds others.
fn filters(list: &str) -> Vec<Value> {
    let at = |n: usize| chrono::DateTime::from_timestamp(1_700_000_000 + n as i64, 0).unwrap();
    let (early, middle) = (at(rows() / 100), at(rows() / 2));
    let of_boards = ["lot", "part", "station"].into_iter().flat_map(|name| {
        let values = match name {
            "lot" => ["L7", "L500", "none"],
            "part" => ["P0", "old", "none"],
            _ => ["old-line", "rare", "none"],
        };
        values.map(|value| json!({ name: value }))
    });
    let judgements = ["PASS", "FAIL", "REVIEW"].map(|word| json!({"judgement": word}));
    let stretches = [
        json!({"from": middle}),
        json!({"to": middle}),
        json!({"from": early, "to": middle}),
        json!({"part": "P1", "to": middle}),
        json!({"station": "rare", "from": early, "to": middle}),
        json!({"lot": "L7", "to": middle}),
    ];
    let own = match list {
        "inspections" => {
            let states = ["OPEN", "INFERRING", "JUDGED", "VOIDED"];
            judgements.into_iter().chain(states.map(|word| json!({"state": word}))).collect()
        }
        "reports" => judgements.to_vec(),
        "defects" => vec![
            json!({"class": "OPEN"}),
            json!({"class": "SHORT"}),
            json!({"class": "SPUR"}),
            json!({"grade": "DEFECT"}),
            json!({"grade": "DOUBTFUL"}),
            json!({"inspectionId": uuid::Uuid::nil()}),
        ],
        "auditTrail" => {
            let subjects = ["ada", "gone", "rare", "none"].map(|who| json!({"subject": who}));
            let own = [
                json!({"inspectionId": uuid::Uuid::nil()}),
                json!({"subject": "ada", "inspectionId": uuid::Uuid::nil()}),
                json!({"subject": "gone", "from": middle}),
                json!({"subject": "rare", "from": early, "to": middle}),
            ];
            let stretches = stretches.into_iter().take(3);
            return subjects.into_iter().chain(own).chain(stretches).chain([json!({})]).collect();
        }
        _ => {
            let parts = [true, false].map(|has| json!({"hasGoldenSample": has}));
            return parts.into_iter().chain([json!({})]).collect();
        }
    };
    of_boards.chain(own).chain(stretches).chain([json!({})]).collect()
}

/// What whoever is limited asks for that is one condition with the reach, or a lot.
fn filters_within_reach(list: &str) -> Vec<Value> {
    let middle = chrono::DateTime::from_timestamp(1_700_000_000 + rows() as i64 / 2, 0).unwrap();
    match list {
        "parts" => filters(list),
        "auditTrail" => vec![json!({}), json!({"to": middle})],
        _ => vec![json!({}), json!({"to": middle}), json!({"lot": "L7"}), json!({"lot": "L500"})],
    }
}

#[tokio::test]
async fn every_filter_of_every_list_reads_little_more_than_its_page() {
    let plans = Plans::default();
    let subscriber = tracing_subscriber::registry().with(plans.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let database = fresh_database().await;
    projectors::ensure(&database.pool()).await.unwrap();
    let recipe = serde_json::to_string(&domain::Recipe::factory(1)).unwrap();
    let fill = FILL.replace("{RECIPE}", &recipe).replace("{ENTRY}", ENTRY).replace("{PART}", PART);
    let fill = fill.replace("{STATION}", STATION).replace("{ROWS}", &rows().to_string());
    // A connection of its own: what fills a million rows takes longer than a statement of ours may.
    let mut filler = sqlx::PgConnection::connect(database.url()).await.unwrap();
    filler.execute(fill.as_str()).await.unwrap();
    let separator = if database.url().contains('?') { '&' } else { '?' };
    let explained = format!("{}{separator}{EXPLAINED}", database.url());
    let pool = postgres::connect(&DatabaseConfig::from_url(explained)).await.unwrap();
    let mut world = World::start(pool.clone(), plans).await;

    let mut too_much = Vec::new();
    for list in ["inspections", "defects", "reports", "parts", "auditTrail"] {
        for filter in filters(list) {
            too_much.extend(world.explain_excess(list, &filter).await);
        }
        for reader in 1..READERS.len() {
            world.reader = reader;
            for filter in filters_within_reach(list) {
                too_much.extend(world.explain_excess(list, &filter).await);
            }
        }
        world.reader = 0;
    }
    assert!(too_much.is_empty(), "more than {READ_MAX} rows for a page:\n{}", too_much.join("\n"));

    // Without its index a filter is served by going through the table, and the count shows it.
    pool.execute("DROP INDEX reports_g1.reports_station_judged_at_position_idx").await.unwrap();
    assert!(world.most_rows_read("reports", &json!({"station": "rare"})).await > READ_MAX);

    // What would go through everything is refused before any statement.
    for filter in [json!({"minConfidence": 0.99}), json!({"minConfidence": 0.99, "part": "P1"})] {
        let query =
            "query($filter: DefectFilter) { defects(filter: $filter) { nodes { number } } }";
        let body = json!({"query": query, "variables": {"filter": filter}});
        let sent = world.http.post(&world.url).bearer_auth(&world.tokens[0]).json(&body).send();
        let answer: Value = sent.await.unwrap().json().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{filter}");
        assert!(world.plans.take_of("defects").is_empty());
    }
}
