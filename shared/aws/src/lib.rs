//! Undertone's ports on AWS.
//!
//! Keys are wrapped by KMS, always with the key's id and the full encryption context. Rows are in
//! DynamoDB (one item per row) or in Secrets Manager (one secret per scope), sealed either way.
//! A service that answers no is never taken for one that is away.

mod answers;
mod audit;
mod connect;
mod dynamo;
mod environment;
mod external;
mod fault;
mod http;
mod idempotency;
mod installation;
mod kms;
mod secrets_manager;
mod store_key;

pub use audit::{DynamoAudit, LogAudit, Segment, TailRow, WriterId, WriterIdError, verify_lines};
pub use connect::{Connection, Timeouts};
pub use dynamo::{DynamoStore, OpenError, create_table};
pub use external::SecretsManagerSource;
pub use idempotency::{ANSWER_TOO_LONG, DynamoIdempotency};
pub use installation::{
    AuditTo, Installation, InstallationError, InstallationSettings, RowsIn, WritableInstallation,
};
pub use kms::{KmsCounts, KmsKey, KmsKeyError, KmsOpener, KmsRewrapper, KmsSealer, KmsStats};
pub use secrets_manager::{SecretsManagerStore, SecretsOpenError, SecretsPrefix, SecretsPrefixError};
pub use store_key::StoreKey;
