//! Who announced a picture, as its upload URL says: a `PUT` brings no token.

use domain::PrincipalName;
use platform::auth::Actor;

use crate::CommandApi;

/// Who announced a picture.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    pub(crate) subject: String,
    /// The id of the token that it was announced with; absent in URLs from before it was noted.
    pub(crate) token_id: Option<String>,
}

impl Announcer {
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
