//! A station for tests: it speaks HTTP on its own terms and repeats nothing by itself.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// How long the platform may take to judge a board: the machine may be busy.
pub(crate) const JUDGED_WITHIN: Duration = Duration::from_secs(60);

/// A client with a token.
#[derive(Clone)]
pub(crate) struct Station {
    http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Station {
    pub(crate) async fn sign_in(url: &str) -> Self {
        Self::try_sign_in(url).await.expect("the demo user signs in")
    }

    pub(crate) async fn try_sign_in(url: &str) -> Option<Self> {
        Self::try_sign_in_by(url, &[("username", "demo"), ("password", "demo")]).await
    }

    /// Signs in by what this form proves.
    pub(crate) async fn try_sign_in_by(url: &str, form: &[(&str, &str)]) -> Option<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let answer = http.post(format!("{url}/v1/token")).form(form).send().await.ok()?;
        let body: Value = answer.json().await.ok()?;
        let token = body["access_token"].as_str()?.to_owned();
        Some(Self { http, url: url.to_owned(), token })
    }

    /// The same token at another address.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    pub(crate) fn anonymous(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Posts a command; answers with the status and the body.
    pub(crate) async fn post(
        &self,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = self.request(Method::POST, path).header("Idempotency-Key", key);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    pub(crate) async fn put(
        &self,
        url: &str,
        picture: &[u8],
    ) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.anonymous(Method::PUT, url).header("Content-Type", "image/png");
        answer(request.body(picture.to_vec())).await
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Result<(StatusCode, Value)> {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let (status, body) =
            answer(self.request(Method::POST, "/graphql").json(&body)).await.unwrap();
        assert_eq!(status, 200, "{body}");
        assert!(body.get("errors").is_none(), "{body}");
        body["data"].clone()
    }

    /// The report of an inspection, as soon as there is one.
    pub(crate) async fn report(&self, inspection_id: &str) -> Value {
        let deadline = Instant::now() + JUDGED_WITHIN;
        loop {
            let listed = self.get("/v1/reports?limit=200").await;
            if let Ok((StatusCode::OK, listed)) = listed
                && let Some(report) = listed["items"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|report| report["inspection_id"] == inspection_id)
            {
                return report.clone();
            }
            assert!(Instant::now() < deadline, "no report of {inspection_id} in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Sends and reads a JSON answer; an answer without JSON counts as null.
pub(crate) async fn answer(request: RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
