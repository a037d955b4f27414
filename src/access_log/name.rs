//! Names that many lines have: made ready once, and shared by all that say them.

use super::escape;

/// A name of the configuration, in the forms in which lines have it.
#[derive(Debug)]
pub struct Name {
    text: Box<str>,
    /// Inside of a JSON string; `None`: as it is.
    escaped: Option<Box<[u8]>>,
}

impl Name {
    /// This one.
    pub fn new(text: &str) -> Self {
        let escaped = (!escape::is_plain(text.as_bytes())).then(|| {
            let mut out = Vec::new();
            escape::json(&mut out, text.as_bytes());
            out.into_boxed_slice()
        });
        Self { text: text.into(), escaped }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// What stands for it inside of a JSON string.
    pub(super) fn json(&self) -> &[u8] {
        self.escaped.as_deref().unwrap_or(self.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_both_forms_unless_it_could_do_harm() {
        for (text, json) in [("", ""), ("eu-west-1", "eu-west-1"), ("a\"b\n", "a\\\"b\\u000a")] {
            let name = Name::new(text);
            assert_eq!(name.as_bytes(), text.as_bytes());
            assert_eq!(std::str::from_utf8(name.json()), Ok(json));
        }
    }
}
