//! A store with a million secrets over 100,000 Spaces: how long the import takes, and whether a cold
//! resolve is as quick as in a store of a thousand.
//!
//! `cargo bench -p undertone-tests --bench store`, with `-- --check` to fail if the target is missed, and
//! `-- --small` for a tenth of the size.

mod ratio;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use undertone_core::audit::Actor;
use undertone_core::resolve::Freshness;
use undertone_core::vault::{Expected, ImportItem, ImportPart, Makes, Vault};
use undertone_core::{Chain, Declaration, Mode, Resolver, Rules, Scope, SecretValue, SystemClock};
use undertone_local::{Home, NewKey};

const PER_SPACE: usize = 10;
const TARGET: f64 = 2.0;
const SAMPLES: usize = 200;

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let large = if has("--small") { 10_000 } else { 100_000 };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let small = filled(&folder.path().join("small"), 100).await;
        let big = filled(&folder.path().join("big"), large).await;
        let (mut best_small, mut best_big) = (Duration::MAX, Duration::MAX);
        // Turn about, so that what else the machine does hits both alike.
        for sample in 0..SAMPLES {
            best_small = best_small.min(cold(&small, sample % 100).await);
            best_big = best_big.min(cold(&big, sample * (large / SAMPLES)).await);
        }
        let ratio = best_big.as_secs_f64() / best_small.as_secs_f64();
        println!("cold resolve: {best_small:?} of 1,000 secrets, {best_big:?} of {}", large * PER_SPACE);
        let met = ratio::report("cold resolve, a million over a thousand", ratio, TARGET);
        if has("--check") && !met {
            std::process::exit(1);
        }
    });
}

async fn filled(folder: &Path, spaces: usize) -> Home {
    let home = Home::init(&folder.join("home"), NewKey::File(folder.join("key"))).expect("a new home");
    let (keys, clock) = (home.keys(), Arc::new(SystemClock::default()));
    let actor = Actor::Operator("bench".into());
    let vault = Vault::new(home.store(), keys.clone(), keys, home.audit(), clock, actor);
    vault.create_environment("bench".parse().expect("an id"), Mode::Standard).await.expect("it is new");
    let begun = Instant::now();
    let parts = (0..spaces).map(|space| {
        let item = |n| ImportItem {
            name: format!("SECRET_{n}").parse().expect("a name"),
            value: SecretValue::new(format!("value-{space}-{n}-0123456789abcdef").into_bytes())
                .expect("short"),
            expected: Expected::Any,
        };
        ImportPart { scope: scope(space), makes: Makes::Space, items: (0..PER_SPACE).map(item).collect() }
    });
    let mut written = 0;
    let rules = Rules::default();
    let imported = vault.import(parts.collect(), &rules, |count| {
        written += count;
        eprint!("\rimported {written} of {} secrets, {:.0?} ", spaces * PER_SPACE, begun.elapsed());
        let _ = std::io::stderr().flush();
    });
    imported.await.expect("imported");
    eprintln!();
    home
}

/// The time of one resolve with nothing cached.
async fn cold(home: &Home, space: usize) -> Duration {
    let resolver =
        Resolver::new(home.store(), home.keys(), Arc::new(SystemClock::default()), Freshness::default());
    let names = (0..PER_SPACE).map(|n| (format!("SECRET_{n}").parse().expect("a name"), None));
    let declaration = Arc::new(Declaration {
        agent: "bench".parse().expect("a slug"),
        secrets: names.collect(),
        granted: Vec::new(),
    });
    let scope = scope(space);
    let chain = Chain { environment: scope.environment().clone(), space: scope.space().cloned() };
    let begun = Instant::now();
    let snapshot = resolver.snapshot(&declaration, &chain).await.expect("it resolves");
    let took = begun.elapsed();
    assert!(snapshot.get("SECRET_0").is_some_and(|answer| answer.is_ok()));
    took
}

fn scope(space: usize) -> Scope {
    Scope::Space("bench".parse().expect("an id"), format!("sp_{space}").parse().expect("an id"))
}
