//! Looking after models: list, load, compare, route, unload. A routing is an event; loading and
//! unloading change the Triton server only.
//!
//! Invariant: nothing here takes the routed version out of service.

mod list;
mod report;
mod route;
mod routing;
mod serving;
mod unload;

use std::process::ExitCode;
use std::sync::Arc;

use domain::inspection::ModelIdentity;
use inference::engine::{EngineError, Models};
use lab::acceptance::{AcceptanceError, FixedSet, GeneratedBoards, SetError};
use platform::event_log::EventLog;

use crate::cli::{FixedSetArgs, LoadModelArgs, ModelCommand, ModelServerArgs};
use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;
use routing::Routing;
use serving::Serving;

/// Runs one of the commands.
pub(crate) async fn run(command: ModelCommand) -> anyhow::Result<ExitCode> {
    match command {
        ModelCommand::List(args) => {
            let session = ModelSession::open(&args.server).await?;
            let outcome = list::list(&session, args.json).await;
            session.close(outcome).await
        }
        ModelCommand::Load(args) => load(args).await,
        ModelCommand::Compare(args) => {
            let session = ModelSession::open(&args.server).await?;
            let outcome = route::compare_engines(&session, &args).await;
            session.close(outcome).await
        }
        ModelCommand::Route(args) => {
            let session = ModelSession::open(&args.server).await?;
            let outcome = route::route(&session, &args).await;
            session.close(outcome).await
        }
        ModelCommand::Unload(args) => {
            let session = ModelSession::open(&args.server).await?;
            let outcome = unload::unload(&session, &args).await;
            session.close(outcome).await
        }
    }
}

/// The network of this name and version at the place that is named, which has it ready.
pub(crate) async fn find_network(
    args: &ModelServerArgs,
    (name, version): (&str, &str),
) -> Result<ModelIdentity, Failure> {
    let serving = Serving::connect(args)?;
    serving.ready().await?;
    let known = &serving.shipped_model().name;
    if name != known {
        return Err(Failure::new(
            format_args!("there is no network {name} at {}", args.engine),
            format_args!(
                "name a version of {known}, such as {known}@{}",
                serving.shipped_model().version
            ),
            exit::DATA,
        ));
    }
    Ok(serving.engine_of(version).await?.model().clone())
}

/// All networks at the place that is named.
pub(crate) fn connect_models(args: &ModelServerArgs) -> Result<Arc<dyn Models>, Failure> {
    args.engine.connect(&args.triton).map_err(|error| explain_engine(&error))
}

/// The models, and the log that says which one is routed to.
struct ModelSession {
    serving: Serving,
    operator: OperatorSession,
}

impl ModelSession {
    /// The server is asked first: it is sooner found missing than a database is started.
    async fn open(args: &ModelServerArgs) -> anyhow::Result<Self> {
        let serving = Serving::connect(args)?;
        serving.ready().await?;
        Ok(Self { serving, operator: OperatorSession::open(&args.installation).await? })
    }

    fn log(&self) -> Arc<dyn EventLog> {
        self.operator.log()
    }

    async fn routing(&self) -> anyhow::Result<Routing> {
        Routing::load(&*self.log(), self.serving.shipped_model()).await
    }

    async fn close(self, outcome: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
        self.operator.close(outcome).await
    }
}

/// Loads a version beside the others and tries it; the log is not needed.
async fn load(args: LoadModelArgs) -> anyhow::Result<ExitCode> {
    let serving = Serving::connect(&args.server)?;
    serving.ready().await?;
    let engine = serving.load(&args.version, args.sha256).await?;
    let model = engine.model();
    outln!("{} version {} is loaded: {}", model.name, model.version, model.sha256);
    outln!("answers were checked at {}", serving::sizes(engine.batch_sizes()));
    outln!(
        "next: chipq model route {} --engine {} --reason WHY",
        model.version,
        args.server.engine
    );
    Ok(ExitCode::SUCCESS)
}

fn fixed_set(args: &FixedSetArgs) -> Result<Arc<FixedSet>, Failure> {
    let set = match &args.boards {
        Some(folder) => FixedSet::from_folder(folder).map_err(|error| explain_set(&error))?,
        None => FixedSet::from_generator(GeneratedBoards {
            flawed: args.flawed as usize,
            clean: args.clean as usize,
            photographs: args.photographs as usize,
        }),
    };
    Ok(Arc::new(set))
}

fn explain_set(error: &SetError) -> Failure {
    match error {
        SetError::Read { path, source } => Failure::new(
            format_args!("cannot read {}: {source}", path.display()),
            "check --boards: a folder with manifest.json, and the pictures where it says",
            exit::NO_INPUT,
        ),
        SetError::Manifest { .. } | SetError::Empty(_) => {
            Failure::new(error, "see `chipq generate-boards` for a folder of boards", exit::DATA)
        }
        SetError::Digest { .. } => Failure::new(
            error,
            "restore the picture, or write the manifest anew: the set is no longer the same",
            exit::DATA,
        ),
    }
}

fn explain_acceptance(error: &AcceptanceError) -> Failure {
    match error {
        AcceptanceError::Set(error) => explain_set(error),
        AcceptanceError::Engine { .. } => Failure::new(
            error,
            "see the server's log; a version that fails on a board is not routed to",
            exit::DATA,
        ),
        AcceptanceError::Stopped(_) => {
            Failure::new(error, "run it again; if it stays, report it", exit::INTERNAL)
        }
    }
}

fn explain_engine(error: &EngineError) -> Failure {
    // What Triton says of a model's python code has several lines.
    let said = error.to_string();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match error {
        EngineError::Unavailable { .. } => Failure::new(
            said,
            "check that Triton runs at the address of --engine (docs/triton.md), then run it again",
            exit::UNAVAILABLE,
        ),
        EngineError::Model { .. } | EngineError::Backend { .. } | EngineError::Output { .. } => {
            Failure::new(
                said,
                "nothing was routed and what served goes on serving; docs/models.md says what a \
                 model must be",
                exit::DATA,
            )
        }
    }
}
