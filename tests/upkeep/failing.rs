//! A store of which one call fails, as a crash or a lost answer would make it look.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use undertone_core::memory::MemoryStore;
use undertone_core::{
    Batch, Chain, ChainRows, Environment, EnvironmentId, Epoch, History, Limits, Names, ReadStore, Scope,
    SecretName, Space, SpaceId, Store, StoreError, StoreId,
};

/// Whether the call that fails was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It wasn't.
    Before,
    /// It was, and its answer was lost.
    After,
}

/// See the module.
pub struct Failing {
    inner: Arc<MemoryStore>,
    left: AtomicUsize,
    when: When,
}

impl Failing {
    /// The call with this number fails, counted from 0.
    pub fn new(inner: Arc<MemoryStore>, at: usize, when: When) -> Self {
        Self { inner, left: AtomicUsize::new(at), when }
    }

    /// Whether it is this call.
    fn is_it(&self) -> bool {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        // From then on none fails: the number stays below zero, so to speak.
        left == Err(0) && self.left.swap(usize::MAX, Ordering::SeqCst) == 0
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let lost = || StoreError::Unavailable("cut off".to_owned());
        match (self.is_it(), self.when) {
            (true, When::Before) => Err(lost()),
            (true, When::After) => {
                work.await?;
                Err(lost())
            }
            (false, _) => work.await,
        }
    }
}

#[async_trait]
impl ReadStore for Failing {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    async fn epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        self.call(self.inner.epoch(chain)).await
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        self.call(self.inner.chain(chain, names)).await
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        self.call(self.inner.history(scope, name)).await
    }
}

#[async_trait]
impl Store for Failing {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.call(self.inner.write(batch)).await
    }

    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        self.call(self.inner.create_environment(environment)).await
    }

    async fn create_space(&self, space: Space) -> Result<(), StoreError> {
        self.call(self.inner.create_space(space)).await
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.call(self.inner.environments()).await
    }

    async fn spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError> {
        self.call(self.inner.spaces(environment, after, limit)).await
    }
}
