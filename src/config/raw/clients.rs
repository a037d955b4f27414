//! Who is believed about a client, and what origins are told of it, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// Who is believed about the address and the place of a client, and what origins are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Client {
    /// Networks or addresses of peers whose `Forwarded`, `X-Forwarded-For` and country headers
    /// are believed. Nobody by default.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(in crate::config) trusted_proxies: Field<Vec<Field<String>>>,
    /// Headers of trusted peers that carry the client's country code, asked in order.
    #[serde(default)]
    #[schemars(extend("default" =
        ["cf-ipcountry", "cloudfront-viewer-country", "x-client-geo-country"]))]
    pub(in crate::config) country_headers: Field<Vec<Field<String>>>,
    /// Whether origins are told the client in `Forwarded` (RFC 7239), too.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) forwarded_header: Field<bool>,
    /// Header that tells origins the verified certificate of the client; never what a client
    /// sent in it.
    #[serde(default)]
    #[schemars(extend("default" = "x-forwarded-client-cert"))]
    pub(in crate::config) certificate_header: Field<String>,
}
