//! What read models are called: whoever fills them and whoever reads them must use the same words.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// The read models, under their stored names.
    pub enum ProjectionName ("projection") {
        /// Inspections, pictures, timeline.
        InspectionOverview = "inspection_overview",
        /// Findings.
        Defects = "defects",
        /// Parts and golden samples.
        Parts = "parts",
        /// Judgements by hour.
        Yield = "yield",
        /// Reports of judged inspections.
        Reports = "reports",
        /// Who did what, of every event.
        AuditTrail = "audit_trail",
    }
}

impl ProjectionName {
    /// Whether it applies every event, also one that nobody knows, so that none is ever in its way and nothing is to be
    /// decided about it.
    #[must_use]
    pub const fn leaves_nothing_out(self) -> bool {
        matches!(self, Self::AuditTrail)
    }

    /// Whether an event may be in the way of the read model of this stored name; of one that this software does not know,
    /// so it is said.
    #[must_use]
    pub fn may_be_stopped(stored_name: &str) -> bool {
        stored_name.parse::<Self>().map_or(true, |name| !name.leaves_nothing_out())
    }
}

vocabulary! {
    /// Whether a generation of a read model is read.
    pub enum GenerationStatus ("status") {
        /// It is being filled beside the one that serves.
        Building = "building",
        /// It is read.
        Serving = "serving",
        /// It was replaced.
        Retired = "retired",
        /// It shows the log as of an earlier moment to whoever replays it, and goes when that is done.
        Replaying = "replaying",
    }
}
