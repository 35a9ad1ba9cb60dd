//! How many requests one principal may send, which its role may say otherwise.

use std::num::NonZeroU32;
use std::str::FromStr;

use domain::Role;

use super::{RateExceeded, RateLimit, ShownRateLimit};
use crate::auth::Actor;
use crate::config::RATE_MAX;

/// Rates of roles that differ from everybody's, as `station=50/100,auditor=5/10`: a second over time, and at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleRates(Vec<RoleRate>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RoleRate {
    role: Role,
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl FromStr for RoleRates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rates: Vec<RoleRate> = Vec::new();
        for entry in text.split(',') {
            let rate: RoleRate = entry.trim().parse()?;
            if rates.iter().any(|known| known.role == rate.role) {
                return Err(format!("the role {} stands there twice", rate.role));
            }
            rates.push(rate);
        }
        Ok(Self(rates))
    }
}

impl FromStr for RoleRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || {
            let roles = Role::ALL.map(Role::as_str).join(", ");
            format!(
                "{text:?} is no rate of a role: write ROLE=PER_SECOND/AT_ONCE, such as station=50/100, with \
                 numbers from 1 to {RATE_MAX}; the roles are {roles}"
            )
        };
        let (role, rate) = text.split_once('=').ok_or_else(malformed)?;
        let (per_second, burst) = rate.split_once('/').ok_or_else(malformed)?;
        let number = |text: &str| {
            let number = text.trim().parse().ok().filter(|number| *number <= RATE_MAX);
            number.and_then(NonZeroU32::new).ok_or_else(malformed)
        };
        let role = role.trim().parse().map_err(|_| malformed())?;
        Ok(Self { role, per_second: number(per_second)?, burst: number(burst)? })
    }
}

/// A limit for each principal.
pub struct PrincipalRate {
    everybody: RateLimit,
    by_role: Vec<(Role, RateLimit)>,
}

impl PrincipalRate {
    /// A limit of `per_second` requests over time and `burst` at once for each principal, but for those whose role has
    /// another one. Answers call it `name`.
    #[must_use]
    pub fn new(
        name: &'static str,
        (per_second, burst): (NonZeroU32, NonZeroU32),
        rates: Option<&RoleRates>,
    ) -> Self {
        let of_role =
            |rate: &RoleRate| (rate.role, RateLimit::new(name, rate.per_second, rate.burst));
        let rates = rates.map_or(&[][..], |RoleRates(rates)| rates);
        Self {
            everybody: RateLimit::new(name, per_second, burst),
            by_role: rates.iter().map(of_role).collect(),
        }
    }

    /// Counts so many requests of `actor`, and notes in `shown` what is left to it.
    ///
    /// # Errors
    /// When it has asked too often; nothing is counted then.
    pub fn count_requests(
        &self,
        actor: &Actor,
        requests: NonZeroU32,
        shown: &ShownRateLimit,
    ) -> Result<(), RateExceeded> {
        self.limit_of(actor).count_requests(&actor.subject, requests, shown)
    }

    fn limit_of(&self, actor: &Actor) -> &RateLimit {
        let has = |role: Role| actor.roles.iter().any(|held| held == role.as_str());
        let of_role = self.by_role.iter().find(|(role, _)| has(*role));
        of_role.map_or(&self.everybody, |(_, limit)| limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_its_own_rate_and_everybody_else_the_common_one() {
        let two = NonZeroU32::new(2).unwrap();
        let rates: RoleRates = "auditor=1/1, station=50/100".parse().unwrap();
        let limit = PrincipalRate::new("query", (two, two), Some(&rates));
        let allowed = |actor: &Actor| {
            let shown = ShownRateLimit::default();
            let count = || limit.count_requests(actor, NonZeroU32::MIN, &shown).is_ok();
            (0..200).take_while(|_| count()).count()
        };
        assert_eq!(allowed(&Actor::with_roles("ada", &["auditor"])), 1);
        assert_eq!(allowed(&Actor::with_roles("bob", &["engineer"])), 2);
        assert!(allowed(&Actor::with_roles("aoi-1", &["station"])) >= 100);
        assert_eq!(allowed(&Actor::with_roles("eve", &["auditor"])), 1, "each its own");
    }

    #[test]
    fn what_is_no_rate_of_a_role_is_refused_with_what_to_write() {
        for bad in [
            "",
            "station",
            "station=5",
            "station=5/",
            "station=0/5",
            "station=5/0",
            "machine=5/5",
            "station=5/5,",
            "station=-5/5",
            "station=5/4000000000",
        ] {
            let refused = bad.parse::<RoleRates>().unwrap_err();
            assert!(refused.contains("such as station=50/100"), "{bad:?}: {refused}");
        }
        let twice = "station=5/5,station=6/6".parse::<RoleRates>().unwrap_err();
        assert!(twice.contains("twice"), "{twice}");
    }
}
