//! Files change under the running program: good ones take effect, bad ones change nothing, and
//! requests notice neither.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;

use crate::support::client::Request;
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, replace};
use crate::support::until;

struct World {
    us: Origin,
    eu: Origin,
}

impl World {
    fn new() -> Self {
        Self { us: Origin::named("us"), eu: Origin::named("eu") }
    }

    fn setup(&self) -> Setup {
        Setup::over(&[("us", self.us.address), ("eu", self.eu.address)])
    }

    /// All requests to one of the two.
    fn all_to(&self, region: &str) -> String {
        let (us, eu) = if region == "us" { (1, 0) } else { (0, 1) };
        self.split(us, eu)
    }

    fn split(&self, us: u32, eu: u32) -> String {
        let deployment = format!(
            "routing_strategy: weighted\nregions: {{ us: {{ weight: {us} }}, eu: {{ weight: {eu} }} }}"
        );
        self.setup().deployment(&deployment).yaml()
    }
}

fn region(proxy: &Proxy) -> String {
    proxy.ask(&Request::get("/")).region().to_owned()
}

fn until_answered_by(proxy: &Proxy, expected: &str) {
    until(&format!("{expected} to answer"), || region(proxy) == expected);
}

fn reload_is_successful(proxy: &Proxy) -> bool {
    proxy.metric("rhumb_config_last_reload_successful", &[]) == 1.0
}

#[test]
fn a_changed_file_takes_effect_however_it_was_changed() {
    let world = World::new();
    let proxy = Proxy::start(&world.all_to("us"));
    assert_eq!(region(&proxy), "us");

    replace(&proxy.config(), world.all_to("eu").as_bytes());
    until_answered_by(&proxy, "eu");

    std::fs::write(proxy.config(), world.all_to("us")).unwrap();
    until_answered_by(&proxy, "us");

    std::fs::remove_file(proxy.config()).unwrap();
    until("the absence to be noticed", || !reload_is_successful(&proxy));
    assert_eq!(region(&proxy), "us");
    std::fs::write(proxy.config(), world.all_to("eu")).unwrap();
    until_answered_by(&proxy, "eu");
    assert!(reload_is_successful(&proxy));
}

#[test]
fn the_swap_of_a_mounted_config_map_takes_effect() {
    let world = World::new();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let version = |name: &str, yaml: &str| {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("rhumb.yaml"), yaml).unwrap();
    };
    version("..1", &world.all_to("us"));
    symlink("..1", dir.path().join("..data")).unwrap();
    symlink("..data/rhumb.yaml", dir.path().join("rhumb.yaml")).unwrap();
    let proxy = Proxy::start_in(Arc::clone(&dir));
    assert_eq!(region(&proxy), "us");
    for (number, expected) in [(2, "eu"), (3, "us")] {
        let name = format!("..{number}");
        version(&name, &world.all_to(expected));
        symlink(&name, dir.path().join("..data_tmp")).unwrap();
        std::fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
        std::fs::remove_dir_all(dir.path().join(format!("..{}", number - 1))).unwrap();
        until_answered_by(&proxy, expected);
    }
    assert!(reload_is_successful(&proxy));
}

#[test]
fn a_change_is_logged_with_what_is_different() {
    let world = World::new();
    let proxy = Proxy::start(&world.split(70, 30));
    proxy.reload(&world.split(60, 40));
    proxy.until_logged("reloaded");
    let log = proxy.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("changed ")).collect();
    assert!(lines.iter().any(|line| line.contains("us") && line.contains("weight")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("70") && line.contains("60")), "{lines:#?}");
}

#[test]
fn a_file_that_has_not_really_changed_changes_nothing() {
    let world = World::new();
    let yaml = world.all_to("us");
    let proxy = Proxy::start(&yaml);
    let generation = proxy.generation();
    proxy.reload(&yaml);
    proxy.reload(&format!("# a comment\n{yaml}\n\n"));
    let before = proxy.reloads("config", "success");
    proxy.signal(Signal::HUP);
    until("the signal to be served", || proxy.reloads("config", "success") > before);
    assert_eq!(proxy.generation(), generation);
    proxy.until_logged("nothing changed");
}

