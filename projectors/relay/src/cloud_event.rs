//! Events of the log as records of Kafka: CloudEvents 1.0 in binary mode, as `schemas/asyncapi.yaml` describes them.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>
//!
//! Invariants: the payload is the stored one, of the stored version; what is sent again is the same but for the
//! record's time. A record is ours when its source is, and its place can be read.

use chrono::SecondsFormat;
use kafka_client::{Record, TailRecord};
use platform::event_log::{Incarnation, LogPlace, Recorded};

/// The source of events unless one is configured.
pub(crate) const SOURCE_DEFAULT: &str = "urn:chipq";
/// Every event that was not told otherwise is of this version of the standard.
const SPECIFICATION: &str = "1.0";
const SOURCE: &str = "ce_source";
const LOG_POSITION: &str = "ce_logposition";

/// The record of `event`, as it was read in the history `incarnation`; its time is that of sending, and not set here.
pub(crate) fn record_of(event: &Recorded, (source, incarnation): (&str, Incarnation)) -> Record {
    let place = LogPlace { incarnation, position: event.position };
    let (aggregate, name) = (&event.stream.aggregate_type, &event.event_type);
    let schema = format!("urn:chipq:schema:event:{name}:{}", event.event_version);
    let occurred_at = event.occurred_at().to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let attributes = [
        ("ce_specversion", SPECIFICATION.to_owned()),
        ("ce_id", event.event_id.to_string()),
        (SOURCE, source.to_owned()),
        ("ce_type", format!("chipq.{aggregate}.{name}")),
        ("ce_subject", event.stream.aggregate_id.clone()),
        ("ce_time", occurred_at),
        ("ce_dataschema", schema),
        ("ce_sequence", format!("{:019}", event.position.0)),
        (LOG_POSITION, place.to_string()),
        ("content-type", "application/json".to_owned()),
    ];
    let trace = event.metadata.traceparent.clone().map(|trace| ("ce_traceparent", trace));
    let headers = attributes.into_iter().chain(trace);
    Record {
        key: event.stream.aggregate_id.clone().into_bytes(),
        value: event.payload.text().as_bytes().to_vec(),
        headers: headers.map(|(name, value)| (name, value.into_bytes())).collect(),
        timestamp_ms: 0,
    }
}

/// The place in the log of a record that was sent as `source`; `None` where somebody else wrote it.
pub(crate) fn place_of(record: &TailRecord, source: &str) -> Option<LogPlace> {
    let text = |name| std::str::from_utf8(record.header(name)?).ok();
    text(SOURCE).filter(|found| *found == source)?;
    text(LOG_POSITION)?.parse().ok()
}

/// The source of a record that the relay of another installation has sent; `None` for all other records.
pub(crate) fn other_source_of(record: &TailRecord, source: &str) -> Option<String> {
    let text = |name| std::str::from_utf8(record.header(name)?).ok();
    text(LOG_POSITION)?.parse::<LogPlace>().ok()?;
    text(SOURCE).filter(|found| *found != source).map(str::to_owned)
}

#[cfg(test)]
mod tests;
