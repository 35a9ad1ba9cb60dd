//! What the command line takes for an engine.

use super::*;

#[test]
fn an_engine_is_embedded_or_an_address_with_a_port() {
    for (text, shown, http) in [
        ("grpc://triton", "grpc://triton:8001", "http://triton:8001"),
        ("grpc://10.0.0.7:9001/", "grpc://10.0.0.7:9001", "http://10.0.0.7:9001"),
        ("grpcs://t.example.com:443", "grpcs://t.example.com:443", "https://t.example.com:443"),
        ("GRPCS://Triton.example", "grpcs://Triton.example:8001", "https://Triton.example:8001"),
        ("grpc://[::1]:8001", "grpc://[::1]:8001", "http://[::1]:8001"),
        ("grpc://[fe80::1]", "grpc://[fe80::1]:8001", "http://[fe80::1]:8001"),
    ] {
        let url: TritonUrl = text.parse().unwrap();
        assert_eq!((url.to_string().as_str(), url.http_origin().as_str()), (shown, http));
        assert_eq!(shown.parse(), Ok(EngineUrl::Triton(url)));
    }
    assert_eq!("embedded:".parse(), Ok(EngineUrl::Embedded));
    assert_eq!(EngineUrl::Embedded.to_string(), "embedded:");
}

#[test]
fn text_that_names_no_engine_is_refused_with_what_to_write() {
    for text in [
        "",
        "triton",
        "http://triton:8000",
        "grpc://",
        "grpc://:8001",
        "grpc://host:",
        "grpc://host:0",
        "grpc://host:99999",
        "grpc://user@host",
        "grpc://host/model",
        "grpc://::1",
        "grpc://[x]",
    ] {
        let error = text.parse::<EngineUrl>().expect_err(text).to_string();
        assert!(error.contains("grpc://HOST:8001") && error.contains("embedded:"), "{error}");
    }
}