#[test]
fn a_bad_file_keeps_the_last_good_one_and_says_where_it_is_wrong() {
    let world = World::new();
    let good = world.all_to("us");
    let proxy = Proxy::start(&good);
    let generation = proxy.generation();
    let bad = good.replace("routing_strategy: weighted", "routing_strategy: wieghted");
    let line = 1 + bad.lines().position(|line| line.contains("wieghted")).unwrap();
    proxy.replace_config(&bad);
    until("the bad file to be refused", || !reload_is_successful(&proxy));
    assert_eq!(proxy.reloads("config", "failure"), 1.0);
    proxy.until_logged(&format!("rhumb.yaml:{line}:"));
    let log = proxy.log();
    assert!(log.contains("wieghted") && log.contains("weighted"), "{log}");
    assert_eq!(proxy.generation(), generation);
    assert_eq!(region(&proxy), "us");
    proxy.replace_config(&world.all_to("eu"));
    until("the good file to be taken", || reload_is_successful(&proxy));
    until_answered_by(&proxy, "eu");
    assert!(proxy.generation() > generation);
    let success = proxy.metric("rhumb_config_last_reload_success_timestamp_seconds", &[]);
    assert!(success > 1.6e9, "{success}");
}

#[test]
fn fifty_reloads_under_load_fail_no_request() {
    let world = World::new();
    let proxy = Proxy::start(&world.split(50, 50));
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    load.until_more(100);
    for round in 1..=50 {
        let before = proxy.generation();
        proxy.replace_config(&world.split(50 + round, 50 - round + 1));
        // The signal only makes it quicker; the watch would find out by itself.
        proxy.signal(Signal::HUP);
        until("the reload", || proxy.generation() > before);
        load.until_more(20);
    }
    load.stop().assert_nothing_failed();
    assert!(reload_is_successful(&proxy));
}

#[test]
fn regions_that_come_and_go_under_load_fail_no_request() {
    let world = World::new();
    let ap = Origin::named("ap");
    let two = world.setup().deployment("routing_strategy: round_robin").yaml();
    let moved = Setup::over(&[("eu", world.eu.address), ("ap", ap.address)])
        .deployment("routing_strategy: round_robin")
        .yaml();
    let proxy = Proxy::start(&two);
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    for _ in 0..5 {
        load.until_more_from("us", 20);
        proxy.reload(&moved);
        load.until_more_from("ap", 20);
        proxy.reload(&two);
    }
    load.stop().assert_nothing_failed();
    let metrics = proxy.metrics();
    assert!(!metrics.contains("region=\"ap\""), "series of what is gone are gone: {metrics}");
}

#[test]
fn a_region_that_is_down_stays_down_over_a_reload() {
    let world = World::new();
    let check = "health_check: { path: /health, interval_seconds: 1, timeout_seconds: 60 }";
    let yaml = |strategy: &str| {
        world.setup().deployment(&format!("routing_strategy: {strategy}\n{check}")).yaml()
    };
    let proxy = Proxy::start(&yaml("failover"));
    world.us.set_healthy(false);
    proxy.until_state("us", "down");
    proxy.reload(&yaml("round_robin"));
    assert_eq!(proxy.state("us"), "down");
    for _ in 0..20 {
        assert_eq!(region(&proxy), "eu");
    }
}

