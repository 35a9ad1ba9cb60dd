//! Boards that `chipq generate-boards` writes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::platform::{chipq, finished};

/// One generated pair.
pub(crate) struct Pair {
    pub(crate) golden: PathBuf,
    pub(crate) test: PathBuf,
    /// How many defects it has.
    pub(crate) defects: usize,
    /// Where they are: left, top, right and bottom edge in pixels of the test picture.
    #[allow(dead_code, reason = "shared with tests that ask only how many there are")]
    pub(crate) flaws: Vec<[u64; 4]>,
}

/// `count` boards of one design; `clean_per_cent` of them without a defect.
pub(crate) fn boards(folder: &Path, count: usize, clean_per_cent: u32) -> Vec<Pair> {
    let (count, clean) = (count.to_string(), clean_per_cent.to_string());
    let arguments = ["generate-boards", "--seed", "3", "--units-per-design", "1000"];
    let (code, _, said) = finished(
        chipq(&arguments)
            .args(["--count", &count, "--clean-per-cent", &clean, "--out"])
            .arg(folder),
    );
    assert_eq!(code, 0, "{said}");
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let file = |item: &Value, which: &str| folder.join(item[which]["file"].as_str().unwrap());
    manifest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| Pair {
            golden: file(item, "template"),
            test: file(item, "test"),
            defects: item["boxes"].as_array().unwrap().len(),
            flaws: item["boxes"].as_array().unwrap().iter().map(edges).collect(),
        })
        .collect()
}

fn edges(label: &Value) -> [u64; 4] {
    ["x1", "y1", "x2", "y2"].map(|edge| label[edge].as_u64().unwrap())
}
