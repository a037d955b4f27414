//! Listening sockets: one a worker and address, so that the kernel spreads connections and no
//! worker waits for another.
//!
//! What is bound here may also have been bound by somebody else, who passed it on: an older
//! process, or systemd. Who accepts from which socket is decided here; accepting is `accept`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use crate::model::limits;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", advice(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken by another process; stop it or choose another port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

/// The sockets of one address. They are open as long as this or a clone of one lives.
#[derive(Debug)]
pub struct Bound {
    /// As it is in the configuration.
    pub configured: SocketAddr,
    /// The same with the port that the system chose, if it did.
    pub address: SocketAddr,
    /// Whoever bound them has them for good: systemd.
    pub kept: bool,
    /// Another process may have them by now.
    offered: bool,
    sockets: Vec<TcpListener>,
}

impl Bound {
    /// Opens a socket for each of `workers`. Port 0 becomes the same free port for all of them.
    /// `own` are addresses that this process listens on already.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub fn open(
        configured: SocketAddr,
        workers: usize,
        own: &[SocketAddr],
    ) -> Result<Self, BindError> {
        let error = |source| BindError { address: configured, source };
        if !own.iter().any(|own| overlap(*own, configured)) {
            ensure_free(configured).map_err(error)?;
        }
        let first = open(configured).map_err(error)?;
        let address = first.local_addr().map_err(error)?;
        let mut sockets = vec![first];
        for _ in 1..workers {
            sockets.push(open(address).map_err(error)?);
        }
        Ok(Self { configured, address, kept: false, offered: false, sockets })
    }

    /// Takes sockets over that somebody else has bound, and that are `kept` there or not; all of
    /// them listen on one address.
    ///
    /// # Errors
    ///
    /// When one of them is not a socket that listens.
    pub fn inherit(
        configured: SocketAddr,
        sockets: Vec<TcpListener>,
        kept: bool,
    ) -> Result<Self, BindError> {
        let error = |source| BindError { address: configured, source };
        let mut address = configured;
        for socket in &sockets {
            socket.set_nonblocking(true).map_err(error)?;
            // Whoever passed it on may have bound it without listening, or with a short queue.
            let known = SockRef::from(socket);
            known.listen(limits::LISTEN_BACKLOG).map_err(error)?;
            set_for_connections(&known).map_err(error)?;
            // Usually there is none. Whoever had it before may have turned clients away.
            let _ = known.detach_filter();
            address = socket.local_addr().map_err(error)?;
        }
        Ok(Self { configured, address, kept, offered: false, sockets })
    }

    /// The same sockets once more.
    ///
    /// # Errors
    ///
    /// When no descriptor is free.
    pub fn again(&self) -> Result<Self, BindError> {
        let Self { configured, address, kept, offered, .. } = *self;
        let sockets: io::Result<_> = self.sockets.iter().map(TcpListener::try_clone).collect();
        let sockets = sockets.map_err(|source| BindError { address: configured, source })?;
        Ok(Self { configured, address, kept, offered, sockets })
    }

    /// Another process may accept from them from now on.
    pub fn offer(&mut self) {
        self.offered = true;
    }

    /// Whether [`Bound::offer`] was said.
    pub fn is_offered(&self) -> bool {
        self.offered
    }

    /// Opens sockets until there are enough for `workers`. If that cannot be, some share.
    ///
    /// Connections go to new sockets from now on, so somebody had better accept them.
    pub fn widen(&mut self, workers: usize) {
        while self.sockets.len() < workers {
            match open(self.address) {
                Ok(socket) => self.sockets.push(socket),
                Err(error) => {
                    let address = self.address;
                    tracing::debug!(%address, %error, "workers share sockets");
                    return;
                }
            }
        }
    }

    /// The sockets that each of `workers` accepts from. None is left out, because the kernel goes
    /// on giving it connections.
    ///
    /// # Errors
    ///
    /// When no descriptor is free.
    pub fn shares(&self, workers: usize) -> Result<Vec<Vec<TcpListener>>, BindError> {
        let mut shares: Vec<_> = (0..workers).map(|_| Vec::new()).collect();
        let turns = self.sockets.iter().cycle().take(self.sockets.len().max(workers));
        for (turn, socket) in turns.enumerate() {
            let clone = socket.try_clone();
            let clone = clone.map_err(|source| BindError { address: self.configured, source })?;
            if let Some(share) = shares.get_mut(turn.checked_rem(workers).unwrap_or(0)) {
                share.push(clone);
            }
        }
        Ok(shares)
    }

    /// Where connections go that are accepted here, if that is the same for all of them: not with
    /// a wildcard, and where systemd made the socket, it may be a transparent one.
    pub fn destination(&self) -> Option<SocketAddr> {
        (!self.kept && !self.address.ip().is_unspecified()).then_some(self.address)
    }

    /// All sockets, to pass them on.
    pub fn sockets(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// Turns away who has not begun to connect yet, before the sockets are closed: what a closed
    /// socket has in its queue is reset. Whoever has begun can still finish, and who is turned away
    /// tries again by itself a second later.
    ///
    /// Not where somebody else may have the sockets: a filter is theirs as well, and nothing is
    /// closed as long as they have them.
    pub fn turn_away(&self) {
        if self.kept || self.offered {
            return;
        }
        for socket in &self.sockets {
            if let Err(error) = SockRef::from(socket).attach_filter(&NO_NEW) {
                let address = self.address;
                tracing::debug!(%address, %error, "connections are welcome to the last moment");
            }
        }
    }
}

