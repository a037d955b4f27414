//! Configurations and requests built by hand, for the tests of `routing` and for the benches.
//!
//! Whoever includes this module has `config`, `model` and `routing` in scope.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each user takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a fixture that is wrong fails its test")]

use std::sync::Arc;

use super::{config, model, routing};
use config::{
    Admin, Affinity, Applies, ClientFields, ClientLimits, ClientTrust, Config, Deployment,
    Endpoint, EndpointUrl, Enforcement, Failover, GeoipFiles, GrpcStatuses, HeaderMatch, Hints,
    Hops, Host, LatencySources, Listener, OverloadSettings, RankingSettings, Region,
    RegionSettings, RequestRules, ResidencyPolicy, Retries, Rule, Scheme, Strategy, Streams,
    TextMatch, Timeouts, Unknown, WhenAllDown, Writes,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::{
    Client, ClientSource, Continent, Coordinates, Country, Location, LocationSource, limits,
};
use routing::{
    EndpointIds, Facts, Forced, LatencyTable, Plan, RegionPosition, Sources, Table, TenantTable,
    Words,
};

pub fn country(code: &str) -> Country {
    code.parse().unwrap()
}

pub fn at(latitude: f64, longitude: f64) -> Coordinates {
    Coordinates::new(latitude, longitude).unwrap()
}

/// Enough of the world for the tests.
pub fn continent_of(country: Country) -> Option<Continent> {
    match country.as_str() {
        "DE" | "FR" | "IE" => Some(Continent::Eu),
        "US" | "CA" => Some(Continent::Na),
        "JP" | "CN" => Some(Continent::As),
        _ => None,
    }
}

pub fn endpoint(host: &str, port: u16, weight: u32) -> Endpoint {
    let host = host.parse().map_or_else(|_| Host::Name(host.into()), Host::Address);
    let url = EndpointUrl { scheme: Scheme::Http, host, port };
    Endpoint { url, weight, transport: Arc::default(), srv: None }
}

pub fn region_settings(
    id: &str,
    coordinates: Coordinates,
    bias: i8,
    weight: u32,
) -> RegionSettings {
    let endpoints = vec![endpoint(&format!("{id}.example"), 8000, 1)];
    let region = Region {
        id: id.into(),
        name: None,
        location: None,
        coordinates,
        country: country("US"),
        bias,
        compliance: Vec::new(),
        cost_multiplier: 1.0,
        max_in_flight: None,
        endpoints: endpoints.clone(),
    };
    RegionSettings { region: Arc::new(region), weight, endpoints }
}

/// Virginia, Ireland and Tokyo, as `us`, `eu` and `ap`, all of weight 1.
pub fn three_regions() -> Vec<RegionSettings> {
    vec![
        region_settings("us", at(38.95, -77.45), 0, 1),
        region_settings("eu", at(53.35, -6.26), 0, 1),
        region_settings("ap", at(35.68, 139.69), 0, 1),
    ]
}

/// A deployment for any host and path, without rules and checks.
pub fn deployment(name: &str, strategy: Strategy, regions: Vec<RegionSettings>) -> Deployment {
    let primary_region = regions.first().map_or("none".into(), |first| first.region.id.clone());
    Deployment {
        name: name.into(),
        hosts: Vec::new(),
        path_prefix: "/".to_owned(),
        regions,
        excluded_regions: Vec::new(),
        primary_region,
        strategy,
        ranking: RankingSettings::default(),
        tenant: None,
        residency: Vec::new(),
        writes: Writes::default(),
        affinity: Affinity::default(),
        hints: Hints::default(),
        replay_regions: Vec::new(),
        priorities: None,
        rules: Vec::new(),
        health_check: None,
        failover: Failover {
            auto_failover_enabled: true,
            threshold: limits::FAILOVER_THRESHOLD,
            cooldown: limits::FAILOVER_COOLDOWN,
        },
        timeouts: Timeouts {
            connect: limits::CONNECT_TIMEOUT,
            first_byte: limits::RESPONSE_HEAD_TIMEOUT,
            request: limits::REQUEST_TIMEOUT,
        },
        retries: Retries {
            attempts: limits::RETRY_ATTEMPTS,
            grpc_statuses: GrpcStatuses::UNAVAILABLE,
        },
        streams: Streams::default(),
        compression: None,
        when_all_down: WhenAllDown::LastResort,
    }
}

/// An enabled rule of priority 0 without conditions.
pub fn rule(id: &str, targets: &[&str], fallbacks: &[&str]) -> Rule {
    Rule {
        id: id.into(),
        name: None,
        priority: 0,
        enabled: true,
        hosts: Vec::new(),
        path_prefixes: Vec::new(),
        methods: Vec::new(),
        source_countries: Vec::new(),
        source_continents: Vec::new(),
        source_subdivisions: Vec::new(),
        source_cidrs: Vec::new(),
        source_asns: Vec::new(),
        tenants: Vec::new(),
        query_conditions: Vec::new(),
        cookie_conditions: Vec::new(),
        percent: None,
        time_windows: Vec::new(),
        strategy: None,
        header_conditions: Vec::new(),
        target_regions: targets.iter().map(|id| (*id).into()).collect(),
        weights: Vec::new(),
        fallback_regions: fallbacks.iter().map(|id| (*id).into()).collect(),
    }
}

pub fn header(name: &str, value: &str) -> HeaderMatch {
    HeaderMatch { name: HeaderName::try_from(name).unwrap(), value: TextMatch::Exact(value.into()) }
}

/// A binding policy for every request: only these regions.
pub fn policy(name: &str, allowed: &[&str]) -> ResidencyPolicy {
    ResidencyPolicy {
        name: name.into(),
        applies_to: Applies::default(),
        allowed_regions: Some(allowed.iter().map(|id| (*id).into()).collect()),
        required_compliance: Vec::new(),
        when_unknown: Unknown::Apply,
        enforcement: Enforcement::Strict,
    }
}

/// Homes of tenants, from lines `tenant,region,strict`; any region exists.
pub fn tenants(lines: &str) -> Arc<TenantTable> {
    let text = format!("tenant,region,strict\n{lines}");
    Arc::new(TenantTable::parse(text.as_bytes(), None, 7, &|_| true).unwrap())
}

pub fn config(deployments: Vec<Deployment>) -> Config {
    let regions = deployments.iter().flat_map(|deployment| &deployment.regions);
    let regions = regions.map(|settings| Arc::clone(&settings.region)).collect();
    Config {
        listeners: vec![Listener::cleartext(([127, 0, 0, 1], 0).into())],
        admin: Admin { address: ([127, 0, 0, 1], 0).into() },
        workers: None,
        geoip: GeoipFiles::default(),
        latency: LatencySources::default(),
        tenants: None,
        signing: Vec::new(),
        hops: Hops::default(),
        shadow: None,
        access_log: None,
        tracing: None,
        drain: crate::config::Drain::default(),
        upgrade: crate::config::Upgrade::default(),
        client_fields: ClientFields::default(),
        limits: ClientLimits::default(),
        overload: OverloadSettings::default(),
        requests: RequestRules::default(),
        origin_networks: Vec::new(),
        names: crate::config::Names::default(),
        client: ClientTrust { trusted_proxies: Vec::new(), country_headers: Vec::new() },
        regions,
        deployments: deployments.into_iter().map(Arc::new).collect(),
    }
}

pub fn table(deployments: Vec<Deployment>, latency: Option<&LatencyTable>) -> Table {
    table_with(deployments, Sources { latency, ..Sources::none(continent_of) })
}

pub fn table_with(deployments: Vec<Deployment>, sources: Sources<'_>) -> Table {
    let plan = Plan::compile(&config(deployments), sources, &mut EndpointIds::default());
    Table::healthy(1, Arc::new(plan))
}

/// Positions of these regions in the table's first deployment; unknown ids are skipped.
pub fn positions(table: &Table, ids: &[&str]) -> Vec<RegionPosition> {
    let deployment = table.plan.deployments.first().unwrap();
    ids.iter().filter_map(|id| deployment.position(id)).collect()
}

/// What a request says of its region, owned.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub force: Option<String>,
    pub replay: bool,
    pub prefer: Option<String>,
    pub affinity: Option<String>,
    pub written: Option<String>,
    pub class: Option<String>,
}

