//! The control thread: the controller, its probes and the admin address on one runtime.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::admin::AdminServer;
use crate::failover::Controller;
use crate::server::BindError;

/// The running control thread.
#[derive(Debug)]
pub(super) struct ControlThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl ControlThread {
    pub(super) fn start(controller: Controller, admin: AdminServer) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::Builder::new().name("rhumb-control".to_owned()).spawn(move || {
                runtime.block_on(async move {
                    // Tasks of their own, so that one that panics does not take the other with it.
                    let controller = tokio::spawn(controller.run());
                    let admin = tokio::spawn(admin.serve());
                    // Dropping the sender is as good as using it.
                    let _ = stopped.await;
                    admin.abort();
                    controller.abort();
                });
            })?;
        Ok(Self { stop, thread })
    }

    pub(super) fn stop(self) -> bool {
        drop(self.stop);
        self.thread.join().is_ok()
    }
}

/// Opens the admin address.
pub(super) fn bind_admin(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(address).map_err(|source| BindError { address, source })?;
    listener.set_nonblocking(true).map_err(|source| BindError { address, source })?;
    Ok(listener)
}
