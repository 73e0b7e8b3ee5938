//! Claims in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::id::AgentId;
use crate::idempotency::{ClaimId, Claimed, Idempotency, IdempotencyError, IdempotencyKey};

/// Claims in memory.
#[derive(Default)]
pub struct MemoryIdempotency {
    claims: Mutex<BTreeMap<(AgentId, String), Claim>>,
}

struct Claim {
    digest: [u8; 32],
    state: ClaimState,
}

enum ClaimState {
    Taken { by: ClaimId, until: Timestamp },
    Done { answer: String, until: Timestamp },
}

impl MemoryIdempotency {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(AgentId, String), Claim>> {
        self.claims.lock().expect("no holder of this lock panics")
    }

    fn holds(claim: Option<&Claim>, id: ClaimId) -> bool {
        claim.is_some_and(|claim| matches!(claim.state, ClaimState::Taken { by, .. } if by == id))
    }
}

#[async_trait]
impl Idempotency for MemoryIdempotency {
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, IdempotencyError> {
        let mut claims = self.lock();
        let place = (key.agent.clone(), key.event.clone());
        match claims.get(&place) {
            Some(Claim {
                state: ClaimState::Taken { until, .. } | ClaimState::Done { until, .. },
                digest,
            }) if now < *until && *digest != key.digest => {
                return Ok(Claimed::OtherEvent);
            }
            Some(Claim { state: ClaimState::Taken { until, .. }, .. }) if now < *until => {
                return Ok(Claimed::Taken { until: *until });
            }
            Some(Claim { state: ClaimState::Done { answer, until }, .. }) if now < *until => {
                return Ok(Claimed::Done(answer.clone()));
            }
            Some(_) | None => {}
        }
        claims.insert(place, Claim { digest: key.digest, state: ClaimState::Taken { by: claim, until } });
        Ok(Claimed::Yours)
    }

    async fn finish(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        answer: &str,
        keep_until: Timestamp,
    ) -> Result<(), IdempotencyError> {
        let mut claims = self.lock();
        let place = (key.agent.clone(), key.event.clone());
        if Self::holds(claims.get(&place), claim) {
            let state = ClaimState::Done { answer: answer.to_owned(), until: keep_until };
            claims.insert(place, Claim { digest: key.digest, state });
        }
        Ok(())
    }

    async fn give_up(&self, key: &IdempotencyKey, claim: ClaimId) -> Result<(), IdempotencyError> {
        let mut claims = self.lock();
        let place = (key.agent.clone(), key.event.clone());
        if Self::holds(claims.get(&place), claim) {
            claims.remove(&place);
        }
        Ok(())
    }
}
