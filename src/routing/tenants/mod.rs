//! The homes of tenants.
//!
//! A table of millions that is read on the request path: one probe of a flat index (`homes`).
//! The text is read in `parse`, its fields are told apart in `fields`. Reading the file from disk
//! is not known here, nor what is done with a home.

mod fields;
mod homes;
mod parse;

use self::homes::Homes;
use crate::model::RegionId;
use crate::routing::LineError;

/// Which tenant is at home where.
#[derive(Debug, Default)]
pub struct TenantTable {
    regions: Vec<RegionId>,
    homes: Homes,
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

impl TenantTable {
    /// Reads CSV `tenant,region[,strict]`.
    ///
    /// `modified` is the file's time in Unix seconds. `seed` places the tenants in the index:
    /// take a random one for each table, so that nobody can choose tenants that meet there.
    /// `known` says whether a region exists.
    ///
    /// # Errors
    ///
    /// All of them at once, up to [`CONFIG_ERRORS`](crate::model::limits::CONFIG_ERRORS), in the
    /// order of the lines.
    pub fn parse(
        text: &[u8],
        modified: Option<u64>,
        seed: u64,
        known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Vec<LineError>> {
        let (regions, homes) = parse::parse(text, seed, known)?;
        Ok(Self { regions, homes, modified })
    }

    /// The regions that occur, each once.
    pub fn regions(&self) -> &[RegionId] {
        &self.regions
    }

    /// Where a tenant is at home.
    pub fn find(&self, tenant: &str) -> Option<Pin> {
        self.homes.find(tenant)
    }

    /// How many tenants it has.
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the file was last modified, in Unix seconds.
    pub fn modified(&self) -> Option<u64> {
        self.modified
    }

    /// Every tenant with its home, and whether it may go nowhere else; in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RegionId, bool)> {
        self.homes.iter().filter_map(|(tenant, pin)| {
            Some((tenant, self.regions.get(usize::from(pin.region))?, pin.strict))
        })
    }

    /// Bytes of memory that the table takes, by what it has allocated.
    pub fn resident_bytes(&self) -> usize {
        let ids = self.regions.iter().map(|id| id.as_str().len());
        size_of::<Self>()
            + self.homes.allocated_bytes()
            + self.regions.capacity() * size_of::<RegionId>()
            + ids.sum::<usize>()
    }
}