/// Drops segments that only have SYN of SYN and ACK, and lets all others pass. Written in classic
/// BPF, over the bytes of the TCP header: `ld`, `and`, `jeq`, `ret`.
const NO_NEW: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// Whether two addresses compete for connections.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip());
    let meet = ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified();
    one.port() == other.port() && ip.is_ipv4() == other_ip.is_ipv4() && meet
}

/// `SO_REUSEPORT` would share the port with another Rhumb of the same user without a word, and
/// half of the requests would go to it; so first see whether the port is free.
fn ensure_free(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = socket(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    set_for_connections(&socket)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What connections have from the socket that they are accepted from.
fn set_for_connections(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // Otherwise the kernel takes megabytes for a client that takes nothing, and more of them now and
    // then, which looks like a client that takes something.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_notsent_lowat(limits::UNSENT_BYTES)?;
    Ok(())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // An IPv6 listener is for IPv6, so that 0.0.0.0 and [::] can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        let bound = Bound::open(local(), 3, &[]).unwrap();
        for (workers, expected) in [(1, vec![3]), (2, vec![2, 1]), (3, vec![1; 3]), (5, vec![1; 5])]
        {
            let shares = bound.shares(workers).unwrap();
            let lengths: Vec<_> = shares.iter().map(Vec::len).collect();
            assert_eq!(lengths, expected);
            for socket in shares.iter().flatten() {
                assert_eq!(socket.local_addr().unwrap(), bound.address);
            }
        }
    }

    #[test]
    fn sockets_that_were_passed_on_are_added_to() {
        let first = Bound::open(local(), 2, &[]).unwrap();
        let clones = first.shares(1).unwrap().remove(0);
        let mut second = Bound::inherit(local(), clones, false).unwrap();
        assert_eq!(second.address, first.address);
        second.widen(4);
        assert_eq!(second.sockets().len(), 4);
        second.widen(1);
        assert_eq!(second.sockets().len(), 4);
    }

    #[test]
    fn a_port_of_another_process_is_not_shared_and_one_of_our_own_may_be() {
        let bound = Bound::open(local(), 1, &[]).unwrap();
        let taken = bound.address;
        let error = Bound::open(taken, 1, &[]).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        let all = SocketAddr::new("0.0.0.0".parse().unwrap(), taken.port());
        assert!(Bound::open(all, 1, &[]).is_err());
        assert!(Bound::open(all, 1, &[taken]).is_ok());
    }

    #[test]
    fn who_comes_too_late_is_not_reset() {
        let bound = Bound::open(local(), 1, &[]).unwrap();
        let early = TcpStream::connect(bound.address).unwrap();
        bound.turn_away();
        let brief = std::time::Duration::from_millis(300);
        let late = TcpStream::connect_timeout(&bound.address, brief).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let (_, peer) = bound.sockets()[0].accept().unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
        // Whoever has the socket next is not deaf.
        let next = Bound::inherit(local(), bound.shares(1).unwrap().remove(0), true).unwrap();
        TcpStream::connect_timeout(&next.address, brief).unwrap();
    }

    #[test]
    fn connections_do_not_wait_for_full_segments() {
        let opened = Bound::open(local(), 1, &[]).unwrap();
        let plain = TcpListener::bind(local()).unwrap();
        let inherited = Bound::inherit(local(), vec![plain], false).unwrap();
        for bound in [opened, inherited] {
            let _client = TcpStream::connect(bound.address).unwrap();
            let accepted = bound.sockets()[0].set_nonblocking(false);
            let (accepted, _) = accepted.and_then(|()| bound.sockets()[0].accept()).unwrap();
            assert!(accepted.nodelay().unwrap());
            assert_eq!(bound.destination(), Some(accepted.local_addr().unwrap()));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn for_a_client_that_takes_nothing_the_kernel_takes_little() {
        let bound = Bound::open(local(), 1, &[]).unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(4 << 10).unwrap();
        client.connect(&bound.address.into()).unwrap();
        bound.sockets()[0].set_nonblocking(false).unwrap();
        let (mut accepted, _) = bound.sockets()[0].accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let mut taken = 0;
        while let Ok(more) = std::io::Write::write(&mut accepted, &[0; 64 << 10]) {
            taken += more;
            assert!(taken < 1 << 20, "{taken} bytes");
        }
        assert!(taken >= limits::UNSENT_BYTES as usize);
    }

    #[test]
    fn the_destination_is_known_where_there_is_one() {
        let all = Bound::open("0.0.0.0:0".parse().unwrap(), 1, &[]).unwrap();
        let kept = Bound::inherit(local(), vec![TcpListener::bind(local()).unwrap()], true);
        assert_eq!((all.destination(), kept.unwrap().destination()), (None, None));
    }

    #[test]
    fn nobody_is_turned_away_from_sockets_that_others_have() {
        let sockets = |bound: &Bound| bound.shares(1).unwrap().remove(0);
        let kept = Bound::open(local(), 1, &[]).unwrap();
        let kept = Bound::inherit(local(), sockets(&kept), true).unwrap();
        let mut offered = Bound::open(local(), 1, &[]).unwrap();
        offered.offer();
        for bound in [kept, offered] {
            bound.turn_away();
            TcpStream::connect_timeout(&bound.address, limits::THREAD_ANSWER).unwrap();
        }
    }
}
