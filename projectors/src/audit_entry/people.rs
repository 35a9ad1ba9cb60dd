//! Where names and reasons of people enter an entry, and nowhere else: whoever has to keep them from a reader, or reads
//! them from another place, does it here.

use platform::event_log::Recorded;
use serde::Serialize;
use serde_json::Value;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryActor {
    /// The account, the client, the operator, or the part of the platform.
    pub subject: String,
    /// What the person was called then.
    pub name: Option<String>,
    /// The roles held then.
    pub roles: Vec<String>,
    /// The client that asked, when one did.
    pub client: Option<String>,
}

/// What an event says of people, and in their words.
pub(super) struct PeopleAndReasons {
    pub(super) actor: Option<EntryActor>,
    pub(super) reason: Option<String>,
    /// What the person whom it is about is called.
    pub(super) display_name: Option<String>,
}

pub(super) fn people_and_reasons(recorded: &Recorded) -> PeopleAndReasons {
    let text = |field: &str| recorded.payload.get(field).and_then(Value::as_str).map(str::to_owned);
    let actor = recorded.metadata.actor.as_ref().map(|actor| EntryActor {
        subject: actor.subject.clone(),
        name: actor.name.clone(),
        roles: actor.roles.clone(),
        client: actor.client.clone(),
    });
    PeopleAndReasons { actor, reason: text("reason"), display_name: text("display_name") }
}
