//! Photographs of a drawn board, compared: flaws are found, light and place are not.

use domain::NotComparable;
use image::{Rgb, RgbImage};
use proptest::prelude::*;

use super::*;

mod generated_pieces;
mod pieces;

const SIZE: (u32, u32) = (480, 360);

/// A number from 0 to 1 that follows from two others.
fn noise(seed: u64, number: u64) -> f32 {
    let mut bits =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03);
    bits = (bits ^ (bits >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((bits ^ (bits >> 29)) >> 40) as f32 / (1 << 24) as f32
}

/// A shape of one colour: a box with a corner and a size, or a disc when the size is a radius twice.
#[derive(Clone, Copy)]
struct Shape {
    at: [f32; 2],
    half: [f32; 2],
    round: bool,
    colour: [f32; 3],
}

impl Shape {
    /// The part of a pixel that the shape covers.
    fn covers(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = ((x - self.at[0]).abs(), (y - self.at[1]).abs());
        let inside = if self.round {
            self.half[0] - dx.hypot(dy)
        } else {
            (self.half[0] - dx).min(self.half[1] - dy)
        };
        (inside + 0.5).clamp(0.0, 1.0)
    }
}

/// Tracks, pads and printing, drawn anew for every seed.
fn board(seed: u64) -> Vec<Shape> {
    let (width, height) = (SIZE.0 as f32, SIZE.1 as f32);
    let mut shapes = Vec::new();
    for number in 0..90 {
        let random = |part: u64| noise(seed, number * 7 + part);
        let at = [random(0) * width, random(1) * height];
        let long = 20.0 + 60.0 * random(2);
        let thin = 3.0 + 5.0 * random(3);
        let (half, round, colour) = match number % 5 {
            0 => ([6.0 + 6.0 * random(4); 2], true, [196.0, 200.0, 180.0]),
            1 => ([4.0 + 8.0 * random(4), 3.0], false, [222.0, 222.0, 216.0]),
            2 | 3 => ([long, thin], false, [58.0, 128.0, 84.0]),
            _ => ([thin, long], false, [62.0, 134.0, 86.0]),
        };
        shapes.push(Shape { at, half, round, colour });
    }
    shapes
}

/// How a photograph is taken.
#[derive(Clone, Copy)]
struct Shot {
    seed: u64,
    shift: [f32; 2],
    /// Degrees about the middle.
    turn: f32,
    exposure: f32,
    /// How much the light grows from the left to the right border.
    slope: f32,
}

const STILL: Shot = Shot { seed: 1, shift: [0.0; 2], turn: 0.0, exposure: 1.0, slope: 0.0 };

fn photograph(shapes: &[Shape], shot: Shot) -> RgbImage {
    let (sine, cosine) = shot.turn.to_radians().sin_cos();
    let middle = [SIZE.0 as f32 / 2.0, SIZE.1 as f32 / 2.0];
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let (dx, dy) = (x as f32 - middle[0] - shot.shift[0], y as f32 - middle[1] - shot.shift[1]);
        let (at_x, at_y) =
            (middle[0] + cosine * dx + sine * dy, middle[1] + cosine * dy - sine * dx);
        let mut colour = [34.0, 92.0, 58.0];
        for shape in shapes {
            let part = shape.covers(at_x, at_y);
            for (level, own) in colour.iter_mut().zip(shape.colour) {
                *level += (own - *level) * part;
            }
        }
        let light = shot.exposure * (1.0 + shot.slope * (x as f32 / SIZE.0 as f32 - 0.5));
        let pixel = u64::from(y * SIZE.0 + x) * 3;
        let grain = |channel: u64| {
            (0..4).map(|part| noise(shot.seed, (pixel + channel) * 4 + part)).sum::<f32>() - 2.0
        };
        Rgb([0, 1, 2].map(|channel| {
            (colour[channel] * light + 2.5 * grain(channel as u64) + 0.5).clamp(0.0, 255.0) as u8
        }))
    })
}

fn golden(seed: u64) -> GoldenPhotograph {
    GoldenPhotograph::new(ImageView::Colour(&photograph(&board(seed), STILL)))
}

#[derive(Debug)]
struct Compared {
    registration: Registration,
    bend: f32,
    differences: Vec<UnexplainedDifference>,
}

fn compare(golden: &GoldenPhotograph, picture: ImageView<'_>) -> Result<Compared, Incomparable> {
    let registered = golden.register(picture, &CountingPixels::default());
    let (registration, bend) = (registered.registration(), registered.field().bend());
    if !registered.agrees() {
        return Err(Incomparable::NotRegistered { score: registration.score });
    }
    let found = golden.find_differences(registered, &CountingPixels::default(), None)?;
    let [differences, _] = found.differences;
    Ok(Compared { registration, bend, differences })
}

fn compared(seed: u64, more: &[Shape], shot: Shot) -> Result<Compared, Incomparable> {
    let shapes: Vec<Shape> = board(seed).into_iter().chain(more.iter().copied()).collect();
    compare(&golden(seed), ImageView::Colour(&photograph(&shapes, shot)))
}

