//! What stands beside the pixels of a PNG and changes what they mean: a turn, further pictures, an end that is
//! missing. Sources: PNG (W3C, third edition) §5 and §11.

use image::metadata::Orientation;

use super::DecodeError;

const SIGNATURE_BYTES: usize = 8;
/// A chunk's length, its length and type, and the checksum after its data.
const LENGTH_BYTES: usize = 4;
const HEADER_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;

/// Refuses a PNG that is to be turned, that is animated, or that does not go on to its end. Decoders stop at
/// the last pixel and say nothing of what comes after it.
pub(crate) fn check_chunks(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    while let Some((name, data, after)) = split_chunk(rest) {
        match name {
            b"acTL" => return Err(DecodeError::Animated),
            b"eXIf" if is_turned(data) => return Err(DecodeError::Turned),
            b"IEND" => return Ok(()),
            _ => rest = after,
        }
    }
    Err(DecodeError::Damaged { detail: "the file ends before its last chunk".to_owned() })
}

/// Refuses a PNG of which a chunk is not as its checksum says.
pub(super) fn check_sums(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    while let Some((name, data, after)) = split_chunk(rest) {
        let summed = rest.get(LENGTH_BYTES..HEADER_BYTES + data.len()).unwrap_or_default();
        let sum = rest.get(HEADER_BYTES + data.len()..).and_then(|rest| rest.first_chunk::<4>());
        if sum != Some(&crc32fast::hash(summed).to_be_bytes()) {
            let name = String::from_utf8_lossy(name);
            return Err(DecodeError::Damaged {
                detail: format!("the checksum of {name} is wrong"),
            });
        }
        rest = after;
    }
    Ok(())
}

/// The first chunk's type and data, and what comes after it; none when the bytes end before.
fn split_chunk(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (length, name) = header.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (data, rest) = rest.split_at_checked(length)?;
    Some((name, data, rest.get(CHECKSUM_BYTES..)?))
}

fn is_turned(exif: &[u8]) -> bool {
    Orientation::from_exif_chunk(exif).is_some_and(|found| found != Orientation::NoTransforms)
}
