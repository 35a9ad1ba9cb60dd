//! What streams are called.
//!
//! Invariants: the name of a stream gives its aggregate back, whatever the aggregate's id holds; no other stream begins
//! with [`EVENTS_PREFIX`]. The part before the first dash is what KurrentDB calls a category, so a type has none in it.

use uuid::Uuid;

use crate::event_log::StreamId;

/// With which the streams of events begin, and nothing else: so a filter by it is the log.
pub(super) const EVENTS_PREFIX: &str = "chipq.";
/// In which the log's id stands.
pub(super) const LOG_STREAM: &str = "chipq-log";

/// The stream of an aggregate; none when its type is not of small letters and dashes.
pub(super) fn name_stream(stream: &StreamId) -> Option<String> {
    let StreamId { aggregate_type, aggregate_id } = stream;
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = !aggregate_type.is_empty() && aggregate_type.chars().all(is_letter);
    fits.then(|| format!("{EVENTS_PREFIX}{}-{aggregate_id}", aggregate_type.replace('-', "_")))
}

/// The aggregate of a stream.
pub(super) fn parse_stream(name: &str) -> Option<StreamId> {
    let (category, id) = name.strip_prefix(EVENTS_PREFIX)?.split_once('-')?;
    Some(StreamId { aggregate_type: category.replace('_', "-"), aggregate_id: id.to_owned() })
}

/// Where it stands to which stream a command appends.
pub(super) fn name_command_stream(command_id: Uuid) -> String {
    format!("chipq-command-{}", command_id.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_the_aggregate_back_and_types_with_dashes_are_one_category() {
        for (aggregate_type, aggregate_id, name) in [
            ("inspection", "0193", "chipq.inspection-0193"),
            ("access-control", "all", "chipq.access_control-all"),
            ("part", "A-1_$ü /", "chipq.part-A-1_$ü /"),
        ] {
            let (aggregate_type, aggregate_id) = (aggregate_type.into(), aggregate_id.into());
            let stream = StreamId { aggregate_type, aggregate_id };
            assert_eq!(name_stream(&stream).as_deref(), Some(name));
            assert_eq!(parse_stream(name), Some(stream));
        }
        for other in ["", "a_b", "$sys", "A"] {
            let stream = StreamId { aggregate_type: other.into(), aggregate_id: "1".into() };
            assert_eq!(name_stream(&stream), None, "{other}");
        }
        for foreign in ["chipq-log", "$ce-chipq.part", "chipq.part", "others-1"] {
            assert_eq!(parse_stream(foreign), None, "{foreign}");
        }
        assert!(!name_command_stream(Uuid::nil()).starts_with(EVENTS_PREFIX));
    }
}
