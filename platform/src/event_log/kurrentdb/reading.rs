//! Reading streams and the whole log.
//!
//! Invariant: of a stream, what is given is without a gap from where it was asked for: a stream that was truncated
//! (`$maxAge`, `$maxCount`, `$tb`), or of which a scavenge took something away, is refused. KurrentDB's order is that of
//! its one writer, so whatever was read up to a position is complete there.

use std::collections::HashMap;
use std::sync::Arc;

use kurrentdb_client::{AllStart, KurrentError, KurrentEvent, ReadOrder, StreamStart};

use super::LogSession;
use super::failure::{Attempt, AttemptError};
use super::names::{EVENTS_PREFIX, name_stream};
use super::stored::{position_of, to_recorded, to_stored};
use crate::event_log::{Page, Position, Recorded, StoredPage, StreamId};

/// How many events of a stream are read at once.
const STREAM_PAGE: usize = 500;

/// The name of a stream.
pub(super) fn find_name(stream: &StreamId) -> Attempt<String> {
    let unnamed = || AttemptError::unusable(format!("{stream} cannot be the name of a stream"));
    name_stream(stream).ok_or_else(unnamed)
}

/// The events of a stream after `after`.
pub(super) async fn read_stream(
    session: &LogSession,
    stream: &StreamId,
    after: u64,
) -> Attempt<Vec<Recorded>> {
    let name = find_name(stream)?;
    let (mut from, mut events) = (after, Vec::new());
    loop {
        let read = read_stream_page(session, &name, from).await?;
        let count = read.len();
        events.extend(read);
        from += count as u64;
        if count < STREAM_PAGE {
            return Ok(events);
        }
    }
}

/// The next events of a stream from a revision on, at most [`STREAM_PAGE`].
pub(super) async fn read_stream_page(
    session: &LogSession,
    name: &str,
    from: u64,
) -> Attempt<Vec<Recorded>> {
    let start = (StreamStart::Revision(from), ReadOrder::Forwards);
    let read = session.leader.read_stream(name, start, STREAM_PAGE).await?;
    (from..).zip(read).map(|(revision, event)| recorded_at(revision, event)).collect()
}

/// The last events of a stream, the latest first.
pub(super) async fn read_stream_end(
    session: &LogSession,
    stream: &StreamId,
    limit: usize,
) -> Attempt<Vec<Recorded>> {
    let name = find_name(stream)?;
    let start = (StreamStart::End, ReadOrder::Backwards);
    let read = session.leader.read_stream(&name, start, limit).await?;
    let Some(last) = read.first().map(|event| event.revision) else { return Ok(Vec::new()) };
    let (count, all) = (read.len() as u64, usize::try_from(last).map_or(limit, |last| last + 1));
    if count < limit.min(all) as u64 {
        return Err(truncated(&name, last + 1 - count));
    }
    (0..).zip(read).map(|(n, event)| recorded_at(last - n, event)).collect()
}

fn recorded_at(revision: u64, event: KurrentEvent) -> Attempt<Recorded> {
    if event.revision == revision {
        return to_recorded(event);
    }
    Err(truncated(&event.stream, event.revision))
}

fn truncated(stream: &str, begins_at: u64) -> AttemptError {
    AttemptError::unusable(format!(
        "the stream {stream} is truncated, what is before event {begins_at} is missing: take $maxAge, $maxCount and $tb \
         out of its metadata, and put a backup back if it was scavenged since"
    ))
}

/// Where the last event of the log is; 0 when there is none.
pub(super) async fn read_end(session: &LogSession) -> Attempt<Position> {
    let back = (AllStart::End, ReadOrder::Backwards);
    let last = session.leader.read_all(EVENTS_PREFIX, back, 1).await?;
    last.first().map_or(Ok(Position(0)), position_of)
}

/// At most `limit` events after `after`.
pub(super) async fn read_page(
    session: &LogSession,
    after: Position,
    limit: usize,
) -> Attempt<Page> {
    let incarnation = session.incarnation;
    let end = read_end(session).await?;
    if end <= after {
        return Ok(Page { events: Vec::new(), up_to: after, head: end, incarnation });
    }
    let events = read_log(session, after, limit).await?;
    let last = events.last().map(|event| event.position);
    let is_full = events.len() >= limit;
    let up_to = last.map_or(end, |last| if is_full { last } else { last.max(end) });
    check_streams(&events)?;
    let events = events.into_iter().map(Arc::new).collect();
    Ok(Page { events, up_to, head: end.max(up_to), incarnation })
}

/// At most `limit` events after `after`, exactly as they are stored, and none after `up_to`.
pub(super) async fn read_stored_page(
    session: &LogSession,
    (after, up_to): (Position, Position),
    limit: usize,
) -> Attempt<StoredPage> {
    let read = read_events(session, after, limit).await?;
    let events: Vec<_> = read.map(to_stored).collect::<Attempt<_>>()?;
    let is_full = events.len() == limit;
    let events: Vec<_> = events.into_iter().filter(|event| event.position <= up_to).collect();
    let last = events.last().map(|event| event.position).filter(|_| is_full);
    let up_to = last.unwrap_or(up_to);
    Ok(StoredPage { events, up_to, incarnation: session.incarnation })
}

/// A read begins at the event that is asked for behind, which has to be there: where it is not, another one was given
/// its place, and a real server may even find no event there to begin at.
async fn read_log(session: &LogSession, after: Position, limit: usize) -> Attempt<Vec<Recorded>> {
    read_events(session, after, limit).await?.map(to_recorded).collect()
}

/// As KurrentDB gives them.
async fn read_events(
    session: &LogSession,
    after: Position,
    limit: usize,
) -> Attempt<std::vec::IntoIter<KurrentEvent>> {
    let (start, known) = match u64::try_from(after.0) {
        Ok(at) if at > 0 => (AllStart::Position(at), 1),
        _ => (AllStart::Beginning, 0),
    };
    let order = (start, ReadOrder::Forwards);
    let read = session.leader.read_all(EVENTS_PREFIX, order, limit.saturating_add(known)).await;
    let mut read = match read {
        Err(KurrentError::Interrupted(reason)) if known > 0 => {
            tracing::warn!(%after, reason, "KurrentDB does not read on from a position");
            return Err(AttemptError::Reissued);
        }
        read => read?.into_iter(),
    };
    if known > 0 {
        let first = read.next().as_ref().map(position_of).transpose()?;
        if first != Some(after) {
            return Err(AttemptError::Reissued);
        }
    }
    Ok(read)
}

/// Of each stream in a page, nothing is missing in between.
fn check_streams(events: &[Recorded]) -> Attempt<()> {
    let mut next = HashMap::new();
    for event in events {
        let expected = next.insert(&event.stream, event.sequence + 1);
        if expected.is_some_and(|expected| expected != event.sequence) {
            return Err(truncated(&find_name(&event.stream)?, event.sequence - 1));
        }
    }
    Ok(())
}
