//! The client in docs/clients, against a platform: what it shows is what works.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::path::Path;
use std::process::Command;

use boards::boards;
use platform::{Platform, chipq, finished, folder};

fn station(url: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients/station.py");
    let known = Command::new("python3").arg("--version").output();
    assert!(known.is_ok(), "python3 is needed to try docs/clients/station.py: install it");
    let mut command = Command::new("python3");
    command.arg(script).args(["--base", url]).env("NO_PROXY", "*");
    for variable in ["CHIPQ_USER", "CHIPQ_PASSWORD", "CHIPQ_CLIENT_ID", "CHIPQ_CLIENT_SECRET"] {
        command.env_remove(variable);
    }
    command
}

/// A client that is the station AOI-1: its id and secret.
fn create_client(data: &Path) -> (String, String) {
    let create = ["clients", "create", "aoi-1", "--role", "station", "--station", "AOI-1"];
    let mut command = chipq(&create);
    command.args(["--reason", "a test", "--json", "--data"]).arg(data);
    let (code, said, complained) = finished(&mut command);
    assert_eq!(code, 0, "{complained}");
    let created: serde_json::Value = serde_json::from_str(&said).unwrap();
    let text = |field: &str| created[field].as_str().unwrap().to_owned();
    (text("client_id"), text("client_secret"))
}

#[test]
fn the_sample_station_gets_its_verdict_although_it_is_put_off_again_and_again() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 1, 0);
    let (pair, pdf) = (&pairs[0], folder.path().join("report.pdf"));
    assert!(pair.defects > 0);
    // One command at once: the next one is told to come back after a second.
    let slow = [("CHIPQ_RATE_PER_SECOND", "1"), ("CHIPQ_RATE_BURST", "1")];
    let data = folder.path().join("data");
    let platform = Platform::start_with(&data, 0, &slow);
    // The second time the part is there, and its golden sample stays.
    for (lot, scale) in [("L-1", &[][..]), ("L-2", &["--scale", "48"])] {
        let mut command = station(&platform.url);
        command
            .args([&pair.golden, &pair.test])
            .args(["--lot", lot, "--pdf"])
            .arg(&pdf)
            .args(scale);
        let (code, said, complained) = finished(&mut command);
        assert_eq!(code, 1, "{said}{complained}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.first(), Some(&"fail"), "{said}");
        assert!(lines.iter().any(|line| line.contains(" defect at ")), "{said}");
        assert_eq!(said.contains(" mm)"), !scale.is_empty(), "{said}");
        ::platform::test_support::keep_pdf(&std::fs::read(&pdf).unwrap());
        std::fs::remove_file(&pdf).unwrap();
    }
    let (id, secret) = create_client(&data);
    let mut as_client = station(&platform.url);
    as_client.env("CHIPQ_CLIENT_ID", id).env("CHIPQ_CLIENT_SECRET", secret);
    let (code, said, complained) = finished(as_client.args([&pair.golden, &pair.test]));
    assert_eq!((code, said.lines().next()), (1, Some("fail")), "{said}{complained}");
    let (code, _, complained) = finished(as_client.args(["--station", "AOI-2"]));
    assert!(code == 69 && complained.starts_with("station: 403: you are limited"), "{complained}");

    let manifest = folder.path().join("boards/manifest.json");
    let mut refused = station(&platform.url);
    let (code, _, complained) = finished(refused.args([&pair.golden, &manifest]));
    assert_eq!(code, 69, "{complained}");
    assert!(complained.starts_with("station: 415: the upload is neither"), "{complained}");
    let mut unknown = station(&platform.url);
    let (code, _, complained) =
        finished(unknown.env("CHIPQ_PASSWORD", "else").args([&pair.golden, &pair.test]));
    assert_eq!((code, &*complained), (69, "station: 400: user name or password is wrong\n"));
    platform.stop();
}
