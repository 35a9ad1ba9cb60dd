//! The shim: through cqrs-es an inspection does what `decide` and `evolve` say, no more and no less.

use cqrs_es::event_sink::EventSink;
use cqrs_es::mem_store::MemStore;
use cqrs_es::test::TestFramework;
use cqrs_es::{AggregateError, CqrsFramework, EventStore as _};
use proptest::prelude::*;

use super::generated::commands;
use super::*;

#[test]
fn the_test_framework_of_cqrs_es_sees_the_same_events() {
    TestFramework::<Inspection>::with(())
        .given(inferring())
        .when(C::RecordInference(Box::new(compared(1, "board", vec![]))))
        .then_expect_events(vec![completed(1, "board", vec![]), passed()]);
    TestFramework::<Inspection>::with(())
        .given_no_previous_events()
        .when(request())
        .then_expect_error(Rejected::NotFound);
}

#[tokio::test]
async fn the_framework_stores_what_was_decided_and_nothing_when_it_was_refused() {
    let store = MemStore::<Inspection>::default();
    let framework = CqrsFramework::new(store.clone(), vec![], ());
    let id = inspection_id().to_string();
    for command in [create(), reserve(1), upload(1, "board"), upload(1, "board"), request()] {
        framework.execute(&id, command).await.unwrap();
    }
    let refused = framework.execute(&id, reserve(2)).await;
    let expected = Rejected::InferenceAlreadyRequested;
    assert!(matches!(refused, Err(AggregateError::UserError(why)) if why == expected));
    let result = C::RecordInference(Box::new(compared(1, "board", vec![])));
    framework.execute(&id, result).await.unwrap();
    let stored = store.load_events(&id).await.unwrap();
    let sequences: Vec<_> = stored.iter().map(|envelope| envelope.sequence).collect();
    let events: Vec<_> = stored.into_iter().map(|envelope| envelope.payload).collect();
    assert_eq!(events, judged_pass());
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
}

proptest! {
    #[test]
    fn handle_and_apply_equal_decide_and_evolve_for_any_commands(commands in commands()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut pure = Inspection::default();
        let mut framed = Inspection::default();
        for command in commands {
            let decided = pure.decide(command.clone());
            decided.iter().flatten().for_each(|event| pure.evolve(event));
            let sink = EventSink::default();
            let handled = runtime
                .block_on(cqrs_es::Aggregate::handle(&mut framed, command, &(), &sink));
            let sunk = runtime.block_on(sink.collect());
            prop_assert_eq!(handled.map(|()| sunk), decided);
            prop_assert_eq!(&framed, &pure);
        }
    }
}
