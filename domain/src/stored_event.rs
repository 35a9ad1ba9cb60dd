//! Under which names and versions events are stored, and how an older shape becomes today's.
//!
//! Invariant: what is stored is never changed. A name that the code does not know, or a version that it
//! does not know yet, is refused and never read as another.

use std::borrow::Cow;

use serde_json::Value;

/// Turns the stored JSON of one version of an event into that of the next.
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
    /// When this code does not know that version.
    pub fn upcast<'a>(
        &self,
        event_version: &str,
        payload: &'a Value,
    ) -> Result<Cow<'a, Value>, UnknownStoredEvent> {
        let current = self.current_version();
        let version = (1..=current).find(|version| version.to_string() == event_version);
        match version.and_then(|version| self.upcasters.get(version - 1..)) {
            None => Err(UnknownStoredEvent::Version { known_up_to: current }),
            Some([]) => Ok(Cow::Borrowed(payload)),
            Some(steps) => Ok(Cow::Owned(steps.iter().fold(payload.clone(), |json, up| up(json)))),
        }
    }
}

/// Why a stored event cannot be turned into today's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownStoredEvent {
    /// No event of the aggregate has this name.
    #[error("no event of a {aggregate_type} that this software knows has this name")]
    Name {
        /// The aggregate's stored type.
        aggregate_type: &'static str,
    },
    /// The version is not one of those that there were.
    #[error("this software knows versions 1 to {known_up_to}")]
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
