//! Boards that never were: a deterministic generator of binarised copper layers with known flaws, and
//! of photographs of bare boards ([`photographed`]).
//!
//! One generator serves training, the demo, tests and load. Of binarised copper, a [`Design`] is a
//! part (its golden sample), and every [`Design::print_unit`] is one board of it: printed anew, so
//! with its own edges, offset and flaws. The same seeds give the same pixels on every platform:
//! integers only, no clock, no system randomness; photographs are the same on one platform.
//! Binarised pictures look like DeepPCB's: copper is dark, substrate is white. Labels reach 10
//! pixels beyond the flaw.

use domain::{DefectClass, PixelBox};
use image::{GrayImage, Luma};

pub mod camera;
mod canvas;
mod flaw;
mod layout;
mod manifest;
pub mod photographed;
mod print;
mod random;
mod stroke;
#[cfg(test)]
mod tests;
mod whole_file;

pub use flaw::LABEL_MARGIN;
pub use manifest::{
    BoardsError, BoardsSummary, LabelClass, LabelledBox, Manifest, ManifestFile, ManifestItem,
    write_boards,
};
pub use whole_file::{WholeFile, write_whole_file};

use canvas::{Area, Canvas};
use print::{Density, Deviation, UnevenStretch, Warp};
use random::Random;

/// How boards vary. The defaults imitate DeepPCB.
#[derive(Debug, Clone, Copy)]
pub struct BoardOptions {
    /// Width and height of the pictures in pixels; 640 by default, at least 96.
    pub size: u32,
    /// Fewest flaws on a flawed board; 3 by default.
    pub min_defects: u32,
    /// Most flaws on a flawed board; 12 by default. A crowded layout may hold fewer.
    pub max_defects: u32,
    /// Per cent of boards without any flaw; 0 by default.
    pub clean_per_cent: u32,
    /// Largest registration error in pixels, each direction; 5 by default, at most 20.
    pub max_shift: u32,
    /// Largest uneven stretch in pixels; 5 by default, at most 8.
    pub max_stretch: u32,
    /// Per cent of boards whose copper is etched by 2 to 5 pixels too much or too little; 0 by
    /// default. A dense layout that is etched so differs too much to be compared.
    pub over_etched_per_cent: u32,
    /// Boards made of one design before [`generate_board`] takes the next; 1 by default.
    pub units_per_design: u32,
}

impl Default for BoardOptions {
    fn default() -> Self {
        Self {
            size: 640,
            min_defects: 3,
            max_defects: 12,
            clean_per_cent: 0,
            max_shift: 5,
            max_stretch: 5,
            over_etched_per_cent: 0,
            units_per_design: 1,
        }
    }
}

/// A test picture with its golden sample and the truth about it.
#[derive(Debug, Clone)]
pub struct GeneratedBoard {
    /// The golden sample, `size` × `size`.
    pub golden: GrayImage,
    /// The picture under test, `size` × `size`.
    pub test: GrayImage,
    /// What is wrong, in pixels of the test picture; boxes reach [`LABEL_MARGIN`] beyond the flaw.
    pub defects: Vec<(DefectClass, PixelBox)>,
}

impl GeneratedBoard {
    /// The same board after repair, which has no flaw: the golden sample's pixels are pasted over
    /// every labelled box, as they are, so a shifted board gets seams. DeepPCB's pairs are treated
    /// alike to count false calls on real pictures.
    #[must_use]
    pub fn into_repaired(mut self) -> Self {
        let boxes = self.defects.drain(..).map(|(_, bounds)| bounds);
        paste_golden(&mut self.test, &self.golden, boxes);
        self
    }
}

/// Pastes the golden sample's pixels over these boxes of the picture.
pub fn paste_golden(
    test: &mut GrayImage,
    golden: &GrayImage,
    boxes: impl IntoIterator<Item = PixelBox>,
) {
    let (right, bottom) = (test.width().min(golden.width()), test.height().min(golden.height()));
    for PixelBox { x, y, width, height } in boxes {
        for y in y..y.saturating_add(height).min(bottom) {
            for x in x..x.saturating_add(width).min(right) {
                test.put_pixel(x, y, *golden.get_pixel(x, y));
            }
        }
    }
}

