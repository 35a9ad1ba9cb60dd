//! Consumers as others write them, on a broker of the test's own: librdkafka's, which shows records as they are on the
//! wire, and Java's with the CloudEvents SDK. `deploy/ensure-kafka-consumers` installs what they need.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a consumer is told, such as `("group.id", "a")`.
pub(crate) type Properties<'a> = [(&'a str, &'a str)];

pub(crate) struct Consumers {
    home: PathBuf,
}

impl Consumers {
    /// Those that `CHIPQ_KAFKA_CONSUMERS` names; says so when there are none.
    pub(crate) fn find() -> Option<Self> {
        let home = std::env::var_os("CHIPQ_KAFKA_CONSUMERS").filter(|home| !home.is_empty());
        if home.is_none() {
            eprintln!(
                "SKIPPED: CHIPQ_KAFKA_CONSUMERS is not set; run: \
                 CHIPQ_KAFKA_CONSUMERS=$(deploy/ensure-kafka-consumers)"
            );
        }
        Some(Self { home: home?.into() })
    }

    /// Every record of the topics that match, until none comes for some seconds, read and committed by librdkafka:
    /// `topic`, `partition`, `offset`, `timestamp_ms`, `key`, `headers` and `value`, texts as they are on the wire.
    pub(crate) fn read_records(
        &self,
        properties: &Properties<'_>,
        topics: &str,
        idle_seconds: u32,
    ) -> Vec<Value> {
        let mut command = self.python(Path::new("chipq/tests/kafka/read_records.py"));
        command.args(["--topics", topics, "--idle-seconds", &idle_seconds.to_string()]);
        command.args(properties.iter().map(|(name, value)| format!("{name}={value}")));
        lines_of(&mut command)
    }

    /// A script of this repository, such as the consumer of the documentation, with what it imports.
    pub(crate) fn python(&self, script: &Path) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut command = Command::new(self.home.join("venv/bin/python"));
        command.arg(root.join(script));
        command
    }

    /// Every event of the topics that match, until none comes for some seconds, by Java's CloudEvents SDK: its
    /// attributes by their names, `data`, and `topic`, `partition`, `offset` and `key`. `folder` is for its properties.
    pub(crate) fn read_events(
        &self,
        (folder, properties): (&Path, &Properties<'_>),
        topics: &str,
        idle_seconds: u32,
    ) -> Vec<Value> {
        let file = folder.join("consumer.properties");
        let lines = properties.iter().map(|(name, value)| format!("{name}={value}\n"));
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        let java = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
        let mut command = Command::new(java.as_deref().unwrap_or(Path::new("java")));
        let home = self.home.display();
        command.args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(format!("{home}/libs/*:{home}/classes")).arg("PrintEvents").arg(&file);
        lines_of(command.args([topics, &idle_seconds.to_string()]))
    }
}

/// The lines of JSON that a command prints, which must succeed.
fn lines_of(command: &mut Command) -> Vec<Value> {
    let output = command.output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {complained}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
