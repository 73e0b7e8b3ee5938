//! Claims that don't work.

use async_trait::async_trait;
use jiff::Timestamp;
use undertone_core::Idempotency;
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyError, IdempotencyKey};
use undertone_core::memory::MemoryIdempotency;

/// What a call does.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    Fails,
    Hangs,
}

/// Claims of which claiming and settling may fail.
pub struct Faulty {
    pub claiming: Fault,
    pub settling: Fault,
    pub inner: MemoryIdempotency,
}

async fn happens(fault: Fault) -> Result<(), IdempotencyError> {
    match fault {
        Fault::None => Ok(()),
        Fault::Fails => Err(IdempotencyError("throttled".to_owned())),
        Fault::Hangs => std::future::pending().await,
    }
}

#[async_trait]
impl Idempotency for Faulty {
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, IdempotencyError> {
        happens(self.claiming).await?;
        self.inner.claim(key, claim, now, until).await
    }

    async fn finish(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        answer: &str,
        keep_until: Timestamp,
    ) -> Result<(), IdempotencyError> {
        happens(self.settling).await?;
        self.inner.finish(key, claim, answer, keep_until).await
    }

    async fn give_up(&self, key: &IdempotencyKey, claim: ClaimId) -> Result<(), IdempotencyError> {
        happens(self.settling).await?;
        self.inner.give_up(key, claim).await
    }
}
