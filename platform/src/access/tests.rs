//! From a command to who gets in, in one process and in another, on a real log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use domain::{
    AccessControl, AccessControlCommand as Command, AccessControlRejection as Rejected,
    PrincipalKind, PrincipalName, Reach, Role,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::*;
use crate::auth::{
    AccessRegister, Actor, AuthError, KeyRing, Scope, TokenConfig, TokenIssuer, TokenVerifier,
};
use crate::event_log::ActorRef;
use crate::event_log::postgres::PostgresEventLog;
use crate::follower::LogTail;
use crate::health::Probe as _;
use crate::shutdown::Shutdown;
use crate::test_support::{TestDatabase, fresh_database};

const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "tulip anvil quartz meridian";

/// An installation, and a process that follows who may use it.
struct World {
    database: TestDatabase,
    administration: AccessAdministration,
    credentials: CredentialStore,
    register: AccessRegister,
    shutdown: Shutdown,
    _keys: tempfile::TempDir,
    issuer: TokenIssuer,
    verifier: TokenVerifier,
}

impl World {
    async fn start() -> Self {
        let database = fresh_database().await;
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        let (register, shutdown) = (AccessRegister::new(), Shutdown::new());
        let tail = LogTail::new(log.clone());
        tokio::spawn(follow_access(register.clone(), tail, shutdown.clone()));
        let keys = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(keys.path(), Utc::now()).unwrap();
        let issuer = TokenIssuer::new(ring, TokenConfig::default());
        let verifier = issuer.verifier().with_register(register.clone());
        let world = Self {
            administration: AccessAdministration::new(log, database.pool()),
            credentials: CredentialStore::new(database.pool()),
            database,
            register,
            shutdown,
            _keys: keys,
            issuer,
            verifier,
        };
        world.until(|_| true).await;
        world
    }

    /// Waits until the process believes that.
    async fn until(&self, holds: impl Fn(&AccessControl) -> bool) {
        let mut changes = self.register.changes();
        let believed = changes.wait_for(|known| known.as_ref().is_some_and(|known| holds(known)));
        let believed = tokio::time::timeout(PATIENCE, believed).await;
        drop(believed.expect("it is believed in time").unwrap());
    }

    async fn create_station(&self) -> ClientSecret {
        let stations = BTreeSet::from(["AOI-1".parse().unwrap()]);
        let reach = Reach::new(stations, BTreeSet::new()).unwrap();
        let client = NewClient { name: name("aoi-1"), role: Role::Station, reach };
        let created = self.administration.create_client(ada(), client, "new".into()).await.unwrap();
        self.until(|known| known.principal(&created.client_id).is_some()).await;
        created
    }

    async fn sign_in(&self, name: &str, secret: &str) -> Result<Actor, SignInError> {
        let who = (name, PrincipalKind::Client);
        self.credentials.sign_in(&self.register, who, &secret.into()).await
    }

    fn token(&self, actor: &Actor) -> String {
        self.issuer.issue(actor, Utc::now()).unwrap().token
    }

    fn believe(&self, token: &str) -> Result<Actor, AuthError> {
        self.verifier.verify(token, Utc::now())
    }

