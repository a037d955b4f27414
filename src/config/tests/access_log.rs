//! The access log: what its words mean, and exactly what is said of wrong ones.

use std::path::PathBuf;

use super::super::{
    AccessLog, ConfigErrors, LogField, LogFormat, LogPiece, LogTarget, LoggedQuery, Severity,
    SyslogAddress,
};
use super::{BASE, read};

/// The base with a log that has these fields.
fn text(fields: &str) -> String {
    format!("access_log: {{ {fields} }}\n{BASE}")
}

fn log(fields: &str) -> AccessLog {
    let text = text(fields);
    let loaded = read(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    assert!(loaded.warnings.is_empty(), "{text}\n{:?}", loaded.warnings);
    (*loaded.config.access_log.unwrap()).clone()
}

fn errors(text: &str) -> ConfigErrors {
    match read(text) {
        Err(errors) => errors,
        Ok(_) => panic!("accepted:\n{text}"),
    }
}

#[test]
fn without_a_word_there_is_none_and_with_none_it_is_json_on_standard_output() {
    assert_eq!(read(BASE).unwrap().config.access_log, None);
    let usual = AccessLog {
        to: LogTarget::Stdout,
        format: LogFormat::Json,
        sample: 1.0,
        query: LoggedQuery::Redact,
        headers: Vec::new(),
    };
    assert_eq!(log(""), usual);
    assert_eq!(log("to: stdout, format: json, sample: 1, query: redact"), usual);
}

#[test]
fn every_word_has_its_meaning() {
    let file = log("to: file, file: access.log, sample: 0.01, query: keep_names");
    assert_eq!(file.to, LogTarget::File(PathBuf::from("/etc/rhumb/access.log")));
    assert_eq!((file.sample, file.query), (0.01, LoggedQuery::KeepNames));
    assert_eq!(log("headers: [User-Agent, referer]").headers, ["user-agent", "referer"]);
    let syslog = |fields: &str| log(&format!("to: syslog, syslog: {{ {fields} }}")).to;
    let unix = |path: &str| SyslogAddress::Unix(path.into());
    let usual = LogTarget::Syslog { address: unix("/dev/log"), facility: 16 };
    assert_eq!((log("to: syslog").to, syslog("")), (usual.clone(), usual));
    let address = unix("/run/log");
    let expected = LogTarget::Syslog { address, facility: 3 };
    assert_eq!(syslog("address: 'unix:/run/log', facility: daemon"), expected);
    let address = SyslogAddress::Udp("[::1]:514".parse().unwrap());
    let expected = LogTarget::Syslog { address, facility: 23 };
    assert_eq!(syslog("address: 'udp:[::1]:514', facility: local7"), expected);
    let template = log("format: '{status} {header.x-a}'");
    let pieces =
        [LogPiece::Field(LogField::Status), LogPiece::Text(" ".into()), LogPiece::Header(0)];
    assert_eq!(template.format, LogFormat::Template(pieces.to_vec()));
    assert_eq!(template.headers, ["x-a"]);
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    for (fields, path, part) in [
        ("to: stderr", "to", "stderr"),
        ("to: file", "file", "`file` is missing"),
        ("to: file, file: ''", "file", "no path"),
        ("to: syslog, syslog: { address: '/dev/log' }", "syslog.address", "no address of syslog"),
        ("to: syslog, syslog: { address: 'unix:log' }", "syslog.address", "no address of syslog"),
        ("to: syslog, syslog: { address: 'udp:loghost:514' }", "syslog.address", "no address"),
        ("to: syslog, syslog: { facility: locla0 }", "syslog.facility", "no facility"),
        ("to: syslog, syslog: { facility: '' }", "syslog.facility", "no facility"),
        ("format: common", "format", "neither `json` nor a template"),
        ("format: '{clinet} {status}'", "format", "at character 1 is no field"),
        ("format: '{status} {path'", "format", "brace at character 10"),
        ("sample: 1.5", "sample", "not in the range"),
        ("sample: -0.1", "sample", "not in the range"),
        ("query: hide", "query", "hide"),
        ("headers: ['a b']", "headers[0]", "a b"),
        ("headers: [a, A]", "headers[1]", "listed twice"),
        ("heders: [a]", "heders", "unknown field"),
    ] {
        let errors = errors(&text(fields));
        let found: Vec<_> = errors.iter().filter(|e| e.severity == Severity::Error).collect();
        let shown: Vec<_> = found.iter().map(|e| (e.path.as_str(), &*e.message)).collect();
        assert_eq!(found.len(), 1, "{fields}: {shown:?}");
        assert_eq!(found[0].path, format!("access_log.{path}"), "{fields}: {shown:?}");
        assert!(found[0].message.contains(part), "{fields}: {shown:?}");
    }
    let facility = errors(&text("to: syslog, syslog: { facility: locla0 }")).to_string();
    assert!(facility.contains("did you mean `local0`?"), "{facility}");
    let many: Vec<_> = (0..33).map(|number| format!("h{number}")).collect();
    let many = errors(&text(&format!("headers: [{}]", many.join(", ")))).to_string();
    assert!(many.contains("more than 32"), "{many}");
}

#[test]
fn words_without_effect_are_warned_of() {
    for (fields, path) in [
        ("file: a.log", "file"),
        ("to: file, file: a.log, syslog: {}", "syslog"),
        ("format: '{status}', headers: [user-agent]", "headers"),
    ] {
        let loaded = read(&text(fields)).unwrap();
        let paths: Vec<_> = loaded.warnings.iter().map(|w| w.path.as_str()).collect();
        assert_eq!(paths, [format!("access_log.{path}")], "{fields}");
    }
}
