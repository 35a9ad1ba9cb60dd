//! Where a command has appended, found by its id.
//!
//! KurrentDB finds events by their stream alone, so each command has a small stream of its own, with one event that says
//! to which stream it appends, from which revision on. Invariant: it is written before the command's events, and never
//! twice: who finds none knows that the command has appended nothing, and whoever executes the command again finds
//! what the first did, wherever that died. A stream holds a command once, since its events' ids are derived from it.

use kurrentdb_client::{AppendAnswer, ExpectedRevision, ProposedEvent, ReadOrder, StreamStart};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LogSession;
use super::failure::{Attempt, AttemptError};
use super::names::name_command_stream;
use super::reading::read_stream_page;
use crate::event_log::{Recorded, first_event_id};

const EVENT_TYPE: &str = "CommandBegun";

/// Where a command appends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommandPlace {
    /// The name of the stream.
    pub(super) stream: String,
    /// Its events have this revision or a later one.
    pub(super) from_revision: u64,
}

/// Notes where a command is going to append; `note_id` tells this attempt from those of others. Where somebody has noted
/// a place before, that one is returned.
pub(super) async fn note_place(
    session: &LogSession,
    command_id: Uuid,
    (place, note_id): (&CommandPlace, Uuid),
) -> Attempt<Option<CommandPlace>> {
    let note = ProposedEvent {
        id: note_id,
        event_type: EVENT_TYPE.to_owned(),
        data: serde_json::to_vec(place)
            .map_err(|error| AttemptError::unusable(error.to_string()))?,
        metadata: b"{}".to_vec(),
    };
    let name = name_command_stream(command_id);
    match session.leader.append_events(&name, ExpectedRevision::NoStream, &[note]).await? {
        AppendAnswer::Appended { last_revision: 0 } => Ok(None),
        AppendAnswer::Appended { .. } => Err(damaged(&name)),
        AppendAnswer::WrongRevision => {
            find_place(session, command_id).await?.map(Some).ok_or_else(|| damaged(&name))
        }
    }
}

async fn find_place(session: &LogSession, command_id: Uuid) -> Attempt<Option<CommandPlace>> {
    let name = name_command_stream(command_id);
    let first = (StreamStart::Revision(0), ReadOrder::Forwards);
    let read = session.leader.read_stream(&name, first, 1).await?;
    let Some(note) = read.first() else { return Ok(None) };
    let place = serde_json::from_slice(&note.data).ok();
    place.filter(|_| note.revision == 0).map(Some).ok_or_else(|| damaged(&name))
}

/// The events of a command; none when it has appended nothing.
pub(super) async fn find_events(session: &LogSession, command_id: Uuid) -> Attempt<Vec<Recorded>> {
    match find_place(session, command_id).await? {
        Some(place) => find_events_at(session, command_id, &place).await,
        None => Ok(Vec::new()),
    }
}

/// The events of a command in the stream where it was going to append.
pub(super) async fn find_events_at(
    session: &LogSession,
    command_id: Uuid,
    place: &CommandPlace,
) -> Attempt<Vec<Recorded>> {
    let first = first_event_id(command_id);
    let (mut from, mut found) = (place.from_revision, Vec::<Recorded>::new());
    loop {
        let page = read_stream_page(session, &place.stream, from).await?;
        if page.is_empty() {
            return Ok(found);
        }
        from += page.len() as u64;
        for event in page {
            let is_of_command = event.command_id == Some(command_id);
            if found.is_empty() && event.event_id == first || !found.is_empty() && is_of_command {
                found.push(event);
            } else if !found.is_empty() {
                return Ok(found);
            }
        }
    }
}

fn damaged(stream: &str) -> AttemptError {
    AttemptError::unusable(format!(
        "the stream {stream} is not as chipq wrote it: nothing may write, truncate or delete streams that begin with \
         \"chipq\""
    ))
}
