//! Where a principal may do what its role allows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Invalid, PartNumber, Station};

/// The most stations, and the most parts, that a reach names.
pub const REACH_MAX: usize = 256;

/// The stations and the parts that a principal is limited to; an empty set does not limit. The stations of a line
/// are named one by one. What a part is judged by counts at all of them: who is limited to some does not write it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedReach")]
pub struct Reach {
    stations: BTreeSet<Station>,
    parts: BTreeSet<PartNumber>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedReach {
    stations: BTreeSet<Station>,
    parts: BTreeSet<PartNumber>,
}

impl Reach {
    /// # Errors
    /// When it names more than [`REACH_MAX`] stations or parts.
    pub fn new(stations: BTreeSet<Station>, parts: BTreeSet<PartNumber>) -> Result<Self, Invalid> {
        let must = "must name at most 256";
        if stations.len() > REACH_MAX {
            return Err(Invalid { field: "stations", must });
        }
        if parts.len() > REACH_MAX {
            return Err(Invalid { field: "parts", must });
        }
        Ok(Self { stations, parts })
    }

    /// Everywhere.
    #[must_use]
    pub fn everywhere() -> Self {
        Self::default()
    }

    /// The stations it is limited to; empty when it is not.
    #[must_use]
    pub const fn stations(&self) -> &BTreeSet<Station> {
        &self.stations
    }

    /// The parts it is limited to; empty when it is not.
    #[must_use]
    pub const fn parts(&self) -> &BTreeSet<PartNumber> {
        &self.parts
    }

    /// Whether nothing limits it.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.stations.is_empty() && self.parts.is_empty()
    }

    /// Whether it takes in an inspection of `part` at `station`.
    #[must_use]
    pub fn covers(&self, station: &Station, part: &PartNumber) -> bool {
        (self.stations.is_empty() || self.stations.contains(station)) && self.covers_part(part)
    }

    /// Whether it takes in `part`, at whichever station.
    #[must_use]
    pub fn covers_part(&self, part: &PartNumber) -> bool {
        self.parts.is_empty() || self.parts.contains(part)
    }
}

impl Reach {
    /// Whether it takes in everything that `other` does.
    #[must_use]
    pub fn covers_reach(&self, other: &Self) -> bool {
        fn is_within<T: Ord>(all: &BTreeSet<T>, some: &BTreeSet<T>) -> bool {
            all.is_empty() || (!some.is_empty() && some.is_subset(all))
        }
        is_within(&self.stations, &other.stations) && is_within(&self.parts, &other.parts)
    }
}

impl TryFrom<UncheckedReach> for Reach {
    type Error = Invalid;

    fn try_from(unchecked: UncheckedReach) -> Result<Self, Invalid> {
        Self::new(unchecked.stations, unchecked.parts)
    }
}
