//! The arguments of `chipq accounts` and `chipq clients`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::{DisplayName, PartNumber, PrincipalName, Reach, Role, Station};

use super::DecisionArgs;
use crate::installation::InstallationArgs;

/// `chipq accounts`
#[derive(Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// Create an account for a person; asks for its password.
    #[command(after_help = "\
Examples:
  chipq accounts create ada --role engineer --display-name \"Ada Lovelace\" --reason \"joined the team\"
  chipq accounts create bob --role operator --station AOI-1 --station AOI-2 --reason \"line 2\"

Where standard input is no terminal, its first line is the password.")]
    Create(CreateAccountArgs),
    /// Show every account, and what it may do.
    List(ListPrincipalsArgs),
    /// Take all rights from an account; its tokens are worth nothing within seconds.
    Disable(ChangePrincipalArgs),
    /// Give an account its rights back.
    Enable(ChangePrincipalArgs),
    /// Let an account do something else.
    Role(ChangeRoleArgs),
    /// Let an account do so elsewhere.
    #[command(visible_alias = "scope")]
    Reach(ChangeReachArgs),
    /// Give an account another password; asks for it.
    Password(ReplacePasswordArgs),
    /// Become the first administrator, with the code that the platform printed when it started; asks for it.
    #[command(after_help = "\
Examples:
  chipq accounts claim --name ada --display-name \"Ada Lovelace\"
  chipq accounts claim --name ada --code-file code --password-file password

Where standard input is no terminal, its first line is the code and the next one the password.")]
    Claim(ClaimArgs),
    /// Print a new code to become the first administrator with, while there is none.
    ClaimCode(ClaimCodeArgs),
}

/// `chipq clients`
#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// Create a client for a station or another machine, and print its secret, once.
    #[command(after_help = "\
Examples:
  chipq clients create aoi-1 --role station --station AOI-1 --reason \"new on line 2\"
  chipq clients create mes --role auditor --reason \"the MES reads verdicts\" --json
  chipq clients create mes --role auditor --public-key mes.pem --reason \"its key never leaves it\"")]
    Create(CreateClientArgs),
    /// Show every client, and what it may do.
    List(ListPrincipalsArgs),
    /// Take all rights from a client; its tokens are worth nothing within seconds.
    Disable(ChangePrincipalArgs),
    /// Give a client its rights back.
    Enable(ChangePrincipalArgs),
    /// Let a client do something else.
    Role(ChangeRoleArgs),
    /// Let a client do so elsewhere.
    #[command(visible_alias = "scope")]
    Reach(ChangeReachArgs),
    /// Print another secret, once, or take another key; what it had before is worth nothing.
    Rotate(RotateSecretArgs),
}

impl AccountsCommand {
    /// Where the accounts are.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::Create(args) => &args.installation,
            Self::List(args) => &args.installation,
            Self::Disable(args) | Self::Enable(args) => &args.installation,
            Self::Role(args) => &args.principal.installation,
            Self::Reach(args) => &args.principal.installation,
            Self::Password(args) => &args.principal.installation,
            Self::Claim(args) => &args.installation,
            Self::ClaimCode(args) => &args.installation,
        }
    }
}

impl ClientsCommand {
    /// Where the clients are.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::Create(args) => &args.installation,
            Self::List(args) => &args.installation,
            Self::Disable(args) | Self::Enable(args) => &args.installation,
            Self::Role(args) => &args.principal.installation,
            Self::Reach(args) => &args.principal.installation,
            Self::Rotate(args) => &args.principal.installation,
        }
    }
}

/// Where somebody may do what the role allows.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReachArgs {
    /// A station it is limited to; again for each station of a line. Without any: every station.
    #[arg(long = "station", value_name = "STATION")]
    stations: Vec<Station>,
    /// A part it is limited to; again for each. Without any: every part.
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<PartNumber>,
}

impl ReachArgs {
    /// The reach.
    ///
    /// # Errors
    /// When it names too many.
    pub(crate) fn reach(&self) -> Result<Reach, domain::Invalid> {
        reach_of(&self.stations, &self.parts)
    }
}

