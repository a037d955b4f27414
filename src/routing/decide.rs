//! The decision: one function, read from top to bottom, one step after the other.
//!
//! Each step edits the ranking and tells the trace what it did; the words are `story`'s. Not here:
//! the choice of an endpoint inside the region (`endpoint`), because a retry makes it again.

use arrayvec::ArrayVec;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use thiserror::Error;

use super::draws::{Draws, Purpose, Stream};
use super::plan::{DeploymentIndex, DeploymentPlan, RegionPosition, RuleIndex};
use super::ranking::Ranking;
use super::regions::RegionSet;
use super::story;
use super::strategy::{Order, Ranker};
use super::table::Table;
use super::trace::Trace;
use crate::config::{Strategy, WhenAllDown};
use crate::model::limits::{REGIONS_PER_DECISION, REGIONS_PER_DEPLOYMENT};
use crate::model::{Client, Location};

/// What is known of one request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The host it is for, in lower case and without a port; empty if it names none.
    pub host: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Who sent it.
    pub client: Client,
    /// Where that is.
    pub location: Location,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The deployment that answers.
    pub deployment: DeploymentIndex,
    /// The region, then the alternates to try in order; at least one.
    pub order: ArrayVec<RegionPosition, REGIONS_PER_DECISION>,
    /// Why that region.
    pub reason: Reason,
    /// The rule that holds for the request, whether or not it could be followed.
    pub rule: Option<RuleIndex>,
    /// Whether the regions of `order` may be down.
    pub ignoring_health: bool,
}

/// Why a request goes to its region: what put that region first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The strategy `failover`.
    Failover,
    /// The strategy `geolocation`.
    Geolocation,
    /// The strategy `latency`.
    Latency,
    /// The strategy `weighted`.
    Weighted,
    /// The strategy `round_robin`.
    RoundRobin,
    /// The order of `failover`, because `geolocation` does not know where the client is.
    LocationUnknown,
    /// The order of `failover`, because `latency` has neither a row nor a distance.
    LatencyUnknown,
    /// A rule; the region is one of its targets.
    Rule,
    /// A rule; the region is one of its fallbacks.
    RuleFallback,
    /// A rule without fallbacks; none of its targets is up, the region is another one.
    RuleOthers,
    /// The strategy, as if no rule held: none of the rule's regions is eligible.
    RuleUnavailable,
    /// No region was left, and one is tried all the same.
    LastResort,
}

impl Reason {
    /// Every reason, for metrics that show one series a reason.
    pub const ALL: [Self; 12] = [
        Self::Failover,
        Self::Geolocation,
        Self::Latency,
        Self::Weighted,
        Self::RoundRobin,
        Self::LocationUnknown,
        Self::LatencyUnknown,
        Self::Rule,
        Self::RuleFallback,
        Self::RuleOthers,
        Self::RuleUnavailable,
        Self::LastResort,
    ];

    /// The word used in metrics, logs and explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Geolocation => "geolocation",
            Self::Latency => "latency",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::LocationUnknown => "location_unknown",
            Self::LatencyUnknown => "latency_unknown",
            Self::Rule => "rule",
            Self::RuleFallback => "rule_fallback",
            Self::RuleOthers => "rule_others",
            Self::RuleUnavailable => "rule_unavailable",
            Self::LastResort => "last_resort",
        }
    }

    /// Whether a rule put the region where it is.
    pub const fn is_of_rule(self) -> bool {
        matches!(self, Self::Rule | Self::RuleFallback | Self::RuleOthers)
    }

    const fn of(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Failover => Self::Failover,
            Strategy::Geolocation => Self::Geolocation,
            Strategy::Latency => Self::Latency,
            Strategy::Weighted => Self::Weighted,
            Strategy::RoundRobin => Self::RoundRobin,
        }
    }
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refusal {
    /// No deployment answers this host and path.
    #[error("no deployment answers this host and path")]
    NoDeployment,
    /// No region of the deployment is healthy, and it does not try the others.
    #[error("no region of the deployment is healthy")]
    NoHealthyRegion {
        /// The deployment.
        deployment: DeploymentIndex,
    },
}

