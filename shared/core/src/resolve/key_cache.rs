//! Unwrapped scope keys, for a bounded time: one unwrap per key, shared by concurrent lookups.
//!
//! A key is taken as it is for about [`SOFT`], then unwrapped again. While the key service can't
//! be reached it goes on serving until [`HARD`], and then no longer. A service that answers no is
//! no outage: the key is forgotten at once, and nothing that holds it opens another record,
//! however often it was unwrapped since.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use quick_cache::sync::Cache;

use super::flight::Flights;
use crate::clock::{Clock, Moment};
use crate::keys::{KeyError, Opener, WrappedKey, unwrap_checked};
use crate::record::{KeyScope, ScopeKey};

const ENTRIES: usize = 1_000;
/// How often a key is taken before it is unwrapped again.
const USES: u64 = 1 << 20;
/// After this long, give or take a tenth, a key is unwrapped again.
pub const SOFT: Duration = Duration::from_secs(300);
/// After this long a key isn't used, whatever the key service is doing.
pub const HARD: Duration = Duration::from_secs(900);
/// The longest pause between two tries to unwrap a key again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

type Answer = Result<Arc<OpenKey>, KeyError>;
type Key = (KeyScope, WrappedKey);
/// Whether the key service has refused a key: one word for all who hold it.
type Refused = Arc<AtomicBool>;

/// A scope key, unwrapped a while ago. Wiped when nobody holds it any more.
pub struct OpenKey {
    key: ScopeKey,
    unwrapped: Moment,
    soft: Duration,
    uses: AtomicU64,
    refused: Refused,
    outage: Mutex<Option<Outage>>,
}

/// Tries to unwrap a key again that failed because the service is away.
#[derive(Clone, Copy)]
struct Outage {
    tries: u32,
    last: Moment,
    pause: Duration,
}

/// A cache before an [`Opener`].
pub struct KeyCache {
    opener: Arc<dyn Opener>,
    clock: Arc<dyn Clock>,
    known: Arc<Known>,
    flights: Flights<Key, Answer>,
}

/// What was unwrapped so far.
struct Known {
    cached: Cache<Key, Arc<OpenKey>>,
    /// Also of keys that aren't cached any more and are still held.
    refused: Mutex<HashMap<Key, Weak<AtomicBool>>>,
    /// How often everything was forgotten.
    forgotten: AtomicU64,
}

impl KeyCache {
    /// An empty cache.
    pub fn new(opener: Arc<dyn Opener>, clock: Arc<dyn Clock>) -> Self {
        let known =
            Known { cached: Cache::new(ENTRIES), refused: Mutex::default(), forgotten: AtomicU64::new(0) };
        Self { opener, clock, known: Arc::new(known), flights: Flights::new() }
    }

    /// The key, unwrapped now or a short while ago.
    pub async fn key(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Answer {
        let key = (scope.clone(), wrapped.clone());
        if let Some(cached) = self.usable(&key) {
            return Ok(cached);
        }
        self.flights.run(&key, || self.landed_or_unwrap(&key)).await
    }

    pub(super) fn forget_stale(&self) {
        self.known.cached.retain(|_, key| key.unwrapped.is_within(HARD, &*self.clock));
    }

    /// Forgets every key. Those that nobody uses at this moment are wiped.
    pub fn forget_all(&self) {
        self.known.forgotten.fetch_add(1, Ordering::AcqRel);
        self.known.cached.clear();
    }

    /// A cached key for which this caller needs to ask nobody.
    fn usable(&self, key: &Key) -> Option<Arc<OpenKey>> {
        self.settled(key).or_else(|| {
            // One asks whether the outage is over; the others needn't wait for that.
            let known = self.known.cached.get(key).filter(|known| known.is_stale())?;
            (known.is_valid(&*self.clock) && self.flights.is_under_way(key)).then_some(known)
        })
    }

    /// A cached key for which nobody needs to be asked now.
    fn settled(&self, key: &Key) -> Option<Arc<OpenKey>> {
        let cached = self.known.cached.get(key)?;
        let may_be_used = cached.is_fresh(&*self.clock) || cached.waits_out_an_outage(&*self.clock);
        may_be_used.then(|| {
            cached.uses.fetch_add(1, Ordering::Relaxed);
            cached
        })
    }

    /// What a flight brought that landed since this caller looked; else an unwrap.
    fn landed_or_unwrap(&self, key: &Key) -> BoxFuture<'static, Answer> {
        if let Some(landed) = self.settled(key) {
            return Box::pin(ready(Ok(landed)));
        }
        let (opener, known, clock) = (self.opener.clone(), self.known.clone(), self.clock.clone());
        let key = key.clone();
        Box::pin(async move {
            let forgotten = known.forgotten.load(Ordering::Acquire);
            // Its age counts from here: at this moment nobody has said yet that it may be used.
            let asked = Moment::now(&*clock);
            let abandoned = Abandoned::unless_answered(known.cached.get(&key), &clock);
            let answer = unwrap_checked(&*opener, &key.0, &key.1).await;
            abandoned.answered();
            match answer {
                Ok(unwrapped) => {
                    let refused = known.refused(&key);
                    let open = Arc::new(OpenKey { refused, ..OpenKey::aged(unwrapped, asked) });
                    if known.forgotten.load(Ordering::Acquire) == forgotten {
                        known.cached.insert(key, open.clone());
                    }
                    Ok(open)
                }
                Err(KeyError::Unavailable(problem)) => {
                    let held = known.cached.get(&key);
                    match held.filter(|held| held.is_valid(&*clock)) {
                        Some(held) => {
                            held.note_outage(&*clock);
                            Ok(held)
                        }
                        None => {
                            known.cached.remove(&key);
                            Err(KeyError::Unavailable(problem))
                        }
                    }
                }
                Err(error @ (KeyError::Denied(_) | KeyError::BadAnswer(_))) => {
                    known.refuse(&key);
                    Err(error)
                }
            }
        })
    }
}

