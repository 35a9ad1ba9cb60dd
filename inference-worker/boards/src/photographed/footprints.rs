//! Footprints: the pads of a component with their holes, and the print around them. Sizes in pixels
//! at about 25 pixels a millimetre, as the photographs of bare boards have them.

use crate::random::Random;

use super::outline::Outline;

/// A pad: copper with an opening in the mask over it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pad {
    /// The copper.
    pub(super) land: Outline,
    /// Radius of the hole that is drilled through its middle; none in a pad for surface mounting.
    pub(super) drill: Option<f32>,
    /// False when the mask goes over it, as over many vias.
    pub(super) open: bool,
    /// What closes a hole that nobody drilled; only on a flawed piece.
    pub(super) plug: Option<Outline>,
}

/// The pads and the print of a component.
#[derive(Debug, Clone, Default)]
pub(super) struct Footprint {
    pub(super) pads: Vec<Pad>,
    /// Strokes and outlines of the silk screen.
    pub(super) print: Vec<Outline>,
}

/// Where the next component goes.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: f32,
    y: f32,
    /// Turned by a quarter.
    upright: bool,
}

impl Place {
    fn at(&self, along: f32, across: f32) -> (f32, f32) {
        if self.upright {
            (self.x - across, self.y + along)
        } else {
            (self.x + along, self.y + across)
        }
    }

    fn disc(&self, along: f32, across: f32, radius: f32) -> Outline {
        let (x, y) = self.at(along, across);
        Outline::Disc { x, y, radius }
    }

    fn rect(&self, (along, across): (f32, f32), half: (f32, f32), round: f32) -> Outline {
        let (x, y) = self.at(along, across);
        let (half_x, half_y) = if self.upright { (half.1, half.0) } else { half };
        Outline::Rect { x, y, half_x, half_y, round }
    }

    fn line(&self, from: (f32, f32), to: (f32, f32)) -> Outline {
        Outline::Line { from: self.at(from.0, from.1), to: self.at(to.0, to.1), width: 4.0 }
    }
}

/// A component at about `x`, `y`.
pub(super) fn draw_footprint(x: f32, y: f32, random: &mut Random) -> Footprint {
    let place = Place { x, y, upright: random.chance(50) };
    match random.between(0, 11) {
        0..=2 => draw_header(&place, random),
        3..=4 => draw_rows(&place, random),
        5..=7 => draw_two_legs(&place, random),
        8 => draw_chip(&place, random),
        9..=10 => draw_gull_wings(&place, random),
        _ => draw_mounting_hole(&place, random),
    }
}

/// A via: a small hole with its ring, often under the mask.
pub(super) fn draw_via(x: f32, y: f32, random: &mut Random) -> Pad {
    let drill = random.pick([4.0, 5.0, 6.0]);
    let radius = drill + random.pick([5.0, 6.0, 8.0]);
    Pad {
        land: Outline::Disc { x, y, radius },
        drill: Some(drill),
        open: random.chance(60),
        plug: None,
    }
}

fn drilled(land: Outline, random: &mut Random) -> Pad {
    let drill = land.inner_radius() * random.pick([0.42, 0.5, 0.58]);
    Pad { land, drill: Some(drill), open: true, plug: None }
}

/// Pins in one to three rows; the first one is square.
fn draw_header(place: &Place, random: &mut Random) -> Footprint {
    let pitch = random.pick([50.0, 56.0, 64.0]);
    let radius = pitch * random.pick([0.28, 0.32, 0.36]);
    let (pins, rows) = (random.between(2, 6), random.between(1, 3));
    let mut made = Footprint::default();
    for row in 0..rows {
        for pin in 0..pins {
            let (along, across) = (pin as f32 * pitch, row as f32 * pitch);
            let first = pin == 0 && row == 0;
            let square = || place.rect((along, across), (radius, radius), 1.0);
            let land = if first { square() } else { place.disc(along, across, radius) };
            made.pads.push(drilled(land, random));
        }
    }
    let edge = pitch * 0.62;
    let ends = ((pins - 1) as f32 * pitch + edge, (rows - 1) as f32 * pitch + edge);
    made.print = frame(place, (-edge, -edge), ends);
    made
}

