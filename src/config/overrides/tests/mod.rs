//! Variables beside the file: what each changes, and what is said of those that change nothing.

mod edits;

use std::path::Path;

use super::*;
use crate::config::load::parse_with;
use crate::config::{ConfigErrors, Loaded};

const EXAMPLE: &str = include_str!("../../../../config/rhumb.yaml");
const FILE: &str = "
listeners: [{ address: \"127.0.0.1:8080\", hsts: true, tls: { certificates: [{ certificate: a, key: b }] } }]
admin: { address: \"127.0.0.1:9090\" }
regions:
  - { id: us-east-1, latitude: 1, longitude: 2, country: US, endpoints: [\"http://a\", { url: \"http://b\" }] }
  - { id: eu, name: Europe, latitude: 3, longitude: 4, country: DE, endpoints: [http://c] }
signing: { keys: [{ id: k1, secret: \"${RHUMB_SECRET}\" }] }
deployments:
  - { name: api, primary_region: us-east-1, replica_regions: [eu], regions: { eu: { weight: 2 } },
      health_check: { path: / } }
";

fn overrides(variables: &[(&str, &str)]) -> Overrides {
    Overrides::of(variables.iter().map(|(name, value)| (name.into(), value.into())))
}

fn env(name: &str) -> Option<String> {
    (name == "RHUMB_SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned())
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    parse_with(text, "f.yaml", &base, &env, &overrides(variables))
}

/// The variable, the field, and what is said.
fn complaints(variables: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let Err(errors) = read(FILE, variables) else { panic!("accepted: {variables:?}") };
    let said = |e: &crate::config::ConfigError| {
        let variable = e.variable.clone().unwrap_or_default();
        (variable, e.path.clone(), format!("{} {}", e.message, e.help.clone().unwrap_or_default()))
    };
    errors.iter().filter(|e| e.severity == crate::config::Severity::Error).map(said).collect()
}

#[test]
fn a_value_of_the_environment_counts_in_place_of_the_files() {
    let config = read(
        FILE,
        &[
            ("RHUMB_ADMIN_ADDRESS", "127.0.0.1:7070"),
            ("RHUMB_LIMITS_URI_BYTES", " 1024 "),
            ("RHUMB_WORKERS", "3"),
            ("RHUMB_LISTENERS_0_ADDRESS", "127.0.0.1:8081"),
            ("RHUMB_LISTENERS_0_HSTS_MAX_AGE_SECONDS", "60"),
            ("RHUMB_REGIONS_US_EAST_1_MAX_IN_FLIGHT", "7"),
            ("RHUMB_REGIONS_US_EAST_1_NAME", "12"),
            ("RHUMB_REGIONS_US_EAST_1_COMPLIANCE", "soc2, hipaa"),
            ("RHUMB_REGIONS_US_EAST_1_ENDPOINTS_1_WEIGHT", "5"),
            ("RHUMB_REGIONS_EU_ENDPOINTS", "http://d,http://e"),
            ("RHUMB_DEPLOYMENTS_API_TIMEOUTS_CONNECT_SECONDS", "0.5"),
            ("RHUMB_DEPLOYMENTS_API_REGIONS_EU_WEIGHT", "9"),
            ("RHUMB_DEPLOYMENTS_API_UPGRADES", "[]"),
            ("RHUMB_SECRET", "is a variable of the file"),
            ("RHUMB_ADMIN_SERVICE_HOST", "10.0.0.1"),
            ("RHUMB_HANDOVER", "stdin"),
            ("RHUMB_TYPO", ""),
        ],
    );
    let Loaded { config, overridden, .. } = config.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(overridden.len(), 13, "{overridden:#?}");
    assert_eq!(config.admin.address, "127.0.0.1:7070".parse().unwrap());
    assert_eq!(config.limits.uri_bytes, 1_024);
    assert_eq!(config.workers.unwrap().get(), 3);
    assert_eq!(config.listeners[0].address, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(
        config.listeners[0].hsts.as_ref().map(|hsts| hsts.to_str().unwrap().to_owned()),
        Some("max-age=60".to_owned())
    );
    let [us, eu] = &config.regions[..] else { panic!("{:#?}", config.regions) };
    assert_eq!(us.max_in_flight.unwrap().get(), 7);
    assert_eq!(us.name.as_deref(), Some("12"));
    assert_eq!(us.compliance.len(), 2);
    assert_eq!(us.endpoints[1].weight, 5);
    let urls: Vec<_> = eu.endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect();
    assert_eq!(urls, ["http://d:80", "http://e:80"]);
    let api = &config.deployments[0];
    assert_eq!(api.timeouts.connect.as_secs_f64(), 0.5);
    assert!(api.streams.upgrades.is_empty());
}

#[test]
fn an_empty_section_is_as_if_it_were_not_there() {
    for (section, name, value) in [
        ("admin:", "RHUMB_ADMIN_ADDRESS", "127.0.0.1:7070"),
        ("limits: ~", "RHUMB_LIMITS_URI_BYTES", "1024"),
        ("tracing: { otlp: }", "RHUMB_TRACING_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
    ] {
        let without = FILE.replace("admin: { address: \"127.0.0.1:9090\" }\n", "");
        let there = format!("{without}{section}\n");
        let there = read(&there, &[(name, value)]).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(there.overridden.len(), 1, "{section}");
        assert_eq!(there.config, read(&without, &[(name, value)]).unwrap().config, "{section}");
    }
}

#[test]
fn errors_name_the_variable() {
    for (name, value, path, part) in [
        ("RHUMB_ADMIN_ADDRESS", "here", "admin.address", "not an address"),
        ("RHUMB_LIMITS_URI_BYTES", "8k", "limits.uri_bytes", "expected a whole number"),
        ("RHUMB_LIMITS_URI_BYTES", "7", "limits.uri_bytes", "from 256"),
        ("RHUMB_LISTENERS_0_HTTP2", "yes", "listeners[0].http2", "true or false"),
        ("RHUMB_DEPLOYMENTS_API_PRIMARY_REGION", "asia", "deployments[0].primary_region", "asia"),
        ("RHUMB_DEPLOYMENTS_API_REPLICA_REGIONS", "eu,x", "deployments[0].replica_regions[1]", "x"),
        (
            "RHUMB_DEPLOYMENTS_API_ROUTING_STRATEGY",
            "cots",
            "deployments[0].routing_strategy",
            "did you mean `cost`",
        ),
        ("RHUMB_TENANTS_SOFT_TTL_SECONDS", "5", "tenants.file", "`file` is missing"),
        ("RHUMB_ADMIN_ADRESS", "x", "", "did you mean `RHUMB_ADMIN_ADDRESS`"),
        ("RHUMB_REGIONS_US_EAST_2_NAME", "x", "", "did you mean `RHUMB_REGIONS_US_EAST_1_NAME`"),
        (
            "RHUMB_LISTENERS_1_ADDRESS",
            "127.0.0.1:1",
            "",
            "did you mean `RHUMB_LISTENERS_0_ADDRESS`",
        ),
        ("RHUMB_REGIONS", "x", "", "sets nothing"),
        ("RHUMB_LISTENERS_0", "x", "", "sets nothing"),
        ("RHUMB_", "x", "", "rhumb schema --environment"),
        ("RHUMB_REGIONS_US_EAST_1_ENDPOINTS_0_WEIGHT", "2", "", "sets nothing"),
    ] {
        let found = complaints(&[(name, value)]);
        let [(variable, at, said)] = &found[..] else { panic!("{name}: {found:#?}") };
        assert_eq!((&**variable, &**at), (name, path), "{said}");
        assert!(said.contains(part), "{name}: {said}");
    }
    let both = [
        ("RHUMB_REGIONS_US_EAST_1_ENDPOINTS", "http://x"),
        ("RHUMB_REGIONS_US_EAST_1_ENDPOINTS_1_WEIGHT", "2"),
        ("RHUMB_REGIONS_US_EAST_1_ENDPOINTS_1_URL", "http://y"),
    ];
    let found = complaints(&both);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|(_, _, said)| said.contains("sets all of what")), "{found:#?}");
    assert_eq!(
        read(FILE, &[("RHUMB_X", "y")]).unwrap_err().to_string().lines().nth(1),
        Some(" --> environment: RHUMB_X")
    );
}

#[test]
fn a_name_that_could_mean_two_fields_is_refused() {
    let file = FILE
        .replace("id: eu,", "id: us.east.1,")
        .replace("[eu]", "[us.east.1]")
        .replace("{ eu:", "{ us.east.1:");
    assert!(read(&file, &[]).is_ok(), "without a variable, nothing is the matter");
    let errors = read(&file, &[("RHUMB_REGIONS_US_EAST_1_BIAS", "5")]).unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!(error.variable.as_deref(), Some("RHUMB_REGIONS_US_EAST_1_BIAS"));
    assert!(error.message.contains("`regions[0].bias` or `regions[1].bias`"), "{error}");
}

#[test]
fn errors_that_point_to_the_environment_say_so() {
    let listeners = "listeners:\n  - address: 127.0.0.1:1\n  - address: 127.0.0.1:2\n";
    let file = format!(
        "{listeners}{}",
        FILE.split_once("admin:").map(|(_, rest)| format!("admin:{rest}")).unwrap()
    );
    let errors = read(&file, &[("RHUMB_LISTENERS_0_ADDRESS", "127.0.0.1:2")]).unwrap_err();
    let error = errors.iter().find(|e| e.message.contains("taken")).unwrap();
    assert_eq!((error.line, error.variable.as_deref()), (3, None));
    assert!(error.help.as_ref().unwrap().contains("in the environment"), "{error}");
}

#[test]
fn lenient_overrides_pass_over_what_they_do_not_know() {
    let lenient = overrides(&[("RHUMB_NO", "1"), ("RHUMB_WORKERS", "2")]).lenient();
    let loaded = parse_with(FILE, "f", Path::new(""), &env, &lenient);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.config.workers.unwrap().get(), 2);
}

#[test]
fn what_is_not_utf_8_is_said_and_not_shown() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = OsString::from_vec(b"s3cr\xfft".to_vec());
    let overrides = Overrides::of([("RHUMB_ADMIN_ADDRESS".into(), bytes)]);
    let errors = parse_with(FILE, "f", Path::new(""), &env, &overrides).unwrap_err();
    assert!(errors.to_string().contains("not UTF-8"), "{errors}");
    assert!(!format!("{errors}{errors:?}{overrides:?}").contains("s3cr"));
}

#[test]
fn no_error_shows_anything_of_a_secret() {
    let secret = "tiger-tiger";
    for (name, more) in [
        ("RHUMB_SIGNING_KEYS_K1_SECRET", ("RHUMB_WORKERS", "none")),
        ("RHUMB_SIGNING_KEYS_K1_ID", ("RHUMB_WORKERS", "1")),
        ("RHUMB_SIGNING_KEYS_K1_SECRET_FILE", ("RHUMB_WORKERS", "1")),
        ("RHUMB_SIGNING_KEYS_K1_SECRT", ("RHUMB_WORKERS", "1")),
        ("RHUMB_SIGNING_KEYS", ("RHUMB_WORKERS", "1")),
        ("RHUMB_SIGNING", ("RHUMB_WORKERS", "1")),
    ] {
        let value = if name.ends_with("_ID") { "tiger-tiger +" } else { secret };
        let errors = read(FILE, &[(name, value), more]).unwrap_err();
        let shown = format!("{errors}\n{errors:?}\n{}", serde_json::to_string(&errors).unwrap());
        assert!(!shown.contains(secret), "{shown}");
        assert!(shown.contains(name) || name.ends_with("_FILE"), "{shown}");
    }
    assert!(
        !format!("{:?}", overrides(&[("RHUMB_SIGNING_KEYS_K1_SECRET", secret)])).contains(secret)
    );
}

#[test]
fn the_open_list_has_every_name_of_the_example_in_general_form() {
    let open = settings();
    let names: std::collections::BTreeSet<_> =
        open.iter().map(|setting| &setting.variable).collect();
    assert_eq!(names.len(), open.len(), "each once");
    assert!(open.len() > 180, "{}", open.len());
    for name in [
        "RHUMB_ADMIN_ADDRESS",
        "RHUMB_LISTENERS_<N>_ADDRESS",
        "RHUMB_LISTENERS_<N>_TLS_CERTIFICATES_<N>_KEY",
        "RHUMB_REGIONS_<ID>_MAX_IN_FLIGHT",
        "RHUMB_REGIONS_<ID>_ENDPOINTS",
        "RHUMB_REGIONS_<ID>_ENDPOINTS_<N>_WEIGHT",
        "RHUMB_DEPLOYMENTS_<NAME>_REGIONS_<KEY>_WEIGHT",
        "RHUMB_DEPLOYMENTS_<NAME>_ROUTING_RULES_<ID>_WEIGHTS_<KEY>",
        "RHUMB_DEPLOYMENTS_<NAME>_RESIDENCY_<NAME>_ENFORCEMENT",
    ] {
        assert!(names.contains(&name.to_owned()), "{name}");
    }
    assert!(open.iter().all(|setting| !setting.description.is_empty()));
}

#[test]
fn a_rule_among_many_is_found() {
    let mut file = FILE.trim_end().trim_end_matches("}").trim_end().to_owned();
    file.push_str(",\n      routing_rules: [");
    for rule in 0..500 {
        file.push_str(&format!(
            "      {{ id: r{rule}, target_regions: [eu], source_countries: [DE] }},\n"
        ));
    }
    file.push_str("      ] }\n");
    let name = "RHUMB_DEPLOYMENTS_API_ROUTING_RULES_R499_PRIORITY";
    let loaded = read(&file, &[(name, "5")]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.config.deployments[0].rules[499].priority, 5);
    let errors =
        read(&file, &[("RHUMB_DEPLOYMENTS_API_ROUTING_RULES_R500_PRIORITY", "5")]).unwrap_err();
    let errors = errors.iter().filter(|e| e.severity == crate::config::Severity::Error);
    assert_eq!(errors.count(), 1);
}
