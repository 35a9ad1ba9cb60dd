//! Tokens for accounts and clients, and the keys that every token is checked with.

mod grant;
mod issue;
mod key_set;
mod refusal;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::CommandApi;

/// Tokens and keys.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(issue::issue_token))
        .routes(routes!(key_set::get_key_set))
}
