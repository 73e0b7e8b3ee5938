//! Ids, parsed once: an id that exists is well-formed, immutable and safe to print.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is 1 to 128 of `A-Z a-z 0-9 _ . -` and starts with a letter or digit")]
pub struct IdError {
    what: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if !is_id(text) {
                    return Err(IdError { what: $what });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A stage such as `dev` or `prod`.
    EnvironmentId,
    "an Environment's id"
);
id!(
    /// A workspace or customer inside one Environment.
    SpaceId,
    "a Space's id"
);
id!(
    /// A deployed listener, by its slug.
    AgentId,
    "an agent's slug"
);

fn is_id(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=128).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(inner)
}

/// Sixteen random bytes made when a store is initialised; every record is bound to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// A fresh id from the operating system's generator.
    pub fn random() -> Self {
        Self(random_bytes())
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// Names one secret of one scope for as long as it exists, whatever its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretId(pub [u8; 16]);

impl SecretId {
    /// A fresh id from the operating system's generator.
    pub fn random() -> Self {
        Self(random_bytes())
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sec_")?;
        write_hex(f, &self.0)
    }
}

/// Bytes from the operating system's generator, asked anew each time: nothing of it stays in the
/// process, so two processes that go on from one memory image draw different bytes.
///
/// # Panics
/// If the generator fails: nothing secret may be made without it.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's generator works");
    bytes
}

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_plain_ascii() {
        for (text, ok) in [
            ("prod", true),
            ("us_sp_42", true),
            ("0", true),
            ("a.b-c_d", true),
            (&"a".repeat(128), true),
            (&"a".repeat(129), false),
            ("", false),
            ("-", false),
            ("-store-", false),
            ("_x", false),
            (".x", false),
            ("a b", false),
            ("a/b", false),
            ("a\n", false),
            ("é", false),
        ] {
            assert_eq!(text.parse::<SpaceId>().is_ok(), ok, "{text:?}");
        }
    }
}
