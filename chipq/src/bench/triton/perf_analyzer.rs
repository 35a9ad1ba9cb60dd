//! Triton's own load generator, run as a program; its CSV is read, not its words.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::inspection::ModelIdentity;
use serde::Serialize;
use tokio::process::Command;

use crate::failure::{Failure, exit};
use crate::temporary::TemporaryFolder;

/// perf_analyzer measures in windows and reports over the last three.
const WINDOWS: u32 = 3;
/// In per cent: what it takes for stable. So large that it never measures on until the load suits it.
const STABLE_WITHIN: &str = "999";
/// The name of the input tensor, which the file with its content has to bear.
const INPUT: &str = "crops";

/// How perf_analyzer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct PerfSetting {
    /// Crops per request.
    pub(super) batch: u32,
    /// Requests under way.
    pub(super) concurrency: u32,
}

impl fmt::Display for PerfSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {} x concurrency {}", self.batch, self.concurrency)
    }
}

pub(super) struct PerfAnalyzer {
    program: PathBuf,
    address: String,
    model: ModelIdentity,
    folder: TemporaryFolder,
}

impl PerfAnalyzer {
    /// The program at `program`, to ask `model` at `url` with `crop` (little-endian floats).
    pub(super) fn new(
        program: PathBuf,
        url: &str,
        model: &ModelIdentity,
        crop: &[u8],
    ) -> anyhow::Result<Self> {
        let Some(address) = url.strip_prefix("grpc://") else {
            bail!("perf_analyzer is run without TLS only; name the server as grpc://HOST:PORT");
        };
        let folder = TemporaryFolder::new("perf-analyzer")?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::write(data.join(INPUT), crop)?;
        let (address, model) = (address.to_owned(), model.clone());
        Ok(Self { program, address, model, folder })
    }

    /// What it calls itself.
    pub(super) async fn program_version(&self) -> anyhow::Result<String> {
        let output = self.run(Command::new(&self.program).arg("--version")).await?;
        // 2.51 says it on standard error.
        let said = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&said).trim().replace('\n', " "))
    }

    /// Crops a second over about `window`.
    pub(super) async fn measure_throughput(
        &self,
        setting: PerfSetting,
        window: Duration,
    ) -> anyhow::Result<f64> {
        let csv = self.folder.path().join("out.csv");
        // What an earlier run wrote is not to be taken for this one's.
        let _ = std::fs::remove_file(&csv);
        let mut command = Command::new(&self.program);
        command
            .args(["-m", &self.model.name, "-x", &self.model.version])
            .args(["-u", &self.address, "-i", "grpc"])
            .args(["-b", &setting.batch.to_string()])
            .args(["--concurrency-range", &setting.concurrency.to_string()])
            .args(["-p", &(window / WINDOWS).as_millis().to_string()])
            .args(["-r", &WINDOWS.to_string(), "-s", STABLE_WITHIN])
            .arg("--input-data")
            .arg(self.folder.path().join("data"))
            .arg("-f")
            .arg(&csv);
        let output = self.run(&mut command).await?;
        read(&csv).with_context(|| {
            let said = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
            format!("perf_analyzer measured nothing; it said: {said}")
        })
    }

    async fn run(&self, command: &mut Command) -> anyhow::Result<Output> {
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| explain_missing(&self.program, &error))?;
        if output.status.success() {
            return Ok(output);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', " ");
        bail!(
            "perf_analyzer ended with {}: {} {}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        )
    }
}

fn explain_missing(program: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format_args!("cannot run {}: {error}", program.display()),
        "install it with deploy/ensure-triton --with-perf-analyzer, which prints a folder; then name \
         its bin/perf_analyzer with --perf-analyzer",
        exit::UNAVAILABLE,
    )
}

/// The column "Inferences/Second" of the only line.
fn read(csv: &Path) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(csv)?;
    let mut lines = text.lines();
    let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let column = names.split(',').position(|name| name == "Inferences/Second");
    let value = column.and_then(|column| values.split(',').nth(column));
    value.and_then(|value| value.parse().ok()).context("its table has no Inferences/Second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_throughput_is_read_from_its_column_wherever_that_stands() {
        let folder = TemporaryFolder::new("test").unwrap();
        let csv = folder.path().join("out.csv");
        std::fs::write(&csv, "Concurrency,Inferences/Second,Client Send\n2,441.372,311\n").unwrap();
        assert_eq!(read(&csv).unwrap(), 441.372);
        std::fs::write(&csv, "Concurrency,Client Send\n2,311\n").unwrap();
        assert!(read(&csv).is_err());
        assert!(read(&folder.path().join("none")).is_err());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named_with_how_to_install_it() {
        let sha256 = domain::Sha256::digest_of(b"x");
        let model = ModelIdentity { name: "m".into(), version: "1".into(), sha256 };
        let program = PathBuf::from("/nowhere/perf_analyzer");
        let peer = PerfAnalyzer::new(program, "grpc://127.0.0.1:1", &model, &[]).unwrap();
        let failure = Failure::from_error(&peer.program_version().await.unwrap_err());
        assert!(failure.what.contains("/nowhere/perf_analyzer"), "{failure}");
        assert!(failure.next.contains("ensure-triton"), "{failure}");
    }
}
