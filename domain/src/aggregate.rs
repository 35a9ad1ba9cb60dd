//! What an aggregate is here: two pure functions over a state that is folded from stored events.
//!
//! Invariant: what is stored is never changed. Every event has a stored name and a version, and an older
//! shape becomes today's step by step; a name that the code does not know, or a version that it does not
//! know yet, is refused and never read as another.

use std::borrow::Cow;

use cqrs_es::DomainEvent;
use serde_json::Value;

use crate::Reach;

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

    /// Whether somebody who is limited to `reach` may give it `command`. What is of a part is at every station; what is
    /// neither at a station nor of a part is within every reach.
    fn is_within(&self, _reach: &Reach, _command: &Self::Command) -> bool {
        true
    }

    /// What whoever keeps and counts events has to know of `event`, and its shape does not say.
    fn labels(_event: &Self::Event) -> EventLabels {
        EventLabels::default()
    }

    /// Turns the stored JSON of an event into the shape that this software knows: as it is when that is
    /// the version written now, step by step when it is an older one. Whoever reads stored events comes
    /// through here before anything is made of them.
    ///
    /// # Errors
    /// When this software does not know the name or the version, and it must not be read as another then,
    /// or when the payload is not an object, which no event ever was.
    fn upcast<'a>(
        event_type: &str,
        event_version: &str,
        payload: &'a Value,
    ) -> Result<Cow<'a, Value>, UpcastError> {
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

/// What an event is to those who keep and count events, whatever has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventLabels {
    /// The part of the platform that decided it by itself, in consequence of what stands before it in the
    /// same command; absent when who gave the command decided it.
    pub decided_by: Option<&'static str>,
    /// A word of a small closed set for how it came out, such as a judgement; absent when there is nothing
    /// to tell apart.
    pub outcome: Option<&'static str>,
}

/// A refusal by the rules, with a stable name for the wire.
pub trait Rejection: std::error::Error + Send + Sync + 'static {
    /// Kebab-case name, stable for clients.
    fn name(&self) -> &'static str;

    /// True when the thing that was addressed does not exist (as opposed to being in another state).
    fn is_not_found(&self) -> bool;
}

/// Turns the stored JSON of one version of an event, always an object, into that of the next.
pub type Upcaster = fn(Value) -> Value;

/// An event's stored name and every version of its shape.
#[derive(Debug, Clone, Copy)]
pub struct StoredEvent {
    /// The stored name; a constant, never derived from a Rust name.
    pub name: &'static str,
    /// The step from version 1 to 2 first, then from 2 to 3, and so on: none may be missing, and the
    /// version that is written now is the one after the last step.
    pub upcasters: &'static [Upcaster],
}

impl StoredEvent {
    /// The version that is written now.
    #[must_use]
    pub const fn current_version(&self) -> usize {
        self.upcasters.len() + 1
    }

    /// Turns `payload` of version `event_version` into the current version's, step by step; borrowed
    /// when it is current already.
    ///
    /// # Errors
    /// When this code does not know that version, or the payload is not an object: the steps write into
    /// its fields.
    pub fn upcast_from<'a>(
        &self,
        event_version: &str,
        payload: &'a Value,
    ) -> Result<Cow<'a, Value>, UpcastError> {
        let current = self.current_version();
        let Some(version) = (1..=current).find(|version| version.to_string() == event_version)
        else {
            return Err(UnknownStoredEvent::Version { known_up_to: current }.into());
        };
        if !payload.is_object() {
            return Err(UpcastError::NotAnObject);
        }
        // `version` is 1 to `current`, so the steps that are left begin within the list or at its end.
        match self.upcasters.get(version - 1..).unwrap_or_default() {
            [] => Ok(Cow::Borrowed(payload)),
            steps => Ok(Cow::Owned(steps.iter().fold(payload.clone(), |json, step| step(json)))),
        }
    }
}

/// Why a stored event cannot be turned into today's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpcastError {
    /// Newer software may know it.
    #[error(transparent)]
    Unknown(#[from] UnknownStoredEvent),
    /// It is damaged: no version of any event is anything but an object.
    #[error("the payload is not a JSON object")]
    NotAnObject,
}

/// What this software does not know of a stored event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownStoredEvent {
    /// No event of the aggregate has this name.
    #[error("this software knows no event of {aggregate_type} under this name")]
    Name {
        /// The aggregate's stored type.
        aggregate_type: &'static str,
    },
    /// The version is not one of those that this software knows.
    #[error("this software knows its versions up to {known_up_to}")]
    Version {
        /// The version that this software writes.
        known_up_to: usize,
    },
}

