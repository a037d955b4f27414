//! The fields of how the process ends and is replaced, as path and text.

use super::fields::Writer;
use crate::config::settings::{Config, Drain, Upgrade};

pub(super) fn live(config: &Config, out: &mut Writer) {
    let Config { drain: Drain { grace, timeout }, upgrade: Upgrade { socket: _, ready }, .. } =
        config;
    out.seconds("drain.grace_seconds", *grace);
    out.seconds("drain.timeout_seconds", *timeout);
    out.seconds("upgrade.ready_seconds", *ready);
}

/// The socket is bound once.
pub(super) fn restart(config: &Config, out: &mut Writer) {
    out.put_some("upgrade.socket", config.upgrade.socket.as_ref().map(|path| path.display()));
}
