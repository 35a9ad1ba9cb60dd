//! What stands beside the pixels of a PNG and changes what they mean: a turn, further pictures, an end that is
//! missing. Sources: PNG (W3C, third edition) §5 and §11.

use image::metadata::Orientation;

use super::DecodeError;

const SIGNATURE_BYTES: usize = 8;
/// A chunk's length, its name, and the checksum after its data.
const LENGTH_BYTES: usize = 4;
const NAME_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;

/// Refuses a PNG that is to be turned, that is animated, or that does not go on to its end. Decoders stop at
/// the last pixel and say nothing of what comes after it.
pub(crate) fn check_chunks(bytes: &[u8]) -> Result<(), DecodeError> {
    walk_chunks(bytes, |_| Ok(()))
}

/// The same, and one of which a chunk is not as its checksum says.
pub(super) fn check_chunks_and_sums(bytes: &[u8]) -> Result<(), DecodeError> {
    walk_chunks(bytes, |chunk| chunk.check_sum())
}

fn walk_chunks(
    bytes: &[u8],
    check: impl Fn(&Chunk<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    while let Some((chunk, after)) = Chunk::split_off(rest) {
        check(&chunk)?;
        match chunk.name {
            b"acTL" => return Err(DecodeError::Animated),
            b"eXIf" if is_turned(chunk.data) => return Err(DecodeError::Turned),
            b"IEND" => return Ok(()),
            _ => rest = after,
        }
    }
    Err(DecodeError::Damaged { detail: "the file ends before its last chunk".to_owned() })
}

/// A chunk as it stands in the file.
struct Chunk<'a> {
    name: &'a [u8],
    data: &'a [u8],
    /// Name and data, which the checksum is of.
    summed: &'a [u8],
    sum: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The first chunk and what comes after it; none when the bytes end before.
    fn split_off(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (summed, rest) = rest.split_at_checked(NAME_BYTES.checked_add(length)?)?;
        let (name, data) = summed.split_at_checked(NAME_BYTES)?;
        let (sum, rest) = rest.split_at_checked(CHECKSUM_BYTES)?;
        Some((Self { name, data, summed, sum }, rest))
    }

    fn check_sum(&self) -> Result<(), DecodeError> {
        if self.sum == crc32fast::hash(self.summed).to_be_bytes() {
            return Ok(());
        }
        let name = String::from_utf8_lossy(self.name);
        Err(DecodeError::Damaged { detail: format!("the checksum of {name} is wrong") })
    }
}

fn is_turned(exif: &[u8]) -> bool {
    Orientation::from_exif_chunk(exif).is_some_and(|found| found != Orientation::NoTransforms)
}
