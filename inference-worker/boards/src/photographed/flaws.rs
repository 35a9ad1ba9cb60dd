//! Flaws of a piece: in its copper, and holes that are missing.

use domain::{DefectClass, PixelBox};

use crate::canvas::{Area, Canvas};
use crate::flaw::{self, LABEL_MARGIN};
use crate::manifest::{LabelClass, LabelledBox};
use crate::random::Random;
use crate::stroke::Stroke;

use super::lens::Lens;
use super::plan::BoardPlan;

/// One flaw in this many is a missing hole, where the part has holes.
const HOLES_OF: usize = 7;

/// A flaw: its class, and the rectangle of the board that it changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoardFlaw {
    pub(super) class: LabelClass,
    pub(super) area: Area,
}

/// Puts up to `count` flaws into a plan, all within `inside`.
pub(super) fn add_flaws(
    plan: &mut BoardPlan,
    inside: Area,
    count: usize,
    random: &mut Random,
) -> Vec<BoardFlaw> {
    let hidden = plan.hidden_places();
    let wanted = (0..count).filter(|_| random.between(1, HOLES_OF as i32) == 1).count();
    let visible = |stroke: &Stroke| !stroke.touches(&hidden);
    let good = plan.copper.clone();
    let painted = flaw::paint_flaws(&mut plan.copper, inside, count - wanted, visible, random);
    let mut flaws: Vec<BoardFlaw> = painted
        .iter()
        .filter_map(|flaw| {
            let area = changed_area(&good, &plan.copper, flaw.area)?;
            Some(BoardFlaw { class: flaw.class.into(), area })
        })
        .collect();
    for _ in 0..wanted {
        flaws.extend(omit_hole(plan, inside, &flaws, random));
    }
    flaws
}

/// The part of `within` that differs: a stroke is larger, because much of it lies on its own colour.
fn changed_area(good: &Canvas, flawed: &Canvas, within: Area) -> Option<Area> {
    let mut changed = Canvas::new(within.right - within.left, within.bottom - within.top);
    for (y, x) in
        (within.top..within.bottom).flat_map(|y| (within.left..within.right).map(move |x| (y, x)))
    {
        let differs = good.is_copper(x, y) != flawed.is_copper(x, y);
        changed.set(x - within.left, y - within.top, differs);
    }
    let extent = changed.copper_extent()?;
    Some(Area {
        left: extent.left + within.left,
        top: extent.top + within.top,
        right: extent.right + within.left,
        bottom: extent.bottom + within.top,
    })
}

/// Tries for a hole that lies apart from other flaws.
const ATTEMPTS: usize = 40;

/// Leaves out a hole; the mask closes its place in one case of three.
fn omit_hole(
    plan: &mut BoardPlan,
    inside: Area,
    flaws: &[BoardFlaw],
    random: &mut Random,
) -> Option<BoardFlaw> {
    let last = i32::try_from(plan.pads.len()).unwrap_or(0) - 1;
    for _ in 0..ATTEMPTS {
        let number = usize::try_from(random.between(0, last.max(0))).unwrap_or(0);
        let pad = plan.pads.get_mut(number)?;
        let Some(hole) = pad.hole().filter(|_| pad.open) else { continue };
        let area = hole.grown_by(3.0).pixel_area();
        let apart = flaws.iter().all(|flaw| !flaw.area.grown_by(12).overlaps(area));
        if apart && inside.encloses(area) {
            pad.drill = None;
            pad.plug = random.chance(33).then_some(hole);
            return Some(BoardFlaw { class: DefectClass::MissingHole.into(), area });
        }
    }
    None
}

/// The flaw's box in a photograph; none when it lies outside.
pub(super) fn label_flaw(flaw: &BoardFlaw, lens: &Lens) -> Option<LabelledBox> {
    let Area { left, top, right, bottom } = flaw.area.grown_by(LABEL_MARGIN.cast_signed());
    let corners = [(left, top), (right, top), (left, bottom), (right, bottom)];
    let seen = corners.map(|(x, y)| lens.picture_place((x as f32 - 0.5, y as f32 - 0.5)));
    let ends = |axis: fn((f32, f32)) -> f32, side: f32| {
        let (low, high) = seen
            .iter()
            .map(|&place| axis(place) + 0.5)
            .fold((f32::MAX, f32::MIN), |(low, high), at| (low.min(at), high.max(at)));
        (low.floor().clamp(0.0, side) as u32, high.ceil().clamp(0.0, side) as u32)
    };
    let ((x1, x2), (y1, y2)) =
        (ends(|place| place.0, lens.size.0), ends(|place| place.1, lens.size.1));
    let bounds = PixelBox { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
    (bounds.width > 0 && bounds.height > 0).then(|| LabelledBox::new(flaw.class, bounds))
}
