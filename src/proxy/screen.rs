//! Is this request one that may be forwarded, and to which host and path: one parse, one meaning.
//!
//! hyper has already refused what is not HTTP. Here is refused what is HTTP but could mean one
//! thing to Rhumb and another to an origin, and what has several forms is brought into one: before
//! anything is decided, so that what is decided is what is forwarded.

use http::header::{CONTENT_LENGTH, COOKIE, TE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Version, request::Parts};

use super::error::ErrorReason;
use super::host::{HostName, host};
use super::present::Present;
use super::target::{has_form_for_its_method, length, normalise};
use crate::config::{Config, Underscores};

/// Checks a request's head, brings it into its normal form, and finds its host.
///
/// # Errors
///
/// The reason for the refusal; nothing of the request may reach an origin then.
pub fn screen(
    parts: &mut Parts,
    present: &mut Present,
    config: &Config,
    ambiguous: bool,
) -> Result<HostName, ErrorReason> {
    if ambiguous {
        return Err(ErrorReason::Malformed);
    }
    if parts.method == Method::CONNECT {
        return Err(ErrorReason::NotImplemented);
    }
    if length(&parts.uri) > config.limits.uri_bytes {
        return Err(ErrorReason::UriTooLong);
    }
    if let Some(scheme) = parts.uri.scheme()
        && *scheme != Scheme::HTTP
        && *scheme != Scheme::HTTPS
    {
        return Err(ErrorReason::Malformed);
    }
    if !has_form_for_its_method(parts) {
        return Err(ErrorReason::Malformed);
    }
    normalise(&mut parts.uri, &config.requests)?;
    if parts.version == Version::HTTP_2 {
        http_2(&mut parts.headers, present)?;
    }
    transfer_coding(present)?;
    if let Some(length) = present.length_to_mend() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let host = host(parts, present)?;
    own_fields(&mut parts.headers, present, config)?;
    Ok(host)
}

/// Only `chunked`, once: hyper accepts any list that ends in it, but Rhumb could not pass the
/// others on (RFC 9112 section 6.1).
fn transfer_coding(present: &Present) -> Result<(), ErrorReason> {
    match present.codings {
        0 => Ok(()),
        1 if !present.odd_coding => Ok(()),
        _ => Err(ErrorReason::NotImplemented),
    }
}

/// What a request has that came as HTTP/2 and may go on as HTTP/1.1: no fields about connections
/// (RFC 9113 section 8.2.2), one length, and cookies in one line again (section 8.2.3). h2 refuses
/// some of it as well; that this holds does not depend on it.
fn http_2(headers: &mut HeaderMap, present: &mut Present) -> Result<(), ErrorReason> {
    let te_is_fine = || headers.get_all(TE).iter().all(|value| value == "trailers");
    if present.connection || present.http_1 || present.te && !te_is_fine() {
        return Err(ErrorReason::Malformed);
    }
    if !present.has_one_end() {
        return Err(ErrorReason::Malformed);
    }
    if present.cookies > 1 {
        join_cookies(headers)?;
        present.cookies = 1;
    }
    Ok(())
}

fn join_cookies(headers: &mut HeaderMap) -> Result<(), ErrorReason> {
    let lines = || headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut line = Vec::with_capacity(lines().map(|line| line.len() + 2).sum());
    for crumb in lines().filter(|crumb| !crumb.is_empty()) {
        if !line.is_empty() {
            line.extend_from_slice(b"; ");
        }
        line.extend_from_slice(crumb);
    }
    let line = HeaderValue::try_from(line).map_err(|_| ErrorReason::Malformed)?;
    headers.insert(COOKIE, line);
    Ok(())
}

/// Takes off what would count as said by Rhumb although a client said it, so that no rule reads it
/// either: the field about the client's certificate, and names that are twins of others to whoever
/// takes `_` for `-`.
fn own_fields(
    headers: &mut HeaderMap,
    present: &mut Present,
    config: &Config,
) -> Result<(), ErrorReason> {
    let certificate = &config.client_fields.certificate;
    if present.may_have(certificate) {
        headers.remove(certificate);
    }
    if !present.underscore {
        return Ok(());
    }
    let drop = match config.requests.underscores {
        Underscores::Refuse => return Err(ErrorReason::Malformed),
        Underscores::Keep => false,
        Underscores::Drop => true,
    };
    let twins: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().contains('_'))
        .filter(|name| drop || is_said_by_rhumb(name.as_str(), config))
        .cloned()
        .collect();
    for name in twins {
        headers.remove(name);
    }
    Ok(())
}

