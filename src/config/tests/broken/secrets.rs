//! Secrets: what is refused, and that nothing of them is ever shown.

use std::path::Path;

use super::super::{BASE, read};
use crate::config::{Overrides, Severity, diff, load, parse};

const SECRET: &str = "tiger-tiger-burning-bright-in-the-forests";

/// Everything that anybody could see of the errors.
fn shown(text: &str) -> String {
    let Err(errors) = read(text) else { panic!("accepted:\n{text}") };
    assert!(errors.iter().any(|error| error.severity == Severity::Error));
    format!("{errors}\n{errors:?}\n{}", serde_json::to_string(&errors).unwrap())
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    for (signing, path, part) in [
        ("{}", "signing.keys", "`keys` is missing"),
        ("{ keys: [] }", "signing.keys", "is empty"),
        ("{ keys: [{ id: a }] }", "signing.keys[0]", "says nothing"),
        (
            "{ keys: [{ secret: 0123456789abcdef0123456789abcdef }] }",
            "signing.keys[0].id",
            "missing",
        ),
        ("{ keys: [{ id: a, secret: short }] }", "signing.keys[0].secret", "5 bytes; it needs 32"),
        ("{ keys: [{ id: a, secret: '' }] }", "signing.keys[0].secret", "0 bytes"),
        ("{ keys: [{ id: a, secret: 12345 }] }", "signing.keys[0].secret", "expected text"),
        ("{ keys: [{ id: a, secret: a, secret_file: b }] }", "signing.keys[0]", "exclude"),
        ("{ keys: [{ id: a, secret_file: gone }] }", "signing.keys[0].secret_file", "cannot read"),
        ("{ keys: [{ id: a, secret_file: / }] }", "signing.keys[0].secret_file", "not a regular"),
        ("{ keys: [{ id: a b, secret_file: a }] }", "signing.keys[0].id", "id of a key"),
    ] {
        let errors = read(&format!("{BASE}signing: {signing}\n")).unwrap_err();
        let found: Vec<_> = errors.iter().map(|e| (e.path.as_str(), e.message.as_str())).collect();
        let error = found.iter().find(|(at, message)| *at == path && message.contains(part));
        assert!(error.is_some(), "{signing}: {found:#?}");
    }
    let twice = "0123456789abcdef0123456789abcdef";
    let text = format!(
        "{BASE}signing: {{ keys: [{{ id: a, secret: {twice} }}, {{ id: a, secret: {twice} }}] }}\n"
    );
    assert!(shown(&text).contains("listed twice"));
}

#[test]
fn no_error_shows_anything_of_a_secret() {
    let broken = "workers: many";
    for signing in [
        // Whatever else is wrong on the same line or near it.
        format!("signing: {{ keys: [{{ id: a, secret: {SECRET}, oops: 1 }}] }}"),
        format!("signing: {{ keys: [{{ id: 'a b', secret: {SECRET} }}] }}"),
        format!("signing:\n  keys:\n    - id: a\n      secret: {SECRET}\n      oops: 1"),
        format!("signing:\n  keys:\n  - id: a\n    secret: >-\n      {SECRET}\n    oops: 1"),
        format!("signing:\n  keys:\n    - {{ id: a, secert: \"{SECRET}\" }}"),
        format!("\"signing\":\n  keys:\n    - {{ id: a, oops: \"{SECRET}\" }}"),
        // In the wrong place or of the wrong kind.
        format!("signing: {SECRET}"),
        format!("signing: [{SECRET}]"),
        format!("signing: {{ keys: {SECRET} }}"),
        format!("signing: {{ keys: [{SECRET}] }}"),
        format!("signing: {{ keys: [{{ id: {SECRET}+, secret: x }}] }}"),
        format!("signing: {{ keys: [{{ id: a, secret_file: {SECRET} }}] }}"),
        format!("signing: {{ keys: [{{ id: a, secret: [{SECRET}] }}] }}"),
        format!("signing: {{ keys: [{{ id: a, secret: !key {SECRET} }}] }}"),
        format!("signing: {{ keys: [{{ id: a, secret: \"${{{SECRET}}}\" }}] }}"),
        format!("signing: {{ keys: [{{ id: a, secret: \"${{{SECRET}\" }}] }}"),
        format!("signing: {{ keys: [{{ id: a, secret: {SECRET}, secret: {SECRET} }}] }}"),
        // A misspelt part.
        format!("signng: {{ keys: [{{ id: a, secret: {SECRET} }}] }}"),
        format!("signng:\n  keys:\n    - id: a\n      secret: {SECRET}\n      secret: {SECRET}"),
        // Behind an alias: the place where it is written has an error of its own.
        format!("x-key: &key {SECRET}\nsigning: {{ keys: [{{ id: a, secret: *key }}] }}"),
        // No YAML at all.
        format!("signing: {{ keys: [{{ id: a, secret: \"{SECRET} }}] }}"),
        format!("signing:\n  keys:\n    - id: a\n      secret: \"{SECRET}\n     x: ["),
        format!("signing:\n  keys:\n    - id: a\n     secret: {SECRET}"),
    ] {
        let text = format!("{BASE}{signing}\n{broken}\n");
        let shown = shown(&text);
        assert!(!shown.contains("tiger"), "{signing}\n{shown}");
        if !signing.contains('\n') {
            let line = format!("{{ workers: many, {signing}, wrokers: many }}");
            let errors = read(&line).unwrap_err().to_string();
            assert!(!errors.contains("tiger"), "{line}\n{errors}");
        }
    }
    // The line that is wrong is still shown where it has no secret.
    let text = format!("{BASE}signing: {{ keys: [{{ id: a, secret: {SECRET} }}] }}\n{broken}\n");
    assert!(read(&text).unwrap_err().to_string().contains("| workers: many"));
}

