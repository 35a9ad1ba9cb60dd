//! The road of every change to an account or a client: who asks gives only what they hold, and what is changed is
//! of the kind that the path says.

use std::sync::Arc;
use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::response::Response;
use domain::{
    AccessControl, AccessControlCommand, AccessControlRejection, Holdings, PrincipalKind,
    PrincipalName,
};
use platform::execute::{Executed, load};
use platform::http::Problem;
use uuid::Uuid;

use super::{PrincipalBody, unstored};
use crate::command::{
    AnswerMaker, CommandAnswer, KeyedRequest, Mutation, Plan, WriteAccess, answer_claimed_command,
    answer_command, make_answer,
};
use crate::{CommandApi, problems};

/// Whom a change is about.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) name: PrincipalName,
    pub(super) kind: PrincipalKind,
}

impl Subject {
    /// The account of this name. What cannot be a name is nobody's.
    pub(super) fn account(name: &str) -> Result<Self, Problem> {
        Self::parse(PrincipalKind::Account, name)
    }

    /// The client of this name.
    pub(super) fn client(name: &str) -> Result<Self, Problem> {
        Self::parse(PrincipalKind::Client, name)
    }

    fn parse(kind: PrincipalKind, name: &str) -> Result<Self, Problem> {
        let nobody = |_| Problem::new(platform::http::ProblemType::PrincipalNotFound, NOBODY);
        Ok(Self { name: name.parse().map_err(nobody)?, kind })
    }

    /// # Errors
    /// When there is nobody of this name and kind.
    async fn require(&self, api: &CommandApi) -> Result<(), Problem> {
        let loaded = load::<AccessControl>(api.log(), AccessControl::ID).await;
        let state = loaded.map_err(problems::from_execute_error)?.state;
        match state.principal(&self.name) {
            Some(principal) if principal.kind == self.kind => Ok(()),
            _ => {
                let name = self.name.clone();
                Err(problems::from_rejection(&AccessControlRejection::PrincipalNotFound { name }))
            }
        }
    }

    /// Answers with the account or client as it is after the change.
    fn answer(&self, status: StatusCode) -> AnswerMaker<AccessControl> {
        let Self { name, kind } = self.clone();
        Arc::new(move |done: &Executed<AccessControl>| {
            let body =
                done.state.principal(&name).map(|found| PrincipalBody::for_principal(&name, found));
            let location = (status == StatusCode::CREATED).then(|| format!("/v1/{kind}s/{name}"));
            make_answer(status, done, location, body)
        })
    }
}

const NOBODY: &str = "there is no account or client of this name";

/// What whoever sends `mutation` holds.
pub(super) fn holdings_of(api: &CommandApi, mutation: &Mutation<WriteAccess>) -> Holdings {
    mutation.actor().holdings(api.register().role_scopes())
}

/// Whether what is changed has to be there before, or comes to be.
pub(super) enum Existence {
    Required,
    Created,
}

impl Existence {
    /// The status of an answer that says it is done.
    ///
    /// # Errors
    /// When `subject` has to be there, and is not.
    async fn check(self, api: &CommandApi, subject: &Subject) -> Result<StatusCode, Problem> {
        match self {
            Self::Required => subject.require(api).await.map(|()| StatusCode::OK),
            Self::Created => Ok(StatusCode::CREATED),
        }
    }
}

/// Changes what there is, or creates it, by `command`, for somebody who holds so much.
pub(super) async fn change(
    api: &CommandApi,
    (request, holdings): (KeyedRequest, Holdings),
    (subject, existence): (Subject, Existence),
    command: AccessControlCommand,
) -> Result<Response, Problem> {
    let of = api.clone();
    let answered = answer_command(api, request, move |_| async move {
        let status = existence.check(&of, &subject).await?;
        Ok(plan(holdings, command, subject.answer(status)))
    });
    answered.await.map(|answer| unstored(answer.into_response()))
}

/// The credential that a change makes count, once its digest is kept.
#[derive(Clone, Default)]
pub(super) struct NewCredential(Arc<OnceLock<Uuid>>);

impl NewCredential {
    pub(super) fn note(&self, credential: Uuid) -> Uuid {
        *self.0.get_or_init(|| credential)
    }
}

/// Does the same with a credential of which `prepare` keeps the digest; and tells whether that is the one that
/// counts now. Of an answer that was given before it is not.
pub(super) async fn change_credential<Preparing>(
    api: &CommandApi,
    (request, holdings): (KeyedRequest, Holdings),
    (subject, existence): (Subject, Existence),
    prepare: impl FnOnce() -> Preparing + Send + 'static,
    command: impl FnOnce(Uuid) -> AccessControlCommand + Send + 'static,
) -> Result<(CommandAnswer, bool), Problem>
where
    Preparing: Future<Output = Result<Uuid, Problem>> + Send + 'static,
{
    let (of, new, counts) = (api.clone(), NewCredential::default(), Arc::new(OnceLock::new()));
    let (made, counted, name) = (new.clone(), Arc::clone(&counts), subject.name.clone());
    let answered = answer_claimed_command(api, request, move |_| async move {
        let status = existence.check(&of, &subject).await?;
        let credential = made.note(prepare().await?);
        let answer = subject.answer(status);
        let told: AnswerMaker<AccessControl> = Arc::new(move |done: &Executed<AccessControl>| {
            // A command that was executed before, by a request that died, made another one count.
            let current = done.state.principal(&name).map(|found| found.credential);
            counted.get_or_init(|| current == Some(credential));
            answer(done)
        });
        Ok(plan(holdings, command(credential), told))
    });
    let answered = answered.await;
    if let (Err(refused), Some(credential)) = (&answered, new.0.get())
        && refused.status().is_client_error()
    {
        api.administration().forget_credential(*credential).await;
    }
    Ok((answered?, counts.get().copied().unwrap_or(false)))
}

fn plan(
    holdings: Holdings,
    command: AccessControlCommand,
    answer: AnswerMaker<AccessControl>,
) -> Plan<AccessControl> {
    let command = AccessControlCommand::Delegated { holdings, command: Box::new(command) };
    Plan { aggregate_id: AccessControl::ID.to_owned(), is_new: false, command, answer }
}