/// Whether a field of that name, with `-` for `_`, is one that clients cannot set.
pub(super) fn is_said_by_rhumb(name: &str, config: &Config) -> bool {
    let name = name.replace('_', "-");
    let geography = &config.client.country_headers;
    matches!(&*name, "forwarded" | "via" | "x-request-id" | "host")
        || ["x-forwarded-", "x-rhumb-", "rhumb-"].iter().any(|start| name.starts_with(start))
        || name == config.client_fields.certificate.as_str()
        || geography.iter().any(|own| name == own.as_str())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::model::limits;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let text = r#"
            listeners: [{ address: "127.0.0.1:0" }]
            client: { country_headers: [cf-ipcountry] }
            regions:
              - { id: eu, latitude: 0, longitude: 0, country: US, endpoints: ["http://1.1.1.1:1"] }
            deployments:
              - { name: api, primary_region: eu }
        "#;
        let loaded = crate::config::parse(text, "test.yaml", "".as_ref(), &|_| None).unwrap();
        let mut config = loaded.config;
        change(&mut config);
        config
    }

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        build(Request::builder()).body(()).unwrap().into_parts().0
    }

    fn check_with(config: &Config, parts: &mut Parts) -> Result<HostName, ErrorReason> {
        let mut present = Present::of(&parts.headers);
        screen(parts, &mut present, config, false)
    }

    fn check(parts: &mut Parts) -> Result<HostName, ErrorReason> {
        check_with(&config(|_| {}), parts)
    }

    #[test]
    fn only_chunked_is_spoken() {
        for (given, fine) in [
            ("chunked", true),
            ("Chunked ", true),
            ("gzip, chunked", false),
            ("chunked, chunked", false),
            ("identity", false),
        ] {
            let mut parts =
                parts(|r| r.uri("/").header("host", "a").header("transfer-encoding", given));
            assert_eq!(check(&mut parts).is_ok(), fine, "{given}");
        }
    }

    #[test]
    fn a_long_target_is_refused() {
        let long = format!("/{}", "a".repeat(limits::URI_BYTES));
        let mut long = parts(|r| r.uri(long).header("host", "a"));
        assert_eq!(check(&mut long), Err(ErrorReason::UriTooLong));
        let short = config(|config| config.limits.uri_bytes = 4);
        for (uri, fine) in [("/123", true), ("/1234", false), ("/?23", true), ("http://a/1", true)]
        {
            let mut parts = parts(|r| r.uri(uri).header("host", "a"));
            assert_eq!(check_with(&short, &mut parts).is_ok(), fine, "{uri}");
        }
    }

    #[test]
    fn the_path_is_made_normal_or_refused() {
        let mut odd = parts(|r| r.uri("/a/%2e%2e//%7Eb?%7e").header("host", "a"));
        assert!(check(&mut odd).is_ok());
        assert_eq!(odd.uri, "/~b?%7e");
        let mut bad = parts(|r| r.uri("/%2e%2e/b").header("host", "a"));
        assert_eq!(check(&mut bad), Err(ErrorReason::Malformed));
    }

    fn kept(config: &Config, names: &[&str]) -> Result<Vec<String>, ErrorReason> {
        let start = Request::builder().header("host", "a");
        let request = names.iter().fold(start, |r, name| r.header(*name, "1"));
        let mut parts = request.body(()).unwrap().into_parts().0;
        check_with(config, &mut parts)?;
        let names = parts.headers.keys().map(|name| name.as_str().to_owned());
        Ok(names.filter(|name| name != "host").collect())
    }

    #[test]
    fn twins_and_the_certificate_are_no_ones_to_send() {
        let all = [
            "x_a",
            "x-b",
            "x_forwarded_for",
            "x-forwarded_proto",
            "cf_ipcountry",
            "x_forwarded_client_cert",
            "x_rhumb_force_region",
            "rhumb_hops",
            "x-forwarded-client-cert",
        ];
        assert_eq!(kept(&config(|_| {}), &all).unwrap(), ["x-b"]);
        let keep = config(|config| config.requests.underscores = Underscores::Keep);
        assert_eq!(kept(&keep, &all).unwrap(), ["x_a", "x-b"]);
        let refuse = config(|config| config.requests.underscores = Underscores::Refuse);
        assert_eq!(kept(&refuse, &all), Err(ErrorReason::Malformed));
        assert_eq!(kept(&refuse, &["x-b"]).unwrap(), ["x-b"]);
        let other = config(|config| config.client_fields.certificate = "x-cert".parse().unwrap());
        assert_eq!(kept(&other, &["x-cert", "x-forwarded-client-cert"]).unwrap().len(), 1);
    }

    #[test]
    fn fields_of_connections_have_no_place_in_http_2() {
        for (name, value, fine) in [
            ("connection", "close", false),
            ("keep-alive", "timeout=5", false),
            ("proxy-connection", "keep-alive", false),
            ("transfer-encoding", "chunked", false),
            ("upgrade", "h2c", false),
            ("te", "gzip", false),
            ("te", "trailers, gzip", false),
            ("te", "trailers", true),
            ("content-length", "5", true),
            ("content-length", "+5", false),
            ("content-length", "5, 5", false),
        ] {
            let mut parts =
                parts(|r| r.version(Version::HTTP_2).uri("http://a/").header(name, value));
            assert_eq!(check(&mut parts).is_ok(), fine, "{name}: {value}");
        }
        for (second, fine) in [("5", true), ("6", false)] {
            let mut twice = parts(|r| {
                let r = r.version(Version::HTTP_2).uri("http://a/");
                r.header("content-length", "5").header("content-length", second)
            });
            assert_eq!(check(&mut twice).is_ok(), fine);
            assert!(!fine || twice.headers.get_all(CONTENT_LENGTH).iter().count() == 1);
        }
    }

    #[test]
    fn crumbs_of_cookies_become_one_line_in_http_2_alone() {
        for (version, uri, expected) in [
            (Version::HTTP_2, "http://a/", &["a=1; b=2; c=3"][..]),
            (Version::HTTP_11, "/", &["a=1", "b=2; c=3"]),
        ] {
            let mut parts = parts(|r| {
                let r = r.version(version).uri(uri).header("host", "a");
                r.header("cookie", "a=1").header("cookie", "b=2; c=3")
            });
            assert!(check(&mut parts).is_ok());
            let found: Vec<_> = parts.headers.get_all(COOKIE).iter().collect();
            assert_eq!(found, expected);
        }
    }
}
