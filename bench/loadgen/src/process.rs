//! What the kernel says of a process and of the machine, read from `/proc`.
//!
//! Out: CPU time and resident memory of a process by its id, all its threads included; a `Meter` around a stretch of
//! time; a line about the machine. CPU time comes in ticks of 10 ms, so a stretch should last seconds.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use crate::error::LoadError;

/// User and system time that a process has used, in seconds.
pub fn cpu_seconds(pid: u32) -> Result<f64, LoadError> {
    cpu_parts(pid).map(|(user, system)| user + system)
}

/// User time and system time that a process has used, in seconds.
fn cpu_parts(pid: u32) -> Result<(f64, f64), LoadError> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    let (user, system) = stat_ticks(&text).ok_or_else(|| unreadable(path))?;
    let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok((seconds(user), seconds(system)))
}

/// The same of a process and its children together.
pub fn family_cpu_seconds(pid: u32) -> Result<f64, LoadError> {
    let mut sum = cpu_seconds(pid)?;
    let entries = fs::read_dir("/proc").map_err(LoadError::io("read /proc"))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that has just ended is not there any more.
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if stat_parent(&stat) == Some(pid) {
            sum += cpu_seconds(child).unwrap_or(0.0);
        }
    }
    Ok(sum)
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(pid: u32) -> Result<u64, LoadError> {
    let path = format!("/proc/{pid}/status");
    let text = read(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| unreadable(path))
}

/// The name is in brackets and may hold anything; `utime` and `stime` are the 12th and 13th fields after it.
fn stat_ticks(text: &str) -> Option<(u64, u64)> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user, system))
}

/// The parent is the second field after the name.
fn stat_parent(text: &str) -> Option<u32> {
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

fn read(path: &str) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| LoadError::Process {
        what: path.to_owned(),
        reason: source.to_string(),
    })
}

fn unreadable(path: String) -> LoadError {
    LoadError::Process {
        what: path,
        reason: "not in the expected form".to_owned(),
    }
}

/// Pins this process, and whatever it starts, to one core.
pub fn pin(core: usize) -> Result<(), LoadError> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .map_err(|errno| LoadError::io("pin to a core")(errno.into()))
}

/// Raises the limit of open files to the most that this process may have; what it is then.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // What cannot be raised stays, and shows when a socket is refused.
    setrlimit(Resource::Nofile, raised).ok();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// CPU time of server and generator over a stretch of time.
pub struct Meter {
    server: Option<u32>,
    server_start: (f64, f64),
    own_start: f64,
    start: Instant,
}

/// What a `Meter` saw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stretch {
    /// Length in seconds.
    pub seconds: f64,
    /// CPU seconds of the server, when its process is known.
    pub server: Option<f64>,
    /// How many of them were system time.
    pub server_system: Option<f64>,
    /// CPU seconds of the generator.
    pub generator: f64,
}

impl Stretch {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (one, None) | (None, one) => one,
        };
        Self {
            seconds: self.seconds + other.seconds,
            server: sum(self.server, other.server),
            server_system: sum(self.server_system, other.server_system),
            generator: self.generator + other.generator,
        }
    }
}

impl Meter {
    /// Starts to measure; `server` is the server's process id, if known.
    pub fn start(server: Option<u32>) -> Result<Self, LoadError> {
        Ok(Self {
            server,
            server_start: server.map(cpu_parts).transpose()?.unwrap_or_default(),
            own_start: cpu_seconds(std::process::id())?,
            start: Instant::now(),
        })
    }

    /// Ends the stretch.
    pub fn stop(&self) -> Result<Stretch, LoadError> {
        let server = self.server.map(cpu_parts).transpose()?;
        let (user, system) = self.server_start;
        Ok(Stretch {
            seconds: self.start.elapsed().as_secs_f64(),
            server: server.map(|now| now.0 + now.1 - user - system),
            server_system: server.map(|now| now.1 - system),
            generator: cpu_seconds(std::process::id())? - self.own_start,
        })
    }
}

/// Cores, processor, memory, kernel and present load, as one line of text.
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib: u64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut line = String::new();
    let _ = write!(
        line,
        "{cores} × {model}, {} GiB, Linux {}; load before the run {}",
        memory_kib / (1024 * 1024),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown"),
    );
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_ticks_are_found_behind_a_name_with_brackets_and_spaces() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 70 8 0 0 20 0 4 0 100 1000 10";
        assert_eq!(stat_ticks(stat), Some((70, 8)));
        assert_eq!(stat_parent(stat), Some(1));
    }

    #[test]
    fn this_process_has_memory_and_a_stretch_has_length() {
        assert!(resident_kib(std::process::id()).unwrap() > 0);
        let meter = Meter::start(Some(std::process::id())).unwrap();
        assert!(meter.stop().unwrap().seconds > 0.0);
    }
}
