//! Certificates on the admin address: when each expires, as JSON and as metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use serde_json::json;

use super::answer::{Answer, json as answer_json};
use super::source::Admin;
use crate::metrics::{Page, names};
use crate::snapshot::Snapshot;
use crate::tls::CertificateInfo;

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

/// One series for each certificate of a listener, by its first name.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    for ((listener, name), ends) in expiries(&snapshot.tls.shown()) {
        let labels = [&*listener.to_string(), &*name];
        page.sample(names::TLS_CERTIFICATE_EXPIRY, &labels, ends as f64);
    }
    let insecure = snapshot.tls.insecure_endpoints().len();
    page.sample(names::UPSTREAM_INSECURE, &[], insecure as f64);
}

/// When the certificates of listeners end. Of several with one name (an ECDSA and an RSA one), the first
/// to end counts: a page may have each series once.
fn expiries(shown: &[&CertificateInfo]) -> BTreeMap<(SocketAddr, String), i64> {
    let mut expiries = BTreeMap::new();
    for info in shown {
        let Some(listener) = info.listener else { continue };
        let ends = expiries.entry((listener, info.name())).or_insert(info.not_after);
        *ends = info.not_after.min(*ends);
    }
    expiries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_listener_has_one_series() {
        let info = |listener: Option<&str>, name: &str, not_after| CertificateInfo {
            listener: listener.map(|address| address.parse().unwrap()),
            file: "f".into(),
            names: [name.to_owned(), "other".to_owned()].into(),
            addresses: Vec::new(),
            subject: String::new(),
            issuer: String::new(),
            not_before: 0,
            not_after,
        };
        let (here, there) = (Some("127.0.0.1:443"), Some("127.0.0.1:444"));
        let infos = [
            info(here, "a", 9),
            info(here, "a", 7),
            info(here, "a", 8),
            info(here, "b", 5),
            info(there, "a", 6),
            info(None, "a", 1),
        ];
        let found: Vec<_> = expiries(&infos.iter().collect::<Vec<_>>()).into_iter().collect();
        let series = |listener: Option<&str>, name: &str, ends| {
            ((listener.unwrap().parse().unwrap(), name.to_owned()), ends)
        };
        assert_eq!(found, [series(here, "a", 7), series(here, "b", 5), series(there, "a", 6)]);
    }
}
