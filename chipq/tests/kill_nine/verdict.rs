//! What `chipq inspect` says of a board, which the platform has to say, too.

use std::path::Path;

use serde_json::{Value, json};

use crate::platform::{chipq, finished};
use crate::station::Station;

const JUDGED: &str = "query($id: ID!) { inspection(id: $id) {
    judgement defects { class box { x y width height } } } }";

/// How far apart the edges of one finding may be, in pixels: the network's answers depend a little on the
/// crops that are answered with them.
const SAME_EDGE_PX: i64 = 2;

/// The judgement and what was found.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    judgement: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Clone)]
struct Finding {
    class: String,
    /// Left, top, width and height.
    bounds: [i64; 4],
}

impl Verdict {
    /// Without a server, a log and a batch that others share.
    pub(crate) fn inspect(golden: &Path, test: &Path) -> Self {
        let (_, said, errors) = finished(chipq(&["inspect", "--json"]).arg(golden).arg(test));
        let found: Value = serde_json::from_str(&said).expect(&errors);
        let counts =
            |place: &&Value| place["class"] != "difference" && place["grade"] != "negligible";
        let places = found["defects"].as_array().unwrap().iter().filter(counts);
        Self {
            judgement: found["judgement"].as_str().unwrap().to_owned(),
            findings: places.map(Finding::from_json).collect(),
        }
    }

    /// As the platform serves it; `None` while the board is not judged.
    pub(crate) async fn read(station: &Station, inspection_id: &str) -> Option<Self> {
        let data = station.graphql(JUDGED, json!({ "id": inspection_id })).await;
        let inspection = &data["inspection"];
        let findings = inspection["defects"].as_array()?.iter().map(Finding::from_json).collect();
        Some(Self { judgement: inspection["judgement"].as_str()?.to_lowercase(), findings })
    }

    /// Whether both are of one board.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let mut open: Vec<_> = other.findings.iter().collect();
        let each_has_its_own = self.findings.iter().all(|finding| {
            let partner = open.iter().position(|other| finding.is_same_place(other));
            partner.map(|at| open.swap_remove(at)).is_some()
        });
        self.judgement == other.judgement && each_has_its_own && open.is_empty()
    }

    /// Whether nothing tells it from that of another board like it.
    pub(crate) fn is_of_a_clean_board(&self) -> bool {
        self.judgement == "pass"
    }
}

impl Finding {
    fn from_json(finding: &Value) -> Self {
        Self {
            class: finding["class"].as_str().unwrap().to_lowercase().replace('_', "-"),
            bounds: ["x", "y", "width", "height"]
                .map(|side| finding["box"][side].as_i64().unwrap()),
        }
    }

    fn is_same_place(&self, other: &Self) -> bool {
        let mut sides = self.bounds.iter().zip(&other.bounds);
        self.class == other.class && sides.all(|(a, b)| (a - b).abs() <= SAME_EDGE_PX)
    }
}
