//! What the secrets of a store are called: `<prefix>/<environment>`, `<prefix>/<environment>/<space>`.
//!
//! No id has a `/` or begins with `-`, so no two scopes share a name, and none has the store's own.
//! The longest name has 322 characters; Secrets Manager takes 512. Secrets are asked for by name,
//! never by ARN, whose six characters at the end a partial ARN might mistake for a part of a name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use undertone_core::Scope;

/// What the names of a store's secrets begin with: 1 to 64 of `A-Z a-z 0-9 _ + = . @ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretsPrefix(Arc<str>);

/// The text is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix of names in Secrets Manager is 1 to 64 of `A-Z a-z 0-9 _ + = . @ -`")]
pub struct SecretsPrefixError;

impl SecretsPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret that says what the store is.
    pub(super) fn store(&self) -> String {
        // Five characters after the hyphen: with six a name looks like the end of an ARN.
        format!("{self}/-store")
    }

    /// The scope's secret.
    pub(super) fn secret_of(&self, scope: &Scope) -> String {
        match scope {
            Scope::Environment(environment) => format!("{self}/{environment}"),
            Scope::Space(environment, space) => format!("{self}/{environment}/{space}"),
        }
    }

    /// The scope whose secret has this name, if one could.
    pub(super) fn scope_of(&self, name: &str) -> Option<Scope> {
        let ids = name.strip_prefix(&*self.0)?.strip_prefix('/')?;
        Some(match ids.split_once('/') {
            None => Scope::Environment(ids.parse().ok()?),
            Some((environment, space)) => Scope::Space(environment.parse().ok()?, space.parse().ok()?),
        })
    }
}

impl FromStr for SecretsPrefix {
    type Err = SecretsPrefixError;
    fn from_str(text: &str) -> Result<Self, SecretsPrefixError> {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"_+=.@-".contains(&b);
        let ok = (1..=64).contains(&text.len()) && text.bytes().all(is_inner);
        ok.then(|| Self(text.into())).ok_or(SecretsPrefixError)
    }
}

impl fmt::Display for SecretsPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix() -> SecretsPrefix {
        "undertone".parse().unwrap()
    }

    #[test]
    fn a_scope_has_one_name_and_the_name_one_scope() {
        let environment = Scope::Environment("dev".parse().unwrap());
        let space = Scope::Space("dev".parse().unwrap(), "team-abcdef".parse().unwrap());
        for (scope, name) in [(environment, "undertone/dev"), (space, "undertone/dev/team-abcdef")] {
            assert_eq!(prefix().secret_of(&scope), name);
            assert_eq!(prefix().scope_of(name), Some(scope));
        }
        for name in ["undertone", "undertone/", "undertone/-store", "undertone2/dev", "undertonedev", "x/dev"]
            .into_iter()
            .chain(["undertone/dev/", "undertone/dev/a/b", "undertone/dev//a", "Undertone/dev"])
        {
            assert_eq!(prefix().scope_of(name), None, "{name}");
        }
        assert_eq!(prefix().scope_of(&prefix().store()), None);
    }

    #[test]
    fn the_longest_names_fit() {
        let id = "a".repeat(128);
        let prefix: SecretsPrefix = "p".repeat(64).parse().unwrap();
        let longest = prefix.secret_of(&Scope::Space(id.parse().unwrap(), id.parse().unwrap()));
        assert!(longest.len() <= 512, "{}", longest.len());
        for text in ["", &"p".repeat(65), "a/b", "a b", "ä", "a\n", "!a"] {
            assert_eq!(text.parse::<SecretsPrefix>(), Err(SecretsPrefixError), "{text:?}");
        }
    }
}
