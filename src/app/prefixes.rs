//! Path prefixes that match nothing, because no path of a request is spelled as they are: `rhumb
//! check` warns of them. Other mistakes in paths are `config`'s.

use std::path::Path;

use crate::config::{Config, ConfigError, Deployment, Severity};
use crate::routing::normal_path;

/// A warning for each prefix that is not in the normal form of paths; `file` is the configuration's.
pub(super) fn odd_prefixes(config: &Config, file: &Path) -> Vec<ConfigError> {
    let mut warnings = Vec::new();
    for (place, deployment) in config.deployments.iter().enumerate() {
        for (field, prefix) in prefixes(deployment) {
            let (message, help) = match normal_path(prefix, &config.requests) {
                Ok(normal) if normal == prefix => continue,
                Ok(normal) => (
                    format!("no path below {prefix:?} is known by that spelling"),
                    format!("write `{normal}`"),
                ),
                Err(error) => (
                    format!("every request for a path below {prefix:?} is refused: {error}"),
                    "write the path that such requests have, or change `requests`".to_owned(),
                ),
            };
            let mut warning = ConfigError::of_file(file, message);
            warning.severity = Severity::Warning;
            warning.path = format!("deployments[{place}].{field}");
            warning.help = Some(help);
            warnings.push(warning);
        }
    }
    warnings
}

/// All prefixes of a deployment, with the fields that they are in.
fn prefixes(deployment: &Deployment) -> impl Iterator<Item = (String, &str)> {
    let own = [("path_prefix".to_owned(), deployment.path_prefix.as_str())];
    let rules = deployment.rules.iter().enumerate().flat_map(|(rule, settings)| {
        listed(format!("routing_rules[{rule}].path_prefixes"), &settings.path_prefixes)
    });
    let policies = deployment.residency.iter().enumerate().flat_map(|(policy, settings)| {
        let field = format!("residency[{policy}].applies_to.path_prefixes");
        listed(field, &settings.applies_to.path_prefixes)
    });
    own.into_iter().chain(rules).chain(policies)
}

fn listed(field: String, prefixes: &[String]) -> impl Iterator<Item = (String, &str)> {
    let prefixes = prefixes.iter().enumerate();
    prefixes.map(move |(place, prefix)| (format!("{field}[{place}]"), prefix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn warnings(prefix: &str, requests: &str) -> Vec<(String, String)> {
        let text = format!(
            r#"
            listeners: [{{ address: "127.0.0.1:0" }}]
            requests: {{ {requests} }}
            regions:
              - {{ id: eu, latitude: 0, longitude: 0, country: DE, endpoints: ["http://1.1.1.1:1"] }}
            deployments:
              - name: api
                primary_region: eu
                path_prefix: "{prefix}"
                routing_rules: [{{ id: r, path_prefixes: ["{prefix}/r"], target_regions: [eu] }}]
                residency:
                  - {{ name: p, applies_to: {{ path_prefixes: ["{prefix}/p"] }}, allowed_regions: [eu] }}
        "#
        );
        let loaded = config::parse(&text, "test.yaml", "".as_ref(), &|_| None).unwrap();
        let warnings = odd_prefixes(&loaded.config, "test.yaml".as_ref());
        assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
        let told = |warning: ConfigError| (warning.path, warning.help.unwrap_or(warning.message));
        warnings.into_iter().map(told).collect()
    }

    #[test]
    fn a_prefix_in_another_form_is_warned_of_wherever_it_is() {
        for prefix in ["/v1", "/%E2%82%AC", "/a;b=c", "/a%20b"] {
            assert_eq!(warnings(prefix, ""), [], "{prefix}");
        }
        let pairs = |normal: &str| {
            [
                ("deployments[0].path_prefix".to_owned(), format!("write `{normal}`")),
                (
                    "deployments[0].routing_rules[0].path_prefixes[0]".to_owned(),
                    format!("write `{normal}/r`"),
                ),
                (
                    "deployments[0].residency[0].applies_to.path_prefixes[0]".to_owned(),
                    format!("write `{normal}/p`"),
                ),
            ]
        };
        for (prefix, normal) in
            [("/%7euser", "/~user"), ("/%e2%82%ac", "/%E2%82%AC"), ("/%41", "/A")]
        {
            assert_eq!(warnings(prefix, ""), pairs(normal), "{prefix}");
        }
        assert_eq!(warnings("/a%2Fb", "encoded_slash: refuse").len(), 3);
        assert_eq!(warnings("/a%2Fb", "encoded_slash: keep"), []);
        assert_eq!(warnings("/a%2fb", "encoded_slash: decode"), pairs("/a/b"));
    }
}
