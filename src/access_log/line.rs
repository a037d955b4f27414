//! A whole line: the frame of its target, the record in its format, and its end.

use super::logger::Sheet;
use super::record::Record;
use super::{json, template};
use crate::config::LogFormat;

/// Appends the line of a record.
pub(super) fn write(out: &mut Vec<u8>, sheet: &Sheet, record: &Record<'_>) {
    if let Some(frame) = &sheet.frame {
        frame.write(out, &record.time);
    }
    match &sheet.settings.format {
        LogFormat::Json => json::write(out, record),
        LogFormat::Template(pieces) => template::write(out, pieces, record),
    }
    out.push(b'\n');
}
