//! What the documentation says of reasons, metrics, limits, commands and examples is so.
//!
//! The fields of the configuration have their own test, beside the code that reads them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use rhumb::cli::Cli;
use rhumb::config;
use rhumb::metrics::names::{self, Kind};
use rhumb::model::{ConnectionRefusal, RegionState, Shed, SignalKind, limits};
use rhumb::proxy::ErrorReason;
use rhumb::routing::{Reason, RefusalReason, Step};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README and the like, and everything in `docs/`.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in ["", "docs", "docs/decisions", "geoip"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// The rows of all tables, as cells.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with("| ") && line.ends_with('|'));
    let cells = |line: &str| {
        // A bar in a cell is written `\|`.
        let line = line.replace("\\|", "\0");
        let inner = line.trim_matches('|');
        inner.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    };
    lines.map(cells).collect()
}

/// The rows whose first cell is a word of code that `is_one` accepts.
fn code_rows(text: &str, is_one: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let mut rows = rows(text);
    rows.retain(|row| is_one(row[0].trim_matches('`')) && row[0].starts_with('`'));
    rows
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

#[test]
fn every_reason_has_its_row_and_every_row_its_reason() {
    let text = read("docs/errors.md");
    let (own, _) = text.split_once("## On the admin address").expect("the part about the admin");
    let rows = code_rows(own, |_| true);
    for reason in ErrorReason::ALL {
        let expected =
            [code(reason.as_str()), reason.status().to_string(), code(reason.proxy_status())];
        let found: Vec<_> = rows.iter().filter(|row| row[0] == expected[0]).collect();
        assert_eq!(found.len(), 1, "{reason:?}");
        assert_eq!(found[0][..3], expected, "{reason:?}");
        assert!(found[0][3..].iter().all(|cell| !cell.is_empty()), "{reason:?}");
    }
    assert_eq!(rows.len(), ErrorReason::ALL.len());
    let title = ErrorReason::NoDeployment.title();
    assert!(own.contains(&format!("\"title\":\"{title}\"")), "the example");
}

#[test]
fn every_metric_has_its_row_and_every_row_its_metric() {
    let text = read("docs/metrics.md");
    let rows = code_rows(&text, |word| word.starts_with("rhumb_") && !word.contains(' '));
    let found: BTreeSet<_> = rows.iter().map(|row| row[..3].to_vec()).collect();
    let expected: BTreeSet<_> = names::ALL
        .iter()
        .map(|name| {
            let kind = match name.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels: Vec<_> = name.labels.iter().map(|label| code(label)).collect();
            vec![code(name.name), kind.to_owned(), labels.join(", ")]
        })
        .collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
    assert_eq!(rows.len(), names::ALL.len(), "each once");
    assert!(rows.iter().all(|row| row[3].ends_with('.')), "each with a sentence");
}

#[test]
fn every_field_of_the_access_log_has_its_row() {
    let text = read("docs/operations.md");
    let (_, table) = text.split_once("\n### Fields of the access log\n").expect("the table");
    let (table, _) = table.split_once("\n## ").expect("its end");
    let words = |row: &Vec<String>| -> Vec<String> {
        row[0].split(", ").map(|word| word.trim_matches('`').to_owned()).collect()
    };
    let found: BTreeSet<_> = rows(table).iter().skip(1).flat_map(words).collect();
    let known: BTreeSet<_> =
        config::LogField::ALL.iter().map(|field| field.as_str().to_owned()).collect();
    assert_eq!(found, known);
}

#[test]
fn every_word_that_a_label_can_have_is_explained() {
    let metrics = read("docs/metrics.md");
    let routing = read("docs/routing.md");
    for reason in Reason::ALL {
        assert!(metrics.contains(&code(reason.as_str())), "{reason:?}");
        assert!(routing.contains(&code(reason.as_str())), "{reason:?}");
    }
    for why in ConnectionRefusal::ALL.map(ConnectionRefusal::as_str) {
        assert!(metrics.contains(&code(why)), "{why}");
    }
    for why in Shed::ALL.map(Shed::as_str) {
        assert!(metrics.contains(&code(why)), "{why}");
    }
    for kind in SignalKind::ALL {
        assert!(metrics.contains(&code(kind.as_str())), "{kind:?}");
    }
    let operations = read("docs/operations.md");
    for state in RegionState::ALL {
        assert!(metrics.contains(&code(state.as_str())), "{state:?}");
        assert!(operations.contains(&format!("| {} |", code(state.as_str()))), "{state:?}");
    }
}

#[test]
fn every_metric_that_a_text_names_exists() {
    let known: BTreeSet<_> = names::ALL.iter().map(|name| name.name).collect();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("rhumb_").skip(1) {
            let end =
                part.find(|c: char| c != '_' && !c.is_ascii_lowercase()).unwrap_or(part.len());
            let name = format!("rhumb_{}", &part[..end]);
            // A pattern such as `rhumb_(a|b)` names none by itself.
            assert!(end == 0 || known.contains(&*name), "{}: {name}", path.display());
        }
    }
}

