//! Tests of the decision as a whole. Those of a part that can be understood alone lie beside it.

use crate::{config, model, routing};

mod draws;
mod endpoints;
pub(crate) mod fixture;
mod homes;
mod hosts;
mod path;
mod precedence;
mod reference;
mod residency;
mod rules;
mod steps;
mod strategies;
mod tenants;
mod told;

use self::fixture::Request;
use self::routing::{
    Conditions, Decision, DeploymentHealth, DeploymentIndex, Draws, NoTrace, Refusal, RegionHealth,
    Table, decide,
};
use crate::model::RegionState;

/// Decides without a trace.
fn decided(table: &Table, request: &Request, draws: Draws) -> Result<Decision, Refusal> {
    decide(table, &request.facts(), &Conditions::NONE, draws, &mut NoTrace)
}

/// Ids of the regions of a decision in order, and its reason.
fn outcome(table: &Table, request: &Request) -> (Vec<String>, &'static str) {
    match decided(table, request, Draws::default()) {
        Ok(decision) => (ids(table, &decision), decision.reason.as_str()),
        Err(refusal) => (Vec::new(), refusal.reason()),
    }
}

fn ids(table: &Table, decision: &Decision) -> Vec<String> {
    let deployment = table.plan.deployment(decision.deployment).unwrap();
    let regions = decision.order.iter().map(|position| deployment.region(*position).unwrap());
    regions.map(|region| region.id.to_string()).collect()
}

/// The same table with these regions of its first deployment down.
fn with_down(table: &Table, down: &[&str]) -> Table {
    let index = DeploymentIndex(0);
    let regions = &table.plan.deployment(index).unwrap().regions;
    let health = DeploymentHealth::new(regions.iter().map(|region| {
        let state = if down.contains(&region.id.as_str()) {
            RegionState::Down
        } else {
            RegionState::Healthy
        };
        RegionHealth { state, ..RegionHealth::HEALTHY }
    }));
    table.with_health(table.generation + 1, index, health)
}
