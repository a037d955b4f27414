//! What a request says of its region and is told of it: tenants, tokens, hints, replays, chains.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rhumb::config::SigningKey;
use rhumb::tokens::{Claim, Keyring, Purpose};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Request, Response};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, replace, rhumb};
use crate::support::until;

const GERMANY: &str = "193.99.144.80";
const SECRET: &str = "a secret of thirty-two bytes, or more";
const OTHER_SECRET: &str = "another secret of thirty-two bytes or";
const TRUSTING_ONE: &str = "client: { trusted_proxies: [127.0.0.1/32] }";

fn signing(keys: &[(&str, &str)]) -> String {
    let keys: Vec<_> =
        keys.iter().map(|(id, secret)| format!("{{ id: {id}, secret: \"{secret}\" }}")).collect();
    format!("signing: {{ keys: [{}] }}", keys.join(", "))
}

fn keyring(id: &str, secret: &str) -> Keyring {
    Keyring::new(&[SigningKey { id: id.into(), secret: secret.as_bytes().into() }])
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn token(purpose: Purpose, deployment: &str, subject: &str) -> String {
    let claim = Claim { purpose, deployment, subject, issued: now(), expires: Some(now() + 600) };
    keyring("k1", SECRET).sign(&claim).unwrap()
}

struct World {
    us: Origin,
    eu: Origin,
}

impl World {
    fn new() -> Self {
        Self { us: Origin::named("us"), eu: Origin::named("eu") }
    }

    /// Clients go to `us` unless something says otherwise.
    fn setup(&self) -> Setup {
        Setup::over(&[("us", self.us.address), ("eu", self.eu.address)])
    }

    fn signed(&self) -> Setup {
        self.setup().top(&signing(&[("k1", SECRET)]))
    }

    fn requests(&self) -> usize {
        self.us.count() + self.eu.count()
    }
}

fn region_of(proxy: &Proxy, request: &Request) -> String {
    let response = proxy.ask(request);
    assert_eq!(response.status(), 200, "{response:#?}");
    response.region().to_owned()
}

/// The value and the attributes of the one cookie of that name which an answer sets.
fn cookie(response: &Response, name: &str) -> Option<(String, String)> {
    let lines = response.head.all("set-cookie");
    let mut found = lines.iter().filter_map(|line| line.strip_prefix(&format!("{name}=")));
    let line = found.next()?;
    assert_eq!(found.next(), None, "{lines:?}");
    let (value, attributes) = line.split_once("; ").unwrap();
    Some((value.to_owned(), attributes.to_owned()))
}

fn refused(proxy: &Proxy, kind: &str) -> f64 {
    proxy.metric("rhumb_tokens_refused_total", &[&format!("kind=\"{kind}\"")])
}

// --- tenants

fn by_tenant(source: &str) -> String {
    format!(
        "routing_strategy: failover\ntenant: {source}\n\
         routing_rules: [{{ id: acme, tenants: [acme], target_regions: [eu] }}]"
    )
}

#[test]
fn a_tenant_is_read_where_the_deployment_says() {
    let world = World::new();
    let get = Request::get;
    for (source, acme, others) in [
        (
            "{ header: x-tenant }",
            vec![get("/").with("X-Tenant", "acme")],
            vec![
                get("/"),
                get("/").with("X-Tenant", "globex"),
                get("/").with("X-Tenant", "acme").with("X-Tenant", "acme"),
                get("/").with("X-Tenant", "acme, globex"),
            ],
        ),
        (
            "{ host_label: 0 }",
            vec![get("/").with("Host", "acme.api.test"), get("/").with("Host", "ACME.x:80")],
            vec![get("/"), get("/").with("Host", "x.acme.test")],
        ),
        (
            "{ path_segment: 1 }",
            vec![get("/v1/acme"), get("/v1/acme/users?x=1"), get("/v1/%61cme")],
            vec![get("/acme"), get("/v1/acme%3A"), get("/v1/acmes")],
        ),
        (
            "{ cookie: t }",
            vec![get("/").with("Cookie", "a=b; t=acme; c=d")],
            vec![get("/").with("Cookie", "tt=acme"), get("/").with("Cookie", "t=x; t=acme")],
        ),
    ] {
        let proxy = world.setup().deployment(&by_tenant(source)).start();
        for request in acme {
            assert_eq!(region_of(&proxy, &request), "eu", "{source}: {request:?}");
        }
        for request in others {
            assert_eq!(region_of(&proxy, &request), "us", "{source}: {request:?}");
        }
    }
}

struct Issuer {
    id: &'static str,
    key: EncodingKey,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        Self { id, key: EncodingKey::from_ed_der(key.as_ref()) }
    }

    fn jwks(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        json!({ "keys": [jwk] })
    }

    fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

fn claims(tenant: &str, lives: i64) -> Value {
    let expires = i64::try_from(now()).unwrap() + lives;
    json!({ "org": tenant, "iss": "https://id.test", "aud": "api", "exp": expires })
}

fn jwt_proxy(world: &World, issuer: &Issuer) -> Proxy {
    let dir = Arc::new(TempDir::new().unwrap());
    let source =
        "{ jwt: { claim: org, jwks: jwks.json, issuer: \"https://id.test\", audience: api } }";
    std::fs::write(dir.path().join("jwks.json"), issuer.jwks().to_string()).unwrap();
    let yaml = world.setup().deployment(&by_tenant(source)).yaml();
    std::fs::write(dir.path().join("rhumb.yaml"), yaml).unwrap();
    Proxy::start_in(dir)
}

fn bearing(token: &str) -> Request {
    Request::get("/").with("Authorization", format!("Bearer {token}"))
}

#[test]
fn a_tenant_of_a_json_web_token_is_believed_only_when_it_is_verified() {
    let (world, issuer) = (World::new(), Issuer::new("k"));
    let proxy = jwt_proxy(&world, &issuer);
    let good = issuer.token(&claims("acme", 600));
    for _ in 0..3 {
        assert_eq!(region_of(&proxy, &bearing(&good)), "eu");
    }
    assert_eq!(world.eu.last().head.get("authorization"), Some(&*format!("Bearer {good}")));
    assert_eq!(region_of(&proxy, &bearing(&issuer.token(&claims("globex", 600)))), "us");

    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = |alg: &str| {
        format!("{}.{}.", part(json!({ "alg": alg, "kid": "k" })), part(claims("acme", 600)))
    };
    let public = issuer.jwks()["keys"][0]["x"].as_str().unwrap().to_owned();
    let shared = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(public).unwrap());
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.kid = Some("k".to_owned());
    let confused = jsonwebtoken::encode(&symmetric, &claims("acme", 600), &shared).unwrap();
    let globex = issuer.token(&claims("globex", 600));
    let mut pieces: Vec<_> = globex.split('.').collect();
    let swapped = part(claims("acme", 600));
    pieces[1] = &swapped;
    let mut elsewhere = claims("acme", 600);
    elsewhere["aud"] = json!("other");
    for (why, token) in [
        ("malformed", none("none")),
        ("malformed", none("None")),
        ("malformed", "a.b.c".to_owned()),
        ("unknown_key", confused),
        ("unknown_key", Issuer::new("unknown").token(&claims("acme", 600))),
        ("forged", Issuer::new("k").token(&claims("acme", 600))),
        ("forged", pieces.join(".")),
        ("expired", issuer.token(&claims("acme", -31))),
        ("misplaced", issuer.token(&elsewhere)),
    ] {
        let before = refused(&proxy, why);
        assert_eq!(region_of(&proxy, &bearing(&token)), "us", "{why}: {token}");
        assert_eq!(refused(&proxy, why), before + 1.0, "{why}: {token}");
    }
}

