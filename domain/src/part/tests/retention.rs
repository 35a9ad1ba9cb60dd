//! Golden samples whose retention period is over.

use super::golden::registered_for;
use super::*;
use crate::test_support::view;

fn of_use(usage: GoldenSampleUse, name: Option<&str>) -> GoldenPurpose {
    GoldenPurpose::new(usage, name.map(view), Some("second supplier".into())).unwrap()
}

/// Of the view without a name: a golden sample, a variant, another golden sample, a variant of that; and one of another
/// view.
fn part_with_history() -> Vec<E> {
    let (replacement, variant) = (GoldenSampleUse::Replacement, GoldenSampleUse::Variant);
    vec![
        registered(),
        registered_for(1, 1, of_use(replacement, None)),
        registered_for(2, 2, of_use(variant, None)),
        registered_for(3, 3, of_use(replacement, Some("top"))),
        registered_for(4, 4, of_use(replacement, None)),
        registered_for(5, 5, of_use(variant, None)),
    ]
}

fn retire(superseded_by: u32) -> C {
    C::RetireGoldenSamples { superseded_by, policy_revision: 2 }
}

fn retired(samples: &[u128], superseded_by: u32) -> E {
    let artifacts = samples.iter().map(|n| artifact(*n)).collect();
    E::GoldenSamplesRetired { artifacts, superseded_by, policy_revision: 2 }
}

#[test]
fn what_a_golden_sample_took_the_place_of_is_retired_once_and_nothing_else_is() {
    given(part_with_history()).when(retire(4)).then([retired(&[1, 2], 4)]);
    given(part_with_history().into_iter().chain([retired(&[1, 2], 4)]))
        .when(retire(4))
        .then_nothing();
    given(part_with_history()).when(retire(1)).then_nothing();
    given(part_with_history()).when(retire(3)).then_nothing();
}

#[test]
fn only_what_takes_the_place_of_others_retires_them() {
    for revision in [2, 5, 6] {
        given(part_with_history())
            .when(retire(revision))
            .then_rejected(Rejected::NotAReplacement { revision });
    }
    given([]).when(retire(1)).then_rejected(Rejected::NotFound);
}

#[test]
fn a_retired_golden_sample_is_not_uploaded_again_and_its_revision_stays_what_it_was() {
    let events: Vec<_> = part_with_history().into_iter().chain([retired(&[1, 2], 4)]).collect();
    given(events.clone())
        .when(upload(1, "1"))
        .then_rejected(Rejected::GoldenSampleRetired { artifact_id: artifact(1) });
    let part = Part::replay(&events);
    let then = part.golden_set(None, Some(2)).unwrap();
    assert_eq!((then.golden.revision, then.variants.len()), (1, 1));
    assert!(then.golden.is_retired && then.variants[0].is_retired);
    assert!(!part.golden_set(None, None).unwrap().golden.is_retired);
}
