//! The steps that say where a request may go and is meant to go: residency, operators, force, pin,
//! rule. The moment is not looked at.

use super::super::matching;
use super::super::strategies::Moment;
use super::{By, Group, Walk};
use crate::config::{Enforcement, ResidencyPolicy, Rule, Strategy};
use crate::model::RegionId;

impl Walk<'_> {
    pub(super) fn residency(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        for policy in &deployment.residency {
            if !matching::applies(policy, asked) {
                continue;
            }
            let moment = self.moment;
            let allows = |id: &String| {
                let declared = &moment.settings(id).region.compliance;
                is_listed(policy, id)
                    && policy.required_compliance.iter().all(|wanted| declared.contains(wanted))
            };
            if policy.enforcement == Enforcement::Strict {
                self.bound = true;
                self.permitted.retain(allows);
            } else {
                let ids = deployment.regions.iter().map(|settings| settings.region.id.to_string());
                self.reported.extend(ids.filter(|id| !allows(id)));
            }
        }
        self.allowed.clone_from(&self.permitted);
        let permitted = self.permitted.clone();
        self.keep(|id| permitted.iter().any(|other| other == id));
        self.done("residency");
        if self.is_empty() {
            return Err("residency_unavailable");
        }
        self.bound_for(deployment.strategy)
    }

    /// `compliance` is only for requests that a policy binds.
    pub(super) fn bound_for(&self, strategy: Strategy) -> Result<(), &'static str> {
        match strategy {
            Strategy::Compliance if !self.bound => Err("residency_required"),
            _ => Ok(()),
        }
    }

    pub(super) fn overrides(&mut self) {
        let standing = self.moment.standing;
        self.keep(|id| !standing.drained.iter().any(|drained| drained == id));
        for id in standing.shift.iter().rev() {
            if self.has(id) {
                self.put_first(id, "shift");
            }
        }
        self.done("override");
    }

    pub(super) fn force(&mut self) -> Result<(), &'static str> {
        let Some((id, replay)) = &self.moment.asked.force else { return Ok(()) };
        if !self.has(id) {
            return Err("region_unavailable");
        }
        let reason = if *replay { "replay" } else { "forced" };
        self.forced = true;
        self.put_first(id, reason);
        self.keep(|other| other == id);
        self.allowed.retain(|other| other == id);
        self.done("hint");
        Ok(())
    }

    /// The tenant's home, if the file that says so is not too old, and whether it is strict.
    pub(super) fn home(&self) -> Option<(String, bool)> {
        let Moment { world, asked, .. } = self.moment;
        let tenant = asked.request.tenant.as_ref()?;
        let home = world.homes.iter().find(|home| home.tenant == tenant)?;
        let hard = world.config.tenants.as_ref()?.freshness.hard;
        let age = world.homes_modified.map(|modified| asked.request.now - modified);
        let too_old = age.zip(hard).is_some_and(|(age, hard)| age as f64 > hard.as_secs_f64());
        (home.strict || !too_old).then(|| (home.region.clone(), home.strict))
    }

    pub(super) fn pin(&mut self) -> Result<(), &'static str> {
        let Some((home, strict)) = self.home() else { return Ok(()) };
        let found = self.has(&home);
        if found {
            self.put_first(&home, "pin");
        }
        if strict {
            if !found {
                // The one region that would do may not be used.
                return Err(if self.forced { "region_unavailable" } else { "home_unavailable" });
            }
            self.keep(|id| id == home);
            self.allowed.retain(|id| *id == home);
        }
        self.done("pin");
        Ok(())
    }

    pub(super) fn follow_rule(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        let mut rules: Vec<&Rule> = deployment.rules.iter().filter(|rule| rule.enabled).collect();
        rules.sort_by_key(|rule| -rule.priority);
        self.rule = rules
            .into_iter()
            .find(|rule| matching::holds(deployment.name.as_str(), rule, asked, self.oracle));
        let Some(rule) = self.rule else { return Ok(()) };
        let named = |list: &[RegionId], id: &str| list.iter().any(|other| other.as_str() == id);
        let is_of_rule =
            |id: &String| named(&rule.target_regions, id) || named(&rule.fallback_regions, id);
        if !self.list.iter().any(|group| group.ids.iter().any(is_of_rule)) {
            self.rule_unavailable = true;
            self.done("rule");
            return Ok(());
        }
        self.strategy = rule.strategy.unwrap_or(deployment.strategy);
        if self.is_settled() {
            self.done("rule");
            return self.bound_for(self.strategy);
        }
        let part = |reason, by: By, stays: bool, wanted: &dyn Fn(&str) -> bool| {
            let parts = self.list.iter().map(|group| Group {
                // What a step before has put first stays so, and for its reason.
                reason: group.reason.filter(|_| group.placed && stays).or(Some(reason)),
                ids: group.ids.iter().filter(|id| wanted(id)).cloned().collect(),
                by: by.clone(),
                placed: group.placed && stays,
                ranked: vec![],
                unknown: None,
            });
            parts.collect::<Vec<_>>()
        };
        let by_strategy = By::Strategy(self.strategy);
        let by = if rule.weights.is_empty() {
            by_strategy.clone()
        } else {
            By::Weights(rule.weights.clone())
        };
        let mut list = part("rule", by, true, &|id| named(&rule.target_regions, id));
        for fallback in &rule.fallback_regions {
            let wanted = |id: &str| id == fallback.as_str() && !named(&rule.target_regions, id);
            list.extend(part("rule_fallback", by_strategy.clone(), false, &wanted));
        }
        if rule.fallback_regions.is_empty() {
            let wanted = |id: &str| !named(&rule.target_regions, id);
            list.extend(part("rule_others", by_strategy, true, &wanted));
        }
        self.list = list;
        self.done("rule");
        self.bound_for(self.strategy)
    }
}

fn is_listed(policy: &ResidencyPolicy, id: &str) -> bool {
    let Some(allowed) = &policy.allowed_regions else { return true };
    allowed.iter().any(|other| other.as_str() == id)
}
