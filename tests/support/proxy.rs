//! The program itself, as a child process with a configuration of its own in a directory of its
//! own; killed when it is dropped. When a test fails, what the program logged is printed.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::client::{Client, Request, Response};
use super::{eventually, until};

/// A configuration that is being put together.
#[derive(Clone, Debug)]
pub struct Setup {
    listeners: Vec<String>,
    top: String,
    workers: usize,
    log: Vec<String>,
    descriptors: Option<u32>,
    regions: Vec<(String, String)>,
    deployments: Vec<String>,
}

/// A running program.
pub struct Proxy {
    /// Where requests go.
    pub address: SocketAddr,
    /// All listeners, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where operators look.
    pub admin: SocketAddr,
    child: Child,
    /// What it writes to standard output behind its first line; nobody reads it meanwhile.
    out: Option<BufReader<ChildStdout>>,
    dir: Arc<TempDir>,
    log: Arc<Mutex<Vec<u8>>>,
    said: Arc<Mutex<Vec<u8>>>,
    collecting: Vec<JoinHandle<()>>,
}

impl Setup {
    /// Regions with one endpoint each; the first one is the primary of the one deployment.
    pub fn over(regions: &[(&str, SocketAddr)]) -> Self {
        let mut setup = Self::empty();
        for (id, address) in regions {
            setup = setup.region(id, &[*address]);
        }
        setup
    }

    /// No region yet.
    pub fn empty() -> Self {
        let (regions, deployments) = (Vec::new(), Vec::new());
        let (listeners, log) = (Vec::new(), Vec::new());
        let (top, descriptors) = (String::new(), None);
        Self { listeners, top, workers: 2, log, descriptors, regions, deployments }
    }

    /// One more region. The ids `us`, `eu` and `ap` lie where they say; others in the Atlantic.
    #[must_use]
    pub fn region(self, id: &str, endpoints: &[SocketAddr]) -> Self {
        let urls: Vec<_> = endpoints.iter().map(|address| format!("http://{address}")).collect();
        self.region_at(id, &urls)
    }

    /// The same with the URLs of its endpoints.
    #[must_use]
    pub fn region_at(mut self, id: &str, urls: &[String]) -> Self {
        let place = match id {
            "us" => "latitude: 38.95, longitude: -77.45, country: US",
            "eu" => "latitude: 50.11, longitude: 8.68, country: DE",
            "ap" => "latitude: 35.68, longitude: 139.69, country: JP",
            _ => "latitude: 0, longitude: -30, country: CV",
        };
        let urls: Vec<_> = urls.iter().map(|url| format!("\"{url}\"")).collect();
        let line = format!("{{ id: {id}, {place}, endpoints: [{}] }}", urls.join(", "));
        self.regions.push((id.to_owned(), line));
        self
    }

    /// More fields of the region that was added last, as in a flow mapping of YAML.
    #[must_use]
    pub fn with(mut self, fields: &str) -> Self {
        let (_, line) = self.regions.last_mut().expect("a region");
        *line = line.replacen("{ ", &format!("{{ {fields}, "), 1);
        self
    }

    /// One more deployment: fields of YAML, one a line. `name`, the primary and the replicas are
    /// added when they are missing.
    #[must_use]
    pub fn deployment(mut self, fields: &str) -> Self {
        self.deployments.push(fields.trim().to_owned());
        self
    }

    /// One more listener, in the place of the one in clear text that there is without: an address
    /// of loopback of its own, and fields as in a flow mapping of YAML.
    #[must_use]
    pub fn listener(mut self, address: &str, fields: &str) -> Self {
        self.listeners.push(format!("{{ address: \"{address}:0\", {fields} }}"));
        self
    }

    /// It logs requests to this file.
    pub fn access_log(self, file: &Path) -> Self {
        self.top(&format!("access_log: {{ to: file, file: {} }}", file.display()))
    }

    /// Top-level fields of YAML.
    #[must_use]
    pub fn top(mut self, fields: &str) -> Self {
        let _ = writeln!(self.top, "{}", fields.trim());
        self
    }

    /// Believes what every peer on loopback says of clients.
    #[must_use]
    pub fn trusting(self) -> Self {
        self.top("client: { trusted_proxies: [127.0.0.0/8] }")
    }

    /// Serves on so many threads.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Gives the program so many descriptors.
    #[must_use]
    pub fn descriptors(self, count: u32) -> Self {
        Self { descriptors: Some(count), ..self }
    }

    /// Logs something else than usual, as JSON.
    #[must_use]
    pub fn logging(self, filter: &str) -> Self {
        let log = ["--log", filter, "--log-format", "json"].map(str::to_owned).into();
        Self { log, ..self }
    }

