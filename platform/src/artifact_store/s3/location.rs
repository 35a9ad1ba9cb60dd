//! A bucket as one URL: `s3://BUCKET/PREFIX?region=…&endpoint=…`.
//!
//! Invariants: everything wrong with it is said at once; no credentials stand in it, and no message shows it.

use std::collections::BTreeSet;
use std::fmt;

use axum::http::uri::Authority;

use super::super::percent::decode;

/// What is used where nothing else is said, by stores that have no regions.
const REGION_DEFAULT: &str = "us-east-1";

/// A bucket, the part of it that is used, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket.
    pub(super) bucket: String,
    /// What every key begins with; empty, or without a slash at either end.
    pub(super) prefix: String,
    /// The bucket's region.
    pub(super) region: String,
    /// Where the store is, such as `http://127.0.0.1:9000`; AWS without it.
    pub(super) endpoint: Option<String>,
    /// The same store as clients reach it, for the URLs that they are given.
    pub(super) public_endpoint: Option<String>,
    /// Whether the bucket stands in the host's name instead of the path.
    pub(super) is_virtual_hosted: bool,
}

/// Everything that is wrong with the URL of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidS3Url(Vec<&'static str>);

impl InvalidS3Url {
    /// What is wrong, one sentence each.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

impl fmt::Display for InvalidS3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; also "))
    }
}

impl std::error::Error for InvalidS3Url {}

/// The options as they were given.
#[derive(Default)]
struct GivenOptions {
    region: Option<String>,
    endpoint: Option<String>,
    public_endpoint: Option<String>,
    addressing: Option<String>,
}

impl S3Location {
    /// Parses what stands behind `s3://`; `variable` looks AWS's own variables up, which say what the URL does not.
    pub(crate) fn parse(
        rest: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidS3Url> {
        let mut faults = Vec::new();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, prefix) = path.split_once('/').unwrap_or((path, ""));
        let bucket = match authority.rsplit_once('@') {
            Some((_, bucket)) => {
                faults.push(
                    "credentials do not belong into the URL of a bucket; set AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
                );
                bucket
            }
            None => authority,
        };
        check_bucket(bucket, &mut faults);
        let prefix = decode(prefix.trim_matches('/')).unwrap_or_default();
        if !is_prefix(&prefix) {
            faults.push(
                "the prefix behind the bucket is of letters, digits and .-_ between single slashes; \
                 write s3://BUCKET/PREFIX",
            );
        }
        let options = read_options(query, &mut faults);
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let endpoint = options.endpoint.or_else(|| set("AWS_ENDPOINT_URL_S3"));
        let endpoint = endpoint.or_else(|| set("AWS_ENDPOINT_URL")).map(with_plain_scheme);
        let public_endpoint = options.public_endpoint.map(with_plain_scheme);
        for given in [&endpoint, &public_endpoint].into_iter().flatten() {
            check_endpoint(given, &mut faults);
        }
        let region = options.region.or_else(|| set("AWS_REGION"));
        let region = region.or_else(|| set("AWS_DEFAULT_REGION"));
        if region.as_deref().is_some_and(|region| !is_region(region)) {
            faults.push(
                "a region is of letters, digits and hyphens, such as eu-central-1; look at region=, AWS_REGION and \
                 AWS_DEFAULT_REGION",
            );
        }
        if region.is_none() && endpoint.is_none() {
            faults.push(
                "the region of the bucket is not said; add ?region=, such as ?region=eu-central-1",
            );
        }
        let is_virtual_hosted = match options.addressing.as_deref() {
            // A certificate of AWS is for one level of names.
            None => endpoint.is_none() && !bucket.contains('.'),
            Some("virtual") => true,
            Some("path") => false,
            Some(_) => {
                faults.push("addressing is path or virtual; write addressing=path");
                false
            }
        };
        if !faults.is_empty() {
            let mut said = BTreeSet::new();
            faults.retain(|fault| said.insert(*fault));
            return Err(InvalidS3Url(faults));
        }
        let trimmed = |url: String| url.trim_end_matches('/').to_owned();
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix,
            region: region.unwrap_or_else(|| REGION_DEFAULT.to_owned()),
            endpoint: endpoint.map(trimmed),
            public_endpoint: public_endpoint.map(trimmed),
            is_virtual_hosted,
        })
    }

    /// An endpoint as `object_store` wants it: of virtual hosts with the bucket in front.
    pub(super) fn address_at(&self, endpoint: &str) -> String {
        match endpoint.split_once("://") {
            Some((scheme, host)) if self.is_virtual_hosted => {
                format!("{scheme}://{}.{host}", self.bucket)
            }
            _ => endpoint.to_owned(),
        }
    }
}

/// Without its options, which say nothing of which pictures there are.
impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// As AWS names buckets: what other stores take besides cannot be used everywhere.
fn check_bucket(bucket: &str, faults: &mut Vec<&'static str>) {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if bucket.is_empty() {
        faults.push("no bucket is named; write s3://BUCKET/PREFIX?region=REGION");
    } else if !(3..=63).contains(&bucket.len())
        || !bucket.chars().all(is_inner)
        || !is_end(bucket.chars().next())
        || !is_end(bucket.chars().last())
    {
        faults.push("a bucket's name is of 3 to 63 of a–z, 0–9, hyphen and dot; look at its name");
    }
}

