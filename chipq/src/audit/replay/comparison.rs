//! Holds the reports as of then against those that serve.
//!
//! A report is written once and stands, so the JSON of one that was there is the same for ever. Its PDF shows pictures as
//! long as they are kept: it is another after one was retired, and then the event that retired it is named.

use std::sync::Arc;

use domain::{Aggregate as _, ArtifactId, Inspection, Part, Report};
use platform::event_log::{EventLog, Position, Recorded, StreamId};
use projectors::{Replay, ReplayedReport, Retirements};
use query_api::report_pdf::Pictures;
use uuid::Uuid;

use super::report_faces::{MadePdf, ReportFaces};
use super::{WholeFolder, explain_replay};
use crate::failure::{Failure, exit};

/// Reports in memory at once.
const PAGE_REPORTS: i64 = 100;
/// Reports that serve and should not, that are named.
const NAMED_MAX: i64 = 100;

/// What became of the reports.
#[derive(Debug, Default)]
pub(super) struct ReportTally {
    same: u64,
    changed: u64,
    unexplained: u64,
}

impl ReportTally {
    /// How many differ in a way that no event explains.
    pub(super) const fn unexplained(&self) -> u64 {
        self.unexplained
    }

    /// Says it.
    pub(super) fn print(&self, rendered: bool) {
        let Self { same, changed, unexplained } = self;
        let faces = if rendered { "JSON and PDF" } else { "JSON" };
        let reports = same + changed + unexplained;
        outln!(
            "{same} of {reports} reports serve today as they were then, byte for byte ({faces})"
        );
        if *changed > 0 {
            outln!("{changed} show less today, because of the later events above");
        }
        if *unexplained > 0 {
            outln!("{unexplained} differ, and no event explains it");
        }
        if !rendered {
            outln!("PDFs were not made: --into DIR or --inspection ID makes and compares them");
        }
    }
}

/// Why a report serves otherwise than it was.
enum Verdict {
    Same,
    /// Because of this later event.
    Changed(Box<Recorded>),
    Unexplained(String),
}

/// Compares every report, and writes it where `folder` is given.
pub(super) async fn compare_reports(
    log: &Arc<dyn EventLog>,
    replay: &mut Replay,
    inspection: Option<Uuid>,
    (faces, folder): (Option<ReportFaces>, Option<&WholeFolder>),
) -> anyhow::Result<ReportTally> {
    let (mut tally, mut after) = (ReportTally::default(), Position(0));
    loop {
        let read = replay.read_reports(after, PAGE_REPORTS).await;
        let reports = read.map_err(|error| explain_replay(&error))?;
        let Some(last) = reports.last() else { break };
        after = Position(last.position);
        for report in reports {
            let verdict = compare(log, replay, &report, (faces.as_ref(), folder)).await?;
            tally.note(&report, &verdict);
        }
    }
    let unfounded = replay.find_unfounded_reports(inspection, NAMED_MAX).await;
    for report in unfounded.map_err(|error| explain_replay(&error))? {
        tally.unexplained += 1;
        outln!("report {report}: it serves, and follows from no event");
    }
    Ok(tally)
}

impl ReportTally {
    fn note(&mut self, report: &ReplayedReport, verdict: &Verdict) {
        let id = report.report_id;
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Changed(event) => {
                self.changed += 1;
                let (position, name) = (event.position, &event.event_type);
                let at = event.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                outln!(
                    "report {id}: its PDF has fewer pictures since {name} at position {position}, {at}"
                );
            }
            Verdict::Unexplained(how) => {
                self.unexplained += 1;
                outln!("report {id}: {how}");
            }
        }
    }
}

async fn compare(
    log: &Arc<dyn EventLog>,
    replay: &mut Replay,
    replayed: &ReplayedReport,
    (faces, folder): (Option<&ReportFaces>, Option<&WholeFolder>),
) -> anyhow::Result<Verdict> {
    let id = replayed.report_id;
    if let Some(folder) = folder {
        folder.write(&format!("reports/{id}.json"), replayed.document.as_bytes())?;
    }
    let report: Report = serde_json::from_str(&replayed.document)?;
    let shown = Pictures::artifacts_to_fetch(&report);
    let found = replay.find_retirements(&shown).await;
    let (then, now) = found.map_err(|error| explain_replay(&error))?;
    let made = match faces {
        // What was given up since cannot be shown again: both faces lack it.
        Some(faces) => Some(faces.make_pdf(report, now.clone()).await?),
        None => None,
    };
    if let (Some(folder), Some(made)) = (folder, &made) {
        folder.write(&format!("reports/{id}.pdf"), &made.bytes)?;
    }
    match &replayed.served {
        None => return Ok(Verdict::Unexplained("it was there and does not serve".to_owned())),
        Some(served) if *served != replayed.document => {
            return Ok(Verdict::Unexplained(
                "its JSON serves otherwise than it follows from the events".to_owned(),
            ));
        }
        Some(_) => {}
    }
    if let Some(fault) = made.and_then(|MadePdf { faults, .. }| faults.into_iter().next()) {
        return Ok(Verdict::Unexplained(fault));
    }
    if then == now {
        return Ok(Verdict::Same);
    }
    let retirement = find_retirement(log, replayed, (&then, &now), replay.up_to().position).await?;
    Ok(retirement.map_or_else(
        || Verdict::Unexplained("pictures count as retired, and no event retired them".to_owned()),
        |event| Verdict::Changed(Box::new(event)),
    ))
}

/// The first event after `then` that retired one of the pictures: of the inspection, or of its part's golden samples.
async fn find_retirement(
    log: &Arc<dyn EventLog>,
    replayed: &ReplayedReport,
    (then, now): (&Retirements, &Retirements),
    position: Position,
) -> Result<Option<Recorded>, Failure> {
    let since: Vec<&ArtifactId> = now.keys().filter(|id| !then.contains_key(id)).collect();
    let streams = [
        (
            StreamId::for_aggregate::<Inspection>(replayed.inspection_id),
            replayed.version.unsigned_abs(),
        ),
        (StreamId::for_aggregate::<Part>(&replayed.part), 0),
    ];
    let mut found: Vec<Recorded> = Vec::new();
    for (stream, after) in streams {
        let read = log.read_stream(&stream, after).await.map_err(|error| {
            Failure::new(error, "check that the log answers, then run it again", exit::UNAVAILABLE)
        })?;
        let later = read.events.into_iter().filter(|event| event.position > position);
        found.extend(later.filter(|event| since.iter().any(|id| retires(event, **id))));
    }
    found.sort_by_key(|event| event.position);
    Ok(found.into_iter().next())
}

fn retires(event: &Recorded, id: ArtifactId) -> bool {
    use domain::{InspectionEvent as I, PartEvent as P};
    if event.stream.aggregate_type == Inspection::TYPE {
        return matches!(event.decode::<Inspection>(),
            Ok(I::PicturesRetired { artifacts, .. }) if artifacts.contains(&id));
    }
    matches!(event.decode::<Part>(),
        Ok(P::GoldenSamplesRetired { artifacts, .. }) if artifacts.contains(&id))
}
