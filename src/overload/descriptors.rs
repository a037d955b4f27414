//! Descriptors: how many the process may have and has, and how they are shared out.

use std::fs::File;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::model::limits::{
    DESCRIPTORS_MAX, DESCRIPTORS_PER_WORKER, DESCRIPTORS_RESERVED, REFUSALS_LINGERING,
};

/// Says in its size how many are open (Linux 6.2).
const OPEN: &str = "/proc/self/fd";

/// Lets the process have as many descriptors as it may give itself. Returns how many that are.
pub fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = DESCRIPTORS_MAX.min(maximum.unwrap_or(DESCRIPTORS_MAX));
    let before = current.unwrap_or(DESCRIPTORS_MAX);
    if before >= most {
        return before;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }) {
        Ok(()) => most,
        Err(error) => {
            tracing::warn!(%error, "the limit of descriptors stays at {before}");
            before
        }
    }
}

/// Counts those that are open.
#[derive(Debug)]
pub struct Descriptors {
    dir: Option<File>,
    /// How many there may be.
    pub limit: u64,
}

impl Descriptors {
    /// Counts against this limit.
    pub fn against(limit: u64) -> Self {
        Self { dir: File::open(OPEN).ok(), limit }
    }

    /// How many are open; `None`: the system does not say.
    pub fn open(&self) -> Option<u64> {
        // One is always there, so none at all is an older system that does not say.
        let count = self.dir.as_ref()?.metadata().ok()?.len();
        Some(count).filter(|count| *count > 0)
    }
}

/// What one worker may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Client connections.
    pub connections: usize,
    /// Refused connections that have not gone yet.
    pub refusals: usize,
}

impl Shares {
    /// Shares so many descriptors out among so many workers: for every client connection there is
    /// one to an endpoint, and some are left for everything else.
    pub fn of(limit: u64, workers: usize) -> Self {
        let workers = u64::try_from(workers.max(1)).unwrap_or(u64::MAX);
        let own =
            DESCRIPTORS_RESERVED.saturating_add(workers.saturating_mul(DESCRIPTORS_PER_WORKER));
        // Of very few, half.
        let reserved = own.max(limit / 8).min(limit / 2);
        let each = limit.saturating_sub(reserved) / workers;
        let each = usize::try_from(each).unwrap_or(usize::MAX);
        let refusals = (each / 8).clamp(1, REFUSALS_LINGERING);
        Self { connections: (each.saturating_sub(refusals) / 2).max(1), refusals }
    }
}

/// Whether it is this side that had something missing: descriptors or memory. The other side of a
/// connection is not to blame then. Ports that have run out are another thing: they have towards one
/// address only, and others can be reached.
pub fn is_shortage(error: &io::Error) -> bool {
    let missing = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let code = error.raw_os_error();
    code.is_some_and(|code| missing.iter().any(|missing| missing.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::CONNECTIONS_PER_WORKER;

    #[test]
    fn there_is_a_descriptor_to_an_endpoint_for_every_client_and_some_are_left() {
        for (limit, workers, connections) in
            [(256, 2, 43), (256, 1, 88), (1_024, 2, 196), (20_000, 2, 4_247), (64, 2, 7), (1, 8, 1)]
        {
            let shares = Shares::of(limit, workers);
            assert_eq!(shares.connections, connections, "{limit} for {workers}");
            let used = (2 * shares.connections + shares.refusals) * workers;
            assert!(limit < 64 || (used as u64) < limit, "{limit} for {workers}: {used}");
        }
        assert_eq!(Shares::of(u64::MAX, 0).refusals, REFUSALS_LINGERING);
    }

    /// What docs/operations.md asks for.
    #[test]
    fn with_24_000_a_worker_all_connections_fit() {
        for workers in 1..=64 {
            let Shares { connections, .. } = Shares::of(24_000 * workers as u64, workers);
            assert!(connections >= CONNECTIONS_PER_WORKER, "{connections} for {workers}");
        }
    }

    #[test]
    fn what_is_open_is_counted() {
        let descriptors = Descriptors::against(1_000);
        let Some(before) = descriptors.open() else { return };
        let more: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        // Other tests open and close some meanwhile.
        assert!(descriptors.open().unwrap() + 25 > before + more.len() as u64);
    }

    #[test]
    fn the_limit_is_what_was_there_at_least() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_MAX);
        assert!(raise() >= before.min(DESCRIPTORS_MAX));
        assert!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) >= before);
    }

    #[test]
    fn a_shortage_is_nobody_elses_fault() {
        let is = |errno: Errno| is_shortage(&io::Error::from_raw_os_error(errno.raw_os_error()));
        assert!(is(Errno::MFILE) && is(Errno::NFILE) && is(Errno::NOBUFS) && is(Errno::NOMEM));
        assert!(!is(Errno::CONNREFUSED) && !is(Errno::NETUNREACH) && !is(Errno::ADDRNOTAVAIL));
        assert!(!is_shortage(&io::Error::from(io::ErrorKind::TimedOut)));
    }
}
