//! What the kernel says of this process: its memory, its threads, its descriptors. Linux only; what
//! cannot be read is left out.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::answer::{Answer, json as answer_json};
use super::source::Admin;
use crate::dump::{Wanted, WorkerDump};
use crate::overload::Figures;

/// Clock ticks of the kernel in a second, as programs see them on every architecture of Linux.
const TICKS: f64 = 100.0;

/// `GET /debug/memory`: memory of the process, and how much there is of what takes it.
pub(super) async fn answer(admin: &Admin) -> Answer {
    let snapshot = admin.live.load();
    let told = admin.census.ask(Wanted::COUNTS).await;
    let sum = |of: fn(&WorkerDump) -> usize| -> usize {
        told.iter().filter_map(|told| told.dump.as_ref()).map(|(dump, _)| of(dump)).sum()
    };
    let plan = &snapshot.table.plan;
    let counts = json!({
        "client_connections": sum(|dump| dump.connections_open),
        "responses_compressed": sum(|dump| dump.encoders.responses),
        "encoder_bytes": sum(|dump| dump.encoders.bytes),
        "client_networks_measured": admin.networks.len(),
        "regions": snapshot.config.regions.len(),
        "deployments": snapshot.config.deployments.len(),
        "rules": snapshot.config.deployments.iter().map(|d| d.rules.len()).sum::<usize>(),
        "tenants": plan.tenants.as_ref().map(|table| table.len()),
        "endpoints_in_table": plan.endpoints().count(),
        "generation": snapshot.table.generation,
    });
    drop(snapshot);
    answer_json(&json!({ "process": process(&admin.gauge.figures()), "counts": counts }))
}

/// Bytes and numbers by name. Only what the kernel has at hand: this thread has more to do than to wait
/// until it has looked at every page.
fn process(figures: &Figures) -> Value {
    let status = fields(
        "/proc/self/status",
        &[
            ("VmRSS", "resident_bytes"),
            ("VmHWM", "resident_peak_bytes"),
            ("RssAnon", "resident_anonymous_bytes"),
            ("RssFile", "resident_file_bytes"),
            ("VmData", "data_bytes"),
            ("VmSize", "virtual_bytes"),
            ("VmSwap", "swapped_bytes"),
            ("Threads", "threads"),
        ],
    );
    let mut found: Map<String, Value> = status.into_iter().collect();
    let Figures { memory_limit, descriptor_limit, .. } = *figures;
    let descriptors = figures.descriptors.or_else(descriptors);
    for (name, value) in [
        ("limit_bytes", memory_limit),
        ("descriptors", descriptors),
        ("descriptors_limit", Some(descriptor_limit)),
    ] {
        found.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    Value::Object(found)
}

/// Those that are open, one by one, where the kernel does not count them (before Linux 6.2).
fn descriptors() -> Option<u64> {
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

/// Lines such as `VmRSS:  123 kB`, those of them that are wanted, under other names.
fn fields(file: &str, wanted: &[(&str, &str)]) -> Vec<(String, Value)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let (_, ours) = wanted.iter().find(|(theirs, _)| *theirs == name)?;
        let mut words = value.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        let unit = if words.next() == Some("kB") { 1_024 } else { 1 };
        Some(((*ours).to_owned(), json!(number.saturating_mul(unit))))
    };
    text.lines().filter_map(line).collect()
}

/// The threads of the process, with their time on a processor so far.
pub(super) fn threads() -> Vec<Value> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let mut threads: Vec<_> = entries.filter_map(|entry| thread(&entry.ok()?.path())).collect();
    threads.sort_by_key(|(id, _)| *id);
    threads.into_iter().map(|(_, thread)| thread).collect()
}

fn thread(dir: &Path) -> Option<(u64, Value)> {
    let stat = fs::read_to_string(dir.join("stat")).ok()?;
    // `12 (name with any) character) S ...`
    let (head, rest) = stat.rsplit_once(')')?;
    let (id, name) = head.split_once('(')?;
    let id = id.trim().parse().ok()?;
    let rest: Vec<_> = rest.split_whitespace().collect();
    let seconds = |field: usize| {
        rest.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).map(|ticks| ticks / TICKS)
    };
    let thread = json!({
        "id": id,
        "name": name,
        "state": rest.first(),
        "user_seconds": seconds(11),
        "system_seconds": seconds(12),
    });
    Some((id, thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let figures =
            Figures { memory: 3, memory_limit: None, descriptors: None, descriptor_limit: 1_024 };
        let process = process(&figures);
        for name in ["resident_bytes", "resident_peak_bytes", "virtual_bytes", "descriptors"] {
            assert!(process[name].as_u64().is_some_and(|number| number > 2), "{name}: {process}");
        }
        assert!(process["resident_bytes"].as_u64() <= process["virtual_bytes"].as_u64());
        assert!(process.get("limit_bytes").is_none(), "there is none: {process}");
    }

    #[test]
    fn a_thread_is_told_by_its_name_whatever_is_in_that() {
        let thread = std::thread::Builder::new().name("a) (b) R 9".to_owned());
        let found = thread.spawn(threads).unwrap().join().unwrap();
        let own = found.iter().find(|thread| thread["name"] == "a) (b) R 9").unwrap();
        assert_eq!(own["state"], "R", "{own}");
        assert!(own["user_seconds"].as_f64().is_some(), "{own}");
    }
}
