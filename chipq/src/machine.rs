//! The machine and the build that figures are measured on, and a process's memory; from `/proc` where
//! there is one.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// What a figure has to be read with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Load averages of 1, 5 and 15 minutes.
    pub(crate) load_average: String,
    /// Memory in MiB.
    pub(crate) memory_mib: u64,
    /// Operating system and architecture.
    pub(crate) system: String,
    /// The profile that this program was built with.
    pub(crate) build: &'static str,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            cpu: find_field(&cpuinfo, "model name").unwrap_or("unknown processor").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            memory_mib: read_kib(&memory, "MemTotal") / 1024,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            build: if cfg!(debug_assertions) { "development profile" } else { "release profile" },
        }
    }
}

impl fmt::Display for Machine {
    /// One line, without the load: that changes while something is measured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_mib, system, build, load_average: _ } = self;
        write!(f, "machine: {cpu}, {cores} cores, {memory_mib} MiB, {system}; {build}")
    }
}

/// Resident memory of the process `pid` in MiB (`VmRSS`); `None` where `/proc` has no such process.
pub(crate) fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(read_kib(&status, "VmRSS") as f64 / 1024.0)
}

/// In `/proc`, whatever the kernel counts in (`USER_HZ`).
const TICKS_PER_SECOND: u32 = 100;

/// The processor time that a process has spent, of its own and in the kernel; only Linux tells.
pub(crate) fn processor_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Duration::from_secs(read_ticks(&stat)?) / TICKS_PER_SECOND)
}

/// `utime` and `stime` of `/proc/PID/stat`, in ticks. The name before them, in brackets, may hold anything.
fn read_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn find_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn read_kib(text: &str, name: &str) -> u64 {
    find_field(text, name).and_then(|v| v.split(' ').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_files_are_read() {
        let status = "Name:\tx\nVmRSS:\t   2048 kB\n";
        assert_eq!(read_kib(status, "VmRSS"), 2048);
        assert_eq!(read_kib(status, "VmSwap"), 0);
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 9 0 0 0 150 25 3 4 20 0 9 0";
        assert_eq!(read_ticks(stat), Some(175));
        assert!(Machine::this().cores > 0);
    }
}