#[test]
fn neither_debug_output_nor_a_difference_shows_a_secret() {
    let with = |keys: &str| {
        let text = format!("{BASE}signing: {{ keys: [{keys}] }}\n");
        read(&text).unwrap_or_else(|errors| panic!("{errors}")).config
    };
    let other = SECRET.to_uppercase();
    let old = with(&format!("{{ id: k1, secret: {SECRET} }}"));
    let new = with(&format!("{{ id: k2, secret: {SECRET} }}, {{ id: k1, secret: {other} }}"));
    assert!(!format!("{old:?} {new:?}").to_lowercase().contains("tiger"));
    let changes = diff(&old, &new);
    let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["signing.keys: [k1] -> [k2, k1]", "signing.keys[k1].secret: (hidden) -> (another)"]
    );
    assert_eq!(&*old.signing[0].secret, SECRET.as_bytes());
}

#[test]
fn a_secret_may_be_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("rhumb.yaml");
    let text = format!("{BASE}signing: {{ keys: [{{ id: k1, secret_file: k1.secret }}] }}\n");
    std::fs::write(&config, text).unwrap();
    let file = dir.path().join("k1.secret");
    for (bytes, expected) in [
        (SECRET.as_bytes().to_vec(), SECRET.len()),
        (format!("{SECRET}\n").into_bytes(), SECRET.len()),
        (format!("{SECRET}\r\n").into_bytes(), SECRET.len()),
        (vec![0xff; 32], 32),
        (vec![b'x'; 4_096], 4_096),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let loaded = load(&config, &|_| None, &Overrides::none()).unwrap();
        assert_eq!(loaded.config.signing[0].secret.len(), expected);
        assert_eq!(loaded.files, [file.as_path()]);
    }
    for (bytes, part) in [(vec![b'x'; 31], "31 bytes"), (vec![b'x'; 1 << 20], "to 4096")] {
        std::fs::write(&file, bytes).unwrap();
        let errors = load(&config, &|_| None, &Overrides::none()).unwrap_err();
        assert!(errors.to_string().contains(part), "{errors}");
    }
}

#[test]
fn a_secret_may_be_a_variable() {
    let text = format!("{BASE}signing: {{ keys: [{{ id: k1, secret: \"${{S}}\" }}] }}\n");
    let env = |name: &str| (name == "S").then(|| SECRET.to_owned());
    let loaded = parse(&text, "f", Path::new("/"), &env).unwrap();
    assert_eq!(&*loaded.config.signing[0].secret, SECRET.as_bytes());
    // One that looks like a number is text all the same, because of the quotes.
    let env = |_: &str| Some("12345678901234567890123456789012".to_owned());
    assert!(parse(&text, "f", Path::new("/"), &env).is_ok());
    let short = |_: &str| Some("tiger".to_owned());
    let errors = parse(&text, "f", Path::new("/"), &short).unwrap_err();
    assert!(!format!("{errors} {errors:?}").contains("tiger"));
}
