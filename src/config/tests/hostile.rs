//! Files that nobody meant to write: cut, mixed up, deep, huge.

use std::path::Path;

use proptest::prelude::*;

use super::super::{Severity, parse};
use super::{BASE, read};

const EXAMPLE: &str = include_str!("../../../config/rhumb.yaml");

/// Accepted, or refused with a line that the text has.
fn is_sound(text: &str) -> Result<(), String> {
    let Err(errors) = parse(text, "f", Path::new("/"), &|_| None) else { return Ok(()) };
    let breaks = text.replace("\r\n", "\n").chars().filter(|c| matches!(c, '\n' | '\r')).count();
    let lines = u32::try_from(breaks + 1).unwrap();
    for error in &errors {
        if error.line == 0 || error.line > lines || error.column == 0 {
            return Err(format!("{}:{} of {lines} lines: {error}", error.line, error.column));
        }
    }
    let real = errors.iter().any(|error| error.severity == Severity::Error);
    if real { Ok(()) } else { Err("refused without an error".to_owned()) }
}

#[test]
fn every_truncation_is_valid_or_refused_with_a_line() {
    let mut accepted = 0;
    for (end, _) in EXAMPLE.char_indices().step_by(3) {
        is_sound(&EXAMPLE[..end]).unwrap();
    }
    for (end, _) in BASE.char_indices() {
        is_sound(&BASE[..end]).unwrap();
        accepted += usize::from(read(&BASE[..end]).is_ok());
    }
    // Cut inside its last lines, a file can still be whole; cut before, never.
    assert!(accepted < 60, "{accepted}");
}

#[test]
fn every_lost_line_is_valid_or_refused_with_a_line() {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for lost in 0..lines.len() {
        let mut rest = lines.clone();
        let line = rest.remove(lost);
        is_sound(&rest.join("\n")).unwrap();
        rest.insert((lost + 7) % rest.len(), line);
        is_sound(&rest.join("\n")).unwrap();
        is_sound(&lines.join("\n").replacen(lines[lost], &lines[lost].repeat(2), 1)).unwrap();
    }
}

/// Whatever a problem repeats of the file, in whichever part of what is shown.
#[test]
fn no_problem_commands_a_terminal_or_fills_it() {
    let endless = "x".repeat(100_000);
    for hostile in ["\u{f}", "\u{202e}", "\u{85}", "\u{9b}", &endless] {
        for text in [
            BASE.replace("http://10.0.1.10:8000", &format!("http:/{hostile}10.0.2.10")),
            BASE.replace("http://10.0.1.10:8000", &format!("ws://{hostile}")),
            BASE.replace("http://10.0.1.10:8000", &format!("{hostile}://a:1")),
            BASE.replace("country: US", &format!("country: '{hostile}'")),
            BASE.replace("country: US", &format!("\"{hostile}\": 1")),
            BASE.replace("primary_region: us", &format!("primary_region: \"{hostile}\"")),
            BASE.replace("/health", hostile),
            BASE.replace("- id: us", &format!("- id: us{hostile}")),
        ] {
            let Err(problems) = read(&text) else { continue };
            for problem in &problems {
                let shown = problem.to_string();
                let commands = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
                assert!(!shown.contains(commands), "{shown:?}");
                assert!(shown.len() < 5_000, "{} bytes", shown.len());
            }
        }
    }
}

fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n"),
        Just("  "),
        Just("\t"),
        Just(": "),
        Just("- "),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("'"),
        Just("\""),
        Just("&a "),
        Just("*a"),
        Just("!!str "),
        Just("|\n"),
        Just(">-\n"),
        Just("#"),
        Just("---\n"),
        Just("...\n"),
        Just("%YAML 1.2\n"),
        Just("<<: "),
        Just("? "),
        Just("${A}"),
        Just("${"),
        Just("$${"),
        Just("~"),
        Just("0x"),
        Just("-.inf"),
        Just("\u{feff}"),
        Just("\0"),
        Just("\r"),
        Just("\u{85}"),
        Just("\\"),
        Just("regions:\n"),
        Just("deployments:\n"),
        Just("us-east-1"),
        Just("é"),
        Just(","),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn mutations_are_valid_or_refused_with_a_line(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, pieces()), 1..6)
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, length, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        is_sound(&text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn soup_is_refused_with_a_line(parts in prop::collection::vec(pieces(), 0..60)) {
        is_sound(&parts.concat()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_text_is_refused_with_a_line(text in any::<String>()) {
        is_sound(&text).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a: &a [x, x]\n".to_owned();
    for (from, to) in ('a'..='y').zip('b'..='z') {
        laughs.push_str(&format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 9].join(", ")));
    }
    let anchors: String = (0..50_000).map(|i| format!("- &x{i} [*x{}]\n", i.max(1) - 1)).collect();
    for text in [
        laughs,
        anchors,
        "[".repeat(4 << 20),
        "{a: ".repeat(1 << 20),
        "- ".repeat(1 << 20),
        "? ".repeat(1 << 20),
        "'".repeat(1 << 20),
        "${A".repeat(1 << 18),
        format!("a: {}", "${A:-x}".repeat(1 << 18)),
        format!("regions: [{}]", "a, ".repeat(1 << 17)),
        format!("{BASE}    hosts: [{}]\n", "a, ".repeat(1 << 16)),
        "a: &a 1\n".repeat(1 << 16),
        format!("{}: 1\n", "x".repeat(4 << 20)),
    ] {
        is_sound(&text).unwrap();
        assert!(read(&text).is_err());
    }
}
