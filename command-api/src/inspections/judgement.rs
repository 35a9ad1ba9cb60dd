//! Waiting for a judgement, for whoever asked for it and prefers to wait.

use axum::http::StatusCode;
use axum::response::Response;
use domain::{Inspection, InspectionId};
use platform::event_log::POLL_INTERVAL;
use platform::execute::{Executed, load};
use platform::http::Waiting;
use tokio::time::timeout;

use super::answer_with_inspection;
use crate::CommandApi;
use crate::command::{REPLAYED, make_response};

/// What is answered once the inspection is judged or withdrawn: 200 with what it is by then. `accepted`, when
/// that does not come about in time or cannot be seen: the command was accepted in any case.
pub(super) async fn wait_for_judgement(
    api: &CommandApi,
    inspection_id: InspectionId,
    accepted: Response,
    waiting: &mut Waiting,
) -> Response {
    match next_decision(api, inspection_id, waiting).await {
        Some(decided) => {
            let mut response =
                make_response(&answer_with_inspection(StatusCode::OK, &decided, None));
            if let Some(replayed) = accepted.headers().get(&REPLAYED) {
                response.headers_mut().insert(&REPLAYED, replayed.clone());
            }
            waiting.note_in(response)
        }
        None => waiting.note_in(accepted),
    }
}

async fn next_decision(
    api: &CommandApi,
    inspection_id: InspectionId,
    waiting: &mut Waiting,
) -> Option<Executed<Inspection>> {
    let mut hints = api.log().hints();
    loop {
        hints.mark_unchanged();
        let loaded = load::<Inspection>(api.log(), &inspection_id.to_string()).await.ok()?;
        if !loaded.state.state()?.takes_results() {
            return Some(Executed::unchanged(loaded));
        }
        if waiting.is_over() {
            return None;
        }
        waiting.until_next_look(timeout(POLL_INTERVAL, hints.changed())).await;
    }
}
