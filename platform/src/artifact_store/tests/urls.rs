//! Signed URLs, and the upload targets made of them: honoured as made, refused when anything
//! differs.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::folder::{UrlParameters, UrlSigner};
use super::*;

const PATH: &str = "/v1/uploads/0190";

fn signer() -> UrlSigner {
    UrlSigner::new(&signing_key())
}

fn parameters() -> UrlParameters {
    let pairs = [("type", "image/jpeg"), ("lot", "A&B=C %é\n")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn query_of(url: &str) -> &str {
    url.split_once('?').unwrap().1
}

#[test]
fn a_signed_url_is_honoured_with_its_parameters_until_it_expires() {
    let (signer, now) = (signer(), Utc::now());
    let expires_at = now + TimeDelta::seconds(60);
    let url = signer.sign_url("PUT", PATH, &parameters(), expires_at);
    assert!(url.starts_with("/v1/uploads/0190?expires="), "{url}");
    let query = query_of(&url);
    assert_eq!(signer.verify_url("PUT", PATH, query, now), Ok(parameters()));
    assert_eq!(signer.verify_url("PUT", PATH, query, expires_at), Err(SignatureError::Expired));
}

#[test]
fn another_method_path_key_or_no_signature_is_refused() {
    let (signer, now) = (signer(), Utc::now());
    let url = signer.sign_url("PUT", PATH, &parameters(), now + TimeDelta::seconds(60));
    let query = query_of(&url);
    let tampered = Err(SignatureError::Tampered);
    assert_eq!(signer.verify_url("GET", PATH, query, now), tampered);
    assert_eq!(signer.verify_url("PUT", "/v1/uploads/0191", query, now), tampered);
    let other = UrlSigner::new(&signing_key());
    assert_eq!(other.verify_url("PUT", PATH, query, now), tampered);
    assert_eq!(signer.verify_url("PUT", PATH, "", now), Err(SignatureError::Missing));
    let unsigned = query.split("&signature=").next().unwrap();
    assert_eq!(signer.verify_url("PUT", PATH, unsigned, now), Err(SignatureError::Missing));
}

#[test]
fn a_url_with_a_later_expiry_or_another_parameter_is_refused() {
    let (signer, now) = (signer(), Utc::now());
    let url = signer.sign_url("PUT", PATH, &parameters(), now + TimeDelta::seconds(60));
    let query = query_of(&url);
    for (from, to) in [
        ("expires=", "expires=9"),
        ("image/jpeg", "image/png"),
        ("&type=", "&more=1&type="),
        ("expires=", "type=image/png&expires="),
    ] {
        let altered = query.replacen(from, to, 1);
        assert_ne!(altered, query);
        let outcome = signer.verify_url("PUT", PATH, &altered, now);
        assert_eq!(outcome, Err(SignatureError::Tampered), "{altered}");
    }
    let appended = format!("{query}&type=image/png");
    assert_eq!(signer.verify_url("PUT", PATH, &appended, now), Err(SignatureError::Tampered));
}

#[test]
fn the_same_query_written_in_another_way_is_honoured() {
    let (signer, now) = (signer(), Utc::now());
    let parameters: UrlParameters =
        [("owner", "part/PCB-7 (rev. B), a+b:c@d'e!f*g$h?i;j~k&l=m#n%/é"), ("by", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let url = signer.sign_url("PUT", PATH, &parameters, now + TimeDelta::seconds(60));
    let query = query_of(&url);
    let unreserved =
        ["%28=(", "%29=)", "%2C=,", "%3A=:", "%40=@", "%27='", "%21=!", "%2A=*", "%24=$", "%3F=?"];
    let decoded = unreserved.iter().fold(query.to_owned(), |query, pair| {
        let (encoded, plain) = pair.split_once('=').unwrap();
        assert!(query.contains(encoded), "{encoded} is not in {query}");
        query.replace(encoded, plain)
    });
    let mut reversed: Vec<_> = query.split('&').collect();
    reversed.reverse();
    for written in [
        decoded,
        query.replace("%20", "+"),
        query.replace("%2C", "%2c").replace("%C3%A9", "%c3%a9"),
        query.replace('~', "%7E").replace('-', "%2D"),
        query.replace("by=", "by").replace("by&", "by&&"),
        format!("{query}&"),
        reversed.join("&"),
    ] {
        assert_ne!(written, query);
        assert_eq!(
            signer.verify_url("PUT", PATH, &written, now),
            Ok(parameters.clone()),
            "{written}"
        );
    }
    for altered in [query.replace("%2B", "+"), query.replace("%20", ""), format!("{query}&by=")] {
        assert_ne!(altered, query);
        let refused = signer.verify_url("PUT", PATH, &altered, now);
        assert_eq!(refused, Err(SignatureError::Tampered), "{altered}");
    }
}

#[tokio::test]
async fn an_upload_target_is_a_put_to_this_service_and_its_permit_says_what_was_announced() {
    let ((_folder, store), id, now) = (store(), new_id(), Utc::now());
    let until = now + TimeDelta::seconds(60);
    let notes = UploadNotes::from([("by".to_owned(), "AOI-1 & Co".to_owned())]);
    let sha256 = Some(Sha256::digest_of(b"a picture"));
    let expected = ExpectedUpload { media_type: MediaType::Jpeg, sha256, bytes: Some(9) };
    let upload = AnnouncedUpload { artifact_id: id, expected, until, notes: notes.clone() };
    let target = store.upload_target(upload).await.unwrap();
    assert_eq!((target.method, target.expires_at), ("PUT", until));
    assert_eq!(
        target.headers.into_iter().collect::<Vec<_>>(),
        [("Content-Length", "9".to_owned()), ("Content-Type", "image/jpeg".to_owned())]
    );
    let (path, query) = target.url.split_once('?').unwrap();
    assert_eq!(path, format!("/v1/uploads/{id}"));
    let permit = UploadPermit { artifact_id: id, expected, notes };
    assert_eq!(store.verify_permit(path, query, now), Ok(permit));
    assert_eq!(store.verify_permit(path, query, until), Err(SignatureError::Expired));
    let other = format!("/v1/uploads/{}", new_id());
    assert_eq!(store.verify_permit(&other, query, now), Err(SignatureError::Tampered));
}

#[test]
fn a_url_that_our_key_signed_for_something_else_permits_no_upload() {
    let (folder, key, now) = (tempfile::tempdir().unwrap(), signing_key(), Utc::now());
    let store = open(&ArtifactStoreUrl::Folder(folder.path().to_owned()), &key).unwrap();
    let (signer, until) = (UrlSigner::new(&key), now + TimeDelta::seconds(60));
    let good = format!("/v1/uploads/{}", new_id());
    for (method, path, parameters, permitted) in [
        ("PUT", good.as_str(), parameters(), true),
        ("GET", good.as_str(), parameters(), false),
        ("PUT", PATH, parameters(), false),
        ("PUT", "/v1/elsewhere", parameters(), false),
        ("PUT", good.as_str(), UrlParameters::new(), false),
    ] {
        let url = signer.sign_url(method, path, &parameters, until);
        let permit = store.verify_permit(path, query_of(&url), now);
        assert_eq!(permit.is_ok(), permitted, "{url}");
        assert!(matches!(permit, Ok(_) | Err(SignatureError::Tampered)), "{url}");
    }
}

proptest! {
    #[test]
    fn any_parameters_come_back_and_any_flipped_bit_is_refused(
        names in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,12}", 0..4),
        place in 0usize..10_000,
        bit in 0u8..7,
    ) {
        prop_assume!(!names.contains_key("expires"));
        let (signer, now) = (signer(), Utc::now());
        let url = signer.sign_url("PUT", PATH, &names, now + TimeDelta::seconds(60));
        let query = query_of(&url);
        prop_assert_eq!(signer.verify_url("PUT", PATH, query, now), Ok(names));
        let mut bytes = query.as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        let altered = String::from_utf8(bytes).unwrap();
        // Hexadecimal digits mean the same in either case.
        prop_assume!(!altered.eq_ignore_ascii_case(query));
        prop_assert!(signer.verify_url("PUT", PATH, &altered, now).is_err());
    }
}
