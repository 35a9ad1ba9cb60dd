//! Subscriptions as server-sent events, in the distinct connections mode of graphql-sse: `next` for
//! every answer, then `complete`.

use std::convert::Infallible;
use std::time::Duration;

use async_graphql::{Request, Response};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::stream::once;
use futures::{Stream, StreamExt as _};

use super::execute_stream;
use crate::QueryApi;
use crate::session::Session;

/// How often an idle stream sends a comment, so that nobody in between gives it up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn stream_answers(
    api: &QueryApi,
    session: Session,
    request: Request,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let answers = execute_stream(api, session, request).map(|answer| Ok(next(&answer)));
    let complete = once(async { Ok(Event::default().event("complete").data("")) });
    Sse::new(answers.chain(complete)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn next(answer: &Response) -> Event {
    let event = Event::default().event("next");
    match serde_json::to_string(answer) {
        Ok(json) => event.data(json),
        Err(error) => {
            tracing::error!(%error, "an answer has no JSON shape");
            event.data(r#"{"errors":[{"message":"something failed on our side"}]}"#)
        }
    }
}
