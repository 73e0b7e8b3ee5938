//! Adapters around those in memory: they count, wait at a gate, and alter what they hand on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;
use undertone_core::keys::WrappedKey;
use undertone_core::memory::{MemoryKeys, MemoryStore};
use undertone_core::record::KeyScope;
use undertone_core::{
    Chain, ChainRows, Epoch, History, KeyError, Names, Opener, ReadStore, Scope, SecretName, StoreError,
    StoreId,
};
use zeroize::Zeroizing;

/// Holds callers back until it is opened.
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn open() -> Self {
        Self(watch::Sender::new(true))
    }

    pub fn set_open(&self, open: bool) {
        self.0.send_replace(open);
    }

    async fn pass(&self) {
        self.0.subscribe().wait_for(|open| *open).await.expect("the gate outlives its callers");
    }
}

type Edit = Box<dyn Fn(&mut ChainRows) + Send>;

/// A store before the one in memory.
pub struct WrappedStore {
    inner: Arc<MemoryStore>,
    /// Before rows that were read are handed on.
    pub gate: Gate,
    /// Before it says whether anything changed.
    pub epoch_gate: Gate,
    epochs: AtomicU64,
    edit: Mutex<Option<Edit>>,
}

impl WrappedStore {
    pub fn new(inner: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            gate: Gate::open(),
            epoch_gate: Gate::open(),
            epochs: AtomicU64::new(0),
            edit: Mutex::default(),
        })
    }

    /// From now on rows are handed on like this.
    pub fn set_edit(&self, edit: impl Fn(&mut ChainRows) + Send + 'static) {
        *self.edit.lock().expect("no test panics with this lock") = Some(Box::new(edit));
    }

    /// How often it was asked whether anything changed.
    pub fn epochs(&self) -> u64 {
        self.epochs.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ReadStore for WrappedStore {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    async fn epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        self.epochs.fetch_add(1, Ordering::Relaxed);
        self.epoch_gate.pass().await;
        self.inner.epoch(chain).await
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        let mut rows = self.inner.chain(chain, names).await?;
        if let Some(edit) = self.edit.lock().expect("no test panics with this lock").as_ref() {
            edit(&mut rows);
        }
        self.gate.pass().await;
        Ok(rows)
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        self.inner.history(scope, name).await
    }
}

/// A key service before the one in memory.
pub struct WrappedKeys {
    inner: Arc<MemoryKeys>,
    /// Before a key is unwrapped.
    pub gate: Gate,
}

impl WrappedKeys {
    pub fn new(inner: Arc<MemoryKeys>) -> Arc<Self> {
        Arc::new(Self { inner, gate: Gate::open() })
    }
}

#[async_trait]
impl Opener for WrappedKeys {
    async fn unwrap_key(&self, scope: &KeyScope, key: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let answer = self.inner.unwrap_key(scope, key).await;
        self.gate.pass().await;
        answer
    }
}
