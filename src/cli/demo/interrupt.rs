//! Signals that end the demo: it must not leave processes or files behind.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::error::DemoError;

/// Becomes true when a signal has come.
pub(super) type Interrupted = watch::Receiver<bool>;

/// Listens for SIGINT, SIGTERM and SIGHUP, on a thread of its own because the one that draws waits
/// for keys.
pub(super) fn listen() -> Result<Interrupted, DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(DemoError::Runtime)?;
    let (seen, interrupted) = watch::channel(false);
    let mut signals = {
        let _inside = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(signal);
        let wrong = DemoError::Runtime;
        [a.map_err(wrong)?, b.map_err(wrong)?, c.map_err(wrong)?]
    };
    let thread = std::thread::Builder::new().name("demo-signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let [interrupt, terminate, hangup] = &mut signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                () = seen.closed() => {}
            }
            // Nobody listens any more when the demo has ended by itself.
            let _ = seen.send(true);
        });
    });
    thread.map_err(DemoError::Runtime)?;
    Ok(interrupted)
}
