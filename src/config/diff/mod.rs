//! What a reload changes, field by field, for the log.
//!
//! Regions, deployments and rules are compared by id, so that one that was inserted does not make
//! all behind it look changed. What a change does to traffic is not known here.

mod access_log;
mod compression;
mod edge;
mod fields;
mod life;
mod names;
mod overload;
mod steering;
#[cfg(test)]
mod tests;
mod tracing;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use self::fields::Fields;
use super::settings::{Config, Deployment, Listener, Region, Rule};

/// One field that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field, such as `deployments[api].regions[us-east-1].weight`.
    pub path: String,
    /// What it was; `None`: it is new.
    pub from: Option<String>,
    /// What it is; `None`: it is gone.
    pub to: Option<String>,
    /// Whether it takes effect only when Rhumb is started again.
    pub needs_restart: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{}: {from} -> {to}", self.path),
            (None, Some(to)) => write!(f, "{}: added {to}", self.path),
            (Some(from), None) => write!(f, "{}: removed {from}", self.path),
            (None, None) => f.write_str(&self.path),
        }?;
        if self.needs_restart { f.write_str(" (needs a restart or an upgrade)") } else { Ok(()) }
    }
}

/// Every field that differs; empty when the two configurations are the same.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    let restart = fields::restart;
    changes.compare("", true, &restart(old), &restart(new));
    changes.compare("", false, &fields::live(old), &fields::live(new));
    changes.listeners(old, new);
    changes.secrets(old, new);
    changes.regions(old, new);
    changes.deployments(old, new);
    changes.0
}

struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, path: String, from: Option<String>, to: Option<String>) {
        self.0.push(Change { path, from, to, needs_restart: false });
    }

    fn compare(&mut self, prefix: &str, needs_restart: bool, old: &Fields, new: &Fields) {
        for (field, from, to) in pairs(old, new) {
            if from != to {
                let path = format!("{prefix}{field}");
                let (from, to) = (from.cloned(), to.cloned());
                self.0.push(Change { path, from, to, needs_restart });
            }
        }
    }

    /// Listeners that are there before and after. That others come and go is told by the list of
    /// addresses.
    fn listeners(&mut self, old: &Config, new: &Config) {
        let by_address = |config: &Config| -> BTreeMap<SocketAddr, Listener> {
            config.listeners.iter().map(|it| (it.address, it.clone())).collect()
        };
        let (before, after) = (by_address(old), by_address(new));
        for (address, from, to) in pairs(&before, &after) {
            if let (Some(from), Some(to)) = (from, to) {
                let (from, to) = (edge::listener(from), edge::listener(to));
                self.compare(&format!("listeners[{address}]."), false, &from, &to);
            }
        }
    }

    /// That a secret has changed is told, and nothing of it.
    fn secrets(&mut self, old: &Config, new: &Config) {
        for key in &new.signing {
            let before = old.signing.iter().find(|other| other.id == key.id);
            if before.is_some_and(|before| before.secret != key.secret) {
                let path = format!("signing.keys[{}].secret", key.id);
                self.push(path, Some("(hidden)".to_owned()), Some("(another)".to_owned()));
            }
        }
    }

    fn regions(&mut self, old: &Config, new: &Config) {
        let by_id = |config: &Config| -> BTreeMap<_, _> {
            config.regions.iter().map(|region| (region.id.clone(), region.clone())).collect()
        };
        let (before, after) = (by_id(old), by_id(new));
        for (id, from, to) in pairs(&before, &after) {
            let path = format!("regions[{id}]");
            match (from, to) {
                (Some(from), Some(to)) if from == to => {}
                (Some(from), Some(to)) => {
                    let (from, to) = (fields::region(from), fields::region(to));
                    self.compare(&format!("{path}."), false, &from, &to);
                }
                (from, to) => self.push(path, from.map(|r| place(r)), to.map(|r| place(r))),
            }
        }
        let ids = |config: &Config| fields::ids(config.regions.iter().map(|region| &region.id));
        self.order("regions", &before, &after, (ids(old), ids(new)));
    }

    fn deployments(&mut self, old: &Config, new: &Config) {
        let by_name = |config: &Config| -> BTreeMap<_, _> {
            config.deployments.iter().map(|d| (d.name.clone(), d.clone())).collect()
        };
        let (before, after) = (by_name(old), by_name(new));
        for (name, from, to) in pairs(&before, &after) {
            let path = format!("deployments[{name}]");
            let shown = |d: &Deployment| format!("{} in {}", d.path_prefix, fields::eligible(d));
            match (from, to) {
                (Some(from), Some(to)) if from == to => {}
                (Some(from), Some(to)) => {
                    let (a, b) = (fields::deployment(from), fields::deployment(to));
                    self.compare(&format!("{path}."), false, &a, &b);
                    self.rules(&path, from, to);
                }
                (from, to) => self.push(path, from.map(|d| shown(d)), to.map(|d| shown(d))),
            }
        }
        let names = |config: &Config| fields::ids(config.deployments.iter().map(|d| &d.name));
        self.order("deployments", &before, &after, (names(old), names(new)));
    }

    fn rules(&mut self, path: &str, old: &Deployment, new: &Deployment) {
        let by_id = |deployment: &Deployment| -> BTreeMap<_, Rule> {
            deployment.rules.iter().map(|rule| (rule.id.clone(), rule.clone())).collect()
        };
        let (before, after) = (by_id(old), by_id(new));
        for (id, from, to) in pairs(&before, &after) {
            let path = format!("{path}.routing_rules[{id}]");
            let shown = |rule: &Rule| format!("with targets {}", fields::ids(&rule.target_regions));
            match (from, to) {
                (Some(from), Some(to)) if from == to => {}
                (Some(from), Some(to)) => {
                    let (from, to) = (fields::rule(from), fields::rule(to));
                    self.compare(&format!("{path}."), false, &from, &to);
                }
                (from, to) => self.push(path, from.map(shown), to.map(shown)),
            }
        }
        let ids = |d: &Deployment| fields::ids(d.rules.iter().map(|rule| &rule.id));
        self.order(&format!("{path}.routing_rules"), &before, &after, (ids(old), ids(new)));
    }

    /// Ties are broken by file order, so the order alone can matter.
    fn order<K: Ord, V>(
        &mut self,
        path: &str,
        old: &BTreeMap<K, V>,
        new: &BTreeMap<K, V>,
        (from, to): (String, String),
    ) {
        if old.keys().eq(new.keys()) && from != to {
            self.push(format!("{path} (order)"), Some(from), Some(to));
        }
    }
}

fn place(region: &Region) -> String {
    let endpoints = region.endpoints.len();
    format!("{} with {endpoints} endpoint{}", region.country, if endpoints == 1 { "" } else { "s" })
}

/// The keys of both maps in order, each with what either has there.
fn pairs<'m, K: Ord, V>(
    old: &'m BTreeMap<K, V>,
    new: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = (&'m K, Option<&'m V>, Option<&'m V>)> {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    let mut keys: Vec<_> = old.keys().chain(added).collect();
    keys.sort();
    keys.into_iter().map(|key| (key, old.get(key), new.get(key)))
}
