//! Photographed boards: equal seeds, equal pictures; labels lie on what differs; pieces differ in
//! everything but in how their copper is joined.

use std::collections::BTreeSet;

use domain::DefectClass;
use image::{Rgb, RgbImage};

use super::footprints::Pad;
use super::layer::Layer;
use super::variation::Variation;
use super::*;
use crate::canvas::{Canvas, PixelPoint};
use crate::manifest::{LabelClass, Manifest};

fn board(seed: u64) -> PhotographedBoard {
    PhotographedBoard::new(seed, BoardStyle::from_seed(seed, 520, 440))
}

/// Pixels that differ by more than one level.
fn differing(a: &RgbImage, b: &RgbImage) -> Vec<(u32, u32)> {
    let apart = |a: &Rgb<u8>, b: &Rgb<u8>| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 1);
    let pixels = a.enumerate_pixels().zip(b.pixels());
    pixels.filter(|((_, _, a), b)| apart(a, b)).map(|((x, y, _), _)| (x, y)).collect()
}

fn holds(label: &LabelledBox, (x, y): (u32, u32)) -> bool {
    (label.x1..label.x2).contains(&x) && (label.y1..label.y2).contains(&y)
}

#[test]
fn equal_seeds_give_equal_photographs_and_others_do_not() {
    let shot = Shot::for_station(1).repeated(3, 1.0);
    let take =
        |part: u64, piece: u64, shot: &Shot| board(part).flawed_piece(piece, 5, 6).photograph(shot);
    let first = take(1, 2, &shot);
    let second = take(1, 2, &shot);
    assert!(first.picture == second.picture && first.labels == second.labels);
    assert_eq!(first.picture.dimensions(), (520, 440));
    assert!(first.picture != take(2, 2, &shot).picture);
    assert!(first.picture != take(1, 3, &shot).picture);
    assert!(first.picture != take(1, 2, &Shot::for_station(1).repeated(4, 1.0)).picture);
}

#[test]
fn a_flawed_piece_differs_from_the_good_one_within_every_label_and_nowhere_else() {
    let mut classes = BTreeSet::new();
    for seed in 0..8 {
        let board = board(seed);
        let shot = Shot::for_station(seed).repeated(seed, 2.0);
        let flawed = board.flawed_piece(1, seed, 14).photograph(&shot);
        let good = board.piece(1).photograph(&shot);
        let changed = differing(&flawed.picture, &good.picture);
        assert!(good.labels.is_empty() && !flawed.labels.is_empty());
        for at in &changed {
            assert!(flawed.labels.iter().any(|label| holds(label, *at)), "{seed}: {at:?}");
        }
        for label in &flawed.labels {
            let within = changed.iter().filter(|at| holds(label, **at)).count();
            assert!(within >= 12, "{seed}: {label:?} changes {within} pixels");
            classes.insert(String::from(label.class));
        }
    }
    assert_eq!(classes.len(), 7, "{classes:?}");
}

#[test]
fn every_class_does_to_the_copper_what_it_says() {
    for seed in 0..6 {
        let part = board(seed);
        let mut flawed = part.plan.clone();
        let inside = Area { left: 60, top: 60, right: 500, bottom: 420 };
        let flaws = flaws::add_flaws(&mut flawed, inside, 14, &mut Random::new(&[seed]));
        for BoardFlaw { class, area } in flaws {
            let window = area.grown_by(16);
            let (before, after) = (&part.plan.copper, &flawed.copper);
            let (had, has) = (copper_pixels(before, area), copper_pixels(after, area));
            let pieces = |copper: &Canvas| count_regions(window, |x, y| copper.is_copper(x, y));
            let gaps = |copper: &Canvas| count_regions(window, |x, y| !copper.is_copper(x, y));
            let holes = |plan: &BoardPlan| plan.pads.iter().filter_map(Pad::hole).count();
            let told = match class {
                LabelClass::Named(DefectClass::Open) => has < had && gaps(after) <= gaps(before),
                LabelClass::Named(DefectClass::Short) => {
                    has > had && pieces(after) <= pieces(before)
                }
                LabelClass::Named(DefectClass::Mousebite) => has < had,
                LabelClass::Named(DefectClass::Spur) => has > had,
                LabelClass::Named(DefectClass::Copper) => {
                    has > had && pieces(after) > pieces(before)
                }
                LabelClass::Named(DefectClass::PinHole) => has < had && gaps(after) > gaps(before),
                LabelClass::Named(DefectClass::MissingHole) => {
                    has == had && holes(&flawed) < holes(&part.plan)
                }
                LabelClass::Other => false,
            };
            assert!(told, "{seed}: {class:?} at {area:?}");
        }
    }
}

fn copper_pixels(copper: &Canvas, area: Area) -> usize {
    let rows = area.top..area.bottom;
    rows.flat_map(|y| (area.left..area.right).map(move |x| (x, y)))
        .filter(|&(x, y)| copper.is_copper(x, y))
        .count()
}

