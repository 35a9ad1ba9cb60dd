//! Why a token of another issuer is not believed, or allows nothing here.

/// Why a token of a company's identity provider is not believed, where the installation's own have no such reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExternalTokenError {
    /// The keys were never had, or so long ago that they are not believed any more.
    #[error(
        "the identity provider does not answer, and its keys are not known here; try again in a moment"
    )]
    ProviderAway,
    /// An ID, refresh or logout token.
    #[error("this is not an access token; send the access_token that the identity provider gave")]
    NoAccessToken,
    /// It counts only with a proof that nobody here looks at (RFC 8705, RFC 9449).
    #[error(
        "the token is bound to a key of its holder, which is not supported; get one that is not"
    )]
    Bound,
    /// It is good for so long that nobody could take it away.
    #[error("the token is good for more than a day; have the identity provider give shorter ones")]
    LongLived,
    /// It was given to a client that is not named in the mapping.
    #[error("the token was given to a client that is not let in here")]
    ForeignClient,
    /// The claim that names its subject is missing, or cannot be shown.
    #[error(
        "the token names its subject in a way that cannot be shown; it must be 1 to 128 visible ASCII characters"
    )]
    UnusableSubject,
    /// None of its roles or groups stands for a role here.
    #[error("the identity provider gives no role that counts here; ask its administrator for one")]
    NoRole,
    /// Its claims limit it to nothing at all, or to something that is not a station or a part.
    #[error(
        "the identity provider does not say for which stations and parts; ask its administrator"
    )]
    NoReach,
}
