//! The words for how a decision ended: why a region came first, or why none did.
//!
//! Words, statuses and numbers of series only; which of them it is, is `decide`'s business.

use http::StatusCode;
use serde::Serialize;
use thiserror::Error;

use super::plan::DeploymentIndex;
use crate::config::Strategy;

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
    /// The strategy `capacity`.
    Capacity,
    /// The strategy `cost`.
    Cost,
    /// The strategy `health`.
    Health,
    /// The strategy `compliance`.
    Compliance,
    /// The strategy `score`.
    Score,
    /// The order of `failover`, because `geolocation` does not know where the client is.
    LocationUnknown,
    /// The order of `failover`, because `latency` has neither a row nor a distance.
    LatencyUnknown,
    /// The order of `failover`, because all that `latency` knows is too old.
    LatencyStale,
    /// An operator shifted the traffic there.
    Shift,
    /// The request says that only this region will do.
    Forced,
    /// An origin asked for the request to be replayed there.
    Replay,
    /// The home of the tenant.
    Pin,
    /// A write; the region takes them.
    Write,
    /// A read; the client wrote there a moment ago.
    ReadYourWrites,
    /// The client was there before, or belongs there.
    Affinity,
    /// The request would rather go there.
    Preferred,
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
    pub const ALL: [Self; 26] = [
        Self::Failover,
        Self::Geolocation,
        Self::Latency,
        Self::Weighted,
        Self::RoundRobin,
        Self::Capacity,
        Self::Cost,
        Self::Health,
        Self::Compliance,
        Self::Score,
        Self::LocationUnknown,
        Self::LatencyUnknown,
        Self::LatencyStale,
        Self::Shift,
        Self::Forced,
        Self::Replay,
        Self::Pin,
        Self::Write,
        Self::ReadYourWrites,
        Self::Affinity,
        Self::Preferred,
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
            Self::Capacity => "capacity",
            Self::Cost => "cost",
            Self::Health => "health",
            Self::Compliance => "compliance",
            Self::Score => "score",
            Self::LocationUnknown => "location_unknown",
            Self::LatencyUnknown => "latency_unknown",
            Self::LatencyStale => "latency_stale",
            Self::Shift => "shift",
            Self::Forced => "forced",
            Self::Replay => "replay",
            Self::Pin => "pin",
            Self::Write => "write",
            Self::ReadYourWrites => "read_your_writes",
            Self::Affinity => "affinity",
            Self::Preferred => "preferred",
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

    /// Whether a strategy put the region where it is.
    pub const fn is_of_strategy(self) -> bool {
        matches!(
            self,
            Self::Failover
                | Self::Geolocation
                | Self::Latency
                | Self::Weighted
                | Self::RoundRobin
                | Self::Capacity
                | Self::Cost
                | Self::Health
                | Self::Compliance
                | Self::Score
        )
    }

    pub(super) const fn of(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Failover => Self::Failover,
            Strategy::Geolocation => Self::Geolocation,
            Strategy::Latency => Self::Latency,
            Strategy::Weighted => Self::Weighted,
            Strategy::RoundRobin => Self::RoundRobin,
            Strategy::Capacity => Self::Capacity,
            Strategy::Cost => Self::Cost,
            Strategy::Health => Self::Health,
            Strategy::Compliance => Self::Compliance,
            Strategy::Score => Self::Score,
        }
    }
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("{}", .why.title())]
pub struct Refusal {
    /// Why.
    pub why: RefusalReason,
    /// The deployment that refuses; `None`: there is none.
    pub deployment: Option<DeploymentIndex>,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// No deployment answers this host and path.
    NoDeployment,
    /// No region of the deployment may see the request.
    ResidencyUnavailable,
    /// The strategy is `compliance`, and no residency policy applies to the request.
    ResidencyRequired,
    /// Only one region will do, and it cannot be used.
    RegionUnavailable,
    /// The tenant may go nowhere but to its home, and the home cannot be used.
    HomeUnavailable,
    /// Writes are not taken, because their region is down.
    ReadOnly,
    /// Every region that could answer is full.
    Overloaded,
    /// No region of the deployment is healthy, and it does not try the others.
    NoHealthyRegion,
}

impl RefusalReason {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::NoDeployment,
        Self::ResidencyUnavailable,
        Self::ResidencyRequired,
        Self::RegionUnavailable,
        Self::HomeUnavailable,
        Self::ReadOnly,
        Self::Overloaded,
        Self::NoHealthyRegion,
    ];

    /// The word used in responses, metrics, logs and explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoDeployment => "no_deployment",
            Self::ResidencyUnavailable => "residency_unavailable",
            Self::ResidencyRequired => "residency_required",
            Self::RegionUnavailable => "region_unavailable",
            Self::HomeUnavailable => "home_unavailable",
            Self::ReadOnly => "read_only",
            Self::Overloaded => "overloaded",
            Self::NoHealthyRegion => "no_healthy_region",
        }
    }

    /// One sentence for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::NoDeployment => "no deployment answers this host and path",
            Self::ResidencyUnavailable => "no region of the deployment may see this request",
            Self::ResidencyRequired => "no residency policy applies to this request",
            Self::RegionUnavailable => "the only region that will do cannot be used",
            Self::HomeUnavailable => "the tenant's home cannot be used",
            Self::ReadOnly => "writes are not taken at the moment",
            Self::Overloaded => "every region that could answer is full",
            Self::NoHealthyRegion => "no region of the deployment is healthy",
        }
    }

    /// The status of the response.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoDeployment => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal {
    /// No deployment answers this host and path.
    pub const NO_DEPLOYMENT: Self = Self { why: RefusalReason::NoDeployment, deployment: None };

    /// The word used in responses, metrics, logs and explanations.
    pub const fn reason(self) -> &'static str {
        self.why.as_str()
    }

    /// The status of the response.
    pub const fn status(self) -> StatusCode {
        self.why.status()
    }
}
