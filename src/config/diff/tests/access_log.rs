//! Changes of the access log.

use super::changes;

#[test]
fn names_every_changed_field_of_the_access_log() {
    let to_file = "to: file\n  file: access.log";
    let to_syslog = "to: syslog\n  syslog: { address: 'udp:10.0.0.1:514', facility: user }";
    for (from, to, expected) in [
        (
            "to: stdout",
            to_file,
            &["access_log.file: added /access.log", "access_log.to: stdout -> file"][..],
        ),
        (
            "to: stdout",
            to_syslog,
            &[
                "access_log.syslog.address: added udp:10.0.0.1:514",
                "access_log.syslog.facility: added user",
                "access_log.to: stdout -> syslog",
            ],
        ),
        (
            "format: json",
            "format: '{{{status} {header.x-a}'",
            &[
                "access_log.format: json -> {{{status} {header.x-a}",
                "access_log.headers: removed [user-agent, referer]",
            ],
        ),
        ("sample: 1.0", "sample: 0.5", &["access_log.sample: 1 -> 0.5"]),
        ("query: redact", "query: keep", &["access_log.query: redact -> keep"]),
        (
            "headers: [user-agent, referer]",
            "headers: [user-agent]",
            &["access_log.headers: [user-agent, referer] -> [user-agent]"],
        ),
    ] {
        let edits = [("access_log:\n  to: stdout", "access_log:\n  to: stdout"), (from, to)];
        let mut found = changes(&edits);
        // What a template makes of no effect.
        found.sort();
        assert_eq!(found, expected, "{from}");
    }
}
