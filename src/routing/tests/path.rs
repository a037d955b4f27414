//! The normal form of paths: case by case, and held against RFC 3986 section 5.2.4 written as it
//! stands there.

use std::borrow::Cow;

use proptest::prelude::*;

use super::config::{DotSegments, EncodedSlash, RepeatedSlash, RequestRules, Underscores};
use super::routing::{PathError, is_path, normal_path};

const DEFAULT: RequestRules = RequestRules {
    encoded_slash: EncodedSlash::Keep,
    repeated_slash: RepeatedSlash::Merge,
    dot_segments: DotSegments::Resolve,
    underscores: Underscores::Drop,
};

fn normal(path: &str, rules: &RequestRules) -> Result<String, PathError> {
    normal_path(path, rules).map(Cow::into_owned)
}

#[test]
fn normal_paths_are_left_where_they_are() {
    for path in [
        "/",
        "/v1/users/42",
        "/a/",
        "/a.b/c..d/e...",
        "/%20",
        "/%E4%BA%BA/%3A%25",
        "/ä/{x}|\"y\"",
        "/a%2Fb",
        "/a;b=c,d:e@f!g$h&i'j(k)l*m",
        "/...",
        "/..a/.b",
        "/12345678/12345678.",
        "/a=.;/b",
    ] {
        let found = normal_path(path, &DEFAULT);
        assert!(matches!(found, Ok(Cow::Borrowed(same)) if same == path), "{path}: {found:?}");
    }
}

