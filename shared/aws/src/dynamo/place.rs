//! Where each item lies.
//!
//! Ids hold no `#`, so no two scopes share a partition. Names are found by their digests, since a
//! key has less room than a name. A row's key starts with the digest of its folded name: all
//! spellings of a name lie together.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use undertone_core::{EnvironmentId, Scope, SecretName, SpaceId};

/// The partition of the Environments' list.
pub(super) const ENVIRONMENTS: &str = "environments";
/// Sorts after a scope's head and all its rows, and before its older versions.
pub(super) const AFTER_ROWS: &str = "ver#";

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    /// The partition.
    pub(super) pk: String,
    /// The key within it.
    pub(super) sk: String,
}

impl Place {
    /// What the store is.
    pub(super) fn meta() -> Self {
        Self { pk: "store".to_owned(), sk: "meta".to_owned() }
    }

    /// A scope's head.
    pub(super) fn head(scope: &Scope) -> Self {
        Self { pk: partition(scope), sk: "head".to_owned() }
    }

    /// A row with its current version.
    pub(super) fn row(scope: &Scope, name: &SecretName) -> Self {
        Self { pk: partition(scope), sk: format!("{}{}", spellings(name), digest_of(name.as_str())) }
    }

    /// The row of a name that looks like this one, from the key of an entry among the spellings.
    pub(super) fn row_of_spelling(
        environment: &EnvironmentId,
        name: &SecretName,
        entry: &str,
    ) -> Option<(Scope, Self)> {
        let (digest, space) = entry.split_once('#')?;
        let scope = Scope::Space(environment.clone(), space.parse().ok()?);
        let place = Self { pk: partition(&scope), sk: format!("{}{digest}", spellings(name)) };
        Some((scope, place))
    }

    /// A version that isn't its row's current one.
    pub(super) fn version(scope: &Scope, name: &SecretName, number: u64) -> Self {
        Self { pk: partition(scope), sk: format!("{}{number:020}", versions(name)) }
    }

    /// An Environment in the list.
    pub(super) fn environment(id: &EnvironmentId) -> Self {
        Self { pk: ENVIRONMENTS.to_owned(), sk: id.as_str().to_owned() }
    }

    /// A Space in its Environment's list.
    pub(super) fn space(environment: &EnvironmentId, id: &SpaceId) -> Self {
        Self { pk: spaces(environment), sk: id.as_str().to_owned() }
    }

    /// A Space's spelling of a name, among those of all Spaces.
    pub(super) fn spelling(environment: &EnvironmentId, space: &SpaceId, name: &SecretName) -> Self {
        Self { pk: looks(environment, name), sk: format!("{}#{space}", digest_of(name.as_str())) }
    }
}

/// The partition of a scope's head, rows and versions.
pub(super) fn partition(scope: &Scope) -> String {
    match scope {
        Scope::Environment(environment) => format!("S#{environment}"),
        Scope::Space(environment, space) => format!("S#{environment}#{space}"),
    }
}

/// The partition of an Environment's list of Spaces.
pub(super) fn spaces(environment: &EnvironmentId) -> String {
    format!("spaces#{environment}")
}

/// What the keys of all rows of a scope begin with whose names look like this one.
pub(super) fn spellings(name: &SecretName) -> String {
    format!("row#{}#", digest_of(&name.folded()))
}

/// What the keys of a row's versions begin with.
pub(super) fn versions(name: &SecretName) -> String {
    format!("{AFTER_ROWS}{}#", digest_of(name.as_str()))
}

/// The partition of the names in an Environment's Spaces that look like this one.
pub(super) fn looks(environment: &EnvironmentId, name: &SecretName) -> String {
    format!("names#{environment}#{}", digest_of(&name.folded()))
}

/// Between these two are the keys of this spelling, in the partition of all that look like it.
pub(super) fn spelling_bounds(name: &SecretName) -> (String, String) {
    let digest = digest_of(name.as_str());
    // What comes after '#' in ASCII.
    (format!("{digest}#"), format!("{digest}$"))
}

/// SHA-256, the first 8 bytes: how a scope's head names a row.
pub(super) fn short_digest(name: &SecretName) -> [u8; 8] {
    let digest = digest(&SHA256, name.as_str().as_bytes());
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}
