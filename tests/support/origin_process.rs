//! An origin as a process of its own, so that it can be killed and stopped like a real one: this
//! test program, started again with a variable that makes one of its tests serve forever.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::origin::Origin;

const NAME: &str = "RHUMB_TEST_ORIGIN";
const READY: &str = "origin listens on ";

/// An origin that answers like [`Origin::named`].
pub struct OriginProcess {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl OriginProcess {
    /// Starts one.
    pub fn named(name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "support::origin_process::serve_until_killed", "--nocapture"])
            .env(NAME, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(READY)?.1.parse().unwrap()))
            .expect("the origin process to start");
        Self { address, child }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for OriginProcess {
    fn drop(&mut self) {
        // It may be dead already; that is what it is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the other process. Without the variable it does nothing.
#[test]
fn serve_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how the parent says what this process is")]
    let Ok(name) = std::env::var(NAME) else { return };
    let origin = Origin::named(&name);
    println!("\n{READY}{}", origin.address);
    // Ends with the parent, should that forget to kill it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
