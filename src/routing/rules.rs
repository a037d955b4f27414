//! Which rule holds for a request: the first by priority whose every condition does.
//!
//! Ten thousand rules cost about what ten do: each rule is filed under its rarest header
//! condition and its countries, so that a request meets only rules that are likely to hold. What a
//! rule does to the list of regions is `ranking`'s business.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::FixedState;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::facts::Facts;
use super::plan::{RegionPosition, RuleIndex};
use super::regions::RegionSet;
use super::strategy::Shares;
use crate::config::{HeaderMatch, Rule, Strategy, TextMatch};
use crate::model::{Country, RegionId};

/// Position of a rule among the enabled ones, by priority and then file order: lower wins.
type Rank = u32;

/// The enabled rules of one deployment.
#[derive(Debug, Default)]
pub(super) struct RuleBook {
    /// By rank.
    rules: Vec<CompiledRule>,
    /// Rules without header conditions.
    plain: Shelf,
    /// Rules with header conditions: one shelf for each condition that a rule is filed under.
    shelves: Vec<Shelf>,
    /// The headers of those conditions.
    headers: Vec<FiledHeader>,
    /// Where a header is in `headers`.
    by_name: HashMap<HeaderName, usize, FixedState>,
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
    /// Header conditions other than the one it is filed under.
    rest: Box<[HeaderMatch]>,
}

/// The values of one header that rules are filed under.
#[derive(Debug)]
struct FiledHeader {
    name: HeaderName,
    shelf_by_value: HashMap<TextMatch, usize, FixedState>,
}

/// Rules that share the condition they are filed under, by country.
#[derive(Debug, Default)]
struct Shelf {
    anywhere: Candidates,
    /// Sorted by country.
    by_country: Vec<(Country, Candidates)>,
}

/// Rules of which only `rest` remains to be checked.
#[derive(Debug, Default)]
struct Candidates {
    /// Ascending.
    ranks: Vec<Rank>,
    /// Whether the last of them has nothing left to check, so that no later one can be reached.
    settled: bool,
}

impl RuleBook {
    /// Files the enabled rules. `position` knows the eligible regions, `regions` their number.
    pub(super) fn compile(
        rules: &[Rule],
        regions: usize,
        position: impl Fn(&RegionId) -> Option<RegionPosition>,
    ) -> Self {
        let mut ranked: Vec<_> =
            (0..).map(RuleIndex).zip(rules).filter(|(_, rule)| rule.enabled).collect();
        ranked.sort_by_key(|(_, rule)| Reverse(rule.priority));
        let mut frequency: HashMap<_, u32, FixedState> = HashMap::default();
        for condition in ranked.iter().flat_map(|(_, rule)| &rule.header_conditions) {
            *frequency.entry((&condition.name, &condition.value)).or_default() += 1;
        }

        let mut book = Self::default();
        for (rank, (index, rule)) in (0..).zip(ranked) {
            let filed_under = rule
                .header_conditions
                .iter()
                .min_by_key(|condition| frequency.get(&(&condition.name, &condition.value)));
            let rest: Box<[_]> = rule
                .header_conditions
                .iter()
                .filter(|condition| Some(*condition) != filed_under)
                .cloned()
                .collect();
            book.shelf(filed_under).file(rank, rest.is_empty(), &rule.source_countries);
            book.rules.push(CompiledRule::new(index, rule, rest, regions, &position));
        }
        book
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
        let (headers, country) = (facts.headers, facts.location.country);
        let mut best = Rank::MAX;
        self.improve(&mut best, &self.plain, headers, country);
        // Whichever is less: the headers of the rules, or those of the request.
        if self.headers.len() <= headers.keys_len() {
            for filed in &self.headers {
                for value in headers.get_all(&filed.name) {
                    self.improve_by(&mut best, filed, value, headers, country);
                }
            }
        } else {
            for (name, value) in headers {
                let filed = self.by_name.get(name).and_then(|index| self.headers.get(*index));
                if let Some(filed) = filed {
                    self.improve_by(&mut best, filed, value, headers, country);
                }
            }
        }
        self.rules.get(best as usize)
    }

    fn improve_by(
        &self,
        best: &mut Rank,
        filed: &FiledHeader,
        value: &HeaderValue,
        headers: &HeaderMap,
        country: Option<Country>,
    ) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let shelf = filed
            .shelf_by_value
            .get(&TextMatch::Exact(text.into()))
            .and_then(|index| self.shelves.get(*index));
        if let Some(shelf) = shelf {
            self.improve(best, shelf, headers, country);
        }
    }

    /// Lowers `best` to the first rule of the shelf that holds, if that is lower.
    fn improve(
        &self,
        best: &mut Rank,
        shelf: &Shelf,
        headers: &HeaderMap,
        country: Option<Country>,
    ) {
        let in_country = country.and_then(|country| shelf.in_country(country));
        for candidates in [Some(&shelf.anywhere), in_country].into_iter().flatten() {
            let better = candidates.ranks.iter().take_while(|rank| **rank < *best);
            let holds = |rank: &&Rank| {
                self.rules.get(**rank as usize).is_some_and(|rule| rule.rest_holds(headers))
            };
            if let Some(rank) = better.copied().find(|rank| holds(&rank)) {
                *best = rank;
            }
        }
    }

    /// The shelf of a condition, a new one if it has none.
    fn shelf(&mut self, condition: Option<&HeaderMatch>) -> &mut Shelf {
        let Some(HeaderMatch { name, value }) = condition else {
            return &mut self.plain;
        };
        let header = *self.by_name.entry(name.clone()).or_insert_with(|| {
            self.headers
                .push(FiledHeader { name: name.clone(), shelf_by_value: HashMap::default() });
            self.headers.len() - 1
        });
        let shelf =
            *self.headers[header].shelf_by_value.entry(value.clone()).or_insert_with(|| {
                self.shelves.push(Shelf::default());
                self.shelves.len() - 1
            });
        &mut self.shelves[shelf]
    }
}

impl CompiledRule {
    fn new(
        index: RuleIndex,
        rule: &Rule,
        rest: Box<[HeaderMatch]>,
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
        Self { index, targets, shares, fallbacks: fallbacks.into(), closed, strategy, rest }
    }

    fn rest_holds(&self, headers: &HeaderMap) -> bool {
        self.rest.iter().all(|condition| {
            headers
                .get_all(&condition.name)
                .iter()
                .any(|value| condition.value.matches(value.as_bytes()))
        })
    }
}

impl Shelf {
    /// Adds a rule whose rank is above all before. No countries: any client.
    fn file(&mut self, rank: Rank, settles: bool, countries: &[Country]) {
        if countries.is_empty() {
            self.anywhere.push(rank, settles);
        }
        for country in countries {
            let place = match self.place(*country) {
                Ok(place) => place,
                Err(place) => {
                    self.by_country.insert(place, (*country, Candidates::default()));
                    place
                }
            };
            self.by_country[place].1.push(rank, settles);
        }
    }

    fn in_country(&self, country: Country) -> Option<&Candidates> {
        let place = self.place(country).ok()?;
        self.by_country.get(place).map(|(_, candidates)| candidates)
    }

    fn place(&self, country: Country) -> Result<usize, usize> {
        self.by_country.binary_search_by_key(&country, |(country, _)| *country)
    }
}

impl Candidates {
    fn push(&mut self, rank: Rank, settles: bool) {
        if !self.settled {
            self.ranks.push(rank);
            self.settled = settles;
        }
    }
}