/// The stored names of an event enum as constants, and `DomainEvent` by them.
///
/// `CONSTANT: Variant = "StoredName"`, and `upcast [one_to_two, two_to_three]` after it once the shape has
/// changed. The match on the event has no wildcard: a variant that is missing does not compile.
macro_rules! stored_events {
    ($event:ident {
        $($constant:ident: $variant:ident = $name:literal $(upcast [$($step:path),+])?),+ $(,)?
    }) => {
        impl $event {
            $(
                #[doc = concat!("The stored name of [`Self::", stringify!($variant), "`].")]
                pub const $constant: &'static str = $name;
            )+

            /// Every event, under its stored name.
            pub const STORED: &'static [$crate::StoredEvent] = &[
                $($crate::StoredEvent { name: $name, upcasters: &[$($($step),+)?] },)+
            ];

            const fn stored_name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => Self::$constant,)+
                }
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.stored_name().to_owned()
            }

            fn event_version(&self) -> String {
                let stored = Self::STORED.iter().find(|stored| stored.name == self.stored_name());
                stored.map_or(1, $crate::StoredEvent::current_version).to_string()
            }
        }
    };
}

pub(crate) use stored_events;

#[cfg(test)]
mod tests {
    #![allow(unreachable_pub, reason = "the macro's constants are public, the event here is not")]

    use cqrs_es::DomainEvent as _;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    /// Version 1 had a name, version 2 a list of them, version 3 says whose they are.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum GreetingEvent {
        Greeted { people: Vec<String> },
        Parted,
    }

    fn list_the_name(mut json: Value) -> Value {
        json["names"] = json!([json["name"]]);
        json
    }

    fn say_people(mut json: Value) -> Value {
        json["people"] = json["names"].take();
        json
    }

    stored_events!(GreetingEvent {
        GREETED: Greeted = "Greeted" upcast [list_the_name, say_people],
        PARTED: Parted = "Parted",
    });

    fn upcast(version: &str, payload: &Value) -> Result<GreetingEvent, UpcastError> {
        let payload = GreetingEvent::STORED[0].upcast_from(version, payload)?;
        Ok(GreetingEvent::deserialize(&*payload).unwrap())
    }

    #[test]
    fn an_older_version_becomes_the_current_one_step_by_step() {
        let greeted = GreetingEvent::Greeted { people: vec!["Ada".to_owned()] };
        for (version, payload) in [
            ("1", json!({"type": "Greeted", "name": "Ada"})),
            ("2", json!({"type": "Greeted", "names": ["Ada"]})),
            ("3", json!({"type": "Greeted", "people": ["Ada"]})),
        ] {
            assert_eq!(upcast(version, &payload).unwrap(), greeted, "version {version}");
        }
    }

    #[test]
    fn the_current_version_is_not_even_copied() {
        let payload = json!({"type": "Greeted", "people": []});
        let upcast = GreetingEvent::STORED[0].upcast_from("3", &payload).unwrap();
        assert!(matches!(upcast, Cow::Borrowed(_)));
    }

    #[test]
    fn a_version_that_there_never_was_is_refused_and_not_read_as_another() {
        let payload = json!({"type": "Greeted", "people": []});
        for version in ["0", "4", "", "03", "+3", " 3", "3.0", "three"] {
            let refused = upcast(version, &payload).unwrap_err();
            let unknown = UnknownStoredEvent::Version { known_up_to: 3 };
            assert_eq!(refused, UpcastError::Unknown(unknown), "{version:?}");
        }
    }

    #[test]
    fn a_payload_that_is_no_object_is_refused_before_a_step_writes_into_it() {
        for payload in [json!(["Greeted", ["Ada"]]), json!("Greeted"), json!(1), Value::Null] {
            for version in ["1", "2", "3"] {
                let refused = upcast(version, &payload).unwrap_err();
                assert_eq!(refused, UpcastError::NotAnObject, "version {version}: {payload}");
            }
            let newer = upcast("4", &payload).unwrap_err();
            assert!(matches!(newer, UpcastError::Unknown(_)), "a newer shape is not known here");
        }
    }

    #[test]
    fn an_event_is_stored_under_its_name_with_the_version_that_its_steps_lead_to() {
        let greeted = GreetingEvent::Greeted { people: vec![] };
        assert_eq!((greeted.event_type(), greeted.event_version()), ("Greeted".into(), "3".into()));
        let parted = GreetingEvent::Parted;
        assert_eq!((parted.event_type(), parted.event_version()), ("Parted".into(), "1".into()));
        assert_eq!((GreetingEvent::GREETED, GreetingEvent::PARTED), ("Greeted", "Parted"));
    }
}
