//! Lines as others read them, and the writer with real files, pipes and sockets.

mod lines;
mod logger;
mod targets;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Name;
use super::logger::{Ending, Sheet};
use crate::config::{AccessLog, LogFormat, LogTarget, LoggedQuery};

fn settings(to: LogTarget) -> AccessLog {
    AccessLog {
        to,
        format: LogFormat::Json,
        sample: 1.0,
        query: LoggedQuery::Redact,
        headers: Vec::new(),
    }
}

fn sheet(settings: AccessLog) -> Rc<Sheet> {
    Sheet::of(Some(&Arc::new(settings)), None).unwrap()
}

fn name(text: &str) -> Rc<Name> {
    Rc::new(Name::new(text))
}

fn ending(status: u16) -> Ending<'static> {
    let duration = Duration::from_micros(12_345);
    Ending { status, duration, peer: b"192.0.2.7", secured: None, entropy: 1 << 63 }
}

fn object(line: &[u8]) -> Value {
    let text = line.strip_suffix(b"\n").expect("the end of the line");
    assert!(!text.contains(&b'\n'));
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}
