//! Where the admin address is: it can move, and be closed, while it serves.

use std::net::TcpListener;
use std::sync::Arc;

use tokio::sync::watch;

/// A door, open or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Door(Option<Arc<TcpListener>>);

/// Opens and closes the doors of the admin address.
#[derive(Clone, Debug)]
pub struct Doors(watch::Sender<Door>);

impl Doors {
    pub(super) fn new() -> (Self, watch::Receiver<Door>) {
        let (sender, receiver) = watch::channel(Door::default());
        (Self(sender), receiver)
    }

    /// Listens there from now on, and nowhere else. The socket must not block.
    pub fn open(&self, socket: TcpListener) {
        self.0.send_replace(Door(Some(Arc::new(socket))));
    }

    /// Listens nowhere. Who is inside may finish.
    pub fn close(&self) {
        self.0.send_replace(Door::default());
    }
}

impl Door {
    /// The socket, on the runtime that calls.
    pub(super) fn listen(&self) -> Option<tokio::net::TcpListener> {
        let socket = self.0.as_ref()?.try_clone();
        let listener = socket.and_then(tokio::net::TcpListener::from_std);
        listener.map_err(|error| tracing::error!(%error, "the admin address does not work")).ok()
    }
}
