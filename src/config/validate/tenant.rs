//! Where the tenant of a request is read.

use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::Context;
use super::values::{count, only_one, optional, path};
use super::words::{cookie_name, free_header};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{JwtSource, TenantSource};
use crate::model::limits::{PARAMETER_NAME_LENGTH, TENANT_PART_MAX};

/// The outer `None` is an error; the inner one is "nowhere".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn tenant(field: &Field<raw::Tenant>, cx: Context<'_>) -> Option<Option<TenantSource>> {
    optional(field, |raw| source(raw, field.at, cx))
}

fn source(raw: &raw::Tenant, at: NodeId, cx: Context<'_>) -> Option<TenantSource> {
    let report = cx.report;
    let raw::Tenant { header, host_label, path_segment, cookie, jwt } = raw;
    let written = [
        ("header", !header.is_absent()),
        ("host_label", !host_label.is_absent()),
        ("path_segment", !path_segment.is_absent()),
        ("cookie", !cookie.is_absent()),
        ("jwt", !jwt.is_absent()),
    ];
    let part = |field| count(field, 0..=TENANT_PART_MAX, 0, report).map(|number| number as usize);
    match only_one(at, &written, report)? {
        "header" => free_header(header.at, header.value()?, report).map(TenantSource::Header),
        "host_label" => part(host_label).map(TenantSource::HostLabel),
        "path_segment" => part(path_segment).map(TenantSource::PathSegment),
        "cookie" => {
            let name = cookie_name(cookie.at, cookie.value()?, report)?;
            Some(TenantSource::Cookie(name.into()))
        }
        _ => self::jwt(jwt.value()?, jwt.at, cx).map(TenantSource::Jwt),
    }
}

fn jwt(raw: &raw::Jwt, at: NodeId, cx: Context<'_>) -> Option<JwtSource> {
    let report = cx.report;
    let header = match &raw.header.state {
        State::Absent => Some(AUTHORIZATION),
        State::Broken => None,
        State::Present(name) => free_header(raw.header.at, name, report),
    };
    let help = "name the claim that says whose customer it is, such as `claim: tenant`";
    let claim = report.required(&raw.claim, at, "claim", help);
    let claim = claim.and_then(|text| words(raw.claim.at, text, report));
    let help = "name a file with a JSON Web Key Set; unverified tokens are never believed";
    let jwks = report.required(&raw.jwks, at, "jwks", help);
    let jwks = jwks.and_then(|text| path(raw.jwks.at, text, cx));
    let issuer = optional(&raw.issuer, |text| words(raw.issuer.at, text, report));
    let audience = optional(&raw.audience, |text| words(raw.audience.at, text, report));
    Some(JwtSource {
        header: header?,
        claim: claim?,
        jwks: jwks?,
        issuer: issuer?,
        audience: audience?,
    })
}

/// Text of a token, which has to say something and not too much.
fn words(at: NodeId, text: &str, report: &Report<'_>) -> Option<Arc<str>> {
    let limit = 8 * PARAMETER_NAME_LENGTH;
    if text.is_empty() || text.len() > limit || text.chars().any(char::is_control) {
        let help = format!("1 to {limit} bytes, without control characters");
        report.error(at, format!("no token has {}", Quoted(text)), help);
        return None;
    }
    Some(text.into())
}
