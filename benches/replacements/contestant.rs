//! A proxy, and how it is replaced or told of other listeners, as its manual says.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// Which proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rhumb,
    Nginx,
    Haproxy,
}

/// A running one.
pub(crate) struct Contestant {
    kind: Kind,
    program: PathBuf,
    dir: PathBuf,
    origin: u16,
    workers: u32,
    /// Always there.
    pub(crate) port: u16,
    /// Comes and goes.
    pub(crate) visited: u16,
    first: Child,
    latest: Pid,
}

impl Kind {
    pub(crate) fn of(program: &Path) -> io::Result<Self> {
        match program.file_name().and_then(|name| name.to_str()) {
            Some("rhumb") => Ok(Self::Rhumb),
            Some("nginx") => Ok(Self::Nginx),
            Some("haproxy") => Ok(Self::Haproxy),
            _ => Err(io::Error::other(format!("{}: none of the three", program.display()))),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rhumb => "rhumb",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Contestant {
    pub(crate) async fn start(
        kind: Kind,
        program: &Path,
        work: &Path,
        origin: u16,
        workers: u32,
    ) -> io::Result<Self> {
        let dir = std::path::absolute(work)?.join(kind.name());
        fs::create_dir_all(&dir)?;
        let program = std::path::absolute(program)?;
        let (port, visited) = (free_port()?, free_port()?);
        fs::write(dir.join("conf"), configuration(kind, &dir, origin, workers, &[port]))?;
        let log = fs::File::create(dir.join("log"))?;
        let mut command = Command::new(&program);
        match kind {
            Kind::Rhumb => command.args(["--log", "info", "run", "-c"]).arg(dir.join("conf")),
            Kind::Nginx => {
                let own = format!("{}/", dir.display());
                // It has to be a daemon: one whose parent has started it counts as the new one of
                // an upgrade that is under way.
                command.args(["-p", &own, "-c", "conf", "-e", "error"])
            }
            Kind::Haproxy => command.args(["-W", "-db", "-f"]).arg(dir.join("conf")),
        };
        let first = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let latest = Pid::from_child(&first);
        let mut started =
            Self { kind, program, dir, origin, workers, port, visited, first, latest };
        started.until("it to start", async || started.listens(port).await).await?;
        if kind == Kind::Nginx {
            started.first.wait()?;
            started.latest = read_pid(&started.dir.join("pid")).unwrap_or(latest);
        }
        Ok(started)
    }

    /// Puts the program on disk in the place of the one that runs.
    pub(crate) async fn upgrade(&mut self) -> io::Result<()> {
        match self.kind {
            Kind::Rhumb => {
                let before = self.readies();
                kill_process(self.latest, Signal::USR2)?;
                self.until("the next process", async || self.readies().len() > before.len())
                    .await?;
                self.latest = self.readies().last().copied().unwrap_or(self.latest);
            }
            Kind::Nginx => {
                let pid = self.dir.join("pid");
                let old = self.latest;
                kill_process(old, Signal::USR2)?;
                let other = || read_pid(&pid).filter(|now| *now != old);
                self.until("the next process", async || other().is_some()).await?;
                // Its workers are there when they accept, which is when the old ones may go.
                self.until("its workers", async || has_children(other())).await?;
                kill_process(old, Signal::QUIT)?;
                self.until("the old one's name to go", async || {
                    !self.dir.join("pid.oldbin").exists()
                })
                .await?;
                self.latest = other().unwrap_or(old);
            }
            Kind::Haproxy => self.reload_haproxy().await?,
        }
        Ok(())
    }

    /// Adds a listener, or takes it away.
    pub(crate) async fn listen_more(&mut self, more: bool) -> io::Result<()> {
        let ports: &[u16] = if more { &[self.port, self.visited] } else { &[self.port] };
        let text = configuration(self.kind, &self.dir, self.origin, self.workers, ports);
        fs::write(self.dir.join("conf.fresh"), text)?;
        fs::rename(self.dir.join("conf.fresh"), self.dir.join("conf"))?;
        match self.kind {
            Kind::Rhumb | Kind::Nginx => kill_process(self.latest, Signal::HUP)?,
            Kind::Haproxy => self.reload_haproxy().await?,
        }
        let port = self.visited;
        self.until("the listener", async || self.listens(port).await == more).await
    }

    /// A reload is an upgrade: the master executes the program anew.
    async fn reload_haproxy(&self) -> io::Result<()> {
        let before = self.count("Loading success");
        kill_process(self.latest, Signal::USR2)?;
        self.until("the reload", async || self.count("Loading success") > before).await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn count(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    /// Every process that has said that it is ready.
    fn readies(&self) -> Vec<Pid> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(" ready "));
        let pid = |line: &str| line.rsplit_once("pid=")?.1.split_whitespace().next()?.parse().ok();
        lines.filter_map(pid).filter_map(Pid::from_raw).collect()
    }

    async fn listens(&self, port: u16) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) -> io::Result<()> {
        let start = Instant::now();
        while !holds().await {
            if start.elapsed() > PATIENCE {
                let (program, log) = (self.program.display(), self.log());
                let tail: Vec<_> = log.lines().rev().take(10).collect();
                let text = format!("{program}: waited in vain for {what}; its log: {tail:#?}");
                return Err(io::Error::other(text));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // The first one may be another one's parent, or have ended already.
        let _ = kill_process(self.latest, Signal::TERM);
        if self.kind != Kind::Nginx {
            let _ = self.first.kill();
            let _ = self.first.wait();
        }
    }
}

fn read_pid(path: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(path).ok()?.trim().parse().ok()?)
}

fn has_children(pid: Option<Pid>) -> bool {
    let Some(pid) = pid.map(Pid::as_raw_nonzero) else { return false };
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.is_ok_and(|children| !children.trim().is_empty())
}

/// The same for all: HTTP/1.1 in clear text to one origin whose connections are kept, WebSockets, and
/// 30 s for what is under way.
fn configuration(kind: Kind, dir: &Path, origin: u16, workers: u32, ports: &[u16]) -> String {
    let dir = dir.display();
    let each =
        |line: &dyn Fn(u16) -> String| ports.iter().map(|port| line(*port)).collect::<String>();
    match kind {
        Kind::Rhumb => format!(
            "listeners:\n{}admin: {{ address: \"127.0.0.1:0\" }}\nworkers: {workers}\nregions:\n  \
             - {{ id: here, latitude: 0, longitude: 0, country: US, endpoints: [\"http://127.0.0.1:{origin}\"] }}\n\
             deployments:\n  - {{ name: web, primary_region: here }}\n",
            each(&|port| format!("  - address: 127.0.0.1:{port}\n"))
        ),
        Kind::Nginx => format!(
            "worker_processes {workers};\npid {dir}/pid;\nerror_log {dir}/error;\n\
             worker_shutdown_timeout 30s;\nevents {{ worker_connections 10000; }}\nhttp {{\n\
             access_log off;\nmap $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
             upstream web {{ server 127.0.0.1:{origin}; keepalive 256; }}\nserver {{\n{}\
             location / {{ proxy_pass http://web; proxy_http_version 1.1; proxy_buffering off;\n\
             proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;\n\
             proxy_set_header Connection $connection_upgrade; }} }} }}\n",
            each(&|port| format!("listen 127.0.0.1:{port} backlog=4096;\n"))
        ),
        Kind::Haproxy => format!(
            "global\n  nbthread {workers}\n  maxconn 8000\n  hard-stop-after 30s\n  \
             stats socket {dir}/stats expose-fd listeners\ndefaults\n  mode http\n  \
             timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n  timeout tunnel 300s\n\
             frontend web\n{}  default_backend web\nbackend web\n  server web 127.0.0.1:{origin}\n",
            each(&|port| format!("  bind 127.0.0.1:{port}\n"))
        ),
    }
}