#[test]
fn other_paths_are_made_normal() {
    for (path, expected) in [
        ("/%7Euser", "/~user"),
        ("/%41%62%2D%2E%5F%7e%30", "/Ab-._~0"),
        ("/%e4%ba%ba", "/%E4%BA%BA"),
        ("/%252e%252E/", "/%252e%252E/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("/a/..", "/"),
        ("/a/%2e%2E/b/%2e/c", "/b/c"),
        ("/a/.%2e/b", "/b"),
        ("//", "/"),
        ("//a///b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/a/..//b", "/b"),
        ("/a/.//b", "/a/b"),
        ("/a%2fb%5c", "/a%2Fb%5C"),
        ("/a%2f/../b", "/b"),
        ("/a%2F...%2Fb", "/a%2F...%2Fb"),
        ("/1234567/./8", "/1234567/8"),
        ("/123456//8", "/123456/8"),
    ] {
        assert_eq!(normal(path, &DEFAULT).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn what_could_mean_something_else_is_refused() {
    for (path, why) in [
        ("", PathError::Relative),
        ("a", PathError::Relative),
        ("%2Fa", PathError::Relative),
        ("/a\\b", PathError::Backslash),
        ("/..\\a", PathError::Backslash),
        ("/%00", PathError::Character),
        ("/a%0d%0ab", PathError::Character),
        ("/%09", PathError::Character),
        ("/%7f", PathError::Character),
        ("/%", PathError::Escape),
        ("/%2", PathError::Escape),
        ("/%zz", PathError::Escape),
        ("/%u002e%u002e/", PathError::Escape),
        ("/%+1", PathError::Escape),
        ("/..", PathError::AboveRoot),
        ("/../a", PathError::AboveRoot),
        ("/a/../..", PathError::AboveRoot),
        ("/a/%2e%2e/%2e%2e/b", PathError::AboveRoot),
        ("//..", PathError::AboveRoot),
        ("/a/..%2Fb", PathError::HiddenDots),
        ("/a%2F../b", PathError::HiddenDots),
        ("/a%2f%2e%2e%2fb", PathError::HiddenDots),
        ("/a/..%5cb", PathError::HiddenDots),
        ("/.%2Fa", PathError::HiddenDots),
        ("/a%2F.", PathError::HiddenDots),
        ("/a/..;/b", PathError::HiddenDots),
        ("/a/..;x=y/b", PathError::HiddenDots),
        ("/a/.;/b", PathError::HiddenDots),
        ("/a/..%3b/b", PathError::HiddenDots),
        ("/a%2F..;x/b", PathError::HiddenDots),
    ] {
        assert_eq!(normal(path, &DEFAULT), Err(why), "{path}");
    }
}

#[test]
fn the_policies_hold() {
    let decode = RequestRules { encoded_slash: EncodedSlash::Decode, ..DEFAULT };
    let no_encoded = RequestRules { encoded_slash: EncodedSlash::Refuse, ..DEFAULT };
    let keep = RequestRules { repeated_slash: RepeatedSlash::Keep, ..DEFAULT };
    let no_repeated = RequestRules { repeated_slash: RepeatedSlash::Refuse, ..DEFAULT };
    let no_dots = RequestRules { dot_segments: DotSegments::Refuse, ..DEFAULT };
    for (rules, path, expected) in [
        (&decode, "/a%2fb%5Cc", Ok("/a/b/c")),
        (&decode, "/a%2F..%2Fb", Ok("/b")),
        (&decode, "/a%2F/b", Ok("/a/b")),
        (&decode, "/..%2fa", Err(PathError::AboveRoot)),
        (&decode, "/a\\b", Err(PathError::Backslash)),
        (&no_encoded, "/a%2fb", Err(PathError::EncodedSlash)),
        (&no_encoded, "/a%5Cb", Err(PathError::EncodedSlash)),
        (&no_encoded, "/a%252fb", Ok("/a%252fb")),
        (&keep, "//a//", Ok("//a//")),
        (&keep, "/a//../b", Ok("/a/b")),
        (&keep, "/a/..//b", Ok("//b")),
        (&keep, "//..", Ok("/")),
        (&no_repeated, "/a//b", Err(PathError::RepeatedSlash)),
        (&no_repeated, "//", Err(PathError::RepeatedSlash)),
        (&no_repeated, "/a/../b/", Ok("/b/")),
        (&no_dots, "/a/../b", Err(PathError::DotSegment)),
        (&no_dots, "/a/%2e", Err(PathError::DotSegment)),
        (&no_dots, "/a/...", Ok("/a/...")),
        (&no_dots, "/..", Err(PathError::DotSegment)),
    ] {
        assert_eq!(normal(path, rules), expected.map(str::to_owned), "{path} {rules:?}");
    }
}

fn rules() -> impl Strategy<Value = RequestRules> {
    use proptest::sample::select;
    let encoded = select(vec![EncodedSlash::Keep, EncodedSlash::Refuse, EncodedSlash::Decode]);
    let repeated = select(vec![RepeatedSlash::Merge, RepeatedSlash::Keep, RepeatedSlash::Refuse]);
    let dots = select(vec![DotSegments::Resolve, DotSegments::Refuse]);
    (encoded, repeated, dots).prop_map(|(encoded_slash, repeated_slash, dot_segments)| {
        RequestRules { encoded_slash, repeated_slash, dot_segments, ..DEFAULT }
    })
}

/// Paths in which everything that matters comes often.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => Just("/"),
        4 => Just("."),
        2 => Just(".."),
        1 => Just("%2e"),
        1 => Just("%2F"),
        1 => Just("%5c"),
        1 => Just("%7E"),
        1 => Just("%c3"),
        1 => Just("%25"),
        1 => Just(";"),
        1 => Just("ä"),
        4 => Just("a"),
        2 => Just("longer-segment"),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// RFC 3986 section 5.2.4 to the letter, for a path that begins with a slash; `None` where more
/// segments are taken off than there are.
fn remove_dot_segments(path: &str) -> Option<String> {
    let mut input = path.to_owned();
    let mut output = String::new();
    while !input.is_empty() {
        if input.starts_with("/./") {
            input.replace_range(..2, "");
        } else if input == "/." {
            input = "/".into();
        } else if input.starts_with("/../") || input == "/.." {
            input = if input == "/.." { "/".into() } else { input[3..].to_owned() };
            let slash = output.rfind('/')?;
            output.truncate(slash);
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.replace_range(..end, "");
        }
    }
    Some(output)
}

/// The escapes that RFC 3986 section 6.2.2.2 undoes, undone, and the digits of the others in upper
/// case.
fn decoded(path: &str, slashes: bool) -> String {
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at(2);
        match u8::from_str_radix(code, 16).unwrap() {
            b'/' | b'\\' if slashes => out.push('/'),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{}", code.to_uppercase())),
        }
        out.push_str(rest);
    }
    out
}

proptest! {
    #[test]
    fn it_is_what_the_rfc_says(path in path(), rules in rules()) {
        let Ok(found) = normal(&path, &rules) else { return Ok(()) };
        let mut plain = decoded(&path, rules.encoded_slash == EncodedSlash::Decode);
        while rules.repeated_slash == RepeatedSlash::Merge && plain.contains("//") {
            plain = plain.replace("//", "/");
        }
        prop_assert_eq!(Some(found), remove_dot_segments(&plain));
    }

    #[test]
    fn only_what_is_wrong_is_refused(path in path(), rules in rules()) {
        let Err(why) = normal(&path, &rules) else { return Ok(()) };
        let merges = rules.repeated_slash == RepeatedSlash::Merge;
        let mut plain = decoded(&path, rules.encoded_slash == EncodedSlash::Decode);
        while merges && plain.contains("//") {
            plain = plain.replace("//", "/");
        }
        let has_dots = plain.split('/').any(|segment| matches!(segment, "." | ".."));
        let encoded = plain.contains("%2F") || plain.contains("%5C");
        let all_slashes = plain.replace("%2F", "/").replace("%5C", "/");
        let parameters = all_slashes.split('/').any(|s| s.starts_with(".;") || s.starts_with("..;"));
        let hidden = all_slashes.split('/').any(|segment| matches!(segment, "." | ".."));
        prop_assert!(match why {
            PathError::RepeatedSlash => plain.contains("//"),
            PathError::DotSegment => has_dots,
            PathError::EncodedSlash => encoded,
            PathError::AboveRoot => remove_dot_segments(&plain).is_none(),
            PathError::HiddenDots => encoded && hidden || parameters,
            _ => false,
        }, "{path} {why:?}");
    }

    #[test]
    fn it_is_final(path in path(), rules in rules()) {
        let Ok(found) = normal(&path, &rules) else { return Ok(()) };
        let again = normal_path(&found, &rules);
        prop_assert!(matches!(again, Ok(Cow::Borrowed(same)) if same == found), "{found} {again:?}");
        prop_assert!(found.starts_with('/'));
        prop_assert!(!found.split('/').any(|segment| matches!(segment, "." | "..")));
        prop_assert!(rules.repeated_slash != RepeatedSlash::Merge || !found.contains("//"));
        prop_assert!(found.len() <= path.len());
        prop_assert!(!found.contains("%2E") && !found.contains("%7E") && !found.contains("%c3"));
        prop_assert!(found.parse::<http::Uri>().is_ok(), "{found}");
    }

    #[test]
    fn what_is_borrowed_is_the_same(path in path(), rules in rules()) {
        let found = normal_path(&path, &rules);
        if let Ok(Cow::Owned(other)) = found {
            prop_assert_ne!(other, path);
        }
    }

    #[test]
    fn no_text_panics(path in "/?\\PC{0,40}", any in any::<String>(), rules in rules()) {
        let _ = normal_path(&path, &rules);
        let _ = normal_path(&any, &rules);
    }

    /// What `http` takes and what is taken of described requests is the same.
    #[test]
    fn described_paths_are_those_that_could_be_sent(path in "/[ -\u{ff}]{0,12}") {
        let sent = path.parse::<http::Uri>().is_ok_and(|uri| uri.path() == path);
        prop_assert_eq!(is_path(&path), sent, "{}", path);
    }
}
