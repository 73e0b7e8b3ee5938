//! The embedded adapters keep the contracts of their ports.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::sync::Mutex;

use futures_executor::block_on;
use support::Place;
use undertone_core::contract;
use undertone_local::Home;

/// Makes homes that stay until the suite is over.
#[derive(Default)]
struct Homes {
    kept: Mutex<Vec<Place>>,
}

impl Homes {
    fn make(&self) -> Home {
        let (place, home) = Place::with_home();
        self.kept.lock().unwrap().push(place);
        home
    }
}

#[test]
fn the_embedded_store_keeps_the_contract() {
    let homes = Homes::default();
    block_on(contract::store(&|| homes.make().store()));
}

#[test]
fn the_embedded_audit_log_keeps_the_contract() {
    let homes = Homes::default();
    block_on(contract::audit(&|| homes.make().audit()));
}

#[test]
fn the_embedded_claims_keep_the_contract() {
    let homes = Homes::default();
    block_on(contract::idempotency(&|| homes.make().idempotency()));
}

#[test]
fn keys_under_the_root_key_keep_the_contract() {
    let homes = Homes::default();
    block_on(contract::keys(&|| {
        let keys = homes.make().keys();
        (keys.clone(), keys)
    }));
}
