//! What becomes of too much load.

use std::num::NonZeroU64;

use super::Context;
use super::values::{count, optional};
use crate::config::error::Quoted;
use crate::config::field::{Field, State, TextOr};
use crate::config::raw;
use crate::config::settings::OverloadSettings;
use crate::model::limits::{
    MEMORY_LIMIT_MAX, MEMORY_LIMIT_MIN, RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS_MAX,
};

/// What a number of bytes may be followed by.
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

pub(super) fn overload(
    memory_limit: &Field<TextOr<i64>>,
    shed: &Field<raw::Shed>,
    cx: Context<'_>,
) -> Option<OverloadSettings> {
    let memory_limit = optional(memory_limit, |raw| memory(memory_limit, raw, cx));
    let retry_after = match &shed.state {
        State::Absent => Some(RETRY_AFTER_SECONDS),
        State::Broken => None,
        State::Present(raw) => {
            let range = 1..=RETRY_AFTER_SECONDS_MAX;
            count(&raw.retry_after_seconds, range, RETRY_AFTER_SECONDS, cx.report)
        }
    };
    Some(OverloadSettings { memory_limit: memory_limit?, retry_after: retry_after? })
}

fn memory(field: &Field<TextOr<i64>>, raw: &TextOr<i64>, cx: Context<'_>) -> Option<NonZeroU64> {
    let (bytes, written) = match raw {
        TextOr::Other(bytes) => (u64::try_from(*bytes).ok(), bytes.to_string()),
        TextOr::Text(text) => {
            let Some(bytes) = size(text) else {
                let message = format!("{} is not a number of bytes", Quoted(text));
                cx.report.error(
                    field.at,
                    message,
                    "write a number and a unit, such as 512MiB or 2GiB",
                );
                return None;
            };
            (Some(bytes), text.clone())
        }
    };
    let fitting = bytes.filter(|bytes| (MEMORY_LIMIT_MIN..=MEMORY_LIMIT_MAX).contains(bytes));
    if fitting.is_none() {
        let (least, most) = (MEMORY_LIMIT_MIN >> 20, MEMORY_LIMIT_MAX >> 40);
        let message = format!("{written} is not in the range from {least}MiB to {most}TiB");
        let help = "the program alone takes some 30 MiB, and what it serves comes on top";
        cx.report.error(field.at, message, help);
    }
    fitting.and_then(NonZeroU64::new)
}

/// Bytes, such as `1048576`, `1024KiB` or `1.5 GiB`.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number = number.trim_end();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    if number.contains('.') && (part.is_empty() || shift == 0) {
        return None;
    }
    let unit = 1_u64 << shift;
    let scale = 10_u64.pow(u32::try_from(part.len()).ok()?);
    let part = if part.is_empty() { 0 } else { part.parse::<u64>().ok()? };
    let bytes = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    bytes.checked_add(part.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("512MiB", 512 << 20),
            ("2 GiB", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("0.25TiB", 1 << 38),
            ("10KiB", 10 << 10),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            "512MB",
            "512 mib",
            "1,5GiB",
            "1.GiB",
            ".5GiB",
            "1.5",
            "-1MiB",
            "1e3",
            "0x10",
            "99999999999999999999",
            "99999999TiB",
            "1.0000000GiB",
            "1 2MiB",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
