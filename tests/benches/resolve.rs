//! What a lookup costs beside a map, and opening a record beside its primitives.
//!
//! `cargo bench -p undertone-tests --bench resolve`, with `-- --check` to fail if a target is missed.

mod ratio;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA512, digest};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use undertone_core::audit::Actor;
use undertone_core::record::{Context, KeyScope, Kind, Padding, open, seal};
use undertone_core::resolve::{Freshness, Snapshot};
use undertone_core::{Declaration, Execution, Resolver, Scope, ScopeKey, StoreId, SystemClock};
use undertone_tests::world::{World, hosts, scope};

const ROUNDS: usize = 200;
/// How many names are looked up in turn, of however many there are.
const ASKED: usize = 16;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut met = true;
    let mut lookups = Vec::new();
    for count in [1, 10, 100, 1_000, 10_000] {
        let (execution, snapshot, names) = runtime.block_on(warm(count));
        let (ours, map) = lookup(&execution, &snapshot, &names);
        let what = format!("warm lookup among {count}: {ours:.0} ns, a map {map:.0} ns");
        met &= ratio::report(&what, ours / map, 3.0);
        lookups.push(ours / map);
        let allocations = allocations(&execution, &snapshot, &names);
        met &= ratio::report("  allocations", allocations as f64, 0.0);
    }
    let flat = lookups[lookups.len() - 1] / lookups[0];
    met &= ratio::report("a lookup among 10,000 over one among 1, beside a map", flat, 1.3);
    for length in [40, 1 << 10, 64 << 10] {
        let (ours, bare) = opening(length);
        let what = format!("open {length} bytes: {:.2} µs, bare {:.2} µs", ours / 1e3, bare / 1e3);
        met &= ratio::report(&what, ours / bare, 1.3);
    }
    ratio::end(met);
}

/// A warm snapshot of so many declared names, of which a few are asked for.
async fn warm(count: usize) -> (Arc<Execution>, Arc<Snapshot>, Vec<String>) {
    let world = World::new().await;
    let all: Vec<String> = (0..count).map(|n| format!("SECRET_{n}")).collect();
    let asked: Vec<String> = (0..ASKED).map(|n| all[n * 613 % count].clone()).collect();
    for name in asked.iter().collect::<std::collections::BTreeSet<_>>() {
        world.set_with("live", name, "value-0123456789abcdef", hosts(&["slack.com"])).await;
    }
    let secrets = all.iter().map(|name| (name.parse().expect("a name"), None)).collect();
    let declaration =
        Arc::new(Declaration { agent: "bench".parse().expect("a slug"), secrets, granted: Vec::new() });
    let (clock, freshness) = (Arc::new(SystemClock::default()), Freshness::default());
    let resolver = Arc::new(Resolver::new(world.store.clone(), world.keys.clone(), clock, freshness));
    let actor = Actor::Operator("bench".into());
    let execution = Execution::new(actor, declaration, resolver, world.audit.clone());
    let snapshot = execution.snapshot(&scope("live/red").chain()).await.expect("the store is well");
    (execution, snapshot, asked)
}

/// Nanoseconds of one lookup: ours, and that of a map of counted references.
fn lookup(execution: &Arc<Execution>, snapshot: &Snapshot, names: &[String]) -> (f64, f64) {
    const BATCH: usize = 200;
    let map: HashMap<String, Arc<[u8; 64]>> = snapshot_like(execution);
    let ours = || {
        for name in names.iter().cycle().take(BATCH * ASKED) {
            drop(black_box(execution.handle(snapshot, black_box(name))));
        }
    };
    let bare = || {
        for name in names.iter().cycle().take(BATCH * ASKED) {
            drop(black_box(map.get(black_box(name.as_str())).cloned()));
        }
    };
    let [ours, bare] = ratio::least(ROUNDS, [&mut { ours }, &mut { bare }]);
    let each = |took: Duration| took.as_secs_f64() * 1e9 / (BATCH * ASKED) as f64;
    (each(ours), each(bare))
}

