//! Reads the file of tenants that a configuration names.
//!
//! What its lines mean is `routing`'s business; when it is read again, that of `files`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::load_error::LoadError;
use crate::config::Config;
use crate::model::limits;
use crate::routing::TenantTable;

/// The table of the configuration's file, if it names one.
pub(super) fn load(config: &Config) -> Result<Option<Arc<TenantTable>>, LoadError> {
    let Some(path) = config.tenants.as_ref().map(|tenants| &tenants.file) else { return Ok(None) };
    let unreadable = |source| LoadError::TenantsUnreadable { path: path.clone(), source };
    let (text, modified) = read(path).map_err(unreadable)?;
    if text.len() as u64 > limits::TENANTS_BYTES {
        return Err(LoadError::TenantsTooLarge { path: path.clone() });
    }
    let regions: std::collections::HashSet<_> =
        config.regions.iter().map(|region| region.id.as_str()).collect();
    match TenantTable::parse(&text, modified, fastrand::u64(..), &|id| regions.contains(id)) {
        Ok(table) => Ok(Some(Arc::new(table))),
        Err(errors) => Err(LoadError::Tenants { path: path.clone(), errors }),
    }
}

/// The file, cut where it is clear that it is too large, and when it was last modified. Both are
/// of the same file, also while another one is put in its place.
fn read(path: &Path) -> io::Result<(Vec<u8>, Option<u64>)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let most = limits::TENANTS_BYTES.saturating_add(1);
    let mut text = Vec::with_capacity(usize::try_from(metadata.len().min(most)).unwrap_or(0));
    file.take(most).read_to_end(&mut text)?;
    Ok((text, modified.map(|since| since.as_secs())))
}
