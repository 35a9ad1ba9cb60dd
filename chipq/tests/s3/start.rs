//! What is wrong with a bucket is said at start, in a sentence that says what to do, and soon.

use std::time::{Duration, Instant};

use ::platform::test_support::free_port;

use crate::platform::{Platform, chipq, finished, folder};
use crate::store::{BUCKET, READER, S3Store, environment, is_installed};
use crate::until;

/// A start that is refused takes no longer: PostgreSQL is made and started while the bucket is tried.
const REFUSED_WITHIN: Duration = Duration::from_secs(100);

/// How `chipq up` ends with this, and what it says.
fn refused(url: &str, changed: &[(&str, &str)]) -> (i32, String) {
    let folder = folder();
    let mut up = chipq(&["up", "--listen", "127.0.0.1:0", "--data"]);
    up.arg(folder.path().join("data")).envs(environment(url)).envs(changed.iter().copied());
    let begun = Instant::now();
    let (code, _, said) = finished(&mut up);
    assert!(begun.elapsed() < REFUSED_WITHIN, "{:?}: {said}", begun.elapsed());
    (code, said)
}

#[test]
fn everything_wrong_with_the_url_and_the_rest_is_said_at_once() {
    let url = "s3://?colour=red&endpoint=ftp://h";
    let wrong = [("AWS_SECRET_ACCESS_KEY", ""), ("CHIPQ_STORE_NOTIFICATION_SECRET", "short")];
    let (code, said) = refused(url, &wrong);
    assert_eq!(code, 64, "{said}");
    for part in ["no bucket", "option that is not known", "an endpoint is http", "16 characters"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = refused("s3://pictures?region=r", &wrong[..1]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("only AWS_ACCESS_KEY_ID is set"), "{said}");
}

#[test]
fn what_is_wrong_with_the_bucket_and_with_the_database_is_said_at_once() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let store = S3Store::start(&folder.path().join("store"));
    let missing = format!("s3://no-such-bucket?endpoint=http://127.0.0.1:{}", store.port());
    let database = format!("postgres://chipq:hunter2@127.0.0.1:{}/chipq", free_port());
    let (code, said) = refused(&missing, &[("CHIPQ_DATABASE_URL", &database)]);
    let both = ["2 things are in the way", "127.0.0.1", "there is no such bucket; create it"];
    assert!(code == 69 && both.iter().all(|part| said.contains(part)), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    for role in ["command-api", "query-api", "inference-worker", "picture-retention"] {
        let mut process = chipq(&[role, "--data"]);
        process.arg(folder.path().join(role)).envs(environment(&missing));
        let (code, _, said) = finished(process.env("CHIPQ_DATABASE_URL", &database));
        assert!(code == 69 && both.iter().all(|part| said.contains(part)), "{role}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_pictures_needs_no_right_to_write() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let (store, data) = (S3Store::start(&folder.path().join("store")), folder.path().join("data"));
    let url = store.url();
    let platform = Platform::start_with(&data, 0, &environment(&url));
    let database = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let start = |role: &str| {
        let mut process = chipq(&[role, "--listen", &address, "--data"]);
        process.arg(&data).envs(environment(&url)).env("AWS_ACCESS_KEY_ID", READER);
        process.env("CHIPQ_DATABASE_URL", &database);
        process
    };
    let mut reader = start("query-api").spawn().unwrap();
    until("the query API is ready", async || {
        assert!(reader.try_wait().unwrap().is_none(), "it ended");
        let asked = reqwest::get(format!("http://{address}/readyz")).await;
        asked.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    reader.kill().unwrap();
    reader.wait().unwrap();
    // The control: who takes pictures has to write.
    let mut writer = start("command-api");
    let (code, _, said) = tokio::task::spawn_blocking(move || finished(&mut writer)).await.unwrap();
    assert!(code == 69 && said.contains("cannot write into the bucket"), "{said}");
    platform.stop();
}

#[test]
fn a_bucket_that_cannot_be_used_is_refused_with_what_to_do() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let store = S3Store::start(&folder.path().join("store"));
    let at = |bucket: &str, port: u16| format!("s3://{bucket}/x?endpoint=http://127.0.0.1:{port}");
    let (good, port) = (at(BUCKET, store.port()), store.port());
    // A machine without an identity of its own.
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let home = folder.path().to_str().unwrap();
    let nothing = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("HOME", home),
        ("AWS_METADATA_ENDPOINT", &nobody),
    ];
    let (code, said) = refused(&good, &nothing);
    assert!(code == 69 && said.contains("there are no credentials"), "{said}");
    for (url, changed, part) in [
        (at("no-such-bucket", port), ("AWS_REGION", "us-east-1"), "there is no such bucket"),
        (good.clone(), ("AWS_SECRET_ACCESS_KEY", "wrong"), "AWS_SECRET_ACCESS_KEY"),
        (good.clone(), ("AWS_ACCESS_KEY_ID", "unknown"), "AWS_ACCESS_KEY_ID"),
        (good, ("AWS_ACCESS_KEY_ID", READER), "allow s3:GetObject"),
        (at(BUCKET, free_port()), ("AWS_REGION", "us-east-1"), "does not answer"),
    ] {
        let (code, said) = refused(&url, &[changed]);
        assert_eq!(code, 69, "{said}");
        assert!(said.contains(part), "{part}: {said}");
        assert!(!said.contains(crate::store::SECRET), "{said}");
    }
}
