//! A whole file is read; what lacks anything of its picture is not.
//!
//! `pictures/progressive.jpg` is a colour gradient of 44 × 30 pixels in progressive scans with halved
//! colours, `restarts.jpg` the same in grey with a restart marker every four blocks; both were written by
//! libjpeg-turbo at quality 75.

use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, Luma};
use proptest::prelude::*;

use super::*;

const PROGRESSIVE: &[u8] = include_bytes!("pictures/progressive.jpg");
const RESTARTS: &[u8] = include_bytes!("pictures/restarts.jpg");

fn baseline(width: u32, height: u32, quality: u8) -> Vec<u8> {
    let level = |x: u32, y: u32| Luma([(x * x + 7 * y * x + y) as u8]);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(&GrayImage::from_fn(width, height, level))
        .expect("writing to memory");
    bytes
}

/// Where the data of the first scan begins.
fn scan_start(bytes: &[u8]) -> usize {
    let header = bytes.windows(2).position(|pair| pair == [0xff, segment::SCAN]);
    let header = header.expect("a scan") + 2;
    header + usize::from(u16::from_be_bytes([bytes[header], bytes[header + 1]]))
}

fn with_marker(bytes: &[u8], marker: u8, instead: u8) -> Vec<u8> {
    let at = bytes.windows(2).position(|pair| pair == [0xff, marker]).expect("the marker");
    let mut changed = bytes.to_vec();
    changed[at + 1] = instead;
    changed
}

#[test]
fn whole_pictures_are_whole_whatever_their_size_and_coding() {
    for (width, height) in [(1, 1), (8, 8), (9, 17), (64, 40), (121, 3)] {
        for quality in [10, 75, 100] {
            let picture = baseline(width, height, quality);
            assert_eq!(check_whole(&picture), Ok(()), "{width} × {height} at {quality}");
        }
    }
    assert_eq!(check_whole(PROGRESSIVE), Ok(()));
    assert_eq!(check_whole(RESTARTS), Ok(()));
}

#[test]
fn a_picture_that_ends_early_is_refused_wherever_and_however_it_ends() {
    for whole in [&baseline(40, 24, 75), PROGRESSIVE, RESTARTS] {
        for end in 2..whole.len() - 2 {
            let cut = &whole[..end];
            assert!(check_whole(cut).is_err(), "cut at {end} of {}", whole.len());
            let closed = [cut, &[0xff, segment::END]].concat();
            assert!(check_whole(&closed).is_err(), "closed at {end} of {}", whole.len());
        }
    }
}

#[test]
fn a_byte_that_turns_into_the_end_of_the_picture_is_seen() {
    let whole = baseline(200, 120, 90);
    let stuffed: Vec<_> = (scan_start(&whole)..whole.len() - 2)
        .filter(|at| whole[*at..*at + 2] == [0xff, 0])
        .collect();
    assert!(stuffed.len() > 10);
    for at in stuffed {
        let mut damaged = whole.clone();
        damaged[at + 1] = segment::END;
        assert!(check_whole(&damaged).is_err(), "at {at}");
    }
}

#[test]
fn a_lost_or_exchanged_restart_interval_is_seen() {
    let markers: Vec<_> = (scan_start(RESTARTS)..RESTARTS.len() - 2)
        .filter(|at| RESTARTS[*at] == 0xff && (0xd0..=0xd7).contains(&RESTARTS[at + 1]))
        .collect();
    for pair in markers.windows(2) {
        let lost = [&RESTARTS[..pair[0]], &RESTARTS[pair[1]..]].concat();
        assert!(check_whole(&lost).is_err());
    }
}

#[test]
fn what_is_not_read_is_named() {
    let whole = baseline(40, 24, 75);
    for (marker, what) in [
        (0xc3, "lossless coding"),
        (0xc5, "hierarchical coding"),
        (0xc9, "arithmetic coding"),
        (0xca, "arithmetic coding"),
    ] {
        let refused = Err(Unreadable::Coding(what));
        assert_eq!(check_whole(&with_marker(&whole, 0xc0, marker)), refused);
        assert_eq!(read_size(&with_marker(&whole, 0xc0, marker)).map(|_| ()), refused);
    }
    let frame = whole.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    let mut deep = whole.clone();
    deep[frame + 4] = 12;
    assert_eq!(check_whole(&deep), Err(Unreadable::Coding("12 bits a channel")));
    let two = [whole.as_slice(), &whole].concat();
    assert_eq!(check_whole(&two), Err(Unreadable::Coding("several pictures in one file")));
    let trailer = [whole.as_slice(), b"camera's own notes"].concat();
    assert_eq!(check_whole(&trailer), Ok(()));
}

