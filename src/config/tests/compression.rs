//! Settings of compression: what they mean, what is refused, and what a reload says of them.

use std::path::Path;

use super::*;
use crate::config::settings::{CompressionLevel, CompressionSettings};
use crate::config::{diff, parse};
use crate::model::Coding;

fn text(fields: &str) -> String {
    with_deployment(&format!("    compression: {fields}"))
}

fn settings(fields: &str) -> Option<CompressionSettings> {
    let loaded = read(&text(fields)).unwrap_or_else(|errors| panic!("{fields}\n{errors}"));
    assert!(loaded.warnings.is_empty(), "{fields} {:?}", loaded.warnings);
    loaded.config.deployments[0].compression.clone()
}

#[test]
fn it_is_off_unless_it_is_written() {
    let loaded = parse(BASE, "f", Path::new("/"), &|_| None).unwrap();
    assert_eq!(loaded.config.deployments[0].compression, None);
    assert_eq!(settings("{}"), Some(CompressionSettings::default()));
}

#[test]
fn what_is_written_counts() {
    let found = settings(
        "{ encodings: [gzip, zstd], min_bytes: 0, types: [Text/HTML, application/*+json, \
         text/event-stream], level: best }",
    )
    .unwrap();
    assert_eq!(found.encodings, [Coding::Gzip, Coding::Zstd]);
    assert_eq!((found.min_bytes, found.level), (0, CompressionLevel::Best));
    let types: Vec<_> = found.types.iter().map(ToString::to_string).collect();
    assert_eq!(types, ["text/html", "application/*+json", "text/event-stream"]);
    for level in CompressionLevel::ALL {
        let found = settings(&format!("{{ level: {} }}", level.as_str())).unwrap();
        assert_eq!(found.level, level);
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let many: Vec<_> = (0..65).map(|i| format!("text/x{i}")).collect();
    let many = format!("{{ types: [{}] }}", many.join(", "));
    for (fields, path, part) in [
        ("on", "", "expected a mapping"),
        ("{ encodings: gzip }", ".encodings", "expected a list"),
        ("{ encodings: [] }", ".encodings", "is empty"),
        ("{ encodings: [deflate] }", ".encodings[0]", "not one of the choices"),
        ("{ encodings: [br, br] }", ".encodings[1]", "listed twice"),
        ("{ min_bytes: -1 }", ".min_bytes", "range from 0"),
        ("{ min_bytes: 1KiB }", ".min_bytes", "whole number"),
        ("{ types: [] }", ".types", "is empty"),
        ("{ types: [\"*/*\"] }", ".types[0]", "no media type"),
        ("{ types: [text] }", ".types[0]", "no media type"),
        ("{ types: [\"text/html; charset=utf-8\"] }", ".types[0]", "no media type"),
        ("{ types: [text/html, TEXT/HTML] }", ".types[1]", "listed twice"),
        (&many, ".types", "more than 64"),
        ("{ level: 6 }", ".level", "expected text"),
        ("{ level: fastest }", ".level", "not one of the choices"),
        ("{ encoding: [gzip] }", ".encoding", "unknown field"),
    ] {
        let errors = read(&text(fields)).expect_err(fields);
        let found: Vec<_> = errors.iter().collect();
        assert_eq!(found.len(), 1, "{fields}\n{errors}");
        assert_eq!(found[0].path, format!("deployments[0].compression{path}"), "{errors}");
        assert!(found[0].message.contains(part), "{fields}\n{errors}");
    }
}

#[test]
fn calls_are_never_compressed() {
    let loaded = read(&text("{ types: [application/grpc+proto, text/html] }")).unwrap();
    let found: Vec<_> = loaded.warnings.iter().map(|w| (w.path.as_str(), &*w.message)).collect();
    let path = "deployments[0].compression.types[0]";
    assert_eq!(found, [(path, "calls of gRPC are never compressed")]);
}

#[test]
fn a_reload_names_every_field() {
    let of = |fields: &str| parse(&text(fields), "f", Path::new("/"), &|_| None).unwrap().config;
    let off = parse(BASE, "f", Path::new("/"), &|_| None).unwrap().config;
    let from = of("{ types: [text/html] }");
    let to = of("{ encodings: [gzip], min_bytes: 5, types: [text/*], level: balanced }");
    let changes: Vec<_> = diff(&from, &to).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "deployments[api].compression.encodings: [zstd, br, gzip] -> [gzip]",
            "deployments[api].compression.level: fast -> balanced",
            "deployments[api].compression.min_bytes: 1024 -> 5",
            "deployments[api].compression.types: [text/html] -> [text/*]",
        ]
    );
    let changes = diff(&off, &from);
    assert_eq!(changes.len(), 4);
    assert!(changes.iter().all(|change| change.from.is_none() && !change.needs_restart));
}
