//! Which of the files that a configuration names have to be read again, beside the bundle that is in use.
//!
//! What a file means, and how it is read, is `bundle`'s; what comes of it all, that of `files`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bundle::{Bundle, load_keys, load_latency, open_geoip};
use super::load_error::LoadError;
use super::tenants;
use crate::config::Config;
use crate::geo::Databases;
use crate::routing::{LatencyTable, TenantTable};
use crate::tls::Tls;
use crate::tokens::Keys;

/// A configuration that takes the place of another one. Each part is what is in use, or read anew if the
/// configuration says something else of it or one of its files has changed.
pub(super) struct Renewal<'a> {
    /// What is in use.
    pub(super) old: &'a Bundle,
    /// What takes the place of its configuration.
    pub(super) config: &'a Config,
    /// Files that have changed.
    pub(super) pending: &'a BTreeSet<PathBuf>,
}

impl Renewal<'_> {
    fn touched<'p>(&self, paths: impl IntoIterator<Item = &'p Path>) -> bool {
        paths.into_iter().any(|path| self.pending.contains(path))
    }

    /// The databases; nothing if they stay.
    pub(super) fn geo(&self) -> Result<Option<Arc<Databases>>, LoadError> {
        let geoip = &self.config.geoip;
        let files = geoip.databases.iter().chain(&geoip.asn_database).map(PathBuf::as_path);
        let stale = *geoip != self.old.config.geoip || self.touched(files);
        stale.then(|| open_geoip(self.config)).transpose()
    }

    /// The latency table.
    pub(super) fn latency(&self) -> Result<Option<Arc<LatencyTable>>, LoadError> {
        let (new, old) = (self.config, &self.old.config);
        let stale = new.latency != old.latency
            || new.regions != old.regions
            || self.touched(new.latency.table.as_deref());
        if stale { load_latency(new) } else { Ok(self.old.tables.latency.clone()) }
    }

    /// The homes of tenants.
    pub(super) fn tenants(&self) -> Result<Option<Arc<TenantTable>>, LoadError> {
        let file = |config: &Config| config.tenants.as_ref().map(|tenants| tenants.file.clone());
        let (new, old) = (self.config, &self.old.config);
        let stale = file(new) != file(old)
            || new.regions != old.regions
            || self.touched(file(new).as_deref());
        if stale { tenants::load(new) } else { Ok(self.old.tables.tenants.clone()) }
    }

    /// The keys.
    pub(super) fn keys(&self) -> Result<Arc<Keys>, LoadError> {
        let (new, old) = (self.config, &self.old.config);
        let stale = new.signing != old.signing
            || !Keys::paths(new).eq(Keys::paths(old))
            || self.touched(Keys::paths(new));
        if stale { Ok(Arc::new(load_keys(new)?)) } else { Ok(Arc::clone(&self.old.keys)) }
    }

    /// What handshakes need.
    pub(super) fn tls(&self) -> Result<Arc<Tls>, LoadError> {
        let old = &self.old.tls;
        if Tls::differs(self.config, &self.old.config) || self.touched(Tls::paths(self.config)) {
            return Ok(Arc::new(Tls::load(self.config, Some(old))?));
        }
        old.warn_of_insecure();
        Ok(Arc::clone(old))
    }
}