/// A number of bytes or things, as people write it.
fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| count.trailing_zeros() >= *shift).unwrap();
    format!("{} {}", count >> unit.0, unit.1)
}

fn count(count: u64) -> String {
    if count < 1_000 {
        return count.to_string();
    }
    format!("{},{:03}", count / 1_000, count % 1_000)
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn days(duration: std::time::Duration) -> String {
    format!("{} d", duration.as_secs() / 86_400)
}

#[test]
fn the_limits_are_those_of_the_program() {
    let expected = [
        ("header fields of a message", count(limits::HEADER_FIELDS as u64)),
        ("head of a message", bytes(limits::HEADER_BYTES as u64)),
        ("request target", bytes(limits::URI_BYTES as u64)),
        ("first byte of a connection", seconds(limits::FIRST_BYTE_TIMEOUT)),
        ("TLS handshake, from its first byte", seconds(limits::TLS_HANDSHAKE_TIMEOUT)),
        ("head, from its first byte", seconds(limits::REQUEST_HEAD_TIMEOUT)),
        ("body without progress, in either direction", seconds(limits::BODY_PROGRESS_TIMEOUT)),
        (
            "what an upload brings on average while it is waited for, beyond those 30 s",
            format!("{} bytes/s", limits::BODY_BYTES_PER_SECOND),
        ),
        (
            "what a client takes of its response on average while it is waited for, beyond those 30 s",
            format!("{} bytes/s", limits::BODY_BYTES_PER_SECOND),
        ),
        (
            "stream without progress: `text/event-stream`, gRPC, `streaming: true`, a tunnel",
            seconds(limits::STREAM_IDLE_TIMEOUT),
        ),
        ("client connection between requests", seconds(limits::KEEP_ALIVE_IDLE_TIMEOUT)),
        ("wait for `100 Continue`", seconds(limits::EXPECT_CONTINUE_TIMEOUT)),
        (
            "client connection without a request, until it gives its buffers back",
            seconds(limits::PARK_AFTER),
        ),
        ("what a client still sends behind its last answer", bytes(limits::LINGER_BYTES as u64)),
        ("the same, in time", seconds(limits::LINGER_TIMEOUT)),
        (
            "the same of a client that floods; what follows waits unread",
            bytes(limits::FLOOD_LINGER_BYTES as u64),
        ),
        ("open streams of an HTTP/2 connection", count(limits::STREAMS_PER_CONNECTION.into())),
        (
            "streams of HTTP/2 that a worker begins before it looks at its sockets, and that one \
             connection may begin at once",
            count(limits::STREAMS_PER_PORTION.into()),
        ),
        (
            "the same of a connection that is new; one more for each answer, one less for each \
             reset that it sends",
            count(limits::STREAMS_AT_FIRST.into()),
        ),
        (
            "the same of a connection that takes its requests back, at least",
            count(limits::STREAMS_AT_LEAST.into()),
        ),
        (
            "bytes of heads that a worker takes from an HTTP/2 connection before it looks at its \
             sockets; of all else four times as much",
            bytes(limits::HEAD_BYTES_PER_PORTION.into()),
        ),
        ("window of an HTTP/2 stream", bytes(limits::STREAM_WINDOW.into())),
        ("window of an HTTP/2 connection", bytes(limits::CONNECTION_WINDOW.into())),
        (
            "bytes for a client that the kernel takes before it could send them (Linux)",
            bytes(limits::UNSENT_BYTES.into()),
        ),
        ("table that heads of HTTP/2 are packed with", bytes(limits::HEADER_TABLE_BYTES.into())),
        ("streams that an HTTP/2 client's errors end", count(limits::RESET_STREAMS_LOCAL as u64)),
        (
            "credit of an HTTP/2 connection for frames beside requests",
            count(limits::FLOOD_CREDIT.into()),
        ),
        ("the same, each second", count(limits::FLOOD_CREDIT_PER_SECOND.into())),
        ("HTTP/2 connection after it was told to go", seconds(limits::GOAWAY_TIMEOUT)),
        ("PROXY protocol header", bytes(limits::PROXY_HEADER_BYTES as u64)),
        ("connecting to an endpoint", seconds(limits::CONNECT_TIMEOUT)),
        ("first byte of a response, each attempt", seconds(limits::RESPONSE_HEAD_TIMEOUT)),
        ("request to the head of its response, all attempts", seconds(limits::REQUEST_TIMEOUT)),
        ("attempts after the first", count(limits::RETRY_ATTEMPTS.into())),
        (
            "idle connections of a worker to an endpoint",
            count(limits::POOL_IDLE_PER_ENDPOINT as u64),
        ),
        ("idle connection to an endpoint", seconds(limits::POOL_IDLE_TIMEOUT)),
        (
            "the same while memory or descriptors are short",
            seconds(limits::POOL_IDLE_TIMEOUT_SHORT),
        ),
        (
            "connection to an endpoint, age for a further request",
            seconds(limits::POOL_CONNECTION_LIFETIME),
        ),
        ("addresses of one family of an endpoint's name", count(limits::ADDRESSES_PER_NAME as u64)),
        ("hosts of a service", count(limits::TARGETS_PER_SERVICE as u64)),
        ("lookup of a name", seconds(limits::NAME_TIMEOUT)),
        ("lookups at once", count(limits::NAMES_IN_FLIGHT as u64)),
        ("pause before a failed lookup is tried again, at most", seconds(limits::NAME_RETRY_MAX)),
        ("tables that answers make, apart", seconds(limits::NAME_TABLE_INTERVAL)),
        (
            "connecting to one of a host's two addresses, before the other is tried as well",
            seconds(limits::TWIN_DELAY),
        ),
        (
            "HTTP/2 connections of a worker to an endpoint",
            count(limits::UPSTREAM_HTTP2_CONNECTIONS as u64),
        ),
        (
            "streams on one of them, however many it allows",
            count(limits::UPSTREAM_STREAMS_PER_CONNECTION as u64),
        ),
        (
            "requests of a worker that wait for a connection to one endpoint",
            count(limits::UPSTREAM_WAITING as u64),
        ),
        (
            "HTTP/2 window of a stream from an endpoint",
            bytes(u64::from(limits::UPSTREAM_STREAM_WINDOW)),
        ),
        (
            "HTTP/2 window of a connection from an endpoint",
            bytes(u64::from(limits::UPSTREAM_CONNECTION_WINDOW)),
        ),
        (
            "silence of an endpoint's host on an HTTP/2 connection",
            seconds(limits::UPSTREAM_SILENCE),
        ),
        ("client connections of a worker", count(limits::CONNECTIONS_PER_WORKER as u64)),
        (
            "refused connections of a worker that have not gone yet",
            count(limits::REFUSALS_LINGERING as u64),
        ),
        ("connections that a worker refuses in 10 ms", count(limits::REFUSALS_PER_LOOK as u64)),
        ("what a refused client still sends", bytes(limits::REFUSAL_BYTES as u64)),
        ("descriptors of the process", "1,048,576".to_owned()),
        (
            "`Retry-After` of what is refused for too much load",
            format!("{} s", limits::RETRY_AFTER_SECONDS),
        ),
        (
            "client addresses whose place a worker remembers",
            count(limits::PLACES_PER_WORKER as u64),
        ),
        ("connections in a listener's queue", count(limits::LISTEN_BACKLOG as u64)),
        ("drain", seconds(limits::DRAIN_TIMEOUT)),
        ("connections to the admin address", count(limits::ADMIN_CONNECTIONS as u64)),
        ("body of a request to the admin address", bytes(limits::ADMIN_BODY_BYTES as u64)),
        (
            "connections that workers tell of, all together",
            count(limits::DUMPED_CONNECTIONS_MAX as u64),
        ),
        ("endpoints that workers tell of, all together", count(limits::DUMPED_ENDPOINTS as u64)),
        (
            "connections that a worker looks at for that, before requests have their turn",
            count(limits::DUMP_STEP as u64),
        ),
        ("a worker's answer to what it has", seconds(limits::DUMP_TIMEOUT)),
        ("CPU profile", seconds(limits::PROFILE_LENGTH_MAX)),
        ("stacks that it tells apart", count(limits::PROFILE_STACKS as u64)),
        ("change of what the log tells", days(limits::LOG_CHANGE_MAX)),
        ("memory of a worker's encoders", bytes(limits::COMPRESSION_MEMORY as u64)),
        (
            "bytes that are compressed before other requests have their turn",
            bytes(limits::COMPRESSION_STEP_BYTES as u64),
        ),
        ("checks under way", count(limits::CHECKS_IN_FLIGHT as u64)),
        ("events kept", count(limits::EVENTS_KEPT as u64)),
        ("configuration file", bytes(limits::CONFIG_BYTES)),
        ("latency table", bytes(limits::LATENCY_TABLE_BYTES)),
        ("GeoIP database", bytes(limits::GEOIP_BYTES)),
        ("file of tenants", bytes(limits::TENANTS_BYTES)),
        ("bytes of a tenant's name", count(limits::TENANT_LENGTH as u64)),
        ("file of a JSON Web Key Set", bytes(limits::JWKS_BYTES)),
        ("JSON Web Token", bytes(limits::JWT_BYTES as u64)),
        ("verified JSON Web Tokens that a worker remembers", count(limits::JWTS_PER_WORKER as u64)),
        ("life of a token of `rhumb token sign`", days(limits::OPERATOR_TOKEN_MAX)),
        ("`X-Rhumb-Decision`", bytes(limits::DECISION_HEADER_BYTES as u64)),
        ("request body kept for a replay", bytes(limits::REPLAY_BYTES as u64)),
        ("Rhumbs that a request may pass", count(limits::HOPS.into())),
        ("signed list of passed Rhumbs", seconds(limits::HOPS_LIFETIME)),
        ("client networks whose times are remembered", count(limits::MEASURED_NETWORKS as u64)),
        (
            "client networks whose last region a worker remembers",
            count(limits::INCUMBENTS_PER_WORKER as u64),
        ),
        (
            "values of one kind (headers, cookies, parameters, ...) that a request shows to rules",
            count(limits::CLUES_PER_KIND as u64),
        ),
        (
            "lines of the access log that a worker collects",
            bytes(limits::ACCESS_LOG_BATCH_BYTES as u64),
        ),
        ("the same, in time", seconds(limits::ACCESS_LOG_BATCH_TIME)),
        (
            "pieces of the access log that wait to be written",
            count(limits::ACCESS_LOG_QUEUE as u64),
        ),
        ("value in a line of the access log", bytes(limits::ACCESS_LOG_VALUE_BYTES as u64)),
        ("line of an access log that is simulated", bytes(limits::SIMULATED_LINE_BYTES as u64)),
        ("`tracestate` that is passed on", bytes(limits::TRACESTATE_BYTES as u64)),
        ("recorded requests of a worker that wait to be sent", count(limits::TRACE_QUEUE as u64)),
        ("attempts of a recorded request", count(limits::TRACE_ATTEMPTS as u64)),
        ("sending spans, attempts included", seconds(limits::OTLP_TIMEOUT)),
        ("sending the last spans at the end", seconds(limits::TRACE_GOODBYE)),
    ];
    let text = read("docs/operations.md");
    let (_, table) = text.split_once("\n## Limits\n").expect("the part about limits");
    let rows: Vec<_> =
        rows(table).into_iter().skip(1).map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected: Vec<_> =
        expected.into_iter().map(|(what, limit)| (what.to_owned(), limit)).collect();
    assert_eq!(rows, expected);
}

/// Numbers that sentences name.
#[test]
fn the_times_of_failover_are_those_of_the_program() {
    let operations = read("docs/operations.md");
    let decision = read("docs/decisions/health-detection.md");
    let fast = format!("{} ms", limits::CHECK_FAST_INTERVAL.as_millis());
    let shortest = format!("{} ms", limits::CHECK_HANG_TIMEOUT_MIN.as_millis());
    for text in [&operations, &decision] {
        assert!(text.contains(&fast) && text.contains(&shortest), "{fast}, {shortest}");
    }
    assert_eq!(
        (limits::CHECK_HANG_FACTOR, limits::HANG_SIGNALS, limits::CHECKS_IN_DOUBT),
        (4, 3, 4)
    );
    assert!(operations.contains("fail after 4 times their usual duration"));
    assert!(operations.contains("three requests of one worker in a row"));
    assert!(operations.contains("up to 4 at once"));
}

/// The lines of shell blocks and indented blocks that call `rhumb`, up to the first operator of the
/// shell or the first remark.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix("    ").unwrap_or(line);
        let call = line.strip_prefix("rhumb ").or_else(|| Some(line.split_once("&& rhumb ")?.1));
        let call = call.or_else(|| line.strip_prefix("cargo run --release -- "));
        let Some(call) = call else { continue };
        // Neither a synopsis nor a sentence.
        if call.contains(['[', '{', '`']) || call.ends_with(['.', ',', ':']) {
            continue;
        }
        found.push(words(call));
    }
    found
}

