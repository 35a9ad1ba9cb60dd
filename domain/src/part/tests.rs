//! Given / when / then over the life of a part, and what holds after any commands.

use proptest::collection::vec;
use proptest::prelude::*;

use super::command::RESERVATIONS_MAX;
use super::{
    GoldenPurpose, GoldenSampleUse, PartCommand as C, PartEvent as E, PartRejection as Rejected,
};
use crate::test_support::{self, Given, artifact, at, part, picture};
use crate::{
    Aggregate as _, InspectedArea, MediaType, Part, Picture, PictureOwner as _, PixelBox, Recipe,
    Rejection as _, Renewal, UploadSlot,
};

mod generated;
mod golden;
mod limits;
mod retention;

use generated::{commands, events};

fn given(events: impl IntoIterator<Item = E>) -> Given<Part> {
    test_support::given(events)
}

fn register() -> C {
    C::RegisterPart { part: part() }
}

fn replacement() -> GoldenPurpose {
    GoldenPurpose { usage: GoldenSampleUse::Replacement, view: None, reason: None }
}

/// Announces golden sample `n` until `at(600)`.
fn reserve(n: u128) -> C {
    C::ReserveGoldenSample {
        artifact_id: artifact(n),
        media_type: MediaType::Jpeg,
        purpose: replacement(),
        pixels_per_millimetre: None,
        now: at(0),
        expires_at: at(600),
    }
}

/// Renews golden sample `n`, at so many seconds, for so many.
fn renew(n: u128, now: i64, until: i64) -> C {
    let renewal = Renewal { now: at(now), expires_at: at(until) };
    C::RenewReservation { artifact_id: artifact(n), renewal }
}

fn renewed(n: u128, until: i64) -> E {
    E::GoldenSampleReservationRenewed { artifact_id: artifact(n), expires_at: at(until) }
}

fn cancel(n: u128) -> C {
    C::CancelReservation { artifact_id: artifact(n) }
}

fn cancelled(n: u128) -> E {
    E::GoldenSampleReservationCancelled { artifact_id: artifact(n) }
}

fn upload(n: u128, content: &str) -> C {
    C::RegisterGoldenSample { artifact_id: artifact(n), picture: picture(content) }
}

fn registered() -> E {
    E::PartRegistered { part: part(), recipe: Recipe::factory(1) }
}

fn reserved(n: u128) -> E {
    E::GoldenSampleReserved {
        artifact_id: artifact(n),
        media_type: MediaType::Jpeg,
        purpose: replacement(),
        pixels_per_millimetre: None,
        expires_at: at(600),
    }
}

fn golden(n: u128, revision: u32, content: &str) -> E {
    E::GoldenSampleRegistered {
        artifact_id: artifact(n),
        revision,
        purpose: replacement(),
        pixels_per_millimetre: None,
        picture: picture(content),
    }
}

#[test]
fn a_part_is_registered_with_the_first_revision_of_the_factory_recipe() {
    given([]).when(register()).then([registered()]);
}

#[test]
fn a_part_is_registered_once() {
    given([registered()]).when(register()).then_rejected(Rejected::AlreadyRegistered);
}

fn revise(recipe: Recipe) -> C {
    C::ReviseRecipe { recipe, reason: "too strict".into() }
}

fn revised(recipe: Recipe) -> E {
    E::RecipeRevised { recipe, reason: "too strict".into() }
}

/// A recipe that leaves the left out.
fn keeping_out(revision: u32, width: u32) -> Recipe {
    let left = PixelBox { x: 0, y: 0, width, height: 640 };
    let area = InspectedArea::new(None, vec![left], vec![]).unwrap();
    Recipe::factory(revision).with_area(area)
}

#[test]
fn a_revised_recipe_gets_the_next_number_and_is_in_force_with_its_reason() {
    given([registered()]).when(revise(keeping_out(77, 9))).then([revised(keeping_out(2, 9))]);
    let events = [registered(), revised(keeping_out(2, 9))];
    assert_eq!(Part::replay(&events).recipe(), keeping_out(2, 9));
    given(events).when(revise(Recipe::factory(1))).then([revised(Recipe::factory(3))]);
}

