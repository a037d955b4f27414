//! The fields of what becomes of too much load, as path and text.

use super::fields::Writer;
use crate::config::settings::OverloadSettings;

pub(super) fn overload(settings: &OverloadSettings, out: &mut Writer) {
    let OverloadSettings { memory_limit, retry_after } = settings;
    out.put_some("memory_limit", memory_limit.as_ref());
    out.put("shed.retry_after_seconds", retry_after);
}
