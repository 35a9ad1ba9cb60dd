//! A private copy of the model repository in `triton/`, for a test to serve and to change. Versions
//! are staged elsewhere and renamed into their place, as a deployment does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{RUNTIME, project, run};

/// The one model in it.
pub(crate) const MODEL: &str = "golden-compare";

/// Lives as long as the value: the folder goes with it.
pub(crate) struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// What `triton/` serves on a CPU, and nothing else: version 1 of the model.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("chipq-triton-").tempdir().unwrap();
        let repository = Self { folder };
        let source = project().join("triton").join(MODEL);
        copy(&source, &repository.model());
        compile(&repository.model());
        repository
    }

    /// The folder that Triton is given.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// The model's own folder.
    pub(crate) fn model(&self) -> PathBuf {
        self.path().join(MODEL)
    }

    /// Where a server keeps its log and its temporary files.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a version that serves version 1's network, and declares its digest.
    pub(crate) fn add_version(&self, version: u32) {
        self.add_changed_version(version, |_| ());
        self.declare();
    }

    /// Adds a copy of version 1 that `change` has changed. Its digest is not declared yet.
    pub(crate) fn add_changed_version(&self, version: u32, change: impl FnOnce(&Path)) {
        let staged = self.folder.path().join("staged");
        copy(&self.model().join("1"), &staged);
        change(&staged);
        compile(&staged);
        fs::rename(staged, self.model().join(version.to_string())).unwrap();
    }

    /// Takes a version's folder away.
    pub(crate) fn remove_version(&self, version: u32) {
        fs::remove_dir_all(self.model().join(version.to_string())).unwrap();
        self.declare();
    }

    /// Declares the digests of all versions, with the program that ships.
    pub(crate) fn declare(&self) {
        run(Command::new(project().join("triton/declare-digest")).arg(self.model()));
    }

    /// From the next load on the model notes each execution, and runs [`on_execute`](Self::on_execute)
    /// before it.
    pub(crate) fn observe(&self) {
        let path = self.model().join("serve_onnx.py");
        let source = fs::read_to_string(&path).unwrap();
        let entered = "        answers = [None] * len(requests)\n";
        assert!(source.contains(entered), "serve_onnx.py does not begin to execute with {entered}");
        let observed = format!("{entered}        observed(requests, self)\n");
        let folder = self.scratch().display();
        let observer = format!(
            "\n\ndef observed(requests, model):\n\
             \x20   with open('{folder}/executions', 'a') as file:\n\
             \x20       file.write('x')\n\
             \x20   hook = '{folder}/on_execute.py'\n\
             \x20   if os.path.exists(hook):\n\
             \x20       exec(open(hook).read(), {{'requests': requests, 'model': model}})\n"
        );
        fs::write(path, source.replace(entered, &observed) + &observer).unwrap();
        compile(&self.model());
    }

    /// Python that an observed model runs before each execution, until it is told otherwise.
    pub(crate) fn on_execute(&self, python: &str) {
        let staged = self.scratch().join("on_execute.new");
        fs::write(&staged, python).unwrap();
        fs::rename(staged, self.scratch().join("on_execute.py")).unwrap();
    }

    /// How often an observed model has been executed.
    pub(crate) fn executions(&self) -> u64 {
        fs::metadata(self.scratch().join("executions")).map_or(0, |file| file.len())
    }

    /// Replaces text in the model's configuration; the text must be there.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.model().join("config.pbtxt");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "config.pbtxt has no {from:?} to replace:\n{config}");
        fs::write(path, config.replace(from, to)).unwrap();
    }
}

/// Without compiled files Triton's stub writes them on the first load, and Triton takes the version
/// for changed and loads it again.
fn compile(folder: &Path) {
    let python = RUNTIME.join("venv/bin/python");
    // A runtime of somebody's own need not have this one; then there is one load more.
    if python.exists() {
        run(Command::new(python).args(["-m", "compileall", "-q"]).arg(folder));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if name != "__pycache__" {
                copy(&entry.path(), &to.join(name));
            }
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
