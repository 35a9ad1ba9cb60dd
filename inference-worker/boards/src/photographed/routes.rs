//! Routes: traces from pad to pad in eight directions, clear of every other net.

use crate::canvas::Canvas;
use crate::random::Random;

use super::footprints::Pad;
use super::outline::Outline;

/// Between nets, and between a net and the pour, in pixels.
pub(super) const CLEARANCE: f32 = 9.0;
/// Other ends that are tried for a trace.
const PARTNERS: usize = 4;
/// How far they may be, in pixels.
const REACH: f32 = 520.0;

/// Draws traces into `nets`, which holds the pads, and returns them.
pub(super) fn route_traces(pads: &[Pad], nets: &mut Canvas, random: &mut Random) -> Vec<Outline> {
    let mut traces = Vec::new();
    for pad in pads {
        let from = pad.land.centre();
        let within_reach = |other: &&Pad| {
            let to = other.land.centre();
            to != from && (to.0 - from.0).abs().max((to.1 - from.1).abs()) < REACH
        };
        let near: Vec<&Pad> = pads.iter().filter(within_reach).collect();
        let last = i32::try_from(near.len()).unwrap_or(0) - 1;
        for _ in 0..PARTNERS {
            let partner = usize::try_from(random.between(0, last.max(0))).unwrap_or(0);
            let Some(other) = near.get(partner) else { break };
            if let Some(trace) = route_between([pad.land, other.land], nets, random) {
                trace.iter().for_each(|leg| leg.fill(nets, true));
                traces.extend(trace);
                break;
            }
        }
    }
    traces
}

/// A free way between two pads, of the few that are tried.
fn route_between(
    ends: [Outline; 2],
    nets: &mut Canvas,
    random: &mut Random,
) -> Option<Vec<Outline>> {
    let widest = ends[0].inner_radius().min(ends[1].inner_radius()) * 1.6;
    let width = random.pick([8.0_f32, 10.0, 10.0, 14.0, 20.0, 32.0]).min(widest);
    ends.iter().for_each(|land| land.fill(nets, false));
    let ways = [0.0, 1.0, 0.5].map(|straight| bend(ends[0].centre(), ends[1].centre(), straight));
    let mut legs = ways.into_iter().map(|way| {
        let leg = |ends: &[(f32, f32)]| Outline::Line { from: ends[0], to: ends[1], width };
        way.windows(2).map(leg).collect::<Vec<_>>()
    });
    let is_free =
        |legs: &Vec<Outline>| !legs.iter().any(|leg| leg.grown_by(CLEARANCE).touches(nets));
    let free = legs.find(is_free);
    ends.iter().for_each(|land| land.fill(nets, true));
    free
}

/// A way of one diagonal and straight legs, of which the part `straight` comes first.
fn bend(from: (f32, f32), to: (f32, f32), straight: f32) -> [(f32, f32); 4] {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let diagonal = dx.abs().min(dy.abs());
    let rest = (dx - diagonal * dx.signum(), dy - diagonal * dy.signum());
    let first = (from.0 + rest.0 * straight, from.1 + rest.1 * straight);
    let second = (first.0 + diagonal * dx.signum(), first.1 + diagonal * dy.signum());
    [from, first, second, to]
}