fn words(call: &str) -> Vec<String> {
    let mut words = vec!["rhumb".to_owned()];
    let (mut word, mut quoted, mut spaces) = (String::new(), false, 0);
    for c in call.chars().chain([' ']) {
        match c {
            '\'' | '"' => quoted = !quoted,
            '&' | '|' | '>' | ';' if !quoted => break,
            ' ' if !quoted => {
                spaces += 1;
                if spaces > 1 {
                    break;
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            c => word.push(c),
        }
        spaces = 0;
    }
    words
}

#[test]
fn every_command_is_one_that_the_program_has() {
    let mut seen = BTreeSet::new();
    for path in documents() {
        for command in commands(&fs::read_to_string(&path).unwrap()) {
            if let Err(error) = Cli::try_parse_from(&command) {
                panic!("{}: {command:?}: {error}", path.display());
            }
            seen.insert(command[1].clone());
        }
    }
    for expected in ["run", "check", "schema", "explain", "geoip", "demo", "origin"] {
        assert!(seen.contains(expected), "{expected} is not shown anywhere: {seen:?}");
    }
}

#[test]
fn the_configuration_of_the_readme_is_valid() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("<<'YAML'\n").expect("a here-document");
    let (text, _) = rest.split_once("\nYAML\n").expect("its end");
    let loaded = config::parse(text, "README.md", root(), &|_| None);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config.regions.len(), 3);
}

