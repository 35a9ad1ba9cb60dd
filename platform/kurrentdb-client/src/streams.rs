//! Appending to a stream, reading one, reading the whole log, and hearing of what comes.

use std::collections::HashMap;

use futures::stream;
use proto::kurrentdb::streams::append_req::options::ExpectedStreamRevision;
use proto::kurrentdb::streams::append_resp::success::CurrentRevisionOption;
use proto::kurrentdb::streams::read_req::options::all_options::AllOption;
use proto::kurrentdb::streams::read_req::options::filter_options::{Expression, Filter, Window};
use proto::kurrentdb::streams::read_req::options::stream_options::RevisionOption;
use proto::kurrentdb::streams::read_req::options::{
    self, CountOption, FilterOption, ReadDirection, StreamOption, uuid_option,
};
use proto::kurrentdb::streams::read_resp::Content;
use proto::kurrentdb::streams::streams_client::StreamsClient;
use proto::kurrentdb::streams::{
    AppendReq, ReadReq, ReadResp, append_req, append_resp, read_req, read_resp,
};
use proto::kurrentdb::{Empty, StreamIdentifier};
use tonic::Streaming;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::connection::LeaderConnection;
use crate::error::KurrentError;
use crate::gossip::{read_uuid, write_uuid};

/// The largest event that is read, in bytes: MaxAppendSize may be 16 MiB at most.
const EVENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many events of others the server looks through before it speaks.
const SEARCH_WINDOW: u32 = 4_096;

/// An event to append.
#[derive(Debug, Clone)]
pub struct ProposedEvent {
    /// By which an append that is sent again is recognised.
    pub id: Uuid,
    /// Its type.
    pub event_type: String,
    /// JSON.
    pub data: Vec<u8>,
    /// JSON of one's own beside it.
    pub metadata: Vec<u8>,
}

/// What a stream has to be for an append to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// It does not exist.
    NoStream,
    /// Its last event has this number, counted from 0.
    Exactly(u64),
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendAnswer {
    /// The events are in the stream, since now or since an append with the same ids before; the last has this
    /// revision.
    Appended {
        /// Counted from 0.
        last_revision: u64,
    },
    /// The stream is not as expected; nothing was appended.
    WrongRevision,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KurrentEvent {
    /// Its id.
    pub id: Uuid,
    /// Its stream.
    pub stream: String,
    /// Its place in the stream, counted from 0.
    pub revision: u64,
    /// Its place in the whole log, in bytes; absent where an old server does not say.
    pub position: Option<u64>,
    /// Its type.
    pub event_type: String,
    /// When the server took it, in 100 ns since 1970; absent where it does not say.
    pub created_ticks: Option<i64>,
    /// As it was appended.
    pub data: Vec<u8>,
    /// As it was appended.
    pub metadata: Vec<u8>,
}

/// In which order to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOrder {
    /// The earliest first.
    Forwards,
    /// The latest first.
    Backwards,
}

/// Where to begin in a stream; what is there is read, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// At this revision.
    Revision(u64),
    /// At its last event.
    End,
}

/// Where to begin in the whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllStart {
    /// Before everything.
    Beginning,
    /// At the event at this position, which is read, too.
    Position(u64),
    /// Behind everything.
    End,
}

/// What comes, as it comes.
pub struct LogSubscription {
    responses: Streaming<ReadResp>,
    connection: LeaderConnection,
}

