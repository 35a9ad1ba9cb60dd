//! The demonstration's account. Never for production: accounts and clients are in the log there.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use domain::Sha256;
use secrecy::{ExposeSecret as _, SecretString};

use super::Actor;

/// The name of the demonstration's account, which is not in the log; no other account can have it.
pub(super) const DEMO_ACCOUNT: &str = "demo";

/// Development users. Only password digests are kept.
#[derive(Clone, Default)]
pub struct Users(Vec<User>);

#[derive(Clone)]
struct User {
    name: String,
    password: Sha256,
    roles: Vec<String>,
}

impl Users {
    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// `demo` with password `demo`, an engineer. Only for a server that listens on loopback: the
    /// caller decides that.
    #[must_use]
    pub fn demo() -> Self {
        Self::none().with_user(DEMO_ACCOUNT, "demo", &["engineer"])
    }

    /// These and one more.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str, roles: &[&str]) -> Self {
        self.0.push(User {
            name: name.to_owned(),
            password: Sha256::digest_of(password.as_bytes()),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        });
        self
    }

    /// The actor with this name and password. Takes as long for an unknown name as for a wrong
    /// password: every user is compared, digest with digest.
    #[must_use]
    pub fn authenticate(&self, name: &str, password: &SecretString) -> Option<Actor> {
        let password = password.expose_secret().as_bytes();
        let (given_name, given) = (Sha256::digest_of(name.as_bytes()), Sha256::digest_of(password));
        let mut found = None;
        for user in &self.0 {
            let name_fits = is_equal(&Sha256::digest_of(user.name.as_bytes()), &given_name);
            let password_fits = is_equal(&user.password, &given);
            if name_fits & password_fits {
                found = Some(user);
            }
        }
        let user = found?;
        let roles: Vec<_> = user.roles.iter().map(String::as_str).collect();
        Some(Actor::with_roles(&user.name, &roles))
    }
}

fn is_equal(left: &Sha256, right: &Sha256) -> bool {
    verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|user| &user.name)).finish()
    }
}
