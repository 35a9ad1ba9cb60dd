//! Which event begins the retention period of which pictures, and the command that ends it.

use domain::{
    Aggregate as _, GoldenSampleUse, Inspection, InspectionCommand, InspectionEvent, Part,
    PartCommand, PartEvent, RetentionClass,
};
use platform::event_log::{EventLog, EventMetadata, Recorded, UndecodableEvent};
use platform::execute::{ExecuteError, Request, execute};
use platform::follower::ReactionError;

use crate::PICTURE_RETENTION;

/// What is asked of the aggregate whose event it is, once the period is over.
#[derive(Debug, PartialEq)]
enum Retirement {
    OfInspection(InspectionCommand),
    OfPart(PartCommand),
}

/// Retires what the period of `class` began for with `event`; nothing, where it begins none.
///
/// # Errors
/// When the log fails, or the event is of newer software.
pub(crate) async fn retire_after(
    log: &dyn EventLog,
    event: &Recorded,
    (class, policy_revision): (RetentionClass, u32),
) -> Result<(), ReactionError> {
    match retirement_after(event, class, policy_revision)? {
        None => Ok(()),
        Some(Retirement::OfInspection(command)) => {
            execute_retirement::<Inspection>(log, event, command).await
        }
        Some(Retirement::OfPart(command)) => execute_retirement::<Part>(log, event, command).await,
    }
}

fn retirement_after(
    event: &Recorded,
    class: RetentionClass,
    policy_revision: u32,
) -> Result<Option<Retirement>, UndecodableEvent> {
    let name = (event.stream.aggregate_type.as_str(), event.event_type.as_str());
    Ok(match (class, name) {
        (
            RetentionClass::Pass | RetentionClass::Review | RetentionClass::Fail,
            (Inspection::TYPE, InspectionEvent::INSPECTION_JUDGED),
        ) => match event.decode::<Inspection>()? {
            InspectionEvent::InspectionJudged { judgement, .. } if class == judgement.into() => {
                let command = InspectionCommand::RetirePictures { class, policy_revision };
                Some(Retirement::OfInspection(command))
            }
            _ => None,
        },
        (RetentionClass::Void, (Inspection::TYPE, InspectionEvent::INSPECTION_VOIDED)) => {
            let command = InspectionCommand::RetirePictures { class, policy_revision };
            Some(Retirement::OfInspection(command))
        }
        (RetentionClass::GoldenSample, (Part::TYPE, PartEvent::GOLDEN_SAMPLE_REGISTERED)) => {
            match event.decode::<Part>()? {
                PartEvent::GoldenSampleRegistered { purpose, revision, .. }
                    if purpose.usage == GoldenSampleUse::Replacement =>
                {
                    let superseded_by = revision;
                    let command =
                        PartCommand::RetireGoldenSamples { superseded_by, policy_revision };
                    Some(Retirement::OfPart(command))
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// A stream that cannot be read, and what its rules refuse, is in nobody else's way.
async fn execute_retirement<A: domain::Aggregate<Command: Clone>>(
    log: &dyn EventLog,
    event: &Recorded,
    command: A::Command,
) -> Result<(), ReactionError> {
    let aggregate_id = event.stream.aggregate_id.clone();
    let metadata = EventMetadata::by_service(PICTURE_RETENTION).caused_by(event);
    let request = Request::<A> { aggregate_id, command, is_new: false, if_match: None, metadata };
    match execute(log, request).await {
        Ok(_) => Ok(()),
        Err(error @ (ExecuteError::Rejected(_) | ExecuteError::Unreadable(_))) => {
            tracing::warn!(stream = %event.stream, %error, "pictures are kept whose period is over");
            Ok(())
        }
        Err(error) => Err(error.to_string().into()),
    }
}