fn reach_of(stations: &[Station], parts: &[PartNumber]) -> Result<Reach, domain::Invalid> {
    let stations: BTreeSet<_> = stations.iter().cloned().collect();
    Reach::new(stations, parts.iter().cloned().collect())
}

/// A key of the client, instead of a secret.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublicKeyArgs {
    /// A file with the client's public key (PEM; Ed25519, P-256, or RSA of 2,048 bits and more): it then signs
    /// assertions, and has no secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
}

/// Where a password comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct PasswordArgs {
    /// A file with the password in its first line, instead of being asked for it.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// `chipq accounts create`
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateAccountArgs {
    /// Its name: letters a to z, digits, and . _ @ - between them.
    pub(crate) name: PrincipalName,
    /// What it may do: operator, engineer, quality, auditor or admin.
    #[arg(long)]
    pub(crate) role: Role,
    /// The person's name as reports print it.
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<DisplayName>,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq clients create`
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateClientArgs {
    /// Its name, which is its client_id: letters a to z, digits, and . _ @ - between them.
    pub(crate) name: PrincipalName,
    /// What it may do: station, operator, engineer, quality, auditor or admin.
    #[arg(long)]
    pub(crate) role: Role,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    /// Print client_id and client_secret as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq accounts list`, `chipq clients list`
#[derive(Debug, Clone, Args)]
pub(crate) struct ListPrincipalsArgs {
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `disable`, `enable`, and what every other change needs, too: whose, why, and where.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangePrincipalArgs {
    /// Which.
    pub(crate) name: PrincipalName,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `role`
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangeRoleArgs {
    #[command(flatten)]
    pub(crate) principal: ChangePrincipalArgs,
    /// What it may do from now on: station, operator, engineer, quality, auditor or admin.
    pub(crate) role: Role,
}

/// `reach`
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangeReachArgs {
    #[command(flatten)]
    pub(crate) principal: ChangePrincipalArgs,
    /// A station it is limited to from now on; again for each station of a line.
    #[arg(long = "station", value_name = "STATION", required_unless_present = "every_station")]
    stations: Vec<Station>,
    /// It is not limited to stations from now on.
    #[arg(long, conflicts_with = "stations")]
    every_station: bool,
    /// A part it is limited to from now on; again for each.
    #[arg(long = "part", value_name = "PART", required_unless_present = "every_part")]
    parts: Vec<PartNumber>,
    /// It is not limited to parts from now on.
    #[arg(long, conflicts_with = "parts")]
    every_part: bool,
}

impl ChangeReachArgs {
    /// The reach.
    ///
    /// # Errors
    /// When it names too many.
    pub(crate) fn reach(&self) -> Result<Reach, domain::Invalid> {
        reach_of(&self.stations, &self.parts)
    }
}

/// `chipq clients rotate`
#[derive(Debug, Clone, Args)]
pub(crate) struct RotateSecretArgs {
    #[command(flatten)]
    pub(crate) principal: ChangePrincipalArgs,
    #[command(flatten)]
    pub(crate) key: PublicKeyArgs,
    /// Print client_id and client_secret as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chipq accounts password`
#[derive(Debug, Clone, Args)]
pub(crate) struct ReplacePasswordArgs {
    #[command(flatten)]
    pub(crate) principal: ChangePrincipalArgs,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// `chipq accounts claim`
#[derive(Debug, Clone, Args)]
pub(crate) struct ClaimArgs {
    /// A file with the code in its first line, instead of being asked for it.
    #[arg(long, value_name = "FILE")]
    pub(crate) code_file: Option<PathBuf>,
    /// The account's name: letters a to z, digits, and . _ @ - between them.
    #[arg(long)]
    pub(crate) name: PrincipalName,
    /// The person's name as reports print it.
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<DisplayName>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq accounts claim-code`
#[derive(Debug, Clone, Args)]
pub(crate) struct ClaimCodeArgs {
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
