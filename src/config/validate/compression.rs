//! Compression of a deployment's responses.

use super::Context;
use super::values::{choice, integer, optional, optional_list, optional_texts};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{CompressionLevel, CompressionSettings, MediaRange};
use crate::model::Coding;
use crate::model::limits::{BODY_BYTES_MAX, COMPRESSED_TYPES, COMPRESSION_MIN_BYTES};

/// The outer `None` is an error; the inner one is "off".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn compression(
    field: &Field<raw::Compression>,
    cx: Context<'_>,
) -> Option<Option<CompressionSettings>> {
    optional(field, |raw| one(raw, cx.report))
}

fn one(raw: &raw::Compression, report: &Report<'_>) -> Option<CompressionSettings> {
    let default = CompressionSettings::default();
    let encodings = encodings(&raw.encodings, report);
    let usual = i64::try_from(COMPRESSION_MIN_BYTES).unwrap_or(i64::MAX);
    let min_bytes = integer(&raw.min_bytes, 0..=BODY_BYTES_MAX, usual, report);
    let types = types(&raw.types, report);
    let level = choice(&raw.level, default.level, |level| match level {
        raw::CompressionLevel::Fast => CompressionLevel::Fast,
        raw::CompressionLevel::Balanced => CompressionLevel::Balanced,
        raw::CompressionLevel::Best => CompressionLevel::Best,
    });
    let (encodings, types) = (encodings?, types?);
    Some(CompressionSettings {
        encodings: if encodings.is_empty() { default.encodings } else { encodings },
        min_bytes: u64::try_from(min_bytes?).ok()?,
        types: if types.is_empty() { default.types } else { types },
        level: level?,
    })
}

/// Empty only when they were not written.
fn encodings(field: &Field<Vec<Field<raw::Encoding>>>, report: &Report<'_>) -> Option<Vec<Coding>> {
    let read = |_, encoding: &raw::Encoding, _: &Report<'_>| {
        Some(match encoding {
            raw::Encoding::Zstd => Coding::Zstd,
            raw::Encoding::Br => Coding::Brotli,
            raw::Encoding::Gzip => Coding::Gzip,
        })
    };
    optional_list(field, "encodings", report, read, |_, coding| coding.as_str().to_owned())
}

/// The same.
fn types(field: &Field<Vec<Field<String>>>, report: &Report<'_>) -> Option<Vec<MediaRange>> {
    if let State::Present(list) = &field.state
        && list.len() > COMPRESSED_TYPES
    {
        let message = format!("{} media types are more than {COMPRESSED_TYPES}", list.len());
        report.error(field.at, message, "a whole kind is written such as `text/*`");
        return None;
    }
    optional_texts(field, "types", report, media_range)
}

fn media_range(at: NodeId, text: &str, report: &Report<'_>) -> Option<MediaRange> {
    let range = MediaRange::parse(text);
    let help = "such as `text/*`, `application/json` or `application/*+json`";
    let grpc = text.get(..16).is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"));
    if range.is_none() {
        report.error(at, format!("{} is no media type", Quoted(text)), help);
    } else if grpc {
        let message = "calls of gRPC are never compressed";
        report.warning(at, message, "they compress their own messages; remove it here");
    }
    range
}
