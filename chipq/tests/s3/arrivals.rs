//! Pictures that go straight to the bucket: what the store refuses, what is looked at before it counts, who says that
//! it has come, and how it is read.

use ::platform::test_support::free_port;
use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
};
use serde_json::json;

use crate::line::{announce, announce_board, announce_golden, create_inspection, png, sha256};
use crate::platform::{Platform, chipq, finished, folder};
use crate::station::Station;
use crate::store::{NOTIFICATION_SECRET, S3Store, environment, is_installed};

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_is_inspected_with_its_pictures_in_a_bucket_and_none_in_a_folder() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let (store, data) = (S3Store::start(&folder.path().join("store")), folder.path().join("data"));
    let mut demo = chipq(&["demo", "--once", "--count", "4", "--listen", "127.0.0.1:0", "--data"]);
    demo.arg(&data).envs(environment(&store.url()));
    let (code, table, said) =
        tokio::task::spawn_blocking(move || finished(&mut demo)).await.unwrap();
    assert_eq!(code, 0, "{table}\n{said}");
    assert!(table.contains("report"), "{table}");
    assert!(!data.join("artifacts").exists(), "a folder of pictures");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_taken_by_the_bucket_as_announced_and_counts_once_it_was_looked_at() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let (store, data) = (S3Store::start(&folder.path().join("store")), folder.path().join("data"));
    let url = store.url();
    let platform = Platform::start_with(&data, 0, &environment(&url));
    let station = Station::sign_in(&platform.url).await;
    let (golden, board, other) = (png(1), png(2), png(3));

    // A golden sample that is none, then one that is, by the same URL.
    let sample = announce_golden(&station, "PCB-1").await;
    assert!(sample.url().starts_with(&format!("http://127.0.0.1:{}/", store.port())));
    let (status, said) = sample.complete(&station, "none").await;
    assert_eq!(
        (status, &said["type"]),
        (StatusCode::CONFLICT, &json!("urn:chipq:problem:artifact-not-uploaded"))
    );
    assert_eq!(sample.put(&station, b"no picture").await, StatusCode::OK);
    let (status, said) = sample.complete(&station, "wrong").await;
    assert_eq!(
        (status, &said["type"]),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, &json!("urn:chipq:problem:not-a-picture"))
    );
    assert_eq!(sample.put(&station, &golden).await, StatusCode::OK);
    assert_eq!(sample.completed(&station, "right").await.1, sha256(&golden));

    // What was announced is enforced by the store.
    let terms = format!("&bytes={}&sha256={}", board.len(), sha256(&board));
    let announced = announce_board(&station, "PCB-1", &terms, "board").await;
    let mut altered = board.clone();
    altered[100] ^= 1;
    assert_eq!(announced.put(&station, &altered).await, StatusCode::BAD_REQUEST, "another digest");
    let short = &board[..90];
    for (file, changed) in [
        (&*board, ("Content-Type", "image/jpeg")),
        (short, ("Content-Length", "90")),
        (&*altered, ("x-amz-checksum-sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        (&*board, ("x-amz-meta-chipq-announced", "e30")),
    ] {
        let answer = announced.request_with(&station, file, changed).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{changed:?}");
    }
    assert_eq!(announced.put(&station, &board).await, StatusCode::OK);
    let (version, digest) = announced.completed(&station, "board-complete").await;
    assert_eq!((&*version, &digest), ("3", &sha256(&board)), "created, announced, uploaded");

    // Whoever still has the URL changes nothing of what was looked at.
    let free = announce_board(&station, "PCB-1", "", "free").await;
    assert_eq!(free.put(&station, &board).await, StatusCode::OK);
    assert_eq!(free.completed(&station, "first").await.1, sha256(&board));
    assert_eq!(free.put(&station, &other).await, StatusCode::OK);
    assert_eq!(free.completed(&station, "second").await, ("3".to_owned(), sha256(&board)));
    assert_eq!(free.file(&station).await, board);
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_recorded_once_whoever_says_first_that_it_has_come() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let port = free_port();
    let hook = format!("http://127.0.0.1:{port}/v1/store-notifications");
    let store = S3Store::start_notifying(&folder.path().join("store"), Some(hook.clone()));
    let (url, data) = (store.url(), folder.path().join("data"));
    let platform = Platform::start_with(&data, port, &environment(&url));
    let station = Station::sign_in(&platform.url).await;
    let (golden, board) = (png(1), png(2));

    // Only the bucket says so: SeaweedFS's own webhook.
    let sample = announce_golden(&station, "PCB-2").await;
    assert_eq!(sample.put(&station, &golden).await, StatusCode::OK);
    assert_eq!(sample.file(&station).await, golden);
    let told = announce_board(&station, "PCB-2", "", "told").await;
    assert_eq!(told.put(&station, &board).await, StatusCode::OK);
    assert_eq!(told.file(&station).await, board);

    // Nobody without the secret, and others as AWS and MinIO write them.
    let record = |key: &str| {
        json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": {
        "bucket": { "name": "pictures" }, "object": { "key": key } } }] })
    };
    let post = |secret: &str, body: serde_json::Value| {
        let request = station.anonymous(reqwest::Method::POST, &hook).bearer_auth(secret);
        async move { request.json(&body).send().await.unwrap().status() }
    };
    assert_eq!(post("another secret", record("x")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(NOTIFICATION_SECRET, record("x")).await, StatusCode::NO_CONTENT);
    let test_event = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent" });
    assert_eq!(post(NOTIFICATION_SECRET, test_event).await, StatusCode::NO_CONTENT);

    // All at once: the bucket's webhook, a second notification, `complete` by four, `infer`.
    for round in 0..3_u8 {
        let (key, file) = (format!("race-{round}"), png(10 + round));
        let raced = announce_board(&station, "PCB-2", "", &key).await;
        let id = raced.id();
        assert_eq!(raced.put(&station, &file).await, StatusCode::OK);
        let at = format!("line-1%2Farrivals%2F{}%2F{id}", &id[id.len() - 2..]);
        let inspection = raced.path.split("/artifacts").next().unwrap().to_owned();
        let infer = (format!("{inspection}/infer"), format!("{key}-infer"));
        let (infer, notified, ..) = tokio::join!(
            station.post(&infer.0, &infer.1, None),
            post(NOTIFICATION_SECRET, record(&at)),
            raced.complete(&station, "one"),
            raced.complete(&station, "two"),
            raced.complete(&station, "three"),
            raced.complete(&station, "four"),
        );
        assert_eq!(infer.unwrap().0, StatusCode::ACCEPTED);
        assert_eq!(notified, StatusCode::NO_CONTENT);
        let (_, digest) = raced.completed(&station, &format!("{key}-again")).await;
        assert_eq!(digest, sha256(&file));
        let report = station.report(inspection.rsplit('/').next().unwrap()).await;
        let again = raced.completed(&station, &format!("{key}-at-the-end")).await;
        // Created, announced, uploaded, inference requested, compared, judged.
        assert_eq!(again, ("6".to_owned(), digest), "{report}");
    }
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn infer_finds_what_has_arrived_and_says_which_pictures_are_refused_and_why() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let (store, data) = (S3Store::start(&folder.path().join("store")), folder.path().join("data"));
    let url = store.url();
    let platform = Platform::start_with(&data, 0, &environment(&url));
    let station = Station::sign_in(&platform.url).await;
    let sample = announce_golden(&station, "PCB-3").await;
    assert_eq!(sample.put(&station, &png(1)).await, StatusCode::OK);
    sample.completed(&station, "golden").await;

    let board = announce_board(&station, "PCB-3", "", "found").await;
    let inspection = board.path.split("/artifacts").next().unwrap().to_owned();
    let infer = format!("{inspection}/infer");
    let (status, said) = station.post(&infer, "too-early", None).await.unwrap();
    assert_eq!(
        (status, &said["type"]),
        (StatusCode::CONFLICT, &json!("urn:chipq:problem:artifacts-pending"))
    );
    let pictures = format!("{inspection}/artifacts");
    let second = announce(&station, &pictures, "", "second").await;
    let third = announce(&station, &pictures, "", "third").await;
    assert_eq!(board.put(&station, b"no picture").await, StatusCode::OK);
    assert_eq!(third.put(&station, &png(1)).await, StatusCode::OK);
    let (_, said) = station.post(&infer, "one-is-away", None).await.unwrap();
    assert!(said["detail"].as_str().unwrap().starts_with("1 of the announced"), "{said}");
    let half = png(2);
    assert_eq!(second.put(&station, &half[..half.len() / 2]).await, StatusCode::OK);
    let (status, said) = station.post(&infer, "no-pictures", None).await.unwrap();
    assert_eq!(
        (status, &said["type"]),
        (StatusCode::CONFLICT, &json!("urn:chipq:problem:artifacts-pending")),
        "the right ones may still come"
    );
    let refused = said["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 2, "the third is in order: {said}");
    for (bad, key) in [(&board, "first"), (&second, "second")] {
        let told = refused.iter().find(|told| told["artifact_id"] == bad.id()).unwrap();
        let (_, complete) = bad.complete(&station, &format!("{key}-complete")).await;
        assert_eq!((&told["type"], &told["detail"]), (&complete["type"], &complete["detail"]));
        let detail = said["detail"].as_str().unwrap();
        assert!(detail.contains(told["detail"].as_str().unwrap()), "{said}");
    }
    assert_eq!(board.put(&station, &png(1)).await, StatusCode::OK);
    // One picture of the board is enough.
    for picture in [&second, &third] {
        let cancel = format!("{}/cancel", picture.path);
        let (status, said) = station.post(&cancel, &cancel, None).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    let (status, said) = station.post(&infer, "found-infer", None).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    let report = station.report(inspection.rsplit('/').next().unwrap()).await;
    assert_eq!(report["judgement"], "pass", "{report}");
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_read_whole_in_parts_or_not_again() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let (store, data) = (S3Store::start(&folder.path().join("store")), folder.path().join("data"));
    let url = store.url();
    let platform = Platform::start_with(&data, 0, &environment(&url));
    let station = Station::sign_in(&platform.url).await;
    create_inspection(&station, "PCB-4", "no-part").await;
    let (sample, file) = (announce_golden(&station, "PCB-4").await, png(1));
    assert_eq!(sample.put(&station, &file).await, StatusCode::OK);
    sample.completed(&station, "golden").await;
    assert_eq!(sample.file(&station).await, file);

    let etag = format!("\"{}\"", sha256(&file));
    let whole = sample.read(&station).send().await.unwrap();
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.headers()[ETAG], *etag);
    assert_eq!(whole.headers()[CONTENT_LENGTH], file.len().to_string());
    let known = sample.read(&station).header(IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

    let length = file.len();
    let part = sample.read(&station).header(RANGE, "bytes=100-199").header(IF_RANGE, &etag);
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes 100-199/{length}"));
    assert_eq!(part.bytes().await.unwrap(), file[100..200]);
    let end = sample.read(&station).header(RANGE, "bytes=-50").send().await.unwrap();
    assert_eq!(end.bytes().await.unwrap(), file[length - 50..]);
    let other = sample.read(&station).header(RANGE, "bytes=0-9").header(IF_RANGE, "\"other\"");
    assert_eq!(other.send().await.unwrap().status(), StatusCode::OK);
    let beyond = format!("bytes={length}-");
    let beyond = sample.read(&station).header(RANGE, beyond).send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()[CONTENT_RANGE], format!("bytes */{length}"));
    assert!(beyond.headers().get(RETRY_AFTER).is_none());
    platform.stop();
}
