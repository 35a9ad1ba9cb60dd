//! Named views: each one that the recipe demands is seen once, or a person has to look.

use super::*;
use crate::PixelScale;

/// A board of which the top and the bottom must be seen, with pictures announced as these views; all are
/// uploaded and all but the last are compared.
fn judged_with(views: &[Option<&str>]) -> Vec<E> {
    let recipe = Recipe::factory(1).with_views(vec![view("top"), view("bottom")]).unwrap();
    let mut begun = created();
    if let E::InspectionCreated { recipe: factory, .. } = &mut begun {
        *factory = recipe;
    }
    let mut events = vec![begun];
    let numbers = 1..=views.len() as u128;
    for (n, name) in numbers.clone().zip(views) {
        events.extend([reserved_as(n, *name), uploaded(n, &format!("picture {n}"))]);
    }
    events.push(requested(numbers.clone()));
    for n in numbers.clone() {
        let result = compared(n, &format!("picture {n}"), vec![]);
        let command = C::RecordInference(Box::new(result));
        events.extend(Inspection::replay(&events).decide(command).unwrap());
    }
    events
}

#[track_caller]
fn is_judged(views: &[Option<&str>], expected: E) {
    assert_eq!(judged_with(views).last(), Some(&expected), "{views:?}");
}

#[test]
fn every_named_view_once_passes_in_any_order() {
    is_judged(&[Some("top"), Some("bottom")], passed());
    is_judged(&[Some("bottom"), Some("top")], passed());
}

#[test]
fn a_view_that_no_picture_shows_is_missing() {
    is_judged(&[Some("top")], missing_view());
}

#[test]
fn a_view_that_two_pictures_show_is_doubled() {
    let doubled = judged(Judgement::Review, [FiredRule::DuplicateView]);
    is_judged(&[Some("top"), Some("bottom"), Some("top")], doubled);
}

#[test]
fn a_picture_without_a_name_or_under_one_that_nobody_asked_for_is_unknown() {
    let unknown = || judged(Judgement::Review, [FiredRule::UnknownView]);
    is_judged(&[Some("top"), Some("bottom"), None], unknown());
    is_judged(&[Some("top"), Some("bottom"), Some("side")], unknown());
    let wrong = judged(Judgement::Review, [FiredRule::MissingView, FiredRule::UnknownView]);
    is_judged(&[Some("top"), Some("side")], wrong.clone());
    is_judged(&[None, None], wrong);
}

#[test]
fn names_are_not_asked_for_by_a_recipe_without_them() {
    let events = [created(), reserved_as(1, Some("top")), uploaded(1, "board"), requested([1])];
    given(events)
        .when(C::RecordInference(Box::new(compared(1, "board", vec![]))))
        .then([completed(1, "board", vec![]), passed()]);
}

#[test]
fn a_picture_is_announced_under_the_view_that_it_shows() {
    let mut command = reserve(1);
    if let C::ReserveArtifact { view, .. } = &mut command {
        *view = Some(test_support::view("top"));
    }
    given([created()]).when(command).then([reserved_as(1, Some("top"))]);
    let state = Inspection::replay(&[created(), reserved_as(1, Some("top"))]);
    assert_eq!(state.facts().unwrap().views.get(&artifact(1)), Some(&view("top")));
}

#[test]
fn a_picture_is_announced_with_its_scale_which_the_worker_reads_from_the_facts() {
    let mut command = reserve(1);
    let scale = PixelScale::new(47.9).unwrap();
    if let C::ReserveArtifact { pixels_per_millimetre, .. } = &mut command {
        *pixels_per_millimetre = Some(scale);
    }
    given([created()]).when(command).then([reserved_at_scale(1, scale)]);
    let state = Inspection::replay(&[created(), reserved_at_scale(1, scale), reserved(2)]);
    let scales = &state.facts().unwrap().scales;
    assert_eq!((scales.get(&artifact(1)), scales.get(&artifact(2))), (Some(&scale), None));
}
