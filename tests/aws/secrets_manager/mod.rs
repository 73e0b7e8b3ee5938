//! The store on Secrets Manager.
//!
//! Moto isn't asked: after a label has moved, its `BatchGetSecretValue` answers with the version that had
//! it before, which AWS never does, and there is no way to ask it otherwise.

mod absence;
mod counts;
mod listing;
mod lost_answers;
mod opening;
mod races;
mod size;
mod tampering;
mod world;

use std::sync::Arc;

use undertone_core::{Store, contract};
use undertone_tests::emulators::Ministack;
use undertone_tests::fake_aws::FakeAws;

use world::{World, now};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_the_strict_fake() {
    let aws = FakeAws::start().await;
    contract::store(&|| now(World::fresh(&aws.url())).store as Arc<dyn Store>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_ministack() {
    let emulator = Ministack::start();
    contract::store(&|| now(World::fresh(emulator.url())).store as Arc<dyn Store>).await;
}
