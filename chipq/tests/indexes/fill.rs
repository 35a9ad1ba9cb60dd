//! What fills the tables of the projectors.

/// Lots of 100 boards; parts, stations and judgements of which some are rare; times that grow.
pub(crate) const FILL: &str = "
INSERT INTO inspection_overview_g1.inspections
SELECT gen_random_uuid(), 'L' || n / 100, {PART}, {STATION},
    CASE WHEN n % 7000 = 0 THEN 'open' ELSE 'judged' END,
    CASE WHEN n % 7000 = 0 THEN NULL WHEN n % 3000 = 0 THEN 'review' WHEN n % 4 = 0 THEN 'fail' ELSE 'pass' END,
    '[]', '{RECIPE}', NULL, 0, 0, 0, to_timestamp(1.7e9 + n), NULL, NULL, NULL, 5, n, n
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO defects_g1.defects
SELECT gen_random_uuid(), gen_random_uuid(), 1, CASE WHEN n % 9000 = 0 THEN 'short' ELSE 'open' END, 0.9,
    CASE WHEN n % 6000 = 0 THEN 'doubtful' ELSE 'defect' END, 1, 2, 3, 4, NULL,
    'L' || n / 100, {PART}, {STATION}, 2,
    to_timestamp(1.7e9 + n), n
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO reports_g1.reports
SELECT gen_random_uuid(), gen_random_uuid(), 'L' || n / 100, {PART}, {STATION},
    CASE WHEN n % 3000 = 0 THEN 'review' WHEN n % 4 = 0 THEN 'fail' ELSE 'pass' END,
    0, to_timestamp(1.7e9 + n), n, '{}'
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO parts_g1.parts
SELECT 'P' || n, '{RECIPE}', now(), CASE WHEN n % 8000 = 0 THEN NULL ELSE 1 END, 1, n
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO audit_trail_g1.audit_trail
SELECT n, to_timestamp(1.7e9 + n), gen_random_uuid(), 'Happened', 'I' || n / 10, {PART}, {STATION}, '{ENTRY}'
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO audit_trail_g1.audit_trail_subjects
SELECT CASE WHEN n % 5000 = 0 THEN 'rare' WHEN n % 7000 = 1 THEN '*' WHEN n < {ROWS} * 0.3 THEN 'gone' ELSE 'ada' END,
    to_timestamp(1.7e9 + n), n, 'I' || n / 10, {PART}, {STATION}
FROM generate_series(1, {ROWS}) AS n;
ANALYZE;
";

/// What the trail says of each event.
pub(crate) const ENTRY: &str = r#"{"position": 1, "at": "2026-11-30T06:00:00Z", "event": "Happened", "event_version": "1",
    "stream": {"type": "inspection", "id": "x", "sequence": 1}, "actor": null, "caused_by": null,
    "correlation_id": null, "command_id": null, "address": null, "token_id": null, "reason": null,
    "subjects": [], "inspection": null, "changed": [], "facts": {}}"#;

/// What was made up to a while ago, and what is made now.
pub(crate) const PART: &str = "CASE WHEN n < {ROWS} * 0.3 THEN 'old' ELSE 'P' || n % 3 END";
pub(crate) const STATION: &str =
    "CASE WHEN n % 5000 = 0 THEN 'rare' WHEN n < {ROWS} * 0.3 THEN 'old-line'
    ELSE 'S' || n % 4 END";
