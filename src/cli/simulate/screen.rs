//! A simulation's report, laid out for people.

use std::fmt;

use crate::model::{Country, RegionId};
use crate::simulate::{Change, InFlight, Latency, Move, RegionReport, Report, SideReport};

/// Characters of the longest bar.
const BAR: f64 = 24.0;
/// Narrowest column of region ids.
const NAME: usize = 8;

/// A report, and what it is of.
pub(super) struct Screen<'a> {
    pub(super) report: &'a Report,
    pub(super) told: &'a [String],
}

impl fmt::Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { requests, seconds, bad_lines, before, after, change } = self.report;
        for line in self.told {
            writeln!(f, "{line}")?;
        }
        write!(f, "{} requests", count(*requests))?;
        if let Some(seconds) = seconds {
            write!(f, " in {seconds:.1} s, {:.1} a second", *requests as f64 / seconds)?;
        }
        if bad_lines.count > 0 {
            write!(f, "; {} lines were no requests", count(bad_lines.count))?;
        }
        writeln!(f)?;
        regions(f, before, after.as_ref())?;
        capacity(f, "before", before)?;
        if let Some(after) = after {
            capacity(f, "after", after)?;
        }
        refused(f, before, after.as_ref())?;
        residency(f, after.as_ref().unwrap_or(before))?;
        averages(f, before, after.as_ref())?;
        change.as_ref().map_or(Ok(()), |change| moved(f, change))
    }
}

fn regions(
    f: &mut fmt::Formatter<'_>,
    before: &SideReport,
    after: Option<&SideReport>,
) -> fmt::Result {
    let names = before.regions.iter().map(|region| region.region.as_str().len());
    let width = names.max().unwrap_or(0).max(NAME);
    let Some(after) = after else {
        writeln!(f, "\n{:width$}  {:>14}  {:>6}", "region", "requests", "share")?;
        for region in &before.regions {
            let RegionReport { region: id, requests, percent, .. } = region;
            writeln!(
                f,
                "{id:width$}  {:>14}  {percent:>5.1}%  {}",
                count(*requests),
                bar(*percent)
            )?;
        }
        return Ok(());
    };
    writeln!(
        f,
        "\n{:width$}  {:>14}  {:>6}  {:>14}  {:>6}  {:>14}",
        "region", "before", "share", "after", "share", "change"
    )?;
    for (before, after) in before.regions.iter().zip(&after.regions) {
        let change = i128::from(after.requests) - i128::from(before.requests);
        writeln!(
            f,
            "{:width$}  {:>14}  {:>5.1}%  {:>14}  {:>5.1}%  {:>14}  {}",
            before.region,
            count(before.requests),
            before.percent,
            count(after.requests),
            after.percent,
            signed(change),
            bar(after.percent),
        )?;
    }
    Ok(())
}

fn capacity(f: &mut fmt::Formatter<'_>, when: &str, side: &SideReport) -> fmt::Result {
    for region in &side.regions {
        let Some(InFlight { mean, peak, limit: Some(limit), exceeded: true }) = region.in_flight
        else {
            continue;
        };
        writeln!(
            f,
            "\ncapacity, {when}: {} would have {mean:.1} in flight, {peak:.1} at its busiest; its \
             limit is {limit}, {} requests spilled",
            region.region,
            count(region.spilled)
        )?;
    }
    Ok(())
}

fn refused(
    f: &mut fmt::Formatter<'_>,
    before: &SideReport,
    after: Option<&SideReport>,
) -> fmt::Result {
    let sides = [("before", Some(before)), ("after", after)];
    for (when, side) in sides.into_iter().filter_map(|(when, side)| Some((when, side?))) {
        for refused in &side.refused {
            let countries = refused.countries.iter();
            let countries: Vec<_> = countries
                .map(|(country, requests)| format!("{} {}", code(*country), count(*requests)))
                .collect();
            let when = if after.is_some() { format!("{when}: ") } else { String::new() };
            writeln!(
                f,
                "\nrefused, {when}{} {} ({})",
                refused.reason,
                count(refused.requests),
                countries.join(", ")
            )?;
        }
    }
    Ok(())
}

