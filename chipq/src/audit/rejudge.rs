//! `chipq audit rejudge`: had another recipe or network been in force, which boards would have been judged otherwise.
//!
//! Invariants: nothing is written but the folder that was asked for; a board that cannot be judged again is counted as
//! that, with why, and never as unchanged; one board is in memory at a time.

mod boards_of_log;
mod page;
mod pictures;
mod rule;
mod verdict;

use std::process::ExitCode;

use platform::event_log::{FindMomentError, LogMoment, LogPlace, Position, find_moment};
use platform::shutdown::Shutdown;
use serde_json::json;

use super::moment::{explain_moment, find_place};
use super::whole_folder::WholeFolder;
use crate::cli::AuditRejudgeArgs;
use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;
use boards_of_log::{JudgedBoard, JudgedBoards};
use page::ChangedBoardsPage;
use pictures::BoardPictures;
use rule::Rule;
use verdict::{Totals, Verdict};

/// `chipq audit rejudge`
pub(super) async fn run(args: AuditRejudgeArgs, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    let folder = args.out.as_deref().map(WholeFolder::begin).transpose()?;
    let session = OperatorSession::open(&args.server.installation).await?;
    let work = rejudge(&session, &args, folder);
    let rejudged = shutdown.run_until_requested(work).await;
    session.close(rejudged).await?;
    Ok(ExitCode::SUCCESS)
}

async fn rejudge(
    session: &OperatorSession,
    args: &AuditRejudgeArgs,
    folder: Option<WholeFolder>,
) -> anyhow::Result<()> {
    let log = session.log();
    let (from, to) = (find_beginning(&*log, args.from).await?, find_place(&*log, args.to).await?);
    if from > to.position {
        let failure = Failure::new(
            format_args!("--from is position {from}, and --to position {} before it", to.position),
            "name a --to that is later",
            exit::USAGE,
        );
        return Err(failure.into());
    }
    let rule = Rule::from_args(args).await?;
    let pictures = BoardPictures::open(session, &args.server).await?;
    let mut boards = JudgedBoards::new(log, (from, to), args.part.clone());
    let mut output = match &folder {
        Some(folder) => Some(Output::begin(folder, &rule)?),
        None => None,
    };
    let mut totals = Totals::default();
    while let Some(board) = boards.next().await? {
        let verdict = Verdict::new(&board, &rule, &pictures).await;
        totals.count(&board, &verdict);
        if let Some(output) = &mut output {
            output.push(&board, &verdict, (&pictures, &rule)).await?;
        }
        print_change(&board, &verdict);
    }
    totals.print();
    if let Some(output) = output {
        output.finish(&totals)?;
    }
    if let Some(folder) = folder {
        let range = json!({ "after": from, "up_to": to.position });
        let summary = json!({ "positions": range, "rule": rule.to_json(), "totals": totals });
        folder.write("rejudge.json", &serde_json::to_vec_pretty(&summary)?)?;
        folder.finish()?;
    }
    Ok(())
}

/// Where the boards begin: those that were judged by then are left out. Before the first event is where the log begins.
async fn find_beginning(
    log: &dyn platform::event_log::EventLog,
    from: LogMoment,
) -> Result<Position, Failure> {
    match find_moment(log, from, u64::MAX).await {
        Ok(LogPlace { position, .. }) => Ok(position),
        Err(FindMomentError::BeforeFirst { .. }) => Ok(Position(0)),
        Err(error) => Err(explain_moment(&error)),
    }
}

/// What changes, a line for each board.
fn print_change(board: &JudgedBoard, verdict: &Verdict) {
    let id = board.facts.inspection_id;
    match verdict {
        Verdict::NotJudgedAgain { why } => outln!("{id}: not judged again: {why}"),
        Verdict::Judged(again) if again.judgement == board.judgement => {}
        Verdict::Judged(again) => {
            let rules: Vec<String> = again.rules.iter().map(ToString::to_string).collect();
            outln!("{id}: {} → {}: {}", board.judgement, again.judgement, rules.join(", "));
        }
    }
}

/// What is written of the boards.
struct Output<'f> {
    boards: super::whole_folder::Lines<'f>,
    page: ChangedBoardsPage<'f>,
}

impl<'f> Output<'f> {
    fn begin(folder: &'f WholeFolder, rule: &Rule) -> Result<Self, Failure> {
        Ok(Self {
            boards: folder.begin_lines("boards.jsonl")?,
            page: ChangedBoardsPage::begin(folder, rule)?,
        })
    }

    async fn push(
        &mut self,
        board: &JudgedBoard,
        verdict: &Verdict,
        shown_by: (&BoardPictures, &Rule),
    ) -> Result<(), Failure> {
        self.boards.push(&verdict.to_json(board).to_string())?;
        self.page.push(board, verdict, shown_by).await
    }

    fn finish(self, totals: &Totals) -> Result<(), Failure> {
        self.boards.finish()?;
        self.page.finish(totals)
    }
}
