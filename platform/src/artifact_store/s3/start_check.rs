//! Whether a bucket can be used, asked at start, and why not in a sentence for whoever configured it.

use std::error::Error as StdError;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use uuid::Uuid;

use super::super::ArtifactStoreError;

/// Where it is tried whether something can be written, below the store's root.
const PROBES: &str = "probes";

/// What stands in the way, as stores name it in their answers, and what to do. The first that fits counts.
const KNOWN_CAUSES: [(&[&str], &str); 9] = [
    (
        &["/latest/api/token", "/latest/meta-data", "169.254.170.2", "https://sts."],
        "there are no credentials, and this machine has none of its own; set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    (
        &["NoSuchBucket"],
        "there is no such bucket; create it, or correct its name in CHIPQ_ARTIFACT_STORE_URL",
    ),
    (
        &["InvalidAccessKeyId", "InvalidToken", "UnrecognizedClient"],
        "the access key is not known there; correct AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or the AWS profile",
    ),
    (
        &["SignatureDoesNotMatch"],
        "the secret key is not the access key's; correct AWS_SECRET_ACCESS_KEY or the AWS profile",
    ),
    (
        &["ExpiredToken", "TokenRefreshRequired"],
        "the credentials have expired; get new ones, and set AWS_SESSION_TOKEN with them",
    ),
    (
        &[
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "IllegalLocationConstraint",
            "incorrectly configured region",
        ],
        "the bucket is in another region; correct region= in CHIPQ_ARTIFACT_STORE_URL",
    ),
    (&["RequestTimeTooSkewed"], "this machine's clock is wrong; set it"),
    (
        &["AccessDenied", "403 Forbidden", "Forbidden"],
        "the credentials may not do that; allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket \
         to them (docs/pictures-on-s3.md)",
    ),
    (
        &["certificate", "InvalidCertificate", "UnknownIssuer"],
        "its certificate is not believed; name the CA's file in SSL_CERT_FILE",
    ),
];

const AWAY: &str =
    "it does not answer; check endpoint= in CHIPQ_ARTIFACT_STORE_URL, and that the store runs";
const NOT_CONDITIONAL: &str = "it takes a second object under a name that is taken (If-None-Match is ignored), so \
     that pictures could be exchanged; use a store that has conditional writes";
const DIFFERENT: &str = "it gives back other bytes than were written; look after the store";

/// Proves that pictures can be stored and read: an object is written under a new name, not written again, read and
/// removed.
///
/// # Errors
/// [`ArtifactStoreError::Unusable`] with what to do.
pub(in super::super) async fn check_writable(
    objects: &dyn ObjectStore,
) -> Result<(), ArtifactStoreError> {
    // Some stores make a bucket of whatever name is written into.
    check_readable(objects).await?;
    let probe = Path::from_iter([PROBES, &Uuid::new_v4().to_string()]);
    let content = Bytes::from_static(b"whether pictures can be stored");
    let create = || {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        objects.put_opts(&probe, content.clone().into(), options)
    };
    let cannot = |what| move |error: Error| unusable(what, &error);
    create().await.map_err(cannot("write into"))?;
    let again = create().await;
    let read = objects.get(&probe).await.map_err(cannot("read"));
    let read = match read {
        Ok(found) => found.bytes().await.map_err(cannot("read")),
        Err(error) => Err(error),
    };
    objects.delete(&probe).await.map_err(cannot("delete from"))?;
    match again {
        Err(Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(unusable("write into", &error)),
        Ok(_) => return Err(say("use", NOT_CONDITIONAL)),
    }
    if read? == content { Ok(()) } else { Err(say("use", DIFFERENT)) }
}

/// Proves that pictures can be read.
///
/// # Errors
/// [`ArtifactStoreError::Unusable`] with what to do.
pub(in super::super) async fn check_readable(
    objects: &dyn ObjectStore,
) -> Result<(), ArtifactStoreError> {
    let listed = objects.list_with_delimiter(None).await;
    listed.map(drop).map_err(|error| unusable("read", &error))
}

fn unusable(what: &str, error: &Error) -> ArtifactStoreError {
    let text = chain_text(error);
    let known = KNOWN_CAUSES.iter().find(|(names, _)| names.iter().any(|name| text.contains(name)));
    tracing::debug!(cause = text, "the bucket cannot be used");
    say(what, known.map_or(AWAY, |(_, sentence)| sentence))
}

fn say(what: &str, why: &str) -> ArtifactStoreError {
    ArtifactStoreError::Unusable(format!("cannot {what} the bucket of pictures: {why}"))
}

/// The error and its causes: what a store answered stands in one of them.
fn chain_text(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answer: &str) -> String {
        let source = answer.to_owned().into();
        unusable("read", &Error::Generic { store: "S3", source }).to_string()
    }

    #[test]
    fn what_a_store_answers_becomes_a_sentence_that_says_what_to_do() {
        let redirect = "301: <Error><Code>PermanentRedirect</Code><Endpoint>x</Endpoint></Error>";
        assert!(said(redirect).contains("another region"));
        let malformed = "400: <Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        assert!(said(malformed).contains("region="));
        assert!(said("403: <Code>SignatureDoesNotMatch</Code>").contains("AWS_SECRET_ACCESS_KEY"));
        assert!(
            said("PUT http://169.254.169.254/latest/api/token")
                .contains("there are no credentials")
        );
        assert!(said("invalid peer certificate: UnknownIssuer").contains("SSL_CERT_FILE"));
        assert!(said("connection refused").contains("does not answer"));
    }

    #[test]
    fn every_sentence_says_what_to_do_behind_its_last_semicolon() {
        for sentence in KNOWN_CAUSES.iter().map(|(_, sentence)| *sentence).chain([AWAY, DIFFERENT])
        {
            assert!(sentence.contains("; "), "{sentence}");
        }
    }
}