    /// The configuration file.
    pub fn yaml(&self) -> String {
        let mut yaml = format!(
            "listeners: [{}]\nadmin: {{ address: \"127.0.0.1:0\" }}\nworkers: {}\n{}regions:\n",
            match self.listeners.is_empty() {
                true => "{ address: \"127.0.0.1:0\" }".to_owned(),
                false => self.listeners.join(", "),
            },
            self.workers,
            self.top
        );
        for (_, line) in &self.regions {
            let _ = writeln!(yaml, "  - {line}");
        }
        yaml.push_str("deployments:\n");
        let one = [String::new()];
        let deployments = if self.deployments.is_empty() { &one[..] } else { &self.deployments };
        for (number, fields) in deployments.iter().enumerate() {
            let mut fields = fields.clone();
            let has = |name: &str, fields: &str| {
                fields.lines().any(|line| line.trim_start().starts_with(&format!("{name}:")))
            };
            if !has("primary_region", &fields) {
                let mut ids = self.regions.iter().map(|(id, _)| id.as_str());
                let primary = ids.next().unwrap_or_default();
                let replicas = ids.collect::<Vec<_>>().join(", ");
                fields =
                    format!("primary_region: {primary}\nreplica_regions: [{replicas}]\n{fields}");
            }
            if !has("name", &fields) {
                fields = format!("name: api{}\n{fields}", if number == 0 { "" } else { "-2" });
            }
            for (i, line) in fields.lines().enumerate() {
                let _ = writeln!(yaml, "  {} {line}", if i == 0 { "-" } else { " " });
            }
        }
        yaml
    }

    /// Starts the program.
    pub fn start(&self) -> Proxy {
        Proxy::start_logging(Proxy::dir_with(&self.yaml()), &self.log, self.descriptors)
    }

    /// Starts a copy of the program, [`Proxy::program`], that can be replaced.
    pub fn start_own(&self) -> Proxy {
        let dir = Proxy::dir_with(&self.yaml());
        own_program(dir.path());
        Proxy::start_logging(dir, &self.log, self.descriptors)
    }
}

impl Proxy {
    /// Starts the program with this configuration and waits until it is ready.
    pub fn start(yaml: &str) -> Self {
        Self::start_in(Self::dir_with(yaml))
    }

