//! Which keys a process is configured with.

use std::path::{Path, PathBuf};

use super::{KeyPlace, KeyRing};
use crate::config::ConfigErrors;

/// Where keys are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct KeysConfig {
    /// Directory of the keys that all processes of the installation share, when they are not in the data folder: a
    /// mounted secret, or a folder of all machines. Changes are followed; nothing is made in it at start.
    #[arg(long = "keys", env = "CHIPQ_KEYS", value_name = "DIR")]
    pub keys_dir: Option<PathBuf>,
}

impl KeysConfig {
    /// Where the keys of the installation in `data_dir` are.
    #[must_use]
    pub fn place(&self, data_dir: &Path) -> KeyPlace {
        match &self.keys_dir {
            Some(folder) => KeyPlace::shared(folder),
            None => KeyPlace::in_data(data_dir),
        }
    }

    /// Notes everything that is wrong with a shared directory and its files, one line for each.
    pub fn check(&self, errors: &mut ConfigErrors) {
        let Some(folder) = &self.keys_dir else { return };
        for fault in KeyRing::faults_in(&KeyPlace::shared(folder)) {
            errors.check::<(), _>("CHIPQ_KEYS", Err(fault));
        }
    }
}
