//! Scope keys wrapped by AWS KMS: two powers, two types, two permissions of IAM.
//!
//! [`KmsSealer`] only ever calls `GenerateDataKey`, [`KmsOpener`] only `Decrypt`, and
//! [`KmsRewrapper`] only `ReEncrypt`. Every call names the key and has the whole encryption
//! context, so a blob made under another key, for another scope or generation doesn't open.
//!
//! Calls that fail are few, however many want a key: at most ten a second and process, three for
//! one question, and about four seconds in all. Only what may pass is tried again.

mod key;
mod opener;
mod rewrapper;
mod sealer;
mod stats;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use undertone_core::keys::Generation;
use undertone_core::{KeyError, KeyScope};

pub use key::{KmsKey, KmsKeyError};
pub use opener::KmsOpener;
pub use rewrapper::KmsRewrapper;
pub use sealer::KmsSealer;
pub use stats::{KmsCounts, KmsStats};

use crate::Connection;
use crate::fault::{Fault, fault, is_expired, is_outdated};
use key::NotHere;
use stats::Ended;

/// How often one question is asked.
const TRIES: u32 = 3;
/// How long one question takes at most, all tries and pauses together.
const TOGETHER: Duration = Duration::from_secs(4);
/// The pause before the second try is at most this, before the third twice this.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest `CiphertextBlob` of KMS.
const LONGEST_BLOB: usize = 6_144;