#[test]
fn the_size_is_read_from_the_frame() {
    let size = read_size(&baseline(121, 40, 75));
    assert_eq!(size, Ok(FrameSize { width: 121, height: 40 }));
}

/// A table that spends so many of the free codes of each length, and the symbols in turn.
fn table_of(spent: &[u8; 16], symbols: &[u8]) -> HuffmanTable {
    let (mut free, mut counts) = (1_usize, [0; 16]);
    for (count, spent) in counts.iter_mut().zip(spent) {
        free = (2 * free).min(255);
        *count = (free * usize::from(*spent) / 256) as u8;
        free -= usize::from(*count);
    }
    let total = counts.iter().map(|count| usize::from(*count)).sum();
    let symbols: Vec<u8> = symbols.iter().copied().cycle().take(total).collect();
    HuffmanTable::new(&counts, &symbols).expect("no more codes than there are")
}

/// A block, code by code.
fn walk_slowly(
    mean: &HuffmanTable,
    other: &HuffmanTable,
    bits: &mut bits::Bits<'_>,
) -> Result<(), Unreadable> {
    block::skip_mean(mean, bits)?;
    let mut at = 1;
    while at <= block::LAST {
        at = block::skip_one(other, bits, at)?;
    }
    Ok(())
}

#[test]
fn coded_data_is_cut_at_its_markers_wherever_they_lie() {
    for before in 0..20 {
        for between in 0..20 {
            let (first, second) = (vec![7; before], vec![0xfe; between]);
            let bytes =
                [&[0xff, segment::START], &first[..], &[0xff, 0], &second, &[0xff, 0xd0, 5]];
            let bytes = [&bytes.concat()[..], &[0xff, 0xff, segment::END]].concat();
            let mut segments = Segments::new(&bytes).expect("a picture begins");
            let coded = segments.take_coded_data(2).expect("two intervals");
            let expected = [[&first[..], &[0xff], &second].concat(), vec![5]];
            assert_eq!(coded.intervals().collect::<Vec<_>>(), expected);
        }
    }
}

proptest! {
    /// Whatever the tables and the data, and however they end.
    #[test]
    fn a_block_is_walked_in_steps_as_code_by_code(
        spent in prop::array::uniform16(0..=128_u8),
        symbols in proptest::collection::vec(prop_oneof![Just(0), 1..=5_u8, any::<u8>()], 1..200),
        data in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let other = table_of(&spent, &symbols);
        let mean = table_of(&[100; 16], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let walk = steps::BlockWalk::new(&mean, &other);
        let (mut quick, mut slow) = (bits::Bits::new(&data), bits::Bits::new(&data));
        for _ in 0..40 {
            let walked = walk.skip_block(&mut quick);
            prop_assert_eq!(walked, walk_slowly(&mean, &other, &mut slow));
            prop_assert_eq!(quick.require_end(), slow.require_end());
            if walked.is_err() {
                break;
            }
            prop_assert_eq!(quick.position(), slow.position());
        }
    }

    /// Most single bits that flip in the data are seen; those that are not change a block or two, and
    /// never how many there are. Nothing panics.
    #[test]
    fn damaged_bytes_are_walked_without_panic(
        which in 0..3_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = match which {
            0 => baseline(64, 40, 80),
            1 => PROGRESSIVE.to_vec(),
            _ => RESTARTS.to_vec(),
        };
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = (check_whole(&bytes), read_size(&bytes));
    }

    /// Zeros over a stretch of the data, as a lost block of a disk leaves them.
    #[test]
    fn a_stretch_of_zeros_is_seen(at in any::<prop::sample::Index>()) {
        let mut bytes = baseline(200, 120, 90);
        let start = scan_start(&bytes);
        let at = start + at.index(bytes.len() - 514 - start);
        bytes[at..at + 512].fill(0);
        prop_assert!(check_whole(&bytes).is_err());
    }
}
