//! What the marks on a picture mean: one entry for each kind that is there, in lines below it.

use domain::{DefectClass, Grade, PixelBox};
use image::RgbImage;

use super::{Hatching, LinePen, LineStyle, PictureMarks};
use crate::lettering::Lettering;
use crate::palette::{Colour, INK, class_colour};

/// What stands before the words of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    Line(Colour, LineStyle),
    Hatched(Hatching),
}

/// One kind of mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct LegendEntry {
    sample: Sample,
    words: &'static str,
}

/// Entries with the places of their samples, from the top left of the legend.
pub(super) struct Legend {
    placed: Vec<(LegendEntry, (u32, u32))>,
    height: u32,
}

/// Of what there is on the picture.
pub(super) fn list_entries(marks: &PictureMarks<'_>) -> Vec<LegendEntry> {
    let mut entries = Vec::new();
    for class in DefectClass::ALL {
        if marks.defects.iter().any(|(defect, _)| defect.class == class) {
            let sample = Sample::Line(class_colour(class), LineStyle::Solid);
            entries.push(LegendEntry { sample, words: class.as_str() });
        }
    }
    let mut add = |is_there: bool, sample, words| {
        if is_there {
            entries.push(LegendEntry { sample, words });
        }
    };
    let is_doubtful = marks.defects.iter().any(|(_, grade)| *grade != Grade::Defect);
    add(is_doubtful, Sample::Line(INK, LineStyle::Dashed), "doubtful");
    let is_unexplained = !marks.differences.is_empty();
    add(is_unexplained, Sample::Line(INK, LineStyle::Dotted), "D: no finding explains it");
    add(!marks.uncovered.is_empty(), Sample::Hatched(Hatching::Uncovered), "not compared");
    let is_excluded = !marks.excluded.is_empty() || marks.border > 0;
    add(is_excluded, Sample::Hatched(Hatching::Excluded), "not inspected");
    entries
}

/// All that is written, with room for a sample before it.
pub(super) fn words(entries: &[LegendEntry]) -> impl Iterator<Item = &str> {
    entries.iter().map(|entry| entry.words)
}

/// In lines of so many pixels.
pub(super) fn arrange_entries(
    entries: Vec<LegendEntry>,
    width: u32,
    letters: &Lettering,
) -> Legend {
    let line = letters.measure("").1;
    let mut placed = Vec::with_capacity(entries.len());
    let (mut x, mut y) = (0, 0);
    for entry in entries {
        let taken = sample_width(line) + letters.measure(entry.words).0;
        if x > 0 && x + taken > width {
            (x, y) = (0, y + line);
        }
        placed.push((entry, (x, y)));
        x += taken;
    }
    let height = if placed.is_empty() { 0 } else { y + line };
    Legend { placed, height }
}

/// A sample is a little wider than it is high.
const fn sample_width(line: u32) -> u32 {
    line + line / 2
}

impl Legend {
    /// In pixels.
    pub(super) const fn height(&self) -> u32 {
        self.height
    }

    /// Draws it from this row on.
    pub(super) fn draw(&self, out: &mut RgbImage, top: u32, letters: &Lettering) {
        let line = letters.measure("").1;
        let pen = LinePen { width: letters.line_width(), limit: out.dimensions() };
        for (entry, (x, y)) in &self.placed {
            let inset = line / 4;
            let bounds = PixelBox {
                x: x + inset,
                y: top + y + inset,
                width: sample_width(line).saturating_sub(2 * inset),
                height: line.saturating_sub(2 * inset),
            };
            match entry.sample {
                Sample::Line(colour, style) => pen.draw_frame(out, &bounds, colour, style),
                Sample::Hatched(hatching) => pen.hatch(out, &bounds, hatching),
            }
            letters.write(out, (x + sample_width(line), top + y), entry.words, INK);
        }
    }
}