    async fn change(&self, command: Command) {
        self.administration.execute(ada(), command).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn ada() -> ActorRef {
    ActorRef::new("ada", &["admin"])
}

#[tokio::test]
async fn a_client_gets_in_with_its_secret_and_where_its_reach_says() {
    let world = World::start().await;
    let ClientSecret { client_secret, .. } = world.create_station().await;
    let actor = world.sign_in("AOI-1", client_secret.expose_secret()).await.unwrap();
    assert!(actor.allows(Scope::InspectionsWrite) && !actor.allows(Scope::PartsWrite));
    let believed = world.believe(&world.token(&actor)).unwrap();
    assert_eq!(believed, Actor { token_id: believed.token_id.clone(), ..actor });
    assert!(believed.reach.covers(&"AOI-1".parse().unwrap(), &"PCB".parse().unwrap()));
    assert!(!believed.reach.covers(&"AOI-2".parse().unwrap(), &"PCB".parse().unwrap()));

    let wrong =
        [("aoi-1", "chipq_secret_x"), ("aoi-1", ""), ("aoi-2", "x"), ("", "x"), ("a b", "x")];
    for (name, secret) in wrong {
        assert!(matches!(world.sign_in(name, secret).await, Err(SignInError::Refused)), "{name}");
    }
    let long = "x".repeat(1 << 20);
    assert!(matches!(world.sign_in("aoi-1", &long).await, Err(SignInError::Refused)));
    let as_account = ("aoi-1", PrincipalKind::Account);
    let refused = world.credentials.sign_in(&world.register, as_account, &client_secret).await;
    assert!(matches!(refused, Err(SignInError::Refused)), "a client is no account");
}

#[tokio::test]
async fn whatever_is_changed_about_a_client_takes_its_tokens_away() {
    let world = World::start().await;
    let secret = world.create_station().await.client_secret;
    let reason = || "a test".to_owned();
    let aoi = || name("aoi-1");
    let everywhere = Reach::new(BTreeSet::from(["AOI-7".parse().unwrap()]), BTreeSet::new());
    let changes = [
        Command::DisablePrincipal { name: aoi(), reason: reason() },
        Command::EnablePrincipal { name: aoi(), reason: reason() },
        Command::ChangeReach { name: aoi(), reach: everywhere.unwrap(), reason: reason() },
        Command::ChangeRole { name: aoi(), role: Role::Operator, reason: reason() },
    ];
    let mut tokens =
        vec![world.token(&world.sign_in("aoi-1", secret.expose_secret()).await.unwrap())];
    for (done, change) in changes.into_iter().enumerate() {
        world.change(change).await;
        let revision = u32::try_from(done).unwrap() + 2;
        let is_so = |known: &AccessControl| known.principal(&aoi()).unwrap().revision == revision;
        world.until(is_so).await;
        for token in &tokens {
            assert_eq!(world.believe(token), Err(AuthError::Revoked));
        }
        match world.sign_in("aoi-1", secret.expose_secret()).await {
            Ok(actor) => tokens.push(world.token(&actor)),
            Err(error) => assert_eq!(done, 0, "only who is disabled stays out: {error}"),
        }
    }
    let rotated = world.administration.rotate_secret(ada(), aoi(), reason()).await.unwrap();
    world.until(|known| known.principal(&aoi()).unwrap().revision == 6).await;
    assert_eq!(world.believe(tokens.last().unwrap()), Err(AuthError::Revoked));
    assert!(world.sign_in("aoi-1", secret.expose_secret()).await.is_err());
    assert!(world.sign_in("aoi-1", rotated.client_secret.expose_secret()).await.is_ok());
}

#[tokio::test]
async fn a_token_of_nobody_and_of_somebody_unknown_is_not_believed() {
    let world = World::start().await;
    let stranger = Actor::with_roles("aoi-9", &["admin"]);
    assert_eq!(world.believe(&world.token(&stranger)), Err(AuthError::NoPrincipal));
    let gone = Actor { revision: Some(1), ..stranger };
    assert_eq!(world.believe(&world.token(&gone)), Err(AuthError::NoPrincipal));
    let demo = Actor::with_roles("demo", &["engineer"]);
    assert!(world.believe(&world.token(&demo)).is_ok(), "nobody else can have that name");

    let is_ready = async |register: AccessRegister| {
        AccessProbe::new(register).checks().await.iter().all(|check| check.ready)
    };
    assert!(is_ready(world.register.clone()).await);
    assert!(!is_ready(AccessRegister::new()).await);
    let unread = world.issuer.verifier().with_register(AccessRegister::new());
    let token = world.token(&gone);
    assert_eq!(unread.verify(&token, Utc::now()), Err(AuthError::AccessUnknown));
}

#[tokio::test]
async fn who_cannot_read_what_a_newer_version_wrote_lets_nobody_in() {
    let world = World::start().await;
    let secret = world.create_station().await.client_secret;
    let token = world.token(&world.sign_in("aoi-1", secret.expose_secret()).await.unwrap());
    let unknown = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
         metadata) VALUES ('access-control', 'installation', 2, 'PrincipalBanished', '1', '{}', '{}')";
    sqlx::query(unknown).execute(&world.database.pool()).await.unwrap();
    let mut changes = world.register.changes();
    let forgotten = changes.wait_for(Option::is_none);
    drop(tokio::time::timeout(PATIENCE, forgotten).await.expect("it is seen in time").unwrap());
    assert_eq!(world.believe(&token), Err(AuthError::AccessUnknown));
    let refused = world.sign_in("aoi-1", secret.expose_secret()).await;
    assert!(
        matches!(refused, Err(SignInError::Unknown(crate::auth::AccessUnknown))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn whoever_has_the_code_becomes_the_administrator_once() {
    let world = World::start().await;
    let issued = world.administration.issue_claim_code(ada(), "first start".into()).await.unwrap();
    let (password, who) = (SecretString::from(PASSWORD), || (name("ada"), None));
    let claim =
        async |code: &SecretString| world.administration.claim(code, who(), &password).await;
    let wrong = claim(&"0123".into()).await;
    assert!(matches!(wrong, Err(AccessError::Refused(Rejected::WrongClaimCode))), "{wrong:?}");
    claim(&issued.code).await.unwrap();
    let again = claim(&issued.code).await;
    assert!(matches!(again, Err(AccessError::Refused(Rejected::AlreadyClaimed))), "{again:?}");

    world.until(AccessControl::is_claimed).await;
    let account = ("Ada", PrincipalKind::Account);
    let signed_in = world.credentials.sign_in(&world.register, account, &password).await.unwrap();
    assert!(signed_in.allows(Scope::ProjectionsWrite));
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM access_credentials")
        .fetch_one(&world.database.pool())
        .await
        .unwrap();
    assert_eq!(kept, 1, "what came to nothing left nothing");
}

#[tokio::test]
async fn no_secret_and_no_digest_stands_in_the_log() {
    let world = World::start().await;
    let secret = world.create_station().await.client_secret;
    let (name, reach) = (name("bob"), Reach::everywhere());
    let account = NewAccount { name, display_name: None, role: Role::Auditor, reach };
    let password = SecretString::from(PASSWORD);
    world.administration.create_account(ada(), account, &password, "new".into()).await.unwrap();
    let log: String = sqlx::query_scalar("SELECT string_agg(events::text, ' ') FROM events")
        .fetch_one(&world.database.pool())
        .await
        .unwrap();
    assert!(log.contains("aoi-1") && log.contains("bob"), "the control: {log}");
    for hidden in [secret.expose_secret(), PASSWORD, "argon2"] {
        assert!(!log.contains(hidden), "{hidden}");
    }
    assert!(!format!("{secret:?}").contains(secret.expose_secret()));
}

#[test]
fn a_password_is_long_and_not_among_the_first_that_are_tried() {
    let check = |text: &str| check_password(&text.into(), &["ada.lovelace"]).map(drop);
    assert_eq!(check(PASSWORD), Ok(()));
    assert_eq!(check("kühler Bergsee, 7 Enten"), Ok(()));
    assert_eq!(check("short pass"), Err(PasswordFlaw::Short));
    for guessed in
        ["passwordpassword", "123456789012", "qwertyuiopas", "ada.lovelace1", "aaaaaaaaaaaaaaaa"]
    {
        assert_eq!(check(guessed), Err(PasswordFlaw::Guessable), "{guessed}");
    }
    assert_eq!(check(&"x7Q".repeat(22_000)), Err(PasswordFlaw::Long));
    assert_eq!(check(&"ä".repeat(129)), Err(PasswordFlaw::Long));
}

#[tokio::test]
async fn the_same_password_fits_however_its_accents_are_typed() {
    let hasher = SecretHasher::default();
    let composed = check_password(&"k\u{fc}hler Bergsee, 7 Enten".into(), &[]).unwrap();
    let digest = hasher.digest(composed).await.unwrap();
    let apart = check_password(&"ku\u{308}hler Bergsee, 7 Enten".into(), &[]).unwrap();
    assert!(hasher.verify(apart, Some(digest.clone())).await.unwrap());
    assert!(!hasher.verify("another".into(), Some(digest)).await.unwrap());
    assert!(!hasher.verify("".into(), None).await.unwrap(), "the decoy lets nobody in");
}

#[tokio::test]
async fn who_is_too_many_is_told_so_at_once() {
    let hasher = SecretHasher::default();
    let tries = (0..600).map(|_| hasher.verify("x".into(), None));
    let outcomes = futures::future::join_all(tries).await;
    let busy = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(busy > 100 && busy < 600, "{busy}");
}

#[tokio::test]
async fn who_is_nobody_costs_as_much_as_who_is_known() {
    let world = World::start().await;
    world.create_station().await;
    world.change(Command::DisablePrincipal { name: name("aoi-1"), reason: "sold".into() }).await;
    world.until(|known| known.principal(&name("aoi-1")).is_some_and(|it| !it.is_enabled)).await;
    for nobody in ["aoi-9", "aoi-1", "no name"] {
        let tries = (0..300).map(|_| world.sign_in(nobody, "chipq_secret_x"));
        let outcomes = futures::future::join_all(tries).await;
        let busy = |outcome: &Result<_, _>| matches!(outcome, Err(SignInError::Busy(_)));
        assert!(outcomes.iter().any(busy), "{nobody}: no digest is computed");
    }
}

#[tokio::test]
async fn a_client_that_comes_again_costs_no_digest_and_one_that_guesses_does() {
    let world = World::start().await;
    let secret = world.create_station().await.client_secret;
    world.sign_in("aoi-1", secret.expose_secret()).await.unwrap();
    let busy = async |secret: &str| {
        let tries = (0..300).map(|_| world.sign_in("aoi-1", secret));
        let outcomes = futures::future::join_all(tries).await;
        let is_busy = |outcome: &&Result<_, _>| matches!(outcome, Err(SignInError::Busy(_)));
        outcomes.iter().filter(is_busy).count()
    };
    assert_eq!(busy(secret.expose_secret()).await, 0);
    assert!(busy("chipq_secret_x").await > 0);
}

#[tokio::test]
async fn who_was_created_a_moment_ago_is_waited_for() {
    let world = World::start().await;
    for n in 0..20 {
        let (name, reach) = (format!("mes-{n}"), Reach::everywhere());
        let client = NewClient { name: name.parse().unwrap(), role: Role::Auditor, reach };
        let created = world.administration.create_client(ada(), client, "new".into()).await;
        let secret = created.unwrap().client_secret;
        world.administration.hear_more(&world.register, &name, None).await;
        assert!(world.sign_in(&name, secret.expose_secret()).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn what_is_heard_of_between_a_look_and_the_next_is_no_reason_to_give_up() {
    let world = World::start().await;
    let hear_more = |before| world.administration.hear_more(&world.register, "aoi-1", before);
    assert!(!hear_more(None).await, "there is nobody of that name");
    let before = world.register.revision_of("aoi-1");
    world.create_station().await;
    let created = world.register.revision_of("aoi-1");
    assert!(created > before && hear_more(before).await);
    assert!(!hear_more(created).await, "a wrong secret is looked at once");
    world.administration.rotate_secret(ada(), name("aoi-1"), "lost".into()).await.unwrap();
    assert!(hear_more(created).await);
    assert_eq!(world.register.revision_of("aoi-1"), created.map(|revision| revision + 1));
}
