//! What an explanation looks like.

use serde_json::json;

use super::fixture::{Request, deployment, header, rule, table, three_regions};
use super::with_down;
use crate::config::{Deployment, HostPattern, Strategy};
use crate::routing::tests::fixture::country;
use crate::routing::{Conditions, Draws, Table, explain};

fn api() -> Table {
    let mut europe = rule("eu_users", &["eu", "gone"], &["us"]);
    europe.priority = 10;
    europe.source_countries = vec![country("DE")];
    europe.header_conditions = vec![header("x-beta", "1")];
    let api = Deployment {
        rules: vec![europe],
        excluded_regions: vec!["sa".into()],
        hosts: vec![HostPattern::Exact("api.example.com".to_owned())],
        ..deployment("api", Strategy::Geolocation, three_regions())
    };
    table(vec![api], None)
}

#[test]
fn an_explanation_is_json_of_this_shape() {
    let table = with_down(&api(), &["us"]);
    let request = Request::default().in_country("DE").at_place(52.0, 13.0);
    let explained = explain(&table, &request.facts(), &Conditions::NONE, Draws::default());
    let expected = json!({
        "generation": 2,
        "deployment": "api",
        "client": {
            "address": "192.0.2.1", "source": "peer", "country": "DE", "latitude": 52.0,
            "longitude": 13.0, "asn": null, "tenant": null
        },
        "decision": {
            "region": "eu", "endpoint": "http://eu.example:8000", "address": null,
            "reason": "geolocation", "rule": null, "alternates": ["ap"]
        },
        "steps": [
            {
                "step": "deployment", "regions": [], "dropped": [],
                "note": "`api` answers host `api.example.com` and path `/`"
            },
            {
                "step": "eligible", "regions": ["us", "eu", "ap"],
                "dropped": [{"region": "sa", "why": "excluded"}], "note": null
            },
            {
                "step": "rule", "regions": ["us", "eu", "ap"], "dropped": [],
                "note": "none of 1 enabled rules holds"
            },
            {
                "step": "strategy", "regions": ["eu", "us", "ap"], "dropped": [],
                "note": "geolocation: eu 1303.1 km, us 6733.2 km, ap 8978.5 km"
            },
            {
                "step": "health", "regions": ["eu", "ap"],
                "dropped": [{"region": "us", "why": "down"}], "note": null
            }
        ]
    });
    assert_eq!(serde_json::to_value(&explained).unwrap(), expected);
}

#[test]
fn a_refusal_takes_the_place_of_the_decision() {
    let request = Request::default().to("other.example", "/x");
    let explained = explain(&api(), &request.facts(), &Conditions::NONE, Draws::default());
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["refusal"], json!({"reason": "no_deployment", "status": 404}));
    assert_eq!(json["deployment"], json!(null));
    assert!(json.get("decision").is_none());
}

#[test]
fn people_read_the_answer_first_and_then_the_way_to_it() {
    let request =
        Request::default().in_country("DE").at_place(52.0, 13.0).with_header("x-beta", "1");
    let told = explain(&api(), &request.facts(), &Conditions::NONE, Draws::default()).to_string();
    let expected = "\
-> eu at http://eu.example:8000, reason rule, rule eu_users
   then us
deployment api, table generation 1
client 192.0.2.1 (the peer), country DE, at 52.00 13.00

1. deployment
     `api` answers host `api.example.com` and path `/`

2. eligible     us, eu, ap
     dropped sa: excluded

3. rule         eu, us
     rule `eu_users` (priority 10) holds: country DE, x-beta: 1; not eligible: gone
     dropped ap: rule `eu_users` names neither it as a target nor as a fallback

4. strategy     eu, us
     geolocation: eu 1303.1 km; as the rule lists them: us

5. health       eu, us
";
    let trimmed: Vec<&str> = told.lines().map(str::trim_end).collect();
    assert_eq!(trimmed.join("\n") + "\n", expected);
}

#[test]
fn every_number_that_ordered_regions_is_told() {
    let note = |strategy, draws| {
        let table = table(vec![deployment("api", strategy, three_regions())], None);
        let explained = explain(&table, &Request::default().facts(), &Conditions::NONE, draws);
        explained.steps.iter().find(|step| step.step.as_str() == "strategy").unwrap().note.clone()
    };
    let draws = Draws { entropy: 7, turn: 4 };
    assert_eq!(
        note(Strategy::RoundRobin, draws).unwrap(),
        "round_robin: turn 4 among 3 starts at eu"
    );
    let weighted = note(Strategy::Weighted, draws).unwrap();
    assert!(weighted.contains("us weight 1, drew 0."), "{weighted}");
    let unknown = "geolocation: the client's location is unknown: as listed";
    assert_eq!(note(Strategy::Geolocation, draws).unwrap(), unknown);
}
