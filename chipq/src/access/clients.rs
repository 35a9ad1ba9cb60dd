//! `chipq clients`

use std::process::ExitCode;

use domain::{AccessControlCommand, ClientKey, PrincipalKind, PrincipalName};
use platform::access::{ClientSecret, NewClient, parse_public_key};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    administer, change, change_reach, change_role, disable, enable, list, wrong_arguments,
};
use crate::cli::{
    ChangePrincipalArgs, ClientsCommand, CreateClientArgs, PublicKeyArgs, RotateSecretArgs,
};
use crate::failure::{Failure, exit};
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
    let CreateClientArgs { name, role, key, json, decision, installation, .. } = args;
    let client = NewClient { name: name.clone(), role, reach };
    let by = operator(decision.actor.as_deref());
    if let Some(key) = read_key(&key)? {
        let created = administer(&installation, async |access| {
            access.create_client_with_key(by, client, key, decision.reason).await
        });
        created.await?;
        print_name(&name, json);
        return Ok(ExitCode::SUCCESS);
    }
    let created = administer(&installation, async |access| {
        access.create_client(by, client, decision.reason).await
    });
    print_secret(&created.await?, json);
    Ok(ExitCode::SUCCESS)
}

async fn rotate(args: RotateSecretArgs) -> anyhow::Result<ExitCode> {
    let RotateSecretArgs { principal, key, json } = args;
    if let Some(key) = read_key(&key)? {
        let register = |name, reason| AccessControlCommand::RegisterPublicKey { name, key, reason };
        return change(principal, KIND, register).await;
    }
    let ChangePrincipalArgs { name, decision, installation } = principal;
    let by = operator(decision.actor.as_deref());
    let rotated = administer(&installation, async |access| {
        access.rotate_secret(by, name, decision.reason).await
    });
    print_secret(&rotated.await?, json);
    Ok(ExitCode::SUCCESS)
}

/// The key in the file that is named, if one is.
fn read_key(args: &PublicKeyArgs) -> Result<Option<ClientKey>, Failure> {
    let Some(path) = &args.public_key else { return Ok(None) };
    let unreadable = |error| {
        let what = format!("cannot read {}: {error}", path.display());
        Failure::new(what, "name a file with a public key in PEM", exit::NO_INPUT)
    };
    let pem = std::fs::read_to_string(path).map_err(unreadable)?;
    let unusable = |flaw| {
        let what = format!("{}: {flaw}", path.display());
        Failure::new(what, "name a file with the client's public key in PEM", exit::DATA)
    };
    parse_public_key(&pem).map(Some).map_err(unusable)
}

fn print_name(client_id: &PrincipalName, as_json: bool) {
    if as_json {
        outln!("{}", json!({ "client_id": client_id }));
    } else {
        outln!("client_id      {client_id}");
        errln!("it has no secret: it asks for tokens with assertions that its key has signed");
    }
}

fn print_secret(created: &ClientSecret, as_json: bool) {
    let ClientSecret { client_id, client_secret } = created;
    let client_secret = client_secret.expose_secret();
    if as_json {
        outln!("{}", json!({ "client_id": client_id, "client_secret": client_secret }));
    } else {
        outln!("client_id      {client_id}");
        outln!("client_secret  {client_secret}");
        errln!(
            "the secret is shown this once; `chipq clients rotate {client_id} --reason …` makes another"
        );
    }
}
