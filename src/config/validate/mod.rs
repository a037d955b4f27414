//! From the shapes of the file to a [`Config`]: everything that must hold beyond the kind of a
//! value. Reads everything that could be read and reports everything that is wrong, without
//! errors that only follow from others.
//!
//! One file a part: `listener`, `clients`, `overload`, `network`, `names`, `life`, `files`, `signing`, `tracing` and
//! `access_log` with `log_template`; `region` with `endpoint` and `transport`; `tls` of both sides;
//! `deployment` with `hosts`, `ranking`, `tenant`, `policy`, `stay`, `wishes`, `timing`, `streams`,
//! `compression` and `rule`, which has `condition` and `window`. `known_regions` is how they refer to
//! each other; `values` and `words` are for single values. What parts mean together: `residency`, and
//! what is allowed but probably
//! not meant: `advice`, `shadowed`, `effect`.

mod access_log;
mod advice;
mod clients;
mod compression;
mod condition;
mod deployment;
mod effect;
mod endpoint;
mod files;
mod hosts;
mod known_regions;
mod life;
mod listener;
mod log_template;
mod names;
mod network;
mod overload;
mod policy;
mod ranking;
mod region;
mod residency;
mod rule;
mod shadowed;
mod signing;
mod stay;
mod streams;
mod tenant;
mod timing;
mod tls;
mod tracing;
mod transport;
mod values;
mod window;
mod wishes;
mod words;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use self::condition::Patterns;
use self::known_regions::KnownRegions;
use super::document::NodeId;
use super::field::Field;
use super::raw;
use super::report::Report;
use super::settings::{
    Admin, ClientFields, ClientLimits, ClientTrust, Config, GeoipFiles, Hops, LatencySources,
    Listener, OverloadSettings, RequestRules, Shadow, SigningKey, TenantsFile,
};

/// What every part needs.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    report: &'a Report<'a>,
    /// Where relative paths start.
    base_dir: &'a Path,
    around: Around,
    /// Networks that endpoints may lie in although they are refused by default; `None` when what
    /// the file says of that is wrong.
    origins: Option<&'a [IpNet]>,
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
    let mut cx =
        Context { report, base_dir, around, origins: None, patterns: &patterns, files: &files };
    let origins = transport::origins(&file.origins, cx);
    let names = names::names(&file.names, cx);
    cx.origins = origins.as_deref();
    let network = network(file, cx);
    let clients = clients(file, cx);
    let named = named(file, cx);
    let tracing = tracing::tracing(&file.tracing, cx);
    let access_log = access_log::access_log(&file.access_log, cx);
    let (drain, upgrade) = (life::drain(&file.drain, cx), life::upgrade(&file.upgrade, cx));

    let regions = region::regions(&file.regions, cx);
    let known = KnownRegions::new(&file.regions, &regions, cx);
    let deployments = deployment::deployments(&file.deployments, &known, cx);
    advice::unused_regions(&known, &file.deployments, report);
    advice::unused_homes(&file.tenants, &file.deployments, report);

    if report.has_errors() {
        return None;
    }
    transport::unused_tls(&file.regions, regions.as_deref(), deployments.as_deref(), report);
    let Clients { client, client_fields, limits, overload, requests } = clients?;
    let Network { listeners, admin, workers, signing, hops } = network?;
    let Named { geoip, latency, tenants, shadow } = named?;
    let regions: Option<Vec<_>> = regions?.into_iter().collect();
    let config = Config {
        listeners,
        admin,
        workers,
        geoip,
        latency,
        client,
        client_fields,
        limits,
        overload,
        requests,
        origin_networks: origins?,
        names: names?,
        tenants,
        signing,
        hops,
        shadow,
        tracing: tracing?,
        access_log: access_log?.map(std::sync::Arc::new),
        drain: drain?,
        upgrade: upgrade?,
        regions: regions?,
        deployments: deployments?,
    };
    Some(Valid { config, files: files.take() })
}

/// Where requests come in.
struct Network {
    listeners: Vec<Listener>,
    admin: Admin,
    workers: Option<std::num::NonZeroUsize>,
    signing: Vec<SigningKey>,
    hops: Hops,
}

fn network(file: &raw::File, cx: Context<'_>) -> Option<Network> {
    let listeners = listener::listeners(&file.listeners, cx);
    let admin = network::admin(&file.admin, cx);
    if let (Some(listeners), Some(admin)) = (&listeners, &admin) {
        network::admin_apart(&file.admin, admin, &file.listeners, listeners, cx);
    }
    let workers = network::workers(&file.workers, cx);
    let signing = signing::signing(&file.signing, cx);
    let hops = signing::hops(&file.hops, cx);
    Some(Network {
        listeners: listeners?,
        admin: admin?,
        workers: workers?,
        signing: signing?,
        hops: hops?,
    })
}

/// Who clients are, what they may, and what is said of them.
struct Clients {
    client: ClientTrust,
    client_fields: ClientFields,
    limits: ClientLimits,
    overload: OverloadSettings,
    requests: RequestRules,
}

fn clients(file: &raw::File, cx: Context<'_>) -> Option<Clients> {
    let client = network::client(&file.client, cx);
    let client_fields = clients::fields(&file.client, cx);
    let limits = clients::limits(&file.limits, cx);
    let overload = overload::overload(&file.memory_limit, &file.shed, cx);
    let requests = clients::requests(&file.requests);
    Some(Clients {
        client: client?,
        client_fields: client_fields?,
        limits: limits?,
        overload: overload?,
        requests: requests?,
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
