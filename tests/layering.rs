//! The map of the code, held to: who may import whom, what the pure core may not name, and that
//! every file says what it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Who may name whom. `model` is for everyone; `app` and `cli` see everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("bounded_file", &[]),
    ("config", &["model", "bounded_file"]),
    ("dump", &["model"]),
    ("log_level", &["model"]),
    ("profile", &["model"]),
    ("metrics", &["model"]),
    ("geo", &["model", "bounded_file", "config"]),
    ("routing", &["model", "config"]),
    ("tokens", &["model", "config"]),
    ("tls", &["model", "bounded_file", "config"]),
    ("handover", &["model"]),
    ("health", &["model", "config", "metrics", "tls", "upstream"]),
    ("names", &["model", "config"]),
    ("measure", &["model", "config", "metrics", "routing"]),
    ("proxy_protocol", &["model", "config"]),
    ("overload", &["model"]),
    ("upstream", &["model", "config", "overload", "proxy_protocol"]),
    ("access_log", &["model", "config", "metrics"]),
    ("compression", &["model", "config"]),
    ("simulate", &["model", "config", "geo", "routing"]),
    ("shadow", &["model", "metrics", "routing"]),
    ("traces", &["model", "config", "metrics", "snapshot", "tls"]),
    ("snapshot", &["config", "geo", "routing", "shadow", "tls", "tokens"]),
    (
        "failover",
        &[
            "model", "config", "routing", "geo", "health", "metrics", "names", "shadow",
            "snapshot", "tls", "tokens",
        ],
    ),
    (
        "proxy",
        &[
            "model",
            "config",
            "compression",
            "dump",
            "routing",
            "upstream",
            "geo",
            "metrics",
            "measure",
            "shadow",
            "snapshot",
            "tls",
            "tokens",
            "overload",
            "traces",
            "access_log",
        ],
    ),
    ("inquiry", &["model", "proxy", "routing", "geo", "measure", "snapshot"]),
    (
        "server",
        &[
            "model",
            "access_log",
            "config",
            "dump",
            "proxy",
            "proxy_protocol",
            "metrics",
            "measure",
            "overload",
            "snapshot",
            "tls",
            "traces",
        ],
    ),
    (
        "admin",
        &[
            "model",
            "config",
            "dump",
            "routing",
            "failover",
            "geo",
            "log_level",
            "profile",
            "metrics",
            "measure",
            "overload",
            "shadow",
            "snapshot",
            "inquiry",
            "tls",
        ],
    ),
];
const SEE_EVERYTHING: &[&str] = &["app", "cli", "lib", "main", "demo", "origin"];

/// Files that get time and randomness as arguments and do nothing but think.
const PURE: &[&str] = &[
    "routing/",
    "health/state.rs",
    "failover/policy.rs",
    "overload/pressure.rs",
    "proxy/retry.rs",
    "traces/context.rs",
    "traces/state.rs",
    "traces/sampling.rs",
    "names/answer.rs",
    "names/book.rs",
];

/// What they may not name.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "Instant::now",
    "SystemTime",
    "rand::",
    "fastrand",
    "static ",
    "thread_local",
    "std::fs",
    "std::net::Tcp",
    "std::env",
    "println",
];

struct Source {
    /// Relative to `src`.
    path: String,
    text: String,
}

impl Source {
    /// The first part of the path: the module.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// Lines of code with their numbers: no comments, nothing behind `#[cfg(test)]`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.is_test();
        // A test module in a file of its own is declared among the others.
        let next = self.text.lines().skip(1).chain([""]);
        let begins = |line: &str, next: &str| {
            line.trim() == "#[cfg(test)]" && !next.trim().starts_with("mod ")
        };
        self.text
            .lines()
            .zip(next)
            .take_while(move |(line, next)| !is_test && !begins(line, next))
            .map(|(line, _)| line)
            .enumerate()
            .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or(line)))
    }

    /// Modules of the crate that the code names.
    fn imports(&self) -> BTreeSet<String> {
        let text: String = self.code().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
        let mut found = BTreeSet::new();
        for (at, _) in text.match_indices("crate::") {
            let behind_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if behind_word {
                continue;
            }
            let rest = &text[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(first_names(group)),
                None => found.extend(name_at(rest)),
            }
        }
        found
    }
}

