//! The command line. Every subcommand's arguments are one struct; nothing here does any work.

mod access;
mod arguments;
mod audit;
mod bench;
mod keys;
mod model;
mod projections;
mod token;
mod topics;
mod variables;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use platform::telemetry::TelemetryConfig;

pub(crate) use access::{
    AccountsCommand, ChangePrincipalArgs, ChangeReachArgs, ChangeRoleArgs, ClaimArgs,
    ClaimCodeArgs, ClientsCommand, CreateAccountArgs, CreateClientArgs, ListPrincipalsArgs,
    PasswordArgs, PublicKeyArgs, ReplacePasswordArgs, RotateSecretArgs,
};
pub(crate) use arguments::{
    DemoArgs, EvaluateArgs, GenerateBoardsArgs, InspectArgs, PhotographUnits, RebuildArgs, UpArgs,
    VerifyArgs,
};
pub(crate) use audit::{
    AuditCommand, AuditKeyArgs, AuditRejudgeArgs, AuditReplayArgs, AuditTrailArgs, CheckAuditArgs,
    ExportAuditArgs, NamedNetwork, NewOriginArgs, ProveAuditArgs, VerifyAuditArgs,
};
pub(crate) use bench::{
    BenchArgs, BenchCommand, BenchGrowthArgs, BenchLogArgs, BenchPairsArgs, BenchPeerArgs,
    BenchRelayArgs, BenchSignInsArgs, BenchTokensArgs, BenchTritonArgs, BenchWorkersArgs,
};
pub(crate) use keys::{
    AdoptKeysArgs, InitKeysArgs, KeysCommand, ListKeysArgs, RetireKeyArgs, RotateKeyArgs,
};

pub(crate) use model::{
    CompareModelsArgs, FixedSetArgs, LoadModelArgs, ModelCommand, ModelServerArgs, RouteModelArgs,
    UnloadModelArgs,
};
pub(crate) use projections::{
    DecisionArgs, DiscardStreamArgs, ProjectionsCommand, RepairHistoryArgs, RetryStreamArgs,
};
pub(crate) use token::{TokenArgs, TokenPrincipalArgs};
pub(crate) use topics::{ListTopicsArgs, ResendTopicArgs, TopicsCommand};

use crate::installation::InstallationArgs;
use crate::roles;

const EXAMPLES: &str = "\
Examples:
  chipq demo                         see it work: boards in, verdicts and reports out
  chipq demo --boards DeepPCB/       the same with real boards
  chipq up                           the whole platform on http://127.0.0.1:8080
  chipq inspect golden.png test.png  one board, no server

Exit codes: 0 done; 64 the command line is wrong; 65 a file holds something else; 66 a file cannot be
read; 69 something that is needed is missing or does not answer; 70 anything else; 73 a file cannot be
written; 128 and the number of the signal that interrupted it. `inspect` exits with the judgement: 0 pass, 1 fail, 2 review; `model compare` and `model route`
exit with 1 when the version is worse, `audit trail` when nothing is what was searched for.";

/// Chip Quality Platform: pictures of boards in, verdicts that can be proved out.
#[derive(Debug, Parser)]
#[command(name = "chipq", version = env!("CHIPQ_VERSION"), after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Threads that work on requests and events; by default as many as the machine has cores. Comparing
    /// pictures has its own.
    #[arg(long, env = "TOKIO_WORKER_THREADS", global = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    #[command(flatten, next_help_heading = "Logging")]
    pub(crate) telemetry: TelemetryConfig,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What `arguments`, the program's name before them, and the variables of this process ask for.
    ///
    /// # Errors
    /// When they are wrong, and when they ask for help: what to print then.
    pub(crate) fn from_arguments(arguments: &[OsString]) -> Result<Self, clap::Error> {
        // Before variables that are empty lose their names.
        let named = Self::command();
        variables::with_variables(Self::command())
            .try_get_matches_from(arguments)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|refusal| variables::name_variables(refusal, &named, arguments))
    }
}

#[allow(clippy::enum_variant_names, reason = "a role is called as its service is")]
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole platform in one process.
    #[command(after_help = "\
Examples:
  chipq up
  chipq up --listen 127.0.0.1:9000 --data ./chipq-data
  CHIPQ_DATABASE_URL=postgres://chipq@db/chipq chipq up --listen 0.0.0.0:8080")]
    Up(UpArgs),
    /// Start everything, push a lot of boards through the public API, show verdicts and reports.
    #[command(after_help = "\
Examples:
  chipq demo                          24 generated boards, then keeps serving until Ctrl-C
  chipq demo --once --count 6         the same in short, and exits
  chipq demo --boards DeepPCB/        every pair of DeepPCB/manifest.json

Exits with 1 when a board was not judged.")]
    Demo(DemoArgs),
    /// Role: commands over REST.
    CommandApi(roles::CommandApiArgs),
    /// Role: GraphQL, REST reads and report PDFs.
    QueryApi(roles::QueryApiArgs),
    /// Role: builds the read models and reports from the event log.
    Projectors(roles::ProjectorsArgs),
    /// Role: compares uploaded pictures with their golden samples.
    InferenceWorker(roles::InferenceWorkerArgs),
    /// Role: sends the event log to Kafka.
    Relay(roles::RelayArgs),
    /// Role: retires pictures whose retention period is over, and deletes their files.
    PictureRetention(roles::PictureRetentionArgs),
    /// Role: builds the tree that proves the event log, and signs its heads.
    LogProof(roles::LogProofArgs),
    /// Bring the database to the newest shape.
    Migrate(InstallationArgs),
    /// Build a read model again from the event log while the old one serves, then swap.
    #[command(after_help = "\
