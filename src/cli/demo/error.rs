//! What can keep the demo from playing.

use std::io;
use std::net::SocketAddr;

use crate::app::AppError;

/// Why the demo cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// The part of it that threads need.
    #[error("cannot start the demo")]
    Runtime(#[source] io::Error),
    /// Something of the temporary directory.
    #[error("cannot write the demo's configuration to a temporary directory")]
    Files(#[source] io::Error),
    /// No free port.
    #[error("found no free port on loopback")]
    NoPort(#[source] io::Error),
    /// A port that was asked for.
    #[error(
        "port {} is taken or not allowed; choose another with --port, or leave it out for free ports",
        .address.port()
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// Why it cannot be had.
        source: io::Error,
    },
    /// This program cannot be started again for an origin.
    #[error("cannot start an origin process")]
    Spawn(#[source] io::Error),
    /// An origin ended instead of listening.
    #[error("the origin of {region} did not start on {address}: {words}")]
    Origin {
        /// Its region.
        region: &'static str,
        /// Where it should listen.
        address: SocketAddr,
        /// What it said.
        words: String,
    },
    /// An origin could not be killed.
    #[error("cannot kill the origin of {region}")]
    Kill {
        /// Its region.
        region: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Rhumb itself.
    #[error("Rhumb did not start")]
    App(#[source] AppError),
    /// The terminal.
    #[error("cannot use the terminal; try --script")]
    Terminal(#[source] io::Error),
    /// The controller has ended.
    #[error("Rhumb's controller has ended; this is a bug")]
    ControllerGone,
    /// A signal.
    #[error("interrupted")]
    Interrupted,
}
