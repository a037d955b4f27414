//! Reads the file of tenants that a configuration names.
//!
//! What its lines mean is `routing`'s business; when it is read again, that of `files`.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::load_error::LoadError;
use crate::bounded_file::{self, Contents};
use crate::config::Config;
use crate::model::limits;
use crate::routing::TenantTable;

/// The table of the configuration's file, if it names one.
pub(super) fn load(config: &Config) -> Result<Option<Arc<TenantTable>>, LoadError> {
    let Some(path) = config.tenants.as_ref().map(|tenants| &tenants.file) else { return Ok(None) };
    let read = bounded_file::read(path, limits::TENANTS_BYTES);
    let Contents { bytes, metadata } = read.map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => LoadError::TenantsTooLarge { path: path.clone() },
        _ => LoadError::TenantsUnreadable { path: path.clone(), source },
    })?;
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map(|since| since.as_secs());
    let regions: std::collections::HashSet<_> =
        config.regions.iter().map(|region| region.id.as_str()).collect();
    match TenantTable::parse(&bytes, modified, fastrand::u64(..), &|id| regions.contains(id)) {
        Ok(table) => Ok(Some(Arc::new(table))),
        Err(errors) => Err(LoadError::Tenants { path: path.clone(), errors }),
    }
}