/// Why KMS gave no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum KmsFault {
    #[error("the call failed")]
    Call(Fault),
    #[error(transparent)]
    Paced(#[from] undertone_core::pace::Paced),
    #[error("KMS took too long")]
    TooLate,
    #[error(transparent)]
    NotHere(#[from] NotHere),
    #[error("the key {0} wasn't wrapped by KMS: open the store with the key it was made with")]
    OtherProvider(undertone_core::KeyId),
    #[error("a wrapped key of KMS has 1 to 6,144 bytes")]
    BlobLength,
    #[error("{0} was answered by another key than the one asked for")]
    OtherKey(&'static str),
    #[error("{0} was answered without a key")]
    Nothing(&'static str),
    #[error(transparent)]
    KeyBytes(#[from] undertone_core::record::KeyBytesError),
    #[error("KMS made the same key twice")]
    Repeated,
}

impl From<KmsFault> for KeyError {
    fn from(fault: KmsFault) -> Self {
        match fault {
            KmsFault::Call(Fault::Unavailable(problem)) => KeyError::Unavailable(problem),
            KmsFault::Call(Fault::Denied(problem) | Fault::Code(problem)) => KeyError::Denied(problem),
            KmsFault::Call(Fault::Garbled(problem)) => KeyError::BadAnswer(problem),
            KmsFault::Paced(_) | KmsFault::TooLate => KeyError::Unavailable(fault.to_string()),
            KmsFault::NotHere(_) | KmsFault::OtherProvider(_) | KmsFault::BlobLength => {
                KeyError::Denied(fault.to_string())
            }
            KmsFault::OtherKey(_) | KmsFault::Nothing(_) | KmsFault::KeyBytes(_) | KmsFault::Repeated => {
                KeyError::BadAnswer(fault.to_string())
            }
        }
    }
}

/// KMS as a connection reaches it.
#[derive(Clone)]
struct Kms(Arc<Connection>);

impl Kms {
    /// What the key is called in this connection's region.
    fn name_of(&self, key: &KmsKey) -> Result<String, NotHere> {
        key.in_region(self.0.region().unwrap_or_default())
    }

    /// Asks until there is an answer or no hope. `check` takes from an answer what is wanted; what
    /// it refuses isn't asked again.
    async fn ask<T, U, E, Call>(
        &self,
        operation: &'static str,
        call: impl Fn(Client) -> Call + Send + Sync,
        check: impl Fn(T) -> Result<U, KmsFault> + Send + Sync,
    ) -> Result<U, KmsFault>
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        Call: Future<Output = Result<T, SdkError<E>>> + Send,
    {
        match tokio::time::timeout(TOGETHER, self.tries(operation, call, check)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.0.kms_stats().failed(Ended::Unavailable);
                Err(KmsFault::TooLate)
            }
        }
    }

    async fn tries<T, U, E, Call>(
        &self,
        operation: &'static str,
        call: impl Fn(Client) -> Call + Send + Sync,
        check: impl Fn(T) -> Result<U, KmsFault> + Send + Sync,
    ) -> Result<U, KmsFault>
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        Call: Future<Output = Result<T, SdkError<E>>> + Send,
    {
        let stats = self.0.kms_stats();
        let mut mended = false;
        for attempt in 1.. {
            let place = self.0.pace().place().await.inspect_err(|_| stats.failed(Ended::HeldBack))?;
            stats.sent();
            let error = match call(self.0.kms()).await {
                Ok(answer) => {
                    let checked = check(answer).inspect_err(|_| stats.failed(Ended::Wrong))?;
                    place.succeeded();
                    return Ok(checked);
                }
                Err(error) => error,
            };
            drop(place);
            let fault = fault(operation, &error);
            stats.failed(match &fault {
                Fault::Unavailable(_) => Ended::Unavailable,
                Fault::Denied(_) | Fault::Code(_) => Ended::Denied,
                Fault::Garbled(_) => Ended::Wrong,
            });
            let away = matches!(fault, Fault::Unavailable(_));
            // The SDK has learned from the answer how wrong this machine's clock is; credentials
            // that were replaced are fetched anew. Either helps at the next try or never.
            let can_mend = is_outdated(&error) && !mended;
            if TRIES <= attempt || !(away || can_mend) {
                return Err(KmsFault::Call(fault));
            }
            if can_mend {
                mended = true;
                if is_expired(&error) {
                    self.0.forget_credentials();
                }
            }
            tokio::time::sleep(jittered(PAUSE * attempt)).await;
        }
        unreachable!("the last try has returned")
    }
}

/// The exact encryption context of a scope's key. KMS shows it in its trail: ids, no names.
fn context(scope: &KeyScope, generation: Generation) -> HashMap<String, String> {
    HashMap::from([
        ("esr:v".to_owned(), "1".to_owned()),
        ("esr:store".to_owned(), scope.store_id().to_string()),
        ("esr:env".to_owned(), scope.environment().to_owned()),
        // A hyphen alone is no Space's id.
        ("esr:space".to_owned(), scope.space().unwrap_or("-").to_owned()),
        ("esr:gen".to_owned(), generation.to_string()),
    ])
}

fn fits(blob: &[u8]) -> Result<(), KmsFault> {
    if (1..=LONGEST_BLOB).contains(&blob.len()) { Ok(()) } else { Err(KmsFault::BlobLength) }
}

/// Full jitter: from nothing up to all of it.
fn jittered(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use undertone_core::{Scope, StoreId};

    use super::*;

    #[test]
    fn the_context_says_store_environment_space_and_generation() {
        let store = StoreId([0xa5; 16]);
        let space = Scope::Space("prod".parse().unwrap(), "sp_1".parse().unwrap());
        for (scope, generation, want) in [
            (KeyScope::of(store, &space), 7, ["prod", "sp_1", "7"]),
            (KeyScope::of(store, &Scope::Environment("prod".parse().unwrap())), 1, ["prod", "-", "1"]),
            (KeyScope::store(store), u32::MAX, ["-store-", "-", "4294967295"]),
        ] {
            let [environment, space, generation_text] = want;
            let store = "a5".repeat(16);
            let want = [
                ("esr:v", "1"),
                ("esr:store", store.as_str()),
                ("esr:env", environment),
                ("esr:space", space),
                ("esr:gen", generation_text),
            ];
            let want = want.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(context(&scope, generation), HashMap::from(want));
        }
    }
}
