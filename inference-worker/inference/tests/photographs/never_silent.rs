//! Photographs of good boards with something done to them that no reading of copper sees: none of them passes.

use super::*;

/// A good board in another light and place than its golden sample.
fn second_shot(part: u64) -> Camera {
    Camera { seed: part + 500, exposure: 0.9, shift: (2.3, -1.7), turn: 0.15, ..of(part) }
}

/// True when nothing keeps the picture from passing.
fn passes(golden: &PreparedGolden, picture: RgbImage) -> bool {
    let Ok(prepared) = prepare(&DecodedImage::Colour(picture), golden) else { return false };
    let outputs = engine().run(&prepared.crops).expect("the network runs");
    let found = prepared.merge_answers(&outputs).expect("as many answers as crops");
    let doubted = found.defects.iter().any(|defect| defect.confidence.get() >= 0.25);
    !doubted && found.differences.is_empty() && prepared.coverage.uncovered_pieces() == 0
}

fn photograph(board: &Design, camera: &Camera) -> RgbImage {
    camera.take_photograph(&board.golden_sample(), SIZE)
}

/// Takes a good photograph of every part, changes it, and holds that it does not pass then.
fn never_passes(what: &str, change: impl Fn(&mut RgbImage, u64)) {
    for part in 0..4 {
        let board = design(part);
        let mut picture = photograph(&board, &second_shot(part));
        change(&mut picture, part);
        assert!(!passes(&golden(&board, part), picture), "{what} passes on part {part}");
    }
}

/// Moves a pixel's levels towards `colour` by the part `share`.
fn paint(picture: &mut RgbImage, (x, y): (u32, u32), colour: [f32; 3], share: f32) {
    let Some(pixel) = picture.get_pixel_mut_checked(x, y) else { return };
    let share = share.clamp(0.0, 1.0);
    for (level, colour) in pixel.0.iter_mut().zip(colour) {
        *level = (f32::from(*level) * (1.0 - share) + colour * share).round() as u8;
    }
}

/// Where the part's copper takes most, or least, of a square of 24 pixels: a pad, or plain laminate.
fn plainest_square(part: u64, copper: bool) -> (u32, u32) {
    let board = design(part).golden_sample();
    let margin = (BOARD - SIZE) / 2;
    let covered = |&(x, y): &(u32, u32)| {
        let seen = (0..24 * 24).map(|at| (margin + x + at % 24, margin + y + at / 24));
        seen.filter(|&(x, y)| (board.get_pixel(x, y).0[0] < 128) == copper).count()
    };
    let places =
        (40..SIZE - 64).step_by(8).flat_map(|y| (40..SIZE - 64).step_by(8).map(move |x| (x, y)));
    places.max_by_key(covered).expect("places")
}

#[test]
fn a_second_shot_of_a_good_board_passes() {
    for part in 0..8 {
        let board = design(part);
        assert!(passes(&golden(&board, part), photograph(&board, &second_shot(part))), "{part}");
    }
}

#[test]
fn a_hairline_scratch_does_not_pass_wherever_it_runs() {
    for (turn, centre) in [(20.0, (200.0, 150.0)), (75.0, (420.0, 330.0)), (140.0, (300.0, 500.0))]
    {
        never_passes(&format!("a scratch at {turn}°"), |picture, _| {
            let (sine, cosine) = f32::to_radians(turn).sin_cos();
            for (x, y) in (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (x, y))) {
                let (dx, dy) = (x as f32 - centre.0, y as f32 - centre.1);
                let (along, across) = (dx * cosine + dy * sine, dy * cosine - dx * sine);
                if along.abs() < 35.0 {
                    paint(picture, (x, y), [235.0, 235.0, 230.0], 1.25 - across.abs());
                }
            }
        });
    }
}

#[test]
fn a_pad_that_is_missing_does_not_pass() {
    never_passes("a missing pad", |picture, part| {
        let (pad, plain) = (plainest_square(part, true), plainest_square(part, false));
        for (x, y) in (0..24).flat_map(|y| (0..24).map(move |x| (x, y))) {
            let laminate = *picture.get_pixel(plain.0 + x, plain.1 + y);
            picture.put_pixel(pad.0 + x, pad.1 + y, laminate);
        }
    });
}

#[test]
fn glare_that_clips_an_area_does_not_pass() {
    for spread in [12.0_f32, 30.0, 80.0] {
        never_passes(&format!("glare of {spread} pixels"), |picture, _| {
            for (x, y, pixel) in picture.enumerate_pixels_mut() {
                let apart = (x as f32 - 260.0).hypot(y as f32 - 330.0) / spread;
                let more = 500.0 * (-apart * apart / 2.0).exp();
                pixel.0 = pixel.0.map(|level| (f32::from(level) + more).min(255.0) as u8);
            }
        });
    }
}

#[test]
fn a_grey_patch_does_not_pass_whatever_its_size() {
    // As decoders leave it that go on after the data ends: blocks, or all the rest.
    let extents = [(96, 208, 16, 16), (200, 240, 96, 64), (160, 160, 320, 320), (0, 480, 640, 160)];
    for (left, top, width, height) in extents {
        never_passes(&format!("a patch of {width} × {height}"), |picture, _| {
            for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                picture.put_pixel(left + x, top + y, Rgb([128; 3]));
            }
        });
    }
}

#[test]
fn copper_where_the_golden_sample_does_not_reach_does_not_pass() {
    for part in 0..4 {
        let board = design(part);
        let camera = Camera { shift: (20.0, 0.0), ..second_shot(part) };
        let mut picture = photograph(&board, &camera);
        let copper = camera.palette.copper.map(f32::from);
        for (x, y) in (120..520).flat_map(|y| (1..19).map(move |x| (x, y))) {
            paint(&mut picture, (x, y), copper, 1.0);
        }
        assert!(!passes(&golden(&board, part), picture), "part {part}");
    }
}

#[test]
fn half_a_picture_out_of_focus_does_not_pass() {
    for blur in [3.0, 6.0] {
        never_passes(&format!("half of it blurred by {blur}"), |picture, part| {
            let blurred = image::imageops::blur(picture, blur);
            for (x, y, pixel) in picture.enumerate_pixels_mut() {
                let hidden = if part % 2 == 0 { x < SIZE / 2 } else { y < SIZE / 2 };
                if hidden {
                    *pixel = *blurred.get_pixel(x, y);
                }
            }
        });
    }
}
