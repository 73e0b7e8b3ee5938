//! A secret's value on its way in: bytes that are wiped when dropped and can't be printed.

use zeroize::Zeroizing;

/// The largest value, in bytes.
pub const LARGEST_VALUE: usize = 65_536;

/// The shortest value that the leak guard can mask, in bytes.
pub const SHORTEST_MASKABLE: usize = crate::redact::SHORTEST;

/// A value that somebody sets. Wiped when dropped.
///
/// It can't be printed:
/// ```compile_fail,E0277
/// let value = undertone_core::SecretValue::new(b"hunter2!".to_vec()).unwrap_or_else(|_| panic!());
/// println!("{value:?}");
/// ```
pub struct SecretValue(Zeroizing<Vec<u8>>);

/// The value is larger than [`LARGEST_VALUE`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a value has at most {LARGEST_VALUE} bytes, this one has {0}: store the large part elsewhere, encrypted, and its key here"
)]
pub struct ValueTooLarge(pub usize);

/// Something about a value that is probably a mistake. Lints warn, they never alter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueLint {
    /// White space at the end.
    TrailingSpace,
    /// White space at the start.
    LeadingSpace,
    /// Quotes around the whole value.
    Quoted,
    /// Looks like a text that stands for a value.
    Placeholder,
    /// Shorter than [`SHORTEST_MASKABLE`].
    TooShortToMask,
}

impl ValueLint {
    /// What is wrong and what it leads to.
    pub fn message(self) -> &'static str {
        match self {
            ValueLint::TrailingSpace => "ends with white space, which is kept as part of the value",
            ValueLint::LeadingSpace => "starts with white space, which is kept as part of the value",
            ValueLint::Quoted => "has quotes around it, which are kept as part of the value",
            ValueLint::Placeholder => "looks like a placeholder, not like a real value",
            ValueLint::TooShortToMask => "is shorter than 8 bytes: too short to mask in logs and outputs",
        }
    }
}

impl SecretValue {
    /// Takes over the bytes, none changed.
    ///
    /// # Errors
    /// If there are more than [`LARGEST_VALUE`].
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<Self, ValueTooLarge> {
        let bytes = bytes.into();
        if LARGEST_VALUE < bytes.len() {
            return Err(ValueTooLarge(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// Whether the value has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is probably a mistake about this value.
    pub fn lints(&self) -> Vec<ValueLint> {
        let bytes = self.0.as_slice();
        let mut lints = Vec::new();
        if bytes.last().is_some_and(u8::is_ascii_whitespace) {
            lints.push(ValueLint::TrailingSpace);
        }
        if bytes.first().is_some_and(u8::is_ascii_whitespace) {
            lints.push(ValueLint::LeadingSpace);
        }
        if is_quoted(bytes) {
            lints.push(ValueLint::Quoted);
        }
        if is_placeholder(bytes) {
            lints.push(ValueLint::Placeholder);
        }
        if !bytes.is_empty() && bytes.len() < SHORTEST_MASKABLE {
            lints.push(ValueLint::TooShortToMask);
        }
        lints
    }

    /// The bytes. The one way out on the side of the writer: sealing and comparing only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

fn is_quoted(bytes: &[u8]) -> bool {
    match bytes {
        [first @ (b'"' | b'\'' | b'`'), .., last] => first == last,
        _ => false,
    }
}

fn is_placeholder(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii().to_ascii_lowercase();
    let enclosed = |open: &[u8], close: &[u8]| {
        open.len() + close.len() < text.len() && text.starts_with(open) && text.ends_with(close)
    };
    const WORDS: [&[u8]; 12] = [
        b"changeme",
        b"change-me",
        b"change_me",
        b"todo",
        b"tbd",
        b"xxx",
        b"xxxx",
        b"placeholder",
        b"secret",
        b"password",
        b"redacted",
        b"none",
    ];
    WORDS.contains(&text.as_slice())
        || enclosed(b"<", b">")
        || enclosed(b"${", b"}")
        || enclosed(b"{{", b"}}")
        || (4 <= text.len() && text.iter().all(|b| *b == b'*'))
        || text.starts_with(b"your-")
        || text.starts_with(b"your_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_warn_of_what_is_probably_a_mistake() {
        for (text, want) in [
            ("xoxb-0123456789", vec![]),
            ("xoxb-0123456789 ", vec![ValueLint::TrailingSpace]),
            (" xoxb-0123456789", vec![ValueLint::LeadingSpace]),
            ("\"xoxb-0123456789\"", vec![ValueLint::Quoted]),
            ("changeme", vec![ValueLint::Placeholder]),
            ("<redacted>", vec![ValueLint::Placeholder]),
            ("${SLACK_TOKEN}", vec![ValueLint::Placeholder]),
            ("abc", vec![ValueLint::TooShortToMask]),
            ("", vec![]),
        ] {
            let value = SecretValue::new(text.as_bytes().to_vec()).unwrap();
            assert_eq!(value.lints(), want, "{text:?}");
        }
    }

    #[test]
    fn a_value_of_64_kib_fits_and_one_byte_more_does_not() {
        assert!(SecretValue::new(vec![0; LARGEST_VALUE]).is_ok());
        assert_eq!(SecretValue::new(vec![0; LARGEST_VALUE + 1]).err(), Some(ValueTooLarge(65_537)));
    }
}
