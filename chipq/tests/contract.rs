//! The OpenAPI document kept to: every operation of it is called on a running platform, rightly and wrongly, and
//! what is answered is what the document says: a status that it names, in a format and of a shape that it gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "contract/access.rs"]
mod access;
#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "contract/document.rs"]
mod document;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use boards::boards;
use document::{Answer, Document};
use platform::{Platform, folder};

/// A client that holds every answer against the document.
struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    document: Document,
    commands: u32,
    /// The place in the log that was named last: a position, and the log's incarnation.
    place: (String, String),
}

impl Client {
    async fn sign_in(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let document = http.get(format!("{url}/openapi.json")).send().await.unwrap();
        let document = Document::new(document.json().await.unwrap());
        let url = url.to_owned();
        let (token, place) = (String::new(), Default::default());
        let mut client = Self { http, url, token, document, commands: 0, place };
        let token = |password| {
            client
                .request(Method::POST, "/v1/token")
                .form(&[("username", "demo"), ("password", password)])
        };
        let (right, wrong) = (token("demo"), token("else"));
        client.call(wrong, 400).await;
        let right = client.call(right, 200).await;
        client.token = right["access_token"].as_str().unwrap().to_owned();
        client
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url =
            if path.starts_with('/') { format!("{}{path}", self.url) } else { path.to_owned() };
        self.http.request(method, url)
    }

    /// A command with a key of its own.
    fn command(&mut self, path: &str) -> RequestBuilder {
        self.commands += 1;
        let key = format!("contract-{}", self.commands);
        self.request(Method::POST, path).bearer_auth(&self.token).header("Idempotency-Key", key)
    }

    fn read(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(&self.token)
    }

    /// Sends, expects this status, and checks the answer. An answer that is no JSON is null.
    async fn call(&mut self, request: RequestBuilder, status: u16) -> Value {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.http.execute(request).await.unwrap();
        if let Some(place) = response.headers().get("x-log-position") {
            let (position, incarnation) = place.to_str().unwrap().split_once('.').unwrap();
            self.place = (position.to_owned(), incarnation.to_owned());
        }
        let media_type = response.headers().get("content-type");
        let media_type = media_type.map(|value| value.to_str().unwrap().to_owned());
        let answered = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        if media_type.as_deref() == Some("application/pdf") {
            ::platform::test_support::keep_pdf(&body);
        }
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let answer = Answer { status: answered, media_type, body };
        assert_eq!(answered, status, "{method} {path}: {}", answer.body);
        self.document.check((method.as_str(), &path), &answer);
        answer.body
    }

    async fn upload(&mut self, announced: &Value, picture: &[u8], status: u16) -> Value {
        let url = announced["upload_url"].as_str().unwrap();
        let request = self.request(Method::PUT, url).header("Content-Type", "image/png");
        self.call(request.body(picture.to_vec()), status).await
    }

    /// What every command refuses alike.
    async fn refusals_of_commands(&mut self, path: &str) {
        let keyless = self.request(Method::POST, path).bearer_auth(&self.token);
        self.call(keyless, 400).await;
        let nobody = self.request(Method::POST, path).header("Idempotency-Key", "nobody");
        self.call(nobody, 401).await;
    }
}

#[tokio::test]
async fn what_is_answered_is_what_the_document_says() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 4, 60);
    let pair = pairs.iter().find(|pair| pair.defects > 0).expect("a defective board");
    let picture = |path| std::fs::read(path).unwrap();
    let (golden, board) = (picture(&pair.golden), picture(&pair.test));
    // So little that a picture can be too large to be shown.
    let memory = [("CHIPQ_PICTURE_MEMORY_MIB", "64")];
    let platform = Platform::start_with(&folder.path().join("data"), 0, &memory);
    let mut client = Client::sign_in(&platform.url).await;
    let client = &mut client;
    for path in
        ["/healthz", "/readyz", "/.well-known/jwks.json", "/problems", "/problems/validation"]
    {
        client.call(client.request(Method::GET, path), 200).await;
    }
    client.call(client.request(Method::GET, "/problems/nothing"), 404).await;
    let golden_sample = parts(client, &golden).await;
    let inspection = inspections(client, &board).await;
    reads(client, &inspection, &golden_sample).await;
    large_report(client).await;
    access::accounts_and_clients(client, &folder.path().join("data")).await;
    platform.stop();
    let untried = client.document.untried();
    assert!(untried.is_empty(), "of the document nobody tried {untried:?}");
}

