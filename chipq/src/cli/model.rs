//! The arguments of `chipq model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::Sha256;
use inference::engine::{EngineUrl, TritonConfig};

use crate::installation::InstallationArgs;

/// `chipq model`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ModelCommand {
    /// Show every version that is served, which one is routed to, since when, by whom and why.
    #[command(after_help = "\
Examples:
  chipq model list --engine grpc://127.0.0.1:8001
  chipq model list --engine grpc://127.0.0.1:8001 --json

Counting the inspections that are open on each version reads the whole event log.")]
    List(ListModelsArgs),
    /// Load a version beside those that serve, and try every batch size on it.
    #[command(after_help = "\
Examples:
  chipq model load 2 --engine grpc://127.0.0.1:8001
  chipq model load 2 --engine grpc://127.0.0.1:8001 --sha256 $(sha256sum < model.onnx | cut -d' ' -f1)

Put the version's folder into the model repository first, and declare its digest: docs/models.md.
Nothing is routed to it. When it does not load, those that serve go on serving; exits with 65 when the
version cannot be used, 69 when the server does not answer.")]
    Load(LoadModelArgs),
    /// Hold a version against the one routed to, on a fixed set of boards; changes nothing.
    #[command(after_help = "\
Examples:
  chipq model compare 2 --engine grpc://127.0.0.1:8001
  chipq model compare 2 --engine grpc://127.0.0.1:8001 --boards DeepPCB/ --json

Exits with 1 when the version is worse.")]
    Compare(CompareModelsArgs),
    /// Compare a version with the one routed to, and let new inspections use it.
    #[command(after_help = "\
Examples:
  chipq model route 2 --engine grpc://127.0.0.1:8001 --reason \"finds pin-holes that 1 missed\"
  chipq model route 1 --engine embedded: --reason \"back to the shipped model\" --accept-differences

A version is worse when it passes a board with labelled defects that the other does not pass
(defective-boards-pass), finds fewer labelled defects (fewer-defects-found) or calls more defects where
none is labelled (more-false-calls). It is then not routed to, and the exit code is 1, unless
--accept-differences says that this is known. Inspections that have a result keep their version.")]
    Route(RouteModelArgs),
    /// Take a version out of service.
    #[command(after_help = "\
Examples:
  chipq model unload 1 --engine grpc://127.0.0.1:8001
  chipq model unload 1 --engine grpc://127.0.0.1:8001 --force \"line 3 is scrapped\"

Refused while the version is routed to, or the last one that serves. Refused while inspections that have a
result of it are open, unless --force says why: their other pictures then go to review.")]
    Unload(UnloadModelArgs),
}

impl ModelCommand {
    /// Where the models are.
    pub(super) const fn server(&self) -> &ModelServerArgs {
        match self {
            Self::List(args) => &args.server,
            Self::Load(args) => &args.server,
            Self::Compare(args) => &args.server,
            Self::Route(args) => &args.server,
            Self::Unload(args) => &args.server,
        }
    }
}

/// Where models and the record of their routing are.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelServerArgs {
    /// The models: embedded: or a Triton server, grpc://HOST:8001.
    #[arg(long, env = "CHIPQ_ENGINE", default_value = "embedded:", value_name = "URL")]
    pub(crate) engine: EngineUrl,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
    #[command(flatten, next_help_heading = "Triton")]
    pub(crate) triton: TritonConfig,
}

/// The boards that models are compared on.
#[derive(Debug, Clone, Args)]
pub(crate) struct FixedSetArgs {
    /// Folder with a DeepPCB-style manifest.json to compare on; generated boards by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) boards: Option<PathBuf>,
    /// Generated boards with defects, 3 to 12 each.
    #[arg(long, default_value_t = 48, value_name = "N", conflicts_with = "boards",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) flawed: u32,
    /// Generated boards without any defect.
    #[arg(long, default_value_t = 16, value_name = "N", conflicts_with = "boards",
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) clean: u32,
    /// Generated photographs of boards with defects, up to 8 each.
    #[arg(long, default_value_t = 12, value_name = "N", conflicts_with = "boards",
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) photographs: u32,
}

/// `chipq model list`
#[derive(Debug, Clone, Args)]
pub(crate) struct ListModelsArgs {
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ModelServerArgs,
}

/// `chipq model load`
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadModelArgs {
    /// The version: the name of its folder, such as 2.
    #[arg(value_parser = parse_version)]
    pub(crate) version: String,
    /// SHA-256 that the version's model.onnx must have; by default the one that the server's
    /// config.pbtxt declares.
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<Sha256>,
    #[command(flatten)]
    pub(crate) server: ModelServerArgs,
}

/// `chipq model compare`
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareModelsArgs {
    /// The version: the name of its folder, such as 2.
    #[arg(value_parser = parse_version)]
    pub(crate) version: String,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Boards to compare on")]
    pub(crate) set: FixedSetArgs,
    #[command(flatten)]
    pub(crate) server: ModelServerArgs,
}

/// `chipq model route`
#[derive(Debug, Clone, Args)]
pub(crate) struct RouteModelArgs {
    /// The version: the name of its folder, such as 2.
    #[arg(value_parser = parse_version)]
    pub(crate) version: String,
    /// Why; it is kept with the routing for ever.
    #[arg(long, value_name = "TEXT", value_parser = parse_text)]
    pub(crate) reason: String,
    /// Who routes; by default the account that this command runs in.
    #[arg(long, env = "CHIPQ_ACTOR", value_name = "NAME", value_parser = parse_text)]
    pub(crate) actor: Option<String>,
    /// Route to it although it is worse, or cannot be compared.
    #[arg(long)]
    pub(crate) accept_differences: bool,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Boards to compare on")]
    pub(crate) set: FixedSetArgs,
    #[command(flatten)]
    pub(crate) server: ModelServerArgs,
}

/// `chipq model unload`
#[derive(Debug, Clone, Args)]
pub(crate) struct UnloadModelArgs {
    /// The version: the name of its folder, such as 1.
    #[arg(value_parser = parse_version)]
    pub(crate) version: String,
    /// Unload it although inspections are open on it, and why.
    #[arg(long, value_name = "WHY", value_parser = parse_text)]
    pub(crate) force: Option<String>,
    #[command(flatten)]
    pub(crate) server: ModelServerArgs,
}

/// Triton's versions are positive numbers without leading zeros.
fn parse_version(text: &str) -> Result<String, String> {
    let number = text.parse::<i64>().ok().filter(|number| *number > 0);
    match number {
        Some(number) if number.to_string() == text => Ok(number.to_string()),
        _ => Err("a version is a number from 1, such as 2".to_owned()),
    }
}

/// Text that says something.
pub(super) fn parse_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    // As the API refuses them: what is kept for ever is shown on terminals.
    if text.chars().any(char::is_control) {
        return Err("must consist of printable characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_what_triton_calls_its_folder() {
        assert_eq!(parse_version("2"), Ok("2".to_owned()));
        for wrong in ["", "0", "-1", "02", "+2", "v2", "1.0", "99999999999999999999"] {
            assert!(parse_version(wrong).is_err(), "{wrong}");
        }
        assert!(parse_text(" \t").is_err());
        assert!(parse_text("a\u{1b}[2J").is_err() && parse_text("two\nlines").is_err());
    }
}
