//! Tenants that are pinned to a region which a residency policy keeps from them.
//!
//! The file of tenants is read elsewhere; here are only its pairs of a tenant and a region.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::error::{ConfigError, Quoted, Severity};
use super::settings::{Config, Deployment, Enforcement, ResidencyPolicy};
use crate::model::limits::CONFIG_ERRORS;

/// Tenants that a warning names.
const EXAMPLES: usize = 3;

/// Pins whose region a strict policy does not allow, although it applies to every request of the
/// tenant: one warning for each deployment, policy and region, in the file's name. `pins` are
/// tenants with the ids of their regions.
pub fn pins_outside_policy<'p>(
    config: &Config,
    pins: impl IntoIterator<Item = (&'p str, &'p str)>,
) -> Vec<ConfigError> {
    let rules: Vec<_> = config.deployments.iter().flat_map(|d| Rules::of(d, config)).collect();
    if rules.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<(usize, usize, usize), Pinned<'p>> = BTreeMap::new();
    let regions: HashMap<_, _> =
        config.regions.iter().zip(0..).map(|(region, at)| (region.id.as_str(), at)).collect();
    for (tenant, region) in pins {
        let Some(region) = regions.get(region) else { continue };
        for (index, rules) in rules.iter().enumerate() {
            for policy in rules.for_tenant(tenant).filter(|policy| policy.refuses(*region)) {
                found.entry((index, policy.index, *region)).or_default().add(tenant);
            }
        }
    }
    let file = config.tenants.as_ref().map_or(Path::new(""), |tenants| &tenants.file);
    let warning = |((rules_at, policy, region), pinned): (_, Pinned<'_>)| {
        let deployment = rules.get::<usize>(rules_at)?.deployment;
        let policy = deployment.residency.get::<usize>(policy)?;
        let region = config.regions.get::<usize>(region)?;
        let message = format!(
            "{pinned} pinned to {}, which the policy {} of the deployment {} does not allow",
            Quoted(region.id.as_str()),
            Quoted(&policy.name),
            Quoted(deployment.name.as_str()),
        );
        let help = "pin to a region that the policy allows; the pin does nothing, and if it is \
                    strict every request of the tenant is refused";
        let error = ConfigError::of_file(file, message);
        Some(ConfigError { severity: Severity::Warning, help: Some(help.to_owned()), ..error })
    };
    found.into_iter().filter_map(warning).take(CONFIG_ERRORS).collect()
}

/// The policies of one deployment that can concern all requests of a tenant.
struct Rules<'c> {
    deployment: &'c Deployment,
    everyone: Vec<Binding>,
    by_tenant: HashMap<&'c str, Vec<Binding>>,
}

/// A policy by its place, with the regions of the configuration that it refuses.
#[derive(Clone)]
struct Binding {
    index: usize,
    refused: Vec<bool>,
}

impl Binding {
    fn refuses(&self, region: usize) -> bool {
        self.refused.get(region).copied().unwrap_or(false)
    }
}

impl<'c> Rules<'c> {
    /// `None`: the deployment knows no tenants, or has no such policy.
    fn of(deployment: &'c Deployment, config: &Config) -> Option<Self> {
        deployment.tenant.as_ref()?;
        let mut rules = Self { deployment, everyone: Vec::new(), by_tenant: HashMap::new() };
        for (index, policy) in deployment.residency.iter().enumerate() {
            if policy.enforcement != Enforcement::Strict || !for_all_requests(policy) {
                continue;
            }
            let refused = config.regions.iter().map(|region| !policy.allows(region)).collect();
            let binding = Binding { index, refused };
            for tenant in &policy.applies_to.tenants {
                rules.by_tenant.entry(tenant.as_str()).or_default().push(binding.clone());
            }
            if policy.applies_to.tenants.is_empty() {
                rules.everyone.push(binding);
            }
        }
        (!rules.everyone.is_empty() || !rules.by_tenant.is_empty()).then_some(rules)
    }

    fn for_tenant(&self, tenant: &str) -> impl Iterator<Item = &Binding> {
        self.everyone.iter().chain(self.by_tenant.get(tenant).into_iter().flatten())
    }
}

/// Whether nothing but the tenant decides if the policy applies.
fn for_all_requests(policy: &ResidencyPolicy) -> bool {
    let applies = &policy.applies_to;
    applies.countries.is_empty() && applies.headers.is_empty() && applies.path_prefixes.is_empty()
}

/// Tenants of one kind: the first of them, and how many there are.
#[derive(Default)]
struct Pinned<'p> {
    first: Vec<&'p str>,
    count: usize,
}

impl<'p> Pinned<'p> {
    fn add(&mut self, tenant: &'p str) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            self.first.push(tenant);
        }
    }
}

impl std::fmt::Display for Pinned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: Vec<_> = self.first.iter().map(|tenant| Quoted(tenant).to_string()).collect();
        let shown = shown.join(", ");
        match self.count {
            1 => write!(f, "the tenant {shown} is"),
            count if count == self.first.len() => write!(f, "the tenants {shown} are"),
            count => write!(f, "{count} tenants, such as {shown}, are"),
        }
    }
}
