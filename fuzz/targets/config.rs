//! The text of a configuration file, through parsing and validation: a configuration, or problems
//! that an operator can find.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rhumb::config::{ConfigError, Severity, diff, parse};
use rhumb::model::limits::CONFIG_ERRORS;

/// Nothing is there.
const BASE: &str = "/nonexistent";
/// A problem as it is shown: a message, a line, a field and a help, each of them cut.
const SHOWN_BYTES: usize = 16 << 10;

fuzz_target!(|text: &str| {
    let env = |name: &str| match name {
        "A" => Some("us".to_owned()),
        "EMPTY" => Some(String::new()),
        "TRICK" => Some("x\nregions: [a: b, *c]".to_owned()),
        _ => None,
    };
    // Every kind of line break that YAML has had; a problem may be shown behind the last line.
    let breaks = |c: &char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines = text.chars().filter(breaks).count() + 1;
    let problems_are_sound = |problems: &[ConfigError]| {
        // Those of the text, errors and warnings of the shapes, and how many there are beyond.
        assert!(problems.len() <= 3 * CONFIG_ERRORS + 2, "{} problems", problems.len());
        for problem in problems {
            let line = problem.line as usize;
            assert!((1..=lines).contains(&line) && problem.column > 0, "{problem:?}");
            assert!(!problem.message.is_empty());
            let shown = problem.to_string();
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            assert!(shown.len() < SHOWN_BYTES, "{shown}");
        }
    };
    match parse(text, "fuzz.yaml", Path::new(BASE), &env) {
        Ok(loaded) => {
            assert!(loaded.warnings.iter().all(|found| found.severity == Severity::Warning));
            problems_are_sound(&loaded.warnings);
            let again = parse(text, "fuzz.yaml", Path::new(BASE), &env).expect("the same text");
            assert_eq!(loaded.config, again.config);
            assert_eq!(loaded.warnings.len(), again.warnings.len());
            assert!(diff(&loaded.config, &again.config).is_empty());
            let commented = format!("{text}\n# a comment\n");
            if let Ok(commented) = parse(&commented, "fuzz.yaml", Path::new(BASE), &env) {
                assert!(diff(&loaded.config, &commented.config).is_empty());
            }
        }
        Err(problems) => {
            let problems: Vec<_> = problems.iter().cloned().collect();
            assert!(problems.iter().any(|found| found.severity == Severity::Error));
            problems_are_sound(&problems);
        }
    }
});
