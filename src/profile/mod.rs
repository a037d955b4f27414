//! Where the process spends its time: the kernel looks at every thread many times a second and notes
//! what it is in the middle of.
//!
//! Nothing happens in the threads that are looked at, no signal and no handler, so a profile can harm
//! nothing; it is collected and put into words on a thread of its own. Not here: who may ask (`admin`).

mod encode;
mod flamegraph;
#[cfg(target_os = "linux")]
mod sample;
mod symbols;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is one already.
    #[error("a profile is being made already; there is one at a time")]
    Busy,
    /// The kernel does not let it look at threads.
    #[error(
        "the kernel does not let this process be sampled: it takes `kernel.perf_event_paranoid` of 2 or \
         less, or the capability CAP_PERFMON, and no seccomp filter against perf_event_open"
    )]
    NotPermitted(#[source] io::Error),
    /// The kernel cannot.
    #[error("this system cannot sample processes")]
    Unsupported(#[source] io::Error),
    /// Something else went wrong.
    #[error("the profile could not be made")]
    Failed(#[source] io::Error),
}

/// How a profile is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The protocol buffer that `pprof` reads.
    Pprof,
    /// A flame graph as SVG.
    Svg,
}

/// Makes profiles, one at a time.
#[derive(Clone, Debug, Default)]
pub struct Profiler {
    busy: Arc<AtomicBool>,
}

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Profile {
    /// Names of threads.
    threads: Vec<String>,
    /// How often each stack was seen: the thread by its place, and addresses, innermost first.
    stacks: HashMap<(usize, Vec<u64>), u64>,
    /// Samples that found no room.
    lost: u64,
    /// When it began, and for how long it went on.
    began: Option<SystemTime>,
    duration: Duration,
}

/// Lets the next one begin when it is dropped.
struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Profiler {
    /// Looks at this process for so long, and writes down what was seen. It goes on to its end, whether
    /// or not somebody waits for it.
    ///
    /// # Errors
    ///
    /// When a profile is being made, or the kernel does not let one be made.
    pub async fn record(&self, length: Duration, format: Format) -> Result<Vec<u8>, ProfileError> {
        self.write(format, move || record(length)).await
    }

    /// The same of what `look` has seen.
    async fn write(
        &self,
        format: Format,
        look: impl FnOnce() -> Result<Profile, ProfileError> + Send + 'static,
    ) -> Result<Vec<u8>, ProfileError> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(ProfileError::Busy);
        }
        let turn = Turn(Arc::clone(&self.busy));
        let (done, result) = oneshot::channel();
        let work = move || {
            // Whoever hears of the end, even if it is a panic, can begin the next one.
            let (done, turn) = (done, turn);
            let written = look().map(|profile| match format {
                Format::Pprof => encode::pprof(&profile, &symbols::resolve(&profile)),
                Format::Svg => flamegraph::svg(&profile, &symbols::resolve(&profile)).into_bytes(),
            });
            drop(turn);
            // Whoever asked may have given up.
            let _ = done.send(written);
        };
        let thread = std::thread::Builder::new().name("rhumb-profile".to_owned());
        thread.spawn(work).map_err(ProfileError::Failed)?;
        result.await.unwrap_or_else(|_| Err(ProfileError::Failed(io::Error::other("it panicked"))))
    }
}

#[cfg(target_os = "linux")]
fn record(length: Duration) -> Result<Profile, ProfileError> {
    use rustix::io::Errno;
    sample::record(length).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => ProfileError::NotPermitted(error),
        Some(Errno::NOSYS | Errno::NOENT | Errno::OPNOTSUPP) => ProfileError::Unsupported(error),
        _ => ProfileError::Failed(error),
    })
}

#[cfg(not(target_os = "linux"))]
fn record(_: Duration) -> Result<Profile, ProfileError> {
    Err(ProfileError::Unsupported(io::ErrorKind::Unsupported.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn nothing() -> Result<Profile, ProfileError> {
        Ok(Profile::default())
    }

    #[tokio::test]
    async fn one_is_made_at_a_time() {
        let profiler = Profiler::default();
        let (open, gate) = sync_channel::<()>(0);
        let (begin, begun) = oneshot::channel();
        let first = profiler.write(Format::Pprof, move || {
            // The test waits for that.
            let _ = begin.send(());
            // Ends when the test lets go of the other end.
            let _ = gate.recv();
            nothing()
        });
        let second = async {
            begun.await.unwrap();
            let second = profiler.clone().write(Format::Svg, nothing).await;
            drop(open);
            second
        };
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_ok(), "{first:?}");
        assert!(matches!(second, Err(ProfileError::Busy)), "{second:?}");
        assert!(profiler.write(Format::Svg, nothing).await.is_ok());
    }

    #[tokio::test]
    async fn whatever_becomes_of_one_the_next_can_be_made() {
        let profiler = Profiler::default();
        let refused = || Err(ProfileError::Failed(io::ErrorKind::Other.into()));
        let failed = profiler.write(Format::Pprof, refused).await;
        assert!(matches!(failed, Err(ProfileError::Failed(_))), "{failed:?}");
        let failed = profiler.write(Format::Pprof, || panic!("on purpose")).await;
        assert!(matches!(failed, Err(ProfileError::Failed(_))), "{failed:?}");
        // Nor does it matter that nobody waits for it any more.
        let (open, gate) = sync_channel::<()>(0);
        let look = move || {
            let _ = gate.recv();
            nothing()
        };
        let left = tokio::time::timeout(Duration::ZERO, profiler.write(Format::Pprof, look)).await;
        assert!(left.is_err(), "{left:?}");
        drop(open);
        while let Err(error) = profiler.write(Format::Pprof, nothing).await {
            assert!(matches!(error, ProfileError::Busy), "{error}");
            tokio::task::yield_now().await;
        }
    }
}
