//! From the text of a latency table to its rows.
//!
//! Three or four fields without commas or quotes inside: read line by line, so that every error has
//! the line it is on.

use std::collections::HashMap;

use foldhash::quality::FixedState;
use jiff::Timestamp;

use super::key::ClientKey;
use super::networks::Networks;
use super::{Entry, Rows, Updated};
use crate::model::RegionId;
use crate::model::limits::CONFIG_ERRORS;
use crate::routing::LineError;

/// The columns, which the first line names.
const COLUMNS: [&str; 3] = ["client", "region", "rtt_ms"];
/// The column that may be left out.
const UPDATED: &str = "updated";

/// The longest round trip that a row may have: an hour.
const RTT_MS_MAX: f64 = 3_600_000.0;

/// One line.
struct Row {
    key: ClientKey,
    region: u32,
    line: u32,
    updated: Updated,
    rtt_ms: f64,
}

/// The fields of a line, and the fourth if there is one.
type Fields<'a> = ([&'a str; 3], Option<&'a str>);

pub(super) fn parse(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Rows, Vec<LineError>> {
    let mut errors = Vec::new();
    let mut rows = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1u32..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));

    let header = lines.next();
    let dated = match header.and_then(|(_, line)| fields(line)) {
        Some((COLUMNS, None)) => false,
        Some((COLUMNS, Some(UPDATED))) => true,
        _ => {
            let line = header.map_or(1, |(line, _)| line as usize);
            let message = "the first line must be `client,region,rtt_ms`, with `,updated` behind \
                           it if rows say when they were measured"
                .to_owned();
            return Err(vec![LineError { line, message }]);
        }
    };
    let mut reader = Reader { known, dated, numbers: HashMap::default(), regions: Vec::new() };
    for (line, text) in lines {
        if errors.len() >= CONFIG_ERRORS {
            return Err(errors);
        }
        match reader.row(line, text) {
            Ok(row) => rows.push(row),
            Err(message) => errors.push(LineError { line: line as usize, message }),
        }
    }
    rows.sort_unstable_by_key(|row| (row.key, row.region, row.line));
    errors.extend(reader.duplicates(&rows).take(CONFIG_ERRORS.saturating_sub(errors.len())));
    if errors.is_empty() {
        Ok(assemble(reader.regions, &rows))
    } else {
        errors.sort_by_key(|error| error.line);
        Err(errors)
    }
}

/// Three or four fields, without the spaces and quotes around them.
fn fields(line: &str) -> Option<Fields<'_>> {
    let mut fields = line.split(',').map(|field| {
        let field = field.trim();
        let quoted = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
        quoted.unwrap_or(field).trim()
    });
    let all = ([fields.next()?, fields.next()?, fields.next()?], fields.next());
    fields.next().is_none().then_some(all)
}

/// A round trip in milliseconds.
fn rtt_ms(text: &str) -> Result<f64, String> {
    let rtt = text.parse().ok().filter(|rtt: &f64| (0.0..=RTT_MS_MAX).contains(rtt));
    let rtt = rtt.ok_or_else(|| {
        format!("`{text}` is not a round trip; use milliseconds, 0 to {RTT_MS_MAX}")
    })?;
    // -0 is 0.
    Ok(rtt.abs())
}

/// When a row was measured; empty: it does not age.
fn updated(text: &str) -> Result<Updated, String> {
    if text.is_empty() {
        return Ok(Updated::NEVER);
    }
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => text.parse().ok().map(Timestamp::as_second),
    };
    let seconds = seconds.ok_or_else(|| {
        format!(
            "`{text}` is not a time; write it as `2026-01-31T08:00:00Z` (RFC 3339) or in Unix \
             seconds, or leave it empty"
        )
    })?;
    let known = u32::try_from(seconds).ok().filter(|seconds| *seconds <= Updated::LATEST);
    known.map(Updated).ok_or_else(|| {
        format!(
            "`{text}` is no time from 1970 to 2106; use Unix seconds, not milliseconds, or RFC 3339"
        )
    })
}

struct Reader<'a> {
    known: &'a dyn Fn(&str) -> bool,
    /// Whether there is a fourth column.
    dated: bool,
    numbers: HashMap<&'a str, u32, FixedState>,
    regions: Vec<RegionId>,
}

impl<'a> Reader<'a> {
    fn row(&mut self, line: u32, text: &'a str) -> Result<Row, String> {
        let (client, region, rtt, time) = match (fields(text), self.dated) {
            (Some(([client, region, rtt], None)), false) => (client, region, rtt, ""),
            (Some(([client, region, rtt], Some(time))), true) => (client, region, rtt, time),
            (_, false) => return Err("expected three fields: `client,region,rtt_ms`".to_owned()),
            (_, true) => {
                return Err("expected four fields: `client,region,rtt_ms,updated`, the last \
                            empty if the row does not age"
                    .to_owned());
            }
        };
        let (key, region) = (ClientKey::parse(client)?, self.region(region)?);
        Ok(Row { key, region, line, rtt_ms: rtt_ms(rtt)?, updated: updated(time)? })
    }

    fn region(&mut self, id: &'a str) -> Result<u32, String> {
        if let Some(number) = self.numbers.get(id) {
            return Ok(*number);
        }
        if !(self.known)(id) {
            return Err(format!("region `{id}` does not exist; define it under `regions`"));
        }
        let number = self.regions.len() as u32;
        self.regions.push(id.into());
        self.numbers.insert(id, number);
        Ok(number)
    }

    /// Errors of rows that say again what an earlier line said.
    fn duplicates<'r>(&'r self, sorted: &'r [Row]) -> impl Iterator<Item = LineError> + 'r {
        let pairs = sorted.windows(2).filter_map(|pair| <&[Row; 2]>::try_from(pair).ok());
        let same = pairs.filter(|[a, b]| (a.key, a.region) == (b.key, b.region));
        same.map(|[first, second]| {
            let region = self.regions.get(second.region as usize).map_or("", RegionId::as_str);
            let message = format!(
                "line {} already has a row for {} and region `{region}`; keep one of them",
                first.line, second.key
            );
            LineError { line: second.line as usize, message }
        })
    }
}

fn assemble(regions: Vec<RegionId>, sorted: &[Row]) -> Rows {
    let mut v4 = Vec::new();
    let mut v6 = Vec::new();
    let mut places = HashMap::default();
    let mut end = 0;
    for group in sorted.chunk_by(|a, b| a.key == b.key) {
        let range = end..end + group.len() as u32;
        end = range.end;
        match group.first().map(|row| row.key) {
            Some(ClientKey::V4(first, length)) => v4.push((first, length, range)),
            Some(ClientKey::V6(first, length)) => v6.push((first, length, range)),
            Some(key) => {
                places.insert(key, range);
            }
            None => {}
        }
    }
    let entry = |row: &Row| Entry { region: row.region, updated: row.updated, rtt_ms: row.rtt_ms };
    Rows {
        regions,
        entries: sorted.iter().map(entry).collect(),
        v4: Networks::new(v4),
        v6: Networks::new(v6),
        places,
    }
}
