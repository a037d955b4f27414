//! Which regions exist, for everything that refers to them by id. A region that is wrong still
//! exists, so that one bad latitude does not make every reference to it an error.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Context;
use super::values::is_name;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::Field;
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::Region;

/// The regions of the file, by id.
pub(super) struct KnownRegions<'f> {
    by_id: HashMap<&'f str, Known>,
    /// Ids in file order.
    ids: Vec<&'f str>,
    /// Whether every region has an id that is one; without, "unknown" cannot be said of any id.
    complete: bool,
    used: RefCell<HashSet<&'f str>>,
    report: &'f Report<'f>,
}

struct Known {
    at: NodeId,
    region: Option<Arc<Region>>,
}

impl<'f> KnownRegions<'f> {
    pub(super) fn new(
        field: &'f Field<Vec<Field<raw::Region>>>,
        validated: &Option<Vec<Option<Arc<Region>>>>,
        cx: Context<'f>,
    ) -> Self {
        let list = field.value().map_or(&[][..], Vec::as_slice);
        let validated = validated.as_deref().unwrap_or(&[]);
        let mut by_id = HashMap::with_capacity(list.len());
        let mut ids = Vec::with_capacity(list.len());
        for (index, raw) in list.iter().enumerate() {
            let Some(id) = raw.value().and_then(|region| region.id.value()) else { continue };
            let region = validated.get(index).cloned().flatten();
            let known = Known { at: raw.at, region };
            by_id.entry(id.as_str()).or_insert(known);
            ids.push(id.as_str());
        }
        let named = ids.iter().filter(|id| is_name(id)).count();
        let complete = !list.is_empty() && named == list.len();
        Self { by_id, ids, complete, used: RefCell::default(), report: cx.report }
    }

    /// The id that a field names, when there is such a region; reported otherwise.
    pub(super) fn id(&self, at: NodeId, text: &str) -> Option<&'f str> {
        if let Some((id, _)) = self.by_id.get_key_value(text) {
            return Some(id);
        }
        if self.complete {
            let near = self.report.nearest(text, self.ids.iter().copied());
            let help = if let Some(near) = near {
                format!("did you mean `{near}`?")
            } else {
                format!("regions are defined under `regions`; there are {}", self.some_ids())
            };
            self.report.error(at, format!("there is no region {}", Quoted(text)), help);
        }
        None
    }

    /// The region of that id, when nothing is wrong with it.
    pub(super) fn region(&self, id: &str) -> Option<Arc<Region>> {
        self.by_id.get(id).and_then(|known| known.region.clone())
    }

    /// Notes that a deployment uses the region.
    pub(super) fn mark_used(&self, id: &'f str) {
        self.used.borrow_mut().insert(id);
    }

    /// Regions that no deployment uses, in file order.
    pub(super) fn unused(&self) -> Vec<(NodeId, &'f str)> {
        let used = self.used.borrow();
        let unused = self.ids.iter().filter(|id| !used.contains(*id));
        unused.filter_map(|id| self.by_id.get(id).map(|known| (known.at, *id))).collect()
    }

    fn some_ids(&self) -> String {
        let shown: Vec<_> = self.ids.iter().take(8).map(|id| Quoted(id).to_string()).collect();
        let more = if self.ids.len() > shown.len() { ", ..." } else { "" };
        format!("{}{more}", shown.join(", "))
    }
}
