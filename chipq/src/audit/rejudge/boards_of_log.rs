//! The boards that were judged in a stretch of the log, one after the other, with their parts.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::inspection::Facts;
use domain::{
    Aggregate as _, FiredRule, Inspection, InspectionEvent, Judgement, Part, PartEvent, PartNumber,
};
use platform::event_log::{EventLog, EventLogError, LogPlace, Position, Recorded, StreamId};

use crate::failure::{Failure, exit};

/// Events that are read at once.
const PAGE_EVENTS: usize = 1_000;
/// Parts whose events are kept for the next boards.
const PARTS_KEPT_MAX: usize = 64;

/// A board as it was judged.
pub(super) struct JudgedBoard {
    pub(super) facts: Facts,
    pub(super) judgement: Judgement,
    pub(super) rules: Vec<FiredRule>,
    pub(super) judged_at: DateTime<Utc>,
    pub(super) position: Position,
    /// Its part as it was then, and as it is now.
    pub(super) part_then: Part,
    pub(super) part_now: Part,
}

/// Goes through the log.
pub(super) struct JudgedBoards {
    log: Arc<dyn EventLog>,
    after: Position,
    up_to: LogPlace,
    part: Option<PartNumber>,
    found: VecDeque<Arc<Recorded>>,
    parts: HashMap<PartNumber, Arc<[(Position, PartEvent)]>>,
}

impl JudgedBoards {
    /// The boards of a part, or of all, that were judged after a position and up to another.
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        (after, up_to): (Position, LogPlace),
        part: Option<PartNumber>,
    ) -> Self {
        Self { log, after, up_to, part, found: VecDeque::new(), parts: HashMap::new() }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<JudgedBoard>, Failure> {
        loop {
            if let Some(judged) = self.found.pop_front() {
                match self.load(&judged).await? {
                    Some(board) => return Ok(Some(board)),
                    None => continue,
                }
            }
            if self.after >= self.up_to.position {
                return Ok(None);
            }
            let page = self.log.read_all(self.after, PAGE_EVENTS).await.map_err(no_log)?;
            let (up_to, end) = (page.up_to, self.up_to.position);
            let judged = page.events.into_iter().filter(|event| {
                event.position <= end
                    && event.stream.aggregate_type == Inspection::TYPE
                    && event.event_type == InspectionEvent::INSPECTION_JUDGED
            });
            self.found.extend(judged);
            self.after = if up_to > self.after { up_to } else { end };
        }
    }

    async fn load(&mut self, judged: &Recorded) -> Result<Option<JudgedBoard>, Failure> {
        let mut state = Inspection::default();
        for event in self.log.read_stream(&judged.stream, 0).await.map_err(no_log)?.events {
            state.evolve(&event.decode::<Inspection>().map_err(|error| unreadable(&error))?);
        }
        let Inspection::Judged { facts, judgement, rules } = state else { return Ok(None) };
        if self.part.as_ref().is_some_and(|part| *part != facts.part) {
            return Ok(None);
        }
        let (position, events) = (judged.position, self.events_of(&facts.part).await?);
        let (mut part_then, mut part_now) = (Part::default(), Part::default());
        for (at, event) in events.iter() {
            part_now.evolve(event);
            if *at <= position {
                part_then.evolve(event);
            }
        }
        let judged_at = judged.occurred_at();
        Ok(Some(JudgedBoard { facts, judgement, rules, judged_at, position, part_then, part_now }))
    }

    async fn events_of(
        &mut self,
        part: &PartNumber,
    ) -> Result<Arc<[(Position, PartEvent)]>, Failure> {
        if let Some(known) = self.parts.get(part) {
            return Ok(Arc::clone(known));
        }
        let stream = StreamId::for_aggregate::<Part>(part);
        let read = self.log.read_stream(&stream, 0).await.map_err(no_log)?.events;
        let decoded = read.iter().map(|event| Ok((event.position, event.decode::<Part>()?)));
        let events: Arc<[_]> =
            decoded.collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
        if self.parts.len() >= PARTS_KEPT_MAX {
            self.parts.clear();
        }
        self.parts.insert(part.clone(), Arc::clone(&events));
        Ok(events)
    }
}

fn no_log(error: EventLogError) -> Failure {
    Failure::new(error, "check that the log answers, then run it again", exit::UNAVAILABLE)
}

fn unreadable(error: &platform::event_log::UndecodableEvent) -> Failure {
    Failure::new(
        error,
        "run it with the version that wrote it, or leave the stretch out",
        exit::DATA,
    )
}
