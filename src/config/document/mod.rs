//! A YAML document as a tree of nodes that know where they were written.
//!
//! Not here: what the fields mean (`raw`, `validate`). The tree is what the YAML 1.2 core schema
//! says, with variables substituted and aliases expanded, within the limits of `model::limits`.

mod builder;
mod scalar;
mod variables;

pub(super) use builder::build;
pub(super) use scalar::resolve;
pub(super) use variables::Environment;

use std::rc::Rc;

/// Where something was written; lines and columns count from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
    /// Characters, for the caret; 1 for collections and text of several lines.
    pub(super) length: u32,
    /// The number of the environment variable that set it, if one did. The rest is then about what it
    /// stands in place of.
    pub(super) variable: Option<u16>,
}

impl Position {
    /// The start of the file.
    pub(super) const START: Self = Self { line: 1, column: 1, length: 1, variable: None };
}

/// The number of a node in the order of writing (aliases expanded); 0 is the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) u32);

impl NodeId {
    /// The whole document.
    pub(super) const ROOT: Self = Self(0);
}

/// A value in the document.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing was written, or `null`.
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Rc<str>),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// An error about this value has been reported.
    Broken,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Always a `Value::Text`.
    pub(super) key: Node,
    pub(super) value: Node,
}

impl Entry {
    /// The key's text.
    pub(super) fn name(&self) -> &str {
        match &self.key.value {
            Value::Text(text) => text,
            _ => "",
        }
    }
}

/// A problem that was found while the tree was built.
#[derive(Clone, Debug)]
pub(super) struct SyntaxProblem {
    pub(super) at: Position,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// The tree, and what was wrong while it was built.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// `None` when the text is not one YAML document within the limits.
    pub(super) root: Option<Node>,
    pub(super) problems: Vec<SyntaxProblem>,
}

#[cfg(test)]
impl Node {
    /// As JSON, for tests; what is broken is null.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Broken => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => (**value).into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|e| (e.name().to_owned(), e.value.to_json())).collect()
            }
        }
    }
}

/// Gives every node of the tree its number.
pub(super) fn number(node: &mut Node, next: &mut u32) {
    node.id = NodeId(*next);
    *next = next.saturating_add(1);
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| number(item, next)),
        Value::Map(entries) => {
            for entry in entries {
                number(&mut entry.key, next);
                number(&mut entry.value, next);
            }
        }
        _ => {}
    }
}

/// The field path and the position of the node with that number.
pub(super) fn locate(root: &Node, id: NodeId) -> (String, Position) {
    let mut path = String::new();
    let mut node = root;
    while node.id != id {
        let child = match &node.value {
            Value::List(items) => {
                let index = items.partition_point(|item| item.id <= id).saturating_sub(1);
                path.push_str(&format!("[{index}]"));
                items.get(index)
            }
            Value::Map(entries) => {
                let index = entries.partition_point(|entry| entry.key.id <= id).saturating_sub(1);
                entries.get(index).map(|entry| {
                    push_field(&mut path, entry.name());
                    if entry.key.id == id { &entry.key } else { &entry.value }
                })
            }
            _ => None,
        };
        let Some(child) = child else { break };
        node = child;
    }
    (path, node.at)
}

/// Appends a field to a path: `.name`, or `["odd name"]`.
pub(super) fn push_field(path: &mut String, name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
    } else {
        let short: String = name.chars().take(40).collect();
        path.push_str(&format!("[{short:?}]"));
    }
}

/// The lines of the text; they end as YAML says, in LF, CR LF or CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n').flat_map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\r')
    })
}
