//! From the shapes of the file to a [`Config`]: everything that must hold beyond the kind of a
//! value. Reads everything that could be read and reports everything that is wrong, without
//! errors that only follow from others.
//!
//! One file a part: `network`, `files` and `signing`, `region` with `endpoint`; `deployment` with
//! `hosts`, `ranking`, `tenant`, `policy`, `stay`, `wishes`, `timing` and `rule`, which has
//! `condition` and `window`. `known_regions` is how they refer to each other; `values` and `words`
//! are for single values. What parts mean together: `residency`, and what is allowed but probably
//! not meant: `advice`, `shadowed`, `effect`.

mod advice;
mod condition;
mod deployment;
mod effect;
mod endpoint;
mod files;
mod hosts;
mod known_regions;
mod network;
mod policy;
mod ranking;
mod region;
mod residency;
mod rule;
mod shadowed;
mod signing;
mod stay;
mod tenant;
mod timing;
mod values;
mod window;
mod wishes;
mod words;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use self::condition::Patterns;
use self::known_regions::KnownRegions;
use super::document::NodeId;
use super::field::Field;
use super::raw;
use super::report::Report;
use super::settings::{
    Admin, ClientFields, ClientLimits, ClientTrust, Config, GeoipFiles, Hops, LatencySources,
    Listener, RequestRules, Shadow, SigningKey, TenantsFile,
};

/// What every part needs.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    report: &'a Report<'a>,
    /// Where relative paths start.
    base_dir: &'a Path,
    around: Around,
    patterns: &'a Patterns,
    /// Files that were read on the way.
    files: &'a RefCell<Vec<PathBuf>>,
}

/// What a part of the file needs to know of the others. What is written and wrong is there.
#[derive(Clone, Copy)]
struct Around {
    /// Whether there are keys that sign.
    keys: bool,
    /// Whether any peer is trusted.
    trusted: bool,
    /// Whether tenants may have homes.
    homes: bool,
}

impl Around {
    fn of(file: &raw::File) -> Self {
        let nobody = match file.client.value() {
            Some(client) => match client.trusted_proxies.value() {
                Some(list) => list.is_empty(),
                None => client.trusted_proxies.is_absent(),
            },
            None => file.client.is_absent(),
        };
        Self { keys: !file.signing.is_absent(), trusted: !nobody, homes: !file.tenants.is_absent() }
    }
}

/// A configuration that nothing is wrong with.
pub(super) struct Valid {
    pub(super) config: Config,
    /// Files that were read to make it.
    pub(super) files: Vec<PathBuf>,
}

/// The configuration, when nothing was wrong with it. Without one, the report has an error.
pub(super) fn validate(
    file: &Field<raw::File>,
    base_dir: &Path,
    report: &Report<'_>,
) -> Option<Valid> {
    let file = file.value()?;
    let (patterns, files) = (Patterns::default(), RefCell::default());
    let around = Around::of(file);
    let cx = Context { report, base_dir, around, patterns: &patterns, files: &files };
    let network = network(file, cx);
    let named = named(file, cx);

    let regions = region::regions(&file.regions, cx);
    let known = KnownRegions::new(&file.regions, &regions, cx);
    let deployments = deployment::deployments(&file.deployments, &known, cx);
    advice::unused_regions(&known, &file.deployments, report);
    advice::unused_homes(&file.tenants, &file.deployments, report);

    if report.has_errors() {
        return None;
    }
    let Network { listeners, admin, workers, client, signing, hops } = network?;
    let Named { geoip, latency, tenants, shadow } = named?;
    let regions: Option<Vec<_>> = regions?.into_iter().collect();
    let config = Config {
        client_fields: ClientFields::default(),
        limits: ClientLimits::default(),
        requests: RequestRules::default(),
        origin_networks: Vec::new(),
        listeners,
        admin,
        workers,
        geoip,
        latency,
        client,
        tenants,
        signing,
        hops,
        shadow,
        regions: regions?,
        deployments: deployments?,
    };
    Some(Valid { config, files: files.take() })
}

/// Where requests come in, and who is believed.
struct Network {
    listeners: Vec<Listener>,
    admin: Admin,
    workers: Option<std::num::NonZeroUsize>,
    client: ClientTrust,
    signing: Vec<SigningKey>,
    hops: Hops,
}

fn network(file: &raw::File, cx: Context<'_>) -> Option<Network> {
    let listeners = network::listeners(&file.listeners, cx);
    let admin = network::admin(&file.admin, cx);
    if let (Some(listeners), Some(admin)) = (&listeners, &admin) {
        network::admin_apart(&file.admin, admin, &file.listeners, listeners, cx);
    }
    let workers = network::workers(&file.workers, cx);
    let client = network::client(&file.client, cx);
    let signing = signing::signing(&file.signing, cx);
    let hops = signing::hops(&file.hops, cx);
    Some(Network {
        listeners: listeners?,
        admin: admin?,
        workers: workers?,
        client: client?,
        signing: signing?,
        hops: hops?,
    })
}

/// What other files say.
struct Named {
    geoip: GeoipFiles,
    latency: LatencySources,
    tenants: Option<TenantsFile>,
    shadow: Option<Shadow>,
}

fn named(file: &raw::File, cx: Context<'_>) -> Option<Named> {
    let geoip = files::geoip(&file.geoip, cx);
    let latency = files::latency(&file.latency, cx);
    let tenants = files::tenants(&file.tenants, cx);
    let shadow = files::shadow(&file.shadow, cx);
    Some(Named { geoip: geoip?, latency: latency?, tenants: tenants?, shadow: shadow? })
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
