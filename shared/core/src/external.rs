//! The port `ExternalSource`: secrets that another service keeps and rotates, used as they are.
//!
//! A row of kind `external` holds a sealed reference and no value. The value is fetched when the
//! row wins, sealed at once under a key that this process makes for itself and never stores, and
//! from then on treated like any other. Only the sink opens it.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::name::is_hidden;

/// The longest reference to a secret elsewhere, in bytes: an ARN has at most 2,048.
const LONGEST_ID: usize = 2_048;

/// Names a secret that another service keeps, and which part of it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalRef {
    id: Arc<str>,
    key: Option<Arc<str>>,
}

/// Why a text names no external secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an external secret is named by its ARN or name (1 to 2,048 visible characters), its JSON key likewise"
)]
pub struct ExternalRefError;

impl ExternalRef {
    /// A reference to the secret with this ARN or name; with a key, to that field of its JSON object.
    ///
    /// # Errors
    /// If a text is empty, too long or holds characters that can't be seen.
    pub fn new(id: &str, key: Option<&str>) -> Result<Self, ExternalRefError> {
        let visible = |text: &str| {
            let characters = text.chars().all(|c| !c.is_whitespace() && !is_hidden(c));
            !text.is_empty() && text.len() <= LONGEST_ID && characters
        };
        if !visible(id) || !key.is_none_or(visible) {
            return Err(ExternalRefError);
        }
        Ok(Self { id: id.into(), key: key.map(Into::into) })
    }

    /// The secret's ARN or name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The field of its JSON object that is meant, if it isn't the whole.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The text to seal: `id`, and after a line feed `key` if there is one.
    pub(crate) fn encode(&self) -> String {
        match &self.key {
            None => self.id.to_string(),
            Some(key) => format!("{}\n{key}", self.id),
        }
    }

    /// Reads an opened record.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ExternalRefError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ExternalRefError)?;
        match text.split_once('\n') {
            None => Self::new(text, None),
            Some((id, key)) => Self::new(id, Some(key)),
        }
    }
}

/// What the other service answered. Wiped when dropped, never printed.
pub struct ExternalValue {
    /// The bytes of the whole secret.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The other service's id of this version.
    pub version: Arc<str>,
}

/// Why an external secret gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// The service can't be reached now. Trying again may help.
    #[error("the service that keeps it can't be reached: {0}")]
    Unavailable(String),
    /// The service answered, and the answer is no: no right, no such secret, no value.
    #[error("the service that keeps it refused: {0}")]
    Denied(String),
    /// The secret isn't what the reference says.
    #[error("what it refers to can't be used: {0}")]
    Unfit(&'static str),
}

/// Where external secrets come from.
#[async_trait]
pub trait ExternalSource: Send + Sync {
    /// The current value of a whole secret.
    async fn fetch(&self, id: &str) -> Result<ExternalValue, ExternalError>;
}

/// The part of a fetched secret that a reference means.
pub(crate) fn part(value: &ExternalValue, key: Option<&str>) -> Result<Zeroizing<Vec<u8>>, ExternalError> {
    let Some(key) = key else {
        return Ok(value.bytes.clone());
    };
    let object: serde_json::Value = serde_json::from_slice(&value.bytes)
        .map_err(|_| ExternalError::Unfit("it is no JSON object, so it has no such key"))?;
    let found = match object.get(key) {
        None => Err(ExternalError::Unfit("its JSON object has no such key")),
        Some(serde_json::Value::String(text)) => Ok(text.as_bytes().to_vec()),
        Some(serde_json::Value::Null) => Err(ExternalError::Unfit("that key of it is null")),
        Some(other) => Ok(other.to_string().into_bytes()),
    };
    wipe(object);
    found.map(Zeroizing::new)
}

/// The parser's copies of the fields, one by one.
fn wipe(value: serde_json::Value) {
    use zeroize::Zeroize;
    match value {
        serde_json::Value::String(mut text) => text.zeroize(),
        serde_json::Value::Array(items) => items.into_iter().for_each(wipe),
        serde_json::Value::Object(fields) => fields.into_iter().for_each(|(_, field)| wipe(field)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_survives_sealing_and_anything_else_is_refused() {
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf";
        for key in [None, Some("password")] {
            let reference = ExternalRef::new(arn, key).unwrap();
            assert_eq!(ExternalRef::decode(reference.encode().as_bytes()), Ok(reference));
        }
        let long = "x".repeat(2_049);
        for (id, key) in [
            ("", None),
            ("a b", None),
            ("a", Some("")),
            ("a\nb", None),
            ("a", Some("b\nc")),
            (&long, None),
            ("a\u{200b}", None),
        ] {
            assert_eq!(ExternalRef::new(id, key), Err(ExternalRefError), "{id:?} {key:?}");
        }
        assert_eq!(ExternalRef::decode(&[0xff]), Err(ExternalRefError));
    }

    #[test]
    fn a_key_picks_one_field_and_says_what_is_wrong_without_a_value() {
        let fetched =
            |text: &str| ExternalValue { bytes: text.as_bytes().to_vec().into(), version: "v".into() };
        for (text, key, want) in [
            ("plain", None, Ok("plain")),
            (r#"{"a":"x","b":7}"#, Some("a"), Ok("x")),
            (r#"{"a":"x","b":7}"#, Some("b"), Ok("7")),
            (r#"{"a":{"c":1}}"#, Some("a"), Ok(r#"{"c":1}"#)),
            (r#"{"a":null}"#, Some("a"), Err(())),
            (r#"{"a":1}"#, Some("z"), Err(())),
            ("hunter2-hunter2", Some("a"), Err(())),
            ("[1]", Some("0"), Err(())),
        ] {
            let found = part(&fetched(text), key).map(|value| String::from_utf8(value.to_vec()).unwrap());
            if let Err(error) = &found {
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
            assert_eq!(found.map_err(|_| ()), want.map(str::to_owned), "{text} {key:?}");
        }
    }
}
