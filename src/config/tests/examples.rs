//! Every file that is shipped, and every example in the documentation, is what it says it is.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::super::document::build;
use super::super::{Overrides, load, parse, schema};

fn shipped() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(files.len() >= 3);
    files
}

fn as_json(text: &str) -> Json {
    build(text, &|_| None).root.unwrap().to_json()
}

#[test]
fn every_shipped_file_loads_without_a_warning() {
    for path in shipped() {
        match load(&path, &|_| None, &Overrides::none()) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{:#?}", loaded.warnings),
            Err(errors) => panic!("{errors}"),
        }
    }
}

#[test]
fn files_that_the_shipped_ones_name_exist() {
    for path in shipped() {
        let config = load(&path, &|_| None, &Overrides::none()).unwrap().config;
        let files = config
            .geoip
            .databases
            .into_iter()
            .chain(config.geoip.asn_database)
            .chain(config.latency.table)
            .chain(config.tenants.map(|tenants| tenants.file))
            .chain(config.shadow.map(|shadow| shadow.config));
        for file in files {
            assert!(file.is_file(), "{} names {}", path.display(), file.display());
        }
    }
}

#[test]
fn the_schema_accepts_every_shipped_file() {
    let schema = schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for path in shipped() {
        let instance = as_json(&fs::read_to_string(&path).unwrap());
        let errors: Vec<_> = validator.iter_errors(&instance).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for (line, replacement) in [
        (2, "  - adress: 0.0.0.0:8080"),
        (2, "  - { address: \"0.0.0.0:8080\", tls: {} }"),
        (2, "  - { address: \"0.0.0.0:8080\", proxy_protocol: {} }"),
        (2, "  - { address: \"0.0.0.0:8080\", proxy_protocol: { trusted: [] } }"),
        (2, "  - { address: \"0.0.0.0:8080\", redirect_to_https: yes }"),
        (2, "  - { address: \"0.0.0.0:8080\", redirect_to_https: { status: 200 } }"),
        (
            2,
            "  - { address: \"0.0.0.0:8080\", tls: { certificates: [{ certificate: a, key: b }], min_version: 1.1 } }",
        ),
        (
            2,
            "  - { address: \"0.0.0.0:8080\", tls: { certificates: [{ certificate: a, key: b }], alpn: [spdy] } }",
        ),
        (1, "limits: { header_bytes: 100 }\nlisteners:"),
        (1, "requests: { dot_segments: keep }\nlisteners:"),
        (1, "origins: { allow: all }\nlisteners:"),
        (7, "    country: US\n    proxy_protocol: v4"),
        (7, "    country: US\n    tls: { skip_verify: true }"),
        (14, "    upgrades: websocket"),
        (14, "    max_body_bytes: -1"),
        (14, "    compression: on"),
        (14, "    compression: { encodings: [deflate] }"),
        (14, "    compression: { types: [] }"),
        (14, "    retries: { grpc_statuses: [ok] }"),
        (14, "    timeouts: { stream_idle_seconds: 0 }"),
        (1, "workers: none\nlisteners:"),
        (1, "workers: 0\nlisteners:"),
        (1, "memory_limit: 67108863\nlisteners:"),
        (4, "  - id: 'a b'"),
        (5, "    latitude: 91"),
        (5, "    latitude: north"),
        (7, "    country: USA"),
        (8, "    endpoints: []"),
        (8, "    endpoints: [{ url: http://a, weight: 0 }]"),
        (12, "    primary: us"),
        (12, "    routing_strategy: costs"),
        (12, "    tenant: {}"),
        (12, "    tenant: { header: a, cookie: b }"),
        (12, "    residency: [{ name: a, allowed_regions: [] }]"),
        (12, "    affinity: { mode: sticky }"),
        (12, "    objectives: { cost: -1 }"),
        (12, "    latency_tolerance_ms: -1"),
        (12, "    priorities: { classes: { a: 0 } }"),
        (1, "signing: { keys: [] }\nlisteners:"),
        (1, "signing: { keys: [{ id: a }] }\nlisteners:"),
        (1, "hops: { most: 0 }\nlisteners:"),
        (1, "shadow: { config: a, sample_percent: 101 }\nlisteners:"),
        (1, "access_log: { to: stderr }\nlisteners:"),
        (1, "access_log: { sample: 2 }\nlisteners:"),
        (1, "access_log: { query: hide }\nlisteners:"),
        (1, "access_log: { to: syslog, syslog: { address: /dev/log } }\nlisteners:"),
        (1, "access_log: { to: syslog, syslog: { facility: local9 } }\nlisteners:"),
        (1, "latency: { measured: { min_samples: 0 } }\nlisteners:"),
        (8, "    cost_multiplier: -0.1"),
        (8, "    max_in_flight: 0"),
        (13, "    hosts: []"),
        (14, "    health_check: { type: tcp }"),
        (14, "    health_check: { interval_seconds: 0 }"),
        (14, "    retries: { attempts: -1 }"),
        (14, "    routing_rules: [{ id: a }]"),
        (14, "    routing_rules: [{ id: a, target_regions: [us], header_conditions: { a: {} } }]"),
        (14, "    routing_rules: [{ id: a, target_regions: [us], weights: { us: x } }]"),
        (
            14,
            "    routing_rules: [{ id: a, target_regions: [us], header_conditions: { a: { prefix: b, suffix: c } } }]",
        ),
        (
            14,
            "    routing_rules: [{ id: a, target_regions: [us], query_conditions: { a: { present: false } } }]",
        ),
        (
            14,
            "    routing_rules: [{ id: a, target_regions: [us], time_windows: [{ days: [monday] }] }]",
        ),
        (
            14,
            "    routing_rules: [{ id: a, target_regions: [us], time_windows: [{ from: noon }] }]",
        ),
        (14, "    routing_rules: [{ id: a, target_regions: [us], percent: 100.5 }]"),
    ] {
        let text = super::with_line(line, replacement);
        let instance = as_json(&text);
        assert!(!validator.is_valid(&instance), "the schema accepts {replacement}");
        assert!(super::read(&text).is_err(), "the program accepts {replacement}");
    }
    assert!(validator.is_valid(&as_json(super::BASE)));
    for version in ["1.2", "\"1.2\"", "1.3", "\"1.3\""] {
        let tls =
            format!("{{ certificates: [{{ certificate: a, key: b }}], min_version: {version} }}");
        let text = super::with_line(
            2,
            &format!("  - {{ address: \"0.0.0.0:1\", tls: {tls}, hsts: true }}"),
        );
        assert!(validator.is_valid(&as_json(&text)) && super::read(&text).is_ok(), "{text}");
    }
}

/// The schema names each field with its description, so that an editor can show it.
#[test]
fn every_field_in_the_schema_is_described() {
    fn fields(at: &str, schema: &Json, found: &mut usize) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            *found += 1;
            assert!(field["description"].is_string(), "{at}.{name} has no description: {field}");
        }
    }
    let schema = schema();
    let mut found = 0;
    fields("File", &schema, &mut found);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        if definition["type"] == "object" {
            assert_eq!(definition["additionalProperties"], json!(false), "{name}");
        }
        fields(name, definition, &mut found);
    }
    assert!(found > 200, "{found}");
}

