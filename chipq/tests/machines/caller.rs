//! Somebody who calls by one address: each request on a connection of its own, so that every machine answers, and
//! again with the same key until one has accepted it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// How long one request is repeated: a machine has to start again, on hardware that may be busy.
const REPEATED_FOR: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);

/// An answer that was whole.
pub(crate) struct Answer {
    pub(crate) body: Value,
    /// `X-Log-Position`, where the answer has one.
    pub(crate) place: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Caller {
    http: Client,
    url: String,
    token: String,
    /// The ids of the keys that its tokens were signed with.
    kids: Arc<Mutex<BTreeSet<String>>>,
}

impl Caller {
    pub(crate) async fn sign_in(url: &str) -> Self {
        let http = Client::builder().no_proxy().pool_max_idle_per_host(0);
        let http = http.timeout(Duration::from_secs(20)).build().unwrap();
        let mut caller =
            Self { http, url: url.to_owned(), token: String::new(), kids: Arc::default() };
        caller.renew().await;
        caller
    }

    /// Another token, of whichever machine answers.
    pub(crate) async fn renew(&mut self) {
        let url = format!("{}/v1/token", self.url);
        let form = [("username", "demo"), ("password", "demo")];
        let signed_in = self.repeat(|caller| caller.http.post(&url).form(&form)).await;
        signed_in.body["access_token"].as_str().unwrap().clone_into(&mut self.token);
        let header = URL_SAFE_NO_PAD.decode(self.token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        self.kids.lock().unwrap().insert(header["kid"].as_str().unwrap().to_owned());
    }

    pub(crate) fn kids(&self) -> BTreeSet<String> {
        self.kids.lock().unwrap().clone()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// A command with its key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: Option<&Value>) -> Answer {
        self.repeat(|caller| {
            let request = caller.request(Method::POST, path).header("Idempotency-Key", key);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        })
        .await
    }

    /// A picture, to where its announcement says and with what it asks for.
    pub(crate) async fn put(&self, announced: &Value, picture: &[u8]) -> Answer {
        let url = announced["upload_url"].as_str().unwrap();
        self.repeat(|caller| {
            let put = caller.http.put(caller.absolute(url)).body(picture.to_vec());
            let headers = announced["headers"].as_object().unwrap().iter();
            headers.fold(put, |put, (name, value)| put.header(name, value.as_str().unwrap()))
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.repeat(|caller| caller.request(Method::GET, path)).await
    }

    /// What is announced is an address of the machine that announced it, or one of the store.
    fn absolute(&self, url: &str) -> String {
        match url.find("/v1/uploads/") {
            Some(at) => format!("{}{}", self.url, &url[at..]),
            None => url.to_owned(),
        }
    }

    /// Sends until it is accepted. Only what may pass is repeated: a refusal, of a token among others, is a fault.
    async fn repeat(&self, request: impl Fn(&Self) -> RequestBuilder) -> Answer {
        let deadline = Instant::now() + REPEATED_FOR;
        loop {
            let said = match request(self).send().await {
                Ok(answer) if answer.status().is_success() => {
                    let place = answer.headers().get("x-log-position");
                    let place = place.and_then(|place| place.to_str().ok()).map(str::to_owned);
                    // An answer that is cut off was given all the same, but nobody can rely on it.
                    match answer.bytes().await {
                        Ok(body) => {
                            let body = serde_json::from_slice(&body).unwrap_or_default();
                            return Answer { body, place };
                        }
                        Err(error) => error.to_string(),
                    }
                }
                Ok(answer) => {
                    let status = answer.status();
                    let may_pass = answer.headers().contains_key("retry-after")
                        || status.is_server_error()
                        || status == StatusCode::TOO_MANY_REQUESTS;
                    let said = answer.text().await.unwrap_or_default();
                    assert!(may_pass, "refused for good: {status} {said}");
                    said
                }
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < deadline, "never accepted; last: {said}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
