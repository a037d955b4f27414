//! Templates of log lines: text with the names of fields in braces.
//!
//! `{name}` is a field, `{header.NAME}` a header field of the request, `{{` and `}}` are braces.
//! Values are filled in, and made harmless, by `access_log`.

use http::HeaderName;

use crate::config::error::Quoted;
use crate::config::report::nearest;
use crate::config::settings::{LogField, LogPiece};
use crate::model::limits::ACCESS_LOG_HEADERS;

/// What stands before the name of a header field.
const HEADER: &str = "header.";

/// A template that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) pieces: Vec<LogPiece>,
    /// The header fields that it names, each once.
    pub(super) headers: Vec<HeaderName>,
}

/// What is wrong with a template; positions are characters, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("the brace at character {0} is never closed")]
    Open(usize),
    #[error("the closing brace at character {0} closes nothing")]
    Stray(usize),
    #[error("{} at character {at} is no field of the log", Quoted(name))]
    Unknown { at: usize, name: String },
    #[error("{} at character {at} cannot be the name of a header field", Quoted(name))]
    Header { at: usize, name: String },
    #[error("a line cannot have the control character at character {0}")]
    Control(usize),
    #[error("more than {ACCESS_LOG_HEADERS} header fields are named")]
    Headers,
    #[error("this is neither `json` nor a template: it names no field")]
    Nothing,
}

impl TemplateError {
    /// What to do about it.
    pub(super) fn help(&self) -> String {
        match self {
            Self::Open(_) => "close it behind the name of a field; a brace itself is `{{`".into(),
            Self::Stray(_) => "a brace itself is `}}`".into(),
            Self::Unknown { name, .. } => {
                let known = LogField::ALL.iter().map(|field| field.as_str());
                match nearest(name, known.clone()) {
                    Some(name) => format!("did you mean `{{{name}}}`?"),
                    None => {
                        let known = known.collect::<Vec<_>>().join(", ");
                        format!("known are {known}, and `{{header.NAME}}`")
                    }
                }
            }
            Self::Header { .. } => "write it as in `{header.user-agent}`".into(),
            Self::Control(_) => "a template is one line of plain text".into(),
            Self::Headers => "leave some of them out".into(),
            Self::Nothing => {
                "write `json`, or names of fields in braces, such as `{client} {status}`".into()
            }
        }
    }
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Template, TemplateError> {
    let mut template = Template { pieces: Vec::new(), headers: Vec::new() };
    let (mut plain, mut named) = (String::new(), false);
    let mut characters = (1..).zip(text.chars()).peekable();
    while let Some((at, character)) = characters.next() {
        let doubled = characters.next_if(|(_, next)| *next == character && "{}".contains(*next));
        match character {
            _ if doubled.is_some() => plain.push(character),
            '}' => return Err(TemplateError::Stray(at)),
            '{' => {
                let mut name = String::new();
                loop {
                    match characters.next() {
                        Some((_, '}')) => break,
                        Some((_, '{')) | None => return Err(TemplateError::Open(at)),
                        Some((_, character)) => name.push(character),
                    }
                }
                if !plain.is_empty() {
                    let plain = std::mem::take(&mut plain);
                    template.pieces.push(LogPiece::Text(plain.into_boxed_str()));
                }
                let piece = template.piece(at, name)?;
                template.pieces.push(piece);
                named = true;
            }
            character if character.is_control() && character != '\t' => {
                return Err(TemplateError::Control(at));
            }
            character => plain.push(character),
        }
    }
    if !named {
        return Err(TemplateError::Nothing);
    }
    if !plain.is_empty() {
        template.pieces.push(LogPiece::Text(plain.into_boxed_str()));
    }
    Ok(template)
}

impl Template {
    fn piece(&mut self, at: usize, name: String) -> Result<LogPiece, TemplateError> {
        if let Some(field) = LogField::ALL.iter().find(|field| field.as_str() == name) {
            return Ok(LogPiece::Field(*field));
        }
        let Some(header) = name.strip_prefix(HEADER) else {
            return Err(TemplateError::Unknown { at, name });
        };
        let Ok(header) = HeaderName::from_bytes(header.as_bytes()) else {
            let name = header.to_owned();
            return Err(TemplateError::Header { at, name });
        };
        let known = self.headers.iter().position(|known| *known == header);
        let place = known.unwrap_or(self.headers.len());
        if known.is_none() {
            if place >= ACCESS_LOG_HEADERS {
                return Err(TemplateError::Headers);
            }
            self.headers.push(header);
        }
        Ok(LogPiece::Header(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> LogPiece {
        LogPiece::Text(text.into())
    }

    #[test]
    fn text_fields_header_fields_and_braces_are_told_apart() {
        let template =
            parse("{client} {{{method}}} \"{header.User-Agent}\"{header.x-a}{header.USER-AGENT}")
                .unwrap();
        let expected = [
            LogPiece::Field(LogField::Client),
            text(" {"),
            LogPiece::Field(LogField::Method),
            text("} \""),
            LogPiece::Header(0),
            text("\""),
            LogPiece::Header(1),
            LogPiece::Header(0),
        ];
        assert_eq!(template.pieces, expected);
        assert_eq!(template.headers, ["user-agent", "x-a"]);
    }

    #[test]
    fn every_field_can_be_named_and_no_two_have_one_name() {
        for field in LogField::ALL {
            let template = parse(&format!("{{{}}}", field.as_str())).unwrap();
            assert_eq!(template.pieces, [LogPiece::Field(*field)]);
        }
    }

    #[test]
    fn errors_say_where() {
        for (template, error) in [
            ("a {client", TemplateError::Open(3)),
            ("a {cli{ent}", TemplateError::Open(3)),
            ("ä {client} } {", TemplateError::Stray(12)),
            ("{client", TemplateError::Open(1)),
            ("é{clinet}", TemplateError::Unknown { at: 2, name: "clinet".into() }),
            ("{}", TemplateError::Unknown { at: 1, name: String::new() }),
            ("{header.}", TemplateError::Header { at: 1, name: String::new() }),
            ("{header.a b}", TemplateError::Header { at: 1, name: "a b".into() }),
            ("{client}\n", TemplateError::Control(9)),
            ("", TemplateError::Nothing),
            ("jsno", TemplateError::Nothing),
            ("{{client}}", TemplateError::Nothing),
        ] {
            assert_eq!(parse(template), Err(error.clone()), "{template:?}");
            assert!(!error.help().is_empty());
        }
        let unknown = TemplateError::Unknown { at: 1, name: "clinet".into() };
        assert_eq!(unknown.help(), "did you mean `{client}`?");
        let many: String = (0..=ACCESS_LOG_HEADERS).map(|i| format!("{{header.h{i}}}")).collect();
        assert_eq!(parse(&many), Err(TemplateError::Headers));
    }
}
