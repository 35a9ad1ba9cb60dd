//! Headers that say something of the content: kept to, or refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use super::*;

const BODY: &str = "{\"lot\":\"L-1\"}";

async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (_folder, issuer) = issuer();
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(&router(&issuer), request.body(Body::from(body.to_owned())).unwrap()).await
}

fn sha256(text: &str) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(text)))
}

fn sha512(text: &str) -> String {
    format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(text)))
}

#[tokio::test]
async fn an_encoded_body_is_415_and_says_how_to_send_it() {
    for encoding in ["gzip", "br", "identity, zstd", "GZIP", "nonsense"] {
        for (method, path) in [("POST", "/echo"), ("PUT", "/bytes")] {
            let answer = send(method, path, &[("Content-Encoding", encoding)], BODY).await;
            let problem = answer.problem(415, "unsupported-media-type");
            assert!(problem["detail"].as_str().unwrap().contains(encoding), "{problem}");
            assert_eq!(answer.header("accept-encoding"), "identity");
        }
    }
    for encoding in ["identity", "Identity", ""] {
        let answer = send("POST", "/echo", &[("Content-Encoding", encoding)], BODY).await;
        assert_eq!(answer.status, 200, "{encoding}");
    }
}

#[tokio::test]
async fn a_body_with_its_digest_is_taken_and_any_other_refused() {
    let (right, wrong) = (sha256(BODY), sha256("another"));
    for (method, path, body) in
        [("POST", "/echo", BODY), ("PUT", "/bytes", BODY), ("PUT", "/bytes", "")]
    {
        for name in ["Content-Digest", "Repr-Digest"] {
            for digest in [sha256(body), sha512(body), format!("crc32c=:AAAA:, {}", sha512(body))] {
                let answer = send(method, path, &[(name, &digest)], body).await;
                assert_eq!(answer.status, 200, "{method} {name} {digest}: {}", answer.text);
            }
            for digest in [&wrong, &format!("{wrong}, {}", sha512(body)), "sha-256=:AAAA:"] {
                let answer = send(method, path, &[(name, digest)], body).await;
                answer.problem(400, "wrong-content-digest");
            }
        }
    }
    let both = [("Content-Digest", right.as_str()), ("Content-Digest", wrong.as_str())];
    send("POST", "/echo", &both, BODY).await.problem(400, "wrong-content-digest");
}

#[tokio::test]
async fn a_digest_that_cannot_be_compared_is_refused_with_what_can() {
    for (name, value) in [
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("Digest", "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="),
        ("Content-Digest", "crc32c=:AAAA:"),
        ("Content-Digest", "sha-256=AAAA"),
        ("Content-Digest", "sha-256=:%:"),
        ("Content-Digest", ""),
    ] {
        let answer = send("PUT", "/bytes", &[(name, value)], BODY).await;
        let problem = answer.problem(400, "unsupported-digest");
        assert!(problem["detail"].as_str().unwrap().contains("Content-Digest: sha-256"));
        assert_eq!(answer.header("want-content-digest"), "sha-256=10, sha-512=5", "{name} {value}");
    }
}

#[tokio::test]
async fn text_is_compressed_for_who_asks_and_for_nobody_else() {
    let (gzip, identity) = ([("Accept-Encoding", "gzip, br")], [("Accept-Encoding", "identity")]);
    let answer = send("GET", "/text/4096", &gzip, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, "gzip"));
    assert!(answer.header("vary").contains("accept-encoding"));
    for (path, headers) in [
        ("/text/4096", &identity[..]),
        ("/text/4096", &[]),
        ("/text/100", &gzip),
        ("/picture", &gzip),
    ] {
        let answer = send("GET", path, headers, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-encoding")),
            (200, ""),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_part_of_a_body_is_refused() {
    let range = [("Content-Range", "bytes 0-4/100")];
    send("PUT", "/bytes", &range, BODY).await.problem(400, "partial-content");
}
