//! The services of one node.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt as _, stream};
use proto::kurrentdb::gossip::gossip_server::{Gossip, GossipServer};
use proto::kurrentdb::gossip::member_info::VNodeState;
use proto::kurrentdb::gossip::{ClusterInfo, EndPoint, MemberInfo};
use proto::kurrentdb::streams::append_req::options::ExpectedStreamRevision;
use proto::kurrentdb::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use proto::kurrentdb::streams::append_resp::wrong_expected_version::{
    CurrentRevisionOption as Current, CurrentRevisionOption2060 as Current2060,
};
use proto::kurrentdb::streams::append_resp::{self, Success, WrongExpectedVersion};
use proto::kurrentdb::streams::read_req::Options;
use proto::kurrentdb::streams::read_req::options::all_options::AllOption;
use proto::kurrentdb::streams::read_req::options::filter_options::Filter;
use proto::kurrentdb::streams::read_req::options::stream_options::RevisionOption;
use proto::kurrentdb::streams::read_req::options::{
    CountOption, FilterOption, ReadDirection, StreamOption, uuid_option,
};
use proto::kurrentdb::streams::read_resp::read_event::{Position, RecordedEvent};
use proto::kurrentdb::streams::read_resp::{
    CaughtUp, Content, ReadEvent, StreamNotFound, SubscriptionConfirmation,
};
use proto::kurrentdb::streams::streams_server::{Streams, StreamsServer};
use proto::kurrentdb::streams::{AppendReq, AppendResp, ReadReq, ReadResp, append_req};
use proto::kurrentdb::{Empty, StreamIdentifier, uuid};
use tokio_stream::wrappers::BroadcastStream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::log::{Expected, MemoryLog, Outcome, Proposed, Record};
use super::{Fault, World};

/// One node.
#[derive(Clone)]
pub(crate) struct NodeService {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) index: usize,
}

type Responses = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

impl NodeService {
    pub(crate) fn into_streams(self) -> StreamsServer<Self> {
        StreamsServer::new(self).max_decoding_message_size(64 * 1024 * 1024)
    }

    pub(crate) fn into_gossip(self) -> GossipServer<Self> {
        GossipServer::new(self)
    }

    /// Who asks may, and asks the leader where it wants to.
    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let world = self.world.lock().unwrap();
        let text = |key: &str| metadata.get(key).and_then(|value| value.to_str().ok());
        if let Some((user, password)) = &world.credentials {
            use base64::Engine as _;
            let expected = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
            if text("authorization") != Some(&format!("Basic {expected}")) {
                return Err(Status::unauthenticated("Authentication failed"));
            }
        }
        if text("requires-leader") == Some("true") && world.leader != Some(self.index) {
            return Err(not_leader(&world));
        }
        Ok(())
    }

    fn is_applied(&self, stream: &str) -> Option<Fault> {
        let mut world = self.world.lock().unwrap();
        let at = world.faults.iter().position(|(prefix, _)| stream.starts_with(prefix))?;
        world.faults.remove(at).map(|(_, fault)| fault)
    }

    fn apply(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Result<AppendResp, Status> {
        let mut world = self.world.lock().unwrap();
        match world.log.append(stream, expected, events) {
            Outcome::Deleted => Err(stream_deleted(stream)),
            Outcome::WrongRevision { current } => Ok(wrong_revision(current)),
            Outcome::Appended { last_revision, position } => {
                let _ = world.appended.send(position);
                let position =
                    append_resp::Position { commit_position: position, prepare_position: position };
                let success = Success {
                    current_revision_option: Some(CurrentRevisionOption::CurrentRevision(
                        last_revision,
                    )),
                    position_option: Some(PositionOption::Position(position)),
                };
                Ok(AppendResp { result: Some(append_resp::Result::Success(success)) })
            }
        }
    }

    fn cut_connections(&self) {
        let world = self.world.lock().unwrap();
        if let Some(gate) = &world.nodes[self.index].gate {
            gate.cut();
        }
    }

    fn subscribe(&self, options: &Options) -> Responses {
        let filter = options.filter_option.clone();
        let world = Arc::clone(&self.world);
        let appended = BroadcastStream::new(self.world.lock().unwrap().appended.subscribe());
        let first = [
            Content::Confirmation(SubscriptionConfirmation { subscription_id: "1".to_owned() }),
            Content::CaughtUp(CaughtUp {}),
        ];
        let live = appended.filter_map(move |position| {
            let position = position.ok();
            let log = &world.lock().unwrap().log;
            let record = log.records().iter().find(|r| Some(r.position) == position);
            let wanted = record.filter(|record| is_wanted(record, filter.as_ref()));
            std::future::ready(wanted.map(|record| Ok(event_response(record, true))))
        });
        let first = first.map(|content| Ok(ReadResp { content: Some(content) }));
        stream::iter(first).chain(live).boxed()
    }
}