/// Parts, their golden samples and recipes; answers with the id of the golden sample.
async fn parts(client: &mut Client, golden: &[u8]) -> String {
    let part = json!({ "part": "PCB-1" });
    let register = client.command("/v1/parts").json(&part);
    client.call(register, 201).await;
    let again = client.command("/v1/parts").json(&part);
    client.call(again, 409).await;
    for (body, status) in [(json!({ "part": "" }), 422), (json!([]), 422)] {
        let wrong = client.command("/v1/parts").json(&body);
        client.call(wrong, status).await;
    }
    let text = client.command("/v1/parts").body("part=PCB-1");
    client.call(text, 415).await;
    client.refusals_of_commands("/v1/parts").await;

    let path = "/v1/parts/PCB-1/golden-sample";
    let announce = client.command(&format!("{path}?type=image/png"));
    let announced = client.call(announce, 201).await;
    let artifact = announced["artifact_id"].as_str().unwrap().to_owned();
    let renew = client.command(&format!("{path}/{artifact}/renew"));
    let renewed = client.call(renew, 200).await;
    client.upload(&renewed, b"no picture", 415).await;
    client.upload(&renewed, golden, 201).await;
    client.upload(&renewed, golden, 200).await;
    let complete = client.command(&format!("{path}/{artifact}/complete"));
    client.call(complete, 200).await;
    // Nobody's bucket is known here.
    let told = client.command("/v1/store-notifications").json(&json!({ "Records": [] }));
    client.call(told, 401).await;
    let other = client.command(&format!("{path}?type=image/png&use=variant&reason=other"));
    let other = client.call(other, 201).await;
    let other = other["artifact_id"].as_str().unwrap();
    let cancel = client.command(&format!("{path}/{other}/cancel"));
    client.call(cancel, 200).await;
    let wrong_type = client.command(&format!("{path}?type=image/tiff"));
    client.call(wrong_type, 422).await;

    let recipe = json!({ "fail_at": 0.5, "review_at": 0.25, "bend_max_px": 4.5, "views": [],
        "area": { "region_of_interest": null, "tolerated": [],
                  "keep_outs": [{ "x": 1, "y": 1, "width": 8, "height": 8 }] },
        "reason": "the connector is fitted by hand" });
    let revise = client.command("/v1/parts/PCB-1/recipe-revisions").json(&recipe);
    client.call(revise, 201).await;
    let seen = format!("\"1.{}\"", client.place.1);
    for (tag, status) in [(&*seen, 412), ("\"1\"", 400)] {
        let revise = client.command("/v1/parts/PCB-1/recipe-revisions").header("If-Match", tag);
        client.call(revise.json(&recipe), status).await;
    }
    let nothing = client.command("/v1/parts/PCB-2/recipe-revisions").json(&recipe);
    client.call(nothing, 404).await;
    artifact
}

/// One more inspection; answers with its path.
async fn create_inspection(client: &mut Client) -> String {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let create = client.command("/v1/inspections").json(&body);
    let created = client.call(create, 201).await;
    format!("/v1/inspections/{}", created["inspection_id"].as_str().unwrap())
}

/// Two inspections, one withdrawn; answers with the other one's document.
async fn inspections(client: &mut Client, board: &[u8]) -> Value {
    let inspection = create_inspection(client).await;
    let early = client.command(&format!("{inspection}/infer"));
    client.call(early, 409).await;
    let announce = format!("{inspection}/artifacts?type=image/png&pixels_per_millimetre=48.3");
    let kept = client.command(&announce);
    let kept = client.call(kept, 201).await;
    let dropped = client.command(&announce);
    let dropped = client.call(dropped, 201).await;
    let artifact = |announced: &Value| announced["artifact_id"].as_str().unwrap().to_owned();
    let cancel = client.command(&format!("{inspection}/artifacts/{}/cancel", artifact(&dropped)));
    client.call(cancel, 200).await;
    let renew = client.command(&format!("{inspection}/artifacts/{}/renew", artifact(&kept)));
    let renewed = client.call(renew, 200).await;
    client.upload(&renewed, board, 201).await;
    let complete = client.command(&format!("{inspection}/artifacts/{}/complete", artifact(&kept)));
    client.call(complete, 200).await;
    let forged = renewed["upload_url"].as_str().unwrap().replace("expires=", "expires=9");
    client.call(client.request(Method::PUT, &forged).body(board.to_vec()), 403).await;
    let judged = client.command(&format!("{inspection}/infer")).header("Prefer", "wait=20");
    let judged = client.call(judged, 200).await;
    assert_eq!(judged["judgement"], "fail");

    let withdrawn = create_inspection(client).await;
    let reason = json!({ "reason": "wrong board" });
    let void = client.command(&format!("{withdrawn}/void")).json(&reason);
    client.call(void, 200).await;
    let late = client.command(&format!("{inspection}/void")).json(&reason);
    client.call(late, 409).await;
    for path in [&inspection, &withdrawn] {
        client.refusals_of_commands(&format!("{path}/infer")).await;
    }
    let read = client.read(&inspection).header("Prefer", "wait=20");
    client.call(read, 200).await
}

