//! `chipq accounts`

use std::process::ExitCode;

use domain::PrincipalKind;
use platform::access::NewAccount;
use secrecy::ExposeSecret as _;

use super::secret_input::{read_password, read_secret};
use super::{administer, change_reach, change_role, disable, enable, list, wrong_arguments};
use crate::cli::{
    AccountsCommand, ChangePrincipalArgs, ClaimArgs, ClaimCodeArgs, CreateAccountArgs,
    ReplacePasswordArgs,
};
use crate::operator_session::operator;

const KIND: PrincipalKind = PrincipalKind::Account;

/// `chipq accounts`
pub(crate) async fn run(command: AccountsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AccountsCommand::Create(args) => create(args).await,
        AccountsCommand::List(args) => list(args, KIND).await,
        AccountsCommand::Disable(args) => disable(args, KIND).await,
        AccountsCommand::Enable(args) => enable(args, KIND).await,
        AccountsCommand::Role(args) => change_role(args, KIND).await,
        AccountsCommand::Reach(args) => change_reach(args, KIND).await,
        AccountsCommand::Password(args) => replace_password(args).await,
        AccountsCommand::Claim(args) => claim(args).await,
        AccountsCommand::ClaimCode(args) => issue_claim_code(args).await,
    }
}

async fn create(args: CreateAccountArgs) -> anyhow::Result<ExitCode> {
    let reach = args.reach.reach().map_err(|error| wrong_arguments(&error))?;
    let password = read_password(&args.password)?;
    let CreateAccountArgs { name, role, display_name, decision, installation, .. } = args;
    let account = NewAccount { name: name.clone(), display_name, role, reach };
    let by = operator(decision.actor.as_deref());
    administer(&installation, async |access| {
        access.create_account(by, account, &password, decision.reason).await
    })
    .await?;
    outln!("account {name} is there, with the role {role}");
    Ok(ExitCode::SUCCESS)
}

async fn replace_password(args: ReplacePasswordArgs) -> anyhow::Result<ExitCode> {
    let password = read_password(&args.password)?;
    let ChangePrincipalArgs { name, decision, installation } = args.principal;
    let by = operator(decision.actor.as_deref());
    administer(&installation, async |access| {
        access.replace_password(by, name.clone(), &password, decision.reason).await
    })
    .await?;
    outln!(
        "account {name} has another password; what was granted by the one before is worth nothing now"
    );
    Ok(ExitCode::SUCCESS)
}

async fn claim(args: ClaimArgs) -> anyhow::Result<ExitCode> {
    let code = read_secret(args.code_file.as_deref(), "Code: ")?;
    let password = read_password(&args.password)?;
    let ClaimArgs { name, display_name, installation, .. } = args;
    administer(&installation, async |access| {
        access.claim(&code, (name.clone(), display_name), &password).await
    })
    .await?;
    outln!("account {name} administers this installation");
    Ok(ExitCode::SUCCESS)
}

async fn issue_claim_code(args: ClaimCodeArgs) -> anyhow::Result<ExitCode> {
    let ClaimCodeArgs { decision, installation } = args;
    let by = operator(decision.actor.as_deref());
    let issued = administer(&installation, async |access| {
        access.issue_claim_code(by, decision.reason).await
    })
    .await?;
    outln!("{}", issued.code.expose_secret());
    errln!("good until {}, for: chipq accounts claim --name NAME", issued.expires_at);
    Ok(ExitCode::SUCCESS)
}