type Way<'a> = &'a (dyn Fn(&mut fastrand::Rng) -> Vec<u8> + 'a);

/// Files that are wrong in many ways, the same ones each time.
fn malformed(good: &str, count: usize) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(2026);
    let ways: [Way<'_>; 8] = [
        // Half-written: the end is missing, and with it at least the primary region.
        &|rng| good.as_bytes()[..rng.usize(1..good.find("primary_region").unwrap())].to_vec(),
        &|rng| {
            let mut bytes = good.as_bytes().to_vec();
            let at = rng.usize(..bytes.len());
            bytes[at] = [0, 0xff, 0xc0, 1][rng.usize(..4)];
            bytes.push(b'{');
            bytes
        },
        &|rng| (0..rng.usize(1..3000)).map(|_| rng.u8(..)).collect(),
        &|rng| format!("{good}\nunknown_{}: 1\n", rng.u32(..)).into_bytes(),
        &|rng| format!("{good}{}", "[".repeat(rng.usize(1..20_000))).into_bytes(),
        &|rng| good.replace("latitude: ", &"9".repeat(rng.usize(1..400))).into_bytes(),
        &|rng| {
            let bomb: String = (1..rng.usize(10..40))
                .map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}]\n", i - 1))
                .collect();
            format!("a0: &a0 [x]\n{bomb}{good}").into_bytes()
        },
        &|_| Vec::new(),
    ];
    (0..count).map(|number| ways[number % ways.len()](&mut rng)).collect()
}

#[test]
fn hundreds_of_malformed_files_crash_nothing_and_change_nothing() {
    let world = World::new();
    let good = world.all_to("us");
    let mut proxy = Proxy::start(&good);
    let generation = proxy.generation();
    let load = Load::of(proxy.address, 1, &Request::get("/"));
    let files = malformed(&good, 240);
    for file in &files {
        let before = proxy.reloads("config", "failure");
        replace(&proxy.config(), file);
        proxy.signal(Signal::HUP);
        until("the file to be refused", || proxy.reloads("config", "failure") > before);
        assert_eq!(
            proxy.reloads("config", "success"),
            1.0,
            "this was taken for a configuration: {:?}",
            String::from_utf8_lossy(file)
        );
    }
    assert!(proxy.is_running());
    assert_eq!(proxy.generation(), generation);
    let tally = load.stop();
    tally.assert_nothing_failed();
    assert_eq!(tally.answered.get("eu"), None);
    let log = proxy.log();
    let refusals: Vec<_> = log.split("reload refused").skip(1).collect();
    assert!(refusals.len() >= files.len(), "{} refusals", refusals.len());
    for refusal in refusals {
        // An empty file has no line to show.
        let positioned = refusal.contains("rhumb.yaml:");
        assert!(positioned || refusal.contains("empty"), "no line number: {refusal}");
    }
    proxy.replace_config(&world.all_to("eu"));
    until_answered_by(&proxy, "eu");
}

const GERMANY: &str = "193.99.144.80";
const LONDON: &str = "81.2.69.142";

fn manifest(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn a_database_that_is_damaged_under_load_changes_nothing() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("country.mmdb");
    let good = std::fs::read(manifest("geoip/country.mmdb")).unwrap();
    std::fs::write(&database, &good).unwrap();
    let mut proxy = world
        .setup()
        .trusting()
        .top(&format!("geoip: {{ database: {} }}", database.display()))
        .deployment("routing_strategy: geolocation")
        .start();
    let germans = Request::get("/").from(GERMANY);
    assert_eq!(proxy.ask(&germans).region(), "eu");
    let load = Load::of(proxy.address, 2, &germans);
    let mut scrambled = good.clone();
    for byte in scrambled.iter_mut().skip(1000).step_by(997) {
        *byte ^= 0x55;
    }
    let damages: [(&str, &[u8]); 4] = [
        ("truncated", &good[..good.len() / 2]),
        ("empty", b""),
        ("overwritten", &[0xAB; 100_000]),
        ("scrambled", &scrambled),
    ];
    for (damage, bytes) in damages {
        let before = proxy.reloads("geoip", "failure");
        // In place, which is the worst that can happen to a file that somebody reads.
        std::fs::write(&database, bytes).unwrap();
        until(&format!("the {damage} database to be refused"), || {
            proxy.reloads("geoip", "failure") > before
        });
        load.until_more(20);
        assert!(proxy.is_running());
    }
    std::fs::remove_file(&database).unwrap();
    load.until_more(20);
    let tally = load.stop();
    tally.assert_nothing_failed();
    assert_eq!(tally.answered.get("us"), None, "the old answers stayed: {tally:?}");
    proxy.until_logged("country.mmdb");
}

