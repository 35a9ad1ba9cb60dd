//! Where this API is reached from outside: the configured base, or the Host that the client asked.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use platform::http::{Problem, ProblemType};

use crate::CommandApi;

/// The base of the URLs in this answer.
pub(crate) struct BaseUrl(String);

impl BaseUrl {
    /// The absolute URL of what is absolute already, or else of a path that begins with a slash.
    pub(crate) fn resolve(&self, url: &str) -> String {
        if url.starts_with('/') { format!("{}{url}", self.0) } else { url.to_owned() }
    }
}

impl FromRequestParts<CommandApi> for BaseUrl {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Problem> {
        if let Some(public) = api.public_url() {
            return Ok(Self(public.to_string()));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(Authority::as_str));
        match host.map(str::parse::<Authority>) {
            Some(Ok(host)) => Ok(Self(format!("http://{host}"))),
            _ => Err(Problem::new(ProblemType::HostMalformed, "send a Host header")),
        }
    }
}

/// `segment` as one segment of a path (RFC 3986): everything but unreserved characters is encoded.
pub(crate) fn encode_segment(segment: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    segment.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_below_the_base_and_an_absolute_url_stays() {
        let base = BaseUrl("https://chipq.example/api".to_owned());
        assert_eq!(base.resolve("/v1/uploads/1"), "https://chipq.example/api/v1/uploads/1");
        assert_eq!(base.resolve("https://s3.example/b/1"), "https://s3.example/b/1");
    }

    #[test]
    fn a_segment_keeps_no_character_that_means_something_in_a_url() {
        assert_eq!(encode_segment("PCB-1 / ä?"), "PCB-1%20%2F%20%C3%A4%3F");
    }
}
