//! Who may use this installation: what the log says about accounts and clients, in the memory of each process,
//! and the secrets by which they prove to be who they say.
//!
//! Invariants: a secret is stored as an Argon2id digest and nowhere else; a digest counts only while the log names
//! its id, so that nothing but an event changes who gets in. Absent: tokens, and what a process knows of all that (`auth`).

mod administration;
mod assertion;
mod client_key;
mod credentials;
mod follow;
mod password;
mod proven_secrets;
mod secret_hasher;
mod sessions;
mod sign_in_guard;
#[cfg(test)]
mod tests;

pub use administration::{
    AccessAdministration, AccessError, ClientSecret, IssuedClaimCode, NewAccount, NewClient,
};
pub use assertion::AssertionFlaw;
pub use client_key::{PublicKeyFlaw, parse_public_key};
pub use credentials::{CredentialStore, SignInError};
pub use follow::{AccessProbe, follow_access};
pub use password::{PasswordFlaw, check_password};
pub use secret_hasher::{HasherBusy, SecretHasher};
pub use sessions::{SessionError, SessionGrant, Sessions};
pub use sign_in_guard::{LockedOut, SignInGuard, SignInTry};