fn is_prefix(prefix: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(is_plain);
    prefix.is_empty() || prefix.len() <= 512 && prefix.split('/').all(is_segment)
}

/// What else there is would stand in the head of a request.
fn is_region(region: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=64).contains(&region.len()) && region.chars().all(is_plain)
}

/// The URL with its scheme in small letters, which is the same one (RFC 3986, section 3.1).
fn with_plain_scheme(url: String) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => url,
    }
}

fn check_endpoint(endpoint: &str, faults: &mut Vec<&'static str>) {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let host = rest.map(|rest| rest.trim_end_matches('/'));
    let is_host = |host: &str| !host.contains('@') && host.parse::<Authority>().is_ok();
    if !host.is_some_and(is_host) {
        faults.push(
            "an endpoint is http:// or https:// with a host and no path; write \
             endpoint=https://s3.example:9000",
        );
    }
}

fn read_options(query: &str, faults: &mut Vec<&'static str>) -> GivenOptions {
    let mut options = GivenOptions::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "region" => &mut options.region,
            "endpoint" => &mut options.endpoint,
            "public_endpoint" => &mut options.public_endpoint,
            "addressing" => &mut options.addressing,
            _ => {
                faults.push(
                    "the URL has an option that is not known; there are region, endpoint, \
                     public_endpoint and addressing",
                );
                continue;
            }
        };
        match decode(value).filter(|value| !value.is_empty()) {
            Some(_) if place.is_some() => {
                faults.push("an option of the URL is given twice; give it once");
            }
            Some(value) => *place = Some(value),
            None => faults
                .push("an option of the URL has no value; write region=REGION, or leave it out"),
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<S3Location, InvalidS3Url> {
        S3Location::parse(rest, |_| None)
    }

    #[test]
    fn a_bucket_of_aws_is_reached_by_its_host_and_one_elsewhere_by_a_path() {
        let aws = parse("pictures/line/1/?region=eu-central-1").unwrap();
        assert_eq!(
            (&*aws.bucket, &*aws.prefix, &*aws.region),
            ("pictures", "line/1", "eu-central-1")
        );
        assert!(aws.is_virtual_hosted && aws.endpoint.is_none());
        assert!(!parse("pic.tures?region=eu-central-1").unwrap().is_virtual_hosted);
        let own = parse("pictures?endpoint=http%3A%2F%2F127.0.0.1:9000/").unwrap();
        assert_eq!(
            (own.endpoint.as_deref(), &*own.region),
            (Some("http://127.0.0.1:9000"), "us-east-1")
        );
        assert!(!own.is_virtual_hosted);
        let hosted = parse("pictures?endpoint=https://s3.example&addressing=virtual").unwrap();
        assert_eq!(hosted.address_at("https://s3.example"), "https://pictures.s3.example");
    }

    #[test]
    fn what_the_url_does_not_say_is_taken_from_the_variables_of_aws() {
        let variables = |name: &str| match name {
            "AWS_REGION" => Some("eu-north-1".to_owned()),
            "AWS_ENDPOINT_URL" => Some("http://s3.example".to_owned()),
            _ => None,
        };
        let found = S3Location::parse("pictures", variables).unwrap();
        assert_eq!(
            (&*found.region, found.endpoint.as_deref()),
            ("eu-north-1", Some("http://s3.example"))
        );
        let said = S3Location::parse("pictures?region=eu-west-1", variables).unwrap();
        assert_eq!(said.region, "eu-west-1");
    }

    #[test]
    fn everything_wrong_is_said_at_once_and_without_what_was_given() {
        let error = parse("key:hunter2@/../x?colour=red&endpoint=ftp://h&addressing=no&region")
            .unwrap_err();
        assert_eq!(error.faults().count(), 7, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(parse("pictures").unwrap_err().faults().count(), 1, "no region");
        for bucket in ["ab", "Pictures", "-pictures", "pic_tures"] {
            assert!(parse(&format!("{bucket}?region=r")).is_err(), "{bucket}");
        }
        assert!(parse("pictures?region=a&region=b").is_err());
        let doubled = parse("pictures?region=r&colour=red&size=2").unwrap_err();
        assert_eq!(doubled.faults().count(), 1, "{doubled}");
        for endpoint in ["host/path", "host%0A", "[::1", "me@host", "a%20b", "h%3Fx", ""] {
            let url = format!("pictures?endpoint=http://{endpoint}");
            assert!(parse(&url).is_err(), "{endpoint}");
            let url = format!("pictures?region=r&public_endpoint=http://{endpoint}");
            assert!(parse(&url).is_err(), "{endpoint}");
        }
        for region in ["eu%0A", "eu%20west", "%C3%A9"] {
            assert!(parse(&format!("pictures?region={region}")).is_err(), "{region}");
        }
    }
}
