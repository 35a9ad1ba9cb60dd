//! Signed URLs: honoured as made, refused when anything differs.

use chrono::{TimeDelta, Utc};
use proptest::prelude::*;
use secrecy::SecretString;

use super::signed_url::*;

const PATH: &str = "/v1/uploads/0190";

fn signer() -> UrlSigner {
    let secret = SecretString::from("a secret of more than thirty-two characters".to_owned());
    UrlSigner::new(SigningKey::from_secret(&secret).unwrap())
}

fn params() -> Params {
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
    let url = signer.sign("PUT", PATH, &params(), expires_at);
    assert!(url.starts_with("/v1/uploads/0190?expires="), "{url}");
    let query = query_of(&url);
    assert_eq!(signer.verify("PUT", PATH, query, now), Ok(params()));
    assert_eq!(signer.verify("PUT", PATH, query, expires_at), Err(SignatureError::Expired));
}

#[test]
fn another_method_path_key_or_no_signature_is_refused() {
    let (signer, now) = (signer(), Utc::now());
    let url = signer.sign("PUT", PATH, &params(), now + TimeDelta::seconds(60));
    let query = query_of(&url);
    let tampered = Err(SignatureError::Tampered);
    assert_eq!(signer.verify("GET", PATH, query, now), tampered);
    assert_eq!(signer.verify("PUT", "/v1/uploads/0191", query, now), tampered);
    let other = SecretString::from("another secret of more than thirty-two chars".to_owned());
    let other = UrlSigner::new(SigningKey::from_secret(&other).unwrap());
    assert_eq!(other.verify("PUT", PATH, query, now), tampered);
    assert_eq!(signer.verify("PUT", PATH, "", now), Err(SignatureError::Missing));
    let unsigned = query.split("&signature=").next().unwrap();
    assert_eq!(signer.verify("PUT", PATH, unsigned, now), Err(SignatureError::Missing));
}

#[test]
fn a_url_with_a_later_expiry_or_another_parameter_is_refused() {
    let (signer, now) = (signer(), Utc::now());
    let url = signer.sign("PUT", PATH, &params(), now + TimeDelta::seconds(60));
    let query = query_of(&url);
    for (from, to) in [
        ("expires=", "expires=9"),
        ("image/jpeg", "image/png"),
        ("&type=", "&more=1&type="),
        ("expires=", "type=image/png&expires="),
    ] {
        let altered = query.replacen(from, to, 1);
        assert_ne!(altered, query);
        let outcome = signer.verify("PUT", PATH, &altered, now);
        assert_eq!(outcome, Err(SignatureError::Tampered), "{altered}");
    }
    let appended = format!("{query}&type=image/png");
    assert_eq!(signer.verify("PUT", PATH, &appended, now), Err(SignatureError::Tampered));
}

#[test]
fn the_generated_key_is_kept_and_a_short_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let now = Utc::now();
    let url = UrlSigner::new(SigningKey::open(folder.path()).unwrap()).sign(
        "GET",
        PATH,
        &Params::new(),
        now + TimeDelta::seconds(9),
    );
    let again = UrlSigner::new(SigningKey::open(folder.path()).unwrap());
    assert!(again.verify("GET", PATH, query_of(&url), now).is_ok());
    assert!(!format!("{again:?}").contains("0x"));
    let short = SecretString::from("short".to_owned());
    assert!(SigningKey::from_secret(&short).unwrap_err().to_string().contains("openssl rand"));
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
        let url = signer.sign("PUT", PATH, &names, now + TimeDelta::seconds(60));
        let query = query_of(&url);
        prop_assert_eq!(signer.verify("PUT", PATH, query, now), Ok(names));
        let mut bytes = query.as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        let altered = String::from_utf8(bytes).unwrap();
        // Hexadecimal digits mean the same in either case.
        prop_assume!(!altered.eq_ignore_ascii_case(query));
        prop_assert!(signer.verify("PUT", PATH, &altered, now).is_err());
    }
}
