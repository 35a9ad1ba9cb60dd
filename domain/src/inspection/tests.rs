//! Given / when / then over the life of an inspection, and one table of every command in every state.

mod framework;
mod generated;
mod properties;
mod reservations;
mod results;
mod retention;
mod uploads;
mod views;

use chrono::TimeDelta;
use uuid::Uuid;

use super::command::{ANNOUNCEMENTS_MAX, ARTIFACTS_MAX};
use crate::inspection::{
    InspectionCommand as C, InspectionEvent as E, InspectionRejection as Rejected,
};
use crate::test_support::{self, *};
use crate::{
    Aggregate as _, FiredRule, Inspection, InspectionId, InspectionState, Judgement, MediaType,
    NotComparable, Recipe, Rejection as _, Renewal,
};

fn given(events: impl IntoIterator<Item = E>) -> Given<Inspection> {
    test_support::given(events)
}

fn create() -> C {
    C::CreateInspection {
        inspection_id: inspection_id(),
        lot: lot(),
        part: part(),
        station: station(),
        recipe: Recipe::factory(1),
        golden_sample_revision: None,
    }
}

fn reserve(n: u128) -> C {
    C::ReserveArtifact {
        artifact_id: artifact(n),
        media_type: MediaType::Jpeg,
        view: None,
        pixels_per_millimetre: None,
        expires_at: at(600),
    }
}

fn upload(n: u128, content: &str) -> C {
    C::UploadArtifact { artifact_id: artifact(n), picture: picture(content) }
}

/// Renews the announcement of picture `n` at the beginning, until then.
fn renew(n: u128, seconds: i64) -> C {
    let renewal = Renewal { now: at(0), expires_at: at(seconds) };
    C::RenewReservation { artifact_id: artifact(n), renewal }
}

fn renewed(n: u128, seconds: i64) -> E {
    E::ArtifactReservationRenewed { artifact_id: artifact(n), expires_at: at(seconds) }
}

fn cancel(n: u128) -> C {
    C::CancelReservation { artifact_id: artifact(n) }
}

fn cancelled(n: u128) -> E {
    E::ArtifactReservationCancelled { artifact_id: artifact(n) }
}

/// Asks for the judgement while reservations still run.
fn request() -> C {
    request_at(0)
}

fn request_at(seconds: i64) -> C {
    C::RequestInference { at_rest: vec![], now: at(seconds) }
}

fn void() -> C {
    C::Void { reason: "wrong lot".into() }
}

fn judged(judgement: Judgement, rules: impl IntoIterator<Item = FiredRule>) -> E {
    E::InspectionJudged { judgement, rules: rules.into_iter().collect(), recipe_revision: 1 }
}

fn passed() -> E {
    judged(Judgement::Pass, [FiredRule::NothingFound])
}

fn missing_view() -> E {
    judged(Judgement::Review, [FiredRule::MissingView])
}

fn voided() -> E {
    E::InspectionVoided { reason: "wrong lot".into() }
}

/// Artifact 1 is uploaded and the judgement waits for its result.
fn inferring() -> Vec<E> {
    vec![created(), reserved(1), uploaded(1, "board"), requested([1])]
}

/// Artifact 1 was compared and the board passed.
fn judged_pass() -> Vec<E> {
    let mut events = inferring();
    events.extend([completed(1, "board", vec![]), passed()]);
    events
}

/// What follows from a command, by names: events joined by `+`, a rejection's name, or `nothing`.
fn outcome(events: &[E], command: C) -> String {
    use cqrs_es::DomainEvent as _;
    match Inspection::replay(events).decide(command) {
        Err(rejection) => rejection.name().to_owned(),
        Ok(events) if events.is_empty() => "nothing".to_owned(),
        Ok(events) => events.iter().map(E::event_type).collect::<Vec<_>>().join("+"),
    }
}

