//! All names that there are: of any configuration, with what is its own left open, or of one.

use serde::Serialize;
use serde_json::Value as Json;

use super::PREFIX;
use super::place::{Chart, Child, Place, Shape, Step};
use super::values::Target;
use crate::config::document::{Node, build, push_field};

/// A scalar of the configuration, or a list of scalars, with its variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The variable. What is in `< >` is an id, a name, a key or a number of the configuration.
    pub variable: String,
    /// The field, such as `regions[<ID>].max_in_flight`.
    pub path: String,
    /// What its value is.
    pub kind: ValueKind,
    /// What it means.
    pub description: String,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// Text.
    Text,
    /// A number, or true or false.
    Plain,
    /// A number or text.
    Mixed,
    /// Several values with commas in between; `[]` is none.
    List,
}

/// Every setting of any configuration.
pub fn settings() -> Vec<Setting> {
    let schema = super::super::schema();
    let mut found = Vec::new();
    let chart = Chart { root: &schema };
    let mut listing = Listing { chart, open: true, most: usize::MAX, found: &mut found };
    listing.list(PREFIX.trim_end_matches('_'), "", "", chart.start(None));
    found
}

/// Every setting that a configuration has a place for; `None` when `text` is not YAML.
pub fn settings_of(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<Vec<Setting>> {
    let root = build(text, env).root?;
    Some(of_document(&super::super::schema(), &root, usize::MAX))
}

/// No more than `most` settings of a document.
pub(super) fn of_document(schema: &Json, root: &Node, most: usize) -> Vec<Setting> {
    let mut found = Vec::new();
    let chart = Chart { root: schema };
    let mut listing = Listing { chart, open: false, most, found: &mut found };
    listing.list(PREFIX.trim_end_matches('_'), "", "", chart.start(Some(root)));
    found
}

struct Listing<'a, 'f> {
    chart: Chart<'a>,
    /// Whether there is no document, and names stand for what it might have.
    open: bool,
    most: usize,
    found: &'f mut Vec<Setting>,
}

impl<'a> Listing<'a, '_> {
    /// `about` describes what it is a part of.
    fn list(&mut self, name: &str, path: &str, about: &str, place: Place<'a>) {
        if self.found.len() >= self.most {
            return;
        }
        let own = place.schema.get("description").and_then(Json::as_str);
        let about = own.unwrap_or(about);
        let shape = self.chart.shape(place);
        if let Some(target) = Target::of(&shape, self.chart.element(&shape).as_ref()) {
            self.found.push(Setting {
                variable: name.to_owned(),
                path: path.to_owned(),
                kind: kind(target),
                description: about.replace('\n', " "),
            });
        }
        if self.open
            && let Some((segment, key, schema)) = self.unknown(&shape)
        {
            let place = Place { schema, node: None };
            self.list(&format!("{name}_{segment}"), &format!("{path}[{key}]"), about, place);
        }
        for Child { name: segment, step, place: child } in self.chart.children(place) {
            let mut path = path.to_owned();
            push(&mut path, &step);
            self.list(&format!("{name}_{segment}"), &path, about, child);
        }
    }

    /// What stands for an element or an entry that a document might have.
    fn unknown(&self, shape: &Shape<'a>) -> Option<(&'static str, &'static str, &'a Json)> {
        if let Some(schema) = shape.entries {
            return Some(("<KEY>", "<key>", schema));
        }
        let schema = shape.items?;
        let element = Shape::of(self.chart.root, schema);
        element.fields?;
        Some(match element.name_field() {
            Some("id") => ("<ID>", "<id>", schema),
            Some(_) => ("<NAME>", "<name>", schema),
            None => ("<N>", "<n>", schema),
        })
    }
}

fn kind(target: Target) -> ValueKind {
    match target {
        target if target.is_list() => ValueKind::List,
        target => match (target.takes_text(), target.takes_numbers()) {
            (true, false) => ValueKind::Text,
            (true, true) => ValueKind::Mixed,
            _ => ValueKind::Plain,
        },
    }
}

/// Appends a step to the path of a field.
pub(super) fn push(path: &mut String, step: &Step) {
    match step {
        Step::Field(name) => push_field(path, name),
        Step::Item(index) => path.push_str(&format!("[{index}]")),
    }
}
