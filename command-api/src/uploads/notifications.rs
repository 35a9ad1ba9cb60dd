//! A bucket that tells when a picture has arrived, so that nobody else has to: the webhook of its notifications.
//!
//! Invariants: nothing is done for whoever lacks the shared secret; a notification is a hint, and what counts is what
//! the store gives. Whatever is told twice, late or in any order changes nothing. Absent: what to do where a picture
//! is refused; its client hears of that from `complete` and `infer`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use domain::{ArtifactId, Inspection, Part, UploadSlot};
use platform::execute::load;
use platform::http::{ClientAddress, Problem, ProblemType};
use platform::telemetry::TraceContext;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::arrivals::settle_picture;
use super::{PermittedUpload, PictureOwnerId};
use crate::command::finish_regardless;
use crate::descriptions::NotificationProblems;
use crate::golden_check::ComparedOwner;
use crate::{CommandApi, problems};

/// Objects of one notification that are looked at; buckets send one, or a few.
const OBJECTS_MAX: usize = 100;

/// The receiving end of notifications.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default().routes(routes!(receive_notification))
}

/// What buckets send: S3's records (AWS, MinIO), an event of EventBridge, or an entry of SeaweedFS.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Notification {
    #[serde(rename = "Records")]
    records: Vec<S3Record>,
    detail: Option<S3Entity>,
    key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3Record {
    s3: S3Entity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3Entity {
    bucket: S3Bucket,
    object: S3Object,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3Bucket {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct S3Object {
    key: String,
}

impl Notification {
    /// The pictures that it is about, each once.
    fn artifacts(&self, api: &CommandApi) -> Vec<ArtifactId> {
        let store = api.artifacts();
        // Keys of records are form-encoded. Those that count here have nothing that would have to be.
        let records = self.records.iter().map(|record| &record.s3);
        let named = records.chain(&self.detail);
        let named = named.map(|entity| (entity.bucket.name.as_str(), entity.object.key.as_str()));
        // SeaweedFS names a place in its file system.
        let placed = self.key.as_deref().and_then(|key| key.strip_prefix("/buckets/"));
        let placed = placed.and_then(|place| place.split_once('/'));
        let found = named
            .chain(placed)
            .filter_map(|(bucket, key)| store.notified_artifact(bucket, &key.replace("%2F", "/")));
        let mut artifacts: Vec<_> = found.take(OBJECTS_MAX).collect();
        artifacts.sort_unstable();
        artifacts.dedup();
        artifacts
    }
}

/// What a bucket sends (S3's event notification, JSON).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read of notifications of several makers")]
struct StoreNotification {
    /// What happened to which objects, as AWS and MinIO say it.
    #[schema(rename = "Records")]
    records: Option<Vec<Object>>,
    /// The same by EventBridge.
    detail: Option<Object>,
    /// The same by SeaweedFS.
    key: Option<String>,
}

/// Any JSON object.
#[derive(ToSchema)]
struct Object {}

/// Tell that a picture has arrived
///
/// For the bucket of the pictures, not for stations: its event notification, with the shared secret as
/// `Authorization: Bearer SECRET`. What is at rest then is recorded as if `complete` had been asked. A picture that is
/// refused is only logged; a 503 asks for the notification again.
#[utoipa::path(
    post, path = "/v1/store-notifications", tag = "uploads", operation_id = "notifyArrival",
    request_body = StoreNotification,
    security(("bearer" = [])),
    responses((status = 204, description = "Heard"), NotificationProblems),
)]
#[tracing::instrument(skip_all)]
async fn receive_notification(
    State(api): State<CommandApi>,
    client: ClientAddress,
    trace: TraceContext,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    require_secret(&api, &headers)?;
    let notification = serde_json::from_slice::<Notification>(&body).map_err(|error| {
        Problem::new(ProblemType::MalformedJson, format!("this is no notification: {error}"))
    })?;
    for artifact_id in notification.artifacts(&api) {
        let (api, trace) = (api.clone(), trace.clone());
        let settled =
            finish_regardless(
                async move { settle_notified(&api, artifact_id, (client, trace)).await },
            );
        match settled.await {
            Err(problem) if problem.status().is_client_error() => {
                let refused = problem.name();
                tracing::warn!(%artifact_id, refused, "what has arrived is not taken");
            }
            settled => settled?,
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn require_secret(api: &CommandApi, headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.map(|text| text.strip_prefix("Bearer ").unwrap_or(text));
    match (api.notification_secret(), given) {
        (Some(secret), Some(given)) if secret.is_same(given) => Ok(()),
        _ => {
            let detail = "the shared secret of notifications is missing, wrong or not configured; send it as \
                          Authorization: Bearer …, and set CHIPQ_STORE_NOTIFICATION_SECRET_FILE here";
            Err(Problem::unauthorized("Bearer realm=\"chipq-store\"", detail))
        }
    }
}

async fn settle_notified(
    api: &CommandApi,
    artifact_id: ArtifactId,
    about: (ClientAddress, TraceContext),
) -> Result<(), Problem> {
    // Somebody else was faster.
    let Some(arrival) = api.artifacts().find_arrival(artifact_id).await? else { return Ok(()) };
    let upload = PermittedUpload::from_permit(api, arrival.permit, about)?;
    match upload.owner.clone() {
        PictureOwnerId::Inspection(id) => {
            append_notified::<Inspection>(api, upload, id.to_string()).await
        }
        PictureOwnerId::Part(part) => append_notified::<Part>(api, upload, part.to_string()).await,
    }
}

async fn append_notified<A: ComparedOwner>(
    api: &CommandApi,
    upload: PermittedUpload,
    aggregate_id: String,
) -> Result<(), Problem>
where
    A::Command: Clone + Sync,
{
    let artifact_id = upload.artifact_id;
    let loaded = load::<A>(api.log(), &aggregate_id).await.map_err(problems::from_execute_error)?;
    let slot = loaded.state.upload_slot(artifact_id);
    if let UploadSlot::Taken(_) = slot.map_err(|refused| problems::from_rejection(&refused))? {
        return Ok(());
    }
    let golden = loaded.state.golden_slot(artifact_id);
    let Some(picture) = settle_picture(api, artifact_id, golden).await? else { return Ok(()) };
    upload.append::<A>(api, aggregate_id, picture).await.map(drop)
}
