//! Other networks than the shipped one, made from its ONNX file without any library for it: ONNX is
//! protocol buffers, and of those a few bytes are changed.

use std::ops::Range;
use std::path::Path;

/// `ModelProto.doc_string` as a field of its own.
const DOC_STRING: u8 = 6 << 3 | 2;
/// `ModelProto.graph`, `GraphProto.initializer`, `TensorProto.raw_data`.
const WEIGHTS: [u64; 3] = [7, 5, 9];

/// The same network under another digest: a comment is added.
pub(crate) fn renamed(model: &Path) {
    let mut bytes = std::fs::read(model).unwrap();
    bytes.extend([DOC_STRING, 5]);
    bytes.extend(b"again");
    std::fs::write(model, bytes).unwrap();
}

/// A network that loads and has forgotten most of what it knew: all large tensors of weights are zero.
pub(crate) fn blinded(model: &Path) {
    let mut bytes = std::fs::read(model).unwrap();
    let mut found = Vec::new();
    fields(&bytes, 0..bytes.len(), &WEIGHTS, &mut found);
    let large: Vec<_> = found.into_iter().filter(|weights| weights.len() > 10_000).collect();
    assert!(!large.is_empty(), "{} holds no large tensor", model.display());
    for weights in large {
        bytes[weights].fill(0);
    }
    std::fs::write(model, bytes).unwrap();
}

/// Where the fields lie whose numbers from the outermost message inwards are `path`.
fn fields(bytes: &[u8], message: Range<usize>, path: &[u64], found: &mut Vec<Range<usize>>) {
    let mut at = message.start;
    while at < message.end {
        let key = varint(bytes, &mut at);
        let end = match key & 7 {
            0 => {
                varint(bytes, &mut at);
                at
            }
            1 => at + 8,
            2 => usize::try_from(varint(bytes, &mut at)).unwrap() + at,
            5 => at + 4,
            other => panic!("wire type {other} at byte {at}"),
        };
        match path {
            [last] if *last == key >> 3 => found.push(at..end),
            [first, rest @ ..] if *first == key >> 3 => fields(bytes, at..end, rest, found),
            _ => {}
        }
        at = end;
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number without an end at byte {at}")
}
