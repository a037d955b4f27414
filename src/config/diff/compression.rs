//! The fields of compression as path and text.

use super::fields::{Writer, ids};
use crate::config::settings::CompressionSettings;

pub(super) fn compression(settings: Option<&CompressionSettings>, out: &mut Writer) {
    let Some(CompressionSettings { encodings, min_bytes, types, level }) = settings else { return };
    out.put("compression.encodings", ids(encodings.iter().map(|coding| coding.as_str())));
    out.put("compression.min_bytes", min_bytes);
    out.put_list("compression.types", types);
    out.put("compression.level", level.as_str());
}
