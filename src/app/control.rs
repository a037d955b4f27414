//! The control thread: the controller, its probes and the admin address on one runtime.

use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::pressure;
use crate::admin::AdminServer;
use crate::failover::Controller;

/// The running control thread.
#[derive(Debug)]
pub(super) struct ControlThread {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl ControlThread {
    pub(super) fn start(
        controller: Controller,
        admin: AdminServer,
        pressure: pressure::Watch,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("rhumb-control".to_owned()).spawn(move || {
            runtime.block_on(async move {
                // Tasks of their own, so that one that panics does not take the other with it.
                let controller = tokio::spawn(controller.run());
                let admin = tokio::spawn(admin.serve());
                let pressure = tokio::spawn(pressure.run());
                let aborts =
                    [controller.abort_handle(), admin.abort_handle(), pressure.abort_handle()];
                tokio::spawn(async move {
                    report("controller: the table can no longer change", controller).await;
                });
                tokio::spawn(async move { report("admin address", admin).await });
                tokio::spawn(async move { report("memory and descriptors", pressure).await });
                // Dropping the sender is as good as using it.
                let _ = stopped.await;
                for abort in aborts {
                    abort.abort();
                }
            });
        })?;
        Ok(Self { stop, thread })
    }

    pub(super) fn stop(self) -> bool {
        drop(self.stop);
        self.thread.join().is_ok()
    }
}

/// Says loudly that a part of the control side has ended. Requests keep flowing on the last table.
async fn report(part: &str, task: JoinHandle<()>) {
    match task.await {
        Ok(()) => {}
        Err(error) if error.is_cancelled() => {}
        Err(error) => tracing::error!(%error, "{part}: ended by a panic; this is a bug"),
    }
}
