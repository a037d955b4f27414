//! Where a name leads: what the schema says of a part of the configuration, and what the document
//! has there.

use serde_json::{Map, Value as Json};

use crate::config::document::{Node, Value};

/// One step from a part of the document into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The field of that name, which need not be there.
    Field(String),
    /// The element at that place.
    Item(usize),
}

/// What the schema allows at a place; several of these, where a value has a short form.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape<'s> {
    /// Text is allowed.
    pub(super) text: bool,
    /// A number is allowed, or true and false.
    pub(super) plain: bool,
    /// A mapping with these fields is allowed.
    pub(super) fields: Option<&'s Map<String, Json>>,
    /// A mapping from names that are data to this is allowed.
    pub(super) entries: Option<&'s Json>,
    /// A list of this is allowed.
    pub(super) items: Option<&'s Json>,
}

impl<'s> Shape<'s> {
    /// What `schema` allows, which is a part of `root`.
    pub(super) fn of(root: &'s Json, schema: &'s Json) -> Self {
        let mut shape = Self::default();
        shape.learn(root, schema);
        shape
    }

    fn learn(&mut self, root: &'s Json, schema: &'s Json) {
        if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
            if let Some(target) = target.strip_prefix('#').and_then(|path| root.pointer(path)) {
                self.learn(root, target);
            }
            return;
        }
        let some = |word: &str| schema.get(word).and_then(Json::as_array).into_iter().flatten();
        for alternative in some("anyOf").chain(some("oneOf")) {
            self.learn(root, alternative);
        }
        for allowed in some("enum").chain(schema.get("const")) {
            match allowed {
                Json::String(_) => self.text = true,
                _ => self.plain = true,
            }
        }
        if schema.get("enum").is_none() && schema.get("const").is_none() {
            self.learn_type(schema);
        }
    }

    fn learn_type(&mut self, schema: &'s Json) {
        match schema.get("type").and_then(Json::as_str) {
            Some("string") => self.text = true,
            Some("integer" | "number" | "boolean") => self.plain = true,
            Some("array") => self.items = schema.get("items"),
            Some("object") => match schema.get("properties").and_then(Json::as_object) {
                Some(fields) => self.fields = Some(fields),
                None => self.entries = schema.get("additionalProperties"),
            },
            _ => {}
        }
    }

    /// Whether a value without parts is allowed.
    pub(super) fn is_scalar(&self) -> bool {
        self.text || self.plain
    }

    /// The field by which an element of a list is called.
    pub(super) fn name_field(&self) -> Option<&'static str> {
        let fields = self.fields?;
        ["id", "name"].into_iter().find(|name| fields.contains_key(*name))
    }
}

/// A part of the configuration: what it may be, and what the document has there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) schema: &'a Json,
    pub(super) node: Option<&'a Node>,
}

/// A part of a part.
pub(super) struct Child<'a> {
    /// Its part of a name.
    pub(super) name: String,
    pub(super) step: Step,
    pub(super) place: Place<'a>,
}

/// The schema, and how it is walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chart<'a> {
    pub(super) root: &'a Json,
}

impl<'a> Chart<'a> {
    /// The whole of the configuration.
    pub(super) fn start(&self, node: Option<&'a Node>) -> Place<'a> {
        Place { schema: self.root, node }
    }

    pub(super) fn shape(&self, place: Place<'a>) -> Shape<'a> {
        Shape::of(self.root, place.schema)
    }

    /// The elements of a list of scalars, if it is a list and nothing else is in it.
    pub(super) fn element(&self, shape: &Shape<'a>) -> Option<Shape<'a>> {
        let element = Shape::of(self.root, shape.items?);
        element.is_scalar().then_some(element)
    }

    /// The parts that have names of their own.
    pub(super) fn children(&self, place: Place<'a>) -> Vec<Child<'a>> {
        let shape = self.shape(place);
        let mut children = Vec::new();
        let there = place.node.map(|node| &node.value);
        // A section without anything in it is as if it were not there.
        match (there.filter(|value| !matches!(value, Value::Null)), shape) {
            // A switch that is off or on may be told more instead.
            (None | Some(Value::Map(_) | Value::Bool(_)), Shape { fields: Some(fields), .. }) => {
                children.extend(fields.iter().map(|(name, schema)| Child {
                    name: piece(name),
                    step: Step::Field(name.clone()),
                    place: Place { schema, node: place.node.and_then(|node| field(node, name)) },
                }));
            }
            (Some(Value::Map(entries)), Shape { entries: Some(schema), .. }) => {
                children.extend(entries.iter().map(|entry| Child {
                    name: piece(entry.name()),
                    step: Step::Field(entry.name().to_owned()),
                    place: Place { schema, node: Some(&entry.value) },
                }));
            }
            (Some(Value::List(items)), Shape { items: Some(schema), .. }) => {
                let element = Shape::of(self.root, schema);
                if element.fields.is_none() {
                    return children;
                }
                children.extend(items.iter().enumerate().map(|(index, node)| Child {
                    name: called(node, element.name_field(), index),
                    step: Step::Item(index),
                    place: Place { schema, node: Some(node) },
                }));
            }
            _ => {}
        }
        children
    }
}

/// What an element of a list is called: by its name, if it has one, else by its place.
fn called(node: &Node, name_field: Option<&str>, index: usize) -> String {
    match name_field.and_then(|name| field(node, name)).map(|node| &node.value) {
        Some(Value::Text(name)) if !name.is_empty() => piece(name),
        _ => index.to_string(),
    }
}

fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.name() == name).map(|entry| &entry.value)
}

/// A field or an id as a part of a name: upper case, and `_` for whatever cannot be in a name.
pub(super) fn piece(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(fit).collect()
}
