//! Wrappers that let a serde shape survive errors: a [`Field`] knows where it was written and
//! keeps "absent" and "broken, and reported" apart, so that reading goes on behind an error.
//!
//! The other half of each trick, the deserializer that recognises these wrappers by name, is
//! `deserialize`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::document::NodeId;

/// Asks the deserializer for the pair (node number, value).
pub(super) const FIELD: &str = "$rhumb::field";
/// Asks the deserializer for text as such, and for anything else as the inner type.
pub(super) const TEXT_OR: &str = "$rhumb::text_or";
/// Asks the deserializer for true or false as such, and for anything else as the inner type.
pub(super) const FLAG_OR: &str = "$rhumb::flag_or";

/// A field of a shape.
#[derive(Clone, Debug)]
pub(super) struct Field<T> {
    /// Where the value is; the root when it is absent.
    pub(super) at: NodeId,
    /// What was read.
    pub(super) state: State<T>,
}

/// What was read of a field.
#[derive(Clone, Debug)]
pub(super) enum State<T> {
    /// It was not written.
    Absent,
    /// It was written, and an error about it has been reported.
    Broken,
    /// It was written.
    Present(T),
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { at: NodeId::ROOT, state: State::Absent }
    }
}

impl<T> Field<T> {
    /// The value, when there is one.
    pub(super) fn value(&self) -> Option<&T> {
        match &self.state {
            State::Present(value) => Some(value),
            State::Absent | State::Broken => None,
        }
    }

    /// Whether it was not written at all.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Whether it could not be read.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // For a missing field serde asks `deserialize_option`, which then finds none.
        deserializer.deserialize_option(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Field::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Self::Value, A::Error> {
        let at = NodeId(pair.next_element()?.unwrap_or_default());
        // The deserializer has recorded the error, if there was one.
        let state = match pair.next_element() {
            Ok(Some(value)) => State::Present(value),
            Ok(None) | Err(_) => State::Broken,
        };
        Ok(Field { at, state })
    }
}

/// The schema of a wrapper is that of what it wraps.
macro_rules! transparent_schema {
    ($wrapper:ident) => {
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }
            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }
            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    };
}

transparent_schema!(Field);

/// A mapping whose keys are data, in file order.
#[derive(Clone, Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Field<String>, Field<T>)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Entries_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// Text, or something else that is longer to write.
#[derive(Clone, Debug)]
pub(super) enum TextOr<T> {
    /// Text.
    Text(String),
    /// The longer form.
    Other(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT_OR, TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T> {
    type Value = TextOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or something else")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(text.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        T::deserialize(deserializer).map(TextOr::Other)
    }
}

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text_or_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let other = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "string" }, other] })
    }
}

/// True or false, or something that says more.
#[derive(Clone, Debug)]
pub(super) enum FlagOr<T> {
    /// True or false.
    Flag(bool),
    /// The longer form.
    Other(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FlagOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FLAG_OR, FlagOrVisitor(PhantomData))
    }
}

struct FlagOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FlagOrVisitor<T> {
    type Value = FlagOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or something else")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(FlagOr::Flag(flag))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        T::deserialize(deserializer).map(FlagOr::Other)
    }
}

impl<T: JsonSchema> JsonSchema for FlagOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Flag_or_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let other = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, other] })
    }
}
