//! Argon2id (RFC 9106), with a bound on how many are computed and how many wait.
//!
//! Invariant: signing in takes at most half of the machine's cores and a named amount of memory, however many try, and
//! waits for whatever else the process has to do: whoever is too many is told so at once, and everybody else goes on.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use argon2::password_hash::{
    self, Decimal, Ident, Output, ParamsString, PasswordHash, PasswordHasher,
    PasswordVerifier as _, Salt, SaltString,
};
use argon2::{Algorithm, Argon2, Block, Params, Version};
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
    memory: Arc<SpareMemory>,
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
            memory: Arc::new(SpareMemory {
                digests: at_once + WAITING_MAX,
                ..SpareMemory::default()
            }),
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
        self.in_turn(move |memory| compute_digest(secret.expose_secret().as_bytes(), memory)).await
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
        self.in_turn(move |memory| {
            let known = digest.is_some();
            let digest =
                digest.unwrap_or_else(|| decoy.get_or_init(|| compute_digest(b"", memory)).clone());
            let fits = PasswordHash::new(&digest).is_ok_and(|digest| {
                let argon2id = Argon2id(RefCell::new(memory));
                argon2id.verify_password(secret.expose_secret().as_bytes(), &digest).is_ok()
            });
            fits && known
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        compute: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, HasherBusy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HasherBusy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| HasherBusy)?;
        let (places, memory) = (Arc::clone(&self.places), Arc::clone(&self.memory));
        // Both go with the computation, which ends even where nobody waits for it any more. A thread that stood back
        // may not come forward again, so it is of no use to anything else.
        let (done, computed) = oneshot::channel();
        let thread = std::thread::Builder::new().name("secret-hasher".to_owned());
        let started = thread.spawn(move || {
            let held = (place, turn);
            stand_back();
            let mut blocks = memory.take();
            let computed = compute(&mut blocks);
            memory.put_back(blocks, &places);
            drop(held);
            let _ = done.send(computed);
        });
        started.map_err(|_| HasherBusy)?;
        computed.await.map_err(|_| HasherBusy)
    }
}

/// The memory of digests, kept for as long as somebody waits for one. Taking it anew for each would have all threads of
/// the process wait for each other while the system gives it and takes it back.
#[derive(Debug, Default)]
struct SpareMemory {
    spare: Mutex<Vec<Vec<Block>>>,
    /// How many digests have a place.
    digests: usize,
}

impl SpareMemory {
    fn take(&self) -> Vec<Block> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps the memory of a digest, which still has its place, and everything that is spare when nobody else has one.
    fn put_back(&self, memory: Vec<Block>, places: &Semaphore) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(memory);
        if places.available_permits() + 1 >= self.digests {
            spare.clear();
        }
    }
}

/// Lets other threads go first. On Linux that is of the calling thread alone, elsewhere it would be of the whole process.
fn stand_back() {
    if cfg!(target_os = "linux") {
        // Where it is forbidden, the digest is computed all the same.
        let _ = rustix::process::setpriority_process(None, NICENESS);
    }
}

fn compute_digest(secret: &[u8], memory: &mut Vec<Block>) -> String {
    let salt: [u8; SALT_BYTES] = rand::random();
    let argon2id = Argon2id(RefCell::new(memory));
    SaltString::encode_b64(&salt)
        .and_then(|salt| argon2id.hash_password(secret, &salt).map(|digest| digest.to_string()))
        // A digest that no secret fits.
        .unwrap_or_default()
}

/// Argon2id in memory that is there already.
struct Argon2id<'m>(RefCell<&'m mut Vec<Block>>);

impl PasswordHasher for Argon2id<'_> {
    type Params = Params;

    fn hash_password_customized<'a>(
        &self,
        secret: &[u8],
        algorithm: Option<Ident<'a>>,
        version: Option<Decimal>,
        params: Params,
        salt: impl Into<Salt<'a>>,
    ) -> password_hash::Result<PasswordHash<'a>> {
        let algorithm = algorithm.map_or(Ok(Algorithm::Argon2id), Algorithm::try_from)?;
        let version = version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let (salt, described) = (salt.into(), ParamsString::try_from(&params)?);
        let mut salt_bytes = [0; Salt::MAX_LENGTH];
        let salt_bytes = salt.decode_b64(&mut salt_bytes)?;
        let output_len = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let block_count = params.block_count();
        let argon2 = Argon2::new(algorithm, version, params);
        let output = Output::init_with(output_len, |output| {
            let mut memory = self.0.borrow_mut();
            memory.resize(block_count, Block::new());
            Ok(argon2.hash_password_into_with_memory(secret, salt_bytes, output, &mut **memory)?)
        })?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: described,
            salt: Some(salt),
            hash: Some(output),
        })
    }

    fn hash_password<'a>(
        &self,
        secret: &[u8],
        salt: impl Into<Salt<'a>>,
    ) -> password_hash::Result<PasswordHash<'a>> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
        self.hash_password_customized(secret, None, None, params, salt)
    }
}
