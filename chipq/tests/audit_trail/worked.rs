//! A platform that serves, and what was done there: a board judged, a recipe revised, accounts made and changed, attempts
//! refused, commands rejected.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{EventLog as _, Position, Recorded};
use ::platform::postgres::{self, DatabaseConfig};
use serde_json::{Value, json};

use crate::boards::{Pair, boards};
use crate::platform::{Platform, chipq, finished, folder};
use crate::station::Station;

pub(crate) const PASSWORD: &str = "tulip anvil quartz meridian";
/// What a spreadsheet would compute, if anybody let it.
pub(crate) const FORMULA: &str = "=HYPERLINK(\"http://evil.example\",\"left, \u{57fa}\u{677f}\")";
pub(crate) const BELIEVED_WITHIN: Duration = Duration::from_secs(60);

/// A platform that serves, and what was done there.
pub(crate) struct Worked {
    pub(crate) platform: Platform,
    pub(crate) data: PathBuf,
    /// A board that was judged.
    pub(crate) inspection: String,
    _folder: tempfile::TempDir,
}

impl Worked {
    pub(crate) async fn start() -> Self {
        let folder = folder();
        let pair = boards(&folder.path().join("boards"), 1, 0).remove(0);
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        let platform = Platform::start(&data);
        let demo = Station::sign_in(&platform.url).await;
        let inspection = judge(&demo, &pair).await;
        revise_recipe(&demo).await;
        reject_commands(&demo, &inspection).await;
        let mut nobody = demo.clone();
        "nonsense".clone_into(&mut nobody.token);
        assert_eq!(nobody.get("/v1/parts").await.unwrap().0, 401);
        let worked = Self { platform, data, inspection, _folder: folder };
        let password = password.to_str().unwrap();
        let create = |name, role| {
            [
                "accounts",
                "create",
                name,
                "--role",
                role,
                "--password-file",
                password,
                "--reason",
                "new",
            ]
        };
        worked.operate(&create("vera", "auditor"));
        worked.operate(&create("ada", "operator"));
        worked.operate(&["accounts", "role", "ada", "engineer", "--reason", "keeps recipes"]);
        worked.operate(&["accounts", "disable", "ada", "--reason", FORMULA]);
        worked
    }

    fn operate(&self, arguments: &[&str]) {
        let (code, _, error) = finished(chipq(arguments).arg("--data").arg(&self.data));
        assert_eq!(code, 0, "{arguments:?}: {error}");
    }

    /// `chipq audit trail` with these arguments.
    pub(crate) fn trail(&self, arguments: &[&str]) -> (i32, String, String) {
        finished(chipq(&["audit", "trail"]).args(arguments).arg("--data").arg(&self.data))
    }

    pub(crate) fn entries(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, said, error) = self.trail(&[arguments, &["--json"]].concat());
        assert_eq!(code, 0, "{arguments:?}: {error}");
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) async fn log(&self) -> Vec<Recorded> {
        let url = std::fs::read_to_string(self.data.join("private-postgres-url")).unwrap();
        let pool = postgres::connect(&DatabaseConfig::from_url(url)).await.unwrap();
        let events =
            PostgresEventLog::new(pool).read_all(Position(0), 10_000).await.unwrap().events;
        events.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Whoever signs in by this form, as soon as the platform believes it.
    pub(crate) async fn signed_in(&self, form: &[(&str, &str)]) -> Station {
        let deadline = Instant::now() + BELIEVED_WITHIN;
        loop {
            if let Some(station) = Station::try_sign_in_by(&self.platform.url, form).await {
                return station;
            }
            assert!(Instant::now() < deadline, "nobody signs in by {form:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn judge(demo: &Station, pair: &Pair) -> String {
    let part = json!({ "part": "PCB-1" });
    assert!(demo.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    upload(demo, "/v1/parts/PCB-1/golden-sample?type=image/png", "golden", &pair.golden).await;
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let (_, created) = demo.post("/v1/inspections", "board", Some(&body)).await.unwrap();
    let id = created["inspection_id"].as_str().unwrap().to_owned();
    upload(demo, &format!("/v1/inspections/{id}/artifacts?type=image/png"), "picture", &pair.test)
        .await;
    let infer = format!("/v1/inspections/{id}/infer");
    assert!(demo.post(&infer, "infer", None).await.unwrap().0.is_success());
    assert!(demo.report(&id).await["judgement"].is_string());
    id
}

async fn upload(demo: &Station, path: &str, key: &str, picture: &Path) {
    let (_, reserved) = demo.post(path, key, None).await.unwrap();
    let picture = std::fs::read(picture).unwrap();
    let put = demo.put(reserved["upload_url"].as_str().unwrap(), &picture).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
}

async fn revise_recipe(demo: &Station) {
    let recipe = json!({
        "fail_at": 0.75, "review_at": 0.25, "bend_max_px": 4.5, "views": [],
        "area": {"region_of_interest": null, "keep_outs": [], "tolerated": []},
        "reason": "too many false calls",
    });
    let path = "/v1/parts/PCB-1/recipe-revisions";
    let (status, said) = demo.post(path, "recipe", Some(&recipe)).await.unwrap();
    assert_eq!(status, 201, "{said}");
}

async fn reject_commands(demo: &Station, inspection: &str) {
    let void = format!("/v1/inspections/{inspection}/void");
    let reason = json!({ "reason": "dropped" });
    let (status, said) = demo.post(&void, "void", Some(&reason)).await.unwrap();
    assert_eq!(status, 409, "{said}");
    let part = json!({ "part": "PCB-1" });
    assert_eq!(demo.post("/v1/parts", "part-again", Some(&part)).await.unwrap().0, 409);
}