fn not_leader(world: &World) -> Status {
    let mut status = Status::new(Code::NotFound, "Leader info available");
    let metadata = status.metadata_mut();
    metadata.insert("exception", "not-leader".parse().unwrap());
    if let Some(leader) = world.leader {
        metadata.insert("leader-endpoint-host", "127.0.0.1".parse().unwrap());
        let port = world.nodes[leader].port.to_string();
        metadata.insert("leader-endpoint-port", port.parse().unwrap());
    }
    status
}

fn stream_deleted(stream: &str) -> Status {
    let mut status = Status::failed_precondition(format!("Event stream '{stream}' is deleted."));
    status.metadata_mut().insert("exception", "stream-deleted".parse().unwrap());
    status
}

fn wrong_revision(current: Option<u64>) -> AppendResp {
    let (now, before) = match current {
        Some(revision) => {
            (Current::CurrentRevision(revision), Current2060::CurrentRevision2060(revision))
        }
        None => (Current::CurrentNoStream(Empty {}), Current2060::NoStream2060(Empty {})),
    };
    let wrong = WrongExpectedVersion {
        current_revision_option: Some(now),
        current_revision_option_20_6_0: Some(before),
        ..WrongExpectedVersion::default()
    };
    AppendResp { result: Some(append_resp::Result::WrongExpectedVersion(wrong)) }
}

#[tonic::async_trait]
impl Gossip for NodeService {
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let mut metadata = request.metadata().clone();
        metadata.remove("requires-leader");
        self.admit(&metadata)?;
        let world = self.world.lock().unwrap();
        let members = world.nodes.iter().enumerate().map(|(index, node)| {
            let state = match world.leader {
                Some(leader) if leader == index => VNodeState::Leader,
                Some(_) => VNodeState::Follower,
                None => VNodeState::Unknown,
            };
            let (most, least) = node.instance.as_u64_pair();
            let halves = uuid::Structured {
                most_significant_bits: most.cast_signed(),
                least_significant_bits: least.cast_signed(),
            };
            let value = Some(uuid::Value::Structured(halves));
            MemberInfo {
                instance_id: Some(proto::kurrentdb::Uuid { value }),
                time_stamp: 0,
                state: state.into(),
                is_alive: node.is_up,
                http_end_point: Some(EndPoint {
                    address: "127.0.0.1".to_owned(),
                    port: node.port.into(),
                }),
            }
        });
        Ok(Response::new(ClusterInfo { members: members.collect() }))
    }
}

#[tonic::async_trait]
impl Streams for NodeService {
    type ReadStream = Responses;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Responses>, Status> {
        self.admit(request.metadata())?;
        let options = request.into_inner().options.ok_or_else(invalid)?;
        if let Some(CountOption::Subscription(_)) = options.count_option {
            return Ok(Response::new(self.subscribe(&options)));
        }
        let mut world = self.world.lock().unwrap();
        world.reads += 1;
        let contents = read_contents(&world.log, &options)?;
        Ok(Response::new(stream::iter(contents.into_iter().map(Ok)).boxed()))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        self.world.lock().unwrap().appends += 1;
        self.admit(request.metadata())?;
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|message| message.content);
        let Some(append_req::Content::Options(options)) = first else { return Err(invalid()) };
        let expected = match options.expected_stream_revision {
            Some(ExpectedStreamRevision::NoStream(_)) => Expected::NoStream,
            Some(ExpectedStreamRevision::Revision(revision)) => Expected::Revision(revision),
            // Whoever says so is recognised by a cache of late ids alone: nobody here may.
            _ => return Err(Status::invalid_argument("the stand-in wants a revision")),
        };
        let stream = stream_name(options.stream_identifier.as_ref())?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(message) = messages.message().await? {
            let Some(append_req::Content::ProposedMessage(event)) = message.content else {
                return Err(invalid());
            };
            let id = event.id.and_then(|id| id.value).ok_or_else(invalid)?;
            let uuid::Value::String(id) = id else { return Err(invalid()) };
            bytes += event.data.len() + event.custom_metadata.len();
            events.push(Proposed {
                id: id.parse().map_err(|_| invalid())?,
                metadata: event.metadata,
                custom_metadata: event.custom_metadata,
                data: event.data,
            });
        }
        if !self.world.lock().unwrap().may_append {
            let mut status = Status::permission_denied("Access Denied");
            status.metadata_mut().insert("exception", "access-denied".parse().unwrap());
            return Err(status);
        }
        let limit = self.world.lock().unwrap().append_bytes_max;
        if bytes > limit {
            let mut status =
                Status::invalid_argument(format!("Maximum Append Size of {limit} Exceeded."));
            let key = "maximum-append-size-exceeded";
            status.metadata_mut().insert("exception", key.parse().unwrap());
            return Err(status);
        }
        match self.is_applied(&stream) {
            None => self.apply(&stream, expected, events).map(Response::new),
            Some(fault) => self.fail(fault, (&stream, expected, events)).await,
        }
    }
}