#[test]
fn another_key_set_counts_from_its_reload_on() {
    let (world, old, new) = (World::new(), Issuer::new("old"), Issuer::new("new"));
    let proxy = jwt_proxy(&world, &old);
    let [by_old, by_new] = [&old, &new].map(|issuer| bearing(&issuer.token(&claims("acme", 600))));
    assert_eq!(region_of(&proxy, &by_old), "eu");
    assert_eq!(region_of(&proxy, &by_new), "us");
    let file = proxy.dir().join("jwks.json");
    replace(&file, new.jwks().to_string().as_bytes());
    until("the new key to count", || region_of(&proxy, &by_new) == "eu");
    assert_eq!(region_of(&proxy, &by_old), "us", "a token of a key that is gone");
    // A set that cannot be used changes nothing.
    replace(&file, b"{ \"keys\": [] }");
    until("the refusal", || proxy.reloads("keys", "failure") > 0.0);
    assert_eq!(region_of(&proxy, &by_new), "eu");
}

// --- affinity

const STICKY: &str =
    "routing_strategy: round_robin\naffinity: { mode: cookie, name: stay, ttl_seconds: 600 }";

#[test]
fn a_client_with_a_cookie_stays_and_the_cookie_is_between_it_and_the_proxy() {
    let world = World::new();
    let proxy = world.signed().workers(1).deployment(STICKY).start();
    let first = proxy.ask(&Request::get("/"));
    let (value, attributes) = cookie(&first, "stay").expect("a cookie");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
    let home = first.region().to_owned();
    let both = format!("a=1; stay={value}; b=2");
    for _ in 0..5 {
        let response = proxy.ask(&Request::get("/").with("Cookie", both.clone()));
        assert_eq!(response.region(), home);
        assert_eq!(cookie(&response, "stay"), None, "it is set once");
        let origin = if home == "us" { &world.us } else { &world.eu };
        assert_eq!(origin.last().head.get("cookie"), Some("a=1; b=2"));
    }
    // Without it, the turn goes round.
    let regions: std::collections::BTreeSet<_> =
        (0..4).map(|_| region_of(&proxy, &Request::get("/"))).collect();
    assert_eq!(regions.len(), 2);
    assert_eq!(proxy.metric("rhumb_tokens_refused_total", &[]), 0.0);
}

