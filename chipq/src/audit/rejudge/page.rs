//! A page that needs nothing beside it: the boards that would have been judged otherwise, with their pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::FiredRule;

use super::{BoardPictures, JudgedBoard, Rule, Totals, Verdict};
use crate::audit::whole_folder::{Lines, WholeFolder};
use crate::failure::Failure;

/// Boards that are shown; `boards.jsonl` has all of them.
const SHOWN_MAX: usize = 200;
/// BoardPictures of a board that are shown.
const PICTURES_MAX: usize = 8;

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Boards judged again</title><style>\
body{font:16px/1.4 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
img{max-width:100%;display:block;margin:.5rem 0}section{border-top:1px solid #bbb;margin-top:1.5rem}\
code{overflow-wrap:anywhere}</style>";

/// The page while it is written.
pub(super) struct ChangedBoardsPage<'f> {
    lines: Lines<'f>,
    shown: usize,
    left_out: usize,
}

impl<'f> ChangedBoardsPage<'f> {
    /// Begins it in a folder.
    pub(super) fn begin(folder: &'f WholeFolder, rule: &Rule) -> Result<Self, Failure> {
        let mut lines = folder.begin_lines("index.html")?;
        lines.push(HEAD)?;
        lines.push("<h1>Boards judged again</h1>")?;
        lines.push(&format!("<p>By <code>{}</code></p>", escape(&rule.to_json().to_string())))?;
        Ok(Self { lines, shown: 0, left_out: 0 })
    }

    /// Shows a board, unless it is judged as it was.
    pub(super) async fn push(
        &mut self,
        board: &JudgedBoard,
        verdict: &Verdict,
        (pictures, rule): (&BoardPictures, &Rule),
    ) -> Result<(), Failure> {
        let again = match verdict {
            Verdict::Judged(again) if again.judgement == board.judgement => return Ok(()),
            Verdict::Judged(again) => Some(again),
            Verdict::NotJudgedAgain { .. } => None,
        };
        if self.shown >= SHOWN_MAX {
            self.left_out += 1;
            return Ok(());
        }
        self.shown += 1;
        let facts = &board.facts;
        let place = format!("lot {}, part {}, station {}", facts.lot, facts.part, facts.station);
        self.lines.push(&format!(
            "<section><h2>{}</h2><p><code>{}</code>, {}, judged {}</p><p>was <b>{}</b>: {}</p>",
            verdict.change(board),
            facts.inspection_id,
            escape(&place),
            board.judged_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            board.judgement,
            escape(&list(&board.rules)),
        ))?;
        match (again, verdict) {
            (Some(again), _) => {
                let (judgement, rules) = (again.judgement, escape(&list(&again.rules)));
                self.lines.push(&format!("<p>would be <b>{judgement}</b>: {rules}</p>"))?;
                let recipe = rule.recipe(&facts.recipe);
                for (id, artifact) in again.artifacts.iter().take(PICTURES_MAX) {
                    match pictures.draw(*id, artifact, recipe).await {
                        Some(jpeg) => self.lines.push(&format!(
                            "<img alt=\"{id}\" src=\"data:image/jpeg;base64,{}\">",
                            STANDARD.encode(jpeg)
                        ))?,
                        None => self.lines.push(&format!("<p>picture {id} is not shown</p>"))?,
                    }
                }
            }
            (None, Verdict::NotJudgedAgain { why }) => {
                self.lines.push(&format!("<p>not judged again: {}</p>", escape(why)))?;
            }
            (None, Verdict::Judged(_)) => {}
        }
        self.lines.push("</section>")
    }

    /// Ends it.
    pub(super) fn finish(mut self, totals: &Totals) -> Result<(), Failure> {
        if self.left_out > 0 {
            let more = self.left_out;
            self.lines.push(&format!("<p>{more} more are in <code>boards.jsonl</code>.</p>"))?;
        }
        self.lines.push(&format!("<p>{}</p></html>", totals.to_line()))?;
        self.lines.finish()
    }
}

fn list(rules: &[FiredRule]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Text for a page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
