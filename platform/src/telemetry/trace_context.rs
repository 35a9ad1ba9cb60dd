//! W3C Trace Context (level 1): which trace a piece of work belongs to.

use std::fmt;

use crate::config::random_bytes;

/// The trace that a request belongs to (W3C Trace Context, level 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// `00-<trace id>-<span id>-<flags>`: this server's own span in the caller's trace.
    pub traceparent: String,
}

impl TraceContext {
    /// A new span: in the trace of `incoming` when that is a valid `traceparent`, else in a new
    /// trace.
    #[must_use]
    pub fn new(incoming: Option<&str>) -> Self {
        let (trace_id, flags) = match incoming.and_then(parse_traceparent) {
            Some((trace_id, flags)) => (trace_id.to_owned(), flags.to_owned()),
            None => (hex::encode(random_id::<16>()), "01".to_owned()),
        };
        let traceparent = format!("00-{trace_id}-{}-{flags}", hex::encode(random_id::<8>()));
        Self { trace_id, traceparent }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent)
    }
}

/// Trace id and flags of a valid `traceparent` of version 00.
fn parse_traceparent(header: &str) -> Option<(&str, &str)> {
    let fields: Vec<&str> = header.split('-').collect();
    let [version, trace_id, span_id, flags] = fields.as_slice() else { return None };
    let hexadecimal = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let nonzero = |text: &str| text.bytes().any(|b| b != b'0');
    let valid = *version == "00"
        && (hexadecimal(trace_id, 32) && nonzero(trace_id))
        && (hexadecimal(span_id, 16) && nonzero(span_id))
        && hexadecimal(flags, 2);
    valid.then_some((*trace_id, *flags))
}

/// Ids need no secrecy, so a generator that fails for a moment costs a fixed id, not a request.
fn random_id<const N: usize>() -> [u8; N] {
    random_bytes().unwrap_or([0xff; N])
}
