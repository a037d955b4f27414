//! The fields of both edges as path and text: listeners, limits, what becomes of requests, and how
//! endpoints are spoken to. Of files only the names are compared: what is in them is reloaded
//! whatever they are called.

use super::fields::{Fields, Writer, ids};
use crate::config::settings::{
    Alpn, CertificateFiles, ClientCertificates, ClientFields, ClientLimits, Config, DotSegments,
    EncodedSlash, GrpcStatuses, HttpsRedirect, Listener, ListenerTls, ProxyProtocolFrom,
    ProxyProtocolVersion, RepeatedSlash, RequestRules, Streams, TlsVersion, Transport, Underscores,
    UpstreamTls,
};

/// What a reload changes of a listener: all but its address.
pub(super) fn listener(listener: &Listener) -> Fields {
    let Listener { address: _, tls, http2, proxy_protocol, redirect, hsts } = listener;
    let mut out = Writer::new();
    if let Some(tls) = tls {
        listener_tls(tls, &mut out);
    }
    out.put("http2", http2);
    if let Some(ProxyProtocolFrom { trusted, required }) = proxy_protocol {
        out.put_list("proxy_protocol.trusted", trusted);
        out.put("proxy_protocol.mode", mode(*required));
    }
    if let Some(HttpsRedirect { port, status }) = redirect {
        out.put("redirect_to_https.port", port);
        out.put("redirect_to_https.status", status);
    }
    out.put_some("hsts", hsts.as_ref().and_then(|value| value.to_str().ok()));
    out.done()
}

fn listener_tls(tls: &ListenerTls, out: &mut Writer) {
    let ListenerTls { certificates, min_version, alpn: protocols, client } = tls;
    out.put_list("tls.certificates", certificates.iter().map(certificate));
    let version = match min_version {
        TlsVersion::Tls12 => "1.2",
        TlsVersion::Tls13 => "1.3",
    };
    out.put("tls.min_version", version);
    out.put("tls.alpn", alpn(protocols));
    if let Some(ClientCertificates { ca, required }) = client {
        out.put("tls.client_ca", ca.display());
        out.put("tls.client_certificates", mode(*required));
    }
}

fn certificate(CertificateFiles { certificate, key, ocsp }: &CertificateFiles) -> String {
    let staple = ocsp.as_ref().map_or_else(String::new, |file| format!(", {}", file.display()));
    format!("{} ({}{staple})", certificate.display(), key.display())
}

fn alpn(protocols: &[Alpn]) -> String {
    ids(protocols.iter().map(|protocol| protocol.as_str()))
}

fn mode(required: bool) -> &'static str {
    if required { "required" } else { "optional" }
}

/// What holds for all clients and all endpoints.
pub(super) fn everywhere(config: &Config, out: &mut Writer) {
    let Config { client_fields, limits, requests: rules, origin_networks, .. } = config;
    let ClientFields { forwarded, certificate } = client_fields;
    out.put("client.forwarded_header", forwarded);
    out.put("client.certificate_header", certificate);
    let ClientLimits {
        connections_per_worker,
        connections_per_client,
        streams_per_connection,
        uri_bytes,
        header_bytes,
    } = limits;
    out.put("limits.connections_per_worker", connections_per_worker);
    out.put_some("limits.connections_per_client", connections_per_client.as_ref());
    out.put("limits.streams_per_connection", streams_per_connection);
    out.put("limits.uri_bytes", uri_bytes);
    out.put("limits.header_bytes", header_bytes);
    requests(rules, out);
    out.put_list("origins.allow", origin_networks);
}

fn requests(rules: &RequestRules, out: &mut Writer) {
    let RequestRules { encoded_slash, repeated_slash, dot_segments, underscores } = rules;
    let word = match encoded_slash {
        EncodedSlash::Keep => "keep",
        EncodedSlash::Refuse => "refuse",
        EncodedSlash::Decode => "decode",
    };
    out.put("requests.encoded_slash", word);
    let word = match repeated_slash {
        RepeatedSlash::Merge => "merge",
        RepeatedSlash::Keep => "keep",
        RepeatedSlash::Refuse => "refuse",
    };
    out.put("requests.repeated_slash", word);
    let word = match dot_segments {
        DotSegments::Resolve => "resolve",
        DotSegments::Refuse => "refuse",
    };
    out.put("requests.dot_segments", word);
    let word = match underscores {
        Underscores::Drop => "drop",
        Underscores::Keep => "keep",
        Underscores::Refuse => "refuse",
    };
    out.put("requests.underscores", word);
}

/// How the endpoints of a region are spoken to.
pub(super) fn transport(transport: &Transport, out: &mut Writer) {
    let Transport { proxy_protocol, tls } = transport;
    let version = proxy_protocol.map(|version| match version {
        ProxyProtocolVersion::V1 => "v1",
        ProxyProtocolVersion::V2 => "v2",
    });
    out.put_some("proxy_protocol", version);
    let UpstreamTls { server_name, ca, identity, alpn: protocols, insecure_skip_verify } = tls;
    out.put_some("tls.server_name", server_name.as_ref());
    out.put_some("tls.ca", ca.as_ref().map(|path| path.display()));
    if let Some((certificate, key)) = identity {
        out.put("tls.client_certificate", certificate.display());
        out.put("tls.client_key", key.display());
    }
    out.put("tls.alpn", alpn(protocols));
    out.put("tls.insecure_skip_verify", insecure_skip_verify);
}

/// How bodies, upgrades and streams of a deployment travel.
pub(super) fn streams(streams: &Streams, grpc_statuses: GrpcStatuses, out: &mut Writer) {
    let Streams { upgrades, max_body_bytes, exempt, idle } = streams;
    out.put("upgrades", ids(upgrades));
    out.put_some("max_body_bytes", max_body_bytes.as_ref());
    out.put("streaming", exempt);
    out.seconds("timeouts.stream_idle_seconds", *idle);
    out.put("retries.grpc_statuses", ids(grpc_statuses.names()));
}
