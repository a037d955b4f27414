//! Keys that sign Rhumb's own tokens, and the guard against loops, which needs them.
//!
//! No message here repeats anything of a secret.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::Context;
use super::values::{Seen, count, is_name, name, only_one, path};
use crate::bounded_file;
use crate::config::document::NodeId;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::settings::{Hops, SigningKey};
use crate::model::limits::{
    HOPS, HOPS_MAX, SIGNING_KEYS, SIGNING_SECRET_BYTES, SIGNING_SECRET_BYTES_MAX,
};

/// Help where something needs keys and there are none.
pub(super) const ADD_KEYS: &str =
    "add `signing: { keys: [{ id: k1, secret: \"${RHUMB_SECRET}\" }] }`";

const EXAMPLE: &str = "such as `keys: [{ id: k1, secret: \"${RHUMB_SECRET}\" }]`";

pub(super) fn signing(field: &Field<raw::Signing>, cx: Context<'_>) -> Option<Vec<SigningKey>> {
    let raw = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let list = super::elements(&raw.keys, field.at, "keys", EXAMPLE, cx.report)?;
    if list.len() > SIGNING_KEYS {
        let message = format!("{} keys are more than {SIGNING_KEYS}", list.len());
        cx.report.error(raw.keys.at, message, "remove those whose tokens have expired");
        return None;
    }
    let mut seen = Seen::new();
    let mut keys = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let id = key_id(&raw.id, element.at, cx);
        let id = id.filter(|id| seen.first((*id).to_owned(), id, raw.id.at, cx.report));
        let secret = secret(raw, element.at, cx);
        keys.extend(id.zip(secret).map(|(id, secret)| SigningKey { id: id.into(), secret }));
    }
    (keys.len() == list.len()).then_some(keys)
}

/// The id of a key; not repeated when it cannot be one, because it may be the secret.
fn key_id<'f>(field: &'f Field<String>, parent: NodeId, cx: Context<'_>) -> Option<&'f str> {
    let id = cx.report.required(field, parent, "id", "name the key, such as `k1`")?;
    if !is_name(id) {
        let help = "letters, digits, `-`, `_` and `.`, such as `k1`";
        cx.report.error(field.at, "this cannot be the id of a key", help);
        return None;
    }
    Some(id)
}

fn secret(raw: &raw::SigningKey, at: NodeId, cx: Context<'_>) -> Option<Arc<[u8]>> {
    let written =
        [("secret", !raw.secret.is_absent()), ("secret_file", !raw.secret_file.is_absent())];
    let (at, bytes) = match only_one(at, &written, cx.report)? {
        "secret" => (raw.secret.at, raw.secret.value()?.0.clone().into_bytes()),
        _ => {
            let at = raw.secret_file.at;
            let path = path(at, raw.secret_file.value()?, cx)?;
            cx.files.borrow_mut().push(path.clone());
            (at, read(&path).map_err(|error| unreadable(at, &error, cx)).ok()?)
        }
    };
    let length = bytes.len();
    if !(SIGNING_SECRET_BYTES..=SIGNING_SECRET_BYTES_MAX).contains(&length) {
        wrong_length(at, &length.to_string(), cx);
        return None;
    }
    Some(bytes.into())
}

fn wrong_length(at: NodeId, length: &str, cx: Context<'_>) {
    let message = format!(
        "the secret has {length} bytes; it needs {SIGNING_SECRET_BYTES} to \
         {SIGNING_SECRET_BYTES_MAX}"
    );
    cx.report.error(at, message, "make one with `openssl rand -base64 32`");
}

fn unreadable(at: NodeId, error: &io::Error, cx: Context<'_>) {
    let help = match error.kind() {
        ErrorKind::FileTooLarge => {
            return wrong_length(at, &format!("more than {SIGNING_SECRET_BYTES_MAX}"), cx);
        }
        ErrorKind::IsADirectory => "name the file in it",
        _ => "the user that runs rhumb must be able to read it",
    };
    cx.report.error(at, format!("cannot read the file of the secret: {error}"), help);
}

/// The file's bytes without a line break at the end, and no more than a secret may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let line_break = 2;
    let mut bytes = bounded_file::read(path, SIGNING_SECRET_BYTES_MAX as u64 + line_break)?.bytes;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

pub(super) fn hops(field: &Field<raw::Hops>, cx: Context<'_>) -> Option<Hops> {
    let raw = match &field.state {
        State::Absent => return Some(Hops::default()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let most = count(&raw.most, 1..=HOPS_MAX, HOPS, cx.report);
    if raw.id.is_absent() {
        if !cx.report.has_unknown_field(field.at) {
            let message = "without an `id` this Rhumb takes no part in the guard against loops";
            let help = "give it one that no other Rhumb has, or remove `hops`";
            cx.report.warning(field.at, message, help);
        }
        return Some(Hops { id: None, most: most? });
    }
    let id = name(&raw.id, field.at, "id", cx.report);
    if !cx.around.keys {
        let message = "`id` needs keys that sign it, and there are none";
        cx.report.error(raw.id.at, message, format!("add `signing`, {EXAMPLE}"));
    }
    Some(Hops { id: Some(id?.into()), most: most? })
}
