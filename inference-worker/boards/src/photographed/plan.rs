//! The plan of a part: its copper, pads, holes and print, before anything is made of it.

use crate::canvas::Canvas;
use crate::layout::GLYPHS;
use crate::random::Random;

use super::footprints::{self, Pad};
use super::outline::Outline;
use super::routes::{self, CLEARANCE};

/// One component is tried in every square of this side, in pixels.
const CELL: i32 = 210;

/// A part as it was designed.
#[derive(Debug, Clone)]
pub(super) struct BoardPlan {
    pub(super) copper: Canvas,
    pub(super) pads: Vec<Pad>,
    /// Strokes of the silk screen.
    pub(super) print: Vec<Outline>,
}

impl BoardPlan {
    /// Draws a plan of `width` × `height` pixels.
    pub(super) fn draw(width: i32, height: i32, random: &mut Random) -> Self {
        let mut nets = Canvas::new(width, height);
        let (mut pads, mut print) = (Vec::new(), Vec::new());
        for row in 0..=height / CELL {
            for column in 0..=width / CELL {
                let x = column * CELL + random.between(-20, CELL - 20);
                let y = row * CELL + random.between(-20, CELL - 20);
                let footprint = footprints::draw_footprint(x as f32, y as f32, random);
                if footprint.pads.iter().all(|pad| is_free(pad, &nets)) {
                    footprint.pads.iter().for_each(|pad| pad.land.fill(&mut nets, true));
                    pads.extend(footprint.pads);
                    print.extend(footprint.print);
                    print.extend(draw_designator(x as f32, y as f32 - 44.0, random));
                }
            }
        }
        for _ in 0..width * height / 25_000 {
            let (x, y) = (random.between(0, width), random.between(0, height));
            let via = footprints::draw_via(x as f32, y as f32, random);
            if is_free(&via, &nets) {
                via.land.fill(&mut nets, true);
                pads.push(via);
            }
        }
        let traces = routes::route_traces(&pads, &mut nets, random);
        let copper = draw_copper(&nets, &traces, &pads, random);
        Self { copper, pads, print }
    }

    /// Where a flaw of the copper would not be seen: in holes and under the print.
    pub(super) fn hidden_places(&self) -> Canvas {
        let mut hidden = Canvas::new(self.copper.width, self.copper.height);
        for pad in &self.pads {
            if let Some(hole) = pad.hole() {
                hole.grown_by(3.0).fill(&mut hidden, true);
            }
        }
        self.print.iter().for_each(|stroke| stroke.grown_by(6.0).fill(&mut hidden, true));
        hidden
    }
}

impl Pad {
    /// The drilled hole as it was designed.
    pub(super) fn hole(&self) -> Option<Outline> {
        let (x, y) = self.land.centre();
        self.drill.map(|radius| Outline::Disc { x, y, radius })
    }
}

fn is_free(pad: &Pad, nets: &Canvas) -> bool {
    !pad.land.grown_by(CLEARANCE + 2.0).touches(nets)
}

/// Traces and pads, in many parts within a pour that keeps clear of them.
fn draw_copper(nets: &Canvas, traces: &[Outline], pads: &[Pad], random: &mut Random) -> Canvas {
    let (width, height) = (nets.width, nets.height);
    let lands = pads.iter().map(|pad| pad.land);
    let figures: Vec<Outline> = traces.iter().copied().chain(lands).collect();
    let mut copper = Canvas::new(width, height);
    if random.chance(60) {
        let whole = Outline::Rect {
            x: width as f32 / 2.0,
            y: height as f32 / 2.0,
            half_x: width as f32,
            half_y: height as f32,
            round: 0.0,
        };
        whole.fill(&mut copper, true);
        if random.chance(30) {
            cut_vents(&mut copper, random);
        }
        let moat = CLEARANCE + random.pick([0.0, 3.0, 6.0]);
        figures.iter().for_each(|figure| figure.grown_by(moat).fill(&mut copper, false));
    }
    figures.iter().for_each(|figure| figure.fill(&mut copper, true));
    // A via under the mask has no hole of its own to show, only copper that is missing.
    for via in pads.iter().filter(|pad| !pad.open) {
        via.hole().into_iter().for_each(|hole| hole.fill(&mut copper, false));
    }
    copper.remove_slivers();
    copper
}

/// Small holes in a regular pattern, which let a pour breathe.
fn cut_vents(copper: &mut Canvas, random: &mut Random) {
    let pitch = random.between(26, 40);
    let radius = random.pick([3.5, 4.0, 5.0]);
    for y in (0..copper.height / pitch).map(|row| row * pitch) {
        for x in (0..copper.width / pitch).map(|column| column * pitch) {
            let vent = Outline::Disc { x: x as f32, y: y as f32, radius };
            vent.fill(copper, false);
        }
    }
}

/// A letter and some digits, as `R12`.
fn draw_designator(x: f32, y: f32, random: &mut Random) -> Vec<Outline> {
    let (scale, width) = random.pick([(5.0, 3.0), (6.0, 3.5), (7.0, 4.0)]);
    let mut strokes = Vec::new();
    for index in 0..random.between(2, 4) {
        let left = x + index as f32 * scale * 3.2;
        let at = |column: i32, row: i32| (left + column as f32 * scale, y + row as f32 * scale);
        strokes.extend(random.pick(GLYPHS).iter().map(|&(from_x, from_y, to_x, to_y)| {
            Outline::Line { from: at(from_x, from_y), to: at(to_x, to_y), width }
        }));
    }
    strokes
}
