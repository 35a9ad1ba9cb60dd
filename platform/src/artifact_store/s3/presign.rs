//! URLs that carry a signature of AWS (Signature Version 4, "Authenticating Requests: Using Query Parameters"). The
//! signer of `object_store` does not sign the length of a body, which is announced here.
//!
//! Invariant: a URL allows one method on one object with exactly the headers that were signed, until it expires.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign};
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;

use super::super::percent::encode;
use super::location::S3Location;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is to be signed.
pub(super) struct PresignedRequest<'a> {
    pub(super) method: &'static str,
    /// Of the object, below the bucket.
    pub(super) key: &'a str,
    /// Which have to be sent as they are.
    pub(super) headers: &'a BTreeMap<&'static str, String>,
    pub(super) at: DateTime<Utc>,
    pub(super) lasts: Duration,
}

/// Where an object of the bucket is, for who is not this process: scheme, host and path.
struct ObjectAddress {
    scheme: String,
    host: String,
    path: String,
}

impl ObjectAddress {
    fn new(location: &S3Location, key: &str) -> Self {
        let S3Location { bucket, region, is_virtual_hosted, .. } = location;
        let amazon = format!("https://s3.{region}.amazonaws.com");
        let endpoint = location.public_endpoint.as_ref().or(location.endpoint.as_ref());
        let endpoint = endpoint.unwrap_or(&amazon);
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        // Clients leave the usual port out of `Host`, which is signed.
        let usual = if scheme == "http" { ":80" } else { ":443" };
        let host = host.strip_suffix(usual).unwrap_or(host);
        let (host, path) = if *is_virtual_hosted {
            (format!("{bucket}.{host}"), format!("/{key}"))
        } else {
            (host.to_owned(), format!("/{bucket}/{key}"))
        };
        Self { scheme: scheme.to_owned(), host, path: encode(&path) }
    }
}

/// The URL of `request`.
pub(super) fn presign(
    location: &S3Location,
    credential: &AwsCredential,
    request: &PresignedRequest<'_>,
) -> String {
    let address = ObjectAddress::new(location, request.key);
    let mut headers = BTreeMap::from([("host".to_owned(), address.host.clone())]);
    for (name, value) in request.headers {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let signed_headers = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let (day, time) = (request.at.format("%Y%m%d"), request.at.format("%Y%m%dT%H%M%SZ"));
    let scope = format!("{day}/{}/s3/aws4_request", location.region);
    let mut query = BTreeMap::from([
        ("X-Amz-Algorithm", ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", credential.key_id)),
        ("X-Amz-Date", time.to_string()),
        ("X-Amz-Expires", request.lasts.as_secs().max(1).to_string()),
        ("X-Amz-SignedHeaders", signed_headers.clone()),
    ]);
    query.extend(credential.token.clone().map(|token| ("X-Amz-Security-Token", token)));
    let query: Vec<_> =
        query.iter().map(|(name, value)| format!("{name}={}", encode_value(value))).collect();
    let query = query.join("&");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let ObjectAddress { scheme, host, path } = address;
    let canonical = format!(
        "{}\n{path}\n{query}\n{headers}\n{signed_headers}\nUNSIGNED-PAYLOAD",
        request.method
    );
    let hashed = hex::encode(digest(&SHA256, canonical.as_bytes()));
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hashed}");
    let secret = format!("AWS4{}", credential.secret_key);
    let of_day = mac(secret.as_bytes(), &day.to_string());
    let of_region = mac(of_day.as_ref(), &location.region);
    let of_service = mac(of_region.as_ref(), "s3");
    let signing_key = mac(of_service.as_ref(), "aws4_request");
    let signature = hex::encode(mac(signing_key.as_ref(), &to_sign));
    format!("{scheme}://{host}{path}?{query}&X-Amz-Signature={signature}")
}

fn mac(key: &[u8], text: &str) -> Tag {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes())
}

/// In a query the slash is encoded, too.
fn encode_value(text: &str) -> String {
    encode(text).replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> AwsCredential {
        AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        }
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let parsed =
            "examplebucket?region=us-east-1&endpoint=https://s3.amazonaws.com&addressing=virtual";
        let location = S3Location::parse(parsed, |_| None).unwrap();
        let request = PresignedRequest {
            method: "GET",
            key: "test.txt",
            headers: &BTreeMap::new(),
            at: "2013-05-24T00:00:00Z".parse().unwrap(),
            lasts: Duration::from_secs(86_400),
        };
        assert_eq!(
            presign(&location, &example(), &request),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn an_object_is_where_clients_reach_it() {
        let address = |rest: &str| {
            let location = S3Location::parse(rest, |_| None).unwrap();
            let ObjectAddress { scheme, host, path } = ObjectAddress::new(&location, "a/b");
            format!("{scheme}://{host}{path}")
        };
        assert_eq!(address("pictures?region=r"), "https://pictures.s3.r.amazonaws.com/a/b");
        assert_eq!(address("pic.tures?region=r"), "https://s3.r.amazonaws.com/pic.tures/a/b");
        let inside =
            "pictures?endpoint=http://10.0.0.1:9000&public_endpoint=https://s3.example:443";
        assert_eq!(address(inside), "https://s3.example/pictures/a/b");
        assert_eq!(address("pictures?endpoint=http://s3:80"), "http://s3/pictures/a/b");
    }
}
