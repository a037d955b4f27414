//! The fields of the access log as path and text.

use super::fields::{Writer, ids};
use crate::config::settings::{
    AccessLog, LogFormat, LogPiece, LogTarget, LoggedQuery, SYSLOG_FACILITIES, SyslogAddress,
};

pub(super) fn access_log(log: &AccessLog, out: &mut Writer) {
    let AccessLog { to, format, sample, query, headers } = log;
    out.put("access_log.to", word(to));
    match to {
        LogTarget::Stdout => {}
        LogTarget::File(path) => out.put("access_log.file", path.display()),
        LogTarget::Syslog { address, facility } => {
            let address = match address {
                SyslogAddress::Unix(path) => format!("unix:{}", path.display()),
                SyslogAddress::Udp(address) => format!("udp:{address}"),
            };
            out.put("access_log.syslog.address", address);
            let name = SYSLOG_FACILITIES.get(usize::from(*facility));
            out.put_some("access_log.syslog.facility", name);
        }
    }
    out.put("access_log.format", shown(format, headers));
    out.put("access_log.sample", sample);
    let query = match query {
        LoggedQuery::Redact => "redact",
        LoggedQuery::Keep => "keep",
        LoggedQuery::KeepNames => "keep_names",
    };
    out.put("access_log.query", query);
    if *format == LogFormat::Json {
        out.put("access_log.headers", ids(headers));
    }
}

fn word(to: &LogTarget) -> &'static str {
    match to {
        LogTarget::Stdout => "stdout",
        LogTarget::File(_) => "file",
        LogTarget::Syslog { .. } => "syslog",
    }
}

fn shown(format: &LogFormat, headers: &[http::HeaderName]) -> String {
    let pieces = match format {
        LogFormat::Json => return "json".to_owned(),
        LogFormat::Template(pieces) => pieces,
    };
    let pieces = pieces.iter().map(|piece| match piece {
        LogPiece::Text(text) => text.replace('{', "{{").replace('}', "}}"),
        LogPiece::Field(field) => format!("{{{}}}", field.as_str()),
        LogPiece::Header(place) => {
            let name = headers.get(*place).map_or("", http::HeaderName::as_str);
            format!("{{header.{name}}}")
        }
    });
    pieces.collect()
}
