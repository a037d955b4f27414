//! TLS with clients and with endpoints: versions, protocols, and which files there are.
//!
//! The files are not read here: what is in them is the business of the module `tls`.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::values::{Seen, choice, flag, optional, optional_list, path};
use super::{Context, elements};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State, TextOr};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{
    Alpn, CertificateFiles, ClientCertificates, ListenerTls, TlsVersion, UpstreamTls,
};
use crate::model::limits::CERTIFICATES_PER_LISTENER;

/// Whether a listener speaks HTTP/2, and its TLS; the two have to agree. The outer `None` is an
/// error; the inner one is clear text.
pub(super) fn listener_tls(
    field: &Field<raw::ListenerTls>,
    http2: &Field<bool>,
    cx: Context<'_>,
) -> Option<(bool, Option<ListenerTls>)> {
    let http2_wanted = optional(http2, |wanted| Some(*wanted));
    let raw = match &field.state {
        State::Absent => return Some((http2_wanted?.unwrap_or(true), None)),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let certificates = certificates(&raw.certificates, field.at, cx);
    let min_version = min_version(&raw.min_version, cx.report);
    let alpn = alpn(&raw.alpn, cx.report);
    let client = client(raw, cx);
    let alpn = agreed(alpn?, raw, http2_wanted?, http2.at, cx.report)?;
    let tls = ListenerTls {
        certificates: certificates?,
        min_version: min_version?,
        client: client?,
        alpn,
    };
    Some((tls.alpn.contains(&Alpn::H2), Some(tls)))
}

fn certificates(
    field: &Field<Vec<Field<raw::Certificate>>>,
    parent: NodeId,
    cx: Context<'_>,
) -> Option<Vec<CertificateFiles>> {
    let report = cx.report;
    let help = "such as `certificates: [{ certificate: edge.pem, key: edge.key }]`";
    let list = elements(field, parent, "certificates", help, report)?;
    if list.len() > CERTIFICATES_PER_LISTENER {
        let message =
            format!("{} certificates are more than {CERTIFICATES_PER_LISTENER}", list.len());
        report.error(field.at, message, "one with a wildcard serves many names");
        return None;
    }
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let file = |field: &Field<String>, name, help| {
            let text = report.required(field, element.at, name, help)?;
            path(field.at, text, cx)
        };
        let certificate = file(&raw.certificate, "certificate", "name the chain's file, in PEM");
        let key = file(&raw.key, "key", "name the file of its private key, in PEM");
        let ocsp = optional(&raw.ocsp, |text| path(raw.ocsp.at, text, cx));
        let certificate = certificate.filter(|file| {
            seen.first(file.clone(), &file.display().to_string(), raw.certificate.at, report)
        });
        let files = certificate.zip(key).zip(ocsp);
        all.extend(files.map(|((certificate, key), ocsp)| CertificateFiles {
            certificate,
            key,
            ocsp,
        }));
    }
    (all.len() == list.len()).then_some(all)
}

fn min_version(field: &Field<TextOr<f64>>, report: &Report<'_>) -> Option<TlsVersion> {
    let text = match &field.state {
        State::Absent => return Some(TlsVersion::Tls12),
        State::Broken => return None,
        State::Present(TextOr::Text(text)) => text.clone(),
        State::Present(TextOr::Other(number)) => number.to_string(),
    };
    match text.as_str() {
        "1.2" => return Some(TlsVersion::Tls12),
        "1.3" => return Some(TlsVersion::Tls13),
        "1.0" | "1.1" | "1" => {
            let help = "write \"1.2\": older versions can be broken, and no client of today needs \
                        them";
            report.error(field.at, format!("TLS {text} is not spoken"), help);
        }
        _ => {
            let message = format!("{} is not a version of TLS", Quoted(&text));
            report.error(field.at, message, "write \"1.2\" or \"1.3\"");
        }
    }
    None
}

/// Protocols in order of preference; `None`: an error, and inside it, that none are written.
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn alpn(field: &Field<Vec<Field<raw::Alpn>>>, report: &Report<'_>) -> Option<Option<Vec<Alpn>>> {
    if field.is_absent() {
        return Some(None);
    }
    let read = |_, protocol: &raw::Alpn, _: &Report<'_>| {
        Some(match protocol {
            raw::Alpn::H2 => Alpn::H2,
            raw::Alpn::Http11 => Alpn::Http11,
        })
    };
    optional_list(field, "alpn", report, read, |_, protocol| protocol.as_str().to_owned()).map(Some)
}

