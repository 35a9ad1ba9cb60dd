//! A part that is changed without end.

use super::*;
use crate::part::command::{ANNOUNCEMENTS_MAX, RECIPE_REVISIONS_MAX};

#[test]
fn a_part_of_which_golden_samples_are_announced_without_end_is_refused_and_what_is_announced_may_come()
 {
    let often = |times: u32| {
        let renewals = (1..times).map(|n| renewed(1, i64::from(600 + n)));
        [registered(), reserved(1)].into_iter().chain(renewals).collect::<Vec<_>>()
    };
    let taken_back = (2..=u128::from(ANNOUNCEMENTS_MAX)).flat_map(|n| [reserved(n), cancelled(n)]);
    let cancelling: Vec<_> = [registered(), reserved(1)].into_iter().chain(taken_back).collect();
    let refused = Rejected::TooManyAnnouncements { max: ANNOUNCEMENTS_MAX };

    given(often(ANNOUNCEMENTS_MAX - 1)).when(reserve(900)).then([reserved(900)]);
    given(often(ANNOUNCEMENTS_MAX - 1)).when(renew(1, 0, 10_000)).then([renewed(1, 10_000)]);
    for full in [often(ANNOUNCEMENTS_MAX), cancelling] {
        given(full.clone()).when(reserve(900)).then_rejected(refused.clone());
        given(full.clone()).when(renew(1, 0, 10_000)).then_rejected(refused.clone());
        given(full.clone()).when(renew(1, 300, 301)).then_nothing();
        given(full.clone()).when(upload(1, "a")).then([golden(1, 1, "a")]);
        given(full.clone()).when(cancel(1)).then([cancelled(1)]);
        let recipe = keeping_out(0, 1);
        given(full).when(revise(recipe.clone())).then([revised(recipe.with_revision(2))]);
    }
}

#[test]
fn a_recipe_that_is_revised_without_end_stays_as_it_is_and_the_same_again_is_no_refusal() {
    let recipe = |revision: u32| keeping_out(0, revision).with_revision(revision);
    let events: Vec<_> = std::iter::once(registered())
        .chain((2..=RECIPE_REVISIONS_MAX).map(|n| revised(recipe(n))))
        .collect();
    let almost = events[..events.len() - 1].to_vec();
    given(almost)
        .when(revise(recipe(RECIPE_REVISIONS_MAX)))
        .then([revised(recipe(RECIPE_REVISIONS_MAX))]);
    given(events.clone()).when(revise(recipe(RECIPE_REVISIONS_MAX))).then_nothing();
    given(events.clone())
        .when(revise(recipe(1)))
        .then_rejected(Rejected::TooManyRevisions { max: RECIPE_REVISIONS_MAX });
    given(events).when(reserve(1)).then([reserved(1)]);
}
