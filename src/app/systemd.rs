//! What systemd is told of this process, and what it passes on. Without systemd nobody listens, and
//! nothing of this has an effect.

use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::config::Config;
use crate::handover::{Inherited, Passed, Role};

/// Serving.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// About to read the configuration again; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd is not told of the reload"),
    }
}

/// About to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process has taken the place of this one.
pub fn succeeded_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid), NotifyState::Ready]);
}

/// All threads are well.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] has to be said, if it has.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero()).map(|period| period / 3)
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, ?what, "systemd does not hear");
    }
}

/// Sockets that systemd has bound (`LISTEN_FDS`): each belongs to the listener, or the admin
/// address, with its address. Has to come before there are other threads.
pub fn passed() -> Vec<std::net::TcpListener> {
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for place in 0..given.len() {
        match given.take_tcp_listener(place) {
            Ok(socket) => sockets.extend(socket),
            Err(error) => tracing::warn!(%error, "systemd has passed on what is no TCP socket"),
        }
    }
    sockets
}

/// Finds what the sockets of systemd are for.
pub fn sort(sockets: Vec<std::net::TcpListener>, config: &Config) -> Inherited {
    let mut inherited = Inherited::new();
    for socket in sockets {
        let Ok(address) = socket.local_addr() else { continue };
        let listener = config.listeners.iter().any(|listener| listener.address == address);
        let role = match listener {
            true => Role::Listener,
            false if is_admin(config, address) => Role::Admin,
            false => {
                let help = "the configuration has no such listener; systemd's socket is not used";
                tracing::warn!(%address, "{help}");
                continue;
            }
        };
        inherited.push(Passed { role, configured: address, kept: true, socket });
    }
    inherited
}

fn is_admin(config: &Config, address: SocketAddr) -> bool {
    config.admin.address == address
}
