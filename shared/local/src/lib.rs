//! Undertone on one machine: a home folder with an embedded store, a root key and an audit log.
//!
//! A home holds `undertone.db` (rows, sealed records, wrapped keys, audit rows, answers to events) and
//! `undertone.toml` (where the root key comes from, which scopes agents may use). The root key
//! itself is never in the home's database: whoever copies the home without it holds nothing.
//! A home may also point to a store in AWS; then it holds `undertone.toml` alone.
//!
//! Several programs may use one home at once. Unix only: keys are protected by file modes.

mod audit;
mod database;
mod error;
mod health;
mod home;
mod idempotency;
mod init;
mod keys;
mod root;
mod settings;
mod store;

pub use error::LocalError;
pub use health::{Check, Level};
pub use home::{Home, read_settings};
pub use init::{NewKey, write_aws_settings};
pub use keys::LocalKeys;
pub use root::{Argon2Params, KeyProblem};
pub use settings::{AwsKind, AwsSettings, KeySource, Settings, StoreSettings};
