//! The part of a file that a request asks for (RFC 9110, section 14): one range of bytes, if the file is the one that
//! its client has begun with.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What is to be given of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WantedBytes {
    /// All of it: nothing else was asked for, or what was asked for is not understood, and may be ignored then.
    Whole,
    /// These.
    Part(Range<u64>),
    /// None that it has.
    Unsatisfiable,
}

impl WantedBytes {
    /// What `headers` ask for of a file of `length` bytes with this strong ETag.
    pub(super) fn from_headers(headers: &HeaderMap, etag: &str, length: u64) -> Self {
        let mut ranges = headers.get_all(header::RANGE).iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return Self::Whole };
        // A date, a weak tag and the tag of another file fit nothing.
        let is_of_other = headers.get(header::IF_RANGE).is_some_and(|has| has != etag);
        match range.to_str() {
            Ok(range) if !is_of_other => Self::parse(range, length).unwrap_or(Self::Whole),
            _ => Self::Whole,
        }
    }

    /// `None` for other units, several ranges, and what is no range.
    fn parse(range: &str, length: u64) -> Option<Self> {
        let (unit, range) = range.split_once('=')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.trim(), last.trim());
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !unit.trim().eq_ignore_ascii_case("bytes") || !is_number(first) || !is_number(last) {
            return None;
        }
        // More digits than any file has bytes.
        let number = |text: &str| text.parse().unwrap_or(u64::MAX);
        let (from, to) = match (first, last) {
            ("", "") => return None,
            ("", suffix) => (length.saturating_sub(number(suffix)), length),
            (first, "") => (number(first), length),
            (first, last) if number(first) > number(last) => return None,
            (first, last) => (number(first), number(last).saturating_add(1).min(length)),
        };
        Some(if from < to { Self::Part(from..to) } else { Self::Unsatisfiable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";

    fn wanted(headers: &[(header::HeaderName, &str)]) -> WantedBytes {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        WantedBytes::from_headers(&map, ETAG, 100)
    }

    #[test]
    fn a_range_is_cut_to_the_file_and_what_is_no_range_is_ignored() {
        for (range, expected) in [
            ("bytes=0-0", WantedBytes::Part(0..1)),
            ("bytes=90-", WantedBytes::Part(90..100)),
            ("bytes=90-1000", WantedBytes::Part(90..100)),
            ("bytes=-10", WantedBytes::Part(90..100)),
            ("Bytes=-1000", WantedBytes::Part(0..100)),
            ("bytes=99-99999999999999999999999", WantedBytes::Part(99..100)),
            ("bytes=100-", WantedBytes::Unsatisfiable),
            ("bytes=-0", WantedBytes::Unsatisfiable),
            ("bytes=5-4", WantedBytes::Whole),
            ("bytes=0-1,4-5", WantedBytes::Whole),
            ("bytes=+1-2", WantedBytes::Whole),
            ("bytes=-", WantedBytes::Whole),
            ("pages=1-2", WantedBytes::Whole),
            ("", WantedBytes::Whole),
        ] {
            assert_eq!(wanted(&[(header::RANGE, range)]), expected, "{range}");
        }
        let two = [(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=2-3")];
        assert_eq!(wanted(&two), WantedBytes::Whole);
    }

    #[test]
    fn a_part_is_given_only_of_the_file_that_the_client_has_begun_with() {
        let with = |tag| wanted(&[(header::RANGE, "bytes=0-9"), (header::IF_RANGE, tag)]);
        assert_eq!(with(ETAG), WantedBytes::Part(0..10));
        for other in ["\"abd\"", "W/\"abc\"", "Mon, 30 Nov 2026 20:00:00 GMT"] {
            assert_eq!(with(other), WantedBytes::Whole, "{other}");
        }
    }
}