#[test]
fn a_forged_cookie_is_as_if_there_were_none() {
    let world = World::new();
    let proxy = world
        .signed()
        .deployment("routing_strategy: failover\naffinity: { mode: cookie, name: stay }")
        .start();
    let claim = |purpose, deployment| token(purpose, deployment, "eu");
    let genuine = claim(Purpose::Affinity, "api");
    let ask = |value: &str| proxy.ask(&Request::get("/").with("Cookie", format!("stay={value}")));
    assert_eq!(ask(&genuine).region(), "eu");
    let expired = keyring("k1", SECRET).sign(&Claim {
        purpose: Purpose::Affinity,
        deployment: "api",
        subject: "eu",
        issued: 1,
        expires: Some(2),
    });
    let thief = |id: &str| {
        let claim = Claim {
            purpose: Purpose::Affinity,
            deployment: "api",
            subject: "eu",
            issued: now(),
            expires: None,
        };
        keyring(id, OTHER_SECRET).sign(&claim).unwrap()
    };
    for (why, value) in [
        ("malformed", "eu".to_owned()),
        ("malformed", genuine[..genuine.len() - 8].chars().rev().collect()),
        ("forged", thief("k1")),
        ("unknown_key", thief("k9")),
        ("expired", expired.unwrap()),
        ("misplaced", claim(Purpose::Written, "api")),
        ("misplaced", claim(Purpose::Force, "api")),
        ("misplaced", claim(Purpose::Affinity, "other")),
    ] {
        let before = refused(&proxy, why);
        let response = ask(&value);
        assert_eq!(response.region(), "us", "{why}: {value}");
        assert!(cookie(&response, "stay").is_some(), "a genuine one takes its place");
        assert_eq!(refused(&proxy, why), before + 1.0, "{why}: {value}");
    }
    for end in 1..genuine.len() {
        assert_eq!(ask(&genuine[..end]).region(), "us", "cut at {end}");
    }
    // A region that there is not any more, or never was.
    assert_eq!(ask(&token(Purpose::Affinity, "api", "ap")).region(), "us");
}

#[test]
fn keys_are_rotated_over_reloads_without_losing_a_client() {
    let world = World::new();
    let with = |keys: &[(&str, &str)]| {
        world
            .setup()
            .top(&signing(keys))
            .deployment("routing_strategy: failover\naffinity: { mode: cookie, name: stay }")
            .yaml()
    };
    let (old, new) = (("k1", SECRET), ("k2", OTHER_SECRET));
    let proxy = Proxy::start(&with(&[old]));
    let by_old = token(Purpose::Affinity, "api", "eu");
    let ask = |value: &str| proxy.ask(&Request::get("/").with("Cookie", format!("stay={value}")));
    assert_eq!(ask(&by_old).region(), "eu");
    proxy.reload(&with(&[new, old]));
    assert_eq!(ask(&by_old).region(), "eu", "both verify");
    let (fresh, _) = cookie(&proxy.ask(&Request::get("/")), "stay").unwrap();
    let opened =
        keyring("k2", OTHER_SECRET).open(fresh.as_bytes(), Purpose::Affinity, "api", now());
    assert_eq!(opened.unwrap().subject(), "us", "the first signs");
    proxy.reload(&with(&[new]));
    assert_eq!(ask(&by_old).region(), "us", "its key is gone");
    assert_eq!(cookie(&ask(&fresh), "stay"), None, "still good");
}

#[test]
fn an_origin_cannot_set_what_only_the_proxy_may() {
    let stolen = token(Purpose::Affinity, "api", "eu");
    let field =
        format!("Set-Cookie: stay={stolen}; Path=/\r\nSet-Cookie: own=1\r\nX-Written: eu\r\n");
    let us = Origin::with("us", move |exchange| {
        exchange.read_body()?;
        exchange.answer("200 OK", &format!("{field}X-Rhumb-Decision: mine\r\n"), b"")
    });
    let proxy = Setup::over(&[("us", us.address)])
        .top(&signing(&[("k1", SECRET)]))
        .deployment(
            "affinity: { mode: cookie, name: stay }\n\
             writes: { sticky_seconds: 60, header: x-written }",
        )
        .start();
    let response = proxy.ask(&Request::get("/"));
    let (value, _) = cookie(&response, "stay").expect("the proxy's own");
    let opened = keyring("k1", SECRET).open(value.as_bytes(), Purpose::Affinity, "api", now());
    assert_eq!(opened.unwrap().subject(), "us");
    assert!(response.head.all("set-cookie").contains(&"own=1"));
    assert_eq!(response.head.all("x-written"), [""; 0]);
    assert_eq!(response.head.all("x-rhumb-decision"), [""; 0]);
}

#[test]
fn a_token_in_a_header_does_the_same() {
    let world = World::new();
    let proxy = world
        .signed()
        .deployment("routing_strategy: failover\naffinity: { mode: header, name: x-stay }")
        .start();
    let response = proxy.ask(&Request::get("/"));
    let given = response.head.get("x-stay").expect("a token").to_owned();
    assert_eq!(response.head.all("set-cookie"), [""; 0]);
    let again = proxy.ask(&Request::get("/").with("X-Stay", given));
    assert_eq!((again.region(), again.head.get("x-stay")), ("us", None));
    let other = token(Purpose::Affinity, "api", "eu");
    assert_eq!(region_of(&proxy, &Request::get("/").with("X-Stay", other)), "eu");
    assert_eq!(world.eu.last().head.all("x-stay"), [""; 0], "it is not sent on");
}

