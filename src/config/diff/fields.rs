//! The fields of each part as path and text. Every function takes its type apart completely, so
//! that a new field does not compile until the log knows it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use super::{access_log, compression, edge, life, names, overload, steering, tracing};
use crate::config::settings::{
    Admin, ClientTrust, Config, Deployment, Endpoint, Failover, GeoipFiles, HeaderMatch,
    HealthCheck, HostPattern, Region, RegionSettings, Retries, Rule, SigningKey, Timeouts,
    WhenAllDown,
};

/// Field paths and their values.
pub(super) type Fields = BTreeMap<String, String>;

pub(super) struct Writer(Fields);

impl Writer {
    pub(super) fn new() -> Self {
        Self(Fields::new())
    }

    pub(super) fn done(self) -> Fields {
        self.0
    }

    pub(super) fn put(&mut self, field: impl Into<String>, value: impl Display) {
        self.0.insert(field.into(), value.to_string());
    }

    pub(super) fn put_some(&mut self, field: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(field, value);
        }
    }

    pub(super) fn seconds(&mut self, field: &str, value: Duration) {
        self.put(field, value.as_secs_f64());
    }
}

/// `[a, b]`.
pub(super) fn ids(items: impl IntoIterator<Item: Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// What only a restart changes.
pub(super) fn restart(config: &Config) -> Fields {
    let Config { workers, .. } = config;
    let mut out = Writer::new();
    out.put("workers", workers.map_or_else(|| "auto".to_owned(), |n| n.to_string()));
    life::restart(config, &mut out);
    out.0
}

/// What a reload changes, but regions and deployments.
pub(super) fn live(config: &Config) -> Fields {
    let Config {
        listeners,
        admin: Admin { address },
        workers: _,
        geoip: GeoipFiles { databases, asn_database, freshness },
        latency,
        client: ClientTrust { trusted_proxies, country_headers },
        // These four are `edge`'s.
        client_fields: _,
        limits: _,
        requests: _,
        overload: load,
        origin_networks: _,
        names,
        tenants,
        signing,
        hops,
        shadow,
        access_log,
        drain: _,
        tracing,
        upgrade: _,
        regions: _,
        deployments: _,
    } = config;
    let mut out = Writer::new();
    out.put("listeners", ids(listeners.iter().map(|listener| listener.address)));
    out.put("admin.address", address);
    life::live(config, &mut out);
    if !databases.is_empty() {
        out.put("geoip.database", ids(databases.iter().map(|path| path.display())));
    }
    out.put_some("geoip.asn_database", asn_database.as_ref().map(|path| path.display()));
    out.freshness("geoip", freshness);
    steering::latency(latency, &mut out);
    out.put("client.trusted_proxies", ids(trusted_proxies));
    out.put("client.country_headers", ids(country_headers));
    edge::everywhere(config, &mut out);
    overload::overload(load, &mut out);
    names::names(names, &mut out);
    if let Some(tenants) = tenants {
        steering::tenants(tenants, &mut out);
    }
    // The secrets are compared elsewhere.
    if !signing.is_empty() {
        out.put("signing.keys", ids(signing.iter().map(|SigningKey { id, secret: _ }| id)));
    }
    steering::hops(hops, &mut out);
    if let Some(shadow) = shadow {
        steering::shadow(shadow, &mut out);
    }
    tracing::tracing(tracing.as_ref(), &mut out);
    if let Some(log) = access_log {
        access_log::access_log(log, &mut out);
    }
    out.0
}

pub(super) fn region(region: &Region) -> Fields {
    let Region {
        id: _,
        name,
        location,
        coordinates,
        country,
        bias,
        compliance,
        cost_multiplier,
        max_in_flight,
        endpoints,
    } = region;
    let mut out = Writer::new();
    out.put_some("name", name.as_ref());
    out.put_some("location", location.as_ref());
    out.put("latitude", coordinates.latitude);
    out.put("longitude", coordinates.longitude);
    out.put("country", country);
    out.put("bias", bias);
    out.put("compliance", ids(compliance));
    out.put("cost_multiplier", cost_multiplier);
    out.put_some("max_in_flight", max_in_flight.as_ref());
    out.put("endpoints", self::endpoints(endpoints));
    // All endpoints of a region are spoken to in one way, those of deployments included.
    if let Some(Endpoint { transport, .. }) = endpoints.first() {
        edge::transport(transport, &mut out);
    }
    out.0
}

fn endpoints(endpoints: &[Endpoint]) -> String {
    ids(endpoints.iter().map(|Endpoint { url, weight, transport: _, srv }| {
        let place = match srv {
            Some(service) => format!("{}://{service} (SRV)", url.scheme.as_str()),
            None => url.to_string(),
        };
        match weight {
            1 => place,
            _ => format!("{place} (weight {weight})"),
        }
    }))
}

/// Eligible regions in order.
pub(super) fn eligible(deployment: &Deployment) -> String {
    ids(deployment.regions.iter().map(|settings| &settings.region.id))
}

/// All but the rules.
pub(super) fn deployment(deployment: &Deployment) -> Fields {
    let Deployment {
        name: _,
        hosts,
        path_prefix,
        regions,
        excluded_regions,
        primary_region,
        strategy,
        // What follows up to the rules is `steering`'s.
        ranking: _,
        tenant: _,
        residency: _,
        writes: _,
        affinity: _,
        hints: _,
        replay_regions: _,
        priorities: _,
        rules: _,
        health_check,
        failover: Failover { auto_failover_enabled, threshold, cooldown },
        timeouts: Timeouts { connect, first_byte, request },
        retries: Retries { attempts, grpc_statuses },
        streams,
        compression,
        when_all_down,
    } = deployment;
    let mut out = Writer::new();
    if !hosts.is_empty() {
        out.put("hosts", ids(hosts.iter().map(host)));
    }
    out.put("path_prefix", path_prefix);
    out.put("regions (in order)", eligible(deployment));
    out.put("primary_region", primary_region);
    out.put("excluded_regions", ids(excluded_regions));
    out.put("routing_strategy", strategy.as_str());
    for RegionSettings { region, weight, endpoints } in regions {
        out.put(format!("regions[{}].weight", region.id), weight);
        // A region's own endpoints are shown with the region.
        if *endpoints != region.endpoints {
            out.put(format!("regions[{}].endpoints", region.id), self::endpoints(endpoints));
        }
    }
    if let Some(check) = health_check {
        self::health_check(check, &mut out);
    }
    out.put("failover.auto_failover_enabled", auto_failover_enabled);
    out.put("failover.failover_threshold", threshold);
    out.seconds("failover.failover_cooldown_seconds", *cooldown);
    out.seconds("timeouts.connect_seconds", *connect);
    out.seconds("timeouts.first_byte_seconds", *first_byte);
    out.seconds("timeouts.request_seconds", *request);
    out.put("retries.attempts", attempts);
    edge::streams(streams, *grpc_statuses, &mut out);
    compression::compression(compression.as_ref(), &mut out);
    let when = match when_all_down {
        WhenAllDown::LastResort => "last_resort",
        WhenAllDown::Refuse => "refuse",
    };
    out.put("when_all_down", when);
    steering::deployment(deployment, &mut out);
    out.0
}

fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
    }
}

