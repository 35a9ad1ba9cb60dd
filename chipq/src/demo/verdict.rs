//! What came of a board, held against the truth, and the table and totals of a lot.
//!
//! A labelled defect counts as found when a finding overlaps it with an IoU above 0.33, as in DeepPCB's
//! protocol, whatever class it was given. A finding that overlaps no label so is a false call. A
//! defective board that passes is an escape; a clean one that fails is a false alarm.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use boards::{LabelClass, LabelledBox};
use domain::report::ReportDefect;
use domain::{Judgement, Report};
use serde_json::Value;
use uuid::Uuid;

use crate::statistics::Durations;

/// Overlap from which a finding is that of a label (DeepPCB, Tang et al., 2019).
const IOU_MIN: f32 = 0.33;

/// What came of a board.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// What the board is called.
    pub(crate) board: String,
    /// Its inspection.
    pub(crate) inspection_id: Uuid,
    /// The machine's judgement.
    pub(crate) judgement: Judgement,
    /// Labelled defects.
    pub(crate) labelled: usize,
    /// Labelled defects that were found.
    pub(crate) found: usize,
    /// Found, but under another class.
    pub(crate) misnamed: usize,
    /// Findings where nothing is labelled.
    pub(crate) false_calls: usize,
    /// Differences that no finding explains.
    pub(crate) unexplained: usize,
    /// From the answer to the upload until the report could be read.
    pub(crate) waited: Duration,
}

impl Verdict {
    /// Holds the report of a board against its labels.
    pub(crate) fn from_report(
        board: &str,
        report: Value,
        labels: &[LabelledBox],
        waited: Duration,
    ) -> anyhow::Result<Self> {
        let report: Report = serde_json::from_value(report)
            .with_context(|| format!("the report of board {board} has another shape"))?;
        let matched = Matched::from_findings(&report.defects, labels);
        Ok(Self {
            board: board.to_owned(),
            inspection_id: report.inspection_id.0,
            judgement: report.judgement,
            labelled: labels.len(),
            found: matched.found,
            misnamed: matched.misnamed,
            false_calls: report.defects.len() - matched.found,
            unexplained: report.differences.len(),
            waited,
        })
    }

    /// Whether the judgement is what the truth asks for.
    pub(crate) fn agrees(&self) -> bool {
        let truth = if self.labelled == 0 { Judgement::Pass } else { Judgement::Fail };
        self.judgement == truth
    }

    fn truth(&self) -> String {
        match self.labelled {
            0 => "clean".to_owned(),
            1 => "1 defect".to_owned(),
            n => format!("{n} defects"),
        }
    }
}

struct Matched {
    found: usize,
    misnamed: usize,
}

impl Matched {
    /// Every finding, most confident first, takes the free label that it overlaps most.
    fn from_findings(findings: &[ReportDefect], labels: &[LabelledBox]) -> Self {
        let mut findings: Vec<&ReportDefect> = findings.iter().collect();
        findings.sort_by(|a, b| b.confidence.get().total_cmp(&a.confidence.get()));
        let mut free: Vec<&LabelledBox> = labels.iter().collect();
        let mut matched = Self { found: 0, misnamed: 0 };
        for finding in findings {
            let overlap = |label: &LabelledBox| label.bounds().iou(&finding.bounds);
            let best =
                (0..free.len()).max_by(|a, b| overlap(free[*a]).total_cmp(&overlap(free[*b])));
            if let Some(best) = best
                && overlap(free[best]) > IOU_MIN
            {
                let label = free.swap_remove(best);
                matched.found += 1;
                matched.misnamed += usize::from(label.class != LabelClass::Named(finding.class));
            }
        }
        matched
    }
}