/// A disc of solder mask of another shade.
fn spot(x: f32, y: f32) -> Shape {
    Shape { at: [x, y], half: [6.0; 2], round: true, colour: [120.0, 60.0, 120.0] }
}

#[test]
fn the_same_board_shows_no_difference() {
    for seed in 0..4 {
        let shot = Shot { seed: 9, shift: [6.4, -3.7], turn: 0.4, exposure: 0.85, ..STILL };
        let found = compared(seed, &[], shot).expect("comparable");
        assert_eq!(found.differences, [], "board {seed}");
        let off = [found.registration.dx - 6.4, found.registration.dy + 3.7];
        assert!(
            off[0].abs() < 0.15 && off[1].abs() < 0.15,
            "board {seed}: {:?}",
            found.registration
        );
        assert!(found.bend < 0.3, "board {seed} bends by {}", found.bend);
    }
}

#[test]
fn light_that_slopes_is_followed_and_a_spot_in_it_found() {
    let shot = Shot { seed: 5, slope: 0.5, ..STILL };
    assert_eq!(compared(3, &[], shot).expect("comparable").differences, []);
    let found = compared(3, &[spot(60.0, 300.0), spot(420.0, 60.0)], shot).expect("comparable");
    assert_eq!(found.differences.len(), 2, "{found:?}");
}

#[test]
fn turns_of_three_degrees_and_shifts_of_a_twentieth_are_followed() {
    for (turn, shift) in [(3.0, [8.0, -6.0]), (-3.0, [0.0, 10.0]), (0.0, [24.0, -18.0])] {
        let found = compared(1, &[spot(240.0, 180.0)], Shot { turn, shift, ..STILL });
        let found = found.expect("comparable");
        assert_eq!(found.differences.len(), 1, "turn {turn}, shift {shift:?}");
    }
}

#[test]
fn highlights_that_are_clipped_are_unknown_and_not_different() {
    for exposure in [0.8, 1.5] {
        let found = compared(2, &[], Shot { exposure, ..STILL }).expect("comparable");
        assert_eq!(found.differences, [], "exposure {exposure}");
    }
    let dark = compared(2, &[spot(240.0, 180.0)], Shot { exposure: 1.5, ..STILL });
    assert_eq!(dark.expect("comparable").differences.len(), 1);
}

#[test]
fn half_a_picture_out_of_focus_is_refused() {
    let sharp = photograph(&board(4), STILL);
    let blurred = image::imageops::blur(&sharp, 6.0);
    let half = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        *if x < SIZE.0 / 2 { &blurred } else { &sharp }.get_pixel(x, y)
    });
    for picture in [half, blurred] {
        let result = compare(&golden(4), ImageView::Colour(&picture));
        let reason = result.as_ref().err().map(Incomparable::reason);
        assert_eq!(reason, Some(NotComparable::OutOfFocus), "{result:?}");
    }
}

#[test]
fn another_board_and_a_blank_picture_are_refused() {
    let pictures =
        [photograph(&board(11), STILL), RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([128; 3]))];
    for picture in &pictures {
        let result = compare(&golden(10), ImageView::Colour(picture));
        assert!(matches!(result, Err(Incomparable::NotRegistered { .. })), "{result:?}");
    }
}

#[test]
fn a_grey_photograph_is_compared_as_well() {
    let grey = |picture: RgbImage| image::DynamicImage::ImageRgb8(picture).into_luma8();
    let golden = GoldenPhotograph::new(ImageView::Grey(&grey(photograph(&board(6), STILL))));
    let grey_spot = Shape { colour: [150.0; 3], ..spot(100.0, 100.0) };
    let shapes: Vec<Shape> = board(6).into_iter().chain([grey_spot]).collect();
    let shot = Shot { seed: 8, shift: [2.5, 1.5], ..STILL };
    let found =
        compare(&golden, ImageView::Grey(&grey(photograph(&shapes, shot)))).expect("comparable");
    assert_eq!(found.differences.len(), 1, "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Along edges that were drawn without any blur a faint one is called beside it in some of these pictures.
    #[test]
    fn a_spot_anywhere_is_the_strongest_difference_by_far(
        seed in 0_u64..1000,
        x in 30.0_f32..450.0,
        y in 30.0_f32..330.0,
        dx in -9.0_f32..9.0,
        dy in -9.0_f32..9.0,
        turn in -0.8_f32..0.8,
    ) {
        let shot = Shot { seed, shift: [dx, dy], turn, exposure: 0.9, ..STILL };
        let found = compared(seed, &[spot(x, y)], shot).expect("comparable");
        prop_assert!((1..=3).contains(&found.differences.len()), "{:?}", found);
        let strongest = found.differences[0].strength;
        let is_faint = |other: &UnexplainedDifference| 10.0 * other.strength < strongest;
        prop_assert!(found.differences[1..].iter().all(is_faint), "{:?}", found);
        let bounds = found.differences[0].bounds;
        let near = |low: u32, length: u32, at: f32| {
            low as f32 - 10.0 < at && at < (low + length) as f32 + 10.0
        };
        prop_assert!(near(bounds.x, bounds.width, x + dx) && near(bounds.y, bounds.height, y + dy));
    }
}
