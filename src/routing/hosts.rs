//! Which deployment answers a host and a path.
//!
//! Knows nothing of what a deployment does. Neither lookup scans the deployments: suffixes and
//! prefixes are tried by the lengths that occur, longest first, and only where a label or a
//! segment ends, so that a hostile host or path costs no more than the configuration allows.

use std::collections::HashMap;

use foldhash::quality::FixedState;

use super::plan::DeploymentIndex;
use crate::config::HostPattern;

/// Hosts and paths of all deployments.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    exact: HashMap<Box<str>, Paths, FixedState>,
    /// By suffix, without `*.`.
    wildcard: HashMap<Box<str>, Paths, FixedState>,
    /// Lengths of the suffixes, longest first.
    wildcard_lengths: Vec<usize>,
    any: Paths,
}

impl HostIndex {
    /// Adds a deployment. The first one added keeps a host and path that come twice.
    pub(super) fn add(&mut self, hosts: &[HostPattern], prefix: &str, index: DeploymentIndex) {
        if hosts.is_empty() {
            self.any.add(prefix, index);
        }
        for host in hosts {
            match host {
                HostPattern::Exact(host) => {
                    self.exact.entry(host.as_str().into()).or_default().add(prefix, index);
                }
                HostPattern::Wildcard(suffix) => {
                    insert_descending(&mut self.wildcard_lengths, suffix.len());
                    self.wildcard.entry(suffix.as_str().into()).or_default().add(prefix, index);
                }
            }
        }
    }

    /// The deployment for a host (lower case, no port) and a path.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<DeploymentIndex> {
        // "example.org." is "example.org", written from the root of the DNS.
        let host = host.strip_suffix('.').unwrap_or(host);
        self.find_exact(host, path)
            .or_else(|| self.find_wildcard(host, path))
            .or_else(|| self.any.find(path))
    }

    fn find_exact(&self, host: &str, path: &str) -> Option<DeploymentIndex> {
        if self.exact.is_empty() {
            return None;
        }
        self.exact.get(host)?.find(path)
    }

    fn find_wildcard(&self, host: &str, path: &str) -> Option<DeploymentIndex> {
        self.wildcard_lengths.iter().find_map(|length| {
            // At least one byte of a label before the dot before the suffix.
            let dot = host.len().checked_sub(length + 1).filter(|dot| *dot > 0)?;
            if host.as_bytes().get(dot) != Some(&b'.') {
                return None;
            }
            self.wildcard.get(host.get(dot + 1..)?)?.find(path)
        })
    }
}

/// Path prefixes of one host.
#[derive(Debug, Default)]
struct Paths {
    by_prefix: HashMap<Box<str>, DeploymentIndex, FixedState>,
    /// Lengths of the prefixes, longest first.
    lengths: Vec<usize>,
    /// The prefix `/`, which every path has.
    root: Option<DeploymentIndex>,
}

impl Paths {
    fn add(&mut self, prefix: &str, index: DeploymentIndex) {
        let prefix = prefix.trim_end_matches('/');
        if prefix.is_empty() {
            self.root.get_or_insert(index);
        } else {
            insert_descending(&mut self.lengths, prefix.len());
            self.by_prefix.entry(prefix.into()).or_insert(index);
        }
    }

    fn find(&self, path: &str) -> Option<DeploymentIndex> {
        let longest = self.lengths.iter().find_map(|length| {
            let (prefix, rest) = path.split_at_checked(*length)?;
            if rest.is_empty() || rest.starts_with('/') {
                self.by_prefix.get(prefix).copied()
            } else {
                None
            }
        });
        longest.or(self.root)
    }
}

fn insert_descending(lengths: &mut Vec<usize>, length: usize) {
    if let Err(place) = lengths.binary_search_by(|other| length.cmp(other)) {
        lengths.insert(place, length);
    }
}