impl Known {
    /// The word on a key: that of those who hold it, or a new one.
    fn refused(&self, key: &Key) -> Refused {
        let mut all = self.refused.lock().expect("no holder of this lock panics");
        if let Some(refused) = all.get(key).and_then(Weak::upgrade) {
            return refused;
        }
        if 2 * ENTRIES <= all.len() {
            all.retain(|_, refused| 0 < refused.strong_count());
        }
        let refused = Refused::default();
        all.insert(key.clone(), Arc::downgrade(&refused));
        refused
    }

    fn refuse(&self, key: &Key) {
        let refused = self.refused.lock().expect("no holder of this lock panics").remove(key);
        if let Some(refused) = refused.and_then(|refused| refused.upgrade()) {
            refused.store(true, Ordering::Release);
        }
        self.cached.remove(key);
    }
}

/// A try that everybody stopped waiting for. Whoever comes next takes the key that is known, as in
/// an outage, rather than wait as long and in vain.
struct Abandoned<'a> {
    known: Option<Arc<OpenKey>>,
    clock: &'a dyn Clock,
}

impl<'a> Abandoned<'a> {
    fn unless_answered(known: Option<Arc<OpenKey>>, clock: &'a Arc<dyn Clock>) -> Self {
        Self { known, clock: &**clock }
    }

    fn answered(mut self) {
        self.known = None;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(known) = &self.known {
            known.note_outage(self.clock);
        }
    }
}

impl OpenKey {
    /// A key that is in hand.
    pub(super) fn new(key: ScopeKey, clock: &dyn Clock) -> Self {
        Self::aged(key, Moment::now(clock))
    }

    fn aged(key: ScopeKey, unwrapped: Moment) -> Self {
        Self {
            key,
            unwrapped,
            soft: jittered(SOFT),
            uses: AtomicU64::new(0),
            refused: Refused::default(),
            outage: Mutex::default(),
        }
    }

    /// The key itself.
    pub fn key(&self) -> &ScopeKey {
        &self.key
    }

    /// Whether it may open records: not too old, and not refused since.
    pub(super) fn is_valid(&self, clock: &dyn Clock) -> bool {
        !self.is_refused() && self.unwrapped.is_within(HARD, clock)
    }

    /// Whether the key service has refused it since.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// Whether it should have been unwrapped again and wasn't, because the service is away.
    pub(super) fn is_stale(&self) -> bool {
        self.outage().is_some()
    }

    fn is_fresh(&self, clock: &dyn Clock) -> bool {
        self.unwrapped.is_within(self.soft, clock) && self.uses.load(Ordering::Relaxed) < USES
    }

    fn waits_out_an_outage(&self, clock: &dyn Clock) -> bool {
        self.is_valid(clock) && self.outage().is_some_and(|outage| outage.last.is_within(outage.pause, clock))
    }

    fn outage(&self) -> Option<Outage> {
        *self.outage.lock().expect("no holder of this lock panics")
    }

    fn note_outage(&self, clock: &dyn Clock) {
        let mut outage = self.outage.lock().expect("no holder of this lock panics");
        let tries = outage.map_or(0, |outage| outage.tries) + 1;
        *outage = Some(Outage { tries, last: Moment::now(clock), pause: backoff(tries) });
    }
}

/// Full jitter over a second that doubles with every try. Never nothing: each pause is a call spared.
fn backoff(tries: u32) -> Duration {
    let longest = Duration::from_secs(1 << tries.min(5)).min(LONGEST_PAUSE);
    longest.mul_f64(random_fraction()).max(Duration::from_millis(100))
}

/// A tenth more or less, so that processes that started together don't ask together.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.9 + 0.2 * random_fraction())
}

/// From 0 up to 1.
fn random_fraction() -> f64 {
    f64::from(u32::from_be_bytes(crate::id::random_bytes())) / (f64::from(u32::MAX) + 1.0)
}
