//! Who leads, as the nodes tell each other.

use proto::kurrentdb::gossip::gossip_client::GossipClient;
use proto::kurrentdb::gossip::member_info::VNodeState;
use proto::kurrentdb::{Empty, gossip, uuid};
use uuid::Value;

use crate::connection::NodeConnection;
use crate::error::KurrentError;
use crate::node_url::NodeAddress;

/// A node, as another one sees it.
#[derive(Debug, Clone)]
pub(crate) struct ClusterMember {
    pub(crate) address: NodeAddress,
    pub(crate) instance: ::uuid::Uuid,
    pub(crate) is_leader: bool,
}

/// The nodes that are alive, as this one sees them.
pub(crate) async fn read_members(
    node: &NodeConnection,
) -> Result<Vec<ClusterMember>, KurrentError> {
    let mut client = GossipClient::new(node.channel.clone());
    let answer = node.answer_to("", client.read(node.request(Empty {}))).await;
    let answer = answer.map_err(|error| explain_foreign(node, error))?.into_inner();
    Ok(answer.members.into_iter().filter(|member| member.is_alive).filter_map(member).collect())
}

/// The first call on a connection is where a server of another kind shows, or one that wants TLS: it breaks off.
fn explain_foreign(node: &NodeConnection, error: KurrentError) -> KurrentError {
    let address = node.address.clone();
    match error {
        KurrentError::Refused(reason) => KurrentError::NotKurrentDb { address, reason },
        KurrentError::Unreachable { reason, .. } => {
            let hint = "it ends the connection before it answers; is it a KurrentDB, and is tls as it has it?";
            KurrentError::Unreachable { address, reason: format!("{hint} ({reason})") }
        }
        error => error,
    }
}

fn member(member: gossip::MemberInfo) -> Option<ClusterMember> {
    let end = member.http_end_point.as_ref()?;
    let address = NodeAddress { host: end.address.clone(), port: u16::try_from(end.port).ok()? };
    let is_leader = member.state() == VNodeState::Leader;
    let instance = read_uuid(member.instance_id.as_ref()?)?;
    Some(ClusterMember { address, instance, is_leader })
}

/// An id in either of the two forms that the protocol has.
pub(crate) fn read_uuid(id: &proto::kurrentdb::Uuid) -> Option<::uuid::Uuid> {
    match id.value.as_ref()? {
        Value::Structured(halves) => Some(::uuid::Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        Value::String(text) => text.parse().ok(),
    }
}

/// An id as text, in which no byte order can be mistaken.
pub(crate) fn write_uuid(id: ::uuid::Uuid) -> proto::kurrentdb::Uuid {
    proto::kurrentdb::Uuid { value: Some(Value::String(id.to_string())) }
}
