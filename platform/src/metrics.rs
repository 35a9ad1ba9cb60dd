//! What the process measures, in the text format of Prometheus.
//!
//! Invariant: instruments are OpenTelemetry's; nothing but this module knows how they are exported.
//! Absent: the instruments, which live beside what they measure.

use std::sync::OnceLock;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use opentelemetry::global;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

static INSTALLED: OnceLock<Registry> = OnceLock::new();

/// Makes this process measure. Call it before the instruments are made: what was made before
/// measures nothing. Calling it again changes nothing.
///
/// # Errors
/// When the exporter cannot be built.
pub fn install() -> Result<(), OTelSdkError> {
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    let resource = Resource::builder_empty()
        .with_attribute(opentelemetry::KeyValue::new("service.name", "chipq"));
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter.build()?)
        .with_resource(resource.build())
        .build();
    if INSTALLED.set(registry).is_ok() {
        global::set_meter_provider(provider);
    }
    Ok(())
}

/// `GET /metrics`.
pub fn router() -> Router {
    Router::new().route("/metrics", get(async || get_metrics()))
}

fn get_metrics() -> Response {
    match gather_text() {
        Some(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        None => (StatusCode::NOT_FOUND, "this process does not measure\n").into_response(),
    }
}

/// What was measured so far; `None` before [`install`].
#[must_use]
pub fn gather_text() -> Option<String> {
    let encoded = TextEncoder::new().encode_to_string(&INSTALLED.get()?.gather());
    encoded.inspect_err(|error| tracing::error!(%error, "metrics cannot be encoded")).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_measured_is_served_with_its_unit_and_description() {
        install().unwrap();
        install().unwrap();
        let meter = global::meter("test");
        let histogram = meter.f64_histogram("test.wait.duration").with_unit("s");
        let histogram = histogram.with_description("How long.").with_boundaries(vec![0.5]);
        histogram.build().record(0.25, &[]);
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = router().oneshot(request).await.unwrap();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("# HELP test_wait_duration_seconds How long."), "{text}");
        let bucket = |line: &&str| line.starts_with("test_wait_duration_seconds_bucket");
        let half = text.lines().filter(bucket).find(|line| line.contains("le=\"0.5\"")).unwrap();
        assert!(half.ends_with(" 1"), "{half}");
    }
}