fn failing_over(on_failure: &str) -> String {
    format!(
        "routing_strategy: failover\n\
         affinity: {{ mode: cookie, name: stay, on_failure: {on_failure} }}\n\
         health_check: {{ interval_seconds: 0.05, timeout_seconds: 5 }}\n\
         failover: {{ failover_cooldown_seconds: 0 }}"
    )
}

#[test]
fn when_its_region_is_down_a_client_moves_as_the_deployment_says() {
    for on_failure in ["none", "temporary", "sticky"] {
        let world = World::new();
        let proxy = world.signed().deployment(&failing_over(on_failure)).start();
        let at_eu = Request::get("/")
            .with("Cookie", format!("stay={}", token(Purpose::Affinity, "api", "eu")));
        assert_eq!(region_of(&proxy, &at_eu), "eu");
        world.eu.set_healthy(false);
        proxy.until_state("eu", "down");
        let response = proxy.ask(&at_eu);
        match on_failure {
            "none" => response.assert_problem(503, "no_healthy_region"),
            "temporary" => {
                assert_eq!(response.region(), "us");
                assert_eq!(cookie(&response, "stay"), None, "it comes back when it can");
            }
            _ => {
                assert_eq!(response.region(), "us");
                let (moved, _) = cookie(&response, "stay").expect("the token moves");
                let ring = keyring("k1", SECRET);
                let opened = ring.open(moved.as_bytes(), Purpose::Affinity, "api", now());
                assert_eq!(opened.unwrap().subject(), "us");
            }
        }
    }
}

// --- read your writes

const WRITES: &str = "routing_strategy: geolocation\n\
    writes: { mode: primary, sticky_seconds: 60, cookie: wrote, caught_up_header: x-caught-up }";

#[test]
fn reads_follow_a_write_until_the_origin_has_caught_up() {
    let us = Origin::with("us", |exchange| {
        let body = exchange.read_body()?;
        match (exchange.head.word(1).to_owned().as_str(), body.text().as_str()) {
            ("/caught-up", _) => exchange.answer("200 OK", "X-Caught-Up: true\r\n", b""),
            ("/behind", _) => exchange.answer("200 OK", "X-Caught-Up: false\r\n", b""),
            ("/broken", _) => exchange.answer("500 Broken", "", b""),
            ("/see-other", _) => exchange.answer("303 See Other", "Location: /\r\n", b""),
            _ => exchange.answer_own_name(),
        }
    });
    let eu = Origin::named("eu");
    let proxy = Setup::over(&[("us", us.address), ("eu", eu.address)])
        .trusting()
        .top(&signing(&[("k1", SECRET)]))
        .deployment(WRITES)
        .start();
    let read = |path: &str| Request::get(path).from(GERMANY);
    let write = |path: &str| Request::post(path, "x").from(GERMANY);
    let response = proxy.ask(&read("/"));
    assert_eq!((response.region(), cookie(&response, "wrote")), ("eu", None));

    let response = proxy.ask(&write("/"));
    assert_eq!(response.region(), "us");
    let (value, attributes) = cookie(&response, "wrote").expect("a token");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
    let wrote = format!("wrote={value}");
    let response = proxy.ask(&read("/").with("Cookie", wrote.clone()));
    assert_eq!((response.region(), cookie(&response, "wrote")), ("us", None));
    assert_eq!(us.last().head.all("cookie"), [""; 0], "it is not sent on");
    let response = proxy.ask(&read("/behind").with("Cookie", wrote.clone()));
    assert_eq!((response.region(), cookie(&response, "wrote")), ("us", None));
    let response = proxy.ask(&read("/caught-up").with("Cookie", wrote.clone()));
    let (value, attributes) = cookie(&response, "wrote").expect("it is taken back");
    assert_eq!(value, "");
    assert!(attributes.ends_with("Max-Age=0"), "{attributes}");
    assert_eq!(region_of(&proxy, &read("/").with("Cookie", "wrote=")), "eu");

    assert!(cookie(&proxy.ask(&write("/see-other")), "wrote").is_some());
    for path in ["/broken", "/caught-up"] {
        assert_eq!(cookie(&proxy.ask(&write(path)), "wrote"), None, "{path}");
    }
    assert_eq!(proxy.metric("rhumb_tokens_refused_total", &[]), 0.0);
}

// --- hints

#[test]
fn hints_are_nothing_unless_they_are_asked_for_and_never_go_on() {
    let world = World::new();
    let proxy = world.signed().trusting().deployment("routing_strategy: failover").start();
    let hinted = Request::get("/")
        .with("X-Rhumb-Force-Region", "eu")
        .with("X-Rhumb-Prefer-Region", token(Purpose::Prefer, "api", "eu"))
        .with("X-Rhumb-Explain", "eu");
    assert_eq!(region_of(&proxy, &hinted), "us");
    let head = world.us.last().head;
    assert!(
        !head.fields.iter().any(|(name, _)| name.to_lowercase().contains("rhumb-")),
        "{head:?}"
    );
}

