//! What processes and cores spent, read from `/proc`.
//!
//! A process's user and system time come from `/proc/PID/stat`, for the process that was started
//! and every descendant of it. What cannot be read (a process that just ended) counts as nothing.

use std::fs;
use std::time::Instant;

/// What to look at.
pub(crate) struct Watch {
    /// The contestant's processes.
    processes: Vec<u32>,
    proxy_core: usize,
    ticks_per_second: f64,
}

/// User and system seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// Seconds that a core spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Core {
    /// Not idle: in processes and in interrupts.
    pub(crate) busy: f64,
    /// Taken away by the hypervisor.
    pub(crate) stolen: f64,
}

/// Counters at one moment.
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    pub(crate) proxy: Cpu,
    /// This process: origins and load generator.
    pub(crate) load: Cpu,
    pub(crate) core: Core,
}

/// Memory of the contestant's processes together, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Sum of the peaks of resident memory.
    pub(crate) peak: u64,
    /// Resident now, shared pages divided among those who share them.
    pub(crate) proportional: u64,
}

impl Watch {
    /// Watches `root` and its descendants.
    pub(crate) fn new(root: u32, proxy_core: usize, ticks_per_second: f64) -> Self {
        Self { processes: family(root), proxy_core, ticks_per_second }
    }

    pub(crate) fn processes(&self) -> usize {
        self.processes.len()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut proxy = Cpu::default();
        for &process in &self.processes {
            let cpu = self.cpu(process);
            proxy.user += cpu.user;
            proxy.system += cpu.system;
        }
        let load = self.cpu(std::process::id());
        Snapshot { at: Instant::now(), proxy, load, core: self.core() }
    }

    pub(crate) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for &process in &self.processes {
            memory.peak += kibibytes(process, "status", "VmHWM:") * 1024;
            memory.proportional += kibibytes(process, "smaps_rollup", "Pss:") * 1024;
        }
        memory
    }

    fn cpu(&self, process: u32) -> Cpu {
        let read = stat(process).unwrap_or_default();
        let seconds = |field: usize| {
            let ticks = read.get(field).and_then(|text| text.parse::<f64>().ok());
            ticks.unwrap_or(0.0) / self.ticks_per_second
        };
        // Fields 14 and 15 of stat(5), counted from the state (field 3).
        Cpu { user: seconds(11), system: seconds(12) }
    }

    fn core(&self) -> Core {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let name = format!("cpu{} ", self.proxy_core);
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_default();
        let ticks: Vec<f64> = line.split(' ').filter_map(|text| text.parse().ok()).collect();
        let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = ticks[..] else {
            return Core::default();
        };
        Core {
            busy: (user + nice + system + irq + softirq) / self.ticks_per_second,
            stolen: steal / self.ticks_per_second,
        }
    }
}

/// The fields of `/proc/PID/stat` from the state on; the name before it may hold anything.
fn stat(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// `root` and all its descendants.
fn family(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            let parent = stat(process)?.get(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut looked_at = 0;
    while let Some(&parent) = found.get(looked_at) {
        found.extend(all.iter().filter(|(_, of)| *of == parent).map(|(process, _)| process));
        looked_at += 1;
    }
    found
}

/// A `Name:  123 kB` line of a file about a process.
fn kibibytes(process: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
