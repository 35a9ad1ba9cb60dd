//! `chipq keys`: what an installation signs with, also beside a platform that serves, and where somebody else keeps it.

use std::process::ExitCode;

use chrono::{SecondsFormat, Utc};
use domain::AccessControlCommand;
use platform::access::AccessAdministration;
use platform::auth::{KeyPlace, KeyRing, KeySummary, KeyUse, KeysConfig, TokenConfig};
use platform::key_holders::KeyHolders;
use serde_json::json;

use super::explain;
use crate::cli::{
    AdoptKeysArgs, DecisionArgs, InitKeysArgs, KeysCommand, ListKeysArgs, RetireKeyArgs,
    RotateKeyArgs,
};
use crate::failure::Failure;
use crate::installation::InstallationArgs;
use crate::key_failure::{explain_holder, explain_key};
use crate::operator_session::{OperatorSession, operator};

/// `chipq keys`
pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Init(args) => create(args),
        KeysCommand::Rotate(args) => rotate(args).await,
        KeysCommand::Retire(args) => retire(args).await,
        KeysCommand::Adopt(args) => adopt(args).await,
    }
}

async fn list(args: ListKeysArgs) -> anyhow::Result<ExitCode> {
    let work = async |opened: &mut OpenedKeys| Ok(summaries(&opened.ring));
    let listed = with_keys(&args.installation, &args.keys, work).await?;
    if args.json {
        let listed: Vec<_> = listed.iter().map(as_json).collect();
        outln!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(ExitCode::SUCCESS);
    }
    outln!(
        "{:<18} {:<8} {:<22} {:<12} {:<10} tokens alive until",
        "key",
        "of",
        "made",
        "is used",
        "known by"
    );
    for key in &listed {
        let made_at = key.made_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let alive = key.alive_until.filter(|until| *until > Utc::now());
        let alive = alive.map(|until| until.to_rfc3339_opts(SecondsFormat::Secs, true));
        let known = key.known_by.map(|(known_by, holders)| format!("{known_by} of {holders}"));
        outln!(
            "{:<18} {:<8} {made_at:<22} {:<12} {:<10} {}",
            key.kid,
            key.purpose.as_str(),
            word(key),
            known.unwrap_or_default(),
            alive.unwrap_or_default()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: InitKeysArgs) -> anyhow::Result<ExitCode> {
    let place = KeyPlace::shared(&args.folder);
    let ring = KeyRing::create(place, Utc::now()).map_err(|error| explain_key(&error))?;
    for key in ring.held() {
        outln!("{} {}", key.id, key.purpose.as_str());
    }
    errln!(
        "whoever reads {} can sign in as anybody: give it to the platform alone",
        args.folder.display()
    );
    Ok(ExitCode::SUCCESS)
}

async fn rotate(args: RotateKeyArgs) -> anyhow::Result<ExitCode> {
    let DecisionArgs { reason, actor } = args.decision;
    let made = with_keys(&args.installation, &args.keys, async |opened| {
        let now = Utc::now();
        let kid = opened.ring.rotate(args.of, now).map_err(|error| explain_key(&error))?;
        let add = AccessControlCommand::AddSigningKey { kid: kid.clone(), reason };
        let added = opened.administration.execute(operator(actor.as_deref()), add).await;
        added.map_err(|error| explain(&error))?;
        // It is published from now on; the processes themselves look within seconds.
        let noted = opened.holders.renew(&opened.ring.held(), &[]).await;
        noted.map_err(|error| explain_holder(&error))?;
        Ok(kid)
    });
    outln!("{}", made.await?);
    errln!(
        "it signs from half a minute on, when every process knows it; what is signed already stays good"
    );
    Ok(ExitCode::SUCCESS)
}

async fn retire(args: RetireKeyArgs) -> anyhow::Result<ExitCode> {
    let RetireKeyArgs { kid, decision: DecisionArgs { reason, actor }, keys, installation } = args;
    let alive_until = with_keys(&installation, &keys, async |opened| {
        let may = opened.ring.check_retirement(&kid, Utc::now());
        may.map_err(|error| explain_key(&error))?;
        let retired = summaries(&opened.ring).into_iter().find(|key| key.kid == kid);
        // What is done to a key that signed is in the log before it is done.
        let retire = AccessControlCommand::RetireSigningKey { kid: kid.clone(), reason };
        let noted = opened.administration.execute(operator(actor.as_deref()), retire).await;
        noted.map_err(|error| explain(&error))?;
        opened.ring.retire(&kid, Utc::now()).map_err(|error| explain_key(&error))?;
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

async fn adopt(args: AdoptKeysArgs) -> anyhow::Result<ExitCode> {
    let DecisionArgs { reason, actor } = args.decision;
    let session = OperatorSession::open(&args.installation).await?;
    let administration = AccessAdministration::new(session.log(), session.pool().clone());
    let holders = KeyHolders::for_command(session.pool().clone());
    let place = args.keys.place(session.data_dir());
    let adopted = async {
        let ring = KeyRing::open_in(place, Utc::now()).map_err(|error| explain_key(&error))?;
        holders.adopt(&ring.held()).await.map_err(|error| explain_holder(&error))?;
        for key in ring.held() {
            let add = AccessControlCommand::AddSigningKey { kid: key.id, reason: reason.clone() };
            let added = administration.execute(operator(actor.as_deref()), add).await;
            added.map_err(|error| explain(&error))?;
        }
        Ok::<_, Failure>(ring.held())
    };
    let adopted = adopted.await.map_err(Into::into);
    for key in session.close(adopted).await? {
        outln!("{} {}", key.id, key.purpose.as_str());
    }
    errln!(
        "the installation works with these keys; what others have signed for it is worth nothing now"
    );
    Ok(ExitCode::SUCCESS)
}

/// The keys of an installation, opened for one command.
struct OpenedKeys {
    ring: KeyRing,
    holders: KeyHolders,
    administration: AccessAdministration,
}

/// Opens an installation, works on its keys, and closes it.
async fn with_keys<T>(
    installation: &InstallationArgs,
    keys: &KeysConfig,
    work: impl AsyncFnOnce(&mut OpenedKeys) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let session = OperatorSession::open(installation).await?;
    let outcome = match open_keys(&session, keys).await {
        Ok(mut opened) => work(&mut opened).await,
        Err(failure) => Err(failure),
    };
    session.close(outcome.map_err(Into::into)).await
}

/// The keys that the command was given, which have to be those of the installation.
async fn open_keys(session: &OperatorSession, keys: &KeysConfig) -> Result<OpenedKeys, Failure> {
    let place = keys.place(session.data_dir());
    let ring = KeyRing::find(place.clone()).map_err(|error| explain_key(&error))?;
    let holders = KeyHolders::for_command(session.pool().clone());
    let begun = holders.begin(&ring.held(), place.folder().display()).await;
    let ring = ring.with_agreement(begun.map_err(|error| explain_holder(&error))?);
    let administration = AccessAdministration::new(session.log(), session.pool().clone());
    Ok(OpenedKeys { ring, holders, administration })
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
        "of": key.purpose.as_str(),
        "made_at": time(key.made_at),
        "use": word(key),
        "known_by": key.known_by.map(|(known_by, _)| known_by),
        "processes": key.known_by.map(|(_, holders)| holders),
        "tokens_alive_until": key.alive_until.map(time),
    })
}
