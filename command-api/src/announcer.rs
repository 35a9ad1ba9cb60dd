//! Who announced a picture, as its upload URL says: a `PUT` brings no token.

use domain::{Principal, PrincipalName};
use platform::auth::{AccessUnknown, Actor, AuthError};
use platform::http::{Problem, ProblemType};

use crate::CommandApi;

/// Who announced a picture.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    pub(crate) subject: String,
    /// The id of the token that it was announced with; absent in URLs from before it was noted.
    pub(crate) token_id: Option<String>,
    /// The revision that the account or client had; absent for the demonstration's account and for whoever an identity
    /// provider vouches for.
    pub(crate) revision: Option<u32>,
}

impl Announcer {
    /// # Errors
    /// 403 when the account or client was disabled or changed since, or its token was taken back: what the token does
    /// not allow any more, the URL does not either.
    pub(crate) fn require_unchanged(&self, api: &CommandApi) -> Result<(), Problem> {
        let (Some(revision), Ok(name)) = (self.revision, self.subject.parse()) else {
            return Ok(());
        };
        let access = api.register().current();
        let access = access.map_err(|AccessUnknown| Problem::from(AuthError::AccessUnknown))?;
        let is_as_it_was = |now: &Principal| now.is_enabled && now.revision <= revision;
        let token = self.token_id.as_ref().and_then(|id| id.parse().ok());
        let is_withdrawn = token.is_some_and(|token| access.is_withdrawn(token));
        if access.principal(&name).is_some_and(is_as_it_was) && !is_withdrawn {
            return Ok(());
        }
        let detail =
            "whoever announced the picture was disabled or changed since; announce it again";
        Err(Problem::new(ProblemType::UrlSignature, detail))
    }

    /// The account or client, as it is now.
    pub(crate) fn actor(&self, api: &CommandApi) -> Actor {
        let name = self.subject.parse::<PrincipalName>().ok();
        let found = name.and_then(|name| Some((api.register().find(&name).ok()??, name)));
        let actor = match found {
            Some((principal, name)) => {
                Actor::for_principal(&name, &principal, api.register().role_scopes())
            }
            None => Actor::with_roles(&self.subject, &[]),
        };
        Actor { token_id: self.token_id.clone(), ..actor }
    }
}
