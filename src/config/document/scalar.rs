//! What a plain scalar means: the core schema of YAML 1.2 (section 10.3.2), so `no`, `on` and
//! `1:30` are text.

use super::Value;

/// Resolves a scalar that was written without quotes.
pub(in crate::config) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.into())),
    }
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
            return Some(Value::Float(sign * f64::INFINITY));
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => {
            return Some(Value::Float(f64::NAN));
        }
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        // Beyond 64 bits it is still a number, and no field will take it for a whole one.
        return text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok();
    }
    let number_like = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !unsigned.bytes().all(number_like) {
        return None;
    }
    text.parse().map(Value::Float).ok()
}

fn radix(digits: &str, base: u32) -> Option<Value> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    // A number that no field can hold is out of every range.
    Some(i64::from_str_radix(digits, base).map_or(Value::Float(f64::INFINITY), Value::Integer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_core_schema() {
        let kind = |text: &str| match resolve(text) {
            Value::Null => "null".to_owned(),
            Value::Bool(b) => format!("bool {b}"),
            Value::Integer(i) => format!("int {i}"),
            Value::Float(f) => format!("float {f}"),
            Value::Text(_) => "text".to_owned(),
            other => format!("{other:?}"),
        };
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("NULL", "null"),
            ("nULL", "text"),
            ("True", "bool true"),
            ("yes", "text"),
            ("NO", "text"),
            ("on", "text"),
            ("0", "int 0"),
            ("-0", "int 0"),
            ("+12", "int 12"),
            ("010", "int 10"),
            ("0o10", "int 8"),
            ("0x1F", "int 31"),
            ("0x", "text"),
            ("-0x1", "text"),
            ("1_000", "text"),
            ("1.5", "float 1.5"),
            ("-.5", "float -0.5"),
            ("1.", "float 1"),
            ("1e3", "float 1000"),
            ("1e", "text"),
            (".", "text"),
            ("..", "text"),
            ("1.2.3", "text"),
            ("-.inf", "float -inf"),
            (".NaN", "float NaN"),
            ("+.nan", "text"),
            ("inf", "text"),
            ("nan", "text"),
            ("infinity", "text"),
            ("1:30", "text"),
            ("99999999999999999999", "float 100000000000000000000"),
            ("0xfffffffffffffffff", "float inf"),
            ("e5", "text"),
            ("-", "text"),
            ("10.0.0.1:80", "text"),
        ] {
            assert_eq!(kind(text), expected, "{text:?}");
        }
    }
}
