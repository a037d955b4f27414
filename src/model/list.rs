//! Lists in header fields (RFC 9110 section 5.6.1), which may be spread over lines.
//!
//! Not for lists whose members have commas within quotes.

/// What stands between commas, of all lines in turn; empty members are among them.
pub fn members<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let lines = lines.into_iter();
    lines.flat_map(|line| line.split(|byte| *byte == b',')).map(trim)
}

/// Without optional white space around it, which is blanks and tabs alone (RFC 9110 section 5.6.3).
pub fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let to = text.iter().rposition(|byte| !is_blank(byte)).map_or(from, |last| last + 1);
    text.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_one_list() {
        let lines = [&b"a, \tb c ,,"[..], b"", b" \x0b"];
        let found: Vec<_> = members(lines).collect();
        assert_eq!(found, [&b"a"[..], b"b c", b"", b"", b"", b"\x0b"]);
        assert_eq!(members([]).count(), 0);
    }
}
