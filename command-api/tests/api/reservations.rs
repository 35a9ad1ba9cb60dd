//! Announcements that are renewed and taken back, and what was at rest before its event.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Connection as _;

use crate::pictures::{ended_early, jpeg};
use crate::support::TestApi;

/// The paths of an announced picture of an inspection and of a part: its own, and its upload URL.
async fn announced(api: &TestApi) -> [(String, String, String); 2] {
    api.register_part("PCB-1").await;
    let id = api.create().await;
    let (artifact, url) = api.reserve(&id).await;
    let golden = api.post("/v1/parts/PCB-1/golden-sample?type=image/jpeg").send().await;
    let (sample, golden_url) = (golden.text("artifact_id"), golden.text("upload_url"));
    [
        (format!("/v1/inspections/{id}/artifacts/{artifact}"), artifact, url),
        (format!("/v1/parts/PCB-1/golden-sample/{sample}"), sample, golden_url),
    ]
}

#[tokio::test]
async fn a_renewed_picture_comes_by_its_new_url() {
    let api = TestApi::start().await;
    for (path, artifact, url) in announced(&api).await {
        // URLs end at whole seconds: within the second of the announcement there is nothing to renew.
        let (call, renewed) = loop {
            let call = api.post(format!("{path}/renew"));
            let renewed = call.clone().send().await;
            assert_eq!((renewed.status, renewed.text("artifact_id")), (200, artifact.clone()));
            if renewed.text("upload_url") != url {
                break (call, renewed);
            }
            // Asking without a pause uses up what the station may ask within a second.
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(call.send().await.is_replay());
        let put = api.put(&renewed.text("upload_url"), jpeg(1)).send().await;
        assert_eq!(put.status, 201, "{put:?}");
        for late in ["renew", "cancel"] {
            let refused = api.post(format!("{path}/{late}")).send().await;
            assert_eq!(refused.problem(), (409, "reservation-used".into()));
        }
    }
    let types = api.event_types().await;
    for name in ["ArtifactReservationRenewed", "GoldenSampleReservationRenewed"] {
        assert_eq!(types.iter().filter(|event| *event == name).count(), 1, "{types:?}");
    }
}

/// Lets the database's clock go by so much, for every statement that asks it from now on.
async fn shift_database_clock(api: &TestApi, by: &str) {
    let mut server = sqlx::PgConnection::connect(api.database.url()).await.unwrap();
    let shift = format!(
        "CREATE SCHEMA IF NOT EXISTS shifted;
         CREATE OR REPLACE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql
             AS $$ SELECT pg_catalog.clock_timestamp() + interval '{by}' $$;
         CREATE OR REPLACE FUNCTION shifted.now() RETURNS timestamptz LANGUAGE sql
             AS $$ SELECT pg_catalog.now() + interval '{by}' $$;
         DO $$ BEGIN EXECUTE format(
             'ALTER DATABASE %I SET search_path = shifted, pg_catalog, public', current_database());
         END $$;
         SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid();"
    );
    sqlx::raw_sql(&shift).execute(&mut server).await.unwrap();
    // Connections from before are found dead, one after the other at worst.
    while api.log.head().await.is_err() {}
}

#[tokio::test]
async fn announcements_end_by_the_database_s_clock_whatever_that_of_the_process_says() {
    for by in ["5 hours", "-5 hours"] {
        let api = TestApi::start().await;
        shift_database_clock(&api, by).await;
        for (path, _, url) in announced(&api).await {
            let put = api.put(&url, jpeg(1)).send().await;
            assert_eq!(put.status, 201, "{by}: {put:?}");
            let refused = api.post(format!("{path}/renew")).send().await;
            assert_eq!(refused.problem(), (409, "reservation-used".into()));
        }
        let id = api.create().await;
        let reserve = format!("/v1/inspections/{id}/artifacts?type=image/jpeg");
        let reserved = api.post(reserve).send().await;
        let expires_at: DateTime<Utc> = reserved.text("expires_at").parse().unwrap();
        let offset = expires_at - Utc::now();
        assert_eq!(offset.num_hours(), if by.starts_with('-') { -4 } else { 5 }, "{offset}");
        let infer = api.post(format!("/v1/inspections/{id}/infer"));
        assert_eq!(infer.clone().send().await.problem(), (409, "artifacts-pending".into()), "{by}");
        // Another database took over, of which the clock is right.
        shift_database_clock(&api, "0 hours").await;
        // Which is noticed within a second.
        let noticed = async {
            while infer.clone().send().await.status != 202 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), noticed).await.expect(by);
    }
}

#[tokio::test]
async fn a_cancelled_picture_is_waited_for_no_more_and_its_url_takes_nothing() {
    let api = TestApi::start().await;
    for (path, artifact, url) in announced(&api).await {
        let call = api.post(format!("{path}/cancel"));
        let cancelled = call.clone().send().await;
        assert_eq!((cancelled.status, &cancelled.json), (200, &json!({ "artifact_id": artifact })));
        assert!(call.send().await.is_replay());
        let put = api.put(&url, jpeg(1)).send().await;
        assert_eq!(put.problem(), (404, "artifact-not-found".into()));
        assert_eq!(api.stored_files(), 0);
        for gone in ["renew", "cancel"] {
            let refused = api.post(format!("{path}/{gone}")).send().await;
            assert_eq!(refused.problem(), (404, "artifact-not-found".into()));
        }
    }
}

