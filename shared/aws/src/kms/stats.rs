//! How the calls of KMS went, counted for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters over all calls of one [`Connection`](crate::Connection).
#[derive(Debug, Default)]
pub struct KmsStats {
    calls: AtomicU64,
    unavailable: AtomicU64,
    denied: AtomicU64,
    wrong: AtomicU64,
    held_back: AtomicU64,
}

/// What the counters say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KmsCounts {
    /// Requests that were sent, each try counted.
    pub calls: u64,
    /// Those that got no answer, or "not now".
    pub unavailable: u64,
    /// Those that were refused.
    pub denied: u64,
    /// Those whose answer wasn't what was asked for. One is reason enough for an alarm.
    pub wrong: u64,
    /// Requests that were not sent, since too many had failed just before.
    pub held_back: u64,
}

/// How one request ended.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Unavailable,
    Denied,
    Wrong,
    HeldBack,
}

impl KmsStats {
    /// What they say now.
    pub fn counts(&self) -> KmsCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        KmsCounts {
            calls: read(&self.calls),
            unavailable: read(&self.unavailable),
            denied: read(&self.denied),
            wrong: read(&self.wrong),
            held_back: read(&self.held_back),
        }
    }

    pub(super) fn sent(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, ended: Ended) {
        let counter = match ended {
            Ended::Unavailable => &self.unavailable,
            Ended::Denied => &self.denied,
            Ended::Wrong => &self.wrong,
            Ended::HeldBack => &self.held_back,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
