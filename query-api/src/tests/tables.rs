//! The views of schema `read` as plain tables, in the shape of docs/read-models.md.

use domain::Recipe;
use serde_json::{Value, json};

/// A recipe as the tables hold it, with a keep-out.
pub(super) fn recipe_json(revision: u32) -> Value {
    let mut recipe = serde_json::to_value(Recipe::factory(revision)).unwrap();
    recipe["area"]["keep_outs"] = json!([{"x": 1, "y": 2, "width": 3, "height": 4}]);
    recipe
}

pub(super) const TABLES: &str = r#"
CREATE TABLE read.inspections (
    inspection_id uuid PRIMARY KEY, lot text NOT NULL, part text NOT NULL, station text NOT NULL,
    state text NOT NULL, judgement text, rules jsonb, recipe jsonb NOT NULL,
    golden_sample_revision integer, defect_count integer NOT NULL, doubtful_count integer NOT NULL,
    difference_count integer NOT NULL,
    created_at timestamptz NOT NULL, judged_at timestamptz, voided_at timestamptz, void_reason text,
    version bigint NOT NULL, created_position bigint NOT NULL, position bigint NOT NULL);
CREATE TABLE read.artifacts (
    artifact_id uuid PRIMARY KEY, inspection_id uuid NOT NULL, view text,
    pixels_per_millimetre real, state text NOT NULL,
    media_type text NOT NULL, sha256 text, bytes bigint, width integer, height integer,
    announced_sequence bigint NOT NULL, reserved_at timestamptz NOT NULL, uploaded_at timestamptz, inferred_at timestamptz,
    golden_artifact_id uuid, golden_sha256 text, golden_revision integer,
    model_name text, model_version text, model_sha256 text, registration jsonb,
    coverage jsonb, differences jsonb,
    queue_ms integer, compute_ms integer, total_ms integer, reason text, detail text,
    retired_at timestamptz);
CREATE TABLE read.timeline (
    inspection_id uuid NOT NULL, sequence bigint NOT NULL, position bigint NOT NULL,
    event_type text NOT NULL, occurred_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
    actor text, PRIMARY KEY (inspection_id, sequence));
CREATE TABLE read.defects (
    inspection_id uuid NOT NULL, artifact_id uuid NOT NULL, number integer NOT NULL,
    class text NOT NULL, confidence real NOT NULL, grade text NOT NULL,
    x integer NOT NULL, y integer NOT NULL, width integer NOT NULL, height integer NOT NULL,
    pixels_per_millimetre real, lot text NOT NULL, part text NOT NULL, station text NOT NULL, announced_sequence bigint NOT NULL,
    found_at timestamptz NOT NULL, position bigint NOT NULL, PRIMARY KEY (artifact_id, number));
CREATE TABLE read.parts (
    part text PRIMARY KEY, recipe jsonb NOT NULL, registered_at timestamptz NOT NULL,
    golden_revision integer, version bigint NOT NULL, position bigint NOT NULL);
CREATE TABLE read.recipe_revisions (
    part text NOT NULL, revision integer NOT NULL, recipe jsonb NOT NULL,
    revised_at timestamptz NOT NULL, actor text NOT NULL, reason text, PRIMARY KEY (part, revision));
CREATE TABLE read.golden_samples (
    part text NOT NULL, revision integer NOT NULL, artifact_id uuid NOT NULL, sha256 text NOT NULL,
    media_type text NOT NULL, bytes bigint NOT NULL, width integer NOT NULL,
    height integer NOT NULL, use text NOT NULL, view text, reason text,
    pixels_per_millimetre real, actor text NOT NULL,
    registered_at timestamptz NOT NULL, retired_at timestamptz, PRIMARY KEY (part, revision));
CREATE TABLE read.yield_hourly (
    hour timestamptz NOT NULL, lot text NOT NULL, part text NOT NULL, station text NOT NULL,
    judged bigint NOT NULL, passed bigint NOT NULL, review bigint NOT NULL, failed bigint NOT NULL,
    defects bigint NOT NULL, PRIMARY KEY (hour, lot, part, station));
CREATE VIEW read.station_defects_hourly AS
SELECT date_trunc('hour', found_at, 'UTC') AS hour, part, station, class, grade, count(*) AS findings
FROM read.defects GROUP BY 1, 2, 3, 4, 5;
CREATE VIEW read.station_defects_daily AS
SELECT date_trunc('day', found_at, 'UTC') AS day, part, station, class, grade, count(*) AS findings
FROM read.defects GROUP BY 1, 2, 3, 4, 5;
CREATE VIEW read.station_yield_hourly AS
SELECT hour, part, station, sum(judged)::bigint AS judged, sum(passed)::bigint AS passed,
       sum(review)::bigint AS review, sum(failed)::bigint AS failed, sum(defects)::bigint AS defects
FROM read.yield_hourly GROUP BY 1, 2, 3;
CREATE VIEW read.station_yield_daily AS
SELECT date_trunc('day', hour, 'UTC') AS day, part, station, sum(judged)::bigint AS judged,
       sum(passed)::bigint AS passed, sum(review)::bigint AS review, sum(failed)::bigint AS failed,
       sum(defects)::bigint AS defects
FROM read.yield_hourly GROUP BY 1, 2, 3;
CREATE TABLE read.reports (
    report_id uuid PRIMARY KEY, inspection_id uuid NOT NULL UNIQUE, lot text NOT NULL,
    part text NOT NULL, station text NOT NULL, judgement text NOT NULL,
    defect_count integer NOT NULL, judged_at timestamptz NOT NULL,
    position bigint NOT NULL UNIQUE, document json NOT NULL);
CREATE TABLE read.audit_trail (
    position bigint PRIMARY KEY, at timestamptz NOT NULL, event_id uuid NOT NULL, event text NOT NULL,
    inspection_id text, part text, station text, entry jsonb NOT NULL);
CREATE TABLE read.audit_trail_subjects (
    subject text NOT NULL, at timestamptz NOT NULL, position bigint NOT NULL, inspection_id text,
    part text, station text, PRIMARY KEY (subject, position));
INSERT INTO projection_checkpoints (projection, generation, status, schema_version)
SELECT name, 1, 'serving', 1
FROM unnest(ARRAY['inspection_overview', 'defects', 'parts', 'yield', 'reports', 'audit_trail']) AS name;
"#;