fn snapshot_like(execution: &Execution) -> HashMap<String, Arc<[u8; 64]>> {
    let names = execution.declaration().names();
    names.iter().map(|name| (name.to_string(), Arc::new([0; 64]))).collect()
}

fn allocations(execution: &Arc<Execution>, snapshot: &Snapshot, names: &[String]) -> u64 {
    let counted = allocation_counter::measure(|| {
        for name in names {
            let handle = execution.handle(snapshot, black_box(name)).expect("it has a value");
            drop(black_box(handle));
        }
    });
    counted.count_total
}

/// Nanoseconds of opening one record: ours, and the same bytes through the primitives alone.
fn opening(length: usize) -> (f64, f64) {
    let batch = if length < 10_000 { 200 } else { 20 };
    let store = StoreId::random();
    let scope =
        KeyScope::of(store, &Scope::Space("live".parse().expect("an id"), "red".parse().expect("an id")));
    let key = ScopeKey::random(&scope);
    let context = Context {
        scope: &scope,
        name: "SLACK_TOKEN",
        version: 7,
        kind: Kind::Value,
        purpose: "secret",
        policy: [9; 32],
    };
    let value: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    let record = seal(&key, &context, &value, Padding::Blocks);
    let bound = digest(&SHA512, &encoded(store, &context));
    assert_eq!(bare_open(key.expose(), &record, bound.as_ref())[4..4 + length], value);
    assert_eq!(*open(&key, &context, &record).expect("it was sealed for this"), value);
    let ours = || {
        for _ in 0..batch {
            drop(black_box(open(black_box(&key), black_box(&context), black_box(&record))));
        }
    };
    let bare = || {
        for _ in 0..batch {
            drop(black_box(bare_open(
                black_box(key.expose()),
                black_box(&record),
                black_box(bound.as_ref()),
            )));
        }
    };
    let [ours, bare] = ratio::least(ROUNDS, [&mut { ours }, &mut { bare }]);
    let each = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(batch);
    (each(ours), each(bare))
}

/// Extract, two expands and AES-GCM, for a context whose digest is at hand; nothing is wiped or checked.
fn bare_open(key: &[u8; 32], record: &[u8], bound: &[u8]) -> Vec<u8> {
    let prk = Salt::new(HKDF_SHA512, &record[22..54]).extract(key);
    let expand = |label: &[u8], out: &mut [u8; 32]| {
        let info = [label, &record[..22], bound];
        prk.expand(&info, Length(32)).and_then(|okm| okm.fill(out)).expect("32 bytes are few");
    };
    let (mut record_key, mut commitment) = ([0; 32], [0; 32]);
    expand(b"ESR1/enc\0", &mut record_key);
    expand(b"ESR1/com\0", &mut commitment);
    black_box(commitment);
    let cipher = UnboundKey::new(&AES_256_GCM, &record_key).map(LessSafeKey::new).expect("32 bytes");
    let mut aad = [0; 150];
    aad[..86].copy_from_slice(&record[..86]);
    aad[86..].copy_from_slice(bound);
    let (sealed, tag) = record[86..].split_at(record.len() - 86 - 16);
    let mut plain = vec![0; sealed.len()];
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    cipher.open_separate_gather(nonce, Aad::from(aad), sealed, tag, &mut plain).expect("it is whole");
    plain
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The context as the format describes it.
fn encoded(store: StoreId, context: &Context<'_>) -> Vec<u8> {
    let version = context.version.to_be_bytes();
    let fields: [(u8, &[u8]); 8] = [
        (1, &store.0),
        (2, b"live"),
        (4, b"red"),
        (5, context.name.as_bytes()),
        (6, &version),
        (7, &[context.kind as u8]),
        (8, context.purpose.as_bytes()),
        (9, &context.policy),
    ];
    let mut out = b"ESR1ctx\0".to_vec();
    for (tag, bytes) in fields {
        out.push(tag);
        out.extend_from_slice(&u32::try_from(bytes.len()).expect("short").to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}