#[test]
fn another_database_takes_effect() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("some.mmdb");
    let shipped = std::fs::read(manifest("geoip/country.mmdb")).unwrap();
    let other = std::fs::read(manifest("src/geo/testdata/maxmind-city.mmdb")).unwrap();
    std::fs::write(&database, &shipped).unwrap();
    let proxy = world
        .setup()
        .trusting()
        .top(&format!("geoip: {{ database: {} }}", database.display()))
        .deployment("routing_strategy: geolocation")
        .start();
    let of = |address: &str| proxy.ask(&Request::get("/").from(address)).region().to_owned();
    let generation = proxy.generation();
    assert_eq!(of(GERMANY), "eu");
    replace(&database, &other);
    until("the other database to be asked", || of(GERMANY) == "us");
    assert_eq!(of(LONDON), "eu");
    assert!(proxy.generation() > generation);
    assert_eq!(proxy.reloads("geoip", "failure"), 0.0);
}

#[test]
fn a_changed_latency_table_takes_effect_and_a_bad_one_does_not() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("latency.csv");
    let favours = |region: &str| {
        let (us, eu) = if region == "us" { (1, 2) } else { (2, 1) };
        format!("client,region,rtt_ms\n*,us,{us}\n*,eu,{eu}\n")
    };
    std::fs::write(&table, favours("us")).unwrap();
    let yaml = world
        .setup()
        .top(&format!("latency: {{ table: {} }}", table.display()))
        .deployment("routing_strategy: latency")
        .yaml();
    let proxy = Proxy::start(&yaml);
    assert_eq!(region(&proxy), "us");
    replace(&table, favours("eu").as_bytes());
    until_answered_by(&proxy, "eu");

    replace(&table, b"client,region,rtt_ms\n*,us,1\n*,eu,minus one\n");
    until("the bad table to be refused", || proxy.reloads("latency", "failure") > 0.0);
    assert_eq!(region(&proxy), "eu");
    proxy.until_logged("latency.csv:3");

    // A change that comes while the configuration is broken is not forgotten.
    proxy.replace_config("nonsense");
    until("the nonsense to be refused", || !reload_is_successful(&proxy));
    let refused = proxy.reloads("config", "failure");
    replace(&table, favours("us").as_bytes());
    until("the table to be looked at", || proxy.reloads("config", "failure") > refused);
    assert_eq!(region(&proxy), "eu");
    proxy.replace_config(&yaml);
    until_answered_by(&proxy, "us");
}

#[test]
fn tenants_move_with_their_file_and_a_refused_one_moves_nobody() {
    let world = World::new();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let tenants = dir.path().join("tenants.csv");
    std::fs::write(&tenants, "tenant,region\nacme,eu\n").unwrap();
    let setup = world
        .setup()
        .top("tenants: { file: tenants.csv }")
        .deployment("routing_strategy: failover\ntenant: { header: x-tenant-id }");
    std::fs::write(dir.path().join("rhumb.yaml"), setup.yaml()).unwrap();
    let proxy = Proxy::start_in(dir);
    let home = |tenant: &str| {
        proxy.ask(&Request::get("/").with("X-Tenant-Id", tenant)).region().to_owned()
    };
    assert_eq!([home("acme"), home("other")], ["eu", "us"]);
    assert_eq!(proxy.metric("rhumb_tenants", &[]), 1.0);
    assert!(proxy.metrics().contains("rhumb_tenants_age_seconds "));

    replace(&tenants, b"tenant,region\nacme,nowhere\n");
    until("the refusal", || proxy.reloads("tenants", "failure") > 0.0);
    assert!(!reload_is_successful(&proxy));
    assert_eq!([home("acme"), home("other")], ["eu", "us"]);

    replace(&tenants, b"tenant,region\nother,eu\nthird,us\n");
    until("the reload", || proxy.reloads("tenants", "success") > 0.0);
    until("the move", || home("other") == "eu");
    assert_eq!(home("acme"), "us");
    assert!(reload_is_successful(&proxy));
    assert_eq!(proxy.metric("rhumb_tenants", &[]), 2.0);
}
