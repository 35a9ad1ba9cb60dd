//! Whoever is limited to stations and parts sees nothing of others, by whichever way: a walk over all of them.
//!
//! Every path of `/openapi.json` that can be read, and every field of the GraphQL schema's roots, is named in the
//! tables here, so that a new one fails until somebody has decided what of it is to be seen.

mod as_of;
mod fields;
mod pages;
mod routes;
mod subscriptions;

use std::collections::BTreeSet;

use domain::{
    AccessControl, AccessControlEvent, Aggregate as _, PrincipalKind, PrincipalName, Reach, Role,
};
use platform::auth::{AccessRegister, Actor, RoleScopes};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rest::picture;
use super::tables::recipe_json;
use super::world::{World, artifact_id};

/// Boards by their numbers: of which part, and from which station.
const BOARDS: [(i64, &str, &str); 4] =
    [(1, "P", "AOI-1"), (2, "Q", "AOI-1"), (3, "P", "AOI-2"), (4, "Q", "AOI-2")];
/// Parts, and the number of the picture of the golden sample of each.
const PARTS: [(&str, i64); 2] = [("P", 70), ("Q", 71)];

/// Who asks, and what of it all is within reach.
struct Reader {
    name: &'static str,
    reach: Reach,
}

impl Reader {
    fn all() -> Vec<Self> {
        let reader = |name, stations, parts| Self { name, reach: reach_of(stations, parts) };
        vec![
            reader("station", &["AOI-1"], &[]),
            reader("part", &[], &["P"]),
            reader("station-and-part", &["AOI-2"], &["Q"]),
            reader("several", &["AOI-1", "AOI-2", "AOI-3"], &["Q", "R"]),
            reader("elsewhere", &["AOI-9"], &["Z"]),
            reader("everywhere", &[], &[]),
        ]
    }

    fn sees_board(&self, (_, part, station): (i64, &str, &str)) -> bool {
        self.reach.covers(&station.parse().unwrap(), &part.parse().unwrap())
    }

    fn sees_part(&self, part: &str) -> bool {
        self.reach.covers_part(&part.parse().unwrap())
    }

    fn boards(&self) -> Vec<i64> {
        let seen = BOARDS.into_iter().filter(|board| self.sees_board(*board));
        seen.map(|(n, ..)| n).collect()
    }

    fn parts(&self) -> Vec<&'static str> {
        PARTS.into_iter().map(|(part, _)| part).filter(|part| self.sees_part(part)).collect()
    }
}

fn reach_of(stations: &[&str], parts: &[&str]) -> Reach {
    let stations: BTreeSet<_> = stations.iter().map(|name| name.parse().unwrap()).collect();
    let parts: BTreeSet<_> = parts.iter().map(|number| number.parse().unwrap()).collect();
    Reach::new(stations, parts).unwrap()
}

/// An installation with boards of two parts at two stations, and who reads of it.
struct Line {
    world: World,
    register: AccessRegister,
    access: AccessControl,
}

impl Line {
    async fn start() -> Self {
        let register = AccessRegister::new();
        let world = World::with_register(register.clone()).await;
        for board in BOARDS {
            insert_board(&world, board).await;
        }
        for part in PARTS {
            insert_part(&world, part).await;
        }
        for (n, part, station) in BOARDS {
            insert_audited(&world, n, Some(part), Some(station)).await;
        }
        insert_audited(&world, 5, None, None).await;
        let mut line = Self { world, register, access: AccessControl::default() };
        for reader in Reader::all() {
            line.admit(reader.name, reader.reach);
        }
        line
    }

    /// Whoever may do everything, there alone: what a role allows is not what is asked here.
    fn admit(&mut self, name: &str, reach: Reach) {
        self.happen(AccessControlEvent::PrincipalCreated {
            name: name.parse().unwrap(),
            kind: PrincipalKind::Account,
            display_name: None,
            role: Role::Admin,
            reach,
            credential: Uuid::nil(),
            reason: "a test".to_owned(),
        });
    }

