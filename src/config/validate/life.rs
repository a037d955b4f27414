//! How the process ends, and how another one takes its place.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use super::Context;
use super::values::{optional, seconds};
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::settings::{Drain, Upgrade};
use crate::model::limits::{
    DRAIN_GRACE_MAX, DURATION_MAX, SOCKET_PATH_BYTES, UPGRADE_READY_MAX, UPGRADE_READY_MIN,
};

pub(super) fn drain(field: &Field<raw::Drain>, cx: Context<'_>) -> Option<Drain> {
    let default = Drain::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let range = Duration::ZERO..=DRAIN_GRACE_MAX;
    let grace = seconds(&raw.grace_seconds, range, default.grace, cx.report);
    let range = Duration::ZERO..=DURATION_MAX;
    let timeout = seconds(&raw.timeout_seconds, range, default.timeout, cx.report);
    Some(Drain { grace: grace?, timeout: timeout? })
}

pub(super) fn upgrade(field: &Field<raw::Upgrade>, cx: Context<'_>) -> Option<Upgrade> {
    let default = Upgrade::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let socket = optional(&raw.socket, |path| socket(&raw.socket, path, cx));
    let range = UPGRADE_READY_MIN..=UPGRADE_READY_MAX;
    let ready = seconds(&raw.ready_seconds, range, default.ready, cx.report);
    Some(Upgrade { socket: socket?, ready: ready? })
}

fn socket(field: &Field<String>, text: &str, cx: Context<'_>) -> Option<PathBuf> {
    let path = cx.base_dir.join(text);
    if text.is_empty() || path.as_os_str().as_bytes().len() > SOCKET_PATH_BYTES {
        let message = format!("a socket's path has 1 to {SOCKET_PATH_BYTES} bytes");
        cx.report.error(field.at, message, "such as `/run/rhumb/upgrade.sock`");
        return None;
    }
    Some(path)
}
