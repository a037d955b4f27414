//! From the text of a file of tenants to the table's parts.
//!
//! Line by line, so that every error has the line it is on. What is wrong inside a line is told
//! by `fields`; what may be in a field is told here.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use memchr::memchr;

use super::Pin;
use super::fields::{self, Fields};
use super::homes::{Builder, Conflict, Homes};
use crate::model::RegionId;
use crate::model::limits::{CONFIG_ERRORS, TENANT_LENGTH};
use crate::routing::LineError;

/// The columns, which the first line names; the last one may be missing.
const HEADER: [&str; 3] = ["tenant", "region", "strict"];

/// Characters of a field that an error shows.
const SHOWN: usize = 48;

pub(super) fn parse(
    text: &[u8],
    seed: u64,
    known: &dyn Fn(&str) -> bool,
) -> Result<(Vec<RegionId>, Homes), Vec<LineError>> {
    let mut reader = Reader::new(known);
    let mut lines = lines(text);
    reader.columns = match lines.next() {
        Some((line, text)) => reader.header(line, text)?,
        None => return Err(vec![header_error(1)]),
    };
    for (line, text) in lines {
        if reader.errors.len() >= CONFIG_ERRORS {
            break;
        }
        reader.row(line, text);
    }
    reader.finish(seed)
}

/// Lines that say something, with their numbers: neither empty nor comments.
fn lines(text: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut rest = Some(text);
    let mut number = 0u32;
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            number = number.saturating_add(1);
            let cut = memchr(b'\n', text).and_then(|end| text.split_at_checked(end));
            let (line, behind) = match cut {
                Some((line, behind)) => (line, behind.get(1..)),
                None => (text, None),
            };
            rest = behind;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let first = line.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
            if first.is_some_and(|first| *first != b'#') {
                return Some((number, line));
            }
        }
    })
}

fn header_error(line: u32) -> LineError {
    let message = "the first line must be `tenant,region` or `tenant,region,strict`".to_owned();
    LineError { line: line as usize, message }
}

struct Reader<'a> {
    known: &'a dyn Fn(&str) -> bool,
    /// How many columns the first line names.
    columns: usize,
    numbers: HashMap<String, u16, FixedState>,
    regions: Vec<RegionId>,
    homes: Builder,
    /// Line of each tenant of `homes`.
    lines: Vec<u32>,
    errors: Vec<LineError>,
}

impl<'a> Reader<'a> {
    fn new(known: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            known,
            columns: 0,
            numbers: HashMap::default(),
            regions: Vec::new(),
            homes: Builder::default(),
            lines: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn header(&self, line: u32, text: &[u8]) -> Result<usize, Vec<LineError>> {
        let fields = std::str::from_utf8(text).ok().and_then(|text| fields::split(text).ok());
        let named = fields.filter(|fields| {
            fields.len() >= 2 && fields.iter().zip(HEADER).all(|(field, column)| field == column)
        });
        named.map(|fields| fields.len()).ok_or_else(|| vec![header_error(line)])
    }

    fn row(&mut self, line: u32, text: &[u8]) {
        let Ok(text) = std::str::from_utf8(text) else {
            return self.fail(line, "the line is not UTF-8; save the file as UTF-8".to_owned());
        };
        match fields::split(text) {
            Ok(fields) => self.fields(line, &fields),
            Err(error) => self.fail(line, error.to_string()),
        }
    }

    fn fields(&mut self, line: u32, fields: &Fields<'_>) {
        let (tenant, region, strict) = match fields.as_slice() {
            [tenant, region] => (tenant, region, ""),
            [tenant, region, strict] if self.columns == HEADER.len() => (tenant, region, &**strict),
            [_, _, _] => {
                let message = "three fields, but the first line names two columns; write \
                               `tenant,region,strict` there";
                return self.fail(line, message.to_owned());
            }
            _ => {
                return self
                    .fail(line, "expected `tenant,region` or `tenant,region,strict`".to_owned());
            }
        };
        let named = self.named(line, tenant);
        let region = self.region(line, region);
        let strict = self.strict(line, strict);
        let (true, Some(region), Some(strict)) = (named, region, strict) else { return };
        if self.homes.add(tenant, Pin { region, strict }) {
            self.lines.push(line);
        } else {
            self.fail(line, "the table is full; its names may take 4 GB".to_owned());
        }
    }

    /// Whether that can be a tenant.
    fn named(&mut self, line: u32, tenant: &str) -> bool {
        let message = if tenant.is_empty() {
            "the tenant is empty".to_owned()
        } else if tenant.len() > TENANT_LENGTH {
            let (shown, length) = (shown(tenant), tenant.len());
            format!("the tenant `{shown}` has {length} bytes; it may have {TENANT_LENGTH}")
        } else if tenant.chars().any(char::is_control) {
            format!("the tenant `{}` has a control character; take it out", shown(tenant))
        } else {
            return true;
        };
        self.fail(line, message);
        false
    }

    fn region(&mut self, line: u32, id: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(id) {
            return Some(*number);
        }
        let message = if id.is_empty() {
            "the region is empty; name one of those under `regions`".to_owned()
        } else if !(self.known)(id) {
            format!("region `{}` does not exist; define it under `regions`", shown(id))
        } else if let Ok(number) = u16::try_from(self.regions.len()) {
            self.regions.push(id.into());
            self.numbers.insert(id.to_owned(), number);
            return Some(number);
        } else {
            format!("more than {} regions", u16::MAX)
        };
        self.fail(line, message);
        None
    }

    fn strict(&mut self, line: u32, word: &str) -> Option<bool> {
        match word {
            "strict" => Some(true),
            "" | "soft" => Some(false),
            _ => {
                let shown = shown(word);
                self.fail(line, format!("`{shown}` is neither `strict` nor `soft`"));
                None
            }
        }
    }

    fn fail(&mut self, line: u32, message: String) {
        self.errors.push(LineError { line: line as usize, message });
    }

    fn finish(self, seed: u64) -> Result<(Vec<RegionId>, Homes), Vec<LineError>> {
        let Self { mut errors, lines, regions, homes, .. } = self;
        let line = |number: usize| lines.get(number).map_or(0, |line| *line as usize);
        match homes.finish(seed) {
            Ok(homes) if errors.is_empty() => return Ok((regions, homes)),
            Ok(_) => {}
            Err(Conflict::Duplicates(pairs)) => {
                errors.extend(pairs.into_iter().take(CONFIG_ERRORS).map(|(first, later)| {
                    let first = line(first);
                    let message = format!(
                        "the tenant has a home on line {first} already; keep one of the lines"
                    );
                    LineError { line: line(later), message }
                }));
            }
            Err(Conflict::Collisions) => {
                let message = "too many tenants are alike to the index, as if chosen to be; \
                               load the file once more, or take out tenants that look random";
                errors.push(LineError { line: 1, message: message.to_owned() });
            }
        }
        errors.sort_by_key(|error| error.line);
        errors.truncate(CONFIG_ERRORS);
        Err(errors)
    }
}

/// A field as an error shows it: without control characters, and not longer than it helps.
fn shown(field: &str) -> String {
    let mut shown: String = field.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if field.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
