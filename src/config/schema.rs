//! The JSON Schema of the configuration file (draft 2020-12), for editors and pipelines.
//!
//! It says what can be said about one value at a time; what values mean together only
//! `validate` knows. It describes the file after variables have been substituted.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, json_schema};

use super::raw;
use crate::model::limits::{MEMORY_LIMIT_MAX, MEMORY_LIMIT_MIN};

/// The JSON Schema of the configuration file.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<raw::File>().to_value()
}

/// `workers`: the one text that is allowed, or a number.
pub(super) fn workers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1024 }],
        "default": "auto",
    })
}

/// `memory_limit`: bytes, or a number with a unit.
pub(super) fn memory(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "string", "pattern": "^\\s*[0-9]+(\\.[0-9]{1,6})?\\s*([KMGT]iB)?\\s*$" },
            { "type": "integer", "minimum": MEMORY_LIMIT_MIN, "maximum": MEMORY_LIMIT_MAX },
        ],
    })
}

/// `weights` of a rule.
pub(super) fn weights(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "integer", "minimum": 0, "maximum": 1_000_000 },
        "minProperties": 1,
    })
}

/// `classes` of priorities.
pub(super) fn classes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "integer", "minimum": 1, "maximum": 100 },
        "minProperties": 1,
        "maxProperties": 32,
    })
}

/// `min_version` of TLS: with or without quotes.
pub(super) fn tls_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["1.2", "1.3", 1.2, 1.3], "default": "1.2" })
}
