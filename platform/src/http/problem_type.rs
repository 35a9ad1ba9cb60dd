//! The register of problem types: every kind of refusal that a client may be told, what it means and what to do.
//!
//! Invariant: a [`Problem`](super::Problem) is made from one of these and of nothing else. The pages of `/problems`
//! and the table in `docs/api.md` are written from here.

#[cfg(test)]
mod tests;

use axum::http::StatusCode;

/// What precedes a problem's name in its `type`.
///
/// A URN, and no URL: commands and reads may be served under two names, and behind a proxy under a third, and
/// yet the same problem has to compare equal (RFC 9457, section 3.1.1). The page about it stands in `Link`, with the
/// relation `help`, on the server that answered.
pub(super) const TYPE_PREFIX: &str = "urn:chipq:problem:";

/// Declares every type: its name, the statuses that it comes with (the usual one first), what to do.
macro_rules! problem_types {
    ($($(#[$attribute:meta])* $variant:ident, $name:literal, [$($status:literal),*], $advice:literal;)+) => {
        /// A kind of refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemType { $($(#[$attribute])* $variant,)+ }

        impl ProblemType {
            /// Every type, by name.
            pub(super) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The kebab-case name, which never changes its meaning.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The statuses that it comes with, the usual one first; none where it may be any.
            pub(super) const fn statuses(self) -> &'static [u16] {
                match self { $(Self::$variant => &[$($status),*],)+ }
            }

            /// What its receiver does about it, with Markdown's backticks around what is typed as it stands.
            pub(super) const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

problem_types! {
    AlreadyClaimed, "already-claimed", [409],
        "somebody administers the installation: ask for an account";
    AlreadyJudged, "already-judged", [409], "the judgement stands: inspect the board again";
    AlreadyUploaded, "already-uploaded", [409],
        "a picture is at rest under this URL: announce another";
    ArtifactAlreadyReserved, "artifact-already-reserved", [409],
        "the id is taken: announce a new picture";
    ArtifactAlreadyUploaded, "artifact-already-uploaded", [409],
        "other bytes are at rest under the id: announce a new picture";
    ArtifactNotFound, "artifact-not-found", [404],
        "it belongs to another inspection or part, or does not exist";
    ArtifactNotUploaded, "artifact-not-uploaded", [409], "`PUT` it to its `upload_url` first";
    ArtifactsPending, "artifacts-pending", [409],
        "announced pictures may still come: upload them, send those that `refused` names again, or cancel them";
    BadRequest, "bad-request", [400], "as `detail` says";
    EmptyUpload, "empty-upload", [422], "no byte of the picture came: send it whole";
    ForeignHost, "foreign-host", [421],
        "the listener is on loopback and answers to this machine's names, and to `CHIPQ_PUBLIC_URL`";
    ForeignOrigin, "foreign-origin", [403],
        "the page that opens the WebSocket is of another server: name its origin in `CHIPQ_CORS_ORIGINS`";
    GoldenSampleUnusable, "golden-sample-unusable", [422],
        "boards cannot be compared with it, `detail` says why: send another to the same URL";
    HostMalformed, "host-malformed", [400], "send one `Host`";
    IdempotencyKeyInProgress, "idempotency-key-in-progress", [409],
        "the first request is still being executed: send it again after `Retry-After`";
    IdempotencyKeyMalformed, "idempotency-key-malformed", [400],
        "send one key that is new for this command: visible ASCII without spaces, such as a UUID";
    IdempotencyKeyMissing, "idempotency-key-missing", [400],
        "send one key that is new for this command: visible ASCII without spaces, such as a UUID";
    IdempotencyKeyReused, "idempotency-key-reused", [422],
        "the key was used for another request: take another";
    IfMatchMalformed, "if-match-malformed", [400],
        "send `*` or an `ETag` as it came, with its quotes";
    InferenceAlreadyRequested, "inference-already-requested", [409],
        "the set of pictures is closed: create another inspection";
    InspectionAlreadyExists, "inspection-already-exists", [409], "it is there already";
    InspectionNotFound, "inspection-not-found", [404], "there is none of that id: look at it again";
    Internal, "internal", [500], "our fault: report it with the `trace_id`";
    Interrupted, "interrupted", [400], "the body ended early: send it again";
    InterruptedUpload, "interrupted-upload", [400], "the picture ended early: send it again";
    InvalidCursor, "invalid-cursor", [400],
        "the cursor is of another query or filter: start again without it";
    InvalidQuery, "invalid-query", [400],
        "the query string: a parameter is unknown or not what it must be";
    KeyExpired, "key-expired", [409],
        "the command was executed so long ago that its answer is forgotten: read the resource";
    LastAdministrator, "last-administrator", [409],
        "nobody could undo it: make another administrator first";
    LimitedAdministrator, "limited-administrator", [409],
        "an administrator is so everywhere: give another role, or no reach";
    MalformedJson, "malformed-json", [400],
        "the body is no JSON of the right shape; line and column are given";
    MalformedPicture, "malformed-picture", [422], "the bytes are damaged: send a whole picture";
    MalformedQuery, "malformed-query", [400],
        "the query string: a parameter is unknown or not what it must be";
    MediaTypeMismatch, "media-type-mismatch", [415, 409],
        "the bytes, or `Content-Type`, are not of the announced type: announce what is sent";
    MethodNotAllowed, "method-not-allowed", [405], "see `Allow`";
    MissingScope, "missing-scope", [403], "the token does not allow it";
    NameTaken, "name-taken", [409],
        "somebody has, or had, that name: choose another";
    NoArtifact, "no-artifact", [409], "announce and upload a picture first";
    NoGoldenSample, "no-golden-sample", [409],
        "nothing is in force that it could stand beside: announce a replacement first";
    NoRole, "no-role", [403],
        "the identity provider gives no role that counts here, or none for a station or part: ask its administrator";
    NotAPicture, "not-a-picture", [415], "the bytes are no picture that is taken here";
    NotAcceptable, "not-acceptable", [406], "`Accept` names nothing that is served here";
    NotFound, "not-found", [404],
        "look at the path and the id, and whether the read has caught up (`min_position`)";
    NotHeld, "not-held", [403],
        "you give, take and change only what you hold yourself: ask somebody who holds it";
    NulCharacter, "nul-character", [400], "the URL holds a NUL";
    OutOfReach, "out-of-reach", [403],
        "the account or client is limited to other stations or parts: act there, or ask an administrator";
    PartAlreadyRegistered, "part-already-registered", [409], "it is there already";
    PartNotFound, "part-not-found", [404], "look at the part number, or register the part first";
    PartialContent, "partial-content", [400], "send the whole body, without `Content-Range`";
    PayloadTooLarge, "payload-too-large", [413], "the limit is in `detail`";
    PictureRetired, "picture-retired", [410, 409],
        "its retention period is over and its file is gone: what was found on it, and its digest, are kept";
    PositionsReissued, "positions-reissued", [409],
        "the log was restored without what you saw: read from the beginning";
    PreconditionFailed, "precondition-failed", [412], "the resource has changed: read it again";
    PrincipalNotFound, "principal-not-found", [404],
        "look at the name, and whether it is an account or a client";
    QueryTooBroad, "query-too-broad", [400], "name a lot, a shorter time, or fewer conditions";
    RangeNotSatisfiable, "range-not-satisfiable", [416],
        "ask for bytes that the file has: `Content-Range` says how many there are";
    /// What has no name of its own.
    Refused, "refused", [], "as `detail` says";
    ReportTooLarge, "report-too-large", [422],
        "the pictures of the report take more memory than there is: read it as JSON";
    ReservationUsed, "reservation-used", [409],
        "the picture has come: there is nothing to renew or to cancel";
    ReservedName, "reserved-name", [409],
        "the platform's own name: choose another";
    ScaleMismatch, "scale-mismatch", [409],
        "state the scale of the golden sample in force, or announce a replacement first";
    StationIsNoPerson, "station-is-no-person", [409],
        "give the account the role `operator`, or create a client";
    StationWithoutStation, "station-without-station", [409],
        "name the station that the client is";
    StorageFull, "storage-full", [507], "tell the operator: a disk is full";
    Timeout, "timeout", [504], "the outcome is unknown: send it again with the same key";
    TooManyAnnouncements, "too-many-announcements", [409],
        "the named limit of one inspection or part is reached; `detail` has the way out";
    TooManyArtifacts, "too-many-artifacts", [409],
        "the named limit of one inspection is reached; `detail` says which";
    TooManyGoldenSamples, "too-many-golden-samples", [409],
        "the named limit of one part is reached; `detail` has the way out";
    TooManyPixels, "too-many-pixels", [422],
        "the picture is larger than `CHIPQ_UPLOAD_MAX_PIXELS`";
    TooManyPrincipals, "too-many-principals", [409],
        "the installation has as many accounts and clients as it may have";
    TooManyRequests, "too-many-requests", [429],
        "wait for `Retry-After`; `RateLimit` says what is left";
    TooManyReservations, "too-many-reservations", [409],
        "upload the golden samples that are announced, or cancel those that do not come";
    TooManyRevisions, "too-many-revisions", [409],
        "the named limit of one part, or of the retention policy, is reached; `detail` has the way out";
    TruncatedUpload, "truncated-upload", [422], "the picture ends early: send it again, whole";
    Unauthorized, "unauthorized", [401], "get a token";
    Unavailable, "unavailable", [503], "send it again after `Retry-After`";
    UnexpectedBody, "unexpected-body", [400], "the command takes no body: send none";
    UnreadablePicture, "unreadable-picture", [422],
        "the file is damaged, or of a kind that is not compared, as `detail` says: send it whole, or store it otherwise";
    UnsupportedDigest, "unsupported-digest", [400],
        "send a digest that is compared here (sha-256, sha-512), or none";
    UnsupportedMediaType, "unsupported-media-type", [415],
        "another `Content-Type`, and no `Content-Encoding`";
    UploadPaused, "upload-paused", [408],
        "the upload stood still: send it again, to the same URL";
    UrlExpired, "url-expired", [403], "renew the announcement for a new `upload_url`";
    UrlSignature, "url-signature", [403],
        "use `upload_url` as it came, or renew the announcement for a new one";
    Validation, "validation", [422], "see `errors`";
    Voided, "voided", [409], "the inspection was withdrawn: create another";
    WebsocketExpected, "websocket-expected", [400, 405, 426],
        "`/graphql/ws` speaks `graphql-transport-ws` alone: open a WebSocket";
    WebsocketProtocol, "websocket-protocol", [400],
        "`/graphql/ws` speaks `graphql-transport-ws`: offer it";
    WrongClaimCode, "wrong-claim-code", [403],
        "the code is wrong, used or an hour old: get another, `chipq accounts claim-code --reason …`";
    WrongContentDigest, "wrong-content-digest", [400],
        "the body is not what its digest says: send it again";
    WrongDigest, "wrong-digest", [422],
        "the bytes are not those that were announced: send them again, whole";
    WrongLength, "wrong-length", [422],
        "the bytes are not as many as were announced: send them again, whole";
}

impl ProblemType {
    /// The type of this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }

    /// What a rejection of the domain is told as. One that no client is meant to meet is [`Self::Refused`].
    #[must_use]
    pub fn from_rejection(rejection: &impl domain::Rejection) -> Self {
        Self::find(rejection.name()).unwrap_or(Self::Refused)
    }

    /// What stands in `type`.
    pub(super) fn uri(self) -> String {
        format!("{TYPE_PREFIX}{}", self.name())
    }

    /// Where the page about it is, on the server that answers.
    pub(super) fn page(self) -> String {
        format!("/problems/{}", self.name())
    }

    /// The usual status.
    pub(super) fn status(self) -> StatusCode {
        let usual = self.statuses().first().copied();
        // A test makes a status of each that is declared.
        usual.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::BAD_REQUEST)
    }

    /// Its statuses in words.
    pub(super) fn list_statuses(self) -> String {
        let statuses: Vec<_> = self.statuses().iter().map(u16::to_string).collect();
        if statuses.is_empty() { "any other".to_owned() } else { statuses.join(", ") }
    }

    /// The name in words: `no-golden-sample` as "No golden sample".
    pub(super) fn title(self) -> String {
        let words = self.name().replace('-', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().collect::<String>() + letters.as_str()
        })
    }
}
