//! A million secrets over 100,000 Spaces: answers take about as long as with a few.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::time::{Duration, Instant};

use futures_executor::block_on;
use support::{Place, change, name, scope};
use undertone_core::keys::Sealer;
use undertone_core::record::{Context, Kind, Padding, seal};
use undertone_core::{
    Batch, Change, Environment, KeyScope, Mode, Names, Rules, Scope, SecretName, Space, StoreError,
};
use undertone_local::Home;

const NAMES: usize = 10;

fn spaces() -> usize {
    std::env::var("UNDERTONE_SPACES").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000)
}

fn space(number: usize) -> Scope {
    scope(&format!("prod/customer_{number}"))
}

fn new_row(scope: &Scope, name: &SecretName, record: &[u8]) -> Change {
    Change { scope: scope.clone(), ..change(name.as_str(), record) }
}

/// Fills the home, 1,000 Spaces to a batch.
fn fill(home: &Home) {
    let (store, keys) = (home.store(), home.keys());
    let id = scope("prod").environment().clone();
    let created_at = jiff::Timestamp::UNIX_EPOCH;
    block_on(store.create_environment(Environment { id: id.clone(), mode: Mode::Standard, created_at }))
        .unwrap();
    let names: Vec<SecretName> = (0..NAMES).map(|number| name(&format!("NAME_{number}"))).collect();
    for first in (0..spaces()).step_by(1_000) {
        let mut batch = Batch::default();
        for number in first..(first + 1_000).min(spaces()) {
            let scope = space(number);
            let made = scope.space().unwrap().clone();
            batch.spaces.push(Space { environment: id.clone(), id: made, created_at });
            let key_scope = KeyScope::of(store.id(), &scope);
            let (key, wrapped) = block_on(keys.new_key(&key_scope, 1)).unwrap();
            batch.keys.push((scope.clone(), wrapped));
            for name in &names {
                let context = Context {
                    scope: &key_scope,
                    name: name.as_str(),
                    version: 1,
                    kind: Kind::Value,
                    purpose: "secret",
                    policy: Rules::default().digest(),
                };
                let record = seal(&key, &context, b"xoxb-canary-0000-not-a-real-token", Padding::Blocks);
                batch.changes.push(new_row(&scope, name, &record));
            }
        }
        block_on(store.write(batch)).unwrap();
    }
}

/// The time of the slowest but one in a hundred.
fn p99(times: usize, mut work: impl FnMut(usize)) -> Duration {
    let mut taken: Vec<Duration> = (0..times)
        .map(|number| {
            let started = Instant::now();
            work(number);
            started.elapsed()
        })
        .collect();
    taken.sort();
    taken[times * 99 / 100]
}

#[test]
#[ignore = "takes minutes and a gigabyte of disk"]
fn a_million_secrets_stay_fast() {
    let (place, home) = Place::with_home();
    let started = Instant::now();
    fill(&home);
    println!("filled with {} secrets in {:?}", spaces() * NAMES, started.elapsed());
    println!("{} MiB", place.database().metadata().unwrap().len() >> 20);
    let started = Instant::now();
    drop(home);
    let home = place.open().unwrap();
    println!("closed and opened in {:?}", started.elapsed());
    let store = home.store();
    let names: Vec<SecretName> = (0..NAMES).map(|number| name(&format!("NAME_{number}"))).collect();
    let some = |number: usize| space(number * 7_919 % spaces());
    let epoch = p99(1_000, |_| assert!(block_on(store.epoch()).is_ok()));
    let chain = p99(1_000, |number| {
        let rows = block_on(store.chain(&some(number).chain(), Names::Only(&names))).unwrap();
        assert_eq!(rows.scopes[1].rows.len(), NAMES);
    });
    let all = p99(1_000, |number| {
        let rows = block_on(store.chain(&some(number).chain(), Names::All)).unwrap();
        assert_eq!(rows.scopes[1].rows.len(), NAMES);
    });
    let write = p99(200, |number| {
        let batch =
            Batch { changes: vec![new_row(&some(number), &name("NEW"), &[7; 166])], ..Batch::default() };
        block_on(store.write(batch)).unwrap();
    });
    let look_alike = p99(200, |_| {
        let batch =
            Batch { changes: vec![new_row(&scope("prod"), &name("name_3"), &[7; 166])], ..Batch::default() };
        let refused = block_on(store.write(batch));
        assert!(matches!(refused, Err(StoreError::LookAlike { .. })), "{refused:?}");
    });
    let page = p99(200, |number| {
        let after = some(number);
        let page = block_on(store.spaces(after.environment(), after.space(), 100)).unwrap();
        assert!(page.len() <= 100);
    });
    println!(
        "p99: epoch {epoch:?}, chain {chain:?}, all {all:?}, write {write:?}, look-alike {look_alike:?}, page {page:?}"
    );
    for (what, taken, most) in [
        ("epoch", epoch, 10),
        ("chain", chain, 100),
        ("all", all, 100),
        ("write", write, 500),
        ("look-alike", look_alike, 100),
        ("page", page, 100),
    ] {
        assert!(taken < Duration::from_millis(most), "{what} takes {taken:?}");
    }
}
