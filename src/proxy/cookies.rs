//! Cookies, as far as Rhumb has to do with them (RFC 6265): finding one, taking one's own off, and
//! writing one.
//!
//! Read leniently, as origins do: pairs between semicolons, white space around them, and no
//! unescaping. Not here: what is in a cookie.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// The name and the value of each cookie of one line, and where the value starts in it.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], usize)> {
    let mut at = 0;
    line.split(|byte| *byte == b';').map(move |piece| {
        let start = at;
        at += piece.len() + 1;
        let equals = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let (name, value) = piece.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        let inner = value.trim_ascii_start();
        let skipped = equals + 1 + (value.len() - inner.len());
        (name.trim_ascii(), inner.trim_ascii_end(), start + skipped.min(piece.len()))
    })
}

/// Every cookie of that name: its line, and where in it the value is.
pub(super) fn find<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> impl Iterator<Item = (&'a HeaderValue, usize, &'a [u8])> {
    headers.get_all(COOKIE).iter().flat_map(move |line| {
        let cookies = pairs(line.as_bytes()).filter(move |(found, ..)| *found == name.as_bytes());
        cookies.map(move |(_, value, at)| (line, at, value))
    })
}

/// Takes cookies of these names off a request. Costs a look when there is none.
pub(super) fn remove(headers: &mut HeaderMap, is_own: impl Fn(&[u8]) -> bool) {
    let is_there = headers
        .get_all(COOKIE)
        .iter()
        .any(|line| pairs(line.as_bytes()).any(|(name, ..)| is_own(name)));
    if !is_there {
        return;
    }
    let lines: Vec<_> =
        headers.get_all(COOKIE).iter().filter_map(|l| without(l, &is_own)).collect();
    headers.remove(COOKIE);
    for line in lines {
        headers.append(COOKIE, line);
    }
}

/// The line without these cookies; `None` if nothing else is in it.
fn without(line: &HeaderValue, is_own: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut kept = Vec::with_capacity(line.len());
    for piece in line.as_bytes().split(|byte| *byte == b';') {
        let name = piece.split(|byte| *byte == b'=').next().unwrap_or_default();
        let piece = piece.trim_ascii();
        if piece.is_empty() || is_own(name.trim_ascii()) {
            continue;
        }
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(piece);
    }
    HeaderValue::from_bytes(&kept).ok().filter(|line| !line.is_empty())
}

/// Takes cookies that an origin sets under these names off a response.
pub(super) fn remove_set(headers: &mut HeaderMap, is_own: impl Fn(&[u8]) -> bool) {
    let name_of = |line: &HeaderValue| {
        let name = line.as_bytes().split(|byte| matches!(byte, b'=' | b';')).next();
        is_own(name.unwrap_or_default().trim_ascii())
    };
    if !headers.get_all(SET_COOKIE).iter().any(name_of) {
        return;
    }
    let kept: Vec<_> =
        headers.get_all(SET_COOKIE).iter().filter(|line| !name_of(line)).cloned().collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

/// Sets a cookie that scripts cannot read, and that does not leave TLS if it came by it; without an
/// age it lasts for the session, and an age of 0 takes it back.
pub(super) fn set(
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    max_age: Option<u64>,
    secure: bool,
) {
    let mut line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if secure {
        line.push_str("; Secure");
    }
    if let Some(seconds) = max_age {
        line.push_str(&format!("; Max-Age={seconds}"));
    }
    if let Ok(line) = HeaderValue::try_from(line) {
        headers.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| (COOKIE, line.parse().unwrap()));
        lines.collect()
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        for (lines, expected) in [
            (&["a=1"][..], &["1"][..]),
            (&["xa=1; a=2; ax=3; A=4"], &["2"]),
            (&["a=1; a=2", "b=3;a=4"], &["1", "2", "4"]),
            (&["  a =  1  ;"], &["1"]),
            (&["a"], &[""]),
            (&["a="], &[""]),
            (&["a=b=c"], &["b=c"]),
            (&["=a", "", ";;", "b=a=1"], &[]),
        ] {
            let headers = request(lines);
            let found: Vec<_> = find(&headers, "a").collect();
            for (line, at, value) in &found {
                assert_eq!(&line.as_bytes()[*at..at + value.len()], *value, "{lines:?}");
            }
            let values: Vec<_> = found.iter().map(|f| std::str::from_utf8(f.2).unwrap()).collect();
            assert_eq!(values, expected, "{lines:?}");
        }
    }

    #[test]
    fn own_cookies_are_taken_off_and_others_stay() {
        for (lines, expected) in [
            (&["b=1;c=2"][..], &["b=1;c=2"][..]),
            (&["b=1; a=x; c=2"], &["b=1; c=2"]),
            (&["a=x"], &[]),
            (&["a=x; a=y", "b=1"], &["b=1"]),
            (&["a"], &[]),
            (&[" a = x;b"], &["b"]),
        ] {
            let mut headers = request(lines);
            remove(&mut headers, |name| name == b"a");
            let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(left, expected, "{lines:?}");
        }
    }

    #[test]
    fn an_origin_does_not_set_them() {
        let mut headers = HeaderMap::new();
        for line in ["b=1; Path=/", "a=forged", " a =x; Path=/", "ab=2", "a"] {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        remove_set(&mut headers, |name| name == b"a");
        let left: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["b=1; Path=/", "ab=2"]);
        set(&mut headers, "a", "t", Some(60), false);
        set(&mut headers, "a", "t", None, true);
        let left: Vec<_> =
            headers.get_all(SET_COOKIE).iter().skip(2).map(|line| line.to_str().unwrap()).collect();
        let line = "a=t; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(left, [format!("{line}; Max-Age=60"), format!("{line}; Secure")]);
    }
}
