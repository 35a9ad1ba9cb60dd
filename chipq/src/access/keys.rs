//! `chipq keys`: what tokens are signed with, also beside a platform that serves.

use std::process::ExitCode;

use chrono::{SecondsFormat, Utc};
use domain::AccessControlCommand;
use platform::access::AccessAdministration;
use platform::auth::{KeyError, KeyRing, KeySummary, KeyUse, TokenConfig};
use serde_json::json;

use super::explain;
use crate::cli::{DecisionArgs, KeysCommand, ListKeysArgs, RetireKeyArgs, RotateKeyArgs};
use crate::failure::{Failure, exit};
use crate::installation::InstallationArgs;
use crate::operator_session::{OperatorSession, operator};

/// `chipq keys`
pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Rotate(args) => rotate(args).await,
        KeysCommand::Retire(args) => retire(args).await,
    }
}

async fn list(args: ListKeysArgs) -> anyhow::Result<ExitCode> {
    let listed = with_keys(&args.installation, async |keys, _| Ok(summaries(keys))).await?;
    if args.json {
        let listed: Vec<_> = listed.iter().map(as_json).collect();
        outln!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(ExitCode::SUCCESS);
    }
    outln!("{:<18} {:<22} {:<14} tokens alive until", "key", "made", "is used");
    for key in &listed {
        let made_at = key.made_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let alive = key.alive_until.filter(|until| *until > Utc::now());
        let alive = alive.map(|until| until.to_rfc3339_opts(SecondsFormat::Secs, true));
        outln!("{:<18} {made_at:<22} {:<14} {}", key.kid, word(key), alive.unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(args: RotateKeyArgs) -> anyhow::Result<ExitCode> {
    let DecisionArgs { reason, actor } = args.decision;
    let made = with_keys(&args.installation, async |keys, administration| {
        let kid = keys.rotate(Utc::now()).map_err(|error| explain_key(&error))?;
        let add = AccessControlCommand::AddSigningKey { kid: kid.clone(), reason };
        let added = administration.execute(operator(actor.as_deref()), add).await;
        added.map_err(|error| explain(&error))?;
        Ok(kid)
    });
    outln!("{}", made.await?);
    errln!(
        "tokens are signed with it from half a minute on; those that are signed already stay good"
    );
    Ok(ExitCode::SUCCESS)
}

async fn retire(args: RetireKeyArgs) -> anyhow::Result<ExitCode> {
    let RetireKeyArgs { kid, decision: DecisionArgs { reason, actor }, installation } = args;
    let alive_until = with_keys(&installation, async |keys, administration| {
        keys.check_retirement(&kid, Utc::now()).map_err(|error| explain_key(&error))?;
        let retired = summaries(keys).into_iter().find(|key| key.kid == kid);
        // What is done to a key that signed tokens is in the log before it is done.
        let retire = AccessControlCommand::RetireSigningKey { kid: kid.clone(), reason };
        let noted = administration.execute(operator(actor.as_deref()), retire).await;
        noted.map_err(|error| explain(&error))?;
        keys.retire(&kid, Utc::now()).map_err(|error| explain_key(&error))?;
        Ok(retired.and_then(|key| key.alive_until))
    });
    let alive_until = alive_until.await?.filter(|until| *until > Utc::now());
    outln!("the key {kid} is deleted; within a minute no process believes it");
    if let Some(until) = alive_until {
        let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
        errln!("tokens of it may have been alive until {until}: who has one asks for another");
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens an installation, works on its keys, and closes it.
async fn with_keys<T>(
    installation: &InstallationArgs,
    work: impl AsyncFnOnce(&mut KeyRing, &AccessAdministration) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let session = OperatorSession::open(installation).await?;
    let administration = AccessAdministration::new(session.log(), session.pool().clone());
    let outcome = match KeyRing::find(session.data_dir()) {
        Ok(mut keys) => work(&mut keys, &administration).await,
        Err(error) => Err(explain_key(&error)),
    };
    session.close(outcome.map_err(Into::into)).await
}

fn summaries(keys: &KeyRing) -> Vec<KeySummary> {
    keys.list(TokenConfig::default().lifetime, Utc::now())
}

const fn word(key: &KeySummary) -> &'static str {
    match key.used_as {
        KeyUse::SignsSoon => "signs soon",
        KeyUse::Signs => "signs",
        KeyUse::Verifies => "verifies",
    }
}

fn as_json(key: &KeySummary) -> serde_json::Value {
    let time = |at: chrono::DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "kid": key.kid,
        "made_at": time(key.made_at),
        "use": word(key),
        "tokens_alive_until": key.alive_until.map(time),
    })
}

fn explain_key(error: &KeyError) -> Failure {
    let (next, code) = match error {
        KeyError::StillSigns(_) => {
            ("run `chipq keys rotate`, wait a minute, then run it again", exit::DATA)
        }
        KeyError::UnknownKey(_) => ("see `chipq keys list` for those that there are", exit::DATA),
        KeyError::NoKeys(_) => {
            ("name the folder that the platform serves from: --data DIR", exit::NO_INPUT)
        }
        KeyError::File(_) | KeyError::NotAKey(_) | KeyError::Folder { .. } | KeyError::EmptySet => {
            (
                "see that the folder and its keys belong to the account of the platform",
                exit::CANNOT_WRITE,
            )
        }
    };
    Failure::new(error, next, code)
}
