//! Where tree heads are kept, and who is their witness.

use std::path::{Path, PathBuf};

/// How the log is proved.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ProofConfig {
    /// Folder of the log's signed tree heads, which are outside the database on purpose: `tree-heads` in the data folder
    /// when it is not set. Nothing in it is ever changed.
    #[arg(long, env = "CHIPQ_TREE_HEADS", value_name = "DIR")]
    pub tree_heads: Option<PathBuf>,
    /// Where each signed tree head is sent as well, so that nobody here can take it back: a directory that somebody else
    /// keeps, or an http or https URL, to which it is posted.
    #[arg(long, env = "CHIPQ_WITNESS", value_name = "DIR_OR_URL")]
    #[arg(value_parser = read_witness)]
    pub witness: Option<WitnessPlace>,
}

/// Who keeps tree heads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessPlace {
    /// A directory, which has to be there.
    Folder(PathBuf),
    /// A server that takes them by POST.
    Server(reqwest::Url),
}

fn read_witness(text: &str) -> Result<WitnessPlace, String> {
    if !text.contains("://") {
        return Ok(WitnessPlace::Folder(text.into()));
    }
    let url = text.parse::<reqwest::Url>().map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be a directory, or a URL of http or https".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must have no user or password in it; let the witness know this machine by its address"
                .to_owned(),
        );
    }
    Ok(WitnessPlace::Server(url))
}

impl ProofConfig {
    /// The folder of the tree heads of the installation in `data_dir`.
    #[must_use]
    pub fn head_folder(&self, data_dir: &Path) -> PathBuf {
        self.tree_heads.clone().unwrap_or_else(|| data_dir.join("tree-heads"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_a_directory_or_a_server() {
        assert_eq!(read_witness("/mnt/w"), Ok(WitnessPlace::Folder("/mnt/w".into())));
        assert!(matches!(read_witness("https://w.example/heads"), Ok(WitnessPlace::Server(_))));
        for refused in ["ftp://w.example", "https://me:secret@w.example", "http://"] {
            assert!(read_witness(refused).is_err(), "{refused}");
        }
    }
}