/// Every field of `value` that has a default in the schema, as a JSON pointer, with the default.
fn defaults(root: &Json, schema: &Json, value: &Json, at: &str, found: &mut Vec<(String, Json)>) {
    if let Some(target) = schema["$ref"].as_str() {
        let target = root.pointer(target.trim_start_matches('#')).unwrap();
        defaults(root, target, value, at, found);
    }
    for word in ["anyOf", "oneOf"] {
        for alternative in schema[word].as_array().into_iter().flatten() {
            defaults(root, alternative, value, at, found);
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        defaults(root, &schema["items"], item, &format!("{at}/{index}"), found);
    }
    let Some(fields) = value.as_object() else { return };
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        if let Some(default) = schema.get("default") {
            found.push((at.clone(), default.clone()));
        }
        if let Some(value) = fields.get(name) {
            defaults(root, schema, value, &at, found);
        }
    }
    let entries = schema.get("additionalProperties").filter(|entries| entries.is_object());
    for (name, value) in entries.map(|_| fields).into_iter().flatten() {
        defaults(root, &schema["additionalProperties"], value, &format!("{at}/{name}"), found);
    }
}

/// A default that is written changes nothing. Where a field alone is no configuration, it is none with
/// the default either.
#[test]
fn every_default_in_the_schema_is_the_programs() {
    let schema = schema();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let example = as_json(&fs::read_to_string(dir.join("rhumb.yaml")).unwrap());
    let mut found = Vec::new();
    defaults(&schema, &schema, &example, "", &mut found);
    let read = |value: &Json| parse(&value.to_string(), "json", &dir, &|_| None).ok();
    let mut same = 0;
    for (pointer, default) in &found {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut without = example.clone();
        let fields = without.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        fields.remove(name);
        let mut with = without.clone();
        with.pointer_mut(parent).unwrap()[name] = default.clone();
        let (without, with) = (read(&without), read(&with));
        same += usize::from(with.is_some());
        let (without, with) = (without.map(|it| it.config), with.map(|it| it.config));
        assert!(without == with, "{pointer}: {default}\n{without:#?}\n{with:#?}");
    }
    assert!(same > 100 && found.len() < same + 20, "{same} of {}", found.len());
}

const DOCS: &str = include_str!("../../../docs/configuration.md");

/// What the examples of the documentation leave out.
const REST: &[(&str, &str)] = &[
    ("listeners", "listeners:\n  - address: 0.0.0.0:8080\n"),
    (
        "regions",
        "regions:
  - { id: us-east-1, latitude: 38.95, longitude: -77.45, country: US, endpoints: [http://us:80] }
  - { id: eu-west-1, latitude: 53.35, longitude: -6.26, country: IE, endpoints: [http://eu:80] }
  - { id: ap-northeast-1, latitude: 35.7, longitude: 139.7, country: JP, endpoints: [http://ap:80] }
",
    ),
    (
        "deployments",
        "deployments:
  - { name: api, primary_region: us-east-1, replica_regions: [eu-west-1, ap-northeast-1] }
",
    ),
];

fn examples() -> Vec<String> {
    let blocks = DOCS.split("```yaml\n").skip(1);
    let examples: Vec<_> =
        blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect();
    assert!(examples.len() >= 8);
    examples
}

#[test]
fn every_example_in_the_documentation_is_accepted() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for example in examples() {
        let mut text = example.clone();
        for (section, rest) in REST {
            if !example.lines().any(|line| line.starts_with(&format!("{section}:"))) {
                text.push_str(rest);
            }
        }
        if let Err(errors) = parse(&text, "docs", Path::new("/"), &|_| None) {
            panic!("{example}\n{errors}");
        }
        let refused: Vec<_> =
            validator.iter_errors(&as_json(&text)).map(|e| e.to_string()).collect();
        // The schema knows nothing of variables in places of numbers.
        assert!(refused.is_empty() || example.contains("${"), "{example}\n{refused:?}");
    }
}

#[test]
fn the_documentation_names_every_field() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap().values();
    for definition in definitions.chain([&schema]) {
        for (name, _) in definition["properties"].as_object().into_iter().flatten() {
            assert!(DOCS.contains(&format!("`{name}`")), "docs/configuration.md lacks `{name}`");
        }
    }
}