async fn reads(client: &mut Client, inspection: &Value, golden_sample: &str) {
    let id = inspection["inspection_id"].as_str().unwrap();
    let report = inspection["report_id"].as_str().unwrap();
    // The other one was taken back.
    let mut pictures = inspection["artifacts"].as_array().unwrap().iter();
    let compared = pictures.find(|picture| picture["state"] == "compared").unwrap();
    let artifact = compared["artifact_id"].as_str().unwrap();
    let (position, incarnation) = client.place.clone();
    for list in ["inspections", "parts", "reports", "defects"] {
        // Each read model comes up in its own time.
        let reached = format!("/v1/{list}?limit=1&min_position={position}.{incarnation}");
        client.call(client.read(&reached), 200).await;
        let listed = client.call(client.read(&format!("/v1/{list}?limit=1")), 200).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{list}");
        let counted = format!("/v1/{list}?limit=1&count=true");
        assert!(client.call(client.read(&counted), 200).await["total_count"].is_u64(), "{list}");
        client.call(client.read(&format!("/v1/{list}?colour=red")), 400).await;
        client.call(client.request(Method::GET, &format!("/v1/{list}")), 401).await;
        let (ahead, lost) = (&client.place.1, uuid::Uuid::nil().simple());
        let ahead = format!("/v1/{list}?min_position=9000000.{ahead}");
        let lost = format!("/v1/{list}?min_position=9000000.{lost}");
        client.call(client.read(&ahead), 503).await;
        client.call(client.read(&lost), 409).await;
    }
    for list in ["golden-samples", "recipe-revisions"] {
        let path = format!("/v1/parts/PCB-1/{list}");
        let listed = client.call(client.read(&format!("{path}?limit=1")), 200).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{list}");
        client.call(client.read(&format!("{path}?colour=red")), 400).await;
        client.call(client.request(Method::GET, &path), 401).await;
        client.call(client.read(&format!("/v1/parts/nothing/{list}")), 404).await;
    }
    for (one, nothing) in [
        (format!("/v1/inspections/{id}"), "/v1/inspections/nothing"),
        (format!("/v1/reports/{report}"), "/v1/reports/nothing"),
        (format!("/v1/artifacts/{artifact}"), "/v1/artifacts/nothing"),
        (format!("/v1/artifacts/{golden_sample}"), "/v1/artifacts/nothing"),
        ("/v1/parts/PCB-1".to_owned(), "/v1/parts/nothing"),
    ] {
        client.call(client.read(&one), 200).await;
        client.call(client.read(&one).header("If-None-Match", "*"), 304).await;
        client.call(client.read(nothing), 404).await;
        client.call(client.request(Method::GET, &one), 401).await;
    }
    let report = format!("/v1/reports/{report}");
    client.call(client.read(&report).header("Accept", "application/pdf"), 200).await;
    client.call(client.read(&report).header("Accept", "text/csv"), 406).await;
}

/// A report whose picture takes more memory than all pictures have.
async fn large_report(client: &mut Client) {
    let mut picture = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(2_500, 2_500).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let inspection = create_inspection(client).await;
    let announce = client.command(&format!("{inspection}/artifacts?type=image/png"));
    let announced = client.call(announce, 201).await;
    client.upload(&announced, &picture.into_inner(), 201).await;
    let judged = client.command(&format!("{inspection}/infer")).header("Prefer", "wait=20");
    assert_eq!(client.call(judged, 200).await["judgement"], "review");
    let read = client.read(&inspection).header("Prefer", "wait=20");
    let report = client.call(read, 200).await["report_id"].as_str().unwrap().to_owned();
    let pdf = client.read(&format!("/v1/reports/{report}")).header("Accept", "application/pdf");
    assert_eq!(client.call(pdf, 422).await["type"], "urn:chipq:problem:report-too-large");
}
