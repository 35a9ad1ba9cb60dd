//! Pictures on their way in, whole and otherwise.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use command_api::CommandApiConfig;
use domain::{MediaType, Sha256};
use futures::{StreamExt as _, stream};
use platform::artifact_store::{AnnouncedUpload, ArtifactStore, UploadNotes};
use platform::test_support::artifact_store_in;
use serde_json::json;

use crate::pictures::{bomb, ended_early, flipped, jpeg, png};
use crate::support::TestApi;

#[tokio::test]
async fn uploads_that_do_not_count_leave_nothing_and_the_place_stays_free() {
    let config = CommandApiConfig { upload_max_bytes: 100_000, ..CommandApiConfig::default() };
    let api = TestApi::start_with(config, |log| log).await;
    let id = api.create().await;
    let (artifact, jpeg_url) = api.reserve(&id).await;
    let reserve_png = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let png_url = api.post(reserve_png).send().await.text("upload_url");
    let head = api.head().await;
    let whole = jpeg(1);
    let mut long = whole.clone();
    long.resize(150_000, 0);
    let put = |bytes: &[u8]| api.put(&jpeg_url, bytes.to_vec());
    let length = |n: usize| put(&whole).header("content-length", &n.to_string());
    let cases = [
        ("empty", put(b""), 422, "empty-upload"),
        ("half", put(&whole[..whole.len() / 2]), 422, "truncated-upload"),
        ("its first bytes", put(&whole[..2]), 422, "truncated-upload"),
        ("text", put(b"hello, this is a picture"), 415, "not-a-picture"),
        ("a script", put(b"<svg onload=alert(1)>"), 415, "not-a-picture"),
        ("mislabelled", put(&png(1)), 415, "media-type-mismatch"),
        ("mislabelled PNG", api.put(&png_url, whole.clone()), 415, "media-type-mismatch"),
        (
            "another Content-Type",
            put(&whole).header("content-type", "image/png"),
            415,
            "media-type-mismatch",
        ),
        (
            "what curl -d says",
            put(&whole).header("content-type", "application/x-www-form-urlencoded"),
            415,
            "media-type-mismatch",
        ),
        ("announced too large", length(100_001), 413, "payload-too-large"),
        ("too large", put(&long), 413, "payload-too-large"),
        ("ended early", put(&ended_early()), 422, "unreadable-picture"),
        ("flipped", api.put(&png_url, flipped()), 422, "unreadable-picture"),
        ("a bomb", api.put(&png_url, bomb()), 422, "too-many-pixels"),
    ];
    for (what, call, status, name) in cases {
        let reply = call.send().await;
        assert_eq!(reply.problem(), (status, name.to_owned()), "{what}: {reply:?}");
        assert_eq!((api.head().await, api.stored_files()), (head, 0), "{what}");
    }
    let complete = format!("/v1/inspections/{id}/artifacts/{artifact}/complete");
    let early = api.post(complete).send().await;
    assert_eq!(early.problem(), (409, "artifact-not-uploaded".into()));
    assert_eq!(api.put(&jpeg_url, whole).send().await.status, 201);
    assert_eq!(api.put(&png_url, png(1)).send().await.status, 201);
}

#[tokio::test]
async fn the_same_bytes_again_change_nothing_and_other_bytes_are_refused() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let id = api.create().await;
    let (_, url) = api.reserve(&id).await;
    let golden = api.post("/v1/parts/PCB-1/golden-sample?type=image/jpeg").send().await;
    for url in [url, golden.text("upload_url")] {
        let first = api.put(&url, jpeg(1)).send().await;
        assert_eq!(first.status, 201);
        let head = api.head().await;
        let again = api.put(&url, jpeg(1)).send().await;
        assert_eq!((again.status, &again.json), (200, &first.json));
        assert_eq!(again.header("etag"), first.header("etag"));
        for other in [jpeg(2), png(1), b"garbage".to_vec(), Vec::new(), vec![0; 1 << 20]] {
            let reply = api.put(&url, other).send().await;
            assert_eq!(reply.problem(), (409, "artifact-already-uploaded".into()));
        }
        assert_eq!(api.head().await, head);
        let artifact = first.text("artifact_id").parse().unwrap();
        assert_eq!(api.artifacts.get(artifact).await.unwrap(), jpeg(1));
    }
}

