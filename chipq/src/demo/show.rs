//! What the demo shows beside the table: the yield by GraphQL, a report as PDF, where to look next.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::{TimeDelta, Utc};
use domain::ReportId;
use serde_json::json;

use super::verdict::Verdict;
use crate::http_client::HttpClient;

/// How long the yield may be behind the reports.
const YIELD_WITHIN: Duration = Duration::from_secs(20);

/// The yield of the lot, as GraphQL tells it, once it counts `boards`.
pub(super) async fn yield_line(
    client: &HttpClient,
    lot: &str,
    boards: usize,
) -> anyhow::Result<String> {
    let begun = Instant::now();
    loop {
        let (judged, passed) = yield_of(client, lot).await?;
        if judged >= boards as i64 {
            let share = passed as f64 / judged.max(1) as f64 * 100.0;
            return Ok(format!(
                "yield       {share:.0} % = {passed} passed / {judged} judged (GraphQL yieldSeries)"
            ));
        }
        if begun.elapsed() > YIELD_WITHIN {
            bail!("the yield counts {judged} of {boards} boards; run: chipq projections list");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Boards judged, and boards passed, within a day of now.
async fn yield_of(client: &HttpClient, lot: &str) -> anyhow::Result<(i64, i64)> {
    let query = "query($lot: String!, $from: DateTime!, $to: DateTime!) {
        yieldSeries(filter: {lot: $lot}, from: $from, to: $to) { numerator denominator } }";
    let (from, to) = (Utc::now() - TimeDelta::days(1), Utc::now() + TimeDelta::hours(1));
    let data = client.graphql(query, json!({ "lot": lot, "from": from, "to": to })).await?;
    let number = |field: &str| data["yieldSeries"][field].as_i64().unwrap_or(0);
    Ok((number("denominator"), number("numerator")))
}

/// Saves the report of a board as PDF and tells how to fetch it again.
pub(super) async fn report(
    client: &HttpClient,
    url: &str,
    shown: &Verdict,
    pdf: &Path,
) -> anyhow::Result<String> {
    let bytes = client.save_pdf(shown.inspection_id, pdf).await?;
    let report_id = ReportId::for_inspection(domain::InspectionId(shown.inspection_id));
    let mut text = String::new();
    writeln!(text, "report of board {}: {} ({} kB)", shown.board, pdf.display(), bytes / 1000)?;
    writeln!(text, "fetch it yourself:")?;
    writeln!(
        text,
        "  TOKEN=$(curl -fsS {url}/v1/token -d 'username=demo&password=demo' | jq -r .access_token)"
    )?;
    writeln!(
        text,
        "  curl -fsS {url}/v1/reports/{report_id} -H \"Authorization: Bearer $TOKEN\" \\"
    )?;
    writeln!(text, "    -H 'Accept: application/pdf' -o report.pdf")?;
    Ok(text)
}

/// Where to look next.
pub(super) fn links(url: &str) -> String {
    format!(
        "\n  GraphiQL   {url}/graphiql\n  commands   {url}/docs\n  login      user demo, password demo\n"
    )
}
