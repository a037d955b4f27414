//! What of a file no error may show: secrets, wherever they are written and whatever is wrong.
//!
//! Lines are hidden rather too much than too little: the part `signing` as a whole, and everything
//! behind a key that is called `secret`, even where the text is not YAML. Messages about values are
//! `deserialize`'s business, which repeats none of a secret shape.

use super::document::{Node, Position, Value};

/// Keys whose values are not shown.
const KEYS: [&str; 2] = ["signing", "secret"];

/// Decides line by line, in order, what may be shown.
pub(super) struct Hiding {
    /// Where secrets are written: line and column.
    places: Vec<(u32, u32)>,
    /// Indentation of the part `signing`, while the lines are in it.
    inside: Option<usize>,
}

impl Hiding {
    pub(super) fn new(places: Vec<(u32, u32)>) -> Self {
        Self { places, inside: None }
    }

    /// What may be shown of the next line; `None`: nothing.
    pub(super) fn visible<'t>(&mut self, number: u32, line: &'t str) -> Option<&'t str> {
        let content = line.trim_start_matches([' ', '\t', '-']);
        let indent = line.len() - content.len();
        let goes_on = content.is_empty() || content.starts_with(['#', ']', '}']);
        if let Some(outer) = self.inside
            && (indent > outer || goes_on)
        {
            return None;
        }
        self.inside = opens(content).then_some(indent);
        if self.inside.is_some() {
            return None;
        }
        let line = KEYS.iter().fold(line, |line, key| before(line, key));
        let places = self.places.iter().filter(|(at, _)| *at == number);
        let column = places.map(|(_, column)| *column as usize).min().unwrap_or(usize::MAX);
        let end =
            line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
        line.get(..end)
    }
}

/// Whether a line starts the part `signing`.
fn opens(content: &str) -> bool {
    let rest = content.trim_start_matches(['"', '\'', '{', ' ']);
    rest.strip_prefix("signing").is_some_and(is_key_end)
}

fn is_key_end(rest: &str) -> bool {
    rest.trim_start_matches(['"', '\'', ' ', '\t']).starts_with(':')
}

/// The line up to the value of such a key.
fn before<'t>(line: &'t str, key: &str) -> &'t str {
    let is_key = |(at, _): &(usize, &str)| {
        let head = line.get(..*at).unwrap_or_default();
        let rest = line.get(at + key.len()..).unwrap_or_default();
        !head.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-') && is_key_end(rest)
    };
    let found = line.match_indices(key).find(is_key);
    found.and_then(|(at, _)| line.get(..at + key.len())).unwrap_or(line)
}

/// Where the secrets of a document are written, through aliases, too.
pub(super) fn places(root: &Node) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for signing in children(root, "signing") {
        for keys in children(signing, "keys") {
            let Value::List(keys) = &keys.value else { continue };
            let secrets = keys.iter().flat_map(|key| children(key, "secret"));
            found.extend(secrets.map(|secret| {
                let Position { line, column, .. } = secret.at;
                (line, column)
            }));
        }
    }
    found
}

fn children<'n>(node: &'n Node, name: &'n str) -> impl Iterator<Item = &'n Node> {
    let entries = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter(move |entry| entry.name() == name).map(|entry| &entry.value)
}