#[tokio::test]
async fn urls_that_were_altered_made_elsewhere_or_have_expired() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (artifact, url) = api.reserve(&id).await;
    let (other, _) = api.reserve(&id).await;
    let head = api.head().await;
    let notes = UploadNotes::from([
        ("by".to_owned(), "demo".to_owned()),
        ("owner".to_owned(), format!("inspection/{id}")),
    ]);
    let url_by = async |store: &ArtifactStore, expires_in| {
        let until = Utc::now() + TimeDelta::seconds(expires_in);
        let artifact_id = artifact.parse().unwrap();
        let expected = MediaType::Jpeg.into();
        let notes = notes.clone();
        let upload = AnnouncedUpload { artifact_id, expected, until, notes };
        let target = store.upload_target(upload).await;
        format!("http://chipq.test{}", target.unwrap().url)
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = artifact_store_in(elsewhere.path());
    let cases = [
        ("unsigned", url.split('?').next().unwrap().to_owned(), "url-signature"),
        ("another artifact", url.replace(&artifact, &other), "url-signature"),
        ("another type", url.replace("image/jpeg", "image/png"), "url-signature"),
        ("another owner", url.replace(&id, &artifact), "url-signature"),
        ("another person", url.replace("by=demo", "by=root"), "url-signature"),
        ("later", url.replace("expires=1", "expires=2"), "url-signature"),
        ("more", format!("{url}&x=1"), "url-signature"),
        ("another key", url_by(&foreign, 60).await, "url-signature"),
        ("expired", url_by(&api.artifacts, -1).await, "url-expired"),
    ];
    for (what, url, name) in cases {
        let reply = api.put(&url, jpeg(1)).send().await;
        assert_eq!(reply.problem(), (403, name.to_owned()), "{what}");
    }
    assert_eq!((api.head().await, api.stored_files()), (head, 0));
    assert_eq!(api.put(&url_by(&api.artifacts, 60).await, jpeg(1)).send().await.status, 201);
}

#[tokio::test]
async fn a_closed_inspection_takes_no_picture_and_stores_none() {
    let api = TestApi::start().await;
    let voided = api.create().await;
    let (artifact, url) = api.reserve(&voided).await;
    let reason = json!({ "reason": "r" });
    api.post(format!("/v1/inspections/{voided}/void")).json(reason).send().await;
    let head = api.head().await;
    assert_eq!(api.put(&url, jpeg(1)).send().await.problem(), (409, "voided".into()));
    let complete = format!("/v1/inspections/{voided}/artifacts/{artifact}/complete");
    assert_eq!(api.post(complete).send().await.problem(), (409, "voided".into()));
    assert_eq!((api.head().await, api.stored_files()), (head, 0));
}

