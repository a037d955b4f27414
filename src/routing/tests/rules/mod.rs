//! Rules: each condition by its edges, and the index against a scan of all rules.

mod conditions;
mod scan;
mod told;

use super::fixture::{Request, deployment, table, three_regions};
use super::{decided, fixture};
use crate::config::{Deployment, HeaderMatch, NamedMatch, Pattern, Rule, Strategy, TextMatch};
use crate::routing::Draws;

/// A deployment with these rules.
fn with_rules(rules: Vec<Rule>) -> Deployment {
    Deployment { rules, ..deployment("api", Strategy::Failover, three_regions()) }
}

/// The rule that holds among these, by its place.
fn found(rules: Vec<Rule>, request: &Request) -> Option<u32> {
    let table = table(vec![with_rules(rules)], None);
    decided(&table, request, Draws::default()).unwrap().rule.map(|rule| rule.0)
}

fn regex(text: &str) -> TextMatch {
    TextMatch::Regex(Pattern::new(text).unwrap())
}

fn header_match(name: &str, value: TextMatch) -> HeaderMatch {
    HeaderMatch { name: name.parse().unwrap(), value }
}

fn named(name: &str, value: TextMatch) -> NamedMatch {
    NamedMatch { name: name.into(), value }
}
