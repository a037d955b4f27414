//! The signals that a running Rhumb understands.

use std::fmt;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Terminate,
    Interrupt,
}

impl Ending {
    /// What a program that ends by it ends with.
    pub(super) fn exit_code(self) -> u8 {
        let number = match self {
            Self::Terminate => SignalKind::terminate().as_raw_value(),
            Self::Interrupt => SignalKind::interrupt().as_raw_value(),
        };
        u8::try_from(128 + number).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// A signal to do something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: open the file of the access log again.
    Reopen,
    /// SIGUSR2: start the binary on disk in this one's place.
    Upgrade,
    /// SIGTERM or SIGINT.
    End(Ending),
}

/// All of them.
#[derive(Debug)]
pub(super) struct Signals {
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Nobody waits for it, but it would end the process when a log grows beyond a limit on the
    /// size of files; so the log sees an error instead.
    _file_size: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.hangup.recv() => Wanted::Reload,
            _ = self.user1.recv() => Wanted::Reopen,
            _ = self.user2.recv() => Wanted::Upgrade,
            _ = self.terminate.recv() => Wanted::End(Ending::Terminate),
            _ = self.interrupt.recv() => Wanted::End(Ending::Interrupt),
        }
    }

    /// The next one to end.
    pub(super) async fn end(&mut self) -> Ending {
        loop {
            if let Wanted::End(ending) = self.next().await {
                return ending;
            }
        }
    }
}
