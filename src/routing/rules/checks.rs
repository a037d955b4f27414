//! Conditions that take more than looking a value up: shares of clients, time windows, regular
//! expressions.
//!
//! Made last, and remembered while one request's rule is looked for, because rules tend to share
//! them. Values that can be looked up are `terms` and `lexicon`.

use http::HeaderName;

use super::pairs::{self, Room};
use crate::config::{NamedMatch, Pattern, Rule, TextMatch, TimeWindow};
use crate::model::limits::CHECKS_REMEMBERED;
use crate::routing::draws::Salt;
use crate::routing::facts::Facts;

/// Which of a deployment's tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckIndex(u32);

/// The tests of a deployment.
#[derive(Debug, Default)]
pub(super) struct Checks {
    all: Vec<Check>,
}

/// One check, in the order of what it costs.
#[derive(Debug, PartialEq)]
enum Check {
    /// The client's stable number is below this share, in hundredths of a percent.
    Percent { salt: Salt, below: u16 },
    /// The moment is in one of these.
    Windows(Box<[TimeWindow]>),
    /// The expression is found in a line of the header.
    Header(HeaderName, Pattern),
    /// Or in a cookie of that name.
    Cookie(Box<str>, Pattern),
    /// Or in a query parameter of that name.
    Query(Box<str>, Pattern),
}

impl Checks {
    /// The tests of a rule, the cheapest first.
    pub(super) fn of(&mut self, deployment: &str, rule: &Rule) -> Box<[CheckIndex]> {
        let percent = rule.percent.map(|below| Check::Percent {
            salt: Salt::of(&[deployment, "percent", rule.id.as_str()]),
            below,
        });
        let windows = (!rule.time_windows.is_empty())
            .then(|| Check::Windows(rule.time_windows.as_slice().into()));
        let headers = rule.header_conditions.iter().filter_map(|condition| {
            pattern(&condition.value).map(|found| Check::Header(condition.name.clone(), found))
        });
        let cookies = rule.cookie_conditions.iter().filter_map(|NamedMatch { name, value }| {
            pattern(value).map(|found| Check::Cookie(name.clone(), found))
        });
        let queries = rule.query_conditions.iter().filter_map(|NamedMatch { name, value }| {
            pattern(value).map(|found| Check::Query(name.clone(), found))
        });
        let checks =
            percent.into_iter().chain(windows).chain(headers).chain(cookies).chain(queries);
        checks.map(|check| self.index(check)).collect()
    }

    /// Where the check is; one that is not remembered is not shared either.
    fn index(&mut self, check: Check) -> CheckIndex {
        let shared = match check {
            // No two rules have the same.
            Check::Percent { .. } => None,
            _ => self.all.iter().take(CHECKS_REMEMBERED).position(|other| *other == check),
        };
        let index = shared.unwrap_or_else(|| {
            self.all.push(check);
            self.all.len() - 1
        });
        CheckIndex(index as u32)
    }
}

fn pattern(value: &TextMatch) -> Option<Pattern> {
    match value {
        TextMatch::Regex(pattern) => Some(pattern.clone()),
        _ => None,
    }
}

/// The tests of a deployment as one request meets them.
pub(super) struct Results<'a> {
    checks: &'a Checks,
    facts: &'a Facts<'a>,
    stable_key: Option<u64>,
    /// Checks that were made, as bits.
    made: u128,
    /// Those of them that were passed.
    passed: u128,
}

impl<'a> Results<'a> {
    pub(super) fn new(checks: &'a Checks, facts: &'a Facts<'a>) -> Self {
        Self { checks, facts, stable_key: None, made: 0, passed: 0 }
    }

    /// Whether the request passes the check.
    pub(super) fn passes(&mut self, CheckIndex(index): CheckIndex) -> bool {
        let bit = 1u128.checked_shl(index).unwrap_or(0);
        if self.made & bit != 0 {
            return self.passed & bit != 0;
        }
        let passes = self.checks.all.get(index as usize).is_some_and(|check| self.make(check));
        self.made |= bit;
        if passes {
            self.passed |= bit;
        }
        passes
    }

    fn make(&mut self, check: &Check) -> bool {
        let facts = self.facts;
        match check {
            Check::Percent { salt, below } => {
                let key = *self.stable_key.get_or_insert_with(|| facts.stable_key());
                salt.per_10_000(key) < *below
            }
            Check::Windows(windows) => windows.iter().any(|window| window.contains(facts.now)),
            Check::Header(name, pattern) => {
                let mut lines = facts.headers.get_all(name).into_iter();
                lines.any(|line| pattern.is_found_in(line.as_bytes()))
            }
            Check::Cookie(name, pattern) => pairs::of_cookies(facts.headers)
                .any(|(other, value)| other == name.as_bytes() && pattern.is_found_in(value)),
            Check::Query(name, pattern) => is_in_query(facts.query, name.as_bytes(), pattern),
        }
    }
}

/// Apart, because it needs room on the stack that nothing else needs.
#[inline(never)]
fn is_in_query(query: &str, name: &[u8], pattern: &Pattern) -> bool {
    let mut room = Room::new();
    pairs::of_query(query).any(|(other, value)| {
        pairs::decoded(other, &mut room) == Some(name)
            && pairs::decoded(value, &mut room).is_some_and(|value| pattern.is_found_in(value))
    })
}