#[test]
fn the_recipe_in_force_again_is_no_new_revision() {
    given([registered()]).when(revise(Recipe::factory(9))).then_nothing();
}

#[test]
fn a_part_that_nobody_registered_has_no_recipe_to_revise() {
    given([]).when(revise(Recipe::factory(1))).then_rejected(Rejected::NotFound);
}

#[test]
fn a_reason_is_kept_without_the_one_character_that_no_database_keeps() {
    let command = C::ReviseRecipe { recipe: keeping_out(1, 9), reason: "too\0strict".into() };
    let kept = E::RecipeRevised { recipe: keeping_out(2, 9), reason: "too\u{fffd}strict".into() };
    given([registered()]).when(command).then([kept]);
}

#[test]
fn a_part_that_nobody_registered_takes_no_golden_sample() {
    given([]).when(reserve(1)).then_rejected(Rejected::NotFound);
    given([]).when(upload(1, "golden")).then_rejected(Rejected::NotFound);
}

#[test]
fn a_golden_sample_is_announced_then_registered() {
    given([registered()]).when(reserve(1)).then([reserved(1)]);
    given([registered(), reserved(1)]).when(upload(1, "golden")).then([golden(1, 1, "golden")]);
}

#[test]
fn the_slot_of_a_golden_sample_is_free_from_its_announcement_to_its_upload() {
    let slot = |events: &[E]| {
        let part = Part::replay(events);
        part.upload_slot(artifact(1)).map(|slot| format!("{slot:?}"))
    };
    let free = format!("{:?}", UploadSlot::Free { announced: MediaType::Jpeg });
    let taken = format!("{:?}", UploadSlot::Taken(&picture("a")));
    let unknown = Rejected::NoSuchArtifact { artifact_id: artifact(1) };
    assert_eq!(slot(&[]), Err(Rejected::NotFound));
    assert_eq!(slot(&[registered(), reserved(2)]), Err(unknown));
    assert_eq!(slot(&[registered(), reserved(1)]), Ok(free));
    assert_eq!(slot(&[registered(), reserved(1), golden(1, 1, "a")]), Ok(taken.clone()));
    // An older golden sample keeps its slot when a later one is in force.
    let replaced = [registered(), reserved(1), reserved(2), golden(1, 1, "a"), golden(2, 2, "b")];
    assert_eq!(slot(&replaced), Ok(taken));
}

#[test]
fn golden_samples_are_numbered_without_gaps_in_the_order_in_which_they_come() {
    given([registered(), reserved(1), reserved(2), golden(2, 1, "b")])
        .when(upload(1, "a"))
        .then([golden(1, 2, "a")]);
}

#[test]
fn the_same_golden_bytes_again_change_nothing() {
    given([registered(), reserved(1), golden(1, 1, "a")]).when(upload(1, "a")).then_nothing();
}

#[test]
fn other_bytes_under_a_golden_samples_id_are_refused() {
    given([registered(), reserved(1), golden(1, 1, "a")])
        .when(upload(1, "b"))
        .then_rejected(Rejected::ArtifactAlreadyUploaded { artifact_id: artifact(1) });
}

#[test]
fn a_golden_sample_that_was_not_announced_is_refused() {
    given([registered(), reserved(1)])
        .when(upload(2, "a"))
        .then_rejected(Rejected::NoSuchArtifact { artifact_id: artifact(2) });
}

#[test]
fn a_golden_sample_of_another_format_is_refused_and_the_slot_stays_usable() {
    let png = Picture { media_type: MediaType::Png, ..picture("a") };
    let (announced, found) = (MediaType::Jpeg, MediaType::Png);
    given([registered(), reserved(1)])
        .when(C::RegisterGoldenSample { artifact_id: artifact(1), picture: png })
        .then_rejected(Rejected::MediaTypeMismatch { announced, found });
    given([registered(), reserved(1)]).when(upload(1, "a")).then([golden(1, 1, "a")]);
}