/// The protocols of a listener, which offers HTTP/2 if and only if it speaks it.
fn agreed(
    written: Option<Vec<Alpn>>,
    raw: &raw::ListenerTls,
    http2: Option<bool>,
    http2_at: NodeId,
    report: &Report<'_>,
) -> Option<Vec<Alpn>> {
    match (written, http2) {
        (None, Some(false)) => Some(vec![Alpn::Http11]),
        (None, _) => Some(vec![Alpn::H2, Alpn::Http11]),
        (Some(alpn), Some(false)) if alpn.contains(&Alpn::H2) => {
            let message = "`h2` is offered here, and `http2` is false";
            report.error(raw.alpn.at, message, "remove `h2`, or `http2: false`");
            None
        }
        (Some(alpn), Some(true)) if !alpn.contains(&Alpn::H2) => {
            let message = "clients that use TLS get HTTP/2 by `alpn` only, which leaves it out";
            report.error(http2_at, message, "add `h2` to `alpn`, or remove this");
            None
        }
        (Some(alpn), _) => Some(alpn),
    }
}

/// The outer `None` is an error; the inner one is "they are not asked".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn client(raw: &raw::ListenerTls, cx: Context<'_>) -> Option<Option<ClientCertificates>> {
    let ca = optional(&raw.client_ca, |text| path(raw.client_ca.at, text, cx));
    let required = choice(&raw.client_certificates, true, |mode| match mode {
        raw::ClientCertificates::Required => true,
        raw::ClientCertificates::Optional => false,
    });
    if raw.client_ca.is_absent() && !raw.client_certificates.is_absent() {
        let message = "`client_certificates` needs `client_ca`";
        let help = "name the file of who signs your clients' certificates, such as \
                    `client_ca: ca.pem`, or remove this";
        cx.report.error(raw.client_certificates.at, message, help);
        return None;
    }
    let (ca, required) = (ca?, required?);
    Some(ca.map(|ca| ClientCertificates { ca, required }))
}

/// TLS with the endpoints of a region.
pub(super) fn region_tls(
    field: &Field<raw::RegionTls>,
    region: Option<&str>,
    cx: Context<'_>,
) -> Option<UpstreamTls> {
    let default = UpstreamTls::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let name = &raw.server_name;
    let server_name = optional(name, |text| server_name(name.at, text, cx.report));
    let ca = optional(&raw.ca, |text| path(raw.ca.at, text, cx));
    let identity = identity(raw, field.at, cx);
    let alpn = alpn(&raw.alpn, cx.report);
    let insecure = flag(&raw.insecure_skip_verify, default.insecure_skip_verify);
    if insecure == Some(true) {
        let at = raw.insecure_skip_verify.at;
        let of = region.map_or_else(String::new, |id| format!(" of the region {}", Quoted(id)));
        let message = format!(
            "whoever is between Rhumb and the endpoints{of} can read and change everything: their \
             certificates are not verified"
        );
        let help = "name who signs them: `ca: roots.pem`, and `server_name` if they have another";
        cx.report.warning(at, message, help);
        if !raw.ca.is_absent() {
            let message = "`ca` has no effect with `insecure_skip_verify: true`";
            cx.report.warning(raw.ca.at, message, "remove the other one, and this is asked");
        }
    }
    Some(UpstreamTls {
        server_name: server_name?,
        ca: ca?,
        identity: identity?,
        alpn: alpn?.unwrap_or(default.alpn),
        insecure_skip_verify: insecure?,
    })
}

/// A name that can be in a certificate: of a host, or an address.
fn server_name(at: NodeId, text: &str, report: &Report<'_>) -> Option<String> {
    let help = if ServerName::try_from(text).is_ok() {
        return Some(text.to_ascii_lowercase());
    } else if text.contains("://") || text.contains(':') {
        "write it without a scheme and without a port"
    } else if text.contains('*') {
        "write one name that the wildcard stands for: it is asked for as it is"
    } else if !text.is_ascii() {
        "write an international name in its ASCII form (xn--...)"
    } else {
        "such as `api.internal`"
    };
    report.error(at, format!("{} cannot be the name of a server", Quoted(text)), help);
    None
}

/// The certificate and the key that Rhumb shows. The outer `None` is an error; the inner one is
/// "none".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn identity(
    raw: &raw::RegionTls,
    parent: NodeId,
    cx: Context<'_>,
) -> Option<Option<(PathBuf, PathBuf)>> {
    let (certificate, key) = (&raw.client_certificate, &raw.client_key);
    let pair = [("client_certificate", certificate), ("client_key", key)];
    let files = pair.map(|(_, field)| optional(field, |text| path(field.at, text, cx)));
    if certificate.is_absent() != key.is_absent() {
        for (name, _) in pair.iter().filter(|(_, field)| field.is_absent()) {
            cx.report.missing(parent, name, "a certificate is shown with its key: write both");
        }
        return None;
    }
    let [certificate, key] = files;
    Some(certificate?.zip(key?))
}
