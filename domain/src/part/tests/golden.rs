//! Which golden samples are in force for a view, and who may stand beside whom.

use super::super::GoldenSample;
use super::*;
use crate::test_support::view;
use crate::{PixelScale, ViewName};

const ACCEPTED: GoldenSampleUse = GoldenSampleUse::AcceptedBoard;
const VARIANT: GoldenSampleUse = GoldenSampleUse::Variant;
const REPLACEMENT: GoldenSampleUse = GoldenSampleUse::Replacement;

/// A purpose of this use for a view, with a reason.
fn for_view(usage: GoldenSampleUse, name: Option<&str>) -> GoldenPurpose {
    GoldenPurpose::new(usage, name.map(view), Some("second supplier".into())).unwrap()
}

pub(super) fn purpose() -> impl Strategy<Value = GoldenPurpose> {
    let usage = proptest::sample::select(&GoldenSampleUse::ALL[..]);
    let name = proptest::sample::select(&[None, Some("top")][..]);
    (usage, name).prop_map(|(usage, name)| for_view(usage, name))
}

pub(super) fn reserve_for(n: u128, purpose: GoldenPurpose) -> C {
    reserve_at_scale(n, purpose, None)
}

fn reserve_at_scale(n: u128, purpose: GoldenPurpose, scale: Option<PixelScale>) -> C {
    C::ReserveGoldenSample {
        artifact_id: artifact(n),
        media_type: MediaType::Jpeg,
        purpose,
        pixels_per_millimetre: scale,
        now: at(0),
        expires_at: at(600),
    }
}

fn reserved_for(n: u128, purpose: GoldenPurpose) -> E {
    reserved_at_scale(n, purpose, None)
}

fn reserved_at_scale(n: u128, purpose: GoldenPurpose, scale: Option<PixelScale>) -> E {
    E::GoldenSampleReserved {
        artifact_id: artifact(n),
        media_type: MediaType::Jpeg,
        purpose,
        pixels_per_millimetre: scale,
        expires_at: at(600),
    }
}

pub(super) fn registered_for(n: u128, revision: u32, purpose: GoldenPurpose) -> E {
    registered_at_scale(n, revision, purpose, None)
}

fn registered_at_scale(
    n: u128,
    revision: u32,
    purpose: GoldenPurpose,
    scale: Option<PixelScale>,
) -> E {
    E::GoldenSampleRegistered {
        artifact_id: artifact(n),
        revision,
        purpose,
        pixels_per_millimetre: scale,
        picture: picture(&n.to_string()),
    }
}

/// A part whose golden samples are for these, numbered from 1.
fn part_with(purposes: &[GoldenPurpose]) -> Vec<E> {
    let samples = (1_u32..).zip(purposes);
    let samples = samples.map(|(n, purpose)| registered_for(n.into(), n, purpose.clone()));
    std::iter::once(registered()).chain(samples).collect()
}

/// The revisions in force: the golden sample, its variants, accepted boards.
fn in_force(
    part: &[E],
    name: Option<&str>,
    revision: Option<u32>,
) -> Option<(u32, Vec<u32>, Vec<u32>)> {
    let (part, name) = (Part::replay(part), name.map(view));
    let set = part.golden_set(name.as_ref(), revision)?;
    let revisions = |samples: &[&GoldenSample]| samples.iter().map(|s| s.revision).collect();
    Some((set.golden.revision, revisions(&set.variants), revisions(&set.accepted_boards)))
}

#[test]
fn a_replacement_takes_the_place_of_all_before_it_of_its_view() {
    let part = part_with(&[
        for_view(REPLACEMENT, None),
        for_view(VARIANT, None),
        for_view(ACCEPTED, None),
        for_view(REPLACEMENT, Some("top")),
        for_view(ACCEPTED, Some("top")),
        for_view(REPLACEMENT, None),
        for_view(VARIANT, None),
    ]);
    assert_eq!(in_force(&part, None, None), Some((6, vec![7], vec![])));
    assert_eq!(in_force(&part, Some("top"), None), Some((4, vec![], vec![5])));
    assert_eq!(in_force(&part, Some("bottom"), None), None);
    assert_eq!(Part::replay(&part).golden_sample_revision(), Some(7));
}

#[test]
fn what_was_in_force_at_a_revision_stays_so_whatever_comes_later() {
    let part = part_with(&[
        for_view(REPLACEMENT, None),
        for_view(VARIANT, None),
        for_view(ACCEPTED, None),
        for_view(REPLACEMENT, None),
    ]);
    assert_eq!(in_force(&part, None, Some(0)), None);
    assert_eq!(in_force(&part, None, Some(1)), Some((1, vec![], vec![])));
    assert_eq!(in_force(&part, None, Some(2)), Some((1, vec![2], vec![])));
    assert_eq!(in_force(&part, None, Some(3)), Some((1, vec![2], vec![3])));
    assert_eq!(in_force(&part, None, Some(4)), Some((4, vec![], vec![])));
    assert_eq!(in_force(&part, None, Some(9)), in_force(&part, None, None));
}

#[test]
fn a_variant_and_an_accepted_board_are_announced_with_a_reason() {
    for usage in [VARIANT, ACCEPTED] {
        let refused = GoldenPurpose::new(usage, None, None).unwrap_err().to_string();
        assert_eq!(refused, "reason must be given for a variant and an accepted board");
    }
    assert!(GoldenPurpose::new(REPLACEMENT, None, None).is_ok());
}

#[test]
fn a_sample_is_registered_for_what_it_was_announced_for() {
    let purpose = for_view(VARIANT, Some("top"));
    let before = part_with(&[for_view(REPLACEMENT, Some("top"))]);
    given(before.clone())
        .when(reserve_for(2, purpose.clone()))
        .then([reserved_for(2, purpose.clone())]);
    let announced = before.into_iter().chain([reserved_for(2, purpose.clone())]);
    given(announced).when(upload(2, "2")).then([registered_for(2, 2, purpose)]);
}