/// One line per board.
pub(crate) fn table(verdicts: &[Verdict]) -> String {
    let width = verdicts.iter().map(|v| v.board.len()).max().unwrap_or(0).max("board".len());
    let mut out = format!(
        "{:<width$}  {:<10}  {:<7}  {:>7}  {:>11}  {:>6}\n",
        "board", "truth", "verdict", "found", "false calls", "ms"
    );
    for verdict in verdicts {
        let found = format!("{}/{}", verdict.found, verdict.labelled);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{:<width$}  {:<10}  {:<7}  {found:>7}  {:>11}  {:>6}{}",
            verdict.board,
            verdict.truth(),
            verdict.judgement.as_str(),
            verdict.false_calls,
            verdict.waited.as_millis(),
            if verdict.agrees() { "" } else { "  <- differs" },
        );
    }
    out
}

/// The totals of a lot, each with what it is counted from.
pub(crate) fn totals(verdicts: &[Verdict]) -> String {
    let count = |test: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|v| test(v)).count();
    let sum = |of: fn(&Verdict) -> usize| verdicts.iter().map(of).sum::<usize>();
    let clean = count(&|v| v.labelled == 0);
    let defective = verdicts.len() - clean;
    let agree = count(&Verdict::agrees);
    let review = count(&|v| v.judgement == Judgement::Review);
    let escapes = count(&|v| v.labelled > 0 && v.judgement == Judgement::Pass);
    let alarms = count(&|v| v.labelled == 0 && v.judgement == Judgement::Fail);
    let waited = Durations::new(verdicts.iter().map(|v| v.waited).collect());
    format!(
        "agreement   {agree} of {} boards as the truth has it, {review} left to a person\n\
         escapes     {escapes} of {defective} defective boards passed\n\
         false alarm {alarms} of {clean} clean boards failed\n\
         defects     {} of {} found ({} under another class), {} false calls, {} differences \
         unexplained\n\
         upload -> report   p50 {:.0} ms, p99 {:.0} ms\n",
        verdicts.len(),
        sum(|v| v.found),
        sum(|v| v.labelled),
        sum(|v| v.misnamed),
        sum(|v| v.false_calls),
        sum(|v| v.unexplained),
        waited.percentile_ms(50),
        waited.percentile_ms(99),
    )
}

#[cfg(test)]
mod tests {
    use domain::{ArtifactId, Confidence, DefectClass, Grade, PixelBox};

    use super::*;

    const AT: PixelBox = PixelBox { x: 10, y: 10, width: 20, height: 20 };

    fn finding(class: DefectClass, bounds: PixelBox) -> ReportDefect {
        ReportDefect {
            number: 1,
            artifact_id: ArtifactId(Uuid::nil()),
            class,
            confidence: Confidence::HALF,
            grade: Grade::Defect,
            bounds,
            box_mm: None,
        }
    }

    #[test]
    fn a_label_is_found_once_and_under_whatever_class() {
        let labels = [LabelledBox::new(DefectClass::Open, AT)];
        let twice = [finding(DefectClass::Open, AT), finding(DefectClass::Short, AT)];
        let matched = Matched::from_findings(&twice, &labels);
        assert_eq!((matched.found, matched.misnamed), (1, 0));
        let other = Matched::from_findings(&twice[1..], &labels);
        assert_eq!((other.found, other.misnamed), (1, 1));
        let elsewhere = finding(DefectClass::Open, PixelBox { x: 100, ..AT });
        assert_eq!(Matched::from_findings(&[elsewhere], &labels).found, 0);
    }

    #[test]
    fn totals_tell_escapes_from_false_alarms() {
        let verdict = |labelled, judgement| Verdict {
            board: "1".to_owned(),
            inspection_id: Uuid::nil(),
            judgement,
            labelled,
            found: 0,
            misnamed: 0,
            false_calls: 0,
            unexplained: 0,
            waited: Duration::from_millis(7),
        };
        let lot =
            [verdict(2, Judgement::Pass), verdict(0, Judgement::Fail), verdict(0, Judgement::Pass)];
        let totals = totals(&lot);
        assert!(totals.contains("1 of 3 boards as the truth has it"), "{totals}");
        assert!(totals.contains("1 of 1 defective boards passed"), "{totals}");
        assert!(totals.contains("1 of 2 clean boards failed"), "{totals}");
        assert_eq!(table(&lot).lines().filter(|line| line.ends_with("<- differs")).count(), 2);
    }
}
