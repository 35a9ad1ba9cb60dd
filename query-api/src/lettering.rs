//! Words on pictures, in a font that reports are printed in, too: its outlines, filled.

use image::{Rgb, RgbImage};
use tiny_skia::{FillRule, Mask, PathBuilder, Transform};
use ttf_parser::{Face, OutlineBuilder};
use typst::text::{Font, FontStyle, FontWeight};
use typst_kit::fonts::embedded;

use crate::palette::Colour;

const FAMILY: &str = "DejaVu Sans Mono";
/// Between a line of words and its plate's edge, in parts of the size.
const PADDING: f32 = 0.25;
/// The height of a line from the top of its capitals to below its descenders, in parts of the size.
const LINE: f32 = 1.0;
/// Where the words stand on that line, from its top.
const BASELINE: f32 = 0.8;

/// Words of one size.
pub(crate) struct Lettering {
    /// None only when the program was built without it; then nothing is written.
    font: Option<Font>,
    size: f32,
}

impl Lettering {
    /// Of so many pixels.
    pub(crate) fn new(size: f32) -> Self {
        let mut fonts = embedded().map(|(font, _)| font);
        let font = fonts.find(|font| {
            let info = font.info();
            let (style, weight) = (info.variant.style, info.variant.weight);
            info.family == FAMILY && style == FontStyle::Normal && weight == FontWeight::BOLD
        });
        Self { font, size }
    }

    /// The same in another size.
    pub(crate) fn resized(&self, size: f32) -> Self {
        Self { font: self.font.clone(), size }
    }

    /// Width and height of `text` on its plate, in whole pixels.
    pub(crate) fn measure(&self, text: &str) -> (u32, u32) {
        let padding = 2.0 * PADDING * self.size;
        let width = self.with_face(|face| {
            let scale = self.scale(face);
            text.chars().map(|letter| advance(face, letter) * scale).sum::<f32>()
        });
        let height = LINE * self.size + padding;
        ((width.unwrap_or_default() + padding).ceil() as u32, height.ceil() as u32)
    }

    /// Writes `text` on a plate of its size whose top left corner is `at`.
    pub(crate) fn write(&self, out: &mut RgbImage, at: (u32, u32), text: &str, colour: Colour) {
        let (width, height) = self.measure(text);
        let Some(mut mask) = Mask::new(width.max(1), height.max(1)) else { return };
        let Some(path) = self.outline(text) else { return };
        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
        let covered = mask.data().chunks_exact(width.max(1) as usize);
        for (y, row) in (at.1..out.height()).zip(covered) {
            for (x, &share) in (at.0..out.width()).zip(row) {
                let Rgb(under) = *out.get_pixel(x, y);
                let blend = |over: u8, under: u8| {
                    let (over, under, share) =
                        (u32::from(over), u32::from(under), u32::from(share));
                    ((over * share + under * (255 - share) + 127) / 255) as u8
                };
                let channel = |at: usize| blend(colour[at], under[at]);
                out.put_pixel(x, y, Rgb([channel(0), channel(1), channel(2)]));
            }
        }
    }

    fn outline(&self, text: &str) -> Option<tiny_skia::Path> {
        self.with_face(|face| {
            let scale = self.scale(face);
            let padding = PADDING * self.size;
            let mut pen = GlyphPen {
                path: PathBuilder::new(),
                scale,
                origin: (padding, padding + BASELINE * self.size),
            };
            for letter in text.chars() {
                if let Some(glyph) = face.glyph_index(letter) {
                    // A letter without an outline is a space.
                    let _ = face.outline_glyph(glyph, &mut pen);
                }
                pen.origin.0 += advance(face, letter) * scale;
            }
            pen.path.finish()
        })
        .flatten()
    }

    fn with_face<T>(&self, work: impl FnOnce(&Face<'_>) -> T) -> Option<T> {
        let font = self.font.as_ref()?;
        Face::parse(font.data(), font.index()).ok().map(|face| work(&face))
    }

    fn scale(&self, face: &Face<'_>) -> f32 {
        self.size / f32::from(face.units_per_em().max(1))
    }
}

/// In units of the font.
fn advance(face: &Face<'_>, letter: char) -> f32 {
    let glyph = face.glyph_index(letter).unwrap_or_default();
    face.glyph_hor_advance(glyph).map_or(0.0, f32::from)
}

/// Draws outlines, whose ordinates rise, into pictures, where they fall.
struct GlyphPen {
    path: PathBuilder,
    scale: f32,
    origin: (f32, f32),
}

impl GlyphPen {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (self.origin.0 + x * self.scale, self.origin.1 - y * self.scale)
    }
}

impl OutlineBuilder for GlyphPen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2)) = (self.place(x1, y1), self.place(x2, y2));
        let (x, y) = self.place(x, y);
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_on_their_plate_and_nowhere_else() {
        let letters = Lettering::new(16.0);
        let (width, height) = letters.measure("short 0.97");
        assert!((90..120).contains(&width) && (20..30).contains(&height), "{width} × {height}");
        let mut out = RgbImage::from_pixel(200, 60, Rgb([255; 3]));
        letters.write(&mut out, (20, 10), "short 0.97", [0; 3]);
        let dark = out.enumerate_pixels().filter(|(.., pixel)| pixel.0 != [255; 3]);
        let places: Vec<_> = dark.map(|(x, y, _)| (x, y)).collect();
        assert!(places.len() > 200, "{}", places.len());
        let on_plate =
            |&(x, y): &(u32, u32)| (20..20 + width).contains(&x) && (10..10 + height).contains(&y);
        assert!(places.iter().all(on_plate));
        // Partly off the picture: what is on it is written.
        letters.write(&mut out, (190, 50), "short", [0; 3]);
    }
}
