//! Pushes a lot through the public HTTP API, as a station does, and collects what came of it.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};

use super::lot::{Board, Lot};
use super::verdict::Verdict;
use crate::http_client::{HttpClient, Label};

/// Boards under way at a time.
const IN_FLIGHT: usize = 4;
/// Parts that are registered at a time.
const PARTS_IN_FLIGHT: usize = 4;
/// How long a board may take to be judged.
const JUDGED_WITHIN: Duration = Duration::from_secs(120);

/// The names that a lot is pushed under.
pub(crate) struct Names {
    /// Unique for this run; part numbers and Idempotency-Keys begin with it.
    pub(crate) run: String,
    /// The lot.
    pub(crate) lot: String,
    /// The station.
    pub(crate) station: String,
}

impl Names {
    /// The part number of a part.
    pub(crate) fn part(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }
}

/// What came of a lot: verdicts in the boards' order, and what went wrong with the others.
pub(crate) struct Pushed {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) failures: Vec<anyhow::Error>,
}

/// Registers the parts of `lot`, then pushes its boards, a few at a time.
pub(crate) async fn push(client: &HttpClient, lot: &Lot, names: &Names) -> anyhow::Result<Pushed> {
    let progress = Progress::new(lot.boards.len());
    futures::stream::iter(&lot.parts)
        .map(|(name, golden)| async move {
            let part = names.part(name);
            let golden = golden.load().await?.0;
            client.register_part(&part, &golden, &format!("{part}-register")).await
        })
        .buffer_unordered(PARTS_IN_FLIGHT)
        .try_collect::<Vec<()>>()
        .await?;
    let progress = &progress;
    let outcomes: Vec<_> = futures::stream::iter(&lot.boards)
        .map(|board| async move {
            let outcome = judge(client, lot, names, board).await;
            progress.board_done(outcome.is_ok());
            outcome.with_context(|| format!("board {} was not judged", board.name))
        })
        .buffered(IN_FLIGHT)
        .collect()
        .await;
    progress.finish();
    let mut pushed = Pushed { verdicts: Vec::new(), failures: Vec::new() };
    for outcome in outcomes {
        match outcome {
            Ok(verdict) => pushed.verdicts.push(verdict),
            Err(error) => pushed.failures.push(error),
        }
    }
    Ok(pushed)
}

async fn judge(
    client: &HttpClient,
    lot: &Lot,
    names: &Names,
    board: &Board,
) -> anyhow::Result<Verdict> {
    let (picture, labels) = board.load().await?;
    let part = names.part(&lot.parts[board.part].0);
    let key = format!("{}-{}", names.run, board.name);
    let label = Label { lot: &names.lot, part: &part, station: &names.station, key: &key };
    let submitted = client.submit(label, &picture).await?;
    let report = client.report(submitted.inspection_id, JUDGED_WITHIN).await?;
    Verdict::from_report(&board.name, report, &labels, submitted.uploaded_at.elapsed())
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    plain: bool,
}

impl Progress {
    fn new(boards: usize) -> Self {
        let bar = ProgressBar::new(boards as u64);
        let style = ProgressStyle::with_template(
            "inspecting  {bar:40} {pos}/{len} boards  {per_sec}  {msg}",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, plain: !std::io::stderr().is_terminal() }
    }

    fn board_done(&self, judged: bool) {
        self.bar.inc(1);
        if !judged {
            self.bar.set_message("some failed");
        }
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let step = (all / 4).max(1);
        if self.plain && (done % step == 0 || done == all) {
            errln!("inspected {done} of {all} boards");
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