    fn happen(&mut self, event: AccessControlEvent) {
        self.access.evolve(&event);
        self.register.publish(self.access.clone());
    }

    fn token(&self, name: &str) -> String {
        let name: PrincipalName = name.parse().unwrap();
        let principal = self.access.principal(&name).unwrap();
        self.world.token_of_actor(&Actor::for_principal(&name, principal, &RoleScopes::default()))
    }

    async fn get(&self, reader: &Reader, path: &str, accept: &str) -> super::answer::Answer {
        let token = format!("Bearer {}", self.token(reader.name));
        self.world.get_with(path, &[("authorization", &token), ("accept", accept)]).await
    }

    /// A GraphQL answer.
    async fn ask(&self, reader: &Reader, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        self.world.post_graphql(&self.token(reader.name), &body).await.json()
    }

    /// The data of one without errors.
    async fn query(&self, reader: &Reader, query: &str, variables: Value) -> Value {
        let answer = self.ask(reader, query, variables).await;
        assert!(answer.get("errors").is_none(), "{}: {query}: {answer:#}", reader.name);
        answer["data"].clone()
    }
}

async fn insert_board(world: &World, (n, part, station): (i64, &str, &str)) {
    let inspection = world.insert_inspection(n, 1).await;
    world.insert_report(n, &format!("{{\"board\": \"{inspection}\"}}")).await;
    let (png, sha256) = picture();
    world.store(artifact_id(n), &png).await;
    world
        .execute(&format!(
            "UPDATE read.artifacts SET sha256 = '{sha256}' WHERE inspection_id = '{inspection}'"
        ))
        .await;
    for table in ["inspections", "defects", "reports"] {
        world
            .execute(&format!(
                "UPDATE read.{table} SET part = '{part}', station = '{station}'
                 WHERE inspection_id = '{inspection}'"
            ))
            .await;
    }
    world
        .execute(&format!(
            "INSERT INTO read.yield_hourly VALUES
             (date_trunc('hour', now()) - interval '1 hour', 'L{n}', '{part}', '{station}', 1, 0, 0, 1, 1)"
        ))
        .await;
}

async fn insert_audited(world: &World, n: i64, part: Option<&str>, station: Option<&str>) {
    let entry = json!({
        "position": n, "at": "2026-11-30T06:00:00Z", "event": "Happened", "event_version": "1",
        "stream": {"type": "inspection", "id": "x", "sequence": 1}, "actor": null, "caused_by": null,
        "correlation_id": null, "command_id": null, "address": null, "token_id": null, "reason": null,
        "subjects": ["ada"], "inspection": null, "changed": [], "facts": {},
    });
    let quoted = |text: Option<&str>| text.map_or("NULL".to_owned(), |text| format!("'{text}'"));
    let (part, station) = (quoted(part), quoted(station));
    for sql in [
        format!(
            "INSERT INTO read.audit_trail VALUES ({n}, '2026-11-30T06:00:00Z', gen_random_uuid(), 'Happened', NULL,
             {part}, {station}, '{entry}')"
        ),
        format!(
            "INSERT INTO read.audit_trail_subjects VALUES ('ada', '2026-11-30T06:00:00Z', {n}, NULL, {part}, {station})"
        ),
    ] {
        world.execute(&sql).await;
    }
}

async fn insert_part(world: &World, (part, n): (&str, i64)) {
    let (recipe, golden) = (recipe_json(1), artifact_id(n));
    let (png, sha256) = picture();
    world.store(golden, &png).await;
    for sql in [
        format!("INSERT INTO read.parts VALUES ('{part}', '{recipe}', now(), 1, 3, 9)"),
        format!(
            "INSERT INTO read.recipe_revisions VALUES ('{part}', 1, '{recipe}', now(), 'ada', NULL)"
        ),
        format!(
            "INSERT INTO read.golden_samples VALUES ('{part}', 1, '{golden}', '{sha256}', 'image/png', 5, 6, 7,
             'replacement', NULL, NULL, NULL, 'ada', now())"
        ),
    ] {
        world.execute(&sql).await;
    }
}
