//! `rhumb probe`: asks a URL once, so that an image needs no other program for its health check.
//!
//! Not here: the checks of regions (`health`), whose way of asking this borrows.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::{EndpointUrl, HealthCheck, Host, Scheme};
use crate::health::{Failure, probe};
use crate::upstream::Route;

/// Arguments of `rhumb probe`.
#[derive(Debug, clap::Args)]
pub struct ProbeArgs {
    /// What to ask, such as http://127.0.0.1:9090/readyz
    #[arg(value_name = "URL", value_parser = target)]
    pub target: Target,
    /// How long it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout_seconds: u64,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// An `http` URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    endpoint: EndpointUrl,
    path: String,
}

fn target(text: &str) -> Result<Target, String> {
    let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    let host = match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) if !host.is_empty() => host,
        _ => return Err("expected http://host:port/path".to_owned()),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = bare.parse().map_or_else(|_| Host::Name(bare.into()), Host::Address);
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(Target {
        endpoint: EndpointUrl { scheme: Scheme::Http, host, port: uri.port_u16().unwrap_or(80) },
        path,
    })
}

/// Asks. Exit code 0: the answer was 200; 1: it was not, or none came.
pub fn run(args: &ProbeArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let timeout = Duration::from_secs(args.timeout_seconds);
    let check = check(&args.target, timeout);
    let result = runtime.block_on(ask(&args.target.endpoint, &check, timeout));
    if args.json {
        let line = match &result {
            Ok(passed) => serde_json::json!({ "ok": true, "ms": passed.took.as_secs_f64() * 1e3 }),
            Err(failure) => serde_json::json!({ "ok": false, "error": failure.to_string() }),
        };
        println!("{line}");
    }
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}{}: {failure}", args.target.endpoint, args.target.path);
            ExitCode::FAILURE
        }
    }
}

/// Asks the addresses of the endpoint, one after the other, until one answers.
async fn ask(
    endpoint: &EndpointUrl,
    check: &HealthCheck,
    timeout: Duration,
) -> Result<probe::Passed, Failure> {
    let addresses = addresses(endpoint).await;
    let addresses = addresses.map_err(|e| Failure::Connection { detail: e.to_string() })?;
    // The address comes from who runs the command: it may be any.
    let everywhere: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
    let mut result = Err(Failure::Connection { detail: "its name has no address".to_owned() });
    for address in addresses {
        let route = Route {
            url: endpoint.clone(),
            address: Some(address),
            twin: None,
            transport: Arc::default(),
            tls: None,
            allowed: everywhere.into(),
        };
        result = probe::http(&route, check, timeout).await;
        if result.is_ok() {
            break;
        }
    }
    result
}

async fn addresses(endpoint: &EndpointUrl) -> io::Result<Vec<SocketAddr>> {
    match &endpoint.host {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, endpoint.port)]),
        Host::Name(name) => Ok(tokio::net::lookup_host((&**name, endpoint.port)).await?.collect()),
    }
}

fn check(target: &Target, timeout: Duration) -> HealthCheck {
    HealthCheck {
        path: target.path.clone(),
        host: None,
        expected_status: 200,
        interval: timeout,
        timeout,
        fast_interval: timeout,
        healthy_threshold: 1,
        unhealthy_threshold: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        for (text, expected) in [
            ("http://127.0.0.1:9090/readyz", Some(("http://127.0.0.1:9090", "/readyz"))),
            ("http://[::1]:9090/a?b=c", Some(("http://[::1]:9090", "/a?b=c"))),
            ("http://rhumb", Some(("http://rhumb:80", "/"))),
            ("https://rhumb/", None),
            ("rhumb:9090", None),
            ("/readyz", None),
            ("", None),
        ] {
            let found = target(text).ok();
            let found = found.map(|target| (target.endpoint.to_string(), target.path));
            let expected = expected.map(|(url, path)| (url.to_owned(), path.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
