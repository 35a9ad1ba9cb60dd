//! A server of a test's own, as the process that one of `deploy`'s scripts has become: it ends with its owner, and is
//! killed, stalled and resumed as a machine is.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct ServerProcess {
    process: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts it; what it says goes into `log`, of this start alone: what is looked for in it must not be of the one
    /// before.
    pub(crate) fn launch(command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).unwrap();
        let said = file.try_clone().unwrap();
        let process = command.stdin(Stdio::null()).stdout(said).stderr(file).spawn().unwrap();
        Self { process, log: log.to_owned() }
    }

    /// Waits until it serves, by what it has said.
    pub(crate) fn until_it_serves(&mut self, patience: Duration, serves: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + patience;
        loop {
            let said = std::fs::read_to_string(&self.log).unwrap();
            if serves(&said) {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "it does not start: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Lets it answer nothing any more: connections are still taken.
    pub(crate) fn stall(&self) {
        self.send_signal("-STOP");
    }

    /// After [`Self::stall`]: what came in the meantime is answered.
    pub(crate) fn resume(&self) {
        self.send_signal("-CONT");
    }

    fn send_signal(&self, signal: &str) {
        // The script that was launched has become the server.
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
