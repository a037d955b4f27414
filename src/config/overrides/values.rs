//! What the text of a variable is as a value of the document.

use super::place::Shape;
use crate::config::document::{Node, NodeId, Position, Value, resolve};

/// What a place that a variable sets may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    text: bool,
    plain: bool,
    /// A list of such values: `true` where nothing else is allowed.
    list: Option<bool>,
}

impl Target {
    /// What may be set at a place of this shape; `None`: nothing, it has parts only. `element` is
    /// the shape of what may be in a list there.
    pub(super) fn of(shape: &Shape<'_>, element: Option<&Shape<'_>>) -> Option<Self> {
        match element {
            Some(element) => Some(Self {
                text: element.text,
                plain: element.plain,
                list: Some(!shape.is_scalar()),
            }),
            None if shape.is_scalar() => {
                Some(Self { text: shape.text, plain: shape.plain, list: None })
            }
            None => None,
        }
    }

    /// Whether several values may be set.
    pub(super) fn is_list(&self) -> bool {
        self.list.is_some()
    }

    /// Whether it takes text.
    pub(super) fn takes_text(&self) -> bool {
        self.text
    }

    /// Whether it takes numbers, or true and false.
    pub(super) fn takes_numbers(&self) -> bool {
        self.plain
    }

    /// The value that a variable means.
    pub(super) fn read(&self, text: &str, at: Position) -> Value {
        let list = match self.list {
            None => false,
            Some(only) => only || text.contains(',') || text.trim() == "[]",
        };
        if !list {
            return self.scalar(text);
        }
        let elements = match text.trim() {
            "[]" => Vec::new(),
            text => text.split(',').map(|element| self.scalar(element.trim())).collect(),
        };
        let node = |value| Node { id: NodeId::ROOT, at, value };
        Value::List(elements.into_iter().map(node).collect())
    }

    /// Text stays text where nothing else is allowed, whatever it looks like.
    fn scalar(&self, text: &str) -> Value {
        match (self.text, self.plain) {
            (true, false) => Value::Text(text.into()),
            _ => resolve(text.trim()),
        }
    }
}