#[test]
fn every_command_is_decided_in_every_state() {
    let states = [
        vec![],
        vec![created(), reserved(1), uploaded(1, "board")],
        inferring(),
        judged_pass(),
        vec![created(), reserved(1), uploaded(1, "board"), voided()],
    ];
    let no_inspection = "inspection-not-found";
    let exists = "inspection-already-exists";
    let closed = "inference-already-requested";
    #[rustfmt::skip]
    let table = [
        // command, then its outcome when: not created, open, inferring, judged, voided
        (create(), ["InspectionCreated", exists, exists, exists, exists]),
        (reserve(2), [no_inspection, "ArtifactReserved", closed, "already-judged", "voided"]),
        (renew(1, 900), [no_inspection, "reservation-used", closed, "already-judged", "voided"]),
        (cancel(1), [no_inspection, "reservation-used", closed, "already-judged", "voided"]),
        (upload(1, "board"), [no_inspection, "nothing", "nothing", "nothing", "nothing"]),
        (request(), [no_inspection, "InferenceRequested", "nothing", "already-judged", "voided"]),
        (C::RecordInference(Box::new(compared(1, "board", vec![]))), [
            no_inspection, "InferenceCompleted", "InferenceCompleted+InspectionJudged",
            "nothing", "nothing",
        ]),
        (C::RecordInference(Box::new(not_comparable(1, "board", NotComparable::Unreadable))), [
            no_inspection, "InferenceFailed", "InferenceFailed+InspectionJudged",
            "nothing", "nothing",
        ]),
        (void(), [
            no_inspection, "InspectionVoided", "InspectionVoided", "already-judged", "voided",
        ]),
    ];
    for (command, expected) in table {
        let outcomes = states.each_ref().map(|events| outcome(events, command.clone()));
        assert_eq!(outcomes, expected, "{command:?}");
    }
}

#[test]
fn the_state_is_named_on_the_wire_and_knows_its_facts() {
    let mut withdrawn = inferring();
    withdrawn.push(voided());
    let states = [vec![], vec![created()], inferring(), judged_pass(), withdrawn];
    let states = states.each_ref().map(Inspection::replay);
    let names = states.each_ref().map(|state| state.state().map(InspectionState::as_str));
    assert_eq!(names, [None, Some("open"), Some("inferring"), Some("judged"), Some("voided")]);
    let known = states.each_ref().map(|state| state.facts().is_some());
    assert_eq!(known, [false, true, true, true, true]);
}

#[test]
fn an_inspection_is_created_with_the_recipe_in_force() {
    given([]).when(create()).then([created()]);
}

#[test]
fn a_second_creation_is_refused_even_with_another_id() {
    let mut other = create();
    if let C::CreateInspection { inspection_id, .. } = &mut other {
        *inspection_id = InspectionId(Uuid::from_u128(2));
    }
    given([created()]).when(other).then_rejected(Rejected::AlreadyExists);
}

#[test]
fn a_picture_is_announced_once() {
    given([created()]).when(reserve(1)).then([reserved(1)]);
    given([created(), reserved(1)])
        .when(reserve(1))
        .then_rejected(Rejected::ArtifactAlreadyReserved { artifact_id: artifact(1) });
}

#[test]
fn the_64th_picture_is_taken_and_the_65th_is_refused() {
    let announced =
        |n: usize| std::iter::once(created()).chain((1..=n as u128).map(reserved)).collect();
    let (almost_full, full): (Vec<_>, Vec<_>) =
        (announced(ARTIFACTS_MAX - 1), announced(ARTIFACTS_MAX));
    given(almost_full).when(reserve(900)).then([reserved(900)]);
    given(full).when(reserve(900)).then_rejected(Rejected::TooManyArtifacts { max: ARTIFACTS_MAX });
}

#[test]
fn an_announced_picture_is_uploaded() {
    given([created(), reserved(1)]).when(upload(1, "board")).then([uploaded(1, "board")]);
}

#[test]
fn the_same_bytes_again_change_nothing() {
    given([created(), reserved(1), uploaded(1, "board")]).when(upload(1, "board")).then_nothing();
}

#[test]
fn other_bytes_under_the_same_id_are_refused_in_every_state() {
    let open = vec![created(), reserved(1), uploaded(1, "board")];
    let mut withdrawn = open.clone();
    withdrawn.push(voided());
    for events in [open, inferring(), judged_pass(), withdrawn] {
        given(events)
            .when(upload(1, "other"))
            .then_rejected(Rejected::ArtifactAlreadyUploaded { artifact_id: artifact(1) });
    }
}

#[test]
fn a_picture_that_was_not_announced_is_refused() {
    given([created(), reserved(1)])
        .when(upload(2, "board"))
        .then_rejected(Rejected::NoSuchArtifact { artifact_id: artifact(2) });
}

#[test]
fn a_picture_of_another_format_is_refused_and_the_slot_stays_usable() {
    let png = crate::Picture { media_type: MediaType::Png, ..picture("board") };
    let mistaken = C::UploadArtifact { artifact_id: artifact(1), picture: png };
    let (announced, found) = (MediaType::Jpeg, MediaType::Png);
    given([created(), reserved(1)])
        .when(mistaken)
        .then_rejected(Rejected::MediaTypeMismatch { announced, found });
    given([created(), reserved(1)]).when(upload(1, "board")).then([uploaded(1, "board")]);
}

