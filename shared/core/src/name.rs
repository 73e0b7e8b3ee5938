//! Names of secrets, parsed once: exact, case-sensitive, printable, without hidden characters.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 1024;

/// A secret's name, exactly as its owner wrote it.
///
/// Canonical names are `[A-Z][A-Z0-9_]{0,127}`. Any other printable name may exist where its
/// owner asked for it; control, bidirectional and zero-width characters never do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(Arc<str>);

/// Why a text is no name. Carries the text escaped, so that it is safe to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or only white space.
    #[error("a secret's name can't be empty")]
    Empty,
    /// More than [`LONGEST_NAME`] characters.
    #[error("a secret's name has at most {LONGEST_NAME} characters, this one has {0}")]
    TooLong(usize),
    /// A character that doesn't show.
    #[error("the name \"{escaped}\" holds the hidden character {character}: write it without")]
    Hidden {
        /// The name, escaped.
        escaped: String,
        /// The character as `U+200B`.
        character: String,
    },
    /// White space at an end.
    #[error("the name \"{0}\" starts or ends with white space: write it without")]
    OuterSpace(String),
}

impl SecretName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is `[A-Z][A-Z0-9_]{0,127}`.
    pub fn is_canonical(&self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() <= 128
            && bytes[0].is_ascii_uppercase()
            && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    }

    /// What two look-alike names have in common: NFKC, Unicode default case folding, NFKC.
    ///
    /// Source: Unicode 16, chapter 3, definition D146 (compatibility caseless match).
    pub fn folded(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        let nfkc = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc();
        let first = nfkc.normalize(&self.0);
        let folded = icu_casemap::CaseMapper::new().fold_string(&first).into_owned();
        nfkc.normalize(&folded).into_owned()
    }
}

impl FromStr for SecretName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.trim().is_empty() {
            return Err(NameError::Empty);
        }
        let length = text.chars().count();
        if LONGEST_NAME < length {
            return Err(NameError::TooLong(length));
        }
        if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
            return Err(NameError::Hidden {
                escaped: escaped(text),
                character: format!("U+{:04X}", u32::from(hidden)),
            });
        }
        if text.trim() != text {
            return Err(NameError::OuterSpace(escaped(text)));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A text that came from outside, fit for a message: hidden characters as `\u{..}`.
///
/// A text of more than 120 characters isn't shown at all: the leak guard doesn't know a part of a value.
pub fn escaped(text: &str) -> String {
    let length = text.chars().count();
    if 120 < length {
        return format!("(a text of {length} characters)");
    }
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Whether a character doesn't show or changes how others show: control, bidirectional,
/// zero-width, variation selectors, tags, fillers, separators of lines.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_are_upper_case_identifiers() {
        for (text, canonical) in [
            ("SLACK_TOKEN", true),
            ("A", true),
            ("A1_", true),
            (&"A".repeat(128), true),
            (&"A".repeat(129), false),
            ("slack_token", false),
            ("1A", false),
            ("_A", false),
            ("SLACK TOKEN", false),
            ("SLACK-TOKEN", false),
            ("ÄÖ", false),
        ] {
            let name: SecretName = text.parse().unwrap();
            assert_eq!(name.is_canonical(), canonical, "{text:?}");
        }
    }

    #[test]
    fn hidden_characters_are_refused_and_shown_escaped() {
        for text in ["A\n", "A\u{200b}B", "A\u{202e}B", "\u{feff}A", "A\0", "A\u{1b}[31m"] {
            let error = text.parse::<SecretName>().unwrap_err();
            assert!(!error.to_string().chars().any(is_hidden), "{error}");
        }
        assert!("".parse::<SecretName>().is_err());
        assert!("SLACK_TOKEN ".parse::<SecretName>().is_err());
        assert!("x".repeat(1025).parse::<SecretName>().is_err());
    }

    #[test]
    fn look_alikes_fold_to_one_text() {
        for (one, other, same) in [
            ("SLACK_TOKEN", "slack_token", true),
            ("Straße", "STRASSE", true),
            ("ﬁle", "FILE", true),
            ("Ⅳ", "iv", true),
            ("SLACK_TOKEN", "SLACK-TOKEN", false),
            // Cyrillic A: another letter, which folding does not touch.
            ("A", "А", false),
        ] {
            let fold = |text: &str| text.parse::<SecretName>().unwrap().folded();
            assert_eq!(fold(one) == fold(other), same, "{one} {other}");
        }
    }
}