/// Regions of more than a few pixels.
fn count_regions(area: Area, belongs: impl Fn(i32, i32) -> bool) -> usize {
    let mut seen = Canvas::new(area.right - area.left, area.bottom - area.top);
    let mut regions = 0;
    for (x, y) in (area.top..area.bottom).flat_map(|y| (area.left..area.right).map(move |x| (x, y)))
    {
        let mut open = vec![PixelPoint::new(x, y)];
        let mut pixels = 0;
        while let Some(PixelPoint { x, y }) = open.pop() {
            let within =
                (area.left..area.right).contains(&x) && (area.top..area.bottom).contains(&y);
            let (left, top) = (x - area.left, y - area.top);
            if within && !seen.is_copper(left, top) && belongs(x, y) {
                seen.set(left, top, true);
                pixels += 1;
                open.extend(
                    [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]
                        .map(|(x, y)| PixelPoint::new(x, y)),
                );
            }
        }
        regions += usize::from(pixels > 14);
    }
    regions
}

#[test]
fn another_piece_differs_in_print_and_pads_and_its_copper_is_joined_alike() {
    for seed in 0..4 {
        let board = board(seed);
        let shot = Shot { noise: 0.0, ..Shot::for_station(seed) };
        let (one, other) = (board.piece(1).photograph(&shot), board.piece(2).photograph(&shot));
        let copper = |piece: u64| {
            let variation = Variation::draw(1.0, &mut Random::new(&[seed, piece]));
            mask::etch_copper(&board.plan.copper, &variation)
        };
        let (first, second) = (copper(1), copper(2));
        assert_ne!(first.levels, second.levels, "edges differ");
        let regions = |copper: &Layer| {
            let all =
                Area { left: 0, top: 0, right: copper.width as i32, bottom: copper.height as i32 };
            let solid =
                |x: i32, y: i32| copper.levels[(x + y * copper.width as i32) as usize] > 127;
            (count_regions(all, solid), count_regions(all, |x, y| !solid(x, y)))
        };
        assert_eq!(regions(&first), regions(&second));
        let bleed = board.bleed as f32;
        let changed = differing_much(&one.picture, &other.picture);
        let near = |outlines: &[outline::Outline]| {
            let on = |&&(x, y): &&(u32, u32)| {
                let (x, y) = (x as f32 + bleed, y as f32 + bleed);
                outlines.iter().any(|outline| outline.distance_to(x, y) < 8.0)
            };
            changed.iter().filter(on).count()
        };
        let lands: Vec<_> = board.plan.pads.iter().map(|pad| pad.land).collect();
        assert!(near(&board.plan.print) > 200 && near(&lands) > 200);
    }
}

/// Pixels that differ plainly.
fn differing_much(a: &RgbImage, b: &RgbImage) -> Vec<(u32, u32)> {
    let apart = |a: &Rgb<u8>, b: &Rgb<u8>| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 40);
    let pixels = a.enumerate_pixels().zip(b.pixels());
    pixels.filter(|((_, _, a), b)| apart(a, b)).map(|((x, y, _), _)| (x, y)).collect()
}

#[test]
fn a_place_of_the_board_is_seen_where_the_lens_says() {
    let shot = Shot { distortion: 0.01, ..Shot::for_station(4).repeated(2, 4.0) };
    let lens = shot.lens((3000, 2000), 107);
    for (x, y) in [(0.0, 0.0), (2999.0, 10.0), (1500.0, 1000.0), (700.0, 1999.0)] {
        let (back_x, back_y) = lens.picture_place(lens.board_place(x, y));
        assert!((back_x - x).abs() < 0.02 && (back_y - y).abs() < 0.02, "{back_x}, {back_y}");
    }
}

#[test]
fn a_shot_without_reach_differs_in_noise_alone() {
    let shot = Shot::for_station(9);
    let again = shot.repeated(1, 0.0);
    assert_ne!(again.seed, shot.seed);
    assert_eq!(Shot { seed: shot.seed, ..again }, shot);
}

#[test]
fn a_set_of_photographs_reads_back_as_a_manifest_with_accepted_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = PhotographOptions {
        size: (300, 260),
        units_per_design: 3,
        accepted: 2,
        ..PhotographOptions::default()
    };
    let written = write_photographs(4, 1, &options, folder.path()).expect("written");
    let manifest: Manifest =
        serde_json::from_slice(&std::fs::read(written.manifest).expect("a file")).expect("JSON");
    let groups: Vec<_> = manifest.items.iter().map(|item| item.group.as_str()).collect();
    assert_eq!(groups, ["part00000", "part00000", "part00000", "part00001"]);
    for item in &manifest.items {
        assert_eq!(item.accepted.len(), 2);
        for file in item.accepted.iter().chain([&item.test, &item.template]) {
            let picture = image::open(folder.path().join(&file.file)).expect("a picture");
            assert_eq!((picture.width(), picture.height()), (300, 260));
        }
    }
}
