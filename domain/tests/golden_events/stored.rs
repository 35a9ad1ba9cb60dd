//! The events of every aggregate by name, and what a golden file decodes to.

use std::collections::BTreeMap;

use cqrs_es::DomainEvent;
use domain::{
    AccessAttemptEvent, AccessAttempts, AccessControl, AccessControlEvent, Aggregate, FiredRule,
    Inspection, InspectionEvent, ModelRoute, ModelRouteEvent, Part, PartEvent, PictureRetention,
    PictureRetentionEvent, ProjectionRepair, ProjectionRepairEvent,
};
use serde::Deserialize as _;
use serde_json::Value;

/// The names of an enum's variants. The match has no wildcard: a variant that is missing from the
/// list does not compile, and a name in the list needs a golden file.
macro_rules! variant_names {
    ($constant:ident, $function:ident, $event:ident: $($variant:ident),+ $(,)?) => {
        pub(crate) const $constant: &[&str] = &[$(stringify!($variant)),+];

        pub(crate) fn $function(event: &$event) -> &'static str {
            match event {
                $($event::$variant { .. } => stringify!($variant)),+
            }
        }
    };
}

variant_names!(
    INSPECTION_EVENTS, inspection_event, InspectionEvent:
    InspectionCreated,
    ArtifactReserved,
    ArtifactReservationRenewed,
    ArtifactReservationCancelled,
    ArtifactUploaded,
    InferenceRequested,
    InferenceCompleted,
    InferenceFailed,
    InspectionJudged,
    InspectionVoided,
    PicturesRetired,
);
variant_names!(
    PART_EVENTS, part_event, PartEvent:
    PartRegistered,
    RecipeRevised,
    GoldenSampleReserved,
    GoldenSampleReservationRenewed,
    GoldenSampleReservationCancelled,
    GoldenSampleRegistered,
    GoldenSamplesRetired,
);

variant_names!(
    MODEL_ROUTE_EVENTS, model_route_event, ModelRouteEvent:
    ModelRouted,
);

variant_names!(
    PICTURE_RETENTION_EVENTS, picture_retention_event, PictureRetentionEvent:
    PictureRetentionRevised,
);

variant_names!(
    PROJECTION_REPAIR_EVENTS, projection_repair_event, ProjectionRepairEvent:
    StreamRetryRequested,
    StreamDiscarded,
);

variant_names!(
    ACCESS_CONTROL_EVENTS, access_control_event, AccessControlEvent:
    ClaimCodeIssued,
    InstallationClaimed,
    PrincipalCreated,
    PrincipalDisabled,
    PrincipalEnabled,
    RoleChanged,
    ReachChanged,
    CredentialReplaced,
    PublicKeyRegistered,
    SessionEnded,
    TokenRevoked,
    AllTokensRevoked,
    SigningKeyAdded,
    SigningKeyRetired,
);

variant_names!(
    ACCESS_ATTEMPT_EVENTS, access_attempt_event, AccessAttemptEvent:
    TokenGranted,
    AccessRefused,
    CommandRejected,
    AttemptsSummed,
);

variant_names!(
    RULES, rule, FiredRule:
    Defect,
    DoubtfulFinding,
    UnexplainedDifference,
    NotCovered,
    NotCompared,
    MissingView,
    DuplicateView,
    UnknownView,
    NothingFound,
);

/// The names by aggregate.
pub(crate) const AGGREGATES: [&[&str]; 7] = [
    INSPECTION_EVENTS,
    PART_EVENTS,
    MODEL_ROUTE_EVENTS,
    ACCESS_CONTROL_EVENTS,
    PROJECTION_REPAIR_EVENTS,
    ACCESS_ATTEMPT_EVENTS,
    PICTURE_RETENTION_EVENTS,
];

/// What a golden file decodes to.
pub(crate) enum Stored {
    Inspection(InspectionEvent),
    Part(PartEvent),
    ModelRoute(ModelRouteEvent),
    ProjectionRepair(ProjectionRepairEvent),
    AccessControl(AccessControlEvent),
    AccessAttempt(AccessAttemptEvent),
    PictureRetention(PictureRetentionEvent),
}

impl Stored {
    /// As the log's reader does: upcast first, then decoded.
    pub(crate) fn decode(name: &str, version: &str, payload: &Value) -> Result<Self, String> {
        match AGGREGATES.iter().position(|names| names.contains(&name)) {
            Some(0) => of::<Inspection>(name, version, payload).map(Self::Inspection),
            Some(1) => of::<Part>(name, version, payload).map(Self::Part),
            Some(2) => of::<ModelRoute>(name, version, payload).map(Self::ModelRoute),
            Some(3) => of::<AccessControl>(name, version, payload).map(Self::AccessControl),
            Some(4) => of::<ProjectionRepair>(name, version, payload).map(Self::ProjectionRepair),
            Some(5) => of::<AccessAttempts>(name, version, payload).map(Self::AccessAttempt),
            Some(_) => of::<PictureRetention>(name, version, payload).map(Self::PictureRetention),
            None => Err("no event has this name".to_owned()),
        }
    }

    /// Name and version as the log stores them, the variant's name, and the payload.
    pub(crate) fn encode(&self) -> (String, String, &'static str, Value) {
        fn of<E: DomainEvent>(
            event: &E,
            variant: &'static str,
        ) -> (String, String, &'static str, Value) {
            let payload = serde_json::to_value(event).unwrap();
            (event.event_type(), event.event_version(), variant, payload)
        }
        match self {
            Self::Inspection(event) => of(event, inspection_event(event)),
            Self::Part(event) => of(event, part_event(event)),
            Self::ModelRoute(event) => of(event, model_route_event(event)),
            Self::ProjectionRepair(event) => of(event, projection_repair_event(event)),
            Self::AccessControl(event) => of(event, access_control_event(event)),
            Self::AccessAttempt(event) => of(event, access_attempt_event(event)),
            Self::PictureRetention(event) => of(event, picture_retention_event(event)),
        }
    }
}

fn of<A: Aggregate>(name: &str, version: &str, payload: &Value) -> Result<A::Event, String> {
    let payload = A::upcast(name, version, payload).map_err(|error| error.to_string())?;
    A::Event::deserialize(&*payload).map_err(|error| error.to_string())
}

/// The version that is written now of every event, by name.
pub(crate) fn current_versions() -> BTreeMap<&'static str, usize> {
    let aggregates = [
        Inspection::EVENTS,
        Part::EVENTS,
        ModelRoute::EVENTS,
        ProjectionRepair::EVENTS,
        AccessControl::EVENTS,
        AccessAttempts::EVENTS,
        PictureRetention::EVENTS,
    ];
    aggregates.concat().into_iter().map(|stored| (stored.name, stored.current_version())).collect()
}