Examples:
  chipq rebuild yield
  chipq rebuild reports --expect-identical   fail when the result differs from what serves")]
    Rebuild(RebuildArgs),
    /// Look after the read models: how far they are, and the streams that they could not take.
    #[command(subcommand)]
    Projections(ProjectionsCommand),
    /// Look after the topics of Kafka that the relay sends to.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Keep the accounts of people: who may do what, and where.
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// Keep the clients of stations and other machines, and their secrets.
    #[command(subcommand)]
    Clients(ClientsCommand),
    /// Print an access token of a platform that serves, for curl and scripts.
    #[command(after_help = "\
Examples:
  TOKEN=$(chipq token --client aoi-1 --secret-file aoi-1.secret)
  TOKEN=$(CHIPQ_CLIENT_SECRET=chipq_secret_… chipq token --client aoi-1 --url http://chipq.example:8080)
  chipq token --account ada

It is good for 15 minutes. A secret is never an argument.")]
    Token(TokenArgs),
    /// Keep the keys that tokens, upload URLs and cursors are signed with.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check that every read model equals a rebuild from the event log.
    #[command(after_help = "Exits with 1 and names the differences when one does not.")]
    Verify(VerifyArgs),
    /// Answer what an auditor asks of the event log, and prove it to somebody who does not trust its database.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Run the shipped pipeline over labelled pairs and write its predictions.
    #[command(after_help = "\
Examples:
  chipq evaluate --manifest DeepPCB/manifest.json --split test --out predictions.jsonl
  chipq evaluate --manifest DeepPCB/manifest.json --repaired --out p.jsonl   count false calls
  chipq evaluate --manifest own/manifest.json --weights tuned.onnx --out p.jsonl")]
    Evaluate(EvaluateArgs),
    /// Inspect one board against its golden sample, without any server.
    #[command(after_help = "\
Examples:
  chipq inspect golden.png test.png
  chipq inspect golden.png test.png --json --annotate found.png
  chipq inspect golden.png test.png --keep-out 0,0,200,40 --accepted good-1.png --accepted good-2.png

Exits with the judgement: 0 pass, 1 fail, 2 review. Errors exit with 64 and above.")]
    Inspect(InspectArgs),
    /// Write generated boards with known defects, in DeepPCB's layout; photographs of bare boards too.
    #[command(after_help = "\
Examples:
  chipq generate-boards --count 100 --seed 7 --out boards/
  chipq generate-boards --photographs other-pieces --accepted 5 --count 8 --units-per-design 8 --out photographs/")]
    GenerateBoards(GenerateBoardsArgs),
    /// Load, compare, route and unload versions of the network.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure what this machine makes of the platform, against the goals.
    #[command(after_help = "\
Examples:
  chipq bench
  chipq bench --seconds 60 --events 100000 --json
  chipq bench pairs
  chipq bench triton --engine grpc://127.0.0.1:8001

It starts a private platform in a temporary folder and needs a quiet machine for fair figures.")]
    Bench(BenchArgs),
    /// Print what a shell needs to complete what is typed behind `chipq`.
    #[command(after_help = "\
Examples:
  source <(chipq completions bash)
  chipq completions fish > ~/.config/fish/completions/chipq.fish

`make install` puts them where the shells look.")]
    Completions {
        /// The shell that completes.
        shell: Shell,
    },
    /// Write a manual page for `chipq` and for each of its subcommands.
    #[command(after_help = "\
Example:
  chipq manual-pages man1 && man ./man1/chipq-inspect.1

`make install` puts them where `man` looks.")]
    ManualPages {
        /// Where to write them; it is made when it is missing.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// End what a run that was killed left in its temporary folder, and remove that; run by its guard.
    #[command(hide = true)]
    RemoveAbandoned {
        /// The folder.
        folder: PathBuf,
    },
}

impl Command {
    /// Whether it works on a database that somebody has configured, and not on a private one.
    pub(crate) fn has_configured_database(&self) -> bool {
        let foundation = match self {
            // A role has no private database.
            Self::CommandApi(_)
            | Self::QueryApi(_)
            | Self::Projectors(_)
            | Self::InferenceWorker(_)
            | Self::Relay(_)
            | Self::PictureRetention(_)
            | Self::LogProof(_) => return true,
            Self::Token(_)
            | Self::Evaluate(_)
            | Self::Inspect(_)
            | Self::GenerateBoards(_)
            | Self::Bench(_)
            | Self::Completions { .. }
            | Self::ManualPages { .. }
            | Self::RemoveAbandoned { .. } => return false,
            Self::Up(args) => &args.installation.foundation,
            Self::Demo(args) => &args.foundation,
            Self::Migrate(args) => &args.foundation,
            Self::Rebuild(args) => &args.installation.foundation,
            Self::Verify(args) => &args.installation.foundation,
            Self::Projections(command) => &command.installation().foundation,
            Self::Topics(command) => &command.installation().foundation,
            Self::Accounts(command) => &command.installation().foundation,
            Self::Clients(command) => &command.installation().foundation,
            Self::Keys(command) => match command.installation() {
                Some(installation) => &installation.foundation,
                None => return false,
            },
            Self::Audit(command) => match command.installation() {
                Some(installation) => &installation.foundation,
                None => return false,
            },
            Self::Model(command) => &command.server().installation.foundation,
        };
        foundation.database.url().is_some()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
