//! What holds after any sequence of commands, and over any sequence of events.

use proptest::prelude::*;

use super::generated::{commands, events};
use super::*;
use crate::Grade;
use crate::inspection::Artifact;

/// Sends every command in turn; the events that followed from each, none from a refused one.
fn run(commands: Vec<C>) -> (Inspection, Vec<Vec<E>>) {
    let mut state = Inspection::default();
    let followed = commands
        .into_iter()
        .map(|command| {
            let events = state.decide(command).unwrap_or_default();
            events.iter().for_each(|event| state.evolve(event));
            events
        })
        .collect();
    (state, followed)
}

fn is_final(state: &Inspection) -> bool {
    matches!(state, Inspection::Judged { .. } | Inspection::Voided(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn replaying_the_events_of_any_commands_gives_the_same_state(commands in commands()) {
        let (state, followed) = run(commands);
        prop_assert_eq!(Inspection::replay(followed.iter().flatten()), state);
    }

    #[test]
    fn an_inspection_is_created_first_and_once_and_ends_at_most_once(commands in commands()) {
        let (_, followed) = run(commands);
        let events: Vec<_> = followed.iter().flatten().collect();
        let count = |is: fn(&E) -> bool| events.iter().filter(|event| is(event)).count();
        prop_assert_eq!(
            count(|event| matches!(event, E::InspectionCreated { .. })),
            usize::from(!events.is_empty())
        );
        let requests = count(|event| matches!(event, E::InferenceRequested { .. }));
        prop_assert!(requests <= 1);
        let end =
            |event: &E| matches!(event, E::InspectionJudged { .. } | E::InspectionVoided { .. });
        prop_assert!(count(end) <= 1);
        let retired = |event: &E| matches!(event, E::PicturesRetired { .. });
        prop_assert!(count(retired) <= 1);
        let mut after = events.iter().skip_while(|event| !end(event)).skip(1);
        prop_assert!(after.all(|event| retired(event)), "the end is the end");
        prop_assert!(followed.iter().all(|events| events.len() <= 4), "two at rest at most");
    }

    #[test]
    fn nothing_passes_unless_every_view_was_compared_all_of_it_and_nothing_was_found_or_unexplained(
        commands in commands(),
    ) {
        let (state, _) = run(commands);
        let Inspection::Judged { facts, judgement: Judgement::Pass, rules } = state else {
            return Ok(());
        };
        prop_assert_eq!(rules, vec![FiredRule::NothingFound]);
        prop_assert!(!facts.artifacts.is_empty());
        if !facts.recipe.views.is_empty() {
            let mut seen: Vec<_> = facts.artifacts.keys().map(|id| facts.views.get(id)).collect();
            let mut required: Vec<_> = facts.recipe.views.iter().map(Some).collect();
            seen.sort();
            required.sort();
            prop_assert_eq!(seen, required, "every named view once, and no other");
        }
        let mut pictures = std::collections::BTreeSet::new();
        for artifact in facts.artifacts.values() {
            let Artifact::Compared { picture, defects, differences, coverage: Some(coverage) } =
                artifact
            else {
                return Err(TestCaseError::fail(format!("passed with {artifact:?}")));
            };
            prop_assert!(pictures.insert(picture.sha256), "passed with one picture twice");
            prop_assert_eq!(differences, &[]);
            prop_assert_eq!((coverage.uncovered(), coverage.compared_share()), (&[][..], 1.0));
            let grade = |d: &crate::Defect| facts.recipe.grade(d.confidence);
            prop_assert!(defects.iter().all(|defect| grade(defect) == Grade::Negligible));
        }
    }

    #[test]
    fn all_comparisons_of_an_inspection_are_by_the_network_of_the_first(commands in commands()) {
        let (state, followed) = run(commands);
        let mut models = followed.iter().flatten().filter_map(|event| {
            if let E::InferenceCompleted { model, .. } = event { Some(model) } else { None }
        });
        let pinned = state.facts().and_then(|facts| facts.model.as_ref());
        prop_assert_eq!(models.next(), pinned);
        prop_assert!(models.all(|model| Some(model) == pinned));
    }

    #[test]
    fn nothing_is_judged_while_a_picture_waits_for_its_result(commands in commands()) {
        let (state, _) = run(commands);
        let waits = |facts: &crate::inspection::Facts| {
            facts.artifacts.values().any(|a| matches!(a, Artifact::Uploaded(_)))
        };
        if let Inspection::Judged { facts, .. } = &state {
            prop_assert!(!waits(facts));
        }
        if let Inspection::Inferring(facts) = &state {
            prop_assert!(waits(facts), "an inspection that waits for nothing is judged");
        }
    }

    #[test]
    fn nothing_changes_after_the_end_but_that_files_are_retired(
        commands in commands(), more in commands(),
    ) {
        let (state, _) = run(commands);
        if is_final(&state) {
            for command in more {
                let is_retirement = matches!(command, C::RetirePictures { .. });
                let events = state.decide(command).unwrap_or_default();
                prop_assert!(events.is_empty() || is_retirement);
            }
        }
    }

    #[test]
    fn a_command_that_is_repeated_changes_nothing(commands in commands()) {
        let mut state = Inspection::default();
        for command in commands {
            let events = state.decide(command.clone()).unwrap_or_default();
            events.iter().for_each(|event| state.evolve(event));
            prop_assert_eq!(state.decide(command).unwrap_or_default(), vec![]);
        }
    }

    #[test]
    fn the_request_names_every_announced_picture(commands in commands()) {
        let mut state = Inspection::default();
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
                if let (E::InferenceRequested { artifacts }, Some(facts)) = (&event, state.facts())
                {
                    let announced: Vec<_> = facts.artifacts.keys().copied().collect();
                    prop_assert_eq!(artifacts, &announced);
                }
                state.evolve(&event);
            }
        }
    }

    /// JSON knows neither NaN nor infinities, PostgreSQL's jsonb no NUL: such an event would be
    /// accepted and never be read again.
    #[test]
    fn whatever_follows_from_commands_can_be_stored_and_read_again(commands in commands()) {
        let (_, followed) = run(commands);
        for event in followed.into_iter().flatten() {
            let stored = serde_json::to_value(&event).unwrap().to_string();
            prop_assert!(!stored.contains("\\u0000"));
            let payload = serde_json::from_str(&stored).unwrap();
            let read: E = serde_json::from_value(payload).unwrap();
            prop_assert_eq!(read, event);
        }
    }

    #[test]
    fn any_events_may_be_applied_in_any_order_and_any_command_decided_after(
        events in events(),
        commands in commands(),
    ) {
        let mut state = Inspection::default();
        for event in &events {
            let before = state.clone();
            state.evolve(event);
            if is_final(&before) {
                prop_assert_eq!(&state, &before, "{:?} changed what has ended", event);
            }
        }
        prop_assert_eq!(Inspection::replay(&events), state.clone());
        for command in commands {
            let events = state.decide(command).unwrap_or_default();
            events.iter().for_each(|event| state.evolve(event));
        }
    }
}

/// The properties above would hold of a domain in which nothing ever happens.
#[test]
fn generated_commands_reach_every_state_and_every_judgement() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        let (state, _) = run(commands().new_tree(&mut runner).unwrap().current());
        reached.insert(match &state {
            Inspection::Judged { judgement, .. } => judgement.as_str(),
            Inspection::NotCreated => "not-created",
            Inspection::Open(_) | Inspection::Inferring(_) | Inspection::Voided(_) => {
                state.state().unwrap().as_str()
            }
        });
    }
    let expected =
        ["not-created", "open", "inferring", "pass", "review", "fail", "voided"].into_iter();
    assert_eq!(reached, expected.collect());
}