#[tokio::test]
async fn a_picture_at_rest_without_its_event_is_completed_by_whoever_asks() {
    let api = TestApi::start().await;
    for way in ["put", "complete", "infer"] {
        let id = api.create().await;
        let (artifact, url) = api.reserve(&id).await;
        api.put_to_rest(&artifact, jpeg(1)).await;
        let reply = match way {
            "put" => {
                let other = api.put(&url, jpeg(2)).send().await;
                assert_eq!(other.problem(), (409, "artifact-already-uploaded".into()));
                api.put(&url, jpeg(1)).send().await
            }
            "complete" => {
                let path = format!("/v1/inspections/{id}/artifacts/{artifact}/complete");
                let reply = api.post(path.as_str()).send().await;
                let head = api.head().await;
                let again = api.post(path).send().await;
                assert_eq!((again.status, &again.json), (200, &reply.json));
                assert_eq!(api.head().await, head);
                reply
            }
            _ => api.post(format!("/v1/inspections/{id}/infer")).send().await,
        };
        assert!(matches!(reply.status, 200..=202), "{way}: {reply:?}");
        let types = api.event_types().await;
        let uploaded = types.iter().filter(|name| *name == "ArtifactUploaded").count();
        assert_eq!(
            uploaded,
            ["put", "complete", "infer"].iter().position(|w| *w == way).unwrap() + 1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_uploads_at_once_store_one_picture() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (artifact, url) = api.reserve(&id).await;
    let calls = (0..8).map(|n| tokio::spawn(api.put(&url, jpeg(n % 2)).send()));
    let mut stored = Vec::new();
    for reply in futures::future::join_all(calls).await {
        let reply = reply.unwrap();
        match reply.status {
            200 | 201 => stored.push(reply.text("sha256")),
            _ => assert_eq!(reply.problem(), (409, "artifact-already-uploaded".into())),
        }
    }
    let bytes = api.artifacts.get(artifact.parse().unwrap()).await.unwrap();
    let sha256 = domain::Sha256::digest_of(&bytes).to_string();
    assert!(stored.len() >= 4 && stored.iter().all(|one| *one == sha256), "{stored:?}");
    let types = api.event_types().await;
    assert_eq!(types, ["InspectionCreated", "ArtifactReserved", "ArtifactUploaded"]);
    assert_eq!(api.stored_files(), 1);
}

/// The beginning of a picture, and nothing more.
fn stalled_body() -> Body {
    let begun = stream::iter([Ok::<_, Infallible>(Bytes::from(jpeg(1)[..100].to_vec()))]);
    Body::from_stream(begun.chain(stream::pending()))
}

#[tokio::test]
async fn a_station_that_stalls_all_it_may_keeps_no_other_station_out() {
    let config = CommandApiConfig { uploads_max: 4, ..CommandApiConfig::default() };
    let api = TestApi::start_with(config, |log| log).await;
    let id = api.create().await;
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let (_, url) = api.reserve(&id).await;
        stalled.push(tokio::spawn(api.put(&url, Vec::new()).send_body(stalled_body())));
    }
    // So that they come first.
    tokio::task::yield_now().await;
    let station = api.token_of("AOI-2", &["station"]);
    let announced = api.post(format!("/v1/inspections/{id}/artifacts?type=image/jpeg"));
    let announced = announced.token(&station).send().await;
    let put = api.put(&announced.text("upload_url"), jpeg(2)).send().await;
    assert_eq!(put.status, 201, "{put:?}");
    for upload in &stalled {
        upload.abort();
    }
}

#[tokio::test]
async fn uploads_beyond_their_number_are_put_off_until_one_has_ended() {
    let config = CommandApiConfig { uploads_max: 1, ..CommandApiConfig::default() };
    let api = TestApi::start_with(config, |log| log).await;
    let id = api.create().await;
    let ((_, url), (_, other)) = (api.reserve(&id).await, api.reserve(&id).await);
    let stalled = tokio::spawn(api.put(&url, Vec::new()).send_body(stalled_body()));
    // So that it comes first.
    tokio::task::yield_now().await;
    let put_off = api.put(&other, jpeg(2)).send().await;
    assert_eq!(put_off.problem(), (503, "unavailable".into()), "{put_off:?}");
    assert_eq!(put_off.header("retry-after"), Some("1"));
    stalled.abort();
    assert!(stalled.await.unwrap_err().is_cancelled());
    assert_eq!(api.put(&other, jpeg(2)).send().await.status, 201);
    assert_eq!(api.put(&url, jpeg(1)).send().await.status, 201);
}

#[tokio::test]
async fn what_was_announced_of_a_file_is_demanded_of_it() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let whole = jpeg(1);
    let artifacts = format!("/v1/inspections/{id}/artifacts");
    let (length, sha256) = (whole.len(), Sha256::digest_of(&whole));
    let terms = format!("type=image/jpeg&bytes={length}&sha256={sha256}");
    let announced = api.post(format!("{artifacts}?{terms}")).send().await;
    assert_eq!(announced.status, 201, "{announced:?}");
    let url = announced.text("upload_url");
    let other = jpeg(2);
    let (status, name) = api.put(&url, other).send().await.problem();
    assert!(status == 422 && ["wrong-digest", "wrong-length"].contains(&&*name), "{name}");
    let renew = format!("{artifacts}/{}/renew", announced.text("artifact_id"));
    let renewed = api.post(format!("{renew}?sha256={sha256}")).send().await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(api.put(&url, whole).send().await.status, 201);

    let limit = CommandApiConfig::default().upload_max_bytes;
    for (wrong, expected) in [
        ("bytes=0".to_owned(), (422, "validation")),
        ("bytes=many".to_owned(), (422, "validation")),
        (format!("bytes={}", limit + 1), (413, "payload-too-large")),
        ("sha256=abc".to_owned(), (422, "validation")),
        ("bytes=1&bytes=2".to_owned(), (422, "validation")),
    ] {
        let path = format!("{artifacts}?type=image/jpeg&{wrong}");
        let refused = api.post(path).send().await.problem();
        assert_eq!(refused, (expected.0, expected.1.to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn a_golden_sample_is_completed_as_a_board_is_and_only_a_bucket_tells_of_what_arrives() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let golden = api.post("/v1/parts/PCB-1/golden-sample?type=image/jpeg").send().await;
    let sample = golden.text("artifact_id");
    let complete = format!("/v1/parts/PCB-1/golden-sample/{sample}/complete");
    let early = api.post(&complete).send().await;
    assert_eq!(early.problem(), (409, "artifact-not-uploaded".to_owned()));
    assert_eq!(api.put(&golden.text("upload_url"), jpeg(1)).send().await.status, 201);
    let head = api.head().await;
    let done = api.post(&complete).send().await;
    assert_eq!((done.status, done.text("sha256")), (200, Sha256::digest_of(&jpeg(1)).to_string()));
    assert_eq!(api.head().await, head, "it changes nothing");
    // No secret is configured: nobody is believed.
    let told = api.post("/v1/store-notifications").json(json!({})).send().await;
    assert_eq!(told.problem(), (401, "unauthorized".to_owned()));
}
