//! The origins of the demo: processes of their own, so that killing one is really killing it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::error::DemoError;
use super::places::Place;

/// How often an origin is started again when its port is taken: by a connection that was given
/// the port of an origin while that was dead, and soon ends.
const STARTS: u32 = 20;
/// Between two starts.
const START_PAUSE: Duration = Duration::from_millis(100);
/// Ports for origins: below those that systems give to outgoing connections, so that a killed
/// origin finds its port free when it comes back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports that are tried.
const PORT_DRAWS: u32 = 200;

/// One origin, which may be dead.
#[derive(Debug)]
pub(super) struct Origin {
    place: &'static Place,
    address: SocketAddr,
    child: Option<Child>,
}

/// The end of an origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    /// The process.
    pub(super) pid: u32,
    /// Just before the signal was sent.
    pub(super) at: Instant,
}

impl Origin {
    /// Starts one at that port, and waits until it listens.
    pub(super) fn start(place: &'static Place, port: u16) -> Result<Self, DemoError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut origin = Self { place, address, child: None };
        origin.revive()?;
        Ok(origin)
    }

    /// Where it listens, when it lives.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, while it runs. Somebody else may have killed it.
    pub(super) fn pid(&mut self) -> Option<u32> {
        let child = self.child.as_mut()?;
        if matches!(child.try_wait(), Ok(Some(_))) {
            self.child = None;
        }
        self.child.as_ref().map(Child::id)
    }

    /// Kills it with SIGKILL. `None` when it is dead already.
    pub(super) fn kill(&mut self) -> Result<Option<Death>, DemoError> {
        let Some(mut child) = self.child.take() else { return Ok(None) };
        let death = Death { pid: child.id(), at: Instant::now() };
        let killed = child.kill().and_then(|()| child.wait());
        killed.map_err(|source| DemoError::Kill { region: self.place.id, source })?;
        Ok(Some(death))
    }

    /// Starts it again on its port, unless it lives. Returns its process.
    pub(super) fn revive(&mut self) -> Result<u32, DemoError> {
        if let Some(pid) = self.pid() {
            return Ok(pid);
        }
        let mut starts = 1;
        let child = loop {
            match self.spawn() {
                Ok(child) => break child,
                Err(DemoError::Origin { .. }) if starts < STARTS => {
                    starts += 1;
                    pause(START_PAUSE);
                }
                Err(error) => return Err(error),
            }
        };
        let pid = child.id();
        self.child = Some(child);
        Ok(pid)
    }

    fn spawn(&self) -> Result<Child, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::Spawn)?;
        let mut child = Command::new(program)
            .args(["--log", "error", "origin", "--json", "--until-stdin-closes"])
            .args(["--address", &self.address.to_string(), "--region", self.place.id])
            .args(["--delay-ms", &self.place.delay_ms.to_string()])
            // Held open until this process ends, however it ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the demo, which ends its origins in order.
            .process_group(0)
            .spawn()
            .map_err(DemoError::Spawn)?;
        match ready(&mut child) {
            Ok(()) => Ok(child),
            Err(words) => {
                // It has ended, or does now; either way it must not stay as a zombie.
                let _ = child.kill();
                let _ = child.wait();
                Err(DemoError::Origin { region: self.place.id, address: self.address, words })
            }
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!("{}", crate::cli::report_error(&error));
        }
    }
}

/// Waits for the line that an origin prints when it listens.
fn ready(child: &mut Child) -> Result<(), String> {
    let mut line = String::new();
    let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    if matches!(read, Some(Ok(1..))) {
        return Ok(());
    }
    let mut words = String::new();
    if let Some(stderr) = child.stderr.take() {
        // What cannot be read is not there to be shown.
        let _ = stderr.take(4_096).read_to_string(&mut words);
    }
    let words = words.trim().trim_start_matches("error: ");
    Err(if words.is_empty() { "it ended without a word".to_owned() } else { words.to_owned() })
}

/// A port for each origin: the ones from `first` on, or free ones.
pub(super) fn ports<const N: usize>(first: Option<u16>) -> Result<[u16; N], DemoError> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for (port, i) in ports.iter_mut().zip(0..) {
        // Held until all are chosen, so that none is chosen twice.
        let listener = match first {
            Some(first) => claim(first.saturating_add(i))?,
            None => draw_port()?,
        };
        *port = listener.local_addr().map_err(DemoError::NoPort)?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Makes sure that a port is free.
pub(super) fn claim(port: u16) -> Result<TcpListener, DemoError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map_err(|source| DemoError::PortTaken { address, source })
}

fn draw_port() -> Result<TcpListener, DemoError> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORT_DRAWS {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS))) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(DemoError::NoPort(last))
}

#[expect(clippy::disallowed_methods, reason = "the demo's own thread; no request waits for it")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = claim(port).unwrap_err();
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }

    #[test]
    fn free_ports_differ() {
        let ports: [u16; 3] = ports(None).unwrap();
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }
}
