//! Serving until asked to finish, and finishing within a bound.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// How long open requests may take after finishing was asked for; then they are cut.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Serves `router` until `shutdown`, then drains for at most [`DRAIN_LIMIT`].
/// Handlers can extract `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let requested = shutdown.requested();
    let server = axum::serve(listener, service).with_graceful_shutdown(requested).into_future();
    let too_late = async {
        shutdown.requested().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        served = server => served,
        () = too_late => {
            tracing::warn!(limit_s = DRAIN_LIMIT.as_secs(), "requests were still open and are cut");
            Ok(())
        }
    }
}