/// A part: one layout, of which any number of boards can be made.
pub struct Design {
    seed: u64,
    density: Density,
    base: Deviation,
    /// The board or its film ends here: a side, and how far from it in pixels.
    end: Option<(i32, i32)>,
    size: u32,
}

/// The layout reaches this far beyond the picture, so that a shifted print shows more of it.
const BLEED: u32 = 32;

/// A layout that shows next to nothing is drawn again, at most so many times.
const REDRAWS: u32 = 16;

/// True when both copper and substrate take at least a fiftieth of the middle.
fn shows_something(layout: &Canvas) -> bool {
    let bleed = signed(BLEED);
    let (mut copper, mut pixels) = (0, 0);
    for y in bleed..layout.height - bleed {
        for x in bleed..layout.width - bleed {
            copper += u32::from(layout.is_copper(x, y));
            pixels += 1;
        }
    }
    copper >= pixels / 50 && copper <= pixels - pixels / 50
}

impl Design {
    /// The part of this seed; pictures are `size` pixels wide and high, at least 96.
    #[must_use]
    pub fn new(seed: u64, size: u32) -> Self {
        let size = size.clamp(96, 4096);
        let mut random = Random::new(&[seed, 0x7061_7274]);
        let mut layout = layout::draw_layout(signed(size + 2 * BLEED), &mut random);
        for _ in 0..REDRAWS {
            if shows_something(&layout) {
                break;
            }
            layout = layout::draw_layout(signed(size + 2 * BLEED), &mut random);
        }
        let tilted = random.chance(40);
        let base = Deviation {
            turn: if tilted { random.between(-900, 900) } else { 0 },
            zoom: if tilted { random.between(-900, 900) } else { 0 },
            roughness: random.between(15, 75),
            ..Deviation::default()
        };
        let reach = signed(size);
        let end = random.chance(18).then(|| {
            let far = random.pick([reach / 16, reach / 4, reach / 2]);
            (random.between(0, 3), random.between(4, far))
        });
        Self { seed, density: Density::blurred_from(&layout), base, end, size }
    }

    /// The golden sample.
    #[must_use]
    pub fn golden_sample(&self) -> GrayImage {
        let mut print =
            print::print_layout(&self.density, signed(self.size), &self.base, self.seed);
        if let Some((side, at)) = self.end {
            print.cut_beyond(side, at);
        }
        render_picture(&print, &mut Random::new(&[self.seed, 0x676f_6c64]))
    }

    /// Board number `unit` of this part, and what is wrong with it.
    #[must_use]
    pub fn print_unit(
        &self,
        unit: u64,
        options: &BoardOptions,
    ) -> (GrayImage, Vec<(DefectClass, PixelBox)>) {
        let mut random = Random::new(&[self.seed, unit, 0x756e_6974]);
        let deviation = self.draw_deviation(options, &mut random);
        let grain = random.next();
        let etched = random
            .chance(signed(options.over_etched_per_cent))
            .then(|| random.pick([-3, -2, 2, 3, 4, 5]))
            .and_then(|by| self.density.etched(by));
        let density = etched.as_ref().unwrap_or(&self.density);
        let mut print = print::print_layout(density, signed(self.size), &deviation, grain);
        if let Some((side, at)) = self.end {
            // The cut is another one than the copper's place.
            let off = random.around_zero(7);
            let moved =
                [deviation.shift_x, deviation.shift_y, -deviation.shift_x, -deviation.shift_y];
            let moved = usize::try_from(side).ok().map(|side| moved[side.min(3)]);
            print.cut_beyond(side, at + moved.unwrap_or(0) / 256 + off);
        }
        let clean = random.between(1, 100) <= signed(options.clean_per_cent);
        let count = if clean {
            0
        } else {
            random.between(signed(options.min_defects), signed(options.max_defects))
        };
        let shift = deviation.shift_x.abs().max(deviation.shift_y.abs()) / 256;
        let whole = Area { left: 0, top: 0, right: print.width, bottom: print.height };
        let inside = whole.grown_by(-(shift + 6).max(12));
        let count = usize::try_from(count).unwrap_or(0);
        let flaws = flaw::paint_flaws(&mut print, inside, count, |_| true, &mut random);
        let labels = flaws.iter().map(|flaw| (flaw.class, flaw.labelled_box(self.size))).collect();
        (render_picture(&print, &mut random), labels)
    }

