//! Commands and events that proptest makes up: few ids and few contents, so that they collide often.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::inspection::{InferenceResult, Registration};
use crate::{
    Confidence, Coverage, Defect, DefectClass, DifferenceKind, Picture, PixelBox, PixelScale,
    RetentionClass, UnexplainedDifference, ViewName,
};

const CONTENTS: [&str; 2] = ["a", "b"];

/// Any sequence of commands.
pub(super) fn commands() -> impl Strategy<Value = Vec<C>> {
    // Half of the sequences begin as a station would, so that they get far.
    (any::<bool>(), vec(command(), 0..32)).prop_map(|(begun, some)| {
        let begin = if begun { vec![create(), reserve(1)] } else { vec![] };
        [begin, some].concat()
    })
}

fn command() -> impl Strategy<Value = C> {
    prop_oneof![
        1 => recipe().prop_map(creation),
        3 => reservation(),
        4 => (1..4_u128, content(), media_type()).prop_map(|(n, content, media_type)| {
            let picture = Picture { media_type, ..picture(content) };
            C::UploadArtifact { artifact_id: artifact(n), picture }
        }),
        1 => (1..4_u128, 0..200_i64).prop_map(|(n, seconds)| renew(n, seconds)),
        1 => (1..4_u128).prop_map(cancel),
        2 => (vec((1..4_u128, content()), 0..3), 0..120_i64).prop_map(|(found, seconds)| {
            let found = found.into_iter().map(|(n, content)| (artifact(n), picture(content)));
            C::RequestInference { at_rest: found.collect(), now: at(seconds) }
        }),
        6 => result().prop_map(|result| C::RecordInference(Box::new(result))),
        1 => text().prop_map(|reason| C::Void { reason }),
        1 => proptest::sample::select(&RetentionClass::ALL[..])
            .prop_map(|class| C::RetirePictures { class, policy_revision: 1 }),
    ]
}

fn creation(recipe: Recipe) -> C {
    C::CreateInspection {
        inspection_id: inspection_id(),
        lot: lot(),
        part: part(),
        station: station(),
        recipe,
        golden_sample_revision: None,
    }
}

fn reservation() -> impl Strategy<Value = C> {
    (1..4_u128, media_type(), announced_view(), announced_scale(), 0..100_i64).prop_map(
        |(n, media_type, view, pixels_per_millimetre, seconds)| C::ReserveArtifact {
            artifact_id: artifact(n),
            media_type,
            view,
            pixels_per_millimetre,
            expires_at: at(seconds),
        },
    )
}

fn announced_scale() -> impl Strategy<Value = Option<PixelScale>> {
    let stated = PixelScale::new(48.0).unwrap();
    proptest::sample::select(vec![None, Some(stated)])
}

/// Mostly without a name.
fn announced_view() -> impl Strategy<Value = Option<ViewName>> {
    let name = proptest::sample::select(&["top", "bottom", "side"][..]);
    prop_oneof![3 => Just(None), 2 => name.prop_map(|name| Some(view(name)))]
}

/// Mostly none.
fn required_views() -> impl Strategy<Value = Vec<ViewName>> {
    let some: [&[&str]; 2] = [&["top"], &["top", "bottom"]];
    let some = proptest::sample::select(some.to_vec());
    let views = some.prop_map(|names| names.iter().map(|name| view(name)).collect());
    prop_oneof![2 => Just(vec![]), 1 => views]
}

fn content() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&CONTENTS[..])
}

/// Mostly what was announced.
fn media_type() -> impl Strategy<Value = MediaType> {
    prop_oneof![9 => Just(MediaType::Jpeg), 1 => Just(MediaType::Png)]
}

/// Text as a client or a decoder may send it, with control characters.
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..8).prop_map(String::from_iter)
}

