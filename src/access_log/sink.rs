//! Where lines end up: a stream of bytes or a socket of syslog.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::{LogTarget, SyslogAddress};
use crate::model::limits::ACCESS_LOG_RETRY;

/// Others than the owner's group need not know who asks for what.
const MODE: u32 = 0o640;

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the access log {}", .path.display())]
pub struct OpenError {
    /// The file or socket.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// An open target.
#[derive(Debug)]
pub(super) enum Sink {
    Stream(File),
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

/// What became of an attempt to write.
#[derive(Debug)]
pub(super) enum Wrote {
    /// So many bytes are through, one at least.
    Some(usize),
    /// The next line cannot be taken, now or ever: so many bytes are to be left out.
    Unfit(usize),
    /// Nothing was, because it takes a little time.
    Soon,
    /// Nothing was, and trying again later may help.
    Later(io::Error),
    /// Nothing was, and nothing will be.
    Never(io::Error),
}

impl Sink {
    pub(super) fn open(target: &LogTarget) -> Result<Self, OpenError> {
        match target {
            LogTarget::Stdout => {
                let copy = io::stdout().as_fd().try_clone_to_owned();
                let failed = |source| OpenError { path: "/dev/stdout".into(), source };
                Ok(Self::Stream(copy.map_err(failed)?.into()))
            }
            LogTarget::File(path) => open_file(path).map(Self::Stream),
            LogTarget::Syslog { address: SyslogAddress::Unix(path), .. } => {
                let failed = |source| OpenError { path: path.clone(), source };
                unix(path).map(Self::Unix).map_err(failed)
            }
            LogTarget::Syslog { address: SyslogAddress::Udp(address), .. } => {
                let failed = |source| OpenError { path: format!("udp:{address}").into(), source };
                udp(*address).map(Self::Udp).map_err(failed)
            }
        }
    }

    /// Whether it is another one after it was opened anew.
    pub(super) fn is_file(target: &LogTarget) -> bool {
        matches!(target, LogTarget::File(_))
    }

    /// Writes some of `lines`, which are whole, but for the first perhaps.
    pub(super) fn write(&mut self, lines: &[u8]) -> Wrote {
        let line = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1);
        let message = lines.get(..line - 1).unwrap_or(lines);
        let wrote = match self {
            Self::Stream(file) => return stream(file, lines),
            Self::Unix(socket) => socket.send(message),
            Self::Udp(socket) => socket.send(message),
        };
        match wrote {
            Ok(_) => Wrote::Some(line),
            Err(error) => match error.raw_os_error() {
                Some(code) if code == rustix::io::Errno::MSGSIZE.raw_os_error() => {
                    Wrote::Unfit(line)
                }
                // What ICMP says of an earlier message.
                _ if matches!(self, Self::Udp(_)) => Wrote::Unfit(line),
                _ => Wrote::Later(error),
            },
        }
    }
}

fn stream(file: &mut File, lines: &[u8]) -> Wrote {
    loop {
        match file.write(lines) {
            Ok(0) => return Wrote::Later(ErrorKind::WriteZero.into()),
            Ok(count) => return Wrote::Some(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A pipe that somebody has made non-blocking, and that is full.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Wrote::Soon,
            // Nobody is there to read any more.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Wrote::Never(error),
            Err(error) => return Wrote::Later(error),
        }
    }
}

/// Opens a file at its end. A pipe that nobody reads is an error rather than a wait.
pub(super) fn open_file(path: &Path) -> Result<File, OpenError> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE).custom_flags(flags);
    options.open(path).map_err(|source| OpenError { path: path.to_owned(), source })
}

fn unix(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(ACCESS_LOG_RETRY))?;
    Ok(socket)
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    Ok(socket)
}
