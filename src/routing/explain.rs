//! A decision with everything that led to it, as JSON or for people.
//!
//! Runs [`decide`] itself with a recorder: there is no second implementation to disagree with.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::decide::{Decision, decide};
use super::draws::Draws;
use super::endpoint::choose_endpoint;
use super::facts::{Conditions, Facts};
use super::outcome::Reason;
use super::table::Table;
use super::trace::{Recorder, StepRecord};
use crate::config::EndpointUrl;
use crate::model::{ClientSource, Country, DeploymentName, RegionId, RuleId};

/// Why a request goes where it goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Generation of the table that decided.
    pub generation: u64,
    /// The deployment that answers.
    pub deployment: Option<DeploymentName>,
    /// Who asked.
    pub client: ExplainedClient,
    /// Where the request goes; absent when it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<ExplainedDecision>,
    /// Why it goes nowhere; absent when it goes somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<ExplainedRefusal>,
    /// What each step did, in order.
    pub steps: Vec<StepRecord>,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedClient {
    /// The address.
    pub address: IpAddr,
    /// Where the address was read.
    pub source: ClientSource,
    /// The country, when known.
    pub country: Option<Country>,
    /// Degrees north, when known.
    pub latitude: Option<f64>,
    /// Degrees east, when known.
    pub longitude: Option<f64>,
    /// The autonomous system, when known.
    pub asn: Option<u32>,
    /// The tenant, when known.
    pub tenant: Option<String>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedDecision {
    /// The region.
    pub region: RegionId,
    /// The endpoint, as an idle worker would choose it.
    pub endpoint: Option<EndpointUrl>,
    /// Where that is, as far as is known.
    pub address: Option<SocketAddr>,
    /// Why that region.
    pub reason: Reason,
    /// The rule that holds.
    pub rule: Option<RuleId>,
    /// Where it goes if that fails, in order.
    pub alternates: Vec<RegionId>,
}

/// Why a request goes nowhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedRefusal {
    /// The reason, as in the response.
    pub reason: &'static str,
    /// The status of the response.
    pub status: u16,
}

/// Decides as [`decide`] does, and says how.
pub fn explain(
    table: &Table,
    facts: &Facts<'_>,
    conditions: &Conditions<'_>,
    draws: Draws,
) -> Explanation {
    let mut recorder = Recorder::default();
    let outcome = decide(table, facts, conditions, draws, &mut recorder);
    let (index, decision, refusal) = match outcome {
        Ok(decision) => {
            (Some(decision.deployment), explain_decision(table, &decision, draws), None)
        }
        Err(refusal) => {
            let (reason, status) = (refusal.reason(), refusal.status().as_u16());
            (refusal.deployment, None, Some(ExplainedRefusal { reason, status }))
        }
    };
    let deployment = index.and_then(|index| table.plan.deployment(index));
    Explanation {
        generation: table.generation,
        deployment: deployment.map(|deployment| deployment.name.clone()),
        client: ExplainedClient::of(facts),
        decision,
        refusal,
        steps: recorder.steps,
    }
}

fn explain_decision(table: &Table, decision: &Decision, draws: Draws) -> Option<ExplainedDecision> {
    let (deployment, health) = table.deployment(decision.deployment)?;
    let position = *decision.order.first()?;
    let region = deployment.region(position)?;
    let up = health.region(position).endpoints_up;
    let endpoint = choose_endpoint(region, up, 0, draws.entropy, |_| 0);
    let endpoint = endpoint.and_then(|endpoint| region.endpoints.get(endpoint));
    let rule = decision.rule.and_then(|rule| deployment.rule(rule));
    Some(ExplainedDecision {
        region: region.id.clone(),
        endpoint: endpoint.map(|endpoint| endpoint.url.clone()),
        address: endpoint.and_then(|endpoint| endpoint.address),
        reason: decision.reason,
        rule: rule.map(|rule| rule.id.clone()),
        alternates: deployment.ids(decision.order.iter().skip(1).copied()).cloned().collect(),
    })
}

impl ExplainedClient {
    fn of(facts: &Facts<'_>) -> Self {
        let location = facts.location;
        Self {
            address: facts.client.address,
            source: facts.client.source,
            country: location.country,
            latitude: location.coordinates.map(|at| at.latitude),
            longitude: location.coordinates.map(|at| at.longitude),
            asn: location.asn,
            tenant: facts.tenant.map(str::to_owned),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.decision, &self.refusal) {
            (Some(decision), _) => writeln!(f, "{decision}")?,
            (None, Some(refusal)) => {
                writeln!(f, "refused: {} ({})", refusal.reason, refusal.status)?;
            }
            (None, None) => writeln!(f, "no decision")?,
        }
        match &self.deployment {
            Some(name) => write!(f, "deployment {name}, ")?,
            None => write!(f, "no deployment, ")?,
        }
        writeln!(f, "table generation {}", self.generation)?;
        writeln!(f, "client {}", self.client)?;
        for (number, step) in (1..).zip(&self.steps) {
            write!(f, "\n{number}. {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ExplainedDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-> {}", self.region)?;
        if let Some(endpoint) = &self.endpoint {
            write!(f, " at {endpoint}")?;
        }
        write!(f, ", reason {}", self.reason.as_str())?;
        if let Some(rule) = &self.rule {
            write!(f, ", rule {rule}")?;
        }
        if !self.alternates.is_empty() {
            write!(f, "\n   then {}", Listed(&self.alternates))?;
        }
        Ok(())
    }
}

impl fmt::Display for ExplainedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            ClientSource::Peer => "the peer",
            ClientSource::Forwarded => "from Forwarded",
            ClientSource::XForwardedFor => "from X-Forwarded-For",
        };
        write!(f, "{} ({source})", self.address)?;
        match self.country {
            Some(country) => write!(f, ", country {country}")?,
            None => write!(f, ", country unknown")?,
        }
        if let (Some(latitude), Some(longitude)) = (self.latitude, self.longitude) {
            write!(f, ", at {latitude:.2} {longitude:.2}")?;
        }
        if let Some(asn) = self.asn {
            write!(f, ", AS{asn}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StepRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12} {}", self.step.as_str(), Listed(&self.regions))?;
        if let Some(note) = &self.note {
            write!(f, "\n     {note}")?;
        }
        for dropped in &self.dropped {
            write!(f, "\n     dropped {}: {}", dropped.region, dropped.why)?;
        }
        writeln!(f)
    }
}

/// Regions with commas between them.
struct Listed<'a>(&'a [RegionId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, region) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{region}")?;
        }
        Ok(())
    }
}
