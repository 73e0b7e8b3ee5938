//! What lies in the table.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use undertone_core::audit::Actor;
use undertone_core::memory::MemoryAudit;
use undertone_core::vault::{EmptyValue, Expected, SetRequest, Spelling, Vault};
use undertone_core::{Mode, Rules, SecretValue, Store, SystemClock};
use undertone_tests::emulators::{Ministack, Moto};
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean};

use super::world::{World, name, scope};

/// Everything that an item says, as bytes.
fn bytes_of(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => out.extend(text.bytes()),
        AttributeValue::B(bytes) => out.extend(bytes.as_ref()),
        AttributeValue::Bool(flag) => out.push(u8::from(*flag)),
        AttributeValue::L(list) => list.iter().for_each(|value| bytes_of(value, out)),
        other => panic!("{other:?} is never stored"),
    }
    out.push(0);
}

#[tokio::test]
async fn no_value_lies_in_the_table_in_any_encoding() {
    for url in [Ministack::start().url(), Moto::start().url()] {
        let world = World::fresh(url).await;
        let store: Arc<dyn Store> = world.store.clone();
        let (audit, clock) = (Arc::new(MemoryAudit::default()), Arc::new(SystemClock::default()));
        let actor = Actor::Operator("operator".into());
        let keys = world.keys.clone();
        let vault = Vault::new(store, keys.clone(), keys, audit, clock, actor);
        vault.create_environment("dev".parse().unwrap(), Mode::Standard).await.unwrap();
        vault.create_space("dev".parse().unwrap(), "sp_1".parse().unwrap()).await.unwrap();
        for scope_text in ["dev", "dev/sp_1"] {
            for value in [CANARY, OTHER_CANARY, CANARY] {
                let request = SetRequest {
                    name: name("TOKEN"),
                    value: SecretValue::new(value.as_bytes().to_vec()).unwrap(),
                    rules: Rules::default(),
                    expires_at: None,
                    spelling: Spelling::Canonical,
                    empty: EmptyValue::Refused,
                    expected: Expected::Any,
                };
                vault.set(&scope(scope_text), request).await.unwrap();
            }
            vault.restore(&scope(scope_text), &name("TOKEN"), 1).await.unwrap();
        }
        vault.revoke(&scope("dev"), &name("TOKEN"), 2).await.unwrap();
        vault.destroy(&scope("dev/sp_1"), &name("TOKEN")).await.unwrap();
        let items = world.items().await;
        assert!(7 < items.len(), "{} items", items.len());
        let mut all = Vec::new();
        for item in &items {
            let mut names: Vec<_> = item.keys().collect();
            names.sort();
            names.into_iter().for_each(|name| bytes_of(&item[name], &mut all));
        }
        assert_clean(&all, CANARY);
        assert_clean(&all, OTHER_CANARY);
    }
}
