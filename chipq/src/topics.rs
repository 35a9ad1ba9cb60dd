//! `chipq topics`: what the relay has sent, also beside a platform that serves.

use std::process::ExitCode;

use relay::{PartitionState, list_partitions, resend_topic};
use serde_json::json;

use crate::cli::{ListTopicsArgs, ResendTopicArgs, TopicsCommand};
use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;

/// `chipq topics`
pub(crate) async fn run(command: TopicsCommand) -> anyhow::Result<ExitCode> {
    match command {
        TopicsCommand::List(args) => list(args).await,
        TopicsCommand::Resend(args) => resend(args).await,
    }
}

async fn list(args: ListTopicsArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args.installation).await?;
    let listed = list_partitions(session.pool()).await.map_err(Into::into);
    let listed = session.close(listed).await?;
    if args.json {
        let listed: Vec<_> = listed.iter().map(as_json).collect();
        outln!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(ExitCode::SUCCESS);
    }
    outln!("{:<32} {:>9} {:>12} {:>12}", "topic", "partition", "position", "records");
    for state in &listed {
        let PartitionState { topic, partition, position, records } = state;
        outln!("{topic:<32} {partition:>9} {:>12} {records:>12}", position.0);
    }
    Ok(ExitCode::SUCCESS)
}

async fn resend(args: ResendTopicArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = async {
        if resend_topic(session.pool(), &args.topic).await? {
            return Ok(());
        }
        let listed = list_partitions(session.pool()).await?;
        let mut names: Vec<_> = listed.into_iter().map(|state| state.topic).collect();
        names.dedup();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(anyhow::Error::from(Failure::new(
            format_args!("nothing was sent to a topic {}", args.topic),
            format_args!("give the whole name of one that the relay has sent to: {known}"),
            exit::USAGE,
        )))
    };
    let outcome = outcome.await;
    session.close(outcome).await?;
    outln!("within seconds the relay begins to send {} every event of the log again", args.topic);
    Ok(ExitCode::SUCCESS)
}

fn as_json(state: &PartitionState) -> serde_json::Value {
    json!({
        "topic": state.topic,
        "partition": state.partition,
        "position": state.position,
        "records": state.records,
    })
}
