//! The witness gets every last head, late where it must be, and holds nothing up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::Notify;
use transparency::{SignedNote, TreeHead};

use super::{PATIENCE, World};
use crate::config::WitnessPlace;
use crate::head_folder::HeadFolder;
use crate::signer::Signer;
use crate::witness::Witness;

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it does not come to that");
}

#[tokio::test]
async fn a_server_that_refuses_is_said_and_asked_again_until_it_has_the_head() {
    let world = World::new().await;
    world.append_events(4).await;
    world.build_tree().await;
    let (asked, taken) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::<String>::new())));
    let (count, kept) = (Arc::clone(&asked), Arc::clone(&taken));
    let router = Router::new().route(
        "/heads",
        post(async move |body: String| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            kept.lock().unwrap().push(body);
            StatusCode::CREATED
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/heads", listener.local_addr().unwrap());
    let server = tokio::spawn(async { axum::serve(listener, router).await });
    let place = WitnessPlace::Server(url.parse().unwrap());
    let signer = Signer { witness: Some(Witness::open(&place).unwrap()), ..world.signer() };
    let running = tokio::spawn(Arc::new(signer).run(Arc::new(Notify::new())));
    until(|| asked.load(Ordering::SeqCst) >= 1 && !world.troubles.checks().is_empty()).await;
    let said = world.troubles.checks().remove(0);
    assert!(said.optional && said.name == "log-proof:witness", "{said:?}");
    assert!(said.detail.unwrap().contains("it answers 503"));
    until(|| !taken.lock().unwrap().is_empty() && world.troubles.checks().is_empty()).await;
    let note = SignedNote::parse(&taken.lock().unwrap()[0]).unwrap();
    assert_eq!(TreeHead::read_unverified(&note).unwrap().size, 4);
    running.abort();
    server.abort();
}

#[tokio::test]
async fn a_directory_that_is_not_mounted_is_not_made() {
    let world = World::with_events(4).await;
    let mount = tempfile::tempdir().unwrap();
    let path = mount.path().join("witness");
    let witness = Witness::open(&WitnessPlace::Folder(path.clone())).unwrap();
    let (heads, _) = world.find_heads().await.unwrap();
    assert!(witness.hand_over(&heads[0]).await.unwrap_err().contains("tried again"));
    assert!(!path.exists());
    std::fs::create_dir(&path).unwrap();
    witness.hand_over(&heads[0]).await.unwrap();
    assert_eq!(HeadFolder::new(path).read_all().unwrap().len(), 1);
}
