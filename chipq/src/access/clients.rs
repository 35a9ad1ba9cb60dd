//! `chipq clients`

use std::process::ExitCode;

use domain::PrincipalKind;
use platform::access::{ClientSecret, NewClient};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{administer, change_reach, change_role, disable, enable, list, wrong_arguments};
use crate::cli::{ChangePrincipalArgs, ClientsCommand, CreateClientArgs, RotateSecretArgs};
use crate::operator_session::operator;

const KIND: PrincipalKind = PrincipalKind::Client;

/// `chipq clients`
pub(crate) async fn run(command: ClientsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ClientsCommand::Create(args) => create(args).await,
        ClientsCommand::List(args) => list(args, KIND).await,
        ClientsCommand::Disable(args) => disable(args, KIND).await,
        ClientsCommand::Enable(args) => enable(args, KIND).await,
        ClientsCommand::Role(args) => change_role(args, KIND).await,
        ClientsCommand::Reach(args) => change_reach(args, KIND).await,
        ClientsCommand::Rotate(args) => rotate(args).await,
    }
}

async fn create(args: CreateClientArgs) -> anyhow::Result<ExitCode> {
    let reach = args.reach.reach().map_err(|error| wrong_arguments(&error))?;
    let CreateClientArgs { name, role, json, decision, installation, .. } = args;
    let client = NewClient { name, role, reach };
    let by = operator(decision.actor.as_deref());
    let created = administer(&installation, async |access| {
        access.create_client(by, client, decision.reason).await
    });
    print_secret(&created.await?, json);
    Ok(ExitCode::SUCCESS)
}

async fn rotate(args: RotateSecretArgs) -> anyhow::Result<ExitCode> {
    let RotateSecretArgs { principal, json } = args;
    let ChangePrincipalArgs { name, decision, installation } = principal;
    let by = operator(decision.actor.as_deref());
    let rotated = administer(&installation, async |access| {
        access.rotate_secret(by, name, decision.reason).await
    });
    print_secret(&rotated.await?, json);
    Ok(ExitCode::SUCCESS)
}

fn print_secret(created: &ClientSecret, as_json: bool) {
    let ClientSecret { client_id, client_secret } = created;
    let client_secret = client_secret.expose_secret();
    if as_json {
        outln!("{}", json!({ "client_id": client_id, "client_secret": client_secret }));
    } else {
        outln!("client_id      {client_id}");
        outln!("client_secret  {client_secret}");
        errln!("the secret is shown this once; `chipq clients rotate {client_id}` makes another");
    }
}
