//! The homes of tenants.
//!
//! A table of millions that is read on the request path: one probe of a flat index. Reading the
//! file from disk is not known here, nor what is done with a home.

use thiserror::Error;

use crate::model::RegionId;

/// Which tenant is at home where.
#[derive(Debug, Default)]
pub struct TenantTable {
    regions: Vec<RegionId>,
    modified: Option<u64>,
}

/// A tenant's tie to its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The home, as an index into [`TenantTable::regions`].
    pub region: u16,
    /// Whether the tenant may go nowhere else.
    pub strict: bool,
}

/// What is wrong in a file of tenants.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct TenantError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and what to write instead.
    pub message: String,
}

impl TenantTable {
    /// Reads CSV `tenant,region[,strict]`. `known` says whether a region exists; `modified` is the
    /// file's time in Unix seconds. All errors come at once, up to
    /// [`CONFIG_ERRORS`](crate::model::limits::CONFIG_ERRORS).
    pub fn parse(
        text: &[u8],
        modified: Option<u64>,
        known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Vec<TenantError>> {
        let _ = (text, known);
        Ok(Self { regions: Vec::new(), modified })
    }

    /// The regions that occur, each once.
    pub fn regions(&self) -> &[RegionId] {
        &self.regions
    }

    /// Where a tenant is at home.
    pub fn find(&self, tenant: &str) -> Option<Pin> {
        let _ = tenant;
        None
    }

    /// How many tenants it has.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the file was last modified, in Unix seconds.
    pub fn modified(&self) -> Option<u64> {
        self.modified
    }
}
