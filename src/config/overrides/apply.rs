//! Finds the place of each variable and puts its value there.

use super::conflict::conflicts;
use super::listing::{of_document, push};
use super::place::{Chart, Child, Place, Step};
use super::strangers::is_of_a_service;
use super::values::Target;
use super::{Overridden, Overrides, PREFIX};
use crate::config::document::{Entry, Node, NodeId, Position, Value};
use crate::config::error::Quoted;
use crate::config::report::nearest;

/// Names that a misspelt one is compared with.
const COMPARED: usize = 20_000;

/// What is wrong with a variable.
#[derive(Debug)]
pub(in crate::config) struct Objection {
    pub(in crate::config) variable: u16,
    pub(in crate::config) path: String,
    pub(in crate::config) message: String,
    pub(in crate::config) help: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub(in crate::config) struct Applied {
    /// The variables by their number in [`Position::variable`].
    pub(in crate::config) names: Vec<String>,
    /// What was set.
    pub(in crate::config) overridden: Vec<Overridden>,
    pub(in crate::config) objections: Vec<Objection>,
}

/// Where a variable leads.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) steps: Vec<Step>,
    target: Target,
}

impl Found {
    /// As the path of a field.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        self.steps.iter().for_each(|step| push(&mut path, step));
        path
    }
}

/// Puts what the environment sets into the document. `is_used` says whether the file itself refers to
/// a variable.
pub(in crate::config) fn apply(
    root: &mut Node,
    overrides: &Overrides,
    is_used: &dyn Fn(&str) -> bool,
) -> Applied {
    let schema = crate::config::schema();
    let chart = Chart { root: &schema };
    let mut applied = Applied::default();
    let mut known = None;
    let mut settings = Vec::new();
    for (name, value) in &*overrides.variables {
        let places = find(chart, root, name);
        if places.is_empty() {
            let value = value.as_deref();
            if !overrides.lenient && !is_used(name) && !is_of_a_service(name, value) {
                let known = known.get_or_insert_with(|| of_document(&schema, root, COMPARED));
                let near = nearest(name, known.iter().map(|setting| &*setting.variable));
                applied.object(name, String::new(), unknown(name, near));
            }
            continue;
        }
        match (<[Found; 1]>::try_from(places), value) {
            (Ok([place]), Some(value)) => settings.push((name.as_str(), place, value.as_str())),
            (Ok([place]), None) => applied.object(name, place.path(), not_text()),
            (Err(places), _) => applied.object(name, String::new(), ambiguous(&places)),
        }
    }
    let parts = conflicts(&settings);
    settings.retain(|(name, ..)| !parts.iter().any(|(part, _)| part == name));
    for (part, whole) in parts {
        applied.object(part, String::new(), in_conflict(whole));
    }
    for (name, place, value) in settings {
        let variable = applied.number(name);
        put(root, &place, value, variable);
        let (variable, path) = (name.to_owned(), place.path());
        applied.overridden.push(Overridden { variable, path });
    }
    applied
}

impl Applied {
    fn number(&mut self, name: &str) -> u16 {
        self.names.push(name.to_owned());
        // Far more than the kernel lets a process have are told apart.
        u16::try_from(self.names.len() - 1).unwrap_or(u16::MAX)
    }

    fn object(&mut self, name: &str, path: String, (message, help): (String, String)) {
        let variable = self.number(name);
        self.objections.push(Objection { variable, path, message, help });
    }
}

fn unknown(name: &str, near: Option<&str>) -> (String, String) {
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`rhumb schema --environment -c FILE` lists the names; a variable that is not for Rhumb \
                 must not begin with `RHUMB_`"
            .to_owned(),
    };
    (format!("the variable {} sets nothing", Quoted(name)), help)
}

fn not_text() -> (String, String) {
    ("the value of the variable is not UTF-8".to_owned(), "set it to text".to_owned())
}

fn ambiguous(places: &[Found]) -> (String, String) {
    let paths: Vec<_> = places.iter().take(3).map(|place| format!("`{}`", place.path())).collect();
    let message = format!("the variable could mean {}", paths.join(" or "));
    let help = "in names of variables every character but letters and digits is `_`; rename one of them, \
                or write the value into the file";
    (message, help.to_owned())
}

fn in_conflict(whole: &str) -> (String, String) {
    let message = format!("{} sets all of what this variable sets a part of", Quoted(whole));
    (message, "set one of them only".to_owned())
}

/// Every place that a name leads to; more than one where names of the configuration are too much
/// alike.
fn find(chart: Chart<'_>, root: &Node, name: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(rest) = name.strip_prefix(PREFIX) {
        search(chart, chart.start(Some(root)), rest, &mut Vec::new(), &mut found);
    }
    found
}

fn search<'a>(
    chart: Chart<'a>,
    place: Place<'a>,
    rest: &str,
    steps: &mut Vec<Step>,
    found: &mut Vec<Found>,
) {
    for Child { name, step, place } in chart.children(place) {
        let Some(rest) = rest.strip_prefix(&*name) else { continue };
        steps.push(step);
        if let Some(rest) = rest.strip_prefix('_') {
            search(chart, place, rest, steps, found);
        } else if rest.is_empty() {
            let shape = chart.shape(place);
            let target = Target::of(&shape, chart.element(&shape).as_ref());
            found.extend(target.map(|target| Found { steps: steps.clone(), target }));
        }
        steps.pop();
    }
}

/// Puts a value where it belongs. What it stands in place of keeps its line and its column.
fn put(root: &mut Node, place: &Found, text: &str, variable: u16) {
    let mut node = root;
    for step in &place.steps {
        let at = Position { variable: Some(variable), ..node.at };
        if let (Step::Field(_), Value::Bool(_) | Value::Null) = (step, &node.value) {
            (node.value, node.at) = (Value::Map(Vec::new()), at);
        }
        let next = match (step, &mut node.value) {
            (Step::Field(name), Value::Map(entries)) => entry(entries, name, at),
            (Step::Item(index), Value::List(items)) => items.get_mut(*index),
            _ => None,
        };
        // What is there is of no use for this, and that is an error of the file.
        let Some(next) = next else { return };
        node = next;
    }
    node.at = Position { variable: Some(variable), ..node.at };
    node.value = place.target.read(text, node.at);
}

/// The value of a field, which is an empty mapping if it was not there.
fn entry<'n>(entries: &'n mut Vec<Entry>, name: &str, at: Position) -> Option<&'n mut Node> {
    let known = entries.iter().position(|entry| entry.name() == name);
    let Some(known) = known else {
        let node = |value| Node { id: NodeId::ROOT, at, value };
        let key = node(Value::Text(name.into()));
        entries.push(Entry { key, value: node(Value::Map(Vec::new())) });
        return entries.last_mut().map(|entry| &mut entry.value);
    };
    entries.get_mut(known).map(|entry| &mut entry.value)
}
