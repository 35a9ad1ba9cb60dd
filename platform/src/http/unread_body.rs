//! What a request's body still holds when its answer is ready.
//!
//! A client that is refused before its body was read goes on sending it. What is short is read here, so that
//! the connection can carry the next request. After anything else the answer says `Connection: close`, so
//! that nobody sends the next request into a connection that ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use hyper::body::{Body as _, Frame, SizeHint};

use super::JSON_BODY_MAX_BYTES;

/// The longest rest that is read, in bytes: a body of JSON.
const READ_MAX_BYTES: usize = JSON_BODY_MAX_BYTES;
/// How long it may take to come: it is on its way already.
const READ_PATIENCE: Duration = Duration::from_millis(500);

/// Middleware: see above.
pub(super) async fn settle_unread_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who waits to be asked for the body is not asked for it only to throw it away.
    let waits_to_be_asked = request.headers().contains_key(EXPECT);
    let rest = Arc::new(Mutex::new(Rest::Lent));
    let lent = |body| Body::new(LentBody { body: Some(body), rest: Arc::clone(&rest) });
    let mut response = next.run(request.map(lent)).await;
    let rest = std::mem::take(&mut *rest.lock().unwrap_or_else(PoisonError::into_inner));
    let is_read = match rest {
        Rest::Read => true,
        Rest::Unread(body) => !waits_to_be_asked && read_rest(body).await,
        Rest::Lent => false,
    };
    if !is_read {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the rest of `body` was short, and came at once.
async fn read_rest(body: Body) -> bool {
    if body.size_hint().lower() > READ_MAX_BYTES as u64 {
        return false;
    }
    let read = async {
        let (mut length, mut pieces) = (0, body.into_data_stream());
        while let Some(piece) = pieces.next().await {
            length += piece.map_or(READ_MAX_BYTES + 1, |piece| piece.len());
            if length > READ_MAX_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(READ_PATIENCE, read).await.unwrap_or(false)
}

/// What is left of a body.
#[derive(Default)]
enum Rest {
    /// Somebody has it.
    #[default]
    Lent,
    /// It was let go before its end.
    Unread(Body),
    /// Nothing.
    Read,
}

/// A body that comes back when it is let go before its end.
struct LentBody {
    /// Absent after its end.
    body: Option<Body>,
    rest: Arc<Mutex<Rest>>,
}

impl hyper::body::Body for LentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        let rest = match self.body.take() {
            Some(body) if !body.is_end_stream() => Rest::Unread(body),
            _ => Rest::Read,
        };
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}
