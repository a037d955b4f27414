//! How the endpoints of a region are spoken to, and the networks they may lie in.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Context;
use super::tls::region_tls;
use super::values::{choice, unique_texts};
use super::words::network;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{
    Deployment, Endpoint, EndpointUrl, Host, ProxyProtocolVersion, Region, Scheme, Transport,
};
use crate::model::{RefusedNetwork, is_ever_refused, refused_network};

/// Networks that endpoints may lie in although they are refused by default.
pub(super) fn origins(field: &Field<raw::Origins>, cx: Context<'_>) -> Option<Vec<IpNet>> {
    let raw = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    match &raw.allow.state {
        State::Absent => Some(Vec::new()),
        State::Broken => None,
        State::Present(list) => unique_texts(list, cx.report, allowed),
    }
}

fn allowed(at: NodeId, text: &str, report: &Report<'_>) -> Option<IpNet> {
    let net = network(at, text, report)?;
    if !is_ever_refused(net) {
        let message = format!("endpoints may lie in {net} anyway");
        let help = "this list takes nothing away, it only adds to what is allowed; remove it";
        report.warning(at, message, help);
    } else if net.prefix_len() == 0 {
        let message = format!("{net} lets endpoints lie anywhere, a cloud's metadata included");
        report.warning(at, message, "list the addresses that are meant");
    }
    Some(net)
}

/// Reports an endpoint whose address is written out and refused. `allowed`: `None` when it could
/// not be read.
pub(super) fn check_address(
    at: NodeId,
    url: &EndpointUrl,
    allowed: Option<&[IpNet]>,
    report: &Report<'_>,
) -> bool {
    let (Host::Address(address), Some(allowed)) = (&url.host, allowed) else { return true };
    let Some(RefusedNetwork { network, what }) = refused_network(*address, allowed) else {
        return true;
    };
    let message = format!("{address} lies in {network}, where no endpoint is: {what}");
    let named = IpNet::from(address.to_canonical());
    let help = match address {
        IpAddr::V6(_) => {
            format!("if it is one of yours, add `origins: {{ allow: [\"{named}\"] }}`")
        }
        IpAddr::V4(_) => format!("if it is one of yours, add `origins: {{ allow: [{named}] }}`"),
    };
    report.error(at, message, help);
    false
}

pub(super) fn transport(
    id: Option<&str>,
    raw: &raw::Region,
    cx: Context<'_>,
) -> Option<Arc<Transport>> {
    let proxy_protocol = choice(&raw.proxy_protocol, None, |version| match version {
        raw::ProxyProtocolVersion::V1 => Some(ProxyProtocolVersion::V1),
        raw::ProxyProtocolVersion::V2 => Some(ProxyProtocolVersion::V2),
    });
    let tls = region_tls(&raw.tls, id, cx);
    Some(Arc::new(Transport { proxy_protocol: proxy_protocol?, tls: tls? }))
}

/// Warns of `tls` where no endpoint uses it.
pub(super) fn unused_tls(
    raw: &Field<Vec<Field<raw::Region>>>,
    regions: Option<&[Option<Arc<Region>>]>,
    deployments: Option<&[Arc<Deployment>]>,
    report: &Report<'_>,
) {
    let (Some(raw), Some(regions), Some(deployments)) = (raw.value(), regions, deployments) else {
        return;
    };
    let encrypted = |endpoints: &[Endpoint]| {
        endpoints.iter().any(|endpoint| endpoint.url.scheme == Scheme::Https)
    };
    let own = deployments.iter().flat_map(|deployment| &deployment.regions);
    let own = own.filter(|settings| encrypted(&settings.endpoints));
    let using: HashSet<_> = own.map(|settings| &settings.region.id).collect();
    for (raw, region) in raw.iter().zip(regions) {
        let (Some(raw), Some(region)) = (raw.value(), region) else { continue };
        let used = encrypted(&region.endpoints) || using.contains(&region.id);
        if !raw.tls.is_absent() && !used {
            let id = Quoted(region.id.as_str());
            let message = format!("`tls` has no effect: no endpoint of {id} is an https:// URL");
            report.warning(raw.tls.at, message, "write https:// at its endpoints, or remove this");
        }
    }
}
