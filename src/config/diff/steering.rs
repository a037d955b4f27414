//! The fields of steering as path and text: files and their ages, tenants, residency, writes,
//! affinity, hints, priorities, and what rules ask. Secrets are not among them.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::fields::{Writer, ids};
use crate::config::settings::{
    Affinity, AffinityMode, Applies, Deployment, Enforcement, Freshness, HeaderMatch, HintSource,
    Hints, Hops, JwtSource, LatencySources, MeasuredLatency, NamedMatch, Objectives, OnFailure,
    Priorities, RankingSettings, ResidencyPolicy, Rule, Shadow, Strategy, TenantSource,
    TenantsFile, TextMatch, TimeWindow, TokenCarrier, Unknown, WhenDown, WriteMode, Writes,
};

/// Elements of a list that are shown.
const SHOWN: usize = 32;

impl Writer {
    /// A list, when there is anything in it. A long one is cut, with a digest of what is not shown
    /// so that a difference there is one here.
    pub(super) fn put_list<T: Display>(&mut self, field: &str, items: impl IntoIterator<Item = T>) {
        let mut items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
        if items.len() > SHOWN {
            let rest = items.split_off(SHOWN);
            let mut hasher = DefaultHasher::new();
            rest.hash(&mut hasher);
            items.push(format!("and {} more ({:016x})", rest.len(), hasher.finish()));
        }
        if !items.is_empty() {
            self.put(field, ids(items));
        }
    }

    pub(super) fn freshness(&mut self, part: &str, Freshness { soft, hard }: &Freshness) {
        self.put_some(&format!("{part}.soft_ttl_seconds"), soft.map(|soft| soft.as_secs_f64()));
        self.put_some(&format!("{part}.hard_ttl_seconds"), hard.map(|hard| hard.as_secs_f64()));
    }
}

pub(super) fn latency(latency: &LatencySources, out: &mut Writer) {
    let LatencySources { table, freshness, measured } = latency;
    let MeasuredLatency {
        half_life,
        freshness: measured_freshness,
        by_client_network,
        min_samples,
        max_networks,
    } = measured;
    out.put_some("latency.table", table.as_ref().map(|path| path.display()));
    out.freshness("latency", freshness);
    out.seconds("latency.measured.half_life_seconds", *half_life);
    out.freshness("latency.measured", measured_freshness);
    out.put("latency.measured.by_client_network", by_client_network);
    out.put("latency.measured.min_samples", min_samples);
    out.put("latency.measured.max_networks", max_networks);
}

pub(super) fn tenants(tenants: &TenantsFile, out: &mut Writer) {
    let TenantsFile { file, freshness } = tenants;
    out.put("tenants.file", file.display());
    out.freshness("tenants", freshness);
}

pub(super) fn hops(Hops { id, most }: &Hops, out: &mut Writer) {
    out.put_some("hops.id", id.as_ref());
    out.put("hops.most", most);
}

pub(super) fn shadow(Shadow { config, sample }: &Shadow, out: &mut Writer) {
    out.put("shadow.config", config.display());
    out.put("shadow.sample_percent", percent(*sample));
}

