//! The changes that accounts and clients have in common.

use axum::response::Response;
use domain::{AccessControlCommand as Command, Role};
use platform::http::Problem;

use super::change::{Existence, Subject, change, holdings_of};
use super::{Flaws, GivenReason, ReachToGive, RoleToGive};
use crate::CommandApi;
use crate::command::{Mutation, WriteAccess};

/// The reason without white space at its ends.
pub(super) fn read_reason(text: &str) -> Result<String, Problem> {
    let mut flaws = Flaws::default();
    let reason = flaws.reason(text);
    reason.ok_or_else(|| flaws.into_problem())
}

/// Takes all rights from it.
pub(super) async fn disable(
    api: &CommandApi,
    subject: Subject,
    mutation: Mutation<WriteAccess>,
    body: GivenReason,
) -> Result<Response, Problem> {
    let (name, reason) = (subject.name.clone(), read_reason(&body.reason)?);
    let holdings = holdings_of(api, &mutation);
    let command = Command::DisablePrincipal { name, reason };
    let by = (mutation.with_body(&body)?, holdings);
    change(api, by, (subject, Existence::Required), command).await
}

/// Gives them back.
pub(super) async fn enable(
    api: &CommandApi,
    subject: Subject,
    mutation: Mutation<WriteAccess>,
    body: GivenReason,
) -> Result<Response, Problem> {
    let (name, reason) = (subject.name.clone(), read_reason(&body.reason)?);
    let holdings = holdings_of(api, &mutation);
    let command = Command::EnablePrincipal { name, reason };
    let by = (mutation.with_body(&body)?, holdings);
    change(api, by, (subject, Existence::Required), command).await
}

/// Lets it do something else.
pub(super) async fn change_role(
    api: &CommandApi,
    subject: Subject,
    mutation: Mutation<WriteAccess>,
    body: RoleToGive,
) -> Result<Response, Problem> {
    let mut flaws = Flaws::default();
    let (role, reason) = (flaws.keep(body.role.parse::<Role>()), flaws.reason(&body.reason));
    let (Some(role), Some(reason)) = (role, reason) else { return Err(flaws.into_problem()) };
    let (name, holdings) = (subject.name.clone(), holdings_of(api, &mutation));
    let command = Command::ChangeRole { name, role, reason };
    let by = (mutation.with_body(&body)?, holdings);
    change(api, by, (subject, Existence::Required), command).await
}

/// Lets it do so elsewhere.
pub(super) async fn change_reach(
    api: &CommandApi,
    subject: Subject,
    mutation: Mutation<WriteAccess>,
    body: ReachToGive,
) -> Result<Response, Problem> {
    let mut flaws = Flaws::default();
    let reach = flaws.reach(&body.stations, &body.parts);
    let reason = flaws.reason(&body.reason);
    let (Some(reach), Some(reason)) = (reach, reason) else { return Err(flaws.into_problem()) };
    let (name, holdings) = (subject.name.clone(), holdings_of(api, &mutation));
    let command = Command::ChangeReach { name, reach, reason };
    let by = (mutation.with_body(&body)?, holdings);
    change(api, by, (subject, Existence::Required), command).await
}
