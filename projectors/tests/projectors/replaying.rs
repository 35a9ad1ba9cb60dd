//! What serves at each step of a story comes out again when the log is replayed up to there, and when an inspection's
//! own events are folded.

use std::sync::Arc;

use domain::{Inspection, InspectionCommand, InspectionId, RetentionClass};
use platform::event_log::{LogPlace, Position, StreamId};
use projectors::{Replay, ReplayError};
use serde_json::Value;

use crate::world::{World, all_but_a_strip, difference};

/// What readers saw at a place in the log.
struct Seen {
    place: LogPlace,
    everything: Vec<(&'static str, Vec<Value>)>,
}

impl Seen {
    async fn now(world: &World) -> Self {
        world.project().await;
        Self { place: world.log.end().await.unwrap(), everything: world.everything().await }
    }

    fn rows(&self, view: &str) -> &[Value] {
        &self.everything.iter().find(|(name, _)| *name == view).unwrap().1
    }
}

/// A board that fails and one that passes, in turns; the first one's picture is retired, and a third is opened.
async fn tell_story(world: &World) -> (Vec<InspectionId>, Vec<Seen>) {
    let mut seen = Vec::new();
    let golden = world.register_part("board-a").await;
    let failing = world.open("board-a").await;
    seen.push(Seen::now(world).await);
    let (one, two) = (world.upload(failing).await, world.upload(failing).await);
    let passing = world.open("board-a").await;
    let picture = world.upload(passing).await;
    world.request_inference(failing).await;
    world.compare(failing, one, &golden, &[0.9, 0.3, 0.1]).await;
    seen.push(Seen::now(world).await);
    world.compare_seen(failing, two, &golden, (vec![difference()], all_but_a_strip())).await;
    seen.push(Seen::now(world).await);
    world.request_inference(passing).await;
    world.compare(passing, picture, &golden, &[]).await;
    seen.push(Seen::now(world).await);
    let retire =
        InspectionCommand::RetirePictures { class: RetentionClass::Fail, policy_revision: 1 };
    world.execute::<Inspection>(failing, retire).await;
    let other = world.open("board-a").await;
    seen.push(Seen::now(world).await);
    (vec![failing, passing, other], seen)
}

/// Rows as [`World::rows`] gives them: in the order of their text.
fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(ToString::to_string);
    rows
}

#[tokio::test]
async fn a_replay_up_to_a_place_is_what_served_there() {
    let world = World::new().await;
    let (inspections, seen) = tell_story(&world).await;
    for then in &seen {
        let log = Arc::clone(&world.log);
        let mut replay = Replay::begin(&world.pool, log, then.place).await.unwrap();
        replay.fill(&mut |_| {}).await.unwrap();
        for (view, rows) in &then.everything {
            let mut replayed: Vec<Value> = Vec::new();
            let took = replay.export_rows(view, |line| {
                replayed.push(serde_json::from_str(line).unwrap());
                Ok::<_, ReplayError>(())
            });
            took.await.unwrap();
            assert_eq!(sorted(replayed), sorted(rows.clone()), "{view} at {:?}", then.place);
        }
        let reports = replay.read_reports(Position(0), 10).await.unwrap();
        assert_eq!(reports.len(), then.rows("reports").len());
        assert!(reports.iter().all(|report| report.served.as_ref() == Some(&report.document)));
        assert!(replay.find_unfounded_reports(None, 10).await.unwrap().is_empty());
        replay.remove(&world.pool).await;
    }
    let last = seen.last().unwrap();
    assert_eq!((last.rows("inspections").len(), last.rows("reports").len()), (3, 2), "the control");
    for view in ["inspections", "artifacts", "timeline", "defects"] {
        for pair in seen.windows(2) {
            let differ = pair[0].rows(view) != pair[1].rows(view);
            assert!(differ || view == "defects", "the control: {view} changed with every step");
        }
    }
    let early = projectors::check_inspection(&*world.log, inspections[2].0, seen[0].place).await;
    assert!(matches!(early, Err(ReplayError::CreatedLater { .. })), "{early:?}");
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn an_inspections_own_events_up_to_a_place_make_the_rows_that_served_there() {
    let world = World::new().await;
    let (inspections, seen) = tell_story(&world).await;
    for (id, then) in inspections.iter().flat_map(|id| seen.iter().map(move |then| (id, then))) {
        let stream = StreamId::for_aggregate::<Inspection>(id.0);
        let mut events = world.log.read_stream(&stream, 0).await.unwrap().events;
        events.retain(|event| event.position <= then.place.position);
        let folded = projectors::fold_inspection(&events).unwrap();
        for (view, rows) in [
            ("inspections", &folded.inspections),
            ("artifacts", &folded.artifacts),
            ("timeline", &folded.timeline),
            ("defects", &folded.defects),
        ] {
            let sql = format!(
                "SELECT to_jsonb(t) FROM json_populate_recordset(NULL::read.{view}, $1::text::json) t"
            );
            let made = sqlx::query_scalar(&sql).bind(rows).fetch_all(&world.pool).await.unwrap();
            let of_it = |row: &&Value| row["inspection_id"] == id.0.to_string();
            let served = then.rows(view).iter().filter(of_it).cloned().collect();
            assert_eq!(sorted(made), sorted(served), "{view} of {id:?} at {:?}", then.place);
        }
    }
}

#[tokio::test]
async fn two_replay_at_once_beside_a_rebuild_and_what_one_leaves_the_next_removes() {
    let world = World::new().await;
    let (_, seen) = tell_story(&world).await;
    let count = "SELECT count(*) FROM projection_checkpoints WHERE status = 'replaying'";
    let models = i64::try_from(projectors::ALL.len()).unwrap();
    let begin = async |then: &Seen| {
        let mut replay =
            Replay::begin(&world.pool, Arc::clone(&world.log), then.place).await.unwrap();
        replay.fill(&mut |_| {}).await.unwrap();
        replay
    };
    let (mut early, mut late) = (begin(&seen[0]).await, begin(&seen[4]).await);
    world.assert_equals_a_rebuild().await;
    let rows = async |replay: &mut Replay| {
        let tables = replay.tables().await.unwrap();
        tables.iter().find(|table| table.name == "inspections").unwrap().rows
    };
    assert_eq!((rows(&mut early).await, rows(&mut late).await), (1, 3));
    assert_eq!(world.count(count).await, 2 * models);
    early.remove(&world.pool).await;
    assert_eq!(world.count(count).await, models);
    // As a process that dies: its session ends, and nothing else.
    drop(late);
    let mut next = begin(&seen[2]).await;
    for _ in 0..50 {
        if world.count(count).await == models {
            break;
        }
        // The server notices when it likes that the session is gone.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        next.remove(&world.pool).await;
        next = begin(&seen[2]).await;
    }
    assert_eq!(world.count(count).await, models);
    next.remove(&world.pool).await;
    assert_eq!(world.count(count).await, 0);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '_g[0-9]+$'";
    assert_eq!(world.count(left).await, models, "those that serve");
}
