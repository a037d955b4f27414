//! Asks the kernel to look at the threads of this process, and collects what it notes.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use perf_event::data::Record;
use perf_event::events::Software;
use perf_event::{Builder, SampleFlag, Sampler};

use super::Profile;
use crate::model::limits;

/// Room for what the kernel notes of a thread between two looks: some ten samples, where one or two are
/// made. Unprivileged processes have half a megabyte of this.
const ROOM_BYTES: usize = 8 << 10;
/// How often what it noted is taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Addresses from here on are words about what follows, and not addresses.
const MARKERS: u64 = u64::MAX - 4_094;

/// Looks at all threads that there are now, but for the one that calls.
///
/// # Errors
///
/// When not even one thread can be looked at.
pub(super) fn record(length: Duration) -> io::Result<Profile> {
    let mut profile = Profile { began: Some(SystemTime::now()), ..Profile::default() };
    let started = Instant::now();
    let mut samplers = open(&mut profile)?;
    while started.elapsed() < length {
        pause(LOOK_INTERVAL.min(length.saturating_sub(started.elapsed())));
        for (thread, sampler) in &mut samplers {
            take(sampler, *thread, &mut profile);
        }
    }
    profile.duration = started.elapsed();
    Ok(profile)
}

#[expect(clippy::disallowed_methods, reason = "the thread has nothing else to do")]
fn pause(length: Duration) {
    std::thread::sleep(length);
}

fn open(profile: &mut Profile) -> io::Result<Vec<(usize, Sampler)>> {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    let mut samplers = Vec::new();
    let mut refused = None;
    for entry in std::fs::read_dir("/proc/self/task")? {
        let id = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(id) = id.filter(|id| *id != own) else { continue };
        let opened = thread(id, true).or_else(|_| thread(id, false));
        match opened {
            Ok(sampler) => {
                samplers.push((profile.threads.len(), sampler));
                profile.threads.push(name(id));
            }
            // It may have ended, or there is no room for more; some are better than none.
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if samplers.is_empty() => Err(error),
        _ => Ok(samplers),
    }
}

/// Time in the kernel counts for what has called it, where the kernel lets it be looked at.
fn thread(id: i32, kernel: bool) -> io::Result<Sampler> {
    let mut counter = Builder::new(Software::CPU_CLOCK)
        .observe_pid(id)
        .any_cpu()
        .sample_frequency(limits::PROFILE_HERTZ)
        .sample(SampleFlag::CALLCHAIN)
        .exclude_kernel(!kernel)
        .exclude_callchain_kernel(true)
        .build()?;
    counter.enable()?;
    counter.sampled(ROOM_BYTES)
}

fn name(id: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
    match name.trim() {
        "" => id.to_string(),
        name => name.to_owned(),
    }
}

fn take(sampler: &mut Sampler, thread: usize, profile: &mut Profile) {
    while let Some(record) = sampler.next_record() {
        match record.parse_record() {
            Ok(Record::Sample(sample)) => {
                let stack = sample.callchain().unwrap_or_default();
                let stack = stack.iter().copied().filter(|address| *address < MARKERS).collect();
                profile.note(thread, stack);
            }
            Ok(Record::Lost(lost)) => profile.lost += lost.lost,
            Ok(_) | Err(_) => {}
        }
    }
}

impl Profile {
    /// Counts a stack; beyond the most that are told apart, only the thread.
    fn note(&mut self, thread: usize, stack: Vec<u64>) {
        let is_full = self.stacks.len() >= limits::PROFILE_STACKS;
        let key = (thread, stack);
        let key =
            if is_full && !self.stacks.contains_key(&key) { (thread, Vec::new()) } else { key };
        *self.stacks.entry(key).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_stacks_are_told_apart_than_there_is_room_for() {
        let mut profile = Profile::default();
        for address in 0..limits::PROFILE_STACKS as u64 + 10 {
            profile.note(1, vec![address]);
        }
        profile.note(1, vec![0]);
        assert_eq!(profile.stacks.len(), limits::PROFILE_STACKS + 1);
        assert_eq!((profile.stacks[&(1, vec![])], profile.stacks[&(1, vec![0])]), (10, 2));
    }
}