#[test]
fn nothing_stands_beside_a_golden_sample_that_is_not_there_or_of_another_view() {
    let part = part_with(&[for_view(REPLACEMENT, Some("top"))]);
    for usage in [VARIANT, ACCEPTED] {
        for name in [None, Some("bottom")] {
            given(part.clone())
                .when(reserve_for(2, for_view(usage, name)))
                .then_rejected(Rejected::NoGoldenSample { usage });
        }
    }
}

#[test]
fn at_most_8_variants_and_32_accepted_boards_stand_or_come_beside_a_golden_sample() {
    for (usage, max) in [(VARIANT, 8_u32), (ACCEPTED, 32)] {
        let beside = for_view(usage, None);
        let mut part = part_with(&[for_view(REPLACEMENT, None)]);
        part.extend((2..=max).map(|n| registered_for(n.into(), n, beside.clone())));
        let announced = reserved_for(900, beside.clone());
        given(part.clone()).when(reserve_for(900, beside.clone())).then([announced.clone()]);
        let refusal = Rejected::TooManyGoldenSamples { usage, max: usize::try_from(max).unwrap() };
        part.push(announced);
        given(part.clone()).when(reserve_for(901, beside.clone())).then_rejected(refusal.clone());
        // A view of its own has room of its own, and a replacement begins anew.
        let elsewhere = for_view(REPLACEMENT, Some("top"));
        given(part.clone())
            .when(reserve_for(901, elsewhere.clone()))
            .then([reserved_for(901, elsewhere)]);
        part.push(registered_for(950, max + 1, beside));
        given(part).when(upload(900, "late")).then_rejected(refusal);
    }
}

fn scale(pixels_per_millimetre: f32) -> Option<PixelScale> {
    Some(PixelScale::new(pixels_per_millimetre).unwrap())
}

/// A part with a golden sample of this scale.
fn part_of_scale(scale: Option<PixelScale>) -> Vec<E> {
    vec![registered(), registered_at_scale(1, 1, replacement(), scale)]
}

#[test]
fn what_stands_beside_a_golden_sample_is_of_its_scale() {
    for usage in [VARIANT, ACCEPTED] {
        let beside = for_view(usage, None);
        for (golden, sample) in [(None, None), (scale(48.0), scale(48.5))] {
            given(part_of_scale(golden))
                .when(reserve_at_scale(2, beside.clone(), sample))
                .then([reserved_at_scale(2, beside.clone(), sample)]);
        }
        for (golden, sample) in
            [(scale(48.0), scale(24.0)), (scale(48.0), None), (None, scale(48.0))]
        {
            given(part_of_scale(golden))
                .when(reserve_at_scale(2, beside.clone(), sample))
                .then_rejected(Rejected::ScaleMismatch { usage, golden, sample });
        }
    }
}

#[test]
fn a_replacement_may_be_of_any_scale_and_what_was_on_its_way_has_to_be_of_the_new_one() {
    let beside = for_view(VARIANT, None);
    let mut part = part_of_scale(scale(48.0));
    given(part.clone())
        .when(reserve_at_scale(2, replacement(), scale(24.0)))
        .then([reserved_at_scale(2, replacement(), scale(24.0))]);
    part.push(reserved_at_scale(3, beside.clone(), scale(48.0)));
    given(part.clone()).when(upload(3, "3")).then([registered_at_scale(3, 2, beside, scale(48.0))]);
    part.push(registered_at_scale(2, 2, replacement(), scale(24.0)));
    let (usage, golden, sample) = (VARIANT, scale(24.0), scale(48.0));
    let refusal = Rejected::ScaleMismatch { usage, golden, sample };
    let said = refusal.to_string();
    assert!(
        said.contains("this one states 48 px/mm, the golden sample in force 24 px/mm"),
        "{said}"
    );
    given(part).when(upload(3, "3")).then_rejected(refusal);
}

#[test]
fn a_golden_samples_reason_is_kept_without_the_one_character_that_no_database_keeps() {
    let reason = |text: &str| GoldenPurpose { reason: Some(text.into()), ..replacement() };
    given([registered()])
        .when(reserve_for(1, reason("new\0lamp")))
        .then([reserved_for(1, reason("new\u{fffd}lamp"))]);
}

proptest! {
    #[test]
    fn of_any_samples_the_set_in_force_is_what_came_from_the_last_replacement_on(
        purposes in vec(purpose(), 0..12),
        revision in 0..14_u32,
    ) {
        let part = Part::replay(&part_with(&purposes));
        for name in [None, Some(ViewName::new("top").unwrap())] {
            let numbered = (1_u32..).zip(&purposes);
            let of_view: Vec<_> =
                numbered.filter(|(n, p)| *n <= revision && p.view == name).collect();
            let last = of_view.iter().rposition(|(_, p)| p.usage == REPLACEMENT);
            let expected = last.map(|last| {
                let of = |usage| {
                    let later = of_view[last..].iter().filter(|(_, p)| p.usage == usage);
                    later.map(|(n, _)| *n).collect::<Vec<_>>()
                };
                (of_view[last].0, of(VARIANT), of(ACCEPTED))
            });
            let set = part.golden_set(name.as_ref(), Some(revision)).map(|set| {
                let numbers =
                    |all: &[&GoldenSample]| all.iter().map(|s| s.revision).collect::<Vec<_>>();
                (set.golden.revision, numbers(&set.variants), numbers(&set.accepted_boards))
            });
            prop_assert_eq!(set, expected);
        }
    }
}
