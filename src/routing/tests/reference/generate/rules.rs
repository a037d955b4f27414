//! Rules of a random deployment.

use http::{HeaderName, Method};

use super::deployments::{hosts, prefixes};
use super::{COUNTRIES, Dice, TENANTS};
use crate::config::{
    HeaderMatch, NamedMatch, Pattern, Rule, Strategy, TextMatch, TimeWindow, WeekdaySet,
};
use crate::model::{Continent, Subdivision};
use crate::routing::tests::fixture;
use crate::routing::tests::fixture::country;

/// What a regular expression may be, so that the reference needs none.
const PATTERNS: [&str; 3] = ["^al", "et$", "lph"];

fn text(dice: &mut Dice<'_>) -> TextMatch {
    match dice.below(5) {
        0 => TextMatch::Exact(dice.one(&["alpha", "1", "x y"]).into()),
        1 => TextMatch::Prefix(dice.one(&["al", "b", ""]).into()),
        2 => TextMatch::Suffix(dice.one(&["a", "bet"]).into()),
        3 => TextMatch::Regex(Pattern::new(dice.one(&PATTERNS)).unwrap()),
        _ => TextMatch::Present,
    }
}

pub(super) fn header_match(dice: &mut Dice<'_>) -> HeaderMatch {
    let name = dice.one(&["x-a", "x-b"]);
    HeaderMatch { name: HeaderName::from_static(name), value: text(dice) }
}

fn named(dice: &mut Dice<'_>) -> NamedMatch {
    NamedMatch { name: dice.one(&["a", "b"]).into(), value: text(dice) }
}

fn window(dice: &mut Dice<'_>) -> TimeWindow {
    let hours = dice.one(&[0i8, 2, -5, 13]);
    TimeWindow {
        days: WeekdaySet(dice.one(&[0x7f, 0b10, 0b100, 0b110_0000])),
        from: dice.one(&[0, 600, 1333, 1334, 1439]),
        until: dice.one(&[1440, 1, 600, 1333, 1334]),
        zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(hours)),
    }
}

/// A rule with few conditions, so that it often holds.
pub(super) fn rule(dice: &mut Dice<'_>, number: usize, ids: &[String]) -> Rule {
    let mut of_regions = dice.cut(32);
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let targets = of_regions.some(&names, 1, 7);
    let fallbacks = of_regions.sometimes(40, &names, 5);
    let weights = if of_regions.chance(25) {
        let weighted = targets.iter().filter(|_| of_regions.chance(70)).copied();
        let weighted: Vec<_> = weighted.collect();
        weighted.into_iter().map(|id| (id.into(), of_regions.one(&[1, 0, 3]))).collect()
    } else {
        Vec::new()
    };
    let priority = dice.one(&[0, 0, 1, -1]);
    let strategy = dice.maybe(25, &Strategy::ALL);
    let enabled = !dice.chance(8);
    let mut rule = Rule {
        priority,
        enabled,
        weights,
        strategy,
        ..fixture::rule(["r0", "r1", "r2", "r3"][number], &targets, &fallbacks)
    };
    for _ in 0..dice.one(&[1, 1, 2, 2, 0]) {
        condition(dice, &mut rule);
    }
    rule
}

fn condition(dice: &mut Dice<'_>, rule: &mut Rule) {
    match dice.below(14) {
        0 => rule.source_countries = dice.some(&COUNTRIES, 1, 2).into_iter().map(country).collect(),
        1 => {
            rule.source_continents =
                dice.some(&[Continent::Eu, Continent::Na, Continent::As], 1, 2);
        }
        2 => {
            let there = |from: &str, part| (country(from), Subdivision::new(part).unwrap());
            let all = [there("DE", "BE"), there("US", "CA"), there("US", "BE")];
            rule.source_subdivisions = dice.some(&all, 1, 2);
        }
        3 => {
            let all = ["10.0.0.0/8", "10.1.2.0/24", "10.1.2.3/32", "2001:db8::/48", "::/0"];
            let chosen = dice.some(&all, 1, 2);
            rule.source_cidrs = chosen.into_iter().map(|net| net.parse().unwrap()).collect();
        }
        4 => rule.source_asns = dice.some(&[1, 2], 1, 2),
        5 => rule.tenants = dice.some(&TENANTS, 1, 2).into_iter().map(Into::into).collect(),
        6 | 7 => rule.header_conditions.push(header_match(dice)),
        8 => rule.query_conditions.push(named(dice)),
        9 => rule.cookie_conditions.push(named(dice)),
        10 => rule.percent = Some(dice.one(&[5_000, 0, 1_000, 9_000, 10_000])),
        11 => rule.time_windows.push(window(dice)),
        12 => rule.hosts = hosts(dice),
        _ => match dice.below(2) {
            0 => rule.path_prefixes = prefixes(dice, 1),
            _ => rule.methods = dice.some(&[Method::GET, Method::POST, Method::PUT], 1, 2),
        },
    }
}