impl NodeService {
    async fn fail(
        &self,
        fault: Fault,
        (stream, expected, events): (&str, Expected, Vec<Proposed>),
    ) -> Result<Response<AppendResp>, Status> {
        if matches!(fault, Fault::TimeoutApplied | Fault::CutApplied) {
            let _ = self.apply(stream, expected, events);
        }
        match fault {
            Fault::TimeoutApplied | Fault::TimeoutNotApplied => {
                Err(Status::aborted("Operation timed out"))
            }
            Fault::Busy => Err(Status::unavailable("Server Is Busy")),
            Fault::NotLeader => {
                let mut world = self.world.lock().unwrap();
                world.leader = Some((self.index + 1) % world.nodes.len());
                world.log.append_system_event("$epoch-information");
                Err(not_leader(&world))
            }
            Fault::CutApplied | Fault::CutNotApplied => {
                self.cut_connections();
                std::future::pending().await
            }
            Fault::Silent => std::future::pending().await,
        }
    }
}

fn invalid() -> Status {
    Status::invalid_argument("the request is not as it is published")
}

fn stream_name(identifier: Option<&StreamIdentifier>) -> Result<String, Status> {
    let name = identifier.ok_or_else(invalid)?.stream_name.clone();
    String::from_utf8(name).map_err(|_| invalid())
}

fn read_contents(log: &MemoryLog, options: &Options) -> Result<Vec<ReadResp>, Status> {
    let Some(CountOption::Count(count)) = options.count_option else { return Err(invalid()) };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let is_text = matches!(
        options.uuid_option.as_ref().and_then(|option| option.content.as_ref()),
        Some(uuid_option::Content::String(_))
    );
    let backwards = options.read_direction() == ReadDirection::Backwards;
    let found: Vec<&Record> = match options.stream_option.as_ref().ok_or_else(invalid)? {
        StreamOption::Stream(of) => {
            let name = stream_name(of.stream_identifier.as_ref())?;
            if log.is_tombstoned(&name) {
                return Err(stream_deleted(&name));
            }
            let Some(records) = log.stream(&name) else {
                let stream_identifier = of.stream_identifier.clone();
                let missing = Content::StreamNotFound(StreamNotFound { stream_identifier });
                return Ok(vec![ReadResp { content: Some(missing) }]);
            };
            let from = match of.revision_option.as_ref().ok_or_else(invalid)? {
                RevisionOption::Revision(revision) => *revision,
                RevisionOption::Start(_) => 0,
                RevisionOption::End(_) => u64::MAX,
            };
            let within =
                |r: &&Record| if backwards { r.revision <= from } else { r.revision >= from };
            records.into_iter().filter(within).collect()
        }
        StreamOption::All(all) => {
            let from = match all.all_option.as_ref().ok_or_else(invalid)? {
                AllOption::Position(at) => {
                    let is_record = |r: &Record| r.position == at.commit_position;
                    let within = at.commit_position < log.end();
                    if within && !log.records().iter().any(is_record) {
                        return Err(Status::unknown("Unexpected ReadAllResult: Error"));
                    }
                    at.commit_position
                }
                AllOption::Start(_) => 0,
                AllOption::End(_) => u64::MAX,
            };
            let within =
                |r: &&Record| if backwards { r.position <= from } else { r.position >= from };
            let wanted = |r: &&Record| is_wanted(r, options.filter_option.as_ref());
            log.records().iter().filter(within).filter(wanted).collect()
        }
    };
    let response = |record: &Record| event_response(record, is_text);
    Ok(match backwards {
        true => found.into_iter().rev().take(count).map(response).collect(),
        false => found.into_iter().take(count).map(response).collect(),
    })
}

fn is_wanted(record: &Record, filter: Option<&FilterOption>) -> bool {
    let Some(FilterOption::Filter(filter)) = filter else { return true };
    match &filter.filter {
        Some(Filter::StreamIdentifier(names)) => {
            names.prefix.iter().any(|prefix| record.stream.starts_with(prefix))
        }
        _ => false,
    }
}

fn event_response(record: &Record, is_text: bool) -> ReadResp {
    let (most, least) = record.id.as_u64_pair();
    let value = match is_text {
        true => uuid::Value::String(record.id.to_string()),
        false => uuid::Value::Structured(uuid::Structured {
            most_significant_bits: most.cast_signed(),
            least_significant_bits: least.cast_signed(),
        }),
    };
    let mut metadata: HashMap<_, _> = record.metadata.clone();
    metadata.insert("created".to_owned(), record.created_ticks.to_string());
    let event = RecordedEvent {
        id: Some(proto::kurrentdb::Uuid { value: Some(value) }),
        stream_identifier: Some(StreamIdentifier {
            stream_name: record.stream.clone().into_bytes(),
        }),
        stream_revision: record.revision,
        prepare_position: record.position,
        commit_position: record.position,
        metadata,
        custom_metadata: record.custom_metadata.clone(),
        data: record.data.clone(),
    };
    let position = Some(Position::CommitPosition(record.position));
    ReadResp {
        content: Some(Content::Event(ReadEvent { event: Some(event), link: None, position })),
    }
}