impl LeaderConnection {
    /// Appends all events or none.
    ///
    /// # Errors
    /// When the server refuses, or when nobody knows: [`KurrentError::may_pass`].
    pub async fn append_events(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: &[ProposedEvent],
    ) -> Result<AppendAnswer, KurrentError> {
        let expected = match expected {
            ExpectedRevision::NoStream => ExpectedStreamRevision::NoStream(Empty {}),
            ExpectedRevision::Exactly(revision) => ExpectedStreamRevision::Revision(revision),
        };
        let options = append_req::Options {
            stream_identifier: Some(stream_identifier(stream)),
            expected_stream_revision: Some(expected),
        };
        let head = append_req::Content::Options(options);
        let messages: Vec<_> = std::iter::once(head)
            .chain(events.iter().map(|event| append_req::Content::ProposedMessage(propose(event))))
            .map(|content| AppendReq { content: Some(content) })
            .collect();
        let request = self.node.request(stream::iter(messages));
        let mut client = self.streams_client();
        let answer = self.node.answer_to(stream, client.append(request)).await?.into_inner();
        match answer.result {
            Some(append_resp::Result::Success(success)) => match success.current_revision_option {
                Some(CurrentRevisionOption::CurrentRevision(last_revision)) => {
                    Ok(AppendAnswer::Appended { last_revision })
                }
                _ => Err(KurrentError::Refused("it appended, and does not say where".to_owned())),
            },
            Some(append_resp::Result::WrongExpectedVersion(_)) => Ok(AppendAnswer::WrongRevision),
            None => Err(KurrentError::NoAnswer("the answer to an append is empty".to_owned())),
        }
    }

    /// At most `count` events of a stream; none when there is no such stream.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read_stream(
        &self,
        stream: &str,
        (start, order): (StreamStart, ReadOrder),
        count: usize,
    ) -> Result<Vec<KurrentEvent>, KurrentError> {
        let revision_option = Some(match start {
            StreamStart::Revision(revision) => RevisionOption::Revision(revision),
            StreamStart::End => RevisionOption::End(Empty {}),
        });
        let of_stream = StreamOption::Stream(options::StreamOptions {
            stream_identifier: Some(stream_identifier(stream)),
            revision_option,
        });
        let no_filter = FilterOption::NoFilter(Empty {});
        self.read_events(stream, read_request((of_stream, order), count_of(count), no_filter)).await
    }

    /// At most `count` events of the streams whose names begin with `prefix`, in the order of the log.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn read_all(
        &self,
        prefix: &str,
        (start, order): (AllStart, ReadOrder),
        count: usize,
    ) -> Result<Vec<KurrentEvent>, KurrentError> {
        let request = read_request((all_from(start), order), count_of(count), begins_with(prefix));
        self.read_events("$all", request).await
    }

    /// What is appended from now on to streams whose names begin with `prefix`.
    ///
    /// # Errors
    /// When the server does not confirm it.
    pub async fn subscribe_to_end(&self, prefix: &str) -> Result<LogSubscription, KurrentError> {
        let live = CountOption::Subscription(options::SubscriptionOptions {});
        let from = (all_from(AllStart::End), ReadOrder::Forwards);
        let request = self.node.request(read_request(from, live, begins_with(prefix)));
        let mut client = self.streams_client();
        let responses = self.node.answer_to("$all", client.read(request)).await?.into_inner();
        let mut subscription = LogSubscription { responses, connection: self.clone() };
        let node = &self.node;
        let first = node.answer_to("$all", subscription.responses.message()).await?;
        match first.and_then(|response| response.content) {
            Some(Content::Confirmation(_)) => Ok(subscription),
            _ => Err(KurrentError::Refused("it does not confirm a subscription".to_owned())),
        }
    }

    async fn read_events(
        &self,
        stream: &str,
        request: ReadReq,
    ) -> Result<Vec<KurrentEvent>, KurrentError> {
        let mut client = self.streams_client();
        let reading = async {
            let mut responses = client.read(self.node.request(request)).await?.into_inner();
            let mut events = Vec::new();
            while let Some(response) = responses.message().await? {
                match response.content {
                    Some(Content::Event(event)) => events.push(event),
                    Some(Content::StreamNotFound(_)) => break,
                    // Where a stream begins and ends, and what newer servers say besides.
                    _ => {}
                }
            }
            Ok(events)
        };
        let events = self.node.answer_to(stream, reading).await?;
        events.into_iter().map(stored_event).collect()
    }

    fn streams_client(&self) -> StreamsClient<Channel> {
        StreamsClient::new(self.node.channel.clone()).max_decoding_message_size(EVENT_BYTES_MAX)
    }
}

