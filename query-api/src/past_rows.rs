//! What an inspection was, as rows of what serves: the port to the code that makes them, which is the projectors'.

use platform::event_log::Recorded;

/// The rows that events of one inspection make, by table, each as a JSON array of objects whose keys are the columns of
/// the view in `read`.
#[derive(Debug, Clone)]
pub struct PastRows {
    /// Its row in `inspections`.
    pub inspections: String,
    /// Its pictures in `artifacts`.
    pub artifacts: String,
    /// Its events in `timeline`.
    pub timeline: String,
    /// Its findings in `defects`.
    pub defects: String,
}

/// What the first events of an inspection's stream make of it, or why nobody here can tell.
pub type FoldInspection = fn(&[Recorded]) -> Result<PastRows, String>;
