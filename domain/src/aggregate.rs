//! What an aggregate is here: two pure functions over a state.

use std::borrow::Cow;

use cqrs_es::DomainEvent;
use serde_json::Value;

use crate::{StoredEvent, UnknownStoredEvent};

/// A consistency boundary whose state is folded from its own stream of events.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// The stored name of the aggregate's type; a constant, never derived from a Rust name.
    const TYPE: &'static str;
    /// Every event of its streams under its stored name, with the steps up from its older versions.
    const EVENTS: &'static [StoredEvent];
    /// What may be asked of it.
    type Command: Send;
    /// What can have happened to it.
    type Event: DomainEvent;
    /// Why a command is refused.
    type Rejection: Rejection;

    /// Decides `command` in this state: the events that follow, none when it changes nothing.
    ///
    /// # Errors
    /// The rejection, when the rules forbid the command in this state.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`. Total: any stored event may be applied to any state.
    fn evolve(&mut self, event: &Self::Event);

    /// Turns the stored JSON of an event into the shape that this software knows: as it is when that is
    /// the version written now, step by step when it is an older one. Whoever reads stored events comes
    /// through here before anything is made of them.
    ///
    /// # Errors
    /// When this software does not know the name or the version. It must not be read as another then.
    fn upcast<'a>(
        event_type: &str,
        event_version: &str,
        payload: &'a Value,
    ) -> Result<Cow<'a, Value>, UnknownStoredEvent> {
        let stored = Self::EVENTS.iter().find(|stored| stored.name == event_type);
        let unknown = UnknownStoredEvent::Name { aggregate_type: Self::TYPE };
        stored.ok_or(unknown)?.upcast_from(event_version, payload)
    }

    /// The state after all of `events`, from nothing.
    fn replay<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self {
        let mut state = Self::default();
        events.into_iter().for_each(|event| state.evolve(event));
        state
    }
}

/// A refusal by the rules, with a stable name for the wire.
pub trait Rejection: std::error::Error + Send + Sync + 'static {
    /// Kebab-case name, stable for clients.
    fn name(&self) -> &'static str;

    /// True when the thing that was addressed does not exist (as opposed to being in another state).
    fn is_not_found(&self) -> bool;
}
