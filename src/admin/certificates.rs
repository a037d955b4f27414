//! Certificates on the admin address: when each expires, as JSON and as metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use serde_json::json;

use super::answer::{Answer, json as answer_json};
use super::source::Admin;
use crate::metrics::{Page, names};
use crate::snapshot::Snapshot;

/// `GET /api/v1/certificates`: every certificate that Rhumb shows, and which endpoints are not verified.
pub(super) fn answer(admin: &Admin) -> Answer {
    let (tls, now) = (&admin.live.load().tls, SystemTime::now());
    let certificates: Vec<_> = tls.shown().into_iter().map(|info| info.report(now)).collect();
    answer_json(&json!({
        "total": certificates.len(),
        "certificates": certificates,
        "insecure_endpoints": tls.insecure_endpoints(),
    }))
}

/// One series for each certificate of a listener, by its first name. Of several with one name (an ECDSA
/// and an RSA one), the first to expire counts.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    let mut expiry: BTreeMap<(SocketAddr, String), i64> = BTreeMap::new();
    for info in snapshot.tls.shown() {
        let Some(listener) = info.listener else { continue };
        let ends = expiry.entry((listener, info.name())).or_insert(info.not_after);
        *ends = info.not_after.min(*ends);
    }
    for ((listener, name), ends) in expiry {
        let labels = [&*listener.to_string(), &*name];
        page.sample(names::TLS_CERTIFICATE_EXPIRY, &labels, ends as f64);
    }
    let insecure = snapshot.tls.insecure_endpoints().len();
    page.sample(names::UPSTREAM_INSECURE, &[], insecure as f64);
}
