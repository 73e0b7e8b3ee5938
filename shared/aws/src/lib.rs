//! Undertone's ports on AWS.
//!
//! Keys are wrapped by KMS, always with the key's id and the full encryption context. Rows are in
//! DynamoDB (one item per row) or in Secrets Manager (one secret per scope), sealed either way.
//! A service that answers no is never taken for one that is away.

mod answers;
mod connect;
mod fault;
mod kms;
mod store_key;

pub use connect::{Connection, Timeouts};
pub use kms::{KmsCounts, KmsKey, KmsKeyError, KmsOpener, KmsRewrapper, KmsSealer, KmsStats};
pub use store_key::StoreKey;
