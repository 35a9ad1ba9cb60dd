//! Appending.
//!
//! Invariant: what nobody knows of is asked for again with the same ids and the same revision, which KurrentDB
//! recognises, until it is known. What is said to be appended was read back: an append with the same ids may have been
//! another process's, which decided otherwise.

use kurrentdb_client::{AppendAnswer, ExpectedRevision, ProposedEvent, ReadOrder, StreamStart};
use uuid::Uuid;

use super::command_index::{CommandPlace, find_events_at, note_place};
use super::failure::{Attempt, AttemptError, KurrentLogError};
use super::reading::find_name;
use super::stored::{position_of, propose_events};
use super::{KurrentEventLog, LogSession};
use crate::event_log::postgres::APPEND_MAX;
use crate::event_log::{Append, AppendError, Appended, EventLogError, LogPlace, Position};

/// Appends the events of `append`, if it has any.
pub(super) async fn append_events(
    log: &KurrentEventLog,
    append: &Append,
) -> Result<Appended, AppendError> {
    let version = append.version_after();
    if append.events.is_empty() {
        let session = log.try_in_sessions(|session| std::future::ready(Ok(session))).await?;
        let incarnation = session.incarnation;
        return Ok(Appended { version, position: None, incarnation });
    }
    if append.events.len() > APPEND_MAX {
        let reason = format!("a command appends {APPEND_MAX} events at most");
        return Err(EventLogError::Failed(reason.into()).into());
    }
    let (proposed, note_id) = (&propose_events(append)?, Uuid::new_v4());
    let appended = log.try_in_sessions(|session| async move {
        let place = append_in(&session, append, (proposed, note_id)).await?;
        Ok(Appended { version, position: Some(place.position), incarnation: place.incarnation })
    });
    Ok(appended.await?)
}

/// One attempt. Whatever became of one before, this one finds out, or does the same again.
async fn append_in(
    session: &LogSession,
    append: &Append,
    (proposed, note_id): (&[ProposedEvent], Uuid),
) -> Attempt<LogPlace> {
    let name = find_name(&append.stream)?;
    let place = CommandPlace { stream: name.clone(), from_revision: append.expected_version };
    let command_id = append.metadata.command_id;
    if let Some(command_id) = command_id {
        begin_command(session, command_id, (&place, note_id)).await?;
    }
    let expected = match append.expected_version.checked_sub(1) {
        None => ExpectedRevision::NoStream,
        Some(revision) => ExpectedRevision::Exactly(revision),
    };
    match session.leader.append_events(&name, expected, proposed).await? {
        AppendAnswer::Appended { last_revision } if last_revision + 1 == append.version_after() => {
            let position = read_back(session, &place, proposed, command_id).await?;
            Ok(LogPlace { incarnation: session.incarnation, position })
        }
        AppendAnswer::Appended { .. } => Err(AttemptError::unusable(format!(
            "the stream {name} was deleted: what was in it is missing; put a backup back"
        ))),
        AppendAnswer::WrongRevision => Err(explain_conflict(session, append, &name).await?),
    }
}

/// Notes that the command appends here, unless it was executed before.
async fn begin_command(
    session: &LogSession,
    command_id: Uuid,
    (place, note_id): (&CommandPlace, Uuid),
) -> Attempt<()> {
    let Some(before) = note_place(session, command_id, (place, note_id)).await? else {
        return Ok(());
    };
    if !find_events_at(session, command_id, &before).await?.is_empty() {
        return Err(AttemptError::Append(AppendError::DuplicateCommand { command_id }));
    }
    if before.stream == place.stream {
        // Whoever began it before has died, or lost against somebody else, or is at it: then one of the two wins.
        return Ok(());
    }
    // Its append there may be under way, and nothing can take it back.
    let reason = format!(
        "command {command_id} was begun on the stream {} and may still come there; send this with another \
         Idempotency-Key",
        before.stream
    );
    Err(AttemptError::ForGood(KurrentLogError::Log(reason)))
}

/// Reads what was just appended: where it is, and whether it is this.
async fn read_back(
    session: &LogSession,
    place: &CommandPlace,
    proposed: &[ProposedEvent],
    command_id: Option<Uuid>,
) -> Attempt<Position> {
    let from = (StreamStart::Revision(place.from_revision), ReadOrder::Forwards);
    let read = session.leader.read_stream(&place.stream, from, proposed.len()).await?;
    let is_there = read.len() == proposed.len();
    let is_same = read.iter().zip(proposed).all(|(read, proposed)| {
        (read.id, &read.data, &read.metadata) == (proposed.id, &proposed.data, &proposed.metadata)
    });
    match (read.last().filter(|_| is_there), command_id) {
        (Some(last), _) if is_same => position_of(last),
        (Some(_), Some(command_id)) => {
            Err(AttemptError::Append(AppendError::DuplicateCommand { command_id }))
        }
        _ => Err(AttemptError::unusable(format!(
            "what was appended to the stream {} is not there: take $maxAge, $maxCount and $tb out of its metadata",
            place.stream
        ))),
    }
}

/// Why the stream is not as expected: it may be the command itself that is there.
async fn explain_conflict(
    session: &LogSession,
    append: &Append,
    name: &str,
) -> Attempt<AttemptError> {
    let stream = append.stream.clone();
    let Some(command_id) = append.metadata.command_id else {
        return Ok(AttemptError::Append(AppendError::Conflict { stream }));
    };
    let place = CommandPlace { stream: name.to_owned(), from_revision: append.expected_version };
    let found = find_events_at(session, command_id, &place).await?;
    Ok(AttemptError::Append(match found.is_empty() {
        true => AppendError::Conflict { stream },
        false => AppendError::DuplicateCommand { command_id },
    }))
}