fn percent(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

/// What a deployment says beyond its regions, rules and times.
pub(super) fn deployment(deployment: &Deployment, out: &mut Writer) {
    let RankingSettings { latency_tolerance_ms, latency_switch_ms, objectives } =
        &deployment.ranking;
    let Objectives { latency, cost, load } = objectives;
    out.put("latency_tolerance_ms", latency_tolerance_ms);
    out.put("latency_switch_ms", latency_switch_ms);
    out.put("objectives.latency", latency);
    out.put("objectives.cost", cost);
    out.put("objectives.load", load);
    if let Some(source) = &deployment.tenant {
        tenant(source, out);
    }
    for policy in &deployment.residency {
        self::policy(policy, out);
    }
    out.put_list("residency (order)", deployment.residency.iter().map(|policy| &policy.name));
    writes(&deployment.writes, out);
    affinity(&deployment.affinity, out);
    hints(deployment.hints, out);
    out.put_list("replay.regions", &deployment.replay_regions);
    if let Some(priorities) = &deployment.priorities {
        self::priorities(priorities, out);
    }
}

fn tenant(source: &TenantSource, out: &mut Writer) {
    match source {
        TenantSource::Header(name) => out.put("tenant.header", name),
        TenantSource::HostLabel(number) => out.put("tenant.host_label", number),
        TenantSource::PathSegment(number) => out.put("tenant.path_segment", number),
        TenantSource::Cookie(name) => out.put("tenant.cookie", name),
        TenantSource::Jwt(JwtSource { header, claim, jwks, issuer, audience }) => {
            out.put("tenant.jwt.header", header);
            out.put("tenant.jwt.claim", claim);
            out.put("tenant.jwt.jwks", jwks.display());
            out.put_some("tenant.jwt.issuer", issuer.as_ref());
            out.put_some("tenant.jwt.audience", audience.as_ref());
        }
    }
}

fn policy(policy: &ResidencyPolicy, out: &mut Writer) {
    let ResidencyPolicy {
        name,
        applies_to: Applies { countries, tenants, headers, path_prefixes },
        allowed_regions,
        required_compliance,
        when_unknown,
        enforcement,
    } = policy;
    let part = format!("residency[{name}]");
    let to = format!("{part}.applies_to");
    out.put_list(&format!("{to}.countries"), countries);
    out.put_list(&format!("{to}.tenants"), tenants);
    for HeaderMatch { name, value } in headers {
        out.put(format!("{to}.headers.{name}"), shown(value));
    }
    out.put_list(&format!("{to}.path_prefixes"), path_prefixes);
    out.put_some(&format!("{part}.allowed_regions"), allowed_regions.as_ref().map(ids));
    out.put_list(&format!("{part}.required_compliance"), required_compliance);
    let unknown = match when_unknown {
        Unknown::Apply => "apply",
        Unknown::Skip => "skip",
    };
    out.put(format!("{part}.when_unknown"), unknown);
    let enforcement = match enforcement {
        Enforcement::Strict => "strict",
        Enforcement::Report => "report",
    };
    out.put(format!("{part}.enforcement"), enforcement);
}

fn writes(writes: &Writes, out: &mut Writer) {
    let Writes { mode, when_down, sticky, carrier, caught_up_header } = writes;
    let mode = match mode {
        WriteMode::Nearest => "nearest",
        WriteMode::Primary => "primary",
        WriteMode::Home => "home",
    };
    let when_down = match when_down {
        WhenDown::Failover => "failover",
        WhenDown::ReadOnly => "read_only",
    };
    out.put("writes.mode", mode);
    out.put("writes.when_down", when_down);
    out.put_some("writes.sticky_seconds", sticky.map(|sticky| sticky.as_secs_f64()));
    match carrier {
        TokenCarrier::Cookie(name) => out.put("writes.cookie", name),
        TokenCarrier::Header(name) => out.put("writes.header", name),
    }
    out.put_some("writes.caught_up_header", caught_up_header.as_ref());
}

fn affinity(affinity: &Affinity, out: &mut Writer) {
    let Affinity { mode, lifetime, on_failure } = affinity;
    let (mode, name) = match mode {
        AffinityMode::None => ("none", None),
        AffinityMode::Client => ("client", None),
        AffinityMode::Token(TokenCarrier::Cookie(name)) => ("cookie", Some(name.as_ref())),
        AffinityMode::Token(TokenCarrier::Header(name)) => ("header", Some(name.as_str())),
    };
    let on_failure = match on_failure {
        OnFailure::None => "none",
        OnFailure::Temporary => "temporary",
        OnFailure::Sticky => "sticky",
    };
    out.put("affinity.mode", mode);
    out.put_some("affinity.name", name);
    out.put_some("affinity.ttl_seconds", lifetime.map(|lifetime| lifetime.as_secs_f64()));
    out.put("affinity.on_failure", on_failure);
}

fn hints(Hints { prefer, force, from }: Hints, out: &mut Writer) {
    let from = match from {
        HintSource::Trusted => "trusted",
        HintSource::Signed => "signed",
        HintSource::TrustedOrSigned => "trusted_or_signed",
    };
    out.put("hints.prefer", prefer);
    out.put("hints.force", force);
    out.put("hints.from", from);
}

fn priorities(priorities: &Priorities, out: &mut Writer) {
    let Priorities { header, from_anyone, classes, default_percent } = priorities;
    out.put("priorities.header", header);
    out.put("priorities.from_anyone", from_anyone);
    for (class, percent) in classes {
        out.put(format!("priorities.classes.{class}"), percent);
    }
    out.put("priorities.default_percent", default_percent);
}

/// What a rule asks, but countries and headers.
pub(super) fn rule(rule: &Rule, out: &mut Writer) {
    out.put_list("hosts", &rule.hosts);
    out.put_list("path_prefixes", &rule.path_prefixes);
    out.put_list("methods", &rule.methods);
    out.put_list("source_continents", rule.source_continents.iter().map(|c| c.code()));
    let subdivisions = rule.source_subdivisions.iter();
    out.put_list(
        "source_subdivisions",
        subdivisions.map(|(country, part)| format!("{country}-{}", part.as_str())),
    );
    out.put_list("source_cidrs", &rule.source_cidrs);
    out.put_list("source_asns", &rule.source_asns);
    out.put_list("tenants", &rule.tenants);
    for NamedMatch { name, value } in &rule.query_conditions {
        out.put(format!("query_conditions.{name}"), shown(value));
    }
    for NamedMatch { name, value } in &rule.cookie_conditions {
        out.put(format!("cookie_conditions.{name}"), shown(value));
    }
    out.put_some("percent", rule.percent.map(percent));
    out.put_list("time_windows", rule.time_windows.iter().map(window));
    out.put_some("routing_strategy", rule.strategy.map(Strategy::as_str));
}

/// What a text must be; unlike the text alone, it differs for everything that differs.
pub(super) fn shown(value: &TextMatch) -> String {
    match value {
        TextMatch::Exact(text) => text.to_string(),
        TextMatch::Prefix(text) => format!("{{ prefix: {text} }}"),
        TextMatch::Suffix(text) => format!("{{ suffix: {text} }}"),
        TextMatch::Regex(pattern) => format!("{{ regex: {pattern} }}"),
        TextMatch::Present => "{ present: true }".to_owned(),
    }
}

fn window(window: &TimeWindow) -> String {
    let TimeWindow { days, from, until, zone } = window;
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].into_iter().zip(0..);
    let names = names.filter(|(_, day)| days.contains(*day)).map(|(name, _)| name);
    let clock = |minute: &u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let zone = zone.iana_name().unwrap_or("UTC");
    format!("{} {}-{} {zone}", names.collect::<Vec<_>>().join(" "), clock(from), clock(until))
}
