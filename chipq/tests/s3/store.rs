//! A store of the test's own, on free ports of loopback. `deploy/s3-store` runs it; what it keeps stays through a kill
//! and a restart.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::platform::test_support::free_port;

use crate::server_process::ServerProcess;

/// How long it may take to serve: it takes seconds where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const KEY: &str = "chipq-test";
/// May read, and nothing else.
pub(crate) const READER: &str = "chipq-reader";
pub(crate) const SECRET: &str = "a-secret-of-this-test";
/// By which the store is known when it notifies.
pub(crate) const NOTIFICATION_SECRET: &str = "a-shared-secret-of-this-test";
pub(crate) const BUCKET: &str = "pictures";

pub(crate) struct S3Store {
    folder: PathBuf,
    port: u16,
    internal: String,
    notify: Option<String>,
    https: Option<Https>,
    process: ServerProcess,
}

/// The same store by https.
#[derive(Clone)]
struct Https {
    port: u16,
    /// Its key and its certificates.
    pem: PathBuf,
}

/// Whether there is a store to test with; says so when there is none.
pub(crate) fn is_installed() -> bool {
    let is_named = std::env::var_os("CHIPQ_SEAWEEDFS").is_some_and(|weed| !weed.is_empty());
    if !is_named {
        eprintln!(
            "SKIPPED: CHIPQ_SEAWEEDFS is not set; run: CHIPQ_SEAWEEDFS=$(deploy/ensure-seaweedfs)"
        );
    }
    is_named
}

impl S3Store {
    /// Makes one in `folder` with an empty bucket, and waits until it serves.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_as(folder, None, None)
    }

    /// The same, and by https, too, with the key and the certificates in `pem`.
    pub(crate) fn start_https(folder: &Path, pem: &Path) -> Self {
        let https = Https { port: free_port(), pem: pem.to_owned() };
        Self::start_as(folder, None, Some(https))
    }

    /// The same, and it tells `notify` of what arrives.
    pub(crate) fn start_notifying(folder: &Path, notify: Option<String>) -> Self {
        Self::start_as(folder, notify, None)
    }

    fn start_as(folder: &Path, notify: Option<String>, https: Option<Https>) -> Self {
        let port = free_port();
        let internal = [(); 7].map(|()| free_port().to_string()).join(",");
        let process = launch((folder, port), &internal, notify.as_deref(), https.as_ref());
        let folder = folder.to_owned();
        let mut store = Self { folder, port, internal, notify, https, process };
        store.until_it_serves();
        let made = script(&["bucket", BUCKET, "--port", &port.to_string()]).status().unwrap();
        assert!(made.success());
        store
    }

    /// After [`Self::kill`].
    pub(crate) fn start_again(&mut self) {
        let (at, notify) = ((&*self.folder, self.port), self.notify.as_deref());
        self.process = launch(at, &self.internal, notify, self.https.as_ref());
        self.until_it_serves();
    }

    /// Until an object can be written: the gateway serves before the volumes do.
    fn until_it_serves(&mut self) {
        let url = format!("http://127.0.0.1:{}/healthz", self.port);
        let asks = || Command::new("curl").args(["-sf", &url]).output().unwrap().status.success();
        self.process.until_it_serves(PATIENCE, |said| said.contains("Volume server") && asks());
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets it answer nothing any more: connections are still taken.
    pub(crate) fn stall(&self) {
        self.process.stall();
    }

    /// After [`Self::stall`].
    pub(crate) fn resume(&self) {
        self.process.resume();
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the pictures in it, by https.
    pub(crate) fn https_url(&self) -> String {
        let port = self.https.as_ref().unwrap().port;
        format!("s3://{BUCKET}/line-1?endpoint=https://127.0.0.1:{port}")
    }

    /// The URL of the pictures in it.
    pub(crate) fn url(&self) -> String {
        format!("s3://{BUCKET}/line-1?endpoint=http://127.0.0.1:{}", self.port)
    }
}

/// What a platform has to know to use `url`.
pub(crate) fn environment(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("CHIPQ_ARTIFACT_STORE_URL", url),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("CHIPQ_STORE_NOTIFICATION_SECRET", NOTIFICATION_SECRET),
    ]
}

fn launch(
    (folder, port): (&Path, u16),
    internal: &str,
    notify: Option<&str>,
    https: Option<&Https>,
) -> ServerProcess {
    let mut run = script(&["run"]);
    run.arg(folder).args(["--port", &port.to_string(), "--internal-ports", internal]);
    run.args(["--read-only", READER]);
    if let Some(url) = notify {
        run.args(["--notify", url]);
    }
    if let Some(Https { port, pem }) = https {
        run.arg("--https").arg(format!("{port},{}", pem.display()));
    }
    ServerProcess::launch(&mut run, &folder.with_extension("log"))
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/s3-store"));
    command.args(arguments).env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
    command.env("CHIPQ_STORE_NOTIFICATION_SECRET", NOTIFICATION_SECRET);
    command
}