#[test]
fn hints_count_from_whom_the_deployment_says() {
    let world = World::new();
    let signed_force = token(Purpose::Force, "api", "eu");
    let signed_prefer = token(Purpose::Prefer, "api", "eu");
    for (from, trusted, stranger, signed) in [
        ("trusted", "eu", "us", "us"),
        ("signed", "us", "us", "eu"),
        ("trusted_or_signed", "eu", "us", "eu"),
    ] {
        let hints = format!(
            "routing_strategy: failover\nhints: {{ prefer: true, force: true, from: {from} }}"
        );
        let proxy = world.signed().top(TRUSTING_ONE).deployment(&hints).start();
        for (name, token) in
            [("X-Rhumb-Force-Region", &signed_force), ("X-Rhumb-Prefer-Region", &signed_prefer)]
        {
            let plain = Request::get("/").with(name, "eu");
            assert_eq!(region_of(&proxy, &plain), trusted, "{from} {name}");
            let from_stranger = proxy.client_from("127.0.0.2").ask(&plain);
            assert_eq!(from_stranger.region(), stranger, "{from} {name}");
            let request = Request::get("/").with(name, token.clone());
            let found = proxy.client_from("127.0.0.2").ask(&request);
            assert_eq!(found.region(), signed, "{from} {name}");
        }
        // One is not good for the other.
        let request = Request::get("/").with("X-Rhumb-Force-Region", signed_prefer.clone());
        assert_eq!(region_of(&proxy, &request), "us", "{from}");
        let twice =
            Request::get("/").with("X-Rhumb-Force-Region", "eu").with("X-Rhumb-Force-Region", "eu");
        assert_eq!(region_of(&proxy, &twice), "us", "{from}");
    }
}

#[test]
fn a_forced_region_answers_or_nobody_does() {
    let mut world = World::new();
    let proxy = world
        .setup()
        .trusting()
        .deployment(
            "routing_strategy: failover\nhints: { prefer: true, force: true }\n\
             health_check: { interval_seconds: 0.05, timeout_seconds: 5 }",
        )
        .start();
    let forced = |region: &str| Request::get("/").with("X-Rhumb-Force-Region", region);
    let preferred = |region: &str| Request::get("/").with("X-Rhumb-Prefer-Region", region);
    proxy.ask(&forced("ap")).assert_problem(503, "region_unavailable");
    assert_eq!(region_of(&proxy, &preferred("ap")), "us");
    world.eu.stop();
    proxy.until_state("eu", "down");
    proxy.ask(&forced("eu")).assert_problem(503, "region_unavailable");
    assert_eq!(region_of(&proxy, &preferred("eu")), "us");
    assert_eq!(region_of(&proxy, &forced("us")), "us");
}

