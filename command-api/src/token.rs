//! Tokens for accounts and clients: given, taken back and looked at; and the keys that every token is checked with.

mod client;
mod form;
mod grant;
mod introspect;
mod issue;
mod key_set;
mod metadata;
mod refusal;
mod requester;
mod revoke;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::CommandApi;

/// Tokens and keys.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(issue::issue_token))
        .routes(routes!(revoke::revoke_token))
        .routes(routes!(introspect::introspect_token))
        .routes(routes!(key_set::get_key_set))
        .routes(routes!(metadata::get_metadata))
}