#[tokio::test]
async fn what_came_first_and_was_not_recorded_can_be_sent_again_or_made_room_for() {
    let api = TestApi::start().await;
    for (path, artifact, url) in announced(&api).await {
        api.put_to_rest(&artifact, jpeg(1)).await;
        let other = api.put(&url, jpeg(2)).send().await;
        assert_eq!(other.problem(), (409, "artifact-already-uploaded".into()));
        assert!(other.text("detail").contains("cancel the reservation"), "{other:?}");
        assert_eq!(api.post(format!("{path}/cancel")).send().await.status, 200);
        let announce = match path.split_once("/artifacts/") {
            Some((inspection, _)) => format!("{inspection}/artifacts?type=image/jpeg"),
            None => "/v1/parts/PCB-1/golden-sample?type=image/jpeg".to_owned(),
        };
        let next = api.post(announce).send().await;
        let put = api.put(&next.text("upload_url"), jpeg(2)).send().await;
        assert_eq!(put.status, 201, "{put:?}");
    }
}

#[tokio::test]
async fn what_was_damaged_at_rest_before_it_was_recorded_counts_as_not_come_and_can_be_sent_again()
{
    let api = TestApi::start().await;
    let [(path, artifact, url), _] = announced(&api).await;
    api.put_to_rest(&artifact, jpeg(1)).await;
    std::fs::write(api.file_of(&artifact), b"\xff\xd8 and no more").unwrap();
    let inspection = path.split_once("/artifacts/").unwrap().0;
    let infer = api.post(format!("{inspection}/infer"));
    let refused = infer.clone().send().await;
    assert_eq!(refused.problem(), (409, "artifacts-pending".into()));
    assert_eq!(refused.json["refused"][0]["artifact_id"], artifact, "{refused:?}");
    assert!(refused.text("detail").contains("send it again"), "{refused:?}");
    assert_eq!(api.put(&url, jpeg(2)).send().await.status, 201);
    assert_eq!(infer.send().await.status, 202);
}

#[tokio::test]
async fn what_another_way_put_to_rest_is_looked_at_as_an_upload_is() {
    let api = TestApi::start().await;
    let [(path, artifact, _), _] = announced(&api).await;
    api.put_to_rest(&artifact, ended_early()).await;
    let inspection = path.split_once("/artifacts/").unwrap().0;
    let infer = api.post(format!("{inspection}/infer"));
    let told = infer.clone().send().await;
    assert_eq!(told.problem(), (409, "artifacts-pending".into()));
    let complete = api.post(format!("{path}/complete"));
    let refused = complete.clone().send().await;
    assert_eq!(refused.problem(), (422, "unreadable-picture".into()));
    assert!(refused.text("detail").contains("cancel its announcement"), "{refused:?}");
    // Whoever sends `infer` alone is told the same.
    let why = json!({
        "artifact_id": artifact, "type": refused.json["type"], "detail": refused.json["detail"]
    });
    assert_eq!(told.json["refused"], json!([why]));
    assert!(told.text("detail").contains(&refused.text("detail")), "{told:?}");
    // The control: a whole one is taken.
    std::fs::write(api.file_of(&artifact), jpeg(1)).unwrap();
    assert_eq!(complete.header("idempotency-key", "again").send().await.status, 200);
    assert_eq!(infer.send().await.status, 202);
}

#[tokio::test]
async fn a_request_for_the_verdict_that_is_refused_in_any_case_reads_no_picture() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (artifact, _) = api.reserve(&id).await;
    let (awaited, _) = api.reserve(&id).await;
    api.put_to_rest(&artifact, jpeg(1)).await;
    // Whoever reads it is not done before the request's time is over.
    let file = std::fs::File::options().write(true).open(api.file_of(&artifact)).unwrap();
    file.set_len(1 << 40).unwrap();
    let infer = api.post(format!("/v1/inspections/{id}/infer"));
    let refused = infer.clone().send().await;
    assert_eq!(refused.problem(), (409, "artifacts-pending".into()));
    api.put_to_rest(&awaited, jpeg(2)).await;
    let stale = infer.header("if-match", &api.tag(1).await).send().await;
    assert_eq!(stale.problem(), (412, "precondition-failed".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_on_one_inspection_wait_for_each_other_and_none_is_put_off() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let clients = (0..50).map(|_| {
        let announce = api.post(format!("/v1/inspections/{id}/artifacts?type=image/jpeg"));
        let cancel =
            |artifact| api.post(format!("/v1/inspections/{id}/artifacts/{artifact}/cancel"));
        async move {
            let announced = announce.send().await;
            assert_eq!(announced.status, 201, "{announced:?}");
            let cancelled = cancel(announced.text("artifact_id")).send().await;
            assert_eq!(cancelled.status, 200, "{cancelled:?}");
        }
    });
    futures::future::join_all(clients).await;
    assert_eq!(api.event_types().await.len(), 101);
}