#[test]
fn an_id_that_is_announced_or_in_use_is_not_announced_again() {
    let artifact_id = artifact(1);
    given([registered(), reserved(1)])
        .when(reserve(1))
        .then_rejected(Rejected::ArtifactAlreadyReserved { artifact_id });
    given([registered(), reserved(1), golden(1, 1, "a")])
        .when(reserve(1))
        .then_rejected(Rejected::ArtifactAlreadyReserved { artifact_id });
}

#[test]
fn at_most_64_golden_samples_wait_and_expired_ones_do_not_count() {
    let waiting: Vec<_> =
        std::iter::once(registered()).chain((1..=RESERVATIONS_MAX as u128).map(reserved)).collect();
    given(waiting[..RESERVATIONS_MAX].to_vec()).when(reserve(900)).then([reserved(900)]);
    given(waiting.clone())
        .when(reserve(900))
        .then_rejected(Rejected::TooManyReservations { max: RESERVATIONS_MAX });
    let later = C::ReserveGoldenSample {
        artifact_id: artifact(900),
        media_type: MediaType::Jpeg,
        purpose: replacement(),
        pixels_per_millimetre: None,
        now: at(600),
        expires_at: at(600),
    };
    given(waiting).when(later).then([reserved(900)]);
}

#[test]
fn a_golden_sample_that_did_not_come_is_renewed_and_needs_a_place_again_once_it_has_ended() {
    given([registered(), reserved(1)]).when(renew(1, 0, 900)).then([renewed(1, 900)]);
    given([registered(), reserved(1)]).when(renew(1, 0, 600)).then_nothing();
    let full = (2..=RESERVATIONS_MAX as u128 + 1).map(reserved);
    let ended = E::GoldenSampleReservationRenewed { artifact_id: artifact(1), expires_at: at(100) };
    let events = [registered(), reserved(1), ended].into_iter().chain(full);
    given(events.clone())
        .when(renew(1, 100, 900))
        .then_rejected(Rejected::TooManyReservations { max: RESERVATIONS_MAX });
    given(events.chain([cancelled(7)])).when(renew(1, 100, 900)).then([renewed(1, 900)]);
}

#[test]
fn a_golden_sample_that_was_dated_by_a_clock_that_ran_ahead_keeps_no_place() {
    let ahead =
        |n| E::GoldenSampleReservationRenewed { artifact_id: artifact(n), expires_at: at(86_400) };
    let dated = (1..=RESERVATIONS_MAX as u128).flat_map(|n| [reserved(n), ahead(n)]);
    let events: Vec<_> = std::iter::once(registered()).chain(dated).collect();
    given(events.clone()).when(reserve(900)).then([reserved(900)]);
    given(events).when(renew(1, 0, 900)).then([renewed(1, 900)]);
}

#[test]
fn a_golden_sample_that_did_not_come_is_cancelled_and_its_place_is_free() {
    let waiting: Vec<_> =
        std::iter::once(registered()).chain((1..=RESERVATIONS_MAX as u128).map(reserved)).collect();
    given(waiting.clone()).when(cancel(7)).then([cancelled(7)]);
    let events = waiting.into_iter().chain([cancelled(7)]);
    given(events.clone()).when(reserve(900)).then([reserved(900)]);
    given(events)
        .when(upload(7, "late"))
        .then_rejected(Rejected::NoSuchArtifact { artifact_id: artifact(7) });
}

#[test]
fn a_golden_sample_that_has_come_is_neither_renewed_nor_cancelled() {
    let used = Rejected::ReservationUsed { artifact_id: artifact(1) };
    let unknown = Rejected::NoSuchArtifact { artifact_id: artifact(2) };
    let events = [registered(), reserved(1), golden(1, 1, "a")];
    for (n, refusal) in [(1, used), (2, unknown)] {
        given(events.clone()).when(renew(n, 0, 900)).then_rejected(refusal.clone());
        given(events.clone()).when(cancel(n)).then_rejected(refusal);
    }
}

#[test]
fn an_unregistered_part_has_the_factory_recipe_and_no_golden_sample() {
    let nobody = Part::default();
    assert_eq!(nobody.recipe(), Recipe::factory(0));
    assert_eq!((nobody.golden_set(None, None), nobody.golden_sample_revision()), (None, None));
    assert_eq!(Part::replay(&[registered()]).recipe(), Recipe::factory(1));
}

