//! A store that is away, silent, or reached over a line that spoils what comes over it.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use crate::line::{Announced, announce_board, announce_golden, png, readiness, sha256};
use crate::platform::{Platform, folder};
use crate::proxy::{Fault, Proxy};
use crate::station::Station;
use crate::store::{BUCKET, S3Store, environment, is_installed};
use crate::until;

/// Whoever is answered at all is answered in so long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(29);

/// A board that is announced, with its digest if `is_known`.
async fn announce(station: &Station, file: &[u8], key: &str, is_known: bool) -> Announced {
    let digest = format!("&sha256={}", sha256(file));
    announce_board(station, "PCB-9", if is_known { &digest } else { "" }, key).await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_what_needs_it_is_put_off_and_nothing_is_lost() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let mut store = S3Store::start(&folder.path().join("store"));
    let (url, data) = (store.url(), folder.path().join("data"));
    let platform = Platform::start_with(&data, 0, &environment(&url));
    let station = Station::sign_in(&platform.url).await;
    let (golden, board) = (png(1), png(1));
    let sample = announce_golden(&station, "PCB-9").await;
    assert_eq!(sample.put(&station, &golden).await, StatusCode::OK);
    sample.completed(&station, "golden").await;
    assert_eq!(sample.file(&station).await, golden);
    let announced = announce(&station, &board, "before", true).await;
    assert_eq!(announced.put(&station, &board).await, StatusCode::OK);

    for (round, is_killed) in [("killed", true), ("silent", false)] {
        if is_killed {
            store.kill()
        } else {
            store.stall()
        }
        until("readiness names the store", async || {
            readiness(&station).await.1["ready"] == json!(false)
        })
        .await;
        let (status, check) = readiness(&station).await;
        assert_eq!((status, &check["optional"]), (StatusCode::OK, &json!(true)), "{check}");
        let begun = Instant::now();
        let (status, said) = announced.complete(&station, &format!("{round}-away")).await;
        assert_eq!(
            (status, &said["type"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("urn:chipq:problem:unavailable")),
            "{said}"
        );
        assert!(begun.elapsed() < ANSWERED_WITHIN, "{round}: {:?}", begun.elapsed());
        let read = sample.read(&station).send().await.unwrap();
        assert_eq!(read.status(), StatusCode::SERVICE_UNAVAILABLE);
        // What needs no picture goes on: announcements, too.
        let inspection = announced.path.split("/artifacts").next().unwrap();
        assert_eq!(station.get(inspection).await.unwrap().0, StatusCode::OK);
        announce(&station, &board, &format!("{round}-meanwhile"), false).await;
        if is_killed {
            store.start_again()
        } else {
            store.resume()
        }
        until("it is ready again", async || readiness(&station).await.1["ready"] == json!(true))
            .await;
    }
    // By the request that was put off, with its key.
    assert_eq!(announced.completed(&station, "killed-away").await.1, sha256(&board));
    let inspection = announced.path.split("/artifacts").next().unwrap().to_owned();
    let (status, said) = station.post(&format!("{inspection}/infer"), "infer", None).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    let report = station.report(inspection.rsplit('/').next().unwrap()).await;
    assert_eq!(report["judgement"], "pass", "{report}");
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spoiled_on_its_way_is_read_again_or_refused_and_never_believed() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let store = S3Store::start(&folder.path().join("store"));
    let proxy = Proxy::start(store.port()).await;
    let direct = format!("http://127.0.0.1:{}", store.port());
    let by_proxy = format!("http://127.0.0.1:{}", proxy.port());
    let url = format!("s3://{BUCKET}/line-1?endpoint={by_proxy}&public_endpoint={direct}");
    let data = folder.path().join("data");
    let platform = Platform::start_with(&data, 0, &environment(&url));
    let station = Station::sign_in(&platform.url).await;
    let sample = announce_golden(&station, "PCB-9").await;
    assert!(sample.url().starts_with(&direct), "clients reach it by another name");
    assert_eq!(sample.put(&station, &png(1)).await, StatusCode::OK);
    sample.completed(&station, "golden").await;

    for (round, fault) in
        [("corrupt", Fault::Corrupt), ("truncate", Fault::Truncate), ("stall", Fault::Stall)]
    {
        for is_known in [true, false] {
            let (key, file) = (format!("{round}-{is_known}"), png(20));
            let board = announce(&station, &file, &key, is_known).await;
            assert_eq!(board.put(&station, &file).await, StatusCode::OK);
            // Once: whoever asks again has it.
            proxy.spoil(fault, 1);
            until("it is completed", async || {
                let begun = Instant::now();
                let (status, said) = board.complete(&station, &format!("{key}-once")).await;
                assert!(begun.elapsed() < ANSWERED_WITHIN, "{key}: {:?}", begun.elapsed());
                assert!(matches!(status.as_u16(), 200 | 503), "{key}: {said}");
                status == StatusCode::OK
            })
            .await;
            assert_eq!(board.completed(&station, &format!("{key}-again")).await.1, sha256(&file));
        }
    }
    // For long: it is refused, and right as soon as the line is.
    let (file, key) = (png(21), "for-long");
    let board = announce(&station, &file, key, true).await;
    assert_eq!(board.put(&station, &file).await, StatusCode::OK);
    proxy.spoil(Fault::Corrupt, usize::MAX);
    let (status, said) = board.complete(&station, "for-long-1").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY, "{said}");
    proxy.spoil(Fault::None, 0);
    assert_eq!(board.completed(&station, "for-long-2").await.1, sha256(&file));

    // Who looks at a picture does not get all of another one.
    assert_eq!(board.file(&station).await, file);
    for fault in [Fault::Corrupt, Fault::Truncate] {
        proxy.spoil(fault, usize::MAX);
        let read = match board.read(&station).send().await {
            Ok(answer) if answer.status().is_success() => answer.bytes().await.ok(),
            Ok(_) | Err(_) => None,
        };
        assert!(read.is_none_or(|bytes| bytes == file), "{fault:?}");
    }
    proxy.spoil(Fault::None, 0);
    assert_eq!(board.file(&station).await, file);
    platform.stop();
}
