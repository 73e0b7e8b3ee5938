//! A field of a request: plain text, or a secret that is opened when the request is built.

use undertone_core::Secret;

/// What a header, query field or JSON field holds.
pub enum FieldValue<'s> {
    /// Text that is no secret.
    Plain(String),
    /// A secret, by its handle.
    Secret(&'s Secret),
}

impl From<&str> for FieldValue<'_> {
    fn from(text: &str) -> Self {
        FieldValue::Plain(text.to_owned())
    }
}

impl From<String> for FieldValue<'_> {
    fn from(text: String) -> Self {
        FieldValue::Plain(text)
    }
}

impl<'s> From<&'s Secret> for FieldValue<'s> {
    fn from(secret: &'s Secret) -> Self {
        FieldValue::Secret(secret)
    }
}