#[test]
fn only_what_is_addressed_and_missing_counts_as_not_found() {
    let artifact_id = artifact(1);
    let not_found = [Rejected::NotFound, Rejected::NoSuchArtifact { artifact_id }];
    let conflicts = [
        Rejected::AlreadyRegistered,
        Rejected::ArtifactAlreadyReserved { artifact_id },
        Rejected::ArtifactAlreadyUploaded { artifact_id },
        Rejected::MediaTypeMismatch { announced: MediaType::Jpeg, found: MediaType::Png },
        Rejected::ReservationUsed { artifact_id },
        Rejected::TooManyReservations { max: 64 },
        Rejected::TooManyAnnouncements { max: 500 },
        Rejected::TooManyRevisions { max: 500 },
        Rejected::NoGoldenSample { usage: GoldenSampleUse::Variant },
        Rejected::ScaleMismatch { usage: GoldenSampleUse::Variant, golden: None, sample: None },
        Rejected::TooManyGoldenSamples { usage: GoldenSampleUse::Variant, max: 8 },
        Rejected::GoldenSampleRetired { artifact_id },
        Rejected::NotAReplacement { revision: 1 },
    ];
    assert!(not_found.iter().all(|rejection| rejection.is_not_found()));
    assert!(conflicts.iter().all(|rejection| !rejection.is_not_found()));
    let names: std::collections::BTreeSet<_> =
        not_found.iter().chain(&conflicts).map(|rejection| rejection.name()).collect();
    assert_eq!(names.len(), not_found.len() + conflicts.len(), "names tell rejections apart");
}

proptest! {
    #[test]
    fn any_commands_number_samples_and_recipes_from_one_without_gaps_and_replay_to_the_same_state(
        commands in commands(),
    ) {
        let mut state = Part::default();
        let mut stream = Vec::new();
        for command in commands {
            let events = state.decide(command.clone()).unwrap_or_default();
            events.iter().for_each(|event| state.evolve(event));
            prop_assert_eq!(state.decide(command).unwrap_or_default(), vec![], "repeated");
            stream.extend(events);
        }
        prop_assert_eq!(&Part::replay(&stream), &state);
        let recipes = stream.iter().filter_map(|event| match event {
            E::PartRegistered { recipe, .. } | E::RecipeRevised { recipe, .. } => {
                Some(recipe.revision)
            }
            E::GoldenSampleReserved { .. }
            | E::GoldenSampleReservationRenewed { .. }
            | E::GoldenSampleReservationCancelled { .. }
            | E::GoldenSampleRegistered { .. }
            | E::GoldenSamplesRetired { .. } => None,
        });
        let recipes: Vec<_> = recipes.collect();
        prop_assert_eq!(&recipes, &(1..=recipes.len() as u32).collect::<Vec<_>>());
        if let Part::Registered(facts) = state {
            let revisions: Vec<_> = facts.golden_samples.iter().map(|g| g.revision).collect();
            prop_assert_eq!(&revisions, &(1..=revisions.len() as u32).collect::<Vec<_>>());
            let used = facts.golden_samples.iter().map(|golden| golden.artifact_id);
            prop_assert!(used.into_iter().all(|id| !facts.reserved.contains_key(&id)));
        }
    }

    #[test]
    fn any_events_may_be_applied_in_any_order_and_any_command_decided_after(
        events in events(),
        commands in commands(),
    ) {
        let mut state = Part::replay(&events);
        for command in commands {
            let events = state.decide(command).unwrap_or_default();
            events.iter().for_each(|event| state.evolve(event));
        }
    }

    #[test]
    fn cqrs_es_sees_the_same_events_and_rejections(events in events(), commands in commands()) {
        for command in commands {
            let expected = Part::replay(&events).decide(command.clone());
            let seen = cqrs_es::test::TestFramework::<Part>::with(())
                .given(events.clone())
                .when(command)
                .inspect_result();
            prop_assert_eq!(seen, expected);
        }
    }
}
