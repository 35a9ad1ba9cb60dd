//! Contracts with other systems, and the code generated from them. No logic lives here, but for the
//! JSON form that Triton wants a model configuration in.

#[cfg(test)]
mod tests;

/// The KServe v2 ("Open Inference") protocol as Triton speaks it: messages and client; the server,
/// which only tests need, with the feature `server`.
#[allow(
    clippy::all,
    unreachable_pub,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod inference {
    tonic::include_proto!("inference");

    /// The compiled .proto files: an encoded `FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inference.bin"));

    impl ModelConfig {
        /// This configuration in protobuf's JSON form, as the `config` parameter of
        /// `RepositoryModelLoad` takes it.
        ///
        /// # Errors
        /// When the compiled descriptors do not fit the generated code.
        pub fn to_json(&self) -> Result<String, super::NotJson> {
            use prost::Message as _;
            use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
            let pool = DescriptorPool::decode(DESCRIPTORS).map_err(super::NotJson::new)?;
            let kind = pool
                .get_message_by_name("inference.ModelConfig")
                .ok_or_else(|| super::NotJson::new("no descriptor"))?;
            let config = DynamicMessage::decode(kind, self.encode_to_vec().as_slice())
                .map_err(super::NotJson::new)?;
            let mut json = Vec::new();
            let options = SerializeOptions::new().use_proto_field_name(true);
            let mut writer = serde_json::Serializer::new(&mut json);
            config.serialize_with_options(&mut writer, &options).map_err(super::NotJson::new)?;
            String::from_utf8(json).map_err(super::NotJson::new)
        }
    }
}

/// KurrentDB's client protocol, version 1: messages and clients of what chipq uses of it; the servers, which only
/// tests need, with the feature `server`. `kurrentdb/shared.proto` says where it comes from.
#[allow(
    clippy::all,
    unreachable_pub,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod kurrentdb {
    tonic::include_proto!("event_store.client");

    /// Which nodes there are.
    pub mod gossip {
        tonic::include_proto!("event_store.client.gossip");
    }

    /// Appending and reading.
    pub mod streams {
        tonic::include_proto!("event_store.client.streams");
    }
}

/// A message that has no JSON form.
#[derive(Debug)]
pub struct NotJson(String);

impl NotJson {
    fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a model configuration cannot be written as JSON: {}", self.0)
    }
}

impl std::error::Error for NotJson {}
