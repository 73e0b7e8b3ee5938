//! The suite that every store keeps.

use std::sync::Arc;

use undertone_core::{Store, contract};
use undertone_tests::emulators::{Ministack, Moto};

use super::world::{World, now};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_ministack() {
    let emulator = Ministack::start();
    contract::store(&|| now(World::fresh(emulator.url())).store as Arc<dyn Store>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_moto() {
    let emulator = Moto::start();
    contract::store(&|| now(World::fresh(emulator.url())).store as Arc<dyn Store>).await;
}
