//! Accounts and clients for tests: made as operators make them, asking for tokens as anybody does, and believed by
//! processes that follow the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Utc;
use domain::{AccessControl, AccessControlCommand, Reach, Role};
use platform::access::{NewAccount, NewClient, follow_access, parse_public_key};
use platform::auth::{AccessRegister, AuthError, TokenVerifier};
use platform::event_log::ActorRef;
use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::support::{Reply, TestApi};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const PASSWORD: &str = "tulip anvil quartz meridian";
/// A process hears of a change by a hint, or looks by itself every 0.2 s; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn ada() -> ActorRef {
    ActorRef::new("ada", &["admin"])
}

impl TestApi {
    pub(crate) async fn change(&self, command: AccessControlCommand) {
        self.administration().execute(ada(), command).await.unwrap();
        self.follow_access().await;
    }

    /// An account with [`PASSWORD`].
    pub(crate) async fn create_account(&self, name: &str, role: Role) {
        let (name, reach) = (name.parse().unwrap(), Reach::everywhere());
        let account = NewAccount { name, display_name: None, role, reach };
        let password = SecretString::from(PASSWORD);
        let administration = self.administration();
        administration.create_account(ada(), account, &password, "new".into()).await.unwrap();
        self.follow_access().await;
    }

    /// A client, with its secret.
    pub(crate) async fn create_client_as(&self, name: &str, role: Role) -> String {
        let client = new_client(name, role);
        let created = self.administration().create_client(ada(), client, "new".into()).await;
        self.follow_access().await;
        created.unwrap().client_secret.expose_secret().to_owned()
    }

    /// A client that has a key.
    pub(crate) async fn create_client_with(&self, name: &str, role: Role, key: &ClientKeys) {
        let (client, key) = (new_client(name, role), parse_public_key(&key.pem()).unwrap());
        let administration = self.administration();
        administration.create_client_with_key(ada(), client, key, "new".into()).await.unwrap();
        self.follow_access().await;
    }

    /// A form sent to one of the endpoints of tokens.
    pub(crate) async fn send_form(&self, path: &str, form: &str) -> Reply {
        self.send_form_as(path, None, form).await
    }

    pub(crate) async fn send_form_as(
        &self,
        path: &str,
        authorization: Option<&str>,
        form: &str,
    ) -> Reply {
        let call = self.post(path).without("authorization").without("idempotency-key");
        let call = call.header("content-type", FORM).body(form);
        match authorization {
            Some(value) => call.header("authorization", value).send().await,
            None => call.send().await,
        }
    }

    /// Signs in with [`PASSWORD`].
    pub(crate) async fn sign_in(&self, name: &str) -> Reply {
        let form = format!("username={name}&password={}", PASSWORD.replace(' ', "+"));
        let reply = self.send_form("/v1/token", &form).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Reply {
        let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        self.send_form("/v1/token", &form).await
    }

    /// The types of events of access control, with the causes of those that have one.
    pub(crate) async fn access_events(&self) -> Vec<String> {
        let events = self.events().await.into_iter();
        let of_access = events.filter(|event| event.stream.aggregate_type == "access-control");
        of_access
            .map(|event| match event.payload["cause"].as_str() {
                Some(cause) => format!("{} {cause}", event.event_type),
                None => event.event_type,
            })
            .collect()
    }
}

fn new_client(name: &str, role: Role) -> NewClient {
    let stations = match role {
        Role::Station => BTreeSet::from(["AOI-1".parse().unwrap()]),
        _ => BTreeSet::new(),
    };
    let reach = Reach::new(stations, BTreeSet::new()).unwrap();
    NewClient { name: name.parse().unwrap(), role, reach }
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Another process that believes the same tokens, and hears of changes from the log alone.
pub(crate) struct OtherProcess {
    pub(crate) verifier: TokenVerifier,
    register: AccessRegister,
    shutdown: Shutdown,
}

impl OtherProcess {
    pub(crate) async fn start(api: &TestApi) -> Self {
        let (register, shutdown) = (AccessRegister::new(), Shutdown::new());
        let tail = LogTail::new(Arc::clone(&api.log));
        tokio::spawn(follow_access(register.clone(), tail, shutdown.clone()));
        let verifier = api.issuer.verifier().with_register(register.clone());
        let process = Self { verifier, register, shutdown };
        process.until(|_| true).await;
        process
    }

    async fn until(&self, holds: impl Fn(&AccessControl) -> bool) {
        let mut changes = self.register.changes();
        let believed = changes.wait_for(|known| known.as_ref().is_some_and(|known| holds(known)));
        let believed = tokio::time::timeout(PATIENCE, believed).await;
        drop(believed.expect("it is believed in time").unwrap());
    }

    /// Waits until a token is refused here, as one that was taken back.
    pub(crate) async fn until_revoked(&self, token: &str) {
        let is_revoked = || self.verifier.verify(token, Utc::now()) == Err(AuthError::Revoked);
        self.until(|_| is_revoked()).await;
    }

    pub(crate) fn believes(&self, token: &str) -> bool {
        self.verifier.verify(token, Utc::now()).is_ok()
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

/// A pair of keys of a client.
pub(crate) struct ClientKeys(Ed25519KeyPair);

impl ClientKeys {
    pub(crate) fn generate() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        let prefix = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
        let spki = [&prefix[..], self.0.public_key().as_ref()].concat();
        let body = STANDARD.encode(spki);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.0.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The claims of an assertion that is good, with some of them changed.
pub(crate) fn assertion_claims(client: &str, change: Value) -> Value {
    let now = Utc::now().timestamp();
    let mut claims = json!({
        "iss": client, "sub": client, "aud": "chipq", "iat": now, "exp": now + 60,
        "jti": uuid::Uuid::new_v4().to_string(),
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}
