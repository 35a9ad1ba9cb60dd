//! Reads: GraphQL with a subscription, REST, report PDFs, and an explorer that needs no network.
//!
//! Invariants: everything but health and the explorer's page needs a token; nothing here writes but the
//! decisions of operators about the read models, as events; what a read claims to reflect, it reflects. Absent
//! on purpose: commands, and tables of its own.

mod annotated_picture;
mod as_of;
mod checkpoints;
mod concurrency_limit;
mod config;
mod cursor;
mod error;
mod explorer;
mod fair_turns;
mod graphql;
mod labels;
mod lettering;
mod paging;
mod palette;
mod past_rows;
mod pdf_service;
mod query_context;
mod read_model;
mod report_font;
pub mod report_pdf;
mod rest;
mod session;
mod shared_pages;
#[cfg(test)]
mod tests;
mod visibility;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use platform::artifact_store::ArtifactStore;
use platform::auth::{SigningKey, TokenVerifier};
use platform::follower::LogTail;
use platform::health::Probe;
use platform::http::{PrincipalRate, WaitPlaces};
use platform::picture_memory::PictureMemory;
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

pub use annotated_picture::{PictureMarks, annotate};
pub use config::{QueryApiConfig, ReportFontConfig};
pub use explorer::PAGES;
pub use graphql::sdl;
pub use past_rows::{FoldInspection, PastRows};
pub use report_font::ReportFont;
pub use rest::openapi;

use checkpoints::Checkpoints;
use concurrency_limit::ConcurrencyLimit;
use cursor::CursorKey;
use graphql::{ApiSchema, Preparation};
use pdf_service::PdfService;
use query_context::QueryContext;
use read_model::inspections::SharedInspections;
use shared_pages::SharedPages;

/// What the query API stands on.
#[derive(Clone)]
pub struct QueryApiDependencies {
    /// The database of the read models.
    pub pool: Pool,
    /// The log that subscriptions follow: the process's one reader.
    pub tail: LogTail,
    /// Where pictures are.
    pub artifacts: ArtifactStore,
    /// What pictures in PDFs may take of the process's memory.
    pub memory: PictureMemory,
    /// The key of cursors is derived from it: processes that share it understand each other's.
    pub signing_key: SigningKey,
    /// Believes tokens.
    pub verifier: Arc<TokenVerifier>,
    /// Makes an inspection's rows of its events, as the projectors do: what was is shown by it.
    pub fold_inspection: FoldInspection,
    /// Ends subscriptions, each with the cursor to go on from.
    pub shutdown: Shutdown,
}

/// The query API. Clones share everything.
#[derive(Clone)]
pub struct QueryApi(Arc<QueryApiState>);

struct QueryApiState {
    context: Arc<QueryContext>,
    schema: ApiSchema,
    preparation: Preparation,
    artifacts: ArtifactStore,
    pdfs: PdfService,
    verifier: Arc<TokenVerifier>,
}

/// The queries, to be merged with other routers and with `platform::health`, and wrapped once.
pub fn router(api: QueryApi) -> Router {
    graphql::routes().merge(rest::routes()).with_state(api).merge(explorer::routes())
}

impl QueryApi {
    /// The query API on `on`, as configured. Call it inside a tokio runtime.
    #[must_use]
    pub fn new(on: QueryApiDependencies, config: &QueryApiConfig) -> Self {
        let context = Arc::new(QueryContext {
            checkpoints: Checkpoints::new(on.pool.clone(), Arc::clone(on.tail.log())),
            cursor_key: CursorKey::derived_from(&on.signing_key),
            rate: PrincipalRate::new(
                "query",
                (config.read_rate_per_second, config.read_rate_burst),
                config.read_rate_by_role.as_ref(),
            ),
            subscriptions: ConcurrencyLimit::new(
                "subscriptions",
                config.subscriptions_max,
                config.subscriptions_per_principal,
            ),
            sockets: ConcurrencyLimit::new(
                "connections",
                config.sockets_max,
                config.sockets_per_principal,
            ),
            broad_reads: query_context::broad_reads(),
            shared_pages: SharedPages::default(),
            shared_inspections: SharedInspections::default(),
            config: config.clone(),
            fold_inspection: on.fold_inspection,
            pool: on.pool,
            tail: on.tail,
            wait_places: WaitPlaces::default(),
            shutdown: on.shutdown,
        });
        let font = config.report_font.font();
        Self(Arc::new(QueryApiState {
            schema: graphql::build_schema(Arc::clone(&context)),
            preparation: Preparation::new(),
            pdfs: PdfService::new(on.artifacts.clone(), on.memory, font, config.renders_max),
            artifacts: on.artifacts,
            verifier: on.verifier,
            context,
        }))
    }

    /// Whether reads can be served.
    #[must_use]
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(self.clone())
    }

    pub(crate) fn context(&self) -> &QueryContext {
        &self.0.context
    }

    pub(crate) fn graphql_schema(&self) -> &ApiSchema {
        &self.0.schema
    }

    pub(crate) fn preparation(&self) -> &Preparation {
        &self.0.preparation
    }

    pub(crate) fn artifact_store(&self) -> &ArtifactStore {
        &self.0.artifacts
    }

    pub(crate) fn pdf_service(&self) -> &PdfService {
        &self.0.pdfs
    }

    pub(crate) fn token_verifier(&self) -> &Arc<TokenVerifier> {
        &self.0.verifier
    }
}

impl FromRef<QueryApi> for Arc<TokenVerifier> {
    fn from_ref(api: &QueryApi) -> Self {
        Arc::clone(&api.0.verifier)
    }
}
