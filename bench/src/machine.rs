//! Where the numbers come from.

use serde::Serialize;

/// The machine, as far as it matters for speed.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// Load averages (1, 5, 15 minutes) when the run began: below 0.5 nothing else ran.
    pub(crate) load: String,
    pub(crate) debug_build: bool,
}

impl Machine {
    pub(crate) fn look() -> Machine {
        let uname = rustix::system::uname();
        Machine {
            cpu: value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: value_of("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
                .map_or(0, |kib| kib >> 20),
            kernel: format!(
                "{} {} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy(),
                uname.machine().to_string_lossy()
            ),
            load: std::fs::read_to_string("/proc/loadavg")
                .map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" "))
                .unwrap_or_else(|_| "unknown".into()),
            debug_build: cfg!(debug_assertions),
        }
    }
}

fn value_of(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Memory of this process that is in RAM, bytes; 0 when it is not known.
pub(crate) fn resident_bytes() -> u64 {
    value_of("/proc/self/status", "VmRSS")
        .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kib| kib << 10)
}
