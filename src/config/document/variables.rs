//! `${VAR}` and `${VAR:-default}` in the text of a scalar, as POSIX shells read them; `$${` is a
//! literal `${`. Names are looked up through a function: this module reads no environment.

use crate::config::error::Quoted;

/// How a value of the environment is found.
pub(in crate::config) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Why a variable could not be substituted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VariableProblem {
    /// Characters from the start of the text to the `$`.
    pub(super) offset: u32,
    pub(super) message: String,
    pub(super) help: String,
}

/// Substitutes every variable of `text`; `None` when it has none.
pub(super) fn substitute(
    text: &str,
    env: &Environment<'_>,
) -> Result<Option<String>, VariableProblem> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find("${") {
        let (before, from) = rest.split_at(dollar);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = from.get(2..).unwrap_or("");
            continue;
        }
        out.push_str(before);
        let problem = |(message, help): (String, String)| {
            let offset = text.len() - from.len();
            let offset = text.get(..offset).map_or(0, |head| head.chars().count());
            VariableProblem { offset: offset as u32, message, help }
        };
        let inner = from.get(2..).unwrap_or("");
        let Some((inside, after)) = inner.split_once('}') else {
            let help = "write ${NAME} or ${NAME:-default}; $${ stands for a literal ${".to_owned();
            return Err(problem(("a variable is not closed with `}`".to_owned(), help)));
        };
        out.push_str(&lookup(inside, env).map_err(problem)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(Some(out))
}

fn lookup(inside: &str, env: &Environment<'_>) -> Result<String, (String, String)> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        let help = "a name has letters, digits and `_`; the forms are ${NAME} and ${NAME:-default}; \
                    $${ stands for a literal ${";
        // Not repeated here: it may be a part of a secret.
        return Err(("what is in `${ }` is not a variable".to_owned(), help.to_owned()));
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the environment variable {} is not set", Quoted(name)),
            format!("set it, or give a default: ${{{name}:-default}}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".into()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${A}".into()),
            _ => None,
        }
    }

    #[test]
    fn substitutes_as_a_shell_does() {
        for (text, expected) in [
            ("x${A}y${A}", "xoney".to_owned() + "one"),
            ("${NONE:-two}", "two".into()),
            ("${NONE:-}", String::new()),
            ("${EMPTY:-two}", "two".into()),
            ("${EMPTY}", String::new()),
            ("${NONE:-a:-b}", "a:-b".into()),
            ("$${A} ${A}", "${A} one".into()),
            ("${TRICK}", "${A}".into()),
            ("$${A", "${A".into()),
        ] {
            assert_eq!(substitute(text, &env).unwrap().as_deref(), Some(&*expected), "{text}");
        }
        for text in ["", "$A", "{A}", "$ {A}", "a$"] {
            assert_eq!(substitute(text, &env), Ok(None), "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_substitute() {
        for (text, offset, part) in [
            ("é${NONE}", 1, "`NONE` is not set"),
            ("${A} ${", 5, "not closed"),
            ("${A", 0, "not closed"),
            ("${}", 0, "not a variable"),
            ("${1A}", 0, "not a variable"),
            ("${A:?no}", 0, "not a variable"),
            ("${A-b}", 0, "not a variable"),
        ] {
            let problem = substitute(text, &env).unwrap_err();
            assert_eq!(problem.offset, offset, "{text}");
            assert!(problem.message.contains(part), "{text}: {}", problem.message);
        }
    }
}
