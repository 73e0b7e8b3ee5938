//! `undertone.toml`: where the store is, where the root key comes from, and which scopes agents may use.
//!
//! ```toml
//! [key]                         # of a store that is embedded in this folder
//! provider = "file"             # or "passphrase", "credential"
//! path = "/etc/undertone/root.key"
//!
//! [agents.slack-notifier]
//! scopes = ["dev", "dev/sp_2"]  # beyond the scope of the event at hand
//! ```
//! A store in AWS has a `[store]` in the stead of `[key]`; KMS holds its root key:
//!
//! ```toml
//! [store]
//! provider = "aws"
//! kind = "dynamodb"             # or "secrets-manager"
//! kms_key = "alias/undertone"   # or an ARN, or an id
//! region = "eu-central-1"       # else the one that AWS's own programs use
//! profile = "work"              # else the credentials that AWS's own programs use
//! table = "undertone"           # with DynamoDB
//! prefix = "undertone"          # with Secrets Manager
//! audit_table = "undertone-audit"
//! ```
//! A field that isn't known is an error: a grant that is misspelt must not look like none.

mod parse;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use undertone_core::{AgentId, Scope};

use crate::error::LocalError;
use crate::root::{Argon2Params, SALT};

/// A home's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where secrets are kept.
    pub store: StoreSettings,
    /// The scopes that an operator granted to an agent beyond the event's own.
    pub agents: BTreeMap<AgentId, Vec<Scope>>,
}

/// Where secrets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In the home.
    Embedded {
        /// Where the root key comes from.
        key: KeySource,
    },
    /// In an account of AWS.
    Aws(AwsSettings),
}

/// A store in AWS, as an operator names it. Whether it is there shows when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// Which service keeps rows and records.
    pub kind: AwsKind,
    /// The region; without one, that which AWS's own programs use.
    pub region: Option<String>,
    /// The profile with the credentials; without one, those which AWS's own programs use.
    pub profile: Option<String>,
    /// The DynamoDB table of rows and records.
    pub table: String,
    /// What the names in Secrets Manager begin with.
    pub prefix: String,
    /// The key of KMS that wraps scope keys: ARN, id or alias.
    pub kms_key: String,
    /// The DynamoDB table of audit.
    pub audit_table: String,
}

/// A service of AWS that can keep rows and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsKind {
    /// DynamoDB.
    DynamoDb,
    /// Secrets Manager.
    SecretsManager,
}

/// Where the root key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner reads.
    File {
        /// Which; a relative path starts at the home.
        path: PathBuf,
    },
    /// A passphrase, by Argon2id.
    Passphrase {
        /// Makes equal passphrases different keys.
        salt: [u8; SALT],
        /// What guessing costs.
        params: Argon2Params,
    },
    /// A systemd credential.
    Credential {
        /// Its name in `$CREDENTIALS_DIRECTORY`.
        name: String,
    },
}

impl KeySource {
    /// What it is called in messages.
    pub(crate) fn place(&self) -> String {
        match self {
            KeySource::File { path } => format!("the key file {}", path.display()),
            KeySource::Passphrase { .. } => "the passphrase".to_owned(),
            KeySource::Credential { name } => format!("the systemd credential `{name}`"),
        }
    }
}

impl Settings {
    /// Reads the text of a settings file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, LocalError> {
        parse::settings(text).map_err(|parse::Problem { at, problem }| {
            let before = text.get(..at).unwrap_or(text);
            let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
            LocalError::Settings { path: path.to_owned(), line, problem }
        })
    }
}
