//! Packed words agree with the definitions, pixel by pixel.

use image::{GrayImage, Luma};
use proptest::prelude::*;

use crate::binary_image::BinaryImage;
use crate::{candidates, field};

proptest! {
    #[test]
    fn packed_morphology_agrees_with_its_definition(
        width in 1_usize..150,
        height in 1_usize..12,
        // From pictures with rows in which nothing is set to those in which everything is.
        density in 0_u64..=256,
        seed in any::<u64>(),
    ) {
        let dark = |x: usize, y: usize| {
            let mixed = (x as u64 * 31 + y as u64 * 17 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 56) < density
        };
        let picture = GrayImage::from_fn(width as u32, height as u32, |x, y| {
            Luma([if dark(x as usize, y as usize) { 0 } else { 255 }])
        });
        let bits = BinaryImage::from_picture(&picture);
        let near = |x: usize, y: usize| -> Vec<bool> {
            (0..9)
                .map(|i| (x + i % 3, y + i / 3))
                .map(|(x, y)| x > 0 && y > 0 && bits.is_set(x - 1, y - 1))
                .collect()
        };
        let (grown, shrunk) = (bits.dilated(), bits.eroded());
        for y in 0..height {
            for x in 0..width {
                prop_assert_eq!(bits.is_set(x, y), dark(x, y));
                prop_assert_eq!(grown.is_set(x, y), near(x, y).into_iter().any(|set| set));
                prop_assert_eq!(shrunk.is_set(x, y), near(x, y).into_iter().all(|set| set));
            }
        }
    }

    #[test]
    fn offsets_are_rounded_as_numbers_are(offset in -20_000.0..20_000.0_f32, halves in -20_000..20_000) {
        let half = halves as f32 / 2.0;
        for offset in [offset, half, half.next_up(), half.next_down()] {
            prop_assert_eq!(field::round_offset(offset), offset.round() as isize, "{}", offset);
        }
    }

    #[test]
    fn regions_are_what_a_flood_fill_finds(
        width in 1_usize..140,
        height in 1_usize..14,
        seed in any::<u64>(),
    ) {
        let set = |x: usize, y: usize| {
            let mixed = (x as u64 * 131 + y as u64 * 7 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 60) < 6
        };
        let picture = GrayImage::from_fn(width as u32, height as u32, |x, y| {
            Luma([if set(x as usize, y as usize) { 0 } else { 255 }])
        });
        let bits = BinaryImage::from_picture(&picture);
        let mut seen = vec![false; width * height];
        let mut expected = Vec::new();
        for start in 0..width * height {
            if seen[start] || !bits.is_set(start % width, start / width) {
                continue;
            }
            seen[start] = true;
            let mut stack = vec![start];
            let mut extent = [usize::MAX, usize::MAX, 0, 0];
            while let Some(at) = stack.pop() {
                let (x, y) = (at % width, at / width);
                extent = [extent[0].min(x), extent[1].min(y), extent[2].max(x), extent[3].max(y)];
                for i in 0..9 {
                    let (x, y) = ((x + i % 3).wrapping_sub(1), (y + i / 3).wrapping_sub(1));
                    if bits.is_set(x, y) && !seen[y * width + x] {
                        seen[y * width + x] = true;
                        stack.push(y * width + x);
                    }
                }
            }
            expected.push(extent);
        }
        let found: Vec<[usize; 4]> = candidates::find_regions(&bits, usize::MAX)
            .expect("no limit")
            .iter()
            .map(|r| [r.left, r.top, r.right, r.bottom])
            .collect();
        prop_assert_eq!(found, expected);
    }
}
