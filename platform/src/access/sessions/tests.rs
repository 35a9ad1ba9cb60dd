//! Sessions over time, on a real database; `now` is handed in.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{AccessControl, Reach, Role};
use secrecy::SecretString;

use super::*;
use crate::access::NewAccount;
use crate::auth::RoleScopes;
use crate::event_log::postgres::PostgresEventLog;
use crate::test_support::{TestDatabase, fresh_database};

struct World {
    sessions: Sessions,
    register: AccessRegister,
    actor: Actor,
    now: DateTime<Utc>,
    database: TestDatabase,
}

impl World {
    async fn start() -> Self {
        let database = fresh_database().await;
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        let administration = AccessAdministration::new(log.clone(), database.pool());
        let (name, role, reach) = ("mia".parse().unwrap(), Role::Engineer, Reach::everywhere());
        let account = NewAccount { name, display_name: None, role, reach };
        let by = ActorRef::for_service("a test");
        let password = SecretString::from("tulip anvil quartz meridian");
        administration.create_account(by, account, &password, "new".into()).await.unwrap();
        let access = administration.read().await.unwrap();
        let name = "mia".parse().unwrap();
        let actor =
            Actor::for_principal(&name, access.principal(&name).unwrap(), &RoleScopes::default());
        let register = AccessRegister::new();
        register.publish(access);
        let sessions = Sessions::new(log, database.pool());
        Self { sessions, register, actor, now: Utc::now(), database }
    }

    async fn begin(&self, minutes: i64) -> SecretString {
        let config = TokenConfig::default();
        let begun = self.sessions.begin(&self.actor, &config, self.after(minutes)).await;
        begun.unwrap().unwrap().refresh_token
    }

    async fn refresh(
        &self,
        token: &SecretString,
        minutes: i64,
    ) -> Result<SecretString, SessionError> {
        let (config, now) = (TokenConfig::default(), self.after(minutes));
        let refreshed = self.sessions.refresh(&self.register, (token, None), &config, now).await;
        refreshed.map(|granted| granted.refresh_token)
    }

    fn after(&self, minutes: i64) -> DateTime<Utc> {
        self.now + TimeDelta::minutes(minutes)
    }

    async fn count(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        sqlx::query_scalar(&count).fetch_one(&self.database.pool()).await.unwrap()
    }

    async fn access(&self) -> AccessControl {
        self.sessions.administration.read().await.unwrap()
    }
}

fn is_refused(outcome: &Result<SecretString, SessionError>) -> bool {
    matches!(outcome, Err(SessionError::Refused { .. }))
}

#[tokio::test]
async fn a_session_goes_on_while_it_is_used_and_ends_after_twelve_hours_all_the_same() {
    let world = World::start().await;
    let mut token = world.begin(0).await;
    for minutes in (119..720).step_by(119) {
        token = world.refresh(&token, minutes).await.unwrap();
    }
    assert!(is_refused(&world.refresh(&token, 720).await));
    let idle = world.begin(0).await;
    assert!(is_refused(&world.refresh(&idle, 120).await), "nobody used it for two hours");
    assert!(world.access().await.principals().all(|(_, mia)| mia.revision == 1));
}

#[tokio::test]
async fn what_has_expired_is_forgotten_and_the_rest_stays() {
    let world = World::start().await;
    let (first, second) = (world.begin(0).await, world.begin(60).await);
    world.refresh(&first, 1).await.unwrap();
    assert_eq!(
        (world.count("sign_in_sessions").await, world.count("refresh_tokens").await),
        (2, 3)
    );
    assert_eq!(world.sessions.forget_expired(world.after(721)).await.unwrap(), 1);
    assert_eq!(
        (world.count("sign_in_sessions").await, world.count("refresh_tokens").await),
        (1, 1)
    );
    assert!(world.refresh(&second, 61).await.is_ok());
}

#[tokio::test]
async fn an_account_has_a_hundred_sessions_at_most_and_the_oldest_goes() {
    let world = World::start().await;
    let oldest = world.begin(0).await;
    let mut newest = oldest.clone();
    for minute in 1..=100 {
        newest = world.begin(minute).await;
    }
    assert_eq!(world.count("sign_in_sessions").await, 100);
    assert!(is_refused(&world.refresh(&oldest, 101).await));
    assert!(world.refresh(&newest, 101).await.is_ok());
}

#[tokio::test]
async fn the_database_holds_no_token_and_no_text_shows_one() {
    let world = World::start().await;
    let config = TokenConfig::default();
    let granted = world.sessions.begin(&world.actor, &config, world.now).await.unwrap().unwrap();
    let token = granted.refresh_token.expose_secret().to_owned();
    let kept: String = sqlx::query_scalar("SELECT string_agg(t::text, ' ') FROM refresh_tokens t")
        .fetch_one(&world.database.pool())
        .await
        .unwrap();
    let digest = hex::encode(Sha256::digest_of(token.as_bytes()).as_bytes());
    assert!(kept.contains(&digest), "the control: {kept}");
    assert!(!kept.contains(&token) && !format!("{granted:?}").contains(&token));
}

#[tokio::test]
async fn what_is_taken_back_stays_so_as_long_as_any_token_of_it_would_be_believed() {
    let world = World::start().await;
    let config = TokenConfig::default();
    let begin = || world.sessions.begin(&world.actor, &config, world.now);
    let [first, second] = [begin().await, begin().await].map(|begun| begun.unwrap().unwrap());
    let revoke = |token: SecretString, minutes| {
        let (sessions, config, now) = (&world.sessions, &config, world.after(minutes));
        async move { sessions.revoke_refresh_token(&token, config, now).await.unwrap() }
    };
    revoke(first.refresh_token, 0).await;
    let alone = VerifiedToken {
        actor: world.actor.clone(),
        token_id: Uuid::new_v4().to_string(),
        session: None,
        issued_at: world.now.timestamp(),
        expires_at: world.after(15).timestamp(),
    };
    world.sessions.revoke_access_token(&alone, &config, world.now).await.unwrap();

    // By then the last of their tokens has just expired, on a clock that is right.
    revoke(second.refresh_token, 15).await;
    let access = world.access().await;
    assert!(access.is_withdrawn(first.session) && access.is_withdrawn(second.session));
    assert!(access.is_withdrawn(alone.token_id.parse().unwrap()));
}
