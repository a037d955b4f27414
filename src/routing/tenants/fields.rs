//! The fields of one line of comma-separated values (RFC 4180).
//!
//! A field may be in quotes, and then has a quote in it where two are written. Blanks around a
//! field are not part of it unless they are inside quotes. A field ends on its line: a quote that
//! is not closed there is an error, and does not swallow the lines that follow.

use std::borrow::Cow;

use arrayvec::ArrayVec;
use memchr::{memchr, memchr2};
use thiserror::Error;

/// Fields that a line may have.
pub(super) const MOST: usize = 3;

/// The fields of a line.
pub(super) type Fields<'a> = ArrayVec<Cow<'a, str>, MOST>;

/// Why a line has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum FieldError {
    #[error("more than {MOST} fields; put a field with a comma in it in quotes")]
    TooMany,
    #[error("a quote is not closed on this line; a field ends on the line where it starts")]
    Unclosed,
    #[error(
        "there is something between a closing quote and the comma; a quote in a quoted field is written twice"
    )]
    AfterQuote,
    #[error("a quote inside a field; put the whole field in quotes and write the quote twice")]
    Stray,
}

/// Splits a line without its end.
pub(super) fn split(line: &str) -> Result<Fields<'_>, FieldError> {
    let mut fields = Fields::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, behind) = first(text)?;
        fields.try_push(field).map_err(|_| FieldError::TooMany)?;
        rest = behind;
    }
    Ok(fields)
}

/// The first field, and what follows its comma if it has one.
fn first(text: &str) -> Result<(Cow<'_, str>, Option<&str>), FieldError> {
    let text = trim(text);
    if let Some(text) = text.strip_prefix('"') {
        return quoted(text);
    }
    match memchr2(b',', b'"', text.as_bytes()).and_then(|at| text.split_at_checked(at)) {
        None => Ok((text.into(), None)),
        Some((field, rest)) => match rest.strip_prefix(',') {
            Some(rest) => Ok((trim(field).into(), Some(rest))),
            None => Err(FieldError::Stray),
        },
    }
}

/// The field up to its closing quote; the opening one is gone already.
fn quoted(text: &str) -> Result<(Cow<'_, str>, Option<&str>), FieldError> {
    let mut from = 0;
    loop {
        let rest = text.get(from..).ok_or(FieldError::Unclosed)?;
        let quote = from + memchr(b'"', rest.as_bytes()).ok_or(FieldError::Unclosed)?;
        let (field, behind) = text.split_at_checked(quote).ok_or(FieldError::Unclosed)?;
        if behind.starts_with("\"\"") {
            from = quote + 2;
            continue;
        }
        let field = if from == 0 { field.into() } else { field.replace("\"\"", "\"").into() };
        let behind = trim(behind.strip_prefix('"').unwrap_or(behind));
        if behind.is_empty() {
            return Ok((field, None));
        }
        let rest = behind.strip_prefix(',').ok_or(FieldError::AfterQuote)?;
        return Ok((field, Some(rest)));
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_fields() {
        let lines: [(&str, &[&str]); 16] = [
            ("", &[""]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            ("a,b,c", &["a", "b", "c"]),
            (",", &["", ""]),
            ("a,,", &["a", "", ""]),
            (" a b ,\tc\t", &["a b", "c"]),
            ("\"a\",\"b\"", &["a", "b"]),
            (" \"a\" , \"b\" ", &["a", "b"]),
            ("\" a \",b", &[" a ", "b"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"\",b", &["", "b"]),
            ("\"\"\"\",b", &["\"", "b"]),
            ("\"say \"\"hi\"\"\",b", &["say \"hi\"", "b"]),
            ("\"#a\",b", &["#a", "b"]),
            ("ä ö,\"ü,\"", &["ä ö", "ü,"]),
        ];
        for (line, fields) in lines {
            assert_eq!(split(line).unwrap().as_slice(), fields, "of {line:?}");
        }
    }

    #[test]
    fn lines_without_fields() {
        let lines = [
            ("a,b,c,d", FieldError::TooMany),
            (",,,", FieldError::TooMany),
            ("\"a,b", FieldError::Unclosed),
            ("\"", FieldError::Unclosed),
            ("\"\"\"", FieldError::Unclosed),
            ("a,\"b\"\"", FieldError::Unclosed),
            ("\"a\"b,c", FieldError::AfterQuote),
            ("\"a\" \"b\",c", FieldError::AfterQuote),
            ("a\"b,c", FieldError::Stray),
            ("a \"b\",c", FieldError::Stray),
            ("a,b\"", FieldError::Stray),
        ];
        for (line, error) in lines {
            assert_eq!(split(line), Err(error), "of {line:?}");
        }
    }
}
