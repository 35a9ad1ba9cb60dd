//! What an aggregate is here: two pure functions over a state.

use cqrs_es::DomainEvent;

/// A consistency boundary whose state is folded from its own stream of events.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// The stored name of the aggregate's type; a constant, never derived from a Rust name.
    const TYPE: &'static str;
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