fn health_check(check: &HealthCheck, out: &mut Writer) {
    let HealthCheck {
        path,
        host,
        expected_status,
        interval,
        timeout,
        fast_interval,
        healthy_threshold,
        unhealthy_threshold,
    } = check;
    out.put("health_check.path", path);
    out.put_some("health_check.host", host.as_ref());
    out.put("health_check.expected_status", expected_status);
    out.seconds("health_check.interval_seconds", *interval);
    out.seconds("health_check.timeout_seconds", *timeout);
    out.seconds("health_check.fast_interval_seconds", *fast_interval);
    out.put("health_check.healthy_threshold", healthy_threshold);
    out.put("health_check.unhealthy_threshold", unhealthy_threshold);
}

pub(super) fn rule(rule: &Rule) -> Fields {
    let Rule {
        id: _,
        name,
        priority,
        enabled,
        // What is not bound here is `steering`'s.
        hosts: _,
        path_prefixes: _,
        methods: _,
        source_countries,
        source_continents: _,
        source_subdivisions: _,
        source_cidrs: _,
        source_asns: _,
        tenants: _,
        header_conditions,
        query_conditions: _,
        cookie_conditions: _,
        percent: _,
        time_windows: _,
        strategy: _,
        target_regions,
        weights,
        fallback_regions,
    } = rule;
    let mut out = Writer::new();
    out.put_some("name", name.as_ref());
    out.put("priority", priority);
    out.put("enabled", enabled);
    if !source_countries.is_empty() {
        out.put("source_countries", ids(source_countries));
    }
    for HeaderMatch { name, value } in header_conditions {
        out.put(format!("header_conditions.{name}"), steering::shown(value));
    }
    steering::rule(rule, &mut out);
    out.put("target_regions", ids(target_regions));
    for (region, weight) in weights {
        out.put(format!("weights.{region}"), weight);
    }
    out.put("fallback_regions", ids(fallback_regions));
    out.0
}
