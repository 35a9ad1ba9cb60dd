//! A request to append one batch, whose bytes are ours.

use std::io::Write;

use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    ProduceRequest, ProduceResponse, RequestBody, WriteVersionedError, WriteVersionedType,
};
use rskafka::protocol::primitives::{Int16, Int32, NullableString, String_};
use rskafka::protocol::traits::{WriteError, WriteType as _};

/// All replicas that are in sync have it before it is acknowledged.
const ACKS_ALL: Int16 = Int16(-1);
/// Of topics, and of partitions.
const ONE: Int32 = Int32(1);

/// A batch for one partition.
#[derive(Debug)]
pub(crate) struct RawProduce {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) batch: Vec<u8>,
    /// How long the broker may wait for the other replicas.
    pub(crate) timeout_ms: i32,
}

impl<W: Write> WriteVersionedType<W> for RawProduce {
    /// The same in all versions that are spoken.
    fn write_versioned(&self, writer: &mut W, _: ApiVersion) -> Result<(), WriteVersionedError> {
        NullableString(None).write(writer)?;
        ACKS_ALL.write(writer)?;
        Int32(self.timeout_ms).write(writer)?;
        ONE.write(writer)?;
        String_(self.topic.clone()).write(writer)?;
        ONE.write(writer)?;
        Int32(self.partition).write(writer)?;
        let length = i32::try_from(self.batch.len()).unwrap_or(i32::MAX);
        Int32(length).write(writer)?;
        writer.write_all(&self.batch).map_err(WriteError::from)?;
        Ok(())
    }
}

impl RequestBody for RawProduce {
    type ResponseBody = ProduceResponse;

    const API_KEY: ApiKey = ProduceRequest::API_KEY;
    /// From 3 to 7: with batches of format 2, and without tagged fields.
    const API_VERSION_RANGE: ApiVersionRange = ProduceRequest::API_VERSION_RANGE;
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion =
        ProduceRequest::FIRST_TAGGED_FIELD_IN_REQUEST_VERSION;
}
