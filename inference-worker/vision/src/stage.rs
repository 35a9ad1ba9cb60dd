//! Where the time of a comparison goes. Nothing is measured unless somebody watches.

/// A part of a comparison, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// From a file's bytes to grey levels.
    Decode,
    /// From grey levels to copper.
    Read,
    /// How far the whole is shifted.
    Register,
    /// How it bends, and the golden sample warped over it.
    Field,
    /// Difference, morphology, regions.
    Candidates,
    /// Crops cut out.
    Crops,
    /// The network.
    Network,
    /// From answers to findings.
    Merge,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 8] = [
        Self::Decode,
        Self::Read,
        Self::Register,
        Self::Field,
        Self::Candidates,
        Self::Crops,
        Self::Network,
        Self::Merge,
    ];

    /// The stage in lowercase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Read => "read",
            Self::Register => "register",
            Self::Field => "field",
            Self::Candidates => "candidates",
            Self::Crops => "crops",
            Self::Network => "network",
            Self::Merge => "merge",
        }
    }
}

/// Told whenever a stage, or a part of one, has ended.
pub trait StageWatch {
    /// `stage` took the time since the last call.
    fn stage_ended(&mut self, stage: Stage);
}

/// Nobody watches.
impl StageWatch for () {
    fn stage_ended(&mut self, _: Stage) {}
}
