//! An identity provider that is played: serves its discovery document and its keys, or behaves badly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::auth::test_keys::{SigningKeyPair, key_set_of};

/// What it does.
#[derive(Debug, Clone)]
pub(super) enum Behaviour {
    Well,
    /// A key set that goes on for ever.
    Endless,
    /// One byte now and then.
    Slow,
    Silent,
    Redirect(String),
    Html,
    Empty,
    Broken,
    DiscoveryOf(String),
    DiscoveryHtml,
    KeysAt(String),
}

struct Served {
    port: u16,
    keys: Mutex<Value>,
    behaviour: Mutex<Behaviour>,
    fetches: AtomicUsize,
}

pub(super) struct StandInProvider {
    served: Arc<Served>,
    serving: Option<JoinHandle<()>>,
}

impl StandInProvider {
    pub(super) async fn start(keys: &[&SigningKeyPair]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let served = Arc::new(Served {
            port: listener.local_addr().unwrap().port(),
            keys: Mutex::new(key_set_of(keys)),
            behaviour: Mutex::new(Behaviour::Well),
            fetches: AtomicUsize::new(0),
        });
        let serving = Some(serve(listener, Arc::clone(&served)));
        Self { served, serving }
    }

    pub(super) async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// On the port where it was.
    pub(super) async fn start_again(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.served.port)).await.unwrap();
        self.serving = Some(serve(listener, Arc::clone(&self.served)));
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/realms/factory", self.served.port)
    }

    pub(super) fn key_set_url(&self) -> String {
        format!("{}/keys", self.url())
    }

    pub(super) fn rotate_to(&self, keys: &[&SigningKeyPair]) {
        *self.served.keys.lock().unwrap() = key_set_of(keys);
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.served.behaviour.lock().unwrap() = behaviour;
    }

    /// How often its keys were asked for.
    pub(super) fn fetches(&self) -> usize {
        self.served.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for StandInProvider {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn serve(listener: TcpListener, served: Arc<Served>) -> JoinHandle<()> {
    let router = Router::new()
        .route("/realms/factory/.well-known/openid-configuration", get(discovery))
        .route("/realms/factory/keys", get(keys))
        .with_state(served);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn discovery(State(served): State<Arc<Served>>) -> Response {
    let url = format!("http://127.0.0.1:{}/realms/factory", served.port);
    let document = |issuer: &str, keys: &str| {
        axum::Json(json!({"issuer": issuer, "jwks_uri": keys})).into_response()
    };
    let behaviour = served.behaviour.lock().unwrap().clone();
    match behaviour {
        Behaviour::DiscoveryOf(issuer) => document(&issuer, &format!("{url}/keys")),
        Behaviour::DiscoveryHtml => "<html>Sign in</html>".into_response(),
        Behaviour::KeysAt(place) => document(&url, &place),
        _ => document(&url, &format!("{url}/keys")),
    }
}

async fn keys(State(served): State<Arc<Served>>) -> Response {
    served.fetches.fetch_add(1, Ordering::SeqCst);
    let behaviour = served.behaviour.lock().unwrap().clone();
    let json = [(header::CONTENT_TYPE, "application/json")];
    match behaviour {
        Behaviour::Endless => {
            let chunk = Bytes::from(vec![b' '; 64 << 10]);
            let chunks =
                futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            (json, Body::from_stream(chunks)).into_response()
        }
        Behaviour::Slow => {
            let trickle = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
            });
            (json, Body::from_stream(trickle)).into_response()
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Redirect(place) => Redirect::temporary(&place).into_response(),
        Behaviour::Html => "<html>Sign in</html>".into_response(),
        Behaviour::Empty => (json, r#"{"keys": []}"#).into_response(),
        Behaviour::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => (json, served.keys.lock().unwrap().to_string()).into_response(),
    }
}
