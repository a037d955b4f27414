//! The REST API: live state of regions and deployments, events, and explanations.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, json as answer_json, problem};
use super::source::Admin;
use crate::config::Endpoint;
use crate::failover::Status;
use crate::inquiry::Inquiry;
use crate::measure::Observed;
use crate::model::RegionState;
use crate::routing::Plan;
use crate::shadow::ShadowReport;

/// `GET /api/v1/regions`: every region, with its state in each deployment that uses it.
pub(super) async fn regions(admin: &Admin) -> Answer {
    let Some(status) = admin.handle.status().await else { return gone() };
    let regions: Vec<Value> = status
        .config
        .regions
        .iter()
        .map(|region| {
            let uses = uses_of(&status, region.id.as_str());
            json!({
                "id": region.id,
                "name": region.name,
                "location": region.location,
                "latitude": region.coordinates.latitude,
                "longitude": region.coordinates.longitude,
                "country": region.country,
                "bias": region.bias,
                "status": summary(&uses),
                "endpoints": region.endpoints.iter().map(|endpoint| {
                    endpoint_json(&status, endpoint)
                }).collect::<Vec<_>>(),
                "deployments": uses.iter().map(|(name, state)| {
                    json!({ "deployment": name, "state": state })
                }).collect::<Vec<_>>(),
            })
        })
        .collect();
    answer_json(&json!({
        "generation": status.table.generation,
        "total": regions.len(),
        "regions": regions,
    }))
}

/// `GET /api/v1/deployments`: every deployment, with each of its regions as it is now.
pub(super) async fn deployments(admin: &Admin) -> Answer {
    let Some(status) = admin.handle.status().await else { return gone() };
    let plan = &status.table.plan;
    let deployments: Vec<Value> = plan
        .iter()
        .map(|(index, deployment)| {
            let settings = &deployment.settings;
            let details = status.regions.get(index.index());
            let health = status.table.deployment(index).map(|(_, health)| health);
            let regions: Vec<Value> = deployment
                .regions
                .iter()
                .enumerate()
                .map(|(r, region)| {
                    let state = health.and_then(|health| health.regions().get(r));
                    let detail = details.and_then(|details| details.get(r));
                    json!({
                        "region": region.id,
                        "state": state.map(|health| health.state),
                        "in_state_seconds": detail.map(|detail| detail.in_state_seconds),
                        "weight": region.weight,
                        "endpoints": region.endpoints.iter().map(|e| &e.url).collect::<Vec<_>>(),
                        "addresses": region.endpoints.iter().map(|e| e.address).collect::<Vec<_>>(),
                        "checks": detail.map(|detail| &detail.endpoints),
                    })
                })
                .collect();
            json!({
                "name": deployment.name,
                "hosts": settings.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "path_prefix": settings.path_prefix,
                "routing_strategy": settings.strategy,
                "primary_region": settings.primary_region,
                "excluded_regions": settings.excluded_regions,
                "routing_rules": settings.rules.len(),
                "when_all_down": settings.when_all_down,
                "regions": regions,
            })
        })
        .collect();
    answer_json(&json!({
        "generation": status.table.generation,
        "total": deployments.len(),
        "deployments": deployments,
    }))
}

/// `GET /api/v1/events`: the latest changes of state, newest last.
pub(super) async fn events(admin: &Admin) -> Answer {
    let Some(status) = admin.handle.status().await else { return gone() };
    answer_json(&json!({
        "uptime_seconds": status.uptime.as_secs_f64(),
        "total": status.events.len(),
        "events": status.events,
    }))
}

/// `GET /api/v1/shadow`: what a candidate would have done with live requests.
pub(super) fn shadow(admin: &Admin) -> Answer {
    let report = admin.live.load().shadow.as_deref().map(ShadowReport::of);
    answer_json(&json!({ "shadow": report }))
}

/// `POST /api/v1/route`: where a described request would go, and why.
pub(super) fn route(admin: &Admin, body: &[u8]) -> Answer {
    let inquiry: Inquiry = match serde_json::from_slice(body) {
        Ok(inquiry) => inquiry,
        Err(error) => {
            return problem(StatusCode::BAD_REQUEST, "malformed_request", &error.to_string());
        }
    };
    let observe = |plan: &Plan, client, unix| {
        Observed::now(&admin.registry, &admin.networks, plan, client, unix)
    };
    match inquiry.explain(&admin.live.load(), observe) {
        Ok(explanation) => answer_json(&explanation),
        Err(error) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "no_such_request", &error.to_string())
        }
    }
}

/// An endpoint as it is configured, and what is known of its name if it has one.
fn endpoint_json(status: &Status, endpoint: &Endpoint) -> Value {
    let question = endpoint.question();
    let known = question.and_then(|question| {
        let mut known = status.names.iter();
        known.find(|known| known.name == question.name && known.sought == question.sought)
    });
    let mut json = json!({ "url": endpoint.url, "weight": endpoint.weight });
    if let (Some(object), Some(known)) = (json.as_object_mut(), known) {
        object.insert("name".to_owned(), json!(known));
    }
    json
}

/// The deployments that use a region, and its state in each.
fn uses_of<'a>(status: &'a Status, id: &str) -> Vec<(&'a str, RegionState)> {
    let mut uses = Vec::new();
    for (index, deployment) in status.table.plan.iter() {
        let Some((_, health)) = status.table.deployment(index) else { continue };
        for (region, health) in deployment.regions.iter().zip(health.regions()) {
            if region.id.as_str() == id {
                uses.push((deployment.name.as_str(), health.state));
            }
        }
    }
    uses
}

/// One word for a region: its state if all deployments agree, the worst of them otherwise.
fn summary(uses: &[(&str, RegionState)]) -> &'static str {
    uses.iter().map(|(_, state)| *state).max().map_or("unused", RegionState::as_str)
}

fn gone() -> Answer {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "controller_gone",
        "the controller has ended; requests are routed by the last table",
    )
}
