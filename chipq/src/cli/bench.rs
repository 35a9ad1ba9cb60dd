//! The arguments of `chipq bench`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use inference::engine::{EngineUrl, TritonConfig};
use relay::RelayConfig;

/// `chipq bench`
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    /// Something else than the platform as a whole.
    #[command(subcommand)]
    pub(crate) what: Option<BenchCommand>,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    /// Boards offered per second, whether or not the platform keeps up.
    #[arg(long, default_value_t = 5.0, value_name = "RATE")]
    #[arg(value_parser = parse_rate)]
    pub(crate) boards_per_second: f64,
    /// How long boards are offered.
    #[arg(long, default_value_t = 20, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Commands that are timed one by one.
    #[arg(long, default_value_t = 300, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) commands: usize,
    /// Events that a follower is timed on.
    #[arg(long, default_value_t = 300, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) follow: usize,
    /// Synthetic events that the read models are rebuilt from.
    #[arg(long, default_value_t = 30_000, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000_000))]
    pub(crate) events: usize,
    /// Seconds without work before memory is measured.
    #[arg(long, default_value_t = 5, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) idle_seconds: u64,
}

/// What else can be measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BenchCommand {
    /// What work costs when years of it are there already.
    #[command(after_help = "\
Examples:
  chipq bench growth --events 100000
  chipq bench growth --events 10000000 --rounds 5

Needs wrk on the PATH. One event takes some 2.5 kB of disk with its read models: ten million of them 25 GB, in the
folder for temporary files (TMPDIR). The goals are 0.8 times the rate on an empty database, and a start within 2 s.")]
    Growth(BenchGrowthArgs),
    /// The event log against what its database can do, and what subscribers cost.
    #[command(after_help = "\
Examples:
  chipq bench log
  chipq bench log --seconds 20 --rounds 5

Durable appends by 32 writers are held against pgbench with as many clients, in turns: the goal is 0.7 times its rate.
A follower of 1,000 events a second is to have each within 20 ms (p99), and 50 subscribers of 100 events a second cost a
fifth of a core at most.")]
    Log(BenchLogArgs),
    /// Pairs a second on one core, from two files' bytes to findings, and where the time goes.
    #[command(after_help = "\
Examples:
  chipq bench pairs
  chipq bench pairs --manifest DIR/manifest.json --split trainval
  chipq bench pairs --panel 16384

The embedded engine computes on one thread; nothing else does. The goals are 62 pairs a second, what the
reference reaches on a GPU (Tang et al. 2019), and 16 MiB for the pair that is under way.")]
    Pairs(BenchPairsArgs),
    /// The platform against a Python service that does the same work, on the same PostgreSQL server.
    #[command(after_help = "\
Examples:
  python3 -m venv peer-venv && peer-venv/bin/pip install -r chipq/lab/peers/fastapi/requirements.txt
  chipq bench peer --python peer-venv/bin/python
  chipq bench peer --python peer-venv/bin/python --connections 1,16,64 --seconds 10 --rounds 9

Needs wrk on the PATH (the package wrk of Debian and Ubuntu), which sends commands with fresh keys and reads of the
newest page to both in turns; one request that is refused or not answered ends the run. Where pgbench is installed,
the rate of one-row commits on the same server is measured beside them, as a limit. The goals are 6 times the peer's
rate from 64 connections on, and 1 ms for a command on a connection alone.")]
    Peer(BenchPeerArgs),
    /// The relay to Kafka against a bare read of the log, and against Kafka's own producer; and how soon consumers have it.
    #[command(after_help = "\
Examples:
  chipq bench relay --kafka 'kafka://127.0.0.1:29092?topics=inspection'
  chipq bench relay --kafka 'kafka://127.0.0.1:29092?topics=inspection' --kafka-script deploy/kafka-broker

The topics that it makes stay in Kafka. The goals are half the rate of a bare read, as much as ProducerPerformance with
records of the same size, and 100 ms (p99) from an append to a consumer at 1,000 events a second.")]
    Relay(BenchRelayArgs),
    /// What believing a token costs a request.
    Tokens(BenchTokensArgs),
    /// Crops a second of the worker through Triton, against Triton's own load generator.
    #[command(after_help = "\
Examples:
  chipq bench triton --engine grpc://127.0.0.1:8001 \\
      --perf-analyzer $(deploy/ensure-triton --with-perf-analyzer)/bin/perf_analyzer

Both are swept over batch sizes and requests in flight; the best setting of each is measured again in
turns. The goal is a ratio of 0.9.")]
    Triton(BenchTritonArgs),
    /// What those who sign in cost the commands of everybody else.
    #[command(after_help = "\
Examples:
  chipq bench sign-ins
  chipq bench sign-ins --per-second 20 --rounds 9

Commands are sent one after the other, alone and beside sign-ins, in turns. The goal is that the slowest of a
hundred takes at most half as long again.")]
    SignIns(BenchSignInsArgs),
    /// Boards a second as workers are added, and what becomes of the share of one that is killed.
    #[command(after_help = "\
