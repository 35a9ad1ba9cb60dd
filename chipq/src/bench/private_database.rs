//! The private PostgreSQL of a platform, as its services reach it and as its owner does.

use std::path::Path;

use anyhow::ensure;
use reqwest::Url;

use crate::installation::POSTGRES;

/// Who owns the private server.
const OWNER: &str = "chipq";

/// The database of the platform in `data`, with the services' password.
pub(super) fn services_url(data: &Path) -> anyhow::Result<Url> {
    Ok(Url::parse(std::fs::read_to_string(data.join("private-postgres-url"))?.trim())?)
}

/// The same database, for whoever may do there what services may not.
pub(super) fn owner_url(data: &Path) -> anyhow::Result<Url> {
    let mut url = services_url(data)?;
    let password = std::fs::read_to_string(data.join(POSTGRES).join("password"))?;
    let is_owners =
        url.set_username(OWNER).is_ok() && url.set_password(Some(password.trim())).is_ok();
    ensure!(is_owners, "the URL of the private PostgreSQL has no place for a user");
    Ok(url)
}
