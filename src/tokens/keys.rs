//! All keys of a configuration: those that sign, and the sets that verify the tokens of others.
//!
//! Reading a file is `app`'s business; here is only what its bytes mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::jwt::{KeySet, KeySetError};
use super::keyring::Keyring;
use crate::config::{Config, JwtSource, TenantSource};

/// All keys of a configuration.
#[derive(Debug, Default)]
pub struct Keys {
    /// Rhumb's own.
    pub signing: Keyring,
    sets: BTreeMap<PathBuf, Arc<KeySet>>,
}

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error(
        "cannot read the key set {}: {source}; check the path and the file's permissions",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no key set that verifies anything.
    #[error(
        "{} is no usable key set: {source}; fetch it anew from where the issuer publishes it",
        .path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeySetError,
    },
}

impl Keys {
    /// The keys of a configuration; `read` gives the bytes of a file.
    ///
    /// # Errors
    ///
    /// The first key set that cannot be used.
    pub fn load(
        config: &Config,
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, KeysError> {
        let mut sets = BTreeMap::new();
        for path in Self::paths(config) {
            if sets.contains_key(path) {
                continue;
            }
            let unreadable = |source| KeysError::Unreadable { path: path.to_owned(), source };
            let unusable = |source| KeysError::Unusable { path: path.to_owned(), source };
            let set = KeySet::parse(&read(path).map_err(unreadable)?).map_err(unusable)?;
            sets.insert(path.to_owned(), Arc::new(set));
        }
        Ok(Self { signing: Keyring::new(&config.signing), sets })
    }

    /// The files that a configuration names.
    pub fn paths(config: &Config) -> impl Iterator<Item = &Path> {
        config.deployments.iter().filter_map(|deployment| match &deployment.tenant {
            Some(TenantSource::Jwt(source)) => Some(source.jwks.as_path()),
            _ => None,
        })
    }

    /// The set that verifies the tokens of a source.
    pub fn set(&self, source: &JwtSource) -> Option<&KeySet> {
        self.sets.get(&source.jwks).map(|set| &**set)
    }
}