fn confidence() -> impl Strategy<Value = Confidence> {
    let edges = proptest::sample::select(&[0.0_f32, 0.25, 0.5, 1.0][..]);
    prop_oneof![edges, 0.0_f32..=1.0].prop_map(|value| Confidence::new(value).unwrap())
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (any::<u32>(), confidence(), confidence(), required_views()).prop_map(
        |(revision, a, b, views)| {
            let (fail_at, review_at) = if a < b { (b, a) } else { (a, b) };
            let most = Recipe::REVIEW_AT_MAX;
            let review_at = if review_at > most { most } else { review_at };
            Recipe::new(revision, fail_at, review_at).unwrap().with_views(views).unwrap()
        },
    )
}

fn found() -> impl Strategy<Value = Defect> {
    let class = proptest::sample::select(&DefectClass::ALL[..]);
    (class, confidence(), any::<[u32; 4]>()).prop_map(
        |(class, confidence, [x, y, width, height])| {
            let bounds = PixelBox { x, y, width, height };
            Defect { class, confidence, bounds }
        },
    )
}

fn reason() -> impl Strategy<Value = NotComparable> {
    proptest::sample::select(
        &[NotComparable::NoGoldenSample, NotComparable::Unreadable, NotComparable::NotRegistered][..],
    )
}

/// Mostly none, and strengths that no event can hold.
fn differences() -> impl Strategy<Value = Vec<UnexplainedDifference>> {
    let kind = proptest::sample::select(&DifferenceKind::ALL[..]);
    let some = (kind, any::<f32>()).prop_map(|(kind, strength)| difference(kind, strength));
    prop_oneof![3 => Just(vec![]), 1 => vec(some, 1..4)]
}

/// Mostly of the whole picture.
fn coverage() -> impl Strategy<Value = Coverage> {
    prop_oneof![
        4 => Just(whole_picture()),
        1 => Just(all_but_a_strip()),
        1 => Just(Coverage::complete(0)),
    ]
}

/// Findings are made up of half the time only: else few boards would pass.
fn findings() -> impl Strategy<Value = Vec<Defect>> {
    prop_oneof![Just(vec![]), vec(found(), 0..5)]
}

fn result() -> impl Strategy<Value = InferenceResult> {
    // Mostly one network, sometimes another one in the middle.
    let version = prop_oneof![3 => Just(1_u8), 1 => Just(2)];
    let seen = (findings(), differences(), coverage());
    let ok = (1..4_u128, content(), seen, any::<[f32; 4]>(), version).prop_map(
        |(n, content, (defects, seen, covered), [dx, dy, score, bend], version)| {
            let mut result = compared(n, content, defects);
            if let InferenceResult::Completed {
                registration, model, differences, coverage, ..
            } = &mut result
            {
                *registration = Registration { dx, dy, score, bend: Some(bend) };
                *model = model_version(version);
                (*differences, *coverage) = (seen, covered);
            }
            result
        },
    );
    let failed = (1..4_u128, content(), reason(), text()).prop_map(|(n, content, reason, text)| {
        let mut result = not_comparable(n, content, reason);
        if let InferenceResult::Failed { detail, .. } = &mut result {
            *detail = text;
        }
        result
    });
    prop_oneof![3 => ok, 1 => failed]
}

/// Any sequence of events, also such as no command can lead to.
pub(super) fn events() -> impl Strategy<Value = Vec<E>> {
    vec(event(), 0..24)
}

fn event() -> impl Strategy<Value = E> {
    let judgement =
        proptest::sample::select(&[Judgement::Pass, Judgement::Review, Judgement::Fail][..]);
    prop_oneof![
        Just(created()),
        (1..4_u128).prop_map(reserved),
        (1..4_u128).prop_map(|n| reserved_as(n, Some("top"))),
        (1..4_u128, 0..200_i64).prop_map(|(n, seconds)| renewed(n, seconds)),
        (1..4_u128).prop_map(cancelled),
        (1..4_u128, content()).prop_map(|(n, content)| uploaded(n, content)),
        vec(1..5_u128, 0..4).prop_map(requested),
        (1..4_u128, content(), findings()).prop_map(|(n, content, f)| completed(n, content, f)),
        (1..4_u128, content(), reason()).prop_map(|(n, content, why)| failed(n, content, why)),
        judgement.prop_map(|judgement| judged(judgement, [])),
        Just(voided()),
    ]
}