/// Two rows of pins around a body with a notch.
fn draw_rows(place: &Place, random: &mut Random) -> Footprint {
    let (pitch, apart) = (random.pick([50.0, 56.0]), random.pick([120.0, 150.0, 170.0]));
    let pins = random.between(3, 7);
    let long = random.chance(50);
    let mut made = Footprint::default();
    for (pin, row) in (0..pins).flat_map(|pin| [(pin, 0.0), (pin, apart)]) {
        let along = pin as f32 * pitch;
        let land = if long {
            place.rect((along, row), (16.0, 24.0), 15.0)
        } else {
            place.disc(along, row, 18.0)
        };
        made.pads.push(drilled(land, random));
    }
    let (low, high) = (34.0, apart - 34.0);
    made.print = frame(place, (-24.0, low), ((pins - 1) as f32 * pitch + 24.0, high));
    let middle = apart / 2.0;
    made.print.push(place.line((-24.0, middle - 10.0), (-12.0, middle)));
    made.print.push(place.line((-24.0, middle + 10.0), (-12.0, middle)));
    made
}

/// Two pads far apart, with a round or a square body between them.
fn draw_two_legs(place: &Place, random: &mut Random) -> Footprint {
    let apart = random.between(80, 200) as f32;
    let radius = random.between(16, 34) as f32;
    let lands = [place.disc(0.0, 0.0, radius), place.disc(apart, 0.0, radius)];
    let pads = lands.map(|land| drilled(land, random)).to_vec();
    let (from, to) = (radius + 12.0, apart - radius - 12.0);
    let mut print = Vec::new();
    if to - from > 24.0 {
        print = frame(place, (from, -18.0), (to, 18.0));
        print.push(place.line((from - 6.0, 0.0), (from, 0.0)));
        print.push(place.line((to, 0.0), (to + 6.0, 0.0)));
    }
    Footprint { pads, print }
}

/// Two pads for surface mounting.
fn draw_chip(place: &Place, random: &mut Random) -> Footprint {
    let (half, apart) = (random.between(12, 22) as f32, random.between(50, 80) as f32);
    let pad = |along: f32| Pad {
        land: place.rect((along, 0.0), (half * 0.8, half), 2.0),
        drill: None,
        open: true,
        plug: None,
    };
    let edge = half + 9.0;
    let print =
        vec![place.line((0.0, -edge), (apart, -edge)), place.line((0.0, edge), (apart, edge))];
    Footprint { pads: vec![pad(0.0), pad(apart)], print }
}

/// Two rows of thin pads for surface mounting.
fn draw_gull_wings(place: &Place, random: &mut Random) -> Footprint {
    let (pitch, apart) = (random.pick([24.0, 30.0, 36.0]), random.pick([100.0, 130.0]));
    let pins = random.between(4, 10);
    let half = (pitch * 0.27, 22.0);
    let pads = (0..pins).flat_map(|pin| [(pin, 0.0), (pin, apart)]).map(|(pin, row)| Pad {
        land: place.rect((pin as f32 * pitch, row), half, 2.0),
        drill: None,
        open: true,
        plug: None,
    });
    let mut print =
        frame(place, (-pitch * 0.6, 34.0), ((pins - 1) as f32 * pitch + pitch * 0.6, apart - 34.0));
    print.push(place.disc(0.0, 44.0, 3.0));
    Footprint { pads: pads.collect(), print }
}

/// A wide ring around a wide hole.
fn draw_mounting_hole(place: &Place, random: &mut Random) -> Footprint {
    let drill = random.between(20, 42) as f32;
    let land = place.disc(0.0, 0.0, drill + random.between(8, 26) as f32);
    Footprint {
        pads: vec![Pad { land, drill: Some(drill), open: true, plug: None }],
        print: Vec::new(),
    }
}

fn frame(place: &Place, from: (f32, f32), to: (f32, f32)) -> Vec<Outline> {
    let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
    corners.windows(2).map(|ends| place.line(ends[0], ends[1])).collect()
}