/// What a heading is called in a link, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let Some((target, _)) = part.split_once(')') else { continue };
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            links += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: {target}", path.display());
            if !fragment.is_empty() {
                let known = anchors(&file);
                assert!(known.contains(fragment), "{}: {target}: {known:?}", path.display());
            }
        }
    }
    assert!(links > 30, "{links}");
}

#[test]
fn the_map_of_the_architecture_has_every_module() {
    let text = read("docs/architecture.md");
    let (_, map) = text.split_once("\n## The map\n").expect("the map");
    let (map, _) = map.split_once("\n## ").expect("its end");
    let shown: BTreeSet<_> = code_rows(map, |_| true)
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let library = read("src/lib.rs");
    let declared = library
        .lines()
        .filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned()));
    assert_eq!(shown, declared.collect());
}

/// A command of the page of reasons: its heading, the command, what it prints.
struct Example {
    heading: String,
    command: String,
    printed: String,
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    for section in text.split("\n### ").skip(1) {
        let (heading, rest) = section.split_once('\n').expect("a heading");
        let (_, rest) = rest.split_once("```sh\n").expect("a command");
        let (command, rest) = rest.split_once("\n```").expect("its end");
        let (_, rest) = rest.split_once("```text\n").expect("its output");
        let (printed, _) = rest.split_once("```").expect("its end");
        let heading = heading.trim_matches('`').to_owned();
        examples.push(Example {
            heading,
            command: command.to_owned(),
            printed: printed.to_owned(),
        });
    }
    examples
}