impl LogSubscription {
    /// Waits until an event comes. What is in it is not told: whoever wants to know reads the log. Cancel-safe.
    ///
    /// # Errors
    /// When nothing will come any more.
    pub async fn wait_for_event(&mut self) -> Result<(), KurrentError> {
        loop {
            let next = self.responses.message().await;
            let address = &self.connection.node.address;
            match next.map_err(|status| KurrentError::from_status(&status, address, "$all"))? {
                Some(ReadResp { content: Some(Content::Event(_)) }) => return Ok(()),
                // Checkpoints, and that it has caught up or fallen behind.
                Some(_) => {}
                None => {
                    let reason = "it ended the subscription".to_owned();
                    return Err(KurrentError::Interrupted(reason));
                }
            }
        }
    }
}

fn stream_identifier(stream: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: stream.as_bytes().to_vec() }
}

fn propose(event: &ProposedEvent) -> append_req::ProposedMessage {
    let metadata = [("type", event.event_type.as_str()), ("content-type", "application/json")];
    let own = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    append_req::ProposedMessage {
        id: Some(write_uuid(event.id)),
        metadata: HashMap::from(own),
        custom_metadata: event.metadata.clone(),
        data: event.data.clone(),
    }
}

fn count_of(count: usize) -> CountOption {
    CountOption::Count(count.try_into().unwrap_or(u64::MAX))
}

fn all_from(start: AllStart) -> StreamOption {
    let from = match start {
        AllStart::Beginning => AllOption::Start(Empty {}),
        AllStart::Position(at) => {
            // What is written in one piece is committed where it is prepared.
            AllOption::Position(options::Position { commit_position: at, prepare_position: at })
        }
        AllStart::End => AllOption::End(Empty {}),
    };
    StreamOption::All(options::AllOptions { all_option: Some(from) })
}

fn begins_with(prefix: &str) -> FilterOption {
    let expression = Expression { regex: String::new(), prefix: vec![prefix.to_owned()] };
    FilterOption::Filter(options::FilterOptions {
        filter: Some(Filter::StreamIdentifier(expression)),
        window: Some(Window::Max(SEARCH_WINDOW)),
        checkpoint_interval_multiplier: 1,
    })
}

fn read_request(
    (of, order): (StreamOption, ReadOrder),
    count: CountOption,
    filter: FilterOption,
) -> ReadReq {
    let read_direction = match order {
        ReadOrder::Forwards => ReadDirection::Forwards,
        ReadOrder::Backwards => ReadDirection::Backwards,
    };
    let as_text = Some(uuid_option::Content::String(Empty {}));
    let options = read_req::Options {
        stream_option: Some(of),
        read_direction: read_direction.into(),
        resolve_links: false,
        count_option: Some(count),
        filter_option: Some(filter),
        uuid_option: Some(options::UuidOption { content: as_text }),
        control_option: Some(options::ControlOption { compatibility: 1 }),
    };
    ReadReq { options: Some(options) }
}

fn stored_event(read: read_resp::ReadEvent) -> Result<KurrentEvent, KurrentError> {
    let incomplete = || KurrentError::Refused("it gives an event without an id or a stream".into());
    let event = read.event.ok_or_else(incomplete)?;
    let id = event.id.as_ref().and_then(read_uuid).ok_or_else(incomplete)?;
    let stream = event.stream_identifier.ok_or_else(incomplete)?.stream_name;
    let text = |key: &str| event.metadata.get(key).cloned();
    Ok(KurrentEvent {
        id,
        stream: String::from_utf8(stream).map_err(|_| incomplete())?,
        revision: event.stream_revision,
        position: (event.commit_position != u64::MAX).then_some(event.commit_position),
        event_type: text("type").unwrap_or_default(),
        created_ticks: text("created").and_then(|ticks| ticks.parse().ok()),
        data: event.data,
        metadata: event.custom_metadata,
    })
}
