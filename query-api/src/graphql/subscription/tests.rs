//! What a feed waits for, and what ends its waiting. The subscription itself: `crate::tests::changes`.

use std::cell::Cell;

use super::*;

#[tokio::test]
async fn what_takes_longer_than_a_look_at_the_token_is_waited_for() {
    let (finish, finished) = tokio::sync::oneshot::channel();
    let finish = Cell::new(Some(finish));
    // Done only after the token was looked at.
    let check = || {
        let _ = finish.take().map(|finish| finish.send(7));
        Ok(())
    };
    let waited = wait_for(finished, &Shutdown::new(), check).await.unwrap();
    assert_eq!(waited, Some(Ok(7)));
}

#[tokio::test]
async fn waiting_ends_with_the_session_and_with_a_shutdown() {
    let shutdown = Shutdown::new();
    let never = std::future::pending::<()>;
    let ended = wait_for(never(), &shutdown, || Err(QueryError::NotBuilt)).await;
    assert!(matches!(ended, Err(QueryError::NotBuilt)));
    shutdown.request();
    assert!(wait_for(never(), &shutdown, || Ok(())).await.unwrap().is_none());
}
