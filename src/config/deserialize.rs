//! A serde deserializer over the tree of nodes that reports errors where they are and goes on.
//!
//! It differs from a usual one in four ways: a value inside a [`Field`] that cannot be read
//! becomes a report entry and a broken field; unknown fields are reported and skipped; words that
//! are known but not built yet are told apart from unknown ones; and what was expected is said in
//! the words of the configuration, not in those of Rust.
//!
//! [`Field`]: super::field::Field

use std::fmt;

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::document::{Entry, Node, Value};
use super::error::Quoted;
use super::field::{FIELD, FLAG_OR, TEXT_OR};
use super::raw::{SECRET, SECRET_SHAPES};
use super::report::Report;
use super::unbuilt;

/// Why a value could not be read.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// It has been reported.
    Reported,
    /// It has not.
    Problem { message: String, help: String },
}

impl Fault {
    fn new(message: String, help: &str) -> Self {
        Self::Problem { message, help: help.to_owned() }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("already reported"),
            Self::Problem { message, .. } => f.write_str(message),
        }
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), "")
    }
}

/// A short form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Welcome {
    Text,
    Flag,
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'a> {
    pub(super) node: &'a Node,
    pub(super) report: &'a Report<'a>,
    /// What would have been welcome too, for the message.
    welcome: Option<Welcome>,
    /// Whether no message may repeat what is here.
    secret: bool,
}

impl<'a> NodeDeserializer<'a> {
    pub(super) fn new(node: &'a Node, report: &'a Report<'a>) -> Self {
        Self { node, report, welcome: None, secret: false }
    }

    /// Reads a part of what this one reads.
    fn part(&self, node: &'a Node) -> Self {
        Self { node, welcome: None, ..*self }
    }

    /// Says what is there in place of what should be.
    fn mismatch(&self, expected: &str) -> Fault {
        let or = match self.welcome {
            Some(Welcome::Text) if expected != "text" => "text or ",
            Some(Welcome::Flag) => "true, false or ",
            _ => "",
        };
        let help = match (&self.node.value, expected) {
            (Value::Null, _) => "write a value, or remove the field",
            (Value::Integer(_) | Value::Float(_) | Value::Bool(_), expected)
                if expected == "text" || self.welcome == Some(Welcome::Text) =>
            {
                "put it in quotes if it is meant as text"
            }
            (Value::Text(_), "a list") => {
                "write it as [ ... ], or each on a line of its own after `- `"
            }
            (Value::Text(_), "a whole number" | "a number") => {
                "write a number, without a unit and without quotes"
            }
            _ => "",
        };
        let found = match &self.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) if self.secret => {
                "something else, which is not shown".to_owned()
            }
            Value::Text(_) if self.secret => "text, which is not shown".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(value) => format!("the text {}", Quoted(value)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Broken => return Fault::Reported,
        };
        Fault::new(format!("expected {or}{expected}, found {found}"), help)
    }
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_str(value),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Broken => Err(Fault::Reported),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.mismatch("true or false")),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Integer(value) => visitor.visit_i64(value),
            _ => Err(self.mismatch("a whole number")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Integer(value) => visitor.visit_f64(value as f64),
            Value::Float(value) if value.is_finite() => visitor.visit_f64(value),
            _ => Err(self.mismatch("a number")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(value) => visitor.visit_str(value),
            _ => Err(self.mismatch("text")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), list: self }),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit_entries(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let secret = self.secret || SECRET_SHAPES.contains(&name);
        Self { secret, ..self }.visit_entries(Some(Shape { name, fields }), visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // An empty value is not "absent": it is what a half-written file looks like.
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (name, &self.node.value) {
            (FIELD, _) => visitor.visit_seq(Pair { deserializer: self, stage: 0 }),
            (TEXT_OR | SECRET, Value::Text(text)) => visitor.visit_str(text),
            (SECRET, _) => Err(self.mismatch("text")),
            (TEXT_OR, _) => {
                visitor.visit_newtype_struct(Self { welcome: Some(Welcome::Text), ..self })
            }
            (FLAG_OR, Value::Bool(flag)) => visitor.visit_bool(*flag),
            (FLAG_OR, _) => {
                visitor.visit_newtype_struct(Self { welcome: Some(Welcome::Flag), ..self })
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Text(text) = &self.node.value else { return Err(self.mismatch("text")) };
        if variants.contains(&&**text) {
            let word: StrDeserializer<'_, Fault> = text.into_deserializer();
            return visitor.visit_enum(word);
        }
        let choices = list(variants);
        if unbuilt::is_value(name, text) {
            let message = format!("{} is not built in this version of Rhumb", Quoted(text));
            return Err(Fault::new(message, &format!("choose {choices}")));
        }
        let help = match self.report.nearest(text, variants.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? The choices are {choices}"),
            None => format!("choose {choices}"),
        };
        Err(Fault::new(format!("{} is not one of the choices", Quoted(text)), &help))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char str bytes byte_buf unit unit_struct tuple
        tuple_struct identifier
    }
}

impl<'a> NodeDeserializer<'a> {
    fn visit_entries<'de, V: Visitor<'de>>(
        self,
        shape: Option<Shape>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                value: None,
                shape,
                map: self,
            }),
            _ => Err(self.mismatch("a mapping")),
        }
    }
}