Examples:
  chipq bench workers
  chipq bench workers --engine grpc://127.0.0.1:8001 --lease-ms 10000 --boards 1200

Exits with 1 when a board was not judged exactly once.")]
    Workers(BenchWorkersArgs),
}

/// `chipq bench growth`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchGrowthArgs {
    /// Events that there are before anything is measured.
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) events: u64,
    /// The folder of the scripts that wrk runs.
    #[arg(long, default_value = "chipq/lab/peers", value_name = "DIR")]
    pub(crate) peers: PathBuf,
    /// Seconds that each platform is asked at a time.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// How often everything is measured, in turns.
    #[arg(long, default_value_t = 3, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq bench log`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchLogArgs {
    /// Seconds that each is measured at a time.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// How often appends and commits are measured, in turns.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq bench relay`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchRelayArgs {
    /// Synthetic events that are sent in each round.
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000_000))]
    pub(crate) events: usize,
    /// How often all of them are read, sent, and sent by the producer, in turns.
    #[arg(long, default_value_t = 3, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// For how long 1,000 events a second are appended.
    #[arg(long, default_value_t = 20, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// The script that runs Kafka's own programs: deploy/kafka-broker.
    #[arg(long, value_name = "PATH")]
    pub(crate) kafka_script: Option<PathBuf>,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) relay: RelayConfig,
}

/// `chipq bench pairs`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchPairsArgs {
    /// At most so many pairs.
    #[arg(long, default_value_t = 200, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) pairs: u32,
    /// A manifest.json in DeepPCB's layout, instead of generated boards of 640 × 640 pixels.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The manifest's pairs of this split.
    #[arg(long, default_value = "trainval", value_name = "NAME")]
    pub(crate) split: String,
    /// One generated panel of so many pixels a side, instead of pairs.
    #[arg(long, value_name = "SIDE", conflicts_with = "manifest",
          value_parser = clap::value_parser!(u32).range(640..=16_384))]
    pub(crate) panel: Option<u32>,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq bench peer`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchPeerArgs {
    /// A Python that has what the peer requires.
    #[arg(long, default_value = "python3", value_name = "PATH")]
    pub(crate) python: PathBuf,
    /// The folder of the peer and of the scripts that wrk runs.
    #[arg(long, default_value = "chipq/lab/peers", value_name = "DIR")]
    pub(crate) peers: PathBuf,
    /// Connections that requests come on.
    #[arg(long, value_delimiter = ',', default_value = "1,64", value_name = "N,N",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) connections: Vec<u32>,
    /// Seconds that each service is asked at a time.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// How often everything is measured, in turns.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq bench sign-ins`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchSignInsArgs {
    /// Sign-ins that are offered per second, whether or not the platform keeps up.
    #[arg(long, default_value_t = 50.0, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) per_second: f64,
    /// Seconds that commands are sent alone, and beside sign-ins, in every round.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// How often both are done, in turns.
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq bench tokens`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchTokensArgs {
    /// So many tokens; no more are kept as known.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=2_000))]
    pub(crate) tokens: usize,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq bench triton`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchTritonArgs {
    /// The Triton server, grpc://HOST:8001; it must serve the shipped model.
    #[arg(long, env = "CHIPQ_ENGINE", value_name = "URL")]
    pub(crate) engine: EngineUrl,
    /// Triton's load generator; perf_analyzer on the PATH by default.
    #[arg(long, env = "CHIPQ_PERF_ANALYZER", value_name = "PATH")]
    pub(crate) perf_analyzer: Option<PathBuf>,
    /// Seconds that every setting is measured.
    #[arg(long, default_value_t = 3, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// How often the best settings are measured in turns.
    #[arg(long, default_value_t = 21, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Crops per request.
    #[arg(long, value_delimiter = ',', default_value = "8,16,32", value_name = "N,N",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch_sizes: Vec<u32>,
    /// Requests under way.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,8", value_name = "N,N",
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: Vec<u32>,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Triton")]
    pub(crate) triton: TritonConfig,
}

/// `chipq bench workers`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchWorkersArgs {
    /// Where the workers compare: embedded:, or a Triton server at grpc://HOST:8001.
    #[arg(long, env = "CHIPQ_ENGINE", default_value = "embedded:", value_name = "URL")]
    pub(crate) engine: EngineUrl,
    /// Boards in every round.
    #[arg(long, default_value_t = 600, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) boards: usize,
    /// Numbers of workers to measure.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4", value_name = "N,N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub(crate) workers: Vec<usize>,
    /// How often each number is measured, in turns.
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// Milliseconds that a lease lasts.
    #[arg(long, default_value_t = 3_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub(crate) lease_ms: u64,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// So many a second.
fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.01..=10_000.0).contains(rate));
    rate.ok_or_else(|| "write a number from 0.01 to 10000".to_owned())
}