fn residency(f: &mut fmt::Formatter<'_>, side: &SideReport) -> fmt::Result {
    let residency = &side.residency;
    if residency.policies.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nresidency")?;
    for policy in &residency.policies {
        writeln!(
            f,
            "  {} {}{}: applies to {}, no region left for {}",
            policy.deployment,
            policy.policy,
            if policy.strict { "" } else { " (reports only)" },
            count(policy.requests),
            count(policy.refused)
        )?;
    }
    writeln!(f, "  only one region allowed: {}", count(residency.only_one_region))?;
    writeln!(f, "  against policies that report only: {}", count(residency.reported))?;
    writeln!(f, "  violations: {}", count(residency.violations))
}

fn averages(
    f: &mut fmt::Formatter<'_>,
    before: &SideReport,
    after: Option<&SideReport>,
) -> fmt::Result {
    let latency = |latency: &Latency| {
        let ms = |ms: Option<f64>| ms.map_or("unknown".to_owned(), |ms| format!("{ms:.1} ms"));
        let Latency { mean_ms, p50_ms, p95_ms, unknown, .. } = *latency;
        let mut text = format!("mean {}, p50 {}, p95 {}", ms(mean_ms), ms(p50_ms), ms(p95_ms));
        if unknown > 0 {
            text.push_str(&format!("; not known of {}", count(unknown)));
        }
        text
    };
    let cost = |side: &SideReport| side.mean_cost.map_or("unknown".into(), |c| format!("{c:.3}"));
    let Some(after) = after else {
        writeln!(f, "\nexpected round trip: {}", latency(&before.latency))?;
        return writeln!(f, "mean cost multiplier: {}", cost(before));
    };
    writeln!(f, "\nexpected round trip")?;
    writeln!(f, "  before: {}", latency(&before.latency))?;
    writeln!(f, "  after:  {}", latency(&after.latency))?;
    writeln!(f, "mean cost multiplier: {} -> {}", cost(before), cost(after))
}

fn moved(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    writeln!(f, "\nmoved: {} requests, {:.2} %", count(change.moved), change.moved_percent)?;
    for one in change.moves.iter().take(change.countries.len().max(NAME)) {
        writeln!(f, "  {}: {}", way(one), count(one.requests))?;
    }
    if !change.countries.is_empty() {
        writeln!(f, "\n{:>7}  {:>14}  {:>14}  {:>6}", "country", "requests", "moved", "share")?;
    }
    for country in &change.countries {
        let percent = country.moved as f64 / country.requests.max(1) as f64 * 100.0;
        writeln!(
            f,
            "{:>7}  {:>14}  {:>14}  {percent:>5.1}%  {}",
            code(country.country),
            count(country.requests),
            count(country.moved),
            country.moves.first().map(way).unwrap_or_default()
        )?;
    }
    if !change.tenants.is_empty() {
        writeln!(f, "\n{:>14}  tenant", "moved")?;
    }
    for tenant in &change.tenants {
        writeln!(f, "{:>14}  {}", count(tenant.moved), printable(&tenant.tenant))?;
    }
    if change.tenants_not_counted > 0 {
        writeln!(f, "{:>14}  of further tenants", count(change.tenants_not_counted))?;
    }
    Ok(())
}

fn way(moved: &Move) -> String {
    let name = |id: &Option<RegionId>| {
        id.as_ref().map_or_else(|| "refused".to_owned(), ToString::to_string)
    };
    format!("{} -> {}", name(&moved.from), name(&moved.to))
}

fn code(country: Option<Country>) -> String {
    country.map_or_else(|| "unknown".to_owned(), |country| country.to_string())
}

/// What a log says may be anything; a terminal is not to obey it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn bar(percent: f64) -> String {
    "#".repeat((percent / 100.0 * BAR).ceil().max(0.0) as usize)
}

fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn signed(number: i128) -> String {
    let sign = match number {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", count(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_signed() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!([0, 1_000, -1_000].map(signed), ["0", "+1,000", "-1,000"].map(String::from));
    }

    #[test]
    fn bars_grow_with_shares_and_nothing_in_a_log_moves_the_cursor() {
        assert_eq!((bar(0.0), bar(0.1), bar(100.0).len()), (String::new(), "#".into(), 24));
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
