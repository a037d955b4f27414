//! A variable does what an edit of the file does: each of the example, whatever it holds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{EXAMPLE, FILE, env, read};
use crate::config::document::{Node, Value, build};
use crate::config::{ConfigErrors, Loaded, Overridden, Setting, ValueKind, settings_of};

/// Every scalar, and every list with a scalar in it, with its JSON pointer and the path of its field.
fn leaves(value: &Json, pointer: &str, path: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                let mut path = path.to_owned();
                crate::config::document::push_field(&mut path, name);
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{pointer}/{name}"), &path, found);
            }
        }
        Json::Array(items) => {
            if items.iter().any(|item| !item.is_object()) {
                found.insert(path.to_owned(), pointer.to_owned());
            }
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                leaves(item, &format!("{pointer}/{index}"), &format!("{path}[{index}]"), found);
            }
        }
        _ => drop(found.insert(path.to_owned(), pointer.to_owned())),
    }
}

fn example() -> (Node, Vec<(Setting, String)>) {
    let root = build(EXAMPLE, &env).root.unwrap();
    let value = root.to_json();
    let mut paths = BTreeMap::new();
    leaves(&value, "", "", &mut paths);
    let settings = settings_of(EXAMPLE, &env).unwrap();
    let known = paths.iter().map(|(path, pointer)| {
        let mut settings = settings.iter().filter(|setting| setting.path == *path);
        let setting = settings.next().unwrap_or_else(|| panic!("{path} has no variable"));
        assert!(settings.next().is_none(), "{path} has two");
        (setting.clone(), pointer.clone())
    });
    let known = known.collect();
    (root, known)
}

/// What is wrong, or what it means.
fn outcome(
    read: Result<Loaded, ConfigErrors>,
) -> Result<crate::config::Config, Vec<(String, String)>> {
    match read {
        Ok(loaded) => Ok(loaded.config),
        Err(errors) => {
            let mut said: Vec<_> =
                errors.into_iter().map(|error| (error.path, error.message)).collect();
            said.sort();
            Err(said)
        }
    }
}

/// The file with one value replaced, written by other code, in the same order: JSON is YAML.
fn edited(node: &Node, here: &str, pointer: &str, replacement: &Json) -> String {
    if here == pointer {
        return replacement.to_string();
    }
    match &node.value {
        Value::List(items) => {
            let items = items.iter().enumerate();
            let items: Vec<_> = items
                .map(|(index, item)| edited(item, &format!("{here}/{index}"), pointer, replacement))
                .collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| {
                    let name = entry.name().replace('~', "~0").replace('/', "~1");
                    let value =
                        edited(&entry.value, &format!("{here}/{name}"), pointer, replacement);
                    format!("{}: {value}", json!(entry.name()))
                })
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        _ => node.to_json().to_string(),
    }
}

/// What somebody would write in the file in place of what is there now.
fn written(kind: ValueKind, now: &Json, text: &str) -> Json {
    let plain = |text: &str| build(text, &|_| None).root.unwrap().to_json();
    match kind {
        // Elements are text unless the list takes numbers, too.
        ValueKind::List => {
            let numbers = now.as_array().is_some_and(|items| items.iter().any(Json::is_number));
            let element = |part| if numbers { plain(part) } else { json!(part) };
            text.split(',').map(element).collect()
        }
        ValueKind::Text => json!(text),
        ValueKind::Plain | ValueKind::Mixed => plain(text),
    }
}

fn assert_like_edited(setting: &Setting, pointer: &str, root: &Node, text: &str) {
    let variables = [(&*setting.variable, text)];
    let set = read(EXAMPLE, &variables);
    if let Ok(loaded) = &set {
        let expected =
            [Overridden { variable: setting.variable.clone(), path: setting.path.clone() }];
        assert_eq!(loaded.overridden, expected);
    }
    let written = written(setting.kind, root.to_json().pointer(pointer).unwrap(), text);
    let written = read(&edited(root, "", pointer, &written), &[]);
    // Printed only when they differ, because they are long.
    let (set, written) = (outcome(set), outcome(written));
    assert!(set == written, "{}={text}\n{set:#?}\n{written:#?}", setting.variable);
}

#[test]
fn every_scalar_of_the_example_has_a_variable_that_does_what_an_edit_does() {
    let (root, known) = example();
    let value = root.to_json();
    assert!(known.len() > 150, "{}", known.len());
    let mut changed = 0;
    for (setting, pointer) in &known {
        let now = value.pointer(pointer).unwrap();
        let other = match now {
            Json::Bool(flag) => (!flag).to_string(),
            Json::Number(number) if number.is_i64() => (number.as_i64().unwrap() + 1).to_string(),
            Json::Number(number) => (number.as_f64().unwrap() / 2.0).to_string(),
            Json::Array(_) => "other".to_owned(),
            _ => "other".to_owned(),
        };
        assert_like_edited(setting, pointer, &root, &other);
        changed += usize::from(
            read(EXAMPLE, &[(&setting.variable, &other)])
                .is_ok_and(|loaded| loaded.config != read(EXAMPLE, &[]).unwrap().config),
        );
    }
    assert!(changed > 60, "only {changed} made another configuration");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_variable_holds_it_does_what_an_edit_does(
        which in any::<prop::sample::Index>(),
        text in prop_oneof![
            "[a-zA-Z][a-zA-Z0-9 ._/-]{0,20}[a-z]", "-?[0-9]{1,6}", "[0-9]{1,3}\\.[0-9]{1,3}",
            "true|false", "http://[a-z]{1,8}", "eu-west-1",
        ],
    ) {
        let (root, known) = example();
        let (setting, pointer) = which.get(&known);
        assert_like_edited(setting, pointer, &root, &text);
    }

    #[test]
    fn whatever_a_list_of_numbers_holds_it_does_what_an_edit_does(
        text in prop_oneof!["AS[0-9]{1,6}", "-?[0-9]{1,12}", "[0-9]\\.[0-9]", "true", "[a-z]{3}"],
    ) {
        let (root, known) = example();
        let asns = |(setting, _): &&(Setting, String)| setting.variable.ends_with("_SOURCE_ASNS");
        let (setting, pointer) = known.iter().find(asns).unwrap();
        assert_like_edited(setting, pointer, &root, &text);
    }

    #[test]
    fn no_name_and_no_value_makes_it_panic(
        names in prop::collection::vec("RHUMB_[A-Z0-9_]{0,30}", 0..4),
        value in ".{0,40}",
    ) {
        let variables: Vec<_> = names.iter().map(|name| (&**name, &*value)).collect();
        let _ = read(FILE, &variables);
    }
}