impl Refusal {
    /// The word used in responses, metrics, logs and explanations.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoDeployment => "no_deployment",
            Self::NoHealthyRegion { .. } => "no_healthy_region",
        }
    }

    /// The status of the response.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoDeployment => StatusCode::NOT_FOUND,
            Self::NoHealthyRegion { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The deployment that refuses.
    pub const fn deployment(self) -> Option<DeploymentIndex> {
        match self {
            Self::NoDeployment => None,
            Self::NoHealthyRegion { deployment } => Some(deployment),
        }
    }
}

/// The deployment that answers a host (lower case, no port) and a path.
pub fn deployment(table: &Table, host: &str, path: &str) -> Option<DeploymentIndex> {
    table.plan.hosts.find(host, path)
}

/// Decides where a request goes.
pub fn decide<T: Trace>(
    table: &Table,
    facts: &Facts<'_>,
    draws: Draws,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let Some(index) = deployment(table, facts.host, facts.path) else {
        trace.record(|| story::no_deployment(facts));
        return Err(Refusal::NoDeployment);
    };
    decide_in(table, index, facts, draws, trace)
}

/// Decides where a request goes in a deployment that [`deployment`] has found in the same table.
pub fn decide_in<T: Trace>(
    table: &Table,
    index: DeploymentIndex,
    facts: &Facts<'_>,
    draws: Draws,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let Some((deployment, health)) = table.deployment(index) else {
        trace.record(|| story::no_deployment(facts));
        return Err(Refusal::NoDeployment);
    };
    trace.record(|| story::deployment(deployment, facts));

    let allowed = deployment.eligible();
    trace.record(|| story::eligible(deployment));
    // Residency narrows `allowed` here, before anything ranks.

    let mut ranking = Ranking::by_strategy(allowed, Reason::of(deployment.settings.strategy));
    // Overrides drop regions from the ranking or replace its order here; then a pin puts one first.

    let rule = deployment.rules.find(facts.headers, facts.location.country);
    let followed = rule.is_some_and(|rule| ranking.apply(rule));
    trace.record(|| story::rule(deployment, facts, rule, &ranking));
    // Writes and then affinity put one region first here.

    let listed = ranking.regions();
    let up = listed.and(health.up());
    let ranker = if T::RECORDS || ranking.needs_strategy(up) {
        Ranker::new(&table.plan, deployment, facts, draws, listed)
    } else {
        Ranker::Listed { unknown: None }
    };
    let mut order = Order::new();
    let stream = Stream::new(draws.entropy, Purpose::Region);
    ranking.arrange(up, up, &ranker, stream, &mut order);
    if T::RECORDS {
        let mut all = Order::<REGIONS_PER_DEPLOYMENT>::new();
        ranking.arrange(listed, up, &ranker, stream, &mut all);
        let scene = story::Scene { plan: &table.plan, deployment, health, facts };
        trace.record(|| story::strategy(&scene, &ranking, &ranker, stream, &all));
        trace.record(|| story::health(&scene, &all));
    }
    // Capacity takes full regions from the order here.

    let Some(first) = order.first() else {
        let rule = rule.map(|rule| rule.index);
        return nothing_left(deployment, index, allowed, rule, trace);
    };
    let by_strategy = Reason::of(deployment.settings.strategy);
    let reason = match ranking.reason(*first).unwrap_or(by_strategy) {
        reason if reason.is_of_rule() => reason,
        _ if rule.is_some() && !followed => Reason::RuleUnavailable,
        reason => ranker.unknown().unwrap_or(reason),
    };
    let rule = rule.map(|rule| rule.index);
    Ok(Decision { deployment: index, order, reason, rule, ignoring_health: false })
}

/// What is done when no step left a region: the allowed ones in listed order, or nothing.
fn nothing_left<T: Trace>(
    deployment: &DeploymentPlan,
    index: DeploymentIndex,
    allowed: RegionSet,
    rule: Option<RuleIndex>,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let order: ArrayVec<_, REGIONS_PER_DECISION> = match deployment.settings.when_all_down {
        WhenAllDown::LastResort => allowed.iter().take(REGIONS_PER_DECISION).collect(),
        WhenAllDown::Refuse => ArrayVec::new(),
    };
    trace.record(|| story::nothing_left(deployment, &order));
    if order.is_empty() {
        return Err(Refusal::NoHealthyRegion { deployment: index });
    }
    let reason = Reason::LastResort;
    Ok(Decision { deployment: index, order, reason, rule, ignoring_health: true })
}