    /// How this unit's print differs from the layout: mostly little, sometimes much.
    fn draw_deviation(&self, options: &BoardOptions, random: &mut Random) -> Deviation {
        let most = signed(options.max_shift.min(20)) * 256;
        let reach = match random.between(0, 9) {
            0..=5 => 256.min(most),
            6..=7 => (3 * 256).min(most),
            _ => most,
        };
        let rough = random.chance(15);
        // 1/65536 of a pixel per pixel: mostly half a pixel at the picture's edge, at times two.
        let askew = if random.chance(20) { 450 } else { 90 };
        let mut warps = [Warp::default(); 3];
        for warp in &mut warps {
            if random.chance(30) {
                *warp = Warp {
                    x: random.between(0, signed(self.size)),
                    y: random.between(0, signed(self.size)),
                    radius: random.between(30, 160),
                    push_x: random.around_zero(900),
                    push_y: random.around_zero(900),
                };
            }
        }
        let stretch = signed(options.max_stretch.min(8)) * 256;
        let stretch = match random.between(0, 19) {
            0..=10 => 0,
            11..=14 => 256.min(stretch),
            15..=17 => (5 * 128).min(stretch),
            _ => stretch,
        };
        let etch = random.around_zero(if rough { 80 } else { 45 });
        // Edges roughen, plain copper and substrate never do: coarse and fine grain stay below the
        // threshold.
        let roughest = ((118 - etch.abs()) * 3 / 4).min(if rough { 90 } else { 70 });
        Deviation {
            shift_x: random.between(-reach, reach),
            shift_y: random.between(-reach, reach),
            turn: self.base.turn + random.around_zero(askew),
            zoom: self.base.zoom + random.around_zero(askew),
            etch,
            roughness: random.between(15, roughest),
            warps,
            stretch: UnevenStretch::random_within(stretch, random),
        }
    }
}

/// Board `index` of the sequence that `seed` starts: a new design every `units_per_design` boards.
#[must_use]
pub fn generate_board(seed: u64, index: u64, options: &BoardOptions) -> GeneratedBoard {
    let per_design = u64::from(options.units_per_design.max(1));
    let design = Design::new(design_seed(seed, index / per_design), options.size);
    let (test, defects) = design.print_unit(index, options);
    GeneratedBoard { golden: design.golden_sample(), test, defects }
}

/// The sequence of boards that `seed` starts, without an end: the same boards as [`generate_board`]
/// gives, but each design is drawn once.
pub fn board_sequence(seed: u64, options: BoardOptions) -> impl Iterator<Item = GeneratedBoard> {
    let per_design = u64::from(options.units_per_design.max(1));
    (0..).flat_map(move |number| {
        let design = Design::new(design_seed(seed, number), options.size);
        let golden = design.golden_sample();
        (number * per_design..(number + 1) * per_design).map(move |index| {
            let (test, defects) = design.print_unit(index, &options);
            GeneratedBoard { golden: golden.clone(), test, defects }
        })
    })
}

fn design_seed(seed: u64, number: u64) -> u64 {
    Random::new(&[seed, number, 0x6465_7369]).next()
}

/// Dark copper on white, with a scanner's specks and a JPEG's faint ripples.
fn render_picture(print: &Canvas, random: &mut Random) -> GrayImage {
    let (width, height) = (print.width.unsigned_abs(), print.height.unsigned_abs());
    let mut picture = GrayImage::new(width, height);
    for (pixel, &copper) in picture.pixels_mut().zip(print.cells()) {
        *pixel = Luma([if copper { 0 } else { 255 }]);
    }
    for _ in 0..random.between(0, 24) {
        let x = random.between(0, print.width - 2).unsigned_abs();
        let y = random.between(0, print.height - 2).unsigned_abs();
        let speck = Luma([random.pick([0, 255])]);
        picture.put_pixel(x, y, speck);
        if random.chance(40) {
            picture.put_pixel(x + 1, y, speck);
        }
    }
    for _ in 0..random.between(0, 2000) {
        let x = random.between(0, print.width - 1).unsigned_abs();
        let y = random.between(0, print.height - 1).unsigned_abs();
        let ripple = u8::try_from(random.between(1, 24)).unwrap_or(0);
        let Luma([level]) = *picture.get_pixel(x, y);
        let rippled = if level < 128 { level + ripple } else { level - ripple };
        picture.put_pixel(x, y, Luma([rippled]));
    }
    picture
}

fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
