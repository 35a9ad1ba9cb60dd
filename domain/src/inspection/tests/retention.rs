//! Pictures whose retention period is over.

use super::*;
use crate::{PictureOwner as _, RetentionClass};

fn retire(class: RetentionClass) -> C {
    C::RetirePictures { class, policy_revision: 3 }
}

fn retired(pictures: &[u128], class: RetentionClass) -> E {
    let artifacts = pictures.iter().map(|n| artifact(*n)).collect();
    E::PicturesRetired { artifacts, class, policy_revision: 3 }
}

/// Of three announced pictures two came.
fn judged() -> Vec<E> {
    let announced = [created(), reserved(1), reserved(2), reserved(3)];
    let came = [uploaded(1, "top"), uploaded(2, "bottom"), requested([1, 2, 3])];
    let results = [completed(1, "top", vec![]), completed(2, "bottom", vec![]), missing_view()];
    announced.into_iter().chain(came).chain(results).collect()
}

#[test]
fn the_pictures_that_came_are_retired_by_the_judgement_once() {
    let review = RetentionClass::Review;
    given(judged()).when(retire(review)).then([retired(&[1, 2], review)]);
    given(judged().into_iter().chain([retired(&[1, 2], review)]))
        .when(retire(review))
        .then_nothing();
}

#[test]
fn what_is_of_another_class_is_not_retired() {
    for class in [RetentionClass::Pass, RetentionClass::Fail, RetentionClass::Void] {
        given(judged()).when(retire(class)).then_rejected(Rejected::NotOfRetentionClass { class });
    }
}

#[test]
fn what_may_still_be_compared_is_never_retired() {
    let open = vec![created(), reserved(1), uploaded(1, "top")];
    let waiting = open.iter().cloned().chain([requested([1])]).collect();
    for events in [open, waiting] {
        for class in RetentionClass::ALL {
            given(events.clone())
                .when(retire(class))
                .then_rejected(Rejected::NotOfRetentionClass { class });
        }
    }
    given([]).when(retire(RetentionClass::Pass)).then_rejected(Rejected::NotFound);
}

#[test]
fn the_pictures_of_a_withdrawn_inspection_have_a_period_of_their_own() {
    let withdrawn = vec![created(), reserved(1), uploaded(1, "top"), voided()];
    given(withdrawn).when(retire(RetentionClass::Void)).then([retired(&[1], RetentionClass::Void)]);
}

#[test]
fn where_nothing_came_there_is_nothing_to_retire() {
    let nothing = vec![created(), reserved(1), voided()];
    given(nothing).when(retire(RetentionClass::Void)).then_nothing();
}

/// Its file would lie there for ever: nobody retires it again.
#[test]
fn a_retired_picture_is_not_uploaded_again_not_even_with_the_same_bytes() {
    let events: Vec<_> =
        judged().into_iter().chain([retired(&[1, 2], RetentionClass::Review)]).collect();
    given(events.clone()).when(upload(1, "top")).then_rejected(Rejected::PicturesRetired);
    let state = Inspection::replay(&events);
    assert_eq!(state.upload_slot(artifact(1)), Err(Rejected::PicturesRetired));
    assert_eq!(state.state(), Some(InspectionState::Judged), "the judgement stands");
}
