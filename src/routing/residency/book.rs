//! The policies of a deployment, compiled: countries to bits, tenants to a hash set, what a policy
//! allows to a set of regions.
//!
//! Narrows the list before anything ranks it. The guard before each attempt takes nothing from here.

use std::collections::HashSet;

use foldhash::quality::FixedState;

use super::path::ReadPath;
use crate::config::{Applies, Enforcement, HeaderMatch, Region, ResidencyPolicy, Unknown};
use crate::model::{Country, TenantId};
use crate::routing::facts::Facts;
use crate::routing::plan::{RegionPlan, RegionPosition};
use crate::routing::regions::RegionSet;

/// The policies of one deployment.
#[derive(Debug, Default)]
pub(in crate::routing) struct ResidencyBook {
    policies: Box<[CompiledPolicy]>,
    /// Whether any of them asks for the path.
    by_path: bool,
}

#[derive(Debug)]
struct CompiledPolicy {
    allowed: RegionSet,
    binds: bool,
    /// Whether it applies where it cannot know.
    unknown: bool,
    countries: Option<CountrySet>,
    tenants: HashSet<TenantId, FixedState>,
    headers: Box<[HeaderMatch]>,
    path_prefixes: Box<[String]>,
}

/// What the policies say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routing) struct Verdict {
    /// Regions that every binding policy that applies allows.
    pub(in crate::routing) allowed: RegionSet,
    /// Regions that policies which only report would have taken out as well.
    pub(in crate::routing) reported: RegionSet,
    /// The policies that apply, by their place in the configuration.
    pub(in crate::routing) applying: u64,
    /// Whether a binding one is among them.
    pub(in crate::routing) bound: bool,
}

impl ResidencyBook {
    /// `regions` are the deployment's eligible ones with their configuration, in listed order.
    pub(in crate::routing) fn compile(
        policies: &[ResidencyPolicy],
        regions: &[(&RegionPlan, &Region)],
    ) -> Self {
        let policies: Box<[_]> =
            policies.iter().map(|policy| CompiledPolicy::compile(policy, regions)).collect();
        let by_path = policies.iter().any(|policy| !policy.path_prefixes.is_empty());
        Self { policies, by_path }
    }

    /// Whether there is nothing to ask.
    pub(in crate::routing) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What the policies say of a request to any of `eligible`.
    pub(in crate::routing) fn verdict(&self, facts: &Facts<'_>, eligible: RegionSet) -> Verdict {
        let path = self.by_path.then(|| ReadPath::of(facts.path));
        let (mut allowed, mut silent) = (eligible, eligible);
        let (mut applying, mut bound) = (0, false);
        for (place, policy) in (0..).zip(&self.policies) {
            if !policy.applies(facts, path.as_ref()) {
                continue;
            }
            // One beyond the limit narrows all the same; it is only not named.
            applying |= 1u64.checked_shl(place).unwrap_or(0);
            if policy.binds {
                bound = true;
                allowed = allowed.and(policy.allowed);
            } else {
                silent = silent.and(policy.allowed);
            }
        }
        Verdict { allowed, reported: allowed.without(silent), applying, bound }
    }
}

impl CompiledPolicy {
    fn compile(policy: &ResidencyPolicy, regions: &[(&RegionPlan, &Region)]) -> Self {
        let ResidencyPolicy { name: _, applies_to, when_unknown, enforcement, .. } = policy;
        let Applies { countries, tenants, headers, path_prefixes } = applies_to;
        let described = (0..).map(RegionPosition).zip(regions);
        let allowed = described.filter(|(_, (plan, region))| {
            let listed = policy.allowed_regions.as_ref().is_none_or(|ids| ids.contains(&plan.id));
            let complies = |framework| region.compliance.contains(framework);
            listed && policy.required_compliance.iter().all(complies)
        });
        Self {
            allowed: allowed.map(|(position, _)| position).collect(),
            binds: *enforcement == Enforcement::Strict,
            unknown: *when_unknown == Unknown::Apply,
            countries: (!countries.is_empty()).then(|| countries.iter().copied().collect()),
            tenants: tenants.iter().cloned().collect(),
            headers: headers.as_slice().into(),
            path_prefixes: path_prefixes.as_slice().into(),
        }
    }

    /// Whether every field that is written holds.
    fn applies(&self, facts: &Facts<'_>, path: Option<&ReadPath<'_>>) -> bool {
        self.in_country(facts) && self.of_tenant(facts) && self.with_header(facts) && self.at(path)
    }

    fn in_country(&self, facts: &Facts<'_>) -> bool {
        match (&self.countries, facts.location.country) {
            (None, _) => true,
            (Some(countries), Some(country)) => countries.contains(country),
            (Some(_), None) => self.unknown,
        }
    }

    fn of_tenant(&self, facts: &Facts<'_>) -> bool {
        match facts.tenant {
            _ if self.tenants.is_empty() => true,
            Some(tenant) => self.tenants.contains(tenant),
            None => self.unknown,
        }
    }

    fn with_header(&self, facts: &Facts<'_>) -> bool {
        let mut wanted = self.headers.iter();
        self.headers.is_empty()
            || wanted.any(|HeaderMatch { name, value }| {
                facts.headers.get_all(name).iter().any(|line| value.matches(line.as_bytes()))
            })
    }

    fn at(&self, path: Option<&ReadPath<'_>>) -> bool {
        let mut prefixes = self.path_prefixes.iter();
        self.path_prefixes.is_empty()
            || path.is_none_or(|path| prefixes.any(|prefix| path.is_below(prefix)))
    }
}

/// A set of countries, as bits by [`Country::index`].
#[derive(Debug)]
struct CountrySet([u64; Country::COUNT.div_ceil(64)]);

impl CountrySet {
    fn contains(&self, country: Country) -> bool {
        let (word, bit) = (country.index() / 64, country.index() % 64);
        self.0.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }
}

impl FromIterator<Country> for CountrySet {
    fn from_iter<I: IntoIterator<Item = Country>>(countries: I) -> Self {
        let mut words = [0; _];
        for index in countries.into_iter().map(Country::index) {
            if let Some(word) = words.get_mut(index / 64) {
                *word |= 1 << (index % 64);
            }
        }
        Self(words)
    }
}