/// What a command line of the page prints.
fn run(command: &str) -> String {
    let words = shell_words(command);
    assert_eq!(words[0], "rhumb");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rhumb"))
        .args(&words[1..])
        .current_dir(root())
        .env_remove("RHUMB_SECRET")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Words between blanks, or in double quotes.
fn shell_words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.split('"').enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// With `RHUMB_BLESS` set, the page is written anew instead.
#[test]
fn every_reason_refusal_and_step_has_an_example_that_is_so() {
    let text = read("docs/reasons.md");
    let mut written = text.clone();
    for Example { command, printed, .. } in examples(&text) {
        let now = run(&command);
        if std::env::var_os("RHUMB_BLESS").is_some() {
            let before = format!("{command}\n```\n\n```text\n{printed}```");
            let after = format!("{command}\n```\n\n```text\n{}\n```", now.trim_end());
            written = written.replace(&before, &after);
        } else {
            assert_eq!(now.trim_end(), printed.trim_end(), "{command}");
        }
    }
    if written != text {
        fs::write(root().join("docs/reasons.md"), &written).unwrap();
    }
    let (reasons, rest) = written.split_once("\n## Refusals\n").expect("the refusals");
    let (refusals, steps) = rest.split_once("\n## Steps\n").expect("the steps");
    let reasons = examples(reasons);
    assert_eq!(reasons.len(), Reason::ALL.len());
    for (reason, example) in Reason::ALL.iter().zip(&reasons) {
        let found = reasons.iter().find(|example| example.heading == reason.as_str());
        let example = found.unwrap_or(example);
        let expected = format!(", reason {}", reason.as_str());
        let first = example.printed.lines().next().unwrap_or_default();
        assert!(first.contains(&expected), "{}: {first}", reason.as_str());
    }
    let refusals = examples(refusals);
    assert_eq!(refusals.len(), RefusalReason::ALL.len());
    for refusal in RefusalReason::ALL {
        let found = refusals.iter().find(|example| example.heading == refusal.as_str());
        let expected = format!("refused: {} ({})", refusal.as_str(), refusal.status().as_u16());
        let printed = found.map_or("nothing", |example| example.printed.as_str());
        assert!(printed.starts_with(&expected), "{}: {printed}", refusal.as_str());
    }
    let steps = examples(steps);
    let shown: Vec<&str> = steps.iter().map(|example| example.heading.as_str()).collect();
    assert_eq!(shown, Step::ALL.map(Step::as_str));
    for example in &steps {
        let line = format!(". {:<12} ", example.heading);
        assert!(example.printed.contains(line.trim_end()), "{}", example.printed);
    }
}

const GENERATED: &str = "<!-- generated: RHUMB_BLESS=1 cargo test --test documentation -->\n";

/// With `RHUMB_BLESS` set, the page is written anew instead.
#[test]
fn every_variable_of_the_environment_has_its_row() {
    let text = read("docs/environment.md");
    let (head, rest) = text.split_once(GENERATED).expect("the generated part");
    let (_, tail) = rest.split_once("<!-- end -->").expect("its end");
    let mut table = "| variable | field | meaning |\n|---|---|---|\n".to_owned();
    for setting in config::settings() {
        let meaning = setting.description.trim_end_matches('.').replace('|', "\\|");
        let (variable, path) = (code(&setting.variable), code(&setting.path));
        table.push_str(&format!("| {variable} | {path} | {meaning} |\n"));
    }
    let written = format!("{head}{GENERATED}\n{table}\n<!-- end -->{tail}");
    if std::env::var_os("RHUMB_BLESS").is_some() {
        fs::write(root().join("docs/environment.md"), &written).unwrap();
    } else {
        assert!(written == text, "docs/environment.md: RHUMB_BLESS=1 writes it anew");
    }
}

#[test]
fn every_line_of_the_example_of_an_environment_can_be_used() {
    let text = read("config/.env.example");
    let lines = text.lines().filter_map(|line| line.strip_prefix("#RHUMB_"));
    let variables: Vec<_> = lines
        .map(|line| line.split_once('=').expect("a value"))
        .map(|(name, value)| (format!("RHUMB_{name}").into(), value.into()))
        .collect();
    assert!(variables.len() >= 8, "{variables:?}");
    let overrides = config::Overrides::of(variables.clone());
    let loaded = config::load(&root().join("config/compose.yaml"), &|_| None, &overrides);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.overridden.len(), variables.len());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}