fn name_at(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first segment of each path in `a::B, c::{D, E}}`, up to the brace that closes it.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.extend(name_at(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources_in(dir: &str) -> Vec<Source> {
    let root = manifest().join(dir);
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let read = |path: PathBuf| Source {
        path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(read).collect()
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn modules_import_downwards_only() {
    let sources = sources_in("src");
    assert!(sources.len() > 50);
    let modules: BTreeSet<_> = sources.iter().map(|source| source.module().to_owned()).collect();
    let mut complaints = Vec::new();
    for source in &sources {
        let module = source.module();
        if SEE_EVERYTHING.contains(&module) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            complaints.push(format!("src/{}: `{module}` is not in the table above", source.path));
            continue;
        };
        for import in source.imports() {
            let is_own = import == module || !modules.contains(&import);
            if !is_own && !allowed.contains(&import.as_str()) {
                complaints.push(format!("src/{}: {module} may not import {import}", source.path));
            }
        }
    }
    for (module, allowed) in MAY_IMPORT {
        let own = sources.iter().filter(|source| source.module() == *module);
        let used: BTreeSet<_> = own.flat_map(Source::imports).collect();
        for unused in allowed.iter().filter(|name| !used.contains(**name)) {
            complaints.push(format!("{module} does not import {unused}: take it out of the table"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_map_of_the_architecture_shows_the_same_imports() {
    let text = std::fs::read_to_string(manifest().join("docs/architecture.md")).unwrap();
    let mut complaints = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        let start = format!("| `{module}` |");
        let row = text.lines().find(|line| line.starts_with(&start)).expect("a row");
        let column = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let shown: BTreeSet<_> = column.split('`').skip(1).step_by(2).collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        if shown != allowed {
            complaints.push(format!("{module}: shown {shown:?}, allowed {allowed:?}"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_pure_core_names_no_clock_no_randomness_no_runtime_and_no_global() {
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources_in("src") {
        let Some(pure) = PURE.iter().find(|pure| source.path.starts_with(**pure)) else { continue };
        seen.insert(*pure);
        for (number, line) in source.code() {
            for word in IMPURE {
                let lifetime = *word == "static " && line.contains("&'static ");
                if line.contains(word) && !lifetime {
                    complaints.push(format!("src/{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    assert_eq!(seen.len(), PURE.len(), "a pure file has moved: {seen:?}");
    assert_none(&complaints);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut complaints = Vec::new();
    for dir in ["src", "tests", "benches", "fuzz/targets"] {
        for source in sources_in(dir) {
            if !source.text.starts_with("//! ") {
                complaints.push(format!("{dir}/{} does not open with `//!`", source.path));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn no_file_is_a_drawer_for_odds_and_ends() {
    let drawers = ["util", "utils", "helper", "helpers", "misc", "manager", "common"];
    let mut complaints = Vec::new();
    for source in sources_in("src") {
        let mut parts = source.path.split(['/', '_', '.']);
        if parts.any(|part| drawers.contains(&part)) {
            complaints.push(format!("src/{}", source.path));
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_test_file_belongs_to_a_target() {
    let manifest_text = std::fs::read_to_string(manifest().join("Cargo.toml")).unwrap();
    let mains = std::fs::read_to_string(manifest().join("tests/main.rs")).unwrap();
    for entry in std::fs::read_dir(manifest().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs"))
        else {
            continue;
        };
        let is_target = manifest_text.contains(&format!("name = \"{name}\""))
            || manifest_text.contains(&format!("path = \"tests/{name}.rs\""));
        let is_module = mains.contains(&format!("mod {name};"));
        assert!(is_target || is_module, "tests/{name}.rs is never compiled");
    }
}

#[test]
fn every_fuzz_target_is_declared_explained_and_has_a_few_small_inputs() {
    let fuzz = manifest().join("fuzz");
    let declared = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let explained = std::fs::read_to_string(fuzz.join("README.md")).unwrap();
    let targets = sources_in("fuzz/targets");
    assert!(targets.len() >= 4);
    let (mut count, mut bytes) = (0, 0);
    for Source { path, .. } in &targets {
        let name = path.strip_suffix(".rs").unwrap();
        assert!(declared.contains(&format!("path = \"targets/{path}\"")), "{name} is not built");
        assert!(explained.contains(&format!("| `{name}` |")), "{name} is not in fuzz/README.md");
        let before = count;
        for input in std::fs::read_dir(fuzz.join("corpus").join(name)).unwrap() {
            bytes += input.unwrap().metadata().unwrap().len();
            count += 1;
        }
        assert!(count > before, "{name} has nothing to start from");
    }
    assert!(count < 200 && bytes < 1 << 20, "{count} inputs, {bytes} bytes: minimise them");
}

#[test]
fn the_scan_sees_what_it_should() {
    let source = Source {
        path: "model/x.rs".to_owned(),
        text: "//! [`crate::geo`]\nuse crate::{app::A, config::{B, C},\n cli};\nfn f() { crate::proxy::g() } // crate::server\n#[cfg(test)]\nuse crate::admin;"
            .to_owned(),
    };
    let imports: Vec<_> = source.imports().into_iter().collect();
    assert_eq!(imports, ["app", "cli", "config", "proxy"]);
}
