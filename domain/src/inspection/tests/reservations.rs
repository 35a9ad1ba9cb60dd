//! Announcements that are renewed or taken back, and pictures at rest that nobody said so of.

use super::*;

#[test]
fn a_reservation_is_renewed_before_and_after_it_has_ended() {
    let events = [created(), reserved(1)];
    given(events.clone()).when(renew(1, 900)).then([renewed(1, 900)]);
    let later = events.into_iter().chain([renewed(1, 900)]);
    given(later.clone())
        .when(request_at(899))
        .then_rejected(Rejected::ArtifactsPending { pending: vec![artifact(1)] });
    given(later).when(request_at(900)).then([requested([1]), missing_view()]);
}

#[test]
fn a_renewal_never_makes_a_reservation_shorter() {
    given([created(), reserved(1)]).when(renew(1, 600)).then_nothing();
    given([created(), reserved(1)]).when(renew(1, 1)).then_nothing();
}

/// As a clock that ran ahead dated it, or one that was set back later finds it.
#[test]
fn a_reservation_that_ends_later_than_any_that_could_be_made_now_has_ended() {
    let dated = |seconds| [created(), reserved(1), renewed(1, seconds)];
    given(dated(900))
        .when(request_at(0))
        .then_rejected(Rejected::ArtifactsPending { pending: vec![artifact(1)] });
    given(dated(901)).when(request_at(0)).then([requested([1]), missing_view()]);
    given(dated(86_400)).when(renew(1, 900)).then([renewed(1, 900)]);
}

#[test]
fn what_was_cancelled_is_as_if_it_had_never_been_announced() {
    given([created(), reserved(1)]).when(cancel(1)).then([cancelled(1)]);
    let events = [created(), reserved(1), reserved(2), uploaded(1, "board"), cancelled(2)];
    given(events.clone()).when(request()).then([requested([1])]);
    given(events.clone())
        .when(upload(2, "late"))
        .then_rejected(Rejected::NoSuchArtifact { artifact_id: artifact(2) });
    given(events.into_iter().chain([requested([1])]))
        .when(C::RecordInference(Box::new(compared(1, "board", vec![]))))
        .then([completed(1, "board", vec![]), passed()]);
    given([created(), reserved(1), cancelled(1)])
        .when(request())
        .then_rejected(Rejected::NoArtifact);
}

#[test]
fn a_cancelled_view_is_missing_where_the_recipe_names_it() {
    let recipe = Recipe::factory(1).with_views(vec![view("top"), view("bottom")]).unwrap();
    let mut beginning = created();
    if let E::InspectionCreated { recipe: pinned, .. } = &mut beginning {
        *pinned = recipe;
    }
    let (top, bottom) = (reserved_as(1, Some("top")), reserved_as(2, Some("bottom")));
    given([beginning, top, bottom, uploaded(1, "board"), cancelled(2), requested([1])])
        .when(C::RecordInference(Box::new(compared(1, "board", vec![]))))
        .then([completed(1, "board", vec![]), missing_view()]);
}

#[test]
fn a_cancelled_picture_leaves_its_place_to_another() {
    let full = (1..=ARTIFACTS_MAX as u128).map(reserved);
    let events = std::iter::once(created()).chain(full).chain([cancelled(7)]);
    given(events).when(reserve(900)).then([reserved(900)]);
}

#[test]
fn an_inspection_that_is_announced_and_renewed_without_end_is_refused_and_has_ways_out() {
    let taken_back = |n| [reserved(n), cancelled(n)];
    let often = |times: u32| {
        let renewals = (1..times).map(|n| renewed(1, i64::from(600 + n)));
        [created(), reserved(1)].into_iter().chain(renewals).collect::<Vec<_>>()
    };
    let others = (2..=u128::from(ANNOUNCEMENTS_MAX)).flat_map(taken_back);
    let cancelling: Vec<_> = [created(), reserved(1)].into_iter().chain(others).collect();
    let refused = Rejected::TooManyAnnouncements { max: ANNOUNCEMENTS_MAX };

    given(often(ANNOUNCEMENTS_MAX - 1)).when(reserve(900)).then([reserved(900)]);
    given(often(ANNOUNCEMENTS_MAX - 1)).when(renew(1, 10_000)).then([renewed(1, 10_000)]);
    for full in [often(ANNOUNCEMENTS_MAX), cancelling] {
        given(full.clone()).when(reserve(900)).then_rejected(refused.clone());
        given(full.clone()).when(renew(1, 10_000)).then_rejected(refused.clone());
        // What needs no event is answered as ever, and nothing else is in anybody's way.
        given(full.clone()).when(renew(1, 1)).then_nothing();
        given(full.clone()).when(upload(1, "board")).then([uploaded(1, "board")]);
        given(full.clone()).when(cancel(1)).then([cancelled(1)]);
        given(full.clone()).when(request_at(20_000)).then([requested([1]), missing_view()]);
        let void = C::Void { reason: "wrong board".to_owned() };
        let voided = E::InspectionVoided { reason: "wrong board".to_owned() };
        given(full).when(void).then([voided]);
    }
}

#[test]
fn what_was_never_announced_or_was_cancelled_is_not_renewed_or_cancelled() {
    let unknown = Rejected::NoSuchArtifact { artifact_id: artifact(1) };
    for events in [vec![created()], vec![created(), reserved(1), cancelled(1)]] {
        given(events.clone()).when(renew(1, 900)).then_rejected(unknown.clone());
        given(events).when(cancel(1)).then_rejected(unknown.clone());
    }
}

#[test]
fn pictures_at_rest_count_as_uploaded_with_the_request_and_only_with_it() {
    let at_rest = |seconds| C::RequestInference {
        at_rest: vec![(artifact(1), picture("board"))],
        now: at(seconds),
    };
    let events = [created(), reserved(1), reserved(2)];
    given(events.clone())
        .when(at_rest(0))
        .then_rejected(Rejected::ArtifactsPending { pending: vec![artifact(2)] });
    given(events).when(at_rest(600)).then([uploaded(1, "board"), requested([1, 2])]);
}

#[test]
fn what_the_log_says_of_a_picture_stands_whatever_is_at_rest() {
    let other = C::RequestInference {
        at_rest: vec![(artifact(1), picture("other")), (artifact(2), picture("gone"))],
        now: at(0),
    };
    given([created(), reserved(1), reserved(2), uploaded(1, "board"), cancelled(2)])
        .when(other)
        .then([requested([1])]);
}
