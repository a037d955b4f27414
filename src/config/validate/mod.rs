//! From the shapes of the file to a [`Config`]: everything that must hold beyond the kind of a
//! value. Reads everything that could be read and reports everything that is wrong, without
//! errors that only follow from others.
//!
//! One file a part: `network` (addresses and files), `region` with `endpoint`, `deployment` with
//! `hosts`, `rule` and `timing`; `known_regions` is how they refer to each other; `advice` is what
//! is allowed but probably not meant; `values` is for single values.

mod advice;
mod deployment;
mod endpoint;
mod hosts;
mod known_regions;
mod network;
mod region;
mod rule;
mod timing;
mod values;

use std::path::Path;

use self::known_regions::KnownRegions;
use super::document::NodeId;
use super::field::Field;
use super::raw;
use super::report::Report;
use super::settings::{Admin, ClientTrust, Config, GeoipFiles, Hops, LatencySources, Listener};

/// What every part needs.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    report: &'a Report<'a>,
    /// Where relative paths start.
    base_dir: &'a Path,
}

/// The configuration, when nothing was wrong with it. Without one, the report has an error.
pub(super) fn validate(
    file: &Field<raw::File>,
    base_dir: &Path,
    report: &Report<'_>,
) -> Option<Config> {
    let file = file.value()?;
    let cx = Context { report, base_dir };
    let network = network(file, cx);

    let regions = region::regions(&file.regions, cx);
    let known = KnownRegions::new(&file.regions, &regions, cx);
    let deployments = deployment::deployments(&file.deployments, &known, cx);
    advice::unused_regions(&known, &file.deployments, report);

    if report.has_errors() {
        return None;
    }
    let Network { listeners, admin, workers, geoip, latency, client } = network?;
    let regions: Option<Vec<_>> = regions?.into_iter().collect();
    Some(Config {
        listeners,
        admin,
        workers,
        geoip,
        latency,
        client,
        tenants: None,
        signing: Vec::new(),
        hops: Hops::default(),
        shadow: None,
        regions: regions?,
        deployments: deployments?,
    })
}

/// All but the regions and the deployments.
struct Network {
    listeners: Vec<Listener>,
    admin: Admin,
    workers: Option<std::num::NonZeroUsize>,
    geoip: GeoipFiles,
    latency: LatencySources,
    client: ClientTrust,
}

fn network(file: &raw::File, cx: Context<'_>) -> Option<Network> {
    let listeners = network::listeners(&file.listeners, cx);
    let admin = network::admin(&file.admin, cx);
    if let (Some(listeners), Some(admin)) = (&listeners, &admin) {
        network::admin_apart(&file.admin, admin, &file.listeners, listeners, cx);
    }
    let workers = network::workers(&file.workers, cx);
    let geoip = network::geoip(&file.geoip, cx);
    let latency = network::latency(&file.latency, cx);
    let client = network::client(&file.client, cx);
    Some(Network {
        listeners: listeners?,
        admin: admin?,
        workers: workers?,
        geoip: geoip?,
        latency: latency?,
        client: client?,
    })
}

/// The elements of a list that must not be empty.
fn elements<'f, T>(
    field: &'f Field<Vec<Field<T>>>,
    parent: NodeId,
    name: &'static str,
    help: &str,
    report: &Report<'_>,
) -> Option<&'f [Field<T>]> {
    let list = report.required(field, parent, name, help)?;
    if list.is_empty() {
        report.error(field.at, format!("`{name}` is empty"), help);
        return None;
    }
    Some(list)
}