#[test]
fn operators_sign_tokens_by_command() {
    let world = World::new();
    let hints = "routing_strategy: failover\nhints: { prefer: true, force: true, from: signed }";
    let proxy = world.signed().deployment(hints).start();
    let config = proxy.config();
    let sign = |more: &[&str]| {
        let mut arguments = vec!["token", "sign", "--config", config.to_str().unwrap()];
        arguments.extend(more);
        rhumb(&arguments)
    };
    for (purpose, name) in [("force", "X-Rhumb-Force-Region"), ("prefer", "X-Rhumb-Prefer-Region")]
    {
        let arguments =
            ["--purpose", purpose, "--deployment", "api", "--region", "eu", "--ttl", "60"];
        let output = sign(&arguments);
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).unwrap();
        let request = Request::get("/").with(name, token.trim());
        assert_eq!(region_of(&proxy, &request), "eu", "{purpose}");
    }
    let output = sign(&["--purpose", "explain", "--deployment", "api", "--ttl", "60", "--json"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(printed["expires"].as_u64().unwrap() > now());
    let request = Request::get("/").with("X-Rhumb-Explain", printed["token"].as_str().unwrap());
    assert!(proxy.ask(&request).head.get("x-rhumb-decision").is_some());
    for (wrong, code) in [
        (&["--purpose", "force", "--deployment", "api", "--region", "ap", "--ttl", "60"][..], 1),
        (&["--purpose", "force", "--deployment", "no", "--region", "eu", "--ttl", "60"], 1),
        (&["--purpose", "force", "--deployment", "api", "--ttl", "60"], 2),
        (&["--purpose", "explain", "--deployment", "api", "--ttl", "0"], 2),
        (&["--purpose", "hops", "--deployment", "api", "--ttl", "60"], 2),
    ] {
        let output = sign(wrong);
        assert_eq!(output.status.code(), Some(code), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
}

// --- replays

/// An origin that says who should answer instead: whoever the request names in `x-replay`.
fn pointing(name: &str) -> Origin {
    Origin::with(name, |exchange| {
        exchange.read_body()?;
        match exchange.head.get("x-replay").map(str::to_owned) {
            Some(wish) => {
                exchange.answer("409 Conflict", &format!("Rhumb-Replay: {wish}\r\n"), b"not me")
            }
            None => exchange.answer_own_name(),
        }
    })
}

fn replaying(us: &Origin, eu: &Origin, more: &str) -> Setup {
    Setup::over(&[("us", us.address), ("eu", eu.address)])
        .trusting()
        .deployment(&format!("routing_strategy: failover\nreplay: {{ regions: [us, eu] }}\n{more}"))
}

#[test]
fn an_origin_has_a_request_replayed_elsewhere_whatever_its_method() {
    let (us, eu) = (pointing("us"), Origin::named("eu"));
    let proxy = replaying(&us, &eu, "").start();
    let mut client = proxy.client();
    let long = "y".repeat(60 << 10);
    for (method, body) in
        [("GET", ""), ("DELETE", ""), ("POST", "a body"), ("PATCH", "another"), ("POST", &long)]
    {
        let request = Request::new(method, "/a?b=c").carrying(body);
        let response = client.ask(&request.with("X-Replay", "region=eu").with("X-Kept", "1"));
        assert_eq!((response.status(), response.region()), (200, "eu"), "{method}");
        assert_eq!(response.head.all("rhumb-replay"), [""; 0]);
        let received = eu.last();
        assert_eq!(received.head.word(1), "/a?b=c");
        assert_eq!(received.head.get("x-kept"), Some("1"));
        assert_eq!(received.body.unwrap().text(), body);
        assert_eq!(received.head.all("x-forwarded-for").len(), 1);
    }
    assert_eq!(us.count(), eu.count());
    let reason = ["reason=\"replay\"", "region=\"eu\""];
    assert_eq!(proxy.metric("rhumb_decisions_total", &reason), eu.count() as f64);
}

#[test]
fn a_chunked_body_is_replayed_with_its_trailers() {
    let (us, eu) = (pointing("us"), Origin::named("eu"));
    let proxy = replaying(&us, &eu, "").start();
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: api.test\r\nX-Replay: region=eu\r\nTrailer: X-Sum\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 4\r\n\r\n",
    );
    let response = client.read("POST");
    assert_eq!((response.status(), response.region()), (200, "eu"), "{response:#?}");
    for origin in [&us, &eu] {
        let body = origin.only().body.unwrap();
        assert_eq!(body.text(), "abcd");
        assert_eq!(body.trailers, [("x-sum".to_owned(), "4".to_owned())]);
    }
    assert_eq!(client.ask(&Request::get("/")).region(), "us", "the connection goes on");
}

#[test]
fn a_body_that_has_not_come_yet_goes_where_the_request_is_replayed() {
    let us = Origin::with("us", |exchange| {
        exchange.keep = false;
        exchange.answer("409 Conflict", "Rhumb-Replay: region=eu\r\n", b"not me")
    });
    let eu = Origin::named("eu");
    let proxy = replaying(&us, &eu, "").start();
    for body in ["late".to_owned(), "l".repeat(200 << 10)] {
        let (us_before, eu_before) = (us.count(), eu.count());
        let mut client = proxy.client();
        let head = Request::post("/", "").with("Content-Length", body.len().to_string()).bytes();
        client.send(head);
        until("the replay", || eu.count() == eu_before + 1);
        assert_eq!(us.count(), us_before + 1);
        // Longer than what is kept, but nothing of it has gone elsewhere.
        client.send(&body);
        let response = client.read("POST");
        assert_eq!((response.status(), response.region()), (200, "eu"), "{response:#?}");
        assert_eq!(eu.last().body.unwrap().text(), body);
    }
}

#[test]
fn replays_that_may_not_be_are_refused() {
    let (us, mut eu) = (pointing("us"), pointing("eu"));
    let more = "hints: { force: true }\n\
                residency: [{ name: law, applies_to: { headers: { x-law: us } }, allowed_regions: [us] }]\n\
                health_check: { interval_seconds: 0.05, timeout_seconds: 5 }";
    let proxy = replaying(&us, &eu, more).start();
    let get = |wish: &str| Request::get("/").with("X-Replay", wish);
    for wish in ["region=ap", "region=", "eu", "region=eu;x=y"] {
        proxy.ask(&get(wish)).assert_problem(502, "replay_refused");
    }
    assert_eq!(eu.count(), 0);
    proxy.ask(&get("region=eu").with("X-Law", "us")).assert_problem(502, "replay_refused");
    assert_eq!(eu.count(), 0, "it may not see the request");
    let looped = proxy.ask(&get("region=eu"));
    looped.assert_problem(502, "replay_loop");
    assert_eq!(looped.head.all("rhumb-replay"), [""; 0]);
    assert_eq!(eu.count(), 1, "it is replayed once");
    proxy.ask(&get("region=us")).assert_problem(502, "replay_loop");
    eu.stop();
    proxy.until_state("eu", "down");
    proxy.ask(&get("region=eu")).assert_problem(503, "region_unavailable");
    let big = vec![b'z'; (64 << 10) + 1];
    let request = Request::post("/", big).with("X-Replay", "region=us");
    proxy.ask(&request).assert_problem(502, "replay_too_large");
    assert_eq!(proxy.metric("rhumb_residency_violations_total", &[]), 0.0);
}

#[test]
fn without_leave_an_answer_that_asks_for_a_replay_is_the_answer() {
    let (us, eu) = (pointing("us"), Origin::named("eu"));
    let proxy = Setup::over(&[("us", us.address), ("eu", eu.address)])
        .deployment("routing_strategy: failover")
        .start();
    let response = proxy.ask(&Request::get("/").with("X-Replay", "region=eu"));
    assert_eq!((response.status(), response.region()), (409, "us"));
    assert_eq!(response.head.all("rhumb-replay"), [""; 0]);
}

// --- chains

fn hops(id: &str, most: u32) -> String {
    format!("hops: {{ id: {id}, most: {most} }}")
}

#[test]
fn two_that_send_to_each_other_notice() {
    let nobody = Origin::named("nobody");
    let one = |id: &str, next| {
        Setup::over(&[("us", next)]).top(&signing(&[("k1", SECRET)])).top(&hops(id, 8))
    };
    let first = one("first", nobody.address).start();
    let second = one("second", first.address).start();
    first.reload(&one("first", second.address).yaml());
    let response = first.ask(&Request::get("/"));
    response.assert_problem(508, "loop_detected");
    assert_eq!(response.json()["hops"], json!(["first", "second", "first"]));
    assert_eq!(nobody.count(), 0);
}

#[test]
fn a_list_of_hops_is_believed_only_when_it_is_signed() {
    let world = World::new();
    let proxy = world.signed().top(&hops("here", 2)).start();
    let asked = |list: &str| proxy.ask(&Request::get("/").with("Rhumb-Hops", list));
    let opened = || {
        let head = world.us.last().head;
        let list = head.get("rhumb-hops").expect("a list").to_owned();
        let opened = keyring("k1", SECRET).open(list.as_bytes(), Purpose::Hops, "", now());
        opened.unwrap().subject().to_owned()
    };
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    assert_eq!(opened(), "here");
    assert_eq!(asked(&token(Purpose::Hops, "", "there")).status(), 200);
    assert_eq!(opened(), "there,here");
    let thief = keyring("k1", OTHER_SECRET).sign(&Claim {
        purpose: Purpose::Hops,
        deployment: "",
        subject: "here",
        issued: now(),
        expires: None,
    });
    for forged in ["here", "here,there", &thief.unwrap(), &token(Purpose::Force, "", "here")] {
        assert_eq!(asked(forged).status(), 200, "{forged}");
        assert_eq!(opened(), "here", "it is replaced");
    }
    let before = world.requests();
    asked(&token(Purpose::Hops, "", "here")).assert_problem(508, "loop_detected");
    let far = asked(&token(Purpose::Hops, "", "a,b"));
    far.assert_problem(508, "loop_detected");
    assert_eq!(far.json()["hops"], json!(["a", "b", "here"]));
    assert_eq!(world.requests(), before);
    // Nobody takes it off by calling it hop-by-hop.
    let list = token(Purpose::Hops, "", "here");
    let request = Request::get("/").with("Rhumb-Hops", list).with("Connection", "rhumb-hops");
    proxy.ask(&request).assert_problem(508, "loop_detected");
}

// --- explained

#[test]
fn a_decision_is_told_to_whoever_may_see_it() {
    let world = World::new();
    let deployment = "routing_strategy: failover\n\
         residency: [{ name: law, applies_to: { headers: { x-law: eu } }, allowed_regions: [eu] },\
         { name: other, applies_to: { headers: { x-law2: us } }, allowed_regions: [us] }]\n\
         routing_rules: [{ id: beta, header_conditions: { x-beta: \"1\" }, target_regions: [eu] }]";
    let proxy = world.signed().deployment(deployment).start();
    let explain = token(Purpose::Explain, "api", "");
    let told = |request: Request| {
        let response = proxy.ask(&request.with("X-Rhumb-Explain", explain.clone()));
        response.head.get("x-rhumb-decision").expect("the decision").to_owned()
    };
    let generation = proxy.generation();
    let line = told(Request::get("/"));
    let start =
        format!("answered=us deployment=api region=us reason=failover generation={generation}; ");
    assert!(line.starts_with(&start), "{line}");
    for step in ["; eligible=us,eu", "; strategy=us,eu", "; health=us,eu"] {
        assert!(line.contains(step), "{step} in {line}");
    }
    let line = told(Request::get("/").with("X-Beta", "1"));
    assert!(
        line.starts_with("answered=eu deployment=api region=eu reason=rule rule=beta "),
        "{line}"
    );
    let line = told(Request::get("/").with("X-Law", "eu"));
    assert!(line.contains("; residency=eu -us("), "{line}");
    let line = told(Request::get("/").with("X-Law", "eu").with("X-Law2", "us"));
    assert!(line.starts_with("deployment=api refused=residency_unavailable "), "{line}");
    assert!(line.len() <= 2048);
    for (name, value) in [
        ("X-Rhumb-Explain", String::new()),
        ("X-Rhumb-Explain", "yes".to_owned()),
        ("X-Rhumb-Explain", token(Purpose::Explain, "other", "")),
        ("X-Rhumb-Explain", token(Purpose::Force, "api", "")),
        ("X-Other", explain.clone()),
    ] {
        let response = proxy.ask(&Request::get("/").with(name, value.clone()));
        assert_eq!(response.head.all("x-rhumb-decision"), [""; 0], "{name}: {value}");
    }
}

// --- the law at every attempt

#[test]
fn no_attempt_leaves_the_law_even_when_what_it_asks_for_is_not_sent_on() {
    let mut world = World::new();
    let deployment = "routing_strategy: failover\n\
         residency: [{ name: law, applies_to: { headers: { x-law: eu } }, allowed_regions: [eu] }]\n\
         health_check: { interval_seconds: 0.05, timeout_seconds: 5 }";
    let proxy = world.setup().trusting().deployment(deployment).start();
    // `Connection` takes the field off before the request is sent on, and so before a retry.
    let bound = Request::get("/").with("X-Law", "eu").with("Connection", "x-law");
    assert_eq!(region_of(&proxy, &bound), "eu");
    assert_eq!(world.eu.last().head.all("x-law"), [""; 0]);
    world.eu.stop();
    // Before, while and after its region is found to be down.
    until("the region to be down", || {
        proxy.ask(&bound).assert_problem(502, "upstream_unreachable");
        proxy.state("eu") == "down"
    });
    proxy.ask(&bound).assert_problem(502, "upstream_unreachable");
    assert_eq!(world.us.count(), 0, "the law was broken");
    assert_eq!(region_of(&proxy, &Request::get("/")), "us");
    let metrics = proxy.metrics();
    assert!(metrics.contains("\nrhumb_residency_violations_total 0\n"), "{metrics}");
}

/// An origin that breaks every connection once it is told to, after the request has come.
fn breaking(name: &str) -> (Origin, SyncSender<()>) {
    let (release, released): (_, Receiver<()>) = sync_channel(1);
    let released = Mutex::new(released);
    let origin = Origin::with(name, move |exchange| {
        // Also when the test has ended.
        let _ = released.lock().unwrap().recv();
        exchange.reset()
    });
    (origin, release)
}

#[test]
fn a_retry_obeys_the_law_of_its_own_moment() {
    let (us, release) = breaking("us");
    let eu = Origin::named("eu");
    let law = |allowed: &str| {
        Setup::over(&[("us", us.address), ("eu", eu.address)])
            .region("ap", &[us.address])
            .deployment(&format!(
                "primary_region: us\nreplica_regions: [ap, eu]\nrouting_strategy: failover\n\
                 residency: [{{ name: law, allowed_regions: [{allowed}] }}]"
            ))
            .yaml()
    };
    let proxy = Proxy::start(&law("us, ap"));
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    until("the request", || us.count() == 1);
    proxy.reload(&law("eu"));
    release.send(()).unwrap();
    let response = client.read("GET");
    assert_eq!((response.status(), response.region()), (200, "eu"));
    assert_eq!(us.count(), 1, "it was sent to a region that may not see it any more");
}

#[test]
fn a_retry_is_decided_on_what_was_taken_off_the_request_as_well() {
    let (ap, release) = breaking("ap");
    let world = World::new();
    let deployment = |rule: &str| {
        Setup::over(&[("ap", ap.address), ("us", world.us.address), ("eu", world.eu.address)])
            .deployment(&format!(
                "routing_strategy: failover\n\
                 residency: [{{ name: law, applies_to: {{ headers: {{ x-law: eu }} }}, \
                 allowed_regions: [ap, eu] }}]\n\
                 routing_rules: [{{ id: {rule}, header_conditions: {{ x-no: \"1\" }}, \
                 target_regions: [us] }}]"
            ))
            .yaml()
    };
    let proxy = Proxy::start(&deployment("one"));
    let mut client = proxy.client();
    let bound = Request::get("/").with("X-Law", "eu").with("Connection", "x-law");
    client.send(bound.bytes());
    until("the request", || ap.count() == 1);
    assert_eq!(ap.last().head.all("x-law"), [""; 0]);
    // Any change makes the retry decide anew.
    proxy.reload(&deployment("other"));
    release.send(()).unwrap();
    let response = client.read("GET");
    assert_eq!((response.status(), response.region()), (200, "eu"));
    assert_eq!(world.us.count(), 0, "the law was broken");
}

#[test]
fn every_refusal_says_which_it_is() {
    let world = World::new();
    let deployment = "routing_strategy: compliance\n\
         writes: { mode: primary, when_down: read_only }\n\
         residency: [{ name: a, applies_to: { headers: { x-a: \"1\" } }, allowed_regions: [us, eu] },\
         { name: b, applies_to: { headers: { x-b: \"1\" } }, allowed_regions: [us] },\
         { name: c, applies_to: { headers: { x-c: \"1\" } }, allowed_regions: [eu] }]\n\
         health_check: { interval_seconds: 0.05, timeout_seconds: 5 }";
    let proxy = world.setup().deployment(deployment).start();
    let get = Request::get;
    proxy.ask(&get("/")).assert_problem(503, "residency_required");
    proxy
        .ask(&get("/").with("X-B", "1").with("X-C", "1"))
        .assert_problem(503, "residency_unavailable");
    assert_eq!(proxy.ask(&get("/").with("X-A", "1")).status(), 200);
    world.us.set_healthy(false);
    proxy.until_state("us", "down");
    proxy.ask(&Request::post("/", "x").with("X-A", "1")).assert_problem(503, "read_only");
    assert_eq!(region_of(&proxy, &get("/").with("X-A", "1")), "eu");
}
