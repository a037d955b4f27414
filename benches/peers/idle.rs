//! What a connection costs that does nothing: many are opened, each makes one request, all stay, and
//! the contestant's memory is compared with what it was before them.
//!
//! Only the contestant's own pages count; the kernel's buffers are the same for all.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use crate::client::{Client, Fault};
use crate::contestant::Kind;
use crate::load::Workload;
use crate::report::Spread;
use crate::usage::Watch;
use crate::way::Way;

/// Connections that come and go before anything is counted, so that pools and caches are there.
const FIRST: usize = 256;
/// How long connections are left alone before memory is looked at: time to let go of buffers.
const SETTLE: Duration = Duration::from_secs(6);

/// One measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Held {
    pub(crate) proxy: Kind,
    pub(crate) round: usize,
    pub(crate) connections: usize,
    pub(crate) kib_per_connection: f64,
}

/// Opens `count` connections, each for one request, and says what they cost while they are idle.
pub(crate) async fn hold(
    (proxy, round): (Kind, usize),
    way: &Way,
    workload: &Workload,
    watch: &Watch,
    count: usize,
) -> Result<Held, Fault> {
    for slot in 0..FIRST {
        workload.ask(&mut Client::new(way, slot), proxy.routes(), slot).await?;
    }
    sleep(SETTLE).await;
    let before = watch.memory().proportional;
    let mut open = Vec::with_capacity(count);
    for slot in 0..count {
        let mut client = Client::new(way, slot);
        workload.ask(&mut client, proxy.routes(), slot).await?;
        client.forget_buffer();
        open.push(client);
    }
    sleep(SETTLE).await;
    let after = watch.memory().proportional;
    let bytes = after.saturating_sub(before) as f64;
    let kib_per_connection = bytes / 1024.0 / count.max(1) as f64;
    Ok(Held { proxy, round, connections: count, kib_per_connection })
}

impl Held {
    /// One line for whoever watches.
    pub(crate) fn line(&self) -> String {
        let (name, count) = (self.proxy.name(), self.connections);
        format!(
            "{name:<8} {:>7.2} KiB for each of {count} idle connections",
            self.kib_per_connection
        )
    }
}

/// Medians, one line each.
pub(crate) fn table(all: &[Held]) -> String {
    let mut text = String::from("memory of an idle connection, KiB\n");
    for kind in Kind::ALL {
        let of_kind = all.iter().filter(|held| held.proxy == kind);
        if let Some(spread) = Spread::of(of_kind.map(|held| held.kib_per_connection).collect()) {
            let Spread { median, min, max } = spread;
            text.push_str(&format!("  {:<8} {median:.2} [{min:.2}, {max:.2}]\n", kind.name()));
        }
    }
    text
}