#[test]
fn a_picture_that_comes_after_the_set_was_closed_is_refused() {
    let late = [created(), reserved(1), reserved(2), uploaded(1, "board"), requested([1, 2])];
    given(late.clone()).when(upload(2, "late")).then_rejected(Rejected::InferenceAlreadyRequested);
    let withdrawn = late.clone().into_iter().chain([voided()]);
    given(withdrawn).when(upload(2, "late")).then_rejected(Rejected::Voided);
    let done = late.into_iter().chain([completed(1, "board", vec![]), missing_view()]);
    given(done).when(upload(2, "late")).then_rejected(Rejected::AlreadyJudged);
}

#[test]
fn inference_is_refused_without_any_picture() {
    given([created()]).when(request()).then_rejected(Rejected::NoArtifact);
}

#[test]
fn inference_is_refused_while_an_announced_picture_may_still_come() {
    let events = [created(), reserved(3), reserved(1), reserved(2), uploaded(1, "board")];
    given(events)
        .when(request())
        .then_rejected(Rejected::ArtifactsPending { pending: vec![artifact(3), artifact(2)] });
}

#[test]
fn a_reservation_ends_at_its_very_moment() {
    let events = [created(), reserved(1)];
    let now = at(600) - TimeDelta::nanoseconds(1);
    given(events.clone())
        .when(C::RequestInference { at_rest: vec![], now })
        .then_rejected(Rejected::ArtifactsPending { pending: vec![artifact(1)] });
    given(events).when(request_at(600)).then([requested([1]), missing_view()]);
}

#[test]
fn an_expired_reservation_is_a_missing_view_and_the_board_goes_to_review() {
    let events = [created(), reserved(1), reserved(2), uploaded(1, "board")];
    given(events.clone()).when(request_at(601)).then([requested([1, 2])]);
    given(events.into_iter().chain([requested([1, 2])]))
        .when(C::RecordInference(Box::new(compared(1, "board", vec![]))))
        .then([completed(1, "board", vec![]), missing_view()]);
}

#[test]
fn inference_that_was_requested_already_changes_nothing() {
    given(inferring()).when(request()).then_nothing();
}

#[test]
fn an_open_or_waiting_inspection_is_voided_with_its_reason() {
    given([created()]).when(void()).then([voided()]);
    given(inferring()).when(void()).then([voided()]);
}

#[test]
fn a_reason_is_kept_without_the_one_character_that_no_database_keeps() {
    let kept = E::InspectionVoided { reason: "wrong\u{fffd}lot".into() };
    given([created()]).when(C::Void { reason: "wrong\0lot".into() }).then([kept]);
}

#[test]
fn only_what_is_addressed_and_missing_counts_as_not_found() {
    let id = artifact(1);
    let not_found = [Rejected::NotFound, Rejected::NoSuchArtifact { artifact_id: id }];
    let conflicts = [
        Rejected::AlreadyExists,
        Rejected::InferenceAlreadyRequested,
        Rejected::AlreadyJudged,
        Rejected::Voided,
        Rejected::ArtifactAlreadyReserved { artifact_id: id },
        Rejected::ArtifactAlreadyUploaded { artifact_id: id },
        Rejected::ReservationUsed { artifact_id: id },
        Rejected::ArtifactNotUploaded { artifact_id: id },
        Rejected::ArtifactMismatch { artifact_id: id },
        Rejected::MixedModels { pinned: model().into(), found: model_version(2).into() },
        Rejected::MediaTypeMismatch { announced: MediaType::Jpeg, found: MediaType::Png },
        Rejected::NoArtifact,
        Rejected::ArtifactsPending { pending: vec![id] },
        Rejected::TooManyArtifacts { max: ARTIFACTS_MAX },
        Rejected::TooManyAnnouncements { max: ANNOUNCEMENTS_MAX },
        Rejected::PicturesRetired,
        Rejected::NotOfRetentionClass { class: crate::RetentionClass::Pass },
    ];
    assert!(not_found.iter().all(|rejection| rejection.is_not_found()));
    assert!(conflicts.iter().all(|rejection| !rejection.is_not_found()));
    let names: std::collections::BTreeSet<_> =
        not_found.iter().chain(&conflicts).map(|rejection| rejection.name()).collect();
    assert_eq!(names.len(), not_found.len() + conflicts.len(), "names tell rejections apart");
}
