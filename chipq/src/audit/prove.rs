//! `chipq audit prove`: what is behind an inspection's report, in one file that stands by itself.

use std::collections::BTreeSet;
use std::process::ExitCode;

use domain::{AccessControl, Inspection, InspectionEvent, InspectionId, ModelRoute, Part};
use platform::auth::verify_ed25519;
use platform::event_log::{EventLog, Position, Recorded, StreamId};
use platform::postgres::Pool;
use proof::{
    HeadFolder, TreeError, believe_heads, find_index, hash_stored, list_origins, prove_with_tiles,
    read_leaves,
};
use transparency::{
    Digest32, InspectionProof, ProvedEvent, SignedTreeHead, TILE_HASHES, prove_inclusion,
};

use super::{find_own_key, tell_difference, write_whole};
use crate::cli::ProveAuditArgs;
use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;

/// Writes the proof.
pub(super) async fn run(args: ProveAuditArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = prove(&session, &args).await;
    let bytes = match session.close(outcome).await? {
        Ok(bytes) => bytes,
        Err(what) => return Ok(tell_difference(&what)),
    };
    write_whole(&args.out, &bytes)?;
    outln!("{} bytes in {}; chipq audit check verifies it", bytes.len(), args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// The proof, or what is not as it should be.
async fn prove(
    session: &OperatorSession,
    args: &ProveAuditArgs,
) -> anyhow::Result<Result<Vec<u8>, String>> {
    let (pool, log) = (session.pool(), session.log());
    let inspection_id = InspectionId(args.inspection);
    let positions = find_positions(&*log, inspection_id).await?;
    let Some(last) = positions.last().copied() else {
        return Err(not_judged(inspection_id).into());
    };
    let public_key = find_own_key(session, &args.keys)?;
    let notes = HeadFolder::new(args.proof.head_folder(session.data_dir())).read_all()?;
    let heads = match believe_heads(notes, &[public_key], &list_origins(pool).await?) {
        Ok((heads, _)) => heads,
        Err(what) => return Ok(Err(what)),
    };
    let head = heads.into_iter().max_by_key(|signed| signed.head.size);
    let Some(head) = head.filter(|signed| signed.head.position >= last.0) else {
        let what = format!("no tree head covers the event at position {last} yet");
        let next = "one is signed within seconds where `chipq up` or `chipq log-proof` runs; its readiness says what is in the way";
        return Err(Failure::new(what, next, exit::UNAVAILABLE).into());
    };
    let mut events = Vec::with_capacity(positions.len());
    for position in positions {
        match prove_event((pool, &*log), position, &head).await? {
            Ok(event) => events.push(event),
            Err(what) => return Ok(Err(what)),
        }
    }
    let proof = InspectionProof::assemble(inspection_id.to_string(), events, &head)?;
    let bytes = proof.to_bytes();
    // What cannot be checked is not handed out.
    let checked = InspectionProof::check(&bytes, &[public_key], &verify_ed25519);
    Ok(checked.map(|_| bytes).map_err(|error| error.to_string()))
}

fn not_judged(inspection_id: InspectionId) -> Failure {
    Failure::new(
        format_args!("there is no report of an inspection {inspection_id}"),
        "give the id of an inspection that was judged, as its report and GET /v1/inspections show it",
        exit::USAGE,
    )
}

/// Where everything is that the report follows from, in the log's order; nothing where there is no report.
async fn find_positions(
    log: &dyn EventLog,
    inspection_id: InspectionId,
) -> anyhow::Result<BTreeSet<Position>> {
    let read = async |stream: &StreamId| anyhow::Ok(log.read_stream(stream, 0).await?.events);
    let inspection = read(&StreamId::for_aggregate::<Inspection>(inspection_id)).await?;
    let mut part = None;
    for event in &inspection {
        if let InspectionEvent::InspectionCreated { part: found, .. } =
            event.decode::<Inspection>()?
        {
            part = Some(found);
        }
    }
    let is_judged = inspection.iter().any(|event| event.event_type == "InspectionJudged");
    let (Some(part), Some(last), true) = (part, inspection.last(), is_judged) else {
        return Ok(BTreeSet::new());
    };
    let last = last.position;
    let mut events = read(&StreamId::for_aggregate::<Part>(part)).await?;
    // The networks that the board's pictures were compared with.
    let networks =
        inspection.iter().filter_map(|event| event.payload.get("model")?.get("name")?.as_str());
    for network in networks.collect::<BTreeSet<_>>() {
        events.extend(read(&StreamId::for_aggregate::<ModelRoute>(network)).await?);
    }
    events.extend(inspection);
    events.retain(|event| event.position <= last);
    let persons: BTreeSet<String> =
        events.iter().filter_map(|event| actor_of(event).map(str::to_owned)).collect();
    let access = read(&StreamId::for_aggregate::<AccessControl>(AccessControl::ID)).await?;
    // What cannot be read may be about anybody.
    let names_one =
        |event: &Recorded| event.payload.value().map_or(true, |it| is_about(it, &persons));
    let concerns = |event: &&Recorded| event.position <= last && names_one(event);
    let mut positions: BTreeSet<_> =
        access.iter().filter(concerns).map(|event| event.position).collect();
    positions.extend(events.iter().map(|event| event.position));
    Ok(positions)
}

fn actor_of(event: &Recorded) -> Option<&str> {
    event.metadata.actor.as_ref().map(|actor| actor.subject.as_str())
}

/// Whether something in the shape of an event is the name of one of `persons`.
fn is_about(payload: &serde_json::Value, persons: &BTreeSet<String>) -> bool {
    match payload {
        serde_json::Value::String(text) => persons.contains(text),
        serde_json::Value::Array(values) => values.iter().any(|value| is_about(value, persons)),
        serde_json::Value::Object(fields) => fields.values().any(|value| is_about(value, persons)),
        _ => false,
    }
}

/// The event at this position, and its path to the root of `head`.
async fn prove_event(
    (pool, log): (&Pool, &dyn EventLog),
    position: Position,
    head: &SignedTreeHead,
) -> anyhow::Result<Result<ProvedEvent, String>> {
    let page = log.read_stored(Position(position.0 - 1), position, 1).await?;
    let [event] = page.events.as_slice() else {
        return Ok(Err(format!("the event at position {position} is gone")));
    };
    let (envelope, leaf) = hash_stored(event)?;
    let (index, size) = (find_index(pool, position).await?, head.head.size);
    let tile = read_leaves(pool, index / TILE_HASHES).await?;
    let within = usize::try_from(index % TILE_HASHES)?;
    if tile.hashes.get(within) != Some(&leaf) || index >= size {
        return Ok(Err(format!(
            "the event at position {position} is not what the log's tree says; `chipq audit verify` names what differs"
        )));
    }
    let prove = |node: &mut dyn FnMut(u32, u64) -> Result<Digest32, TreeError>| {
        prove_inclusion(index, size, node)
    };
    let path = prove_with_tiles(pool, prove).await?;
    Ok(Ok(ProvedEvent::new(String::from_utf8(envelope)?, index, &path)))
}
