//! What a role stands on, opened at its start.
//!
//! Invariant: everything that is wrong with the configuration is said at once, before anything is connected; then
//! everything that does not answer, at once.

use platform::config::ConfigErrors;
use platform::foundation::{DataConfig, Foundation, FoundationConfig};
use platform::postgres::check_migrated;
use platform::shutdown::Shutdown;

use crate::failure::join_faults;

/// What a role does with the bucket of pictures, which it needs the right to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BucketUse {
    Read,
    Write,
}

/// Opens what a role stands on, in the shape that somebody has given it before.
pub(super) async fn open(
    config: &FoundationConfig,
    shutdown: &Shutdown,
) -> anyhow::Result<Foundation> {
    shutdown.run_until_requested(open_unchanged(config)).await
}

/// The same, and tries the bucket of pictures meanwhile: whoever configured both hears of both.
pub(super) async fn open_beside(
    config: &FoundationConfig,
    (data, bucket_use): (&DataConfig, BucketUse),
    shutdown: &Shutdown,
) -> anyhow::Result<Foundation> {
    let opening = async {
        let trial = data.try_bucket(bucket_use == BucketUse::Write);
        let (foundation, bucket) = tokio::join!(open_unchanged(config), trial);
        join_faults(foundation, bucket.map_err(anyhow::Error::from))
    };
    shutdown.run_until_requested(opening).await.map(|(foundation, ())| foundation)
}

async fn open_unchanged(config: &FoundationConfig) -> anyhow::Result<Foundation> {
    let foundation = Foundation::open(config).await?;
    check_migrated(foundation.pool()).await?;
    foundation.check_log().await?;
    Ok(foundation)
}

/// Refuses everything that is wrong at once, before anything is connected.
pub(super) fn check(foundation: &FoundationConfig, data: &DataConfig) -> Result<(), ConfigErrors> {
    let mut errors = ConfigErrors::new();
    foundation.check(&mut errors);
    data.check(&mut errors);
    errors.finish()
}
