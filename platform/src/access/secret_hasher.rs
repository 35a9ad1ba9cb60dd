//! Argon2id (RFC 9106), with a bound on how many are computed and how many wait.
//!
//! Invariant: signing in takes at most half of the machine's cores and a named amount of memory, however many try, and
//! waits for whatever else the process has to do: whoever is too many is told so at once, and everybody else goes on.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Semaphore, oneshot};

/// OWASP's *Password Storage Cheat Sheet*: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many wait for their turn.
const WAITING_MAX: usize = 64;
/// By how much a thread that computes a digest stands back behind the others (`nice`): where both cores are busy, it
/// gets a tenth of one, and a command is not kept waiting for 20 ms of Argon2.
const NICENESS: i32 = 10;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// As many passwords and secrets are checked as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sign in at once; try again in a moment")]
pub struct HasherBusy;

/// Computes and checks digests. Clones share the turns.
#[derive(Clone, Debug)]
pub struct SecretHasher {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// The digest of what nobody knows, to be checked where there is none.
    decoy: Arc<OnceLock<String>>,
}

impl Default for SecretHasher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let at_once = (cores / 2).max(1);
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + WAITING_MAX)),
            decoy: Arc::default(),
        }
    }
}

impl SecretHasher {
    /// The digest of `secret` in PHC's format, with a salt of its own.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn digest(&self, secret: SecretString) -> Result<String, HasherBusy> {
        self.in_turn(move || compute_digest(secret.expose_secret().as_bytes())).await
    }

    /// Whether `secret` is the one of `digest`. Without a digest it is not, and that takes as long.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn verify(
        &self,
        secret: SecretString,
        digest: Option<String>,
    ) -> Result<bool, HasherBusy> {
        let decoy = Arc::clone(&self.decoy);
        self.in_turn(move || {
            let known = digest.is_some();
            let digest =
                digest.unwrap_or_else(|| decoy.get_or_init(|| compute_digest(b"")).clone());
            let fits = PasswordHash::new(&digest).is_ok_and(|digest| {
                argon2().verify_password(secret.expose_secret().as_bytes(), &digest).is_ok()
            });
            fits && known
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherBusy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HasherBusy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| HasherBusy)?;
        // Both go with the computation, which ends even where nobody waits for it any more. A thread that stood back
        // may not come forward again, so it is of no use to anything else.
        let (done, computed) = oneshot::channel();
        let thread = std::thread::Builder::new().name("secret-hasher".to_owned());
        let started = thread.spawn(move || {
            let _held = (place, turn);
            stand_back();
            let _ = done.send(compute());
        });
        started.map_err(|_| HasherBusy)?;
        computed.await.map_err(|_| HasherBusy)
    }
}

/// Lets other threads go first. On Linux that is of the calling thread alone, elsewhere it would be of the whole process.
fn stand_back() {
    if cfg!(target_os = "linux") {
        // Where it is forbidden, the digest is computed all the same.
        let _ = rustix::process::setpriority_process(None, NICENESS);
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn compute_digest(secret: &[u8]) -> String {
    let salt: [u8; SALT_BYTES] = rand::random();
    SaltString::encode_b64(&salt)
        .and_then(|salt| argon2().hash_password(secret, &salt).map(|digest| digest.to_string()))
        // A digest that no secret fits.
        .unwrap_or_default()
}