impl Said {
    pub fn words(&self) -> Words<'_> {
        let force = self.force.as_deref();
        Words {
            force: force.map(|region| Forced { region, replay: self.replay }),
            prefer: self.prefer.as_deref(),
            affinity: self.affinity.as_deref(),
            written: self.written.as_deref(),
            class: self.class.as_deref().map(str::as_bytes),
        }
    }
}

/// A request, to borrow facts from.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub host: String,
    pub path: String,
    pub headers: HeaderMap,
    pub client: Client,
    pub location: Location,
    pub tenant: Option<String>,
    pub query: String,
    pub now: u64,
    pub said: Said,
}

impl Default for Request {
    fn default() -> Self {
        let address = [192, 0, 2, 1].into();
        Self {
            method: Method::GET,
            host: "api.example.com".to_owned(),
            path: "/".to_owned(),
            headers: HeaderMap::new(),
            client: Client { address, source: ClientSource::Peer },
            location: Location::UNKNOWN,
            tenant: None,
            query: String::new(),
            now: 1_700_000_000,
            said: Said::default(),
        }
    }
}

impl Request {
    pub fn in_country(mut self, code: &str) -> Self {
        self.location.country = Some(country(code));
        self.location.source = LocationSource::Database;
        self
    }

    pub fn at_place(mut self, latitude: f64, longitude: f64) -> Self {
        self.location.coordinates = Some(at(latitude, longitude));
        self.location.source = LocationSource::Database;
        self
    }

    pub fn with_address(mut self, address: &str) -> Self {
        self.client.address = address.parse().unwrap();
        self
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers.append(name, HeaderValue::try_from(value).unwrap());
        self
    }

    pub fn of_tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    pub fn saying(mut self, said: Said) -> Self {
        self.said = said;
        self
    }

    pub fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub fn to(mut self, host: &str, path: &str) -> Self {
        host.clone_into(&mut self.host);
        path.clone_into(&mut self.path);
        self
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            method: &self.method,
            host: &self.host,
            path: &self.path,
            headers: &self.headers,
            client: self.client,
            location: self.location,
            query: &self.query,
            geoip_built: None,
            tenant: self.tenant.as_deref(),
            now: self.now,
            words: self.said.words(),
        }
    }
}