/// `a`, `b` and `c`, for messages.
fn list(words: &[&str]) -> String {
    let mut out = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push_str(if index + 1 == words.len() { " or " } else { ", " });
        }
        out.push('`');
        out.push_str(word);
        out.push('`');
    }
    out
}

/// What a [`Field`](super::field::Field) reads: the node's number, then its value.
struct Pair<'a> {
    deserializer: NodeDeserializer<'a>,
    stage: u8,
}

impl<'de> SeqAccess<'de> for Pair<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let node = self.deserializer.node;
        self.stage += 1;
        if self.stage == 1 {
            let id: U32Deserializer<Fault> = node.id.0.into_deserializer();
            return seed.deserialize(id).map(Some);
        }
        seed.deserialize(self.deserializer).map(Some).map_err(|fault| {
            if let Fault::Problem { message, help } = fault {
                self.deserializer.report.error(node.id, message, help);
            }
            Fault::Reported
        })
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    list: NodeDeserializer<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.items.next() else { return Ok(None) };
        seed.deserialize(self.list.part(node)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The fields that a mapping may have.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    fields: &'static [&'static str],
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
    /// `None`: the keys are data.
    shape: Option<Shape>,
    map: NodeDeserializer<'a>,
}

impl Entries<'_> {
    /// Whether the entry is one of the shape's fields; reports it otherwise.
    fn admits(&self, entry: &Entry) -> bool {
        let Some(Shape { name: shape, fields }) = self.shape else { return true };
        let report = self.map.report;
        let name = entry.name();
        if fields.contains(&name) {
            return true;
        }
        report.unknown_field(self.map.node.id);
        if let Some(help) = unbuilt::field(shape, name) {
            let message = format!("`{name}` is not built in this version of Rhumb");
            report.error(entry.key.id, message, help);
            return false;
        }
        let help = match report.nearest(name, fields.iter().copied()) {
            Some(near) => {
                report.misspelt(self.map.node.id, near);
                format!("did you mean `{near}`?")
            }
            None => format!("the fields here are {}", list(fields)),
        };
        report.error(entry.key.id, format!("unknown field {}", Quoted(name)), help);
        false
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        while let Some(entry) = self.entries.next() {
            if self.admits(entry) {
                self.value = Some(&entry.value);
                return seed.deserialize(self.map.part(&entry.key)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.value.take() {
            Some(node) => seed.deserialize(self.map.part(node)),
            None => Err(Fault::new("a value without a key".to_owned(), "")),
        }
    }
}
