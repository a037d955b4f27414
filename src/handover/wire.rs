//! Lines and descriptors over a Unix socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::message::Message;
use crate::model::limits;

/// Why two processes did not understand each other.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The socket is broken.
    #[error("the socket between the two processes does not work")]
    Io(#[from] io::Error),
    /// It ended.
    #[error("the other process has hung up")]
    HungUp,
    /// A line is too long.
    #[error("the other process says more than {} bytes at once", limits::HANDOVER_MESSAGE_BYTES)]
    TooLong,
    /// More descriptors came than can be meant.
    #[error("the other process sends more descriptors than it speaks of")]
    TooMany,
    /// A line is not one of these.
    #[error("the other process does not make sense")]
    Nonsense(#[source] serde_json::Error),
    /// A line that does not belong there.
    #[error("the other process says something else than it should")]
    OutOfTurn,
    /// It gave up.
    #[error("{0}")]
    Failed(String),
}

/// Why the process that listens somewhere is not spoken with.
#[derive(Debug)]
pub(super) enum ReachError {
    /// There is none.
    Nobody,
    /// It is this user's.
    Stranger(u32),
    Io(io::Error),
}

/// One end.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    read: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, read: Vec::new(), descriptors: VecDeque::new() }
    }

    /// To the process that listens at `path`.
    pub(super) async fn to(path: &Path) -> Result<Self, ReachError> {
        let wire = match UnixStream::connect(path).await {
            Ok(stream) => Self::new(stream),
            Err(error) if is_nobody(&error) => return Err(ReachError::Nobody),
            Err(error) => return Err(ReachError::Io(error)),
        };
        match wire.peer_uid().map_err(ReachError::Io)? {
            uid if is_friend(uid) => Ok(wire),
            uid => Err(ReachError::Stranger(uid)),
        }
    }

    /// From a socket that was opened by other means.
    pub(super) fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::from(descriptor);
        stream.set_nonblocking(true)?;
        Ok(Self::new(UnixStream::from_std(stream)?))
    }

    /// Who is at the other end.
    pub(super) fn peer_uid(&self) -> io::Result<u32> {
        Ok(self.stream.peer_cred()?.uid())
    }

    /// Says a line, with at most [`limits::HANDOVER_SOCKETS`] descriptors.
    pub(super) async fn say(
        &self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), WireError> {
        let mut line = serde_json::to_vec(message).map_err(WireError::Nonsense)?;
        line.push(b'\n');
        let (mut rest, mut with) = (&line[..], descriptors);
        while !rest.is_empty() {
            let send = || Ok(send(&self.stream, rest, with)?);
            let count = self.stream.async_io(Interest::WRITABLE, send).await?;
            rest = rest.get(count..).unwrap_or_default();
            // They went with the first byte.
            with = &[];
        }
        Ok(())
    }

    /// The next line that is known, or why the other process gives up.
    pub(super) async fn hear(&mut self) -> Result<Message, WireError> {
        loop {
            let line = self.line().await?;
            match serde_json::from_slice(&line).map_err(WireError::Nonsense)? {
                Message::Unknown => {}
                Message::Failed { reason } => return Err(WireError::Failed(reason)),
                message => return Ok(message),
            }
        }
    }

    /// The descriptors that came with a line.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<OwnedFd>, WireError> {
        if self.descriptors.len() < count {
            return Err(WireError::OutOfTurn);
        }
        Ok(self.descriptors.drain(..count).collect())
    }

    async fn line(&mut self) -> Result<Vec<u8>, WireError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            if self.read.len() > limits::HANDOVER_MESSAGE_BYTES {
                return Err(WireError::TooLong);
            }
            let (stream, read, descriptors) = (&self.stream, &mut self.read, &mut self.descriptors);
            let receive = || receive(stream, read, descriptors);
            if self.stream.async_io(Interest::READABLE, receive).await? == 0 {
                return Err(WireError::HungUp);
            }
            if self.descriptors.len() > 2 * limits::HANDOVER_SOCKETS {
                return Err(WireError::TooMany);
            }
        }
    }
}

/// Whether a process of that user may hand over to this one, and the other way round.
pub(super) fn is_friend(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Whether nobody listens there.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn send(stream: &UnixStream, bytes: &[u8], with: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::HANDOVER_SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !with.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(with)) {
        return Err(rustix::io::Errno::MSGSIZE);
    }
    sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
}

fn receive(
    stream: &UnixStream,
    read: &mut Vec<u8>,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::HANDOVER_SOCKETS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4096];
    let into = &mut [IoSliceMut::new(&mut bytes)];
    // Descriptors are not for the programs that this one may start.
    let received = recvmsg(stream, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    read.extend_from_slice(bytes.get(..received.bytes).unwrap_or_default());
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::super::message::{Passed, Role};
    use super::*;

    async fn hear(wire: &mut Wire) -> Result<Message, WireError> {
        tokio::time::timeout(limits::THREAD_ANSWER, wire.hear()).await.expect("something to hear")
    }

    fn pair() -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        (Wire::new(one), Wire::new(other))
    }

    #[tokio::test]
    async fn descriptors_belong_to_their_lines() {
        let (old, mut new) = pair();
        let sockets: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let configured = "127.0.0.1:0".parse().unwrap();
        let passed = Passed { role: Role::Listener, configured, kept: false };
        let line = |count, last| Message::Sockets { sockets: vec![passed; count], last };
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        old.say(&line(2, false), &fds[..2]).await.unwrap();
        old.say(&line(1, true), &fds[2..]).await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..2 {
            let Message::Sockets { sockets, .. } = hear(&mut new).await.unwrap() else { panic!() };
            heard.extend(new.take(sockets.len()).unwrap());
        }
        for (sent, heard) in sockets.iter().zip(heard) {
            let heard = TcpListener::from(heard).local_addr().unwrap();
            assert_eq!(heard, sent.local_addr().unwrap());
        }
        assert!(matches!(new.take(1), Err(WireError::OutOfTurn)));
    }

    #[tokio::test]
    async fn what_is_too_long_nonsense_or_over_is_an_error() {
        let (old, mut new) = pair();
        drop(old);
        assert!(matches!(hear(&mut new).await, Err(WireError::HungUp)));
        for (bytes, expected) in [
            (vec![b'x'; limits::HANDOVER_MESSAGE_BYTES + 8192], "says more than"),
            (b"[]\n".to_vec(), "does not make sense"),
            (b"{\"say\":\"failed\",\"reason\":\"no\"}\n".to_vec(), "no"),
        ] {
            let (old, mut new) = pair();
            let writing = tokio::spawn(async move {
                let mut old = old;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut old.stream, &bytes).await;
            });
            let error = hear(&mut new).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            drop(new);
            writing.await.unwrap();
        }
    }
}
