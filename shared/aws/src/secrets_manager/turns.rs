//! Who writes a scope in this process, one after the other: each try that loses a race costs a
//! version, and Secrets Manager keeps about a hundred.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Semaphore, SemaphorePermit};
use undertone_core::Scope;

/// More scopes than are written at once, so that two of them seldom share a turn.
const TURNS: usize = 32;

pub(super) struct Turns([Semaphore; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Semaphore::new(1)))
    }
}

impl Turns {
    /// Waits for the scope's turn, which lasts until the answer is dropped.
    pub(super) async fn of(&self, scope: &Scope) -> SemaphorePermit<'_> {
        let mut hasher = DefaultHasher::new();
        scope.hash(&mut hasher);
        let turns = u64::try_from(TURNS).expect("there are a few");
        let turn = usize::try_from(hasher.finish() % turns).expect("it is one of a few");
        self.0[turn].acquire().await.expect("nobody closes it")
    }
}
