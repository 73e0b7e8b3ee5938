//! The material of the KMS key is rotated, and then the key itself, while much is written under it.

use std::collections::BTreeMap;
use std::sync::Arc;

use undertone_aws::{KmsKey, KmsRewrapper};
use undertone_core::audit::Actor;
use undertone_core::maintenance::Maintenance;
use undertone_core::memory::{MemoryAudit, MemoryStore};
use undertone_core::record::{Context, Kind, key_id, open};
use undertone_core::resolve::KeyCache;
use undertone_core::vault::{Expected, ImportItem, ImportPart, Makes, Vault};
use undertone_core::{KeyScope, Mode, Names, Opener, ReadStore, Rules, SecretValue, SystemClock};
use undertone_tests::fake_aws::FakeAws;
use undertone_tests::world::{name, scope};

use crate::cloud::{connection, keys};

const SPACES: usize = 100;
const NAMES_EACH: usize = 100;

fn space(n: usize) -> String {
    format!("dev/sp_{n}")
}

/// Scope and name, and what is there.
type All<T> = BTreeMap<(String, String), T>;

/// Every current record, byte by byte, and the value that opens under its key.
async fn all(store: &MemoryStore, opener: Arc<dyn Opener>) -> (All<Vec<u8>>, All<Vec<u8>>) {
    let keys = KeyCache::new(opener, Arc::new(SystemClock::default()));
    let (mut records, mut values) = (All::new(), All::new());
    for space in (0..SPACES).map(space) {
        let rows = store.chain(&scope(&space).chain(), Names::All).await.unwrap();
        let key_scope = KeyScope::of(store.id(), &scope(&space));
        let own = &rows.scopes[1];
        for row in &own.rows {
            let version = row.current.as_ref().unwrap();
            let record = version.body.record();
            let wrapped = own.keys.iter().find(|key| Some(key.id) == key_id(record)).unwrap();
            let key = keys.key(&key_scope, wrapped).await.unwrap();
            let context = Context {
                scope: &key_scope,
                name: row.name.as_str(),
                version: version.number,
                kind: Kind::Value,
                purpose: "secret",
                policy: version.rules.digest(),
            };
            let value = open(key.key(), &context, record).unwrap();
            let at = (space.clone(), row.name.to_string());
            records.insert(at.clone(), record.to_vec());
            values.insert(at, value.to_vec());
        }
    }
    (records, values)
}

#[tokio::test]
async fn of_ten_thousand_writes_around_a_rotation_of_the_material_all_open_and_a_rewrap_changes_no_record() {
    let aws = FakeAws::start().await;
    let [old, new] = ["alias/old", "alias/new"].map(|alias| aws.kms().create_key(alias));
    let connection = connection(&aws.url());
    let ((sealer, by_old), (_, by_new)) = (keys(&connection, &old), keys(&connection, &new));
    let (by_old, by_new) = (Arc::new(by_old), Arc::new(by_new));
    let (store, audit) = (Arc::new(MemoryStore::default()), Arc::new(MemoryAudit::default()));
    let clock = Arc::new(SystemClock::default());
    let actor = || Actor::Operator("tester".into());
    let sealer = Arc::new(sealer);
    let vault =
        Vault::new(store.clone(), sealer.clone(), by_old.clone(), audit.clone(), clock.clone(), actor());
    vault.create_environment("dev".parse().unwrap(), Mode::Development).await.unwrap();
    let mut wanted = All::new();
    for n in 0..SPACES {
        if n == SPACES / 2 {
            aws.kms().rotate("alias/old");
            // As a process that was started after it: keys are made and unwrapped by the new material too.
            vault.forget_all();
        }
        let items = (0..NAMES_EACH).map(|of| {
            let (of, value) = (format!("NAME_{of}"), format!("value {of} of {n}").into_bytes());
            wanted.insert((space(n), of.clone()), value.clone());
            ImportItem {
                name: name(&of),
                value: SecretValue::new(value).unwrap(),
                expected: Expected::Absent,
            }
        });
        let part = ImportPart { scope: scope(&space(n)), makes: Makes::Space, items: items.collect() };
        vault.import(vec![part], &Rules::default(), |_| ()).await.unwrap();
    }
    assert_eq!(wanted.len(), 10_000);
    let (before, values) = all(&store, by_old.clone()).await;
    assert!(values == wanted, "every value is as it was written");
    let maintenance = Maintenance::new(store.clone(), sealer, by_old, audit, clock, actor());
    let [from, to] = [&old, &new].map(|key| KmsKey::new(key).unwrap());
    let root = KmsRewrapper::new(connection, from, to);
    for n in 0..SPACES {
        assert!(1 <= maintenance.rewrap(&scope(&space(n)), &root).await.unwrap());
    }
    // What a scope's keys are wrapped under now, the old key doesn't open and needn't.
    aws.kms().disable("alias/old");
    let (after, values) = all(&store, by_new).await;
    assert!(values == wanted && after == before, "no record was touched");
}
