//! How names are looked up, as path and text.

use super::fields::{Writer, ids};
use crate::config::settings::Names;

/// How the DNS names of endpoints are looked up.
pub(super) fn names(names: &Names, out: &mut Writer) {
    let Names { servers, min_ttl, max_ttl, timeout } = names;
    if !servers.is_empty() {
        out.put("names.servers", ids(servers));
    }
    out.seconds("names.min_ttl_seconds", *min_ttl);
    out.seconds("names.max_ttl_seconds", *max_ttl);
    out.seconds("names.timeout_seconds", *timeout);
}
