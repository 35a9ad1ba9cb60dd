//! Tokens for accounts and clients, and the keys that every token is checked with.

mod grant;
mod issue;
mod key_set;
mod peer_address;
mod refusal;

pub(crate) use peer_address::PeerAddress;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::CommandApi;

/// Tokens and keys.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(issue::issue_token))
        .routes(routes!(key_set::get_key_set))
}
