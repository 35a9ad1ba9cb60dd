//! Which recipes there are, and what one makes of a confidence.

use proptest::prelude::*;

use super::*;

fn confidence(value: f32) -> Confidence {
    Confidence::new(value).unwrap()
}

#[test]
fn a_recipe_doubts_no_later_than_it_fails() {
    assert!(Recipe::new(1, confidence(0.5), confidence(0.5)).is_ok());
    let refused = Recipe::new(1, confidence(0.5), confidence(0.51)).unwrap_err();
    assert_eq!(refused.to_string(), "review_at must not be above fail_at");
}

#[test]
fn a_recipe_doubts_what_is_likelier_than_not() {
    assert!(Recipe::new(1, confidence(0.9), confidence(0.5)).is_ok());
    let refused = Recipe::new(1, confidence(0.9), confidence(0.51)).unwrap_err();
    assert_eq!(refused.to_string(), "review_at must not be above 0.5");
}

#[test]
fn the_factory_recipe_fails_from_one_half_and_doubts_from_one_quarter() {
    let factory = Recipe::factory(7);
    assert_eq!((factory.revision, factory.fail_at.get(), factory.review_at.get()), (7, 0.5, 0.25));
}

#[test]
fn the_factory_recipe_inspects_all_of_unnamed_views_and_bears_what_registration_follows() {
    let factory = Recipe::factory(1);
    assert_eq!(factory.area, InspectedArea::default());
    assert_eq!((factory.bend_max_px, factory.views.len()), (10.0, 0));
}

#[test]
fn a_tolerated_bend_is_a_number_from_0_to_10() {
    let recipe = |px| Recipe::factory(1).with_bend_max_px(px);
    for allowed in [0.0, 0.5, 10.0] {
        assert_eq!(recipe(allowed).unwrap().bend_max_px, allowed);
    }
    for refused in [-0.1, 10.1, f32::NAN, f32::INFINITY] {
        let why = recipe(refused).unwrap_err().to_string();
        assert_eq!(why, "bend_max_px must be a number from 0 to 10");
    }
}

#[test]
fn a_view_has_a_short_plain_name() {
    for name in ["top", "bottom-2", "0", "-", &"a".repeat(32)] {
        assert_eq!(ViewName::new(name).unwrap().as_str(), name);
    }
    for refused in ["", "Top", "top side", "top_side", "öl", "top\0", &"a".repeat(33)] {
        let why = ViewName::new(refused).unwrap_err().to_string();
        assert_eq!(why, "view must be 1 to 32 characters of a-z, 0-9 and -", "{refused:?}");
    }
}

#[test]
fn a_view_is_named_once_and_there_are_no_more_than_an_inspection_takes_pictures() {
    let views = |names: &[String]| {
        let views = names.iter().map(|name| ViewName::new(name).unwrap()).collect();
        Recipe::factory(1).with_views(views).map_err(|refused| refused.to_string())
    };
    let names: Vec<_> = (0..65).map(|n| format!("v{n}")).collect();
    assert_eq!(views(&names[..64]).unwrap().views.len(), 64);
    assert_eq!(views(&names).unwrap_err(), "views must not be more than 64");
    let twice = ["top", "bottom", "top"].map(str::to_owned);
    assert_eq!(views(&twice).unwrap_err(), "views must name every view once");
}

#[test]
fn a_stored_recipe_that_is_none_is_not_read() {
    let good = serde_json::to_value(Recipe::factory(3)).unwrap();
    assert_eq!(serde_json::from_value::<Recipe>(good.clone()).unwrap(), Recipe::factory(3));
    for (field, wrong) in [
        ("review_at", serde_json::json!(0.75)),
        ("bend_max_px", serde_json::json!(11)),
        ("views", serde_json::json!(["top", "top"])),
        ("views", serde_json::json!(["TOP"])),
    ] {
        let mut stored = good.clone();
        stored[field] = wrong;
        assert!(serde_json::from_value::<Recipe>(stored).is_err(), "{field}");
    }
}

#[test]
fn a_threshold_belongs_to_the_grade_above_it() {
    let grade = |value| Recipe::factory(1).grade(confidence(value)).as_str();
    assert_eq!(
        [0.0, 0.2499, 0.25, 0.4999, 0.5, 1.0].map(grade),
        ["negligible", "negligible", "doubtful", "doubtful", "defect", "defect",]
    );
}

proptest! {
    #[test]
    fn more_confidence_is_never_a_lesser_grade(
        thresholds in (0.0_f32..=1.0, 0.0_f32..=1.0),
        confidences in (0.0_f32..=1.0, 0.0_f32..=1.0),
    ) {
        let (fail_at, review_at) = thresholds;
        if let Ok(recipe) = Recipe::new(1, confidence(fail_at), confidence(review_at)) {
            let (less, more) = (confidences.0.min(confidences.1), confidences.0.max(confidences.1));
            prop_assert!(recipe.grade(confidence(less)) <= recipe.grade(confidence(more)));
        }
    }
}
