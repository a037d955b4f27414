//! What became of connections, requests, streams and WebSockets.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// Something that a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// A connection of its own for one request.
    Fresh,
    /// The same at a listener that comes and goes.
    Visit,
    /// A request on a connection that is kept alive.
    Kept,
    /// A streamed answer.
    Stream,
    /// A WebSocket from its handshake to its end.
    WebSocket,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// As it should.
    Good,
    /// The same, but it took longer than the network tries for again.
    Late,
    /// A connection that was kept alive was closed between two requests, which HTTP allows, and the
    /// request was sent into it; a client may repeat it.
    ClosedIdle,
    /// A WebSocket was closed with a frame that says so.
    Told,
    /// Nobody listened.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended in the middle.
    Cut,
    /// Another answer than 200.
    Wrong,
    /// Anything else.
    Failed,
}

/// An exchange that takes longer was tried for again.
const LATE: Duration = Duration::from_millis(900);

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<BTreeMap<(Deed, Fate), u64>>,
    /// How long each replacement took.
    took: Mutex<Vec<Duration>>,
}

impl Tally {
    pub(crate) fn count(&self, deed: Deed, fate: Fate) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((deed, fate)).or_default() += 1;
    }

    /// Something came to its end after so long.
    pub(crate) fn good(&self, deed: Deed, took: Duration) {
        self.count(deed, if took > LATE { Fate::Late } else { Fate::Good });
    }

    pub(crate) fn done(&self, took: Duration) {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    }

    /// What should not have been. Where a listener comes and goes, being refused is right.
    pub(crate) fn lost(&self) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = |(deed, fate): &(Deed, Fate)| match fate {
            Fate::Good | Fate::Late | Fate::ClosedIdle | Fate::Told => false,
            Fate::Refused => *deed != Deed::Visit,
            Fate::Reset | Fate::Cut | Fate::Wrong | Fate::Failed => true,
        };
        counts.iter().filter(|(key, _)| is_lost(key)).map(|(_, count)| count).sum()
    }

    pub(crate) fn json(&self) -> Value {
        let mut deeds = serde_json::Map::new();
        for ((deed, fate), count) in &*self.counts.lock().unwrap_or_else(PoisonError::into_inner) {
            let deed = deeds.entry(format!("{deed:?}").to_lowercase()).or_insert_with(|| json!({}));
            deed[format!("{fate:?}").to_lowercase()] = (*count).into();
        }
        let (mean, most) = self.times();
        json!({ "counts": deeds, "lost": self.lost(), "took_ms_mean": mean, "took_ms_most": most })
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for ((deed, fate), count) in &*self.counts.lock().unwrap_or_else(PoisonError::into_inner) {
            let (deed, fate) = (format!("{deed:?}"), format!("{fate:?}"));
            table.push_str(&format!("  {deed:<10} {fate:<10} {count:>8}\n"));
        }
        let (mean, most) = self.times();
        table
            .push_str(&format!("  lost {}; each took {mean} ms, at most {most} ms\n", self.lost()));
        table
    }

    /// Mean and longest, in milliseconds.
    fn times(&self) -> (u128, u128) {
        let took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        let sum: Duration = took.iter().sum();
        let count = u128::try_from(took.len().max(1)).unwrap_or(1);
        (sum.as_millis() / count, took.iter().max().map_or(0, Duration::as_millis))
    }
}

/// What an error means.
pub(crate) fn fate_of(error: &io::Error) -> Fate {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fate::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Fate::Reset,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => Fate::Cut,
        io::ErrorKind::InvalidData => Fate::Wrong,
        _ => Fate::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_from_what_is_allowed() {
        let tally = Tally::default();
        tally.good(Deed::Fresh, Duration::from_secs(2));
        tally.count(Deed::Visit, Fate::Refused);
        tally.count(Deed::Kept, Fate::ClosedIdle);
        tally.count(Deed::WebSocket, Fate::Told);
        assert_eq!(tally.lost(), 0);
        tally.count(Deed::Fresh, Fate::Refused);
        tally.count(Deed::Visit, Fate::Reset);
        assert_eq!(tally.lost(), 2);
        assert_eq!(tally.json()["counts"]["fresh"]["late"], 1);
    }
}
