//! Which rule holds for a request: the first by priority whose every condition does.
//!
//! ```text
//! rules ── terms ──> lexicon: every value that some rule asks for, numbered
//!              └───> filing:  each rule under those of its values that the fewest rules share
//!
//! request ── lexicon ──> clues: which of those values it shows ── filing ──> the few rules that may
//!                        hold ── what is left of their terms ──> the rule
//! ```
//!
//! Ten thousand rules cost about what ten do: every text of a request is looked at once, whatever
//! the number of rules, and from then on numbers are compared. Linear by nature, and only for the
//! requests that come so far, are rules that differ in nothing but regular expressions, shares of
//! clients or time windows. What a rule does to the list of regions is `ranking`'s business.

mod checks;
mod clues;
mod filing;
mod lexicon;
mod pairs;
mod search;
mod target;
mod terms;
mod text;
pub(super) mod told;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use self::checks::Checks;
use self::clues::Clues;
use self::filing::Files;
use self::lexicon::{Lexicon, Values};
use self::search::Search;
use self::terms::Terms;
use super::continents::ContinentOf;
use super::facts::Facts;
use super::plan::{RegionPosition, RuleIndex};
use super::regions::RegionSet;
use super::strategy::Shares;
use crate::config::{Rule, Strategy};
use crate::model::{Continent, Country, RegionId};

/// Position of a rule among the enabled ones, by priority and then file order: lower wins.
type Rank = u32;

/// The enabled rules of one deployment.
#[derive(Debug, Default)]
pub(super) struct RuleBook {
    /// By rank.
    rules: Box<[CompiledRule]>,
    /// What has to hold for each, by rank.
    terms: Box<[Terms]>,
    checks: Checks,
    lexicon: Lexicon,
    files: Files,
}

/// What an enabled rule does, in positions of its deployment.
#[derive(Debug)]
pub(super) struct CompiledRule {
    /// Where it is in the configuration.
    pub(super) index: RuleIndex,
    /// Eligible targets.
    pub(super) targets: RegionSet,
    /// Shares of the targets, by position; `None`: the strategy orders them.
    pub(super) shares: Option<Shares>,
    /// Eligible fallbacks that are not targets, in order.
    pub(super) fallbacks: Box<[RegionPosition]>,
    /// Whether the rule names fallbacks, eligible or not: then it goes nowhere else.
    pub(super) closed: bool,
    /// What orders its regions in place of the deployment's strategy.
    pub(super) strategy: Option<Strategy>,
}

impl RuleBook {
    /// Files the enabled rules of the deployment of that name. `position` knows the eligible
    /// regions, `regions` their number.
    pub(super) fn compile(
        deployment: &str,
        rules: &[Rule],
        regions: usize,
        continent_of: ContinentOf,
        position: impl Fn(&RegionId) -> Option<RegionPosition>,
    ) -> Self {
        let mut ranked: Vec<_> =
            (0..).map(RuleIndex).zip(rules).filter(|(_, rule)| rule.enabled).collect();
        ranked.sort_by_key(|(_, rule)| Reverse(rule.priority));
        let mut values = Values::default();
        let mut checks = Checks::default();
        let terms = ranked.iter().map(|(_, rule)| {
            let asked = terms::asked(rule, &mut values);
            Terms { asked, checks: checks.of(deployment, rule) }
        });
        let terms: Box<[_]> = terms.collect();
        let compiled =
            ranked.iter().map(|(index, rule)| CompiledRule::new(*index, rule, regions, &position));
        Self {
            rules: compiled.collect(),
            files: Files::new(&terms, values.len()),
            lexicon: Lexicon::new(&values, continent_of),
            terms,
            checks,
        }
    }

    /// How many rules are enabled.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rule that holds.
    pub(super) fn find(&self, facts: &Facts<'_>) -> Option<&CompiledRule> {
        if self.rules.is_empty() {
            return None;
        }
        let mut clues = Clues::new();
        self.lexicon.read(facts, &mut clues);
        let rank = Search::new(self, facts, &clues).first()?;
        self.rules.get(rank as usize)
    }

    /// The continent that rules take a country to be on, if any of them asks.
    fn continent_of(&self, country: Country) -> Option<Continent> {
        self.lexicon.continents.as_ref().and_then(|continents| continents.of(country))
    }
}

impl CompiledRule {
    fn new(
        index: RuleIndex,
        rule: &Rule,
        regions: usize,
        position: impl Fn(&RegionId) -> Option<RegionPosition>,
    ) -> Self {
        let targets: RegionSet = rule.target_regions.iter().filter_map(&position).collect();
        let mut seen = targets;
        let mut fallbacks = Vec::new();
        for fallback in rule.fallback_regions.iter().filter_map(&position) {
            if !seen.contains(fallback) {
                seen.insert(fallback);
                fallbacks.push(fallback);
            }
        }
        let shares = (!rule.weights.is_empty()).then(|| {
            let mut weights = vec![0; regions];
            for (region, weight) in &rule.weights {
                let slot = position(region).and_then(|at| weights.get_mut(at.index()));
                if let Some(slot) = slot {
                    *slot = *weight;
                }
            }
            Shares::new(weights)
        });
        let closed = !rule.fallback_regions.is_empty();
        let strategy = rule.strategy;
        Self { index, targets, shares, fallbacks: fallbacks.into(), closed, strategy }
    }
}
