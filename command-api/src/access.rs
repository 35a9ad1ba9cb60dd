//! Accounts of people and clients of machines: reading them, creating and changing them, and becoming the first
//! administrator.
//!
//! Invariants: nobody gives, takes or changes what they do not hold themselves; a secret is in one answer and in no
//! log, no kept answer and no fingerprint. They are read from the log itself, so that whoever changed one reads it
//! so. Absent: signing in (`token`).

mod accounts;
mod change;
mod claim;
mod clients;
mod edit;
mod list;

use std::collections::BTreeSet;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use domain::{
    ClientKey, DisplayName, Invalid, PartNumber, Principal, PrincipalName, Reach, Role, Station,
};
use platform::access::{PublicKeyFlaw, parse_public_key};
use platform::http::{FieldError, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::CommandApi;
use crate::problems::field_error;
use crate::reason::parse_reason;

/// Accounts and clients.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .merge(accounts::routes())
        .merge(clients::routes())
        .merge(claim::routes())
}

/// What somebody is to the platform.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes domain::Role")]
enum RoleBody {
    Station,
    Operator,
    Engineer,
    Quality,
    Auditor,
    Admin,
}

/// An account or a client.
#[derive(Debug, Serialize, ToSchema)]
struct PrincipalBody {
    /// Its name; of a client, its `client_id`.
    #[schema(value_type = String, example = "aoi-1")]
    name: PrincipalName,
    /// A person's name as it is printed; absent where it is the name, and of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "Ada Lovelace")]
    display_name: Option<DisplayName>,
    /// What it may do.
    #[schema(value_type = RoleBody, example = "station")]
    role: Role,
    /// The stations it is limited to; empty when it is not.
    #[schema(value_type = Vec<String>, example = json!(["AOI-1"]))]
    stations: BTreeSet<Station>,
    /// The parts it is limited to; empty when it is not.
    #[schema(value_type = Vec<String>, example = json!([]))]
    parts: BTreeSet<PartNumber>,
    /// Whether it may do anything at present.
    enabled: bool,
    /// How often anything about it was changed.
    #[schema(example = 1)]
    revision: u32,
}

impl PrincipalBody {
    fn for_principal(name: &PrincipalName, principal: &Principal) -> Self {
        Self {
            name: name.clone(),
            display_name: principal.display_name.clone(),
            role: principal.role,
            stations: principal.reach.stations().clone(),
            parts: principal.reach.parts().clone(),
            enabled: principal.is_enabled,
            revision: principal.revision,
        }
    }
}

/// Why.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GivenReason {
    /// 1 to 500 printable characters; kept with the change for ever.
    #[schema(min_length = 1, max_length = 500, example = "left the company")]
    reason: String,
}

/// What somebody may do from now on, and why.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleToGive {
    /// What.
    #[schema(value_type = RoleBody, example = "quality")]
    role: String,
    /// 1 to 500 printable characters; kept with the change for ever.
    #[schema(min_length = 1, max_length = 500, example = "answers for verdicts from now on")]
    reason: String,
}

/// Where somebody may act from now on, and why.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReachToGive {
    /// The stations; empty for every one.
    #[schema(max_items = 256, example = json!(["AOI-1", "AOI-2"]))]
    stations: Vec<String>,
    /// The parts; empty for every one.
    #[schema(max_items = 256, example = json!([]))]
    parts: Vec<String>,
    /// 1 to 500 printable characters; kept with the change for ever.
    #[schema(min_length = 1, max_length = 500, example = "keeps line 2, too")]
    reason: String,
}

/// What is wrong with the fields of a body, all of it.
#[derive(Default)]
struct Flaws(Vec<FieldError>);

impl Flaws {
    /// The value, or `None` after what is wrong with it was noted.
    fn keep<T>(&mut self, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|invalid| self.0.push(field_error(invalid))).ok()
    }

    fn reason(&mut self, text: &str) -> Option<String> {
        self.keep(parse_reason(text))
    }

    fn reach(&mut self, stations: &[String], parts: &[String]) -> Option<Reach> {
        let stations = stations.iter().map(|name| name.parse().map_err(in_field("stations")));
        let stations: Option<BTreeSet<Station>> = self.keep(stations.collect());
        let parts = parts.iter().map(|number| number.parse().map_err(in_field("parts")));
        let parts: Option<BTreeSet<PartNumber>> = self.keep(parts.collect());
        self.keep(Reach::new(stations?, parts?))
    }

    /// The key, where one is given.
    fn public_key(&mut self, pem: Option<&str>) -> Option<Option<ClientKey>> {
        let Some(pem) = pem else { return Some(None) };
        let unusable = |flaw: PublicKeyFlaw| {
            let (field, message) = ("public_key".to_owned(), flaw.to_string());
            self.0.push(FieldError { field, message });
        };
        parse_public_key(pem).map_err(unusable).ok().map(Some)
    }

    fn into_problem(self) -> Problem {
        Problem::validation(self.0)
    }
}

fn in_field(field: &'static str) -> impl Fn(Invalid) -> Invalid {
    move |invalid| Invalid { field, ..invalid }
}

/// Nobody on the way keeps what is in it.
fn unstored(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