    fn dir_with(yaml: &str) -> Arc<TempDir> {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("rhumb.yaml"), yaml).unwrap();
        Arc::new(dir)
    }

    /// Starts the program with the `rhumb.yaml` of this directory.
    pub fn start_in(dir: Arc<TempDir>) -> Self {
        Self::start_logging(dir, &[], None)
    }

    fn start_logging(dir: Arc<TempDir>, log: &[String], descriptors: Option<u32>) -> Self {
        let usual = ["--log", "info"].map(str::to_owned);
        let own = dir.path().join(PROGRAM);
        let is_own = own.exists();
        let program = if is_own { own } else { env!("CARGO_BIN_EXE_rhumb").into() };
        let mut command = match descriptors {
            None => Command::new(program),
            Some(count) => {
                // Becomes the program, with the same number.
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={count}")).arg(program);
                command
            }
        };
        let mut child = command
            .args(if log.is_empty() { &usual } else { log })
            .args(["run", "--json", "-c"])
            .arg(dir.path().join("rhumb.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, said) = (Arc::default(), Arc::<Mutex<Vec<u8>>>::default());
        let mut collecting = vec![collect(child.stderr.take().unwrap(), Arc::clone(&log))];
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            collecting.into_iter().for_each(|thread| thread.join().unwrap());
            panic!("rhumb did not start:\n{}", text(&log));
        };
        assert_eq!(ready["pid"], child.id());
        let mut out = Some(out);
        if is_own {
            // Those that take its place say there that they are ready.
            said.lock().unwrap().extend_from_slice(line.as_bytes());
            collecting.extend(out.take().map(|out| collect(out, Arc::clone(&said))));
        }
        let address = |value: &Value| -> SocketAddr { value.as_str().unwrap().parse().unwrap() };
        let addresses: Vec<_> =
            ready["listeners"].as_array().unwrap().iter().map(address).collect();
        Self {
            address: addresses[0],
            addresses,
            admin: address(&ready["admin"]),
            child,
            out,
            dir,
            log,
            said,
            collecting,
        }
    }

    /// The copy of the program that it was started from.
    pub fn program(&self) -> PathBuf {
        self.dir().join(PROGRAM)
    }

    /// The processes that have said they are ready, one after the other.
    pub fn processes(&self) -> Vec<Pid> {
        let pid = |line: &Value| Pid::from_raw(line["pid"].as_i64()?.try_into().ok()?);
        ready_lines(&self.said).iter().filter_map(pid).collect()
    }

    /// Sends the process that was ready last a signal.
    pub fn signal_latest(&self, signal: Signal) {
        kill_process(*self.processes().last().unwrap(), signal).unwrap();
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A new connection from another address of loopback.
    pub fn client_from(&self, own: &str) -> Client {
        Client::connect_from(own.parse::<IpAddr>().unwrap(), self.address)
    }

    /// A new connection for what takes the proxy long.
    pub fn patient_client(&self) -> Client {
        let client = self.client();
        client.be_patient();
        client
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &Request) -> Response {
        self.client().ask(request)
    }

    /// A GET of the admin address.
    pub fn inspect(&self, path: &str) -> Response {
        Client::connect(self.admin).ask(&Request::get(path))
    }

    /// `/metrics`.
    pub fn metrics(&self) -> String {
        self.inspect("/metrics").body.text()
    }

    /// The sum of all series of that name that have all of these labels (`code="200"`).
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics();
        let lines = metrics.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The state of a region in the first deployment.
    pub fn state(&self, region: &str) -> String {
        let deployments = self.inspect("/api/v1/deployments").json();
        let regions = deployments["deployments"][0]["regions"].as_array().unwrap().clone();
        let found = regions.into_iter().find(|known| known["region"] == region);
        found.unwrap()["state"].as_str().unwrap().to_owned()
    }

    /// Waits until a region is in a state.
    pub fn until_state(&self, region: &str, state: &str) {
        until(&format!("{region} to be {state}"), || self.state(region) == state);
    }

    /// The generation of the table in use.
    pub fn generation(&self) -> f64 {
        self.metric("rhumb_config_generation", &[])
    }

    /// Changes how many descriptors it may have from now on.
    pub fn limit_descriptors(&self, count: u32) {
        // The upper limit stays, so that it can be raised again.
        let limit = format!("--nofile={count}:");
        let status =
            Command::new("prlimit").args(["--pid", &self.child.id().to_string(), &limit]).status();
        assert!(status.unwrap().success());
    }

    /// The value of a metric without labels, if the program answers at all.
    pub fn try_metric(&self, name: &str) -> Option<f64> {
        let mut client = Client::try_connect([127, 0, 0, 1].into(), self.admin).ok()?;
        let text = client.try_ask(&Request::get("/metrics")).ok()?.body.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    /// Resident memory in KiB.
    pub fn memory_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// The directory of the configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir().join("rhumb.yaml")
    }

    /// Puts another file in the configuration's place, as editors do.
    pub fn replace_config(&self, yaml: &str) {
        replace(&self.config(), yaml.as_bytes());
    }

    /// Puts another configuration in place and waits until it has been taken up.
    pub fn reload(&self, yaml: &str) {
        let before = self.reloads("config", "success");
        self.replace_config(yaml);
        until("the reload", || self.reloads("config", "success") > before);
    }

    /// How many reloads of that kind of file ended so.
    pub fn reloads(&self, file: &str, result: &str) -> f64 {
        let labels = [format!("file=\"{file}\""), format!("result=\"{result}\"")];
        self.metric("rhumb_reloads_total", &[&labels[0], &labels[1]])
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it writes to standard output behind its first line, for whoever wants to read it.
    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        self.out.take().expect("nobody else to read it")
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// Waits until it has logged that.
    pub fn until_logged(&self, what: &str) {
        until(&format!("{what:?} in the log"), || self.log().contains(what));
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let status = eventually("rhumb to end", || self.child.try_wait().unwrap());
        if self.processes().len() <= 1 {
            // Others write on.
            self.collecting.drain(..).for_each(|thread| thread.join().unwrap());
        }
        status
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // They may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in self.processes().into_iter().skip(1) {
            let _ = kill_process(pid, Signal::KILL);
        }
        for thread in self.collecting.drain(..) {
            let _ = thread.join();
        }
        if std::thread::panicking() {
            eprintln!("--- rhumb logged:\n{}---", self.log());
        }
    }
}

/// The copy of the program in a directory of its own.
const PROGRAM: &str = "rhumb";

fn own_program(dir: &Path) {
    let (from, to) = (env!("CARGO_BIN_EXE_rhumb"), dir.join(PROGRAM));
    if std::fs::hard_link(from, &to).is_err() {
        std::fs::copy(from, &to).unwrap();
    }
}

fn ready_lines(said: &Mutex<Vec<u8>>) -> Vec<Value> {
    text(said).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Another command of the program, run to its end.
pub fn rhumb(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rhumb"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program to run")
}

/// Puts a new file in the place of another in one step.
pub fn replace(path: &Path, content: &[u8]) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, content).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}

fn collect(mut from: impl Read + Send + 'static, log: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            log.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}

fn text(log: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&log.lock().unwrap()).into_owned()
}
