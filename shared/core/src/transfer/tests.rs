//! Moves between stores in memory.

use futures_executor::block_on;

use super::*;
use crate::clock::SystemClock;
use crate::memory::{MemoryAudit, MemoryKeys, MemoryStore};
use crate::rules::{Mode, Rules};
use crate::store::{Environment, ReadStore, Space};
use crate::value::SecretValue;
use crate::vault::{SetRequest, Spelling, Vault};

struct Side {
    store: Arc<MemoryStore>,
    keys: Arc<MemoryKeys>,
    audit: Arc<MemoryAudit>,
    vault: Vault,
}

impl Side {
    fn new() -> Self {
        let (store, keys) = (Arc::new(MemoryStore::default()), Arc::new(MemoryKeys::default()));
        let audit = Arc::new(MemoryAudit::default());
        let actor = Actor::Operator("tester".into());
        let (s, k, clock) = (store.clone(), keys.clone(), Arc::new(SystemClock::default()));
        let vault = Vault::new(s, k.clone(), k, audit.clone(), clock, actor);
        Self { store, keys, audit, vault }
    }

    /// `live` with the Spaces `red` and `blue`, and rows in every state.
    fn filled() -> Self {
        let side = Self::new();
        let vault = &side.vault;
        block_on(async {
            vault.create_environment("live".parse().unwrap(), Mode::Standard).await.unwrap();
            for space in ["red", "blue"] {
                vault.create_space("live".parse().unwrap(), space.parse().unwrap()).await.unwrap();
            }
            for version in 0..20 {
                side.set("live", "TOKEN", &format!("value-{version}")).await;
            }
            vault.revoke(&scope("live"), &name("TOKEN"), 3).await.unwrap();
            vault.restore(&scope("live"), &name("TOKEN"), 7).await.unwrap();
            vault.lock(&scope("live"), &name("TOKEN")).await.unwrap();
            side.set("live/red", "OWN", "own-value").await;
            vault.block(&scope("live/blue"), &name("BLOCKED"), Spelling::Canonical).await.unwrap();
            side.set("live/blue", "GONE", "gone-value").await;
            vault.destroy(&scope("live/blue"), &name("GONE")).await.unwrap();
            side.set("live/blue", "UNSET", "unset-value").await;
            vault.unset(&scope("live/blue"), &name("UNSET")).await.unwrap();
        });
        side
    }

    async fn set(&self, at: &str, name_text: &str, value: &str) {
        let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
        let rules = Rules { hosts: Some(["example.com".parse().unwrap()].into()), ..Rules::default() };
        let request = SetRequest { rules, ..SetRequest::new(name(name_text), value) };
        self.vault.set(&scope(at), request).await.unwrap();
    }

    fn transfer(&self, to: &Side) -> Transfer {
        let (store, opener, audit) = (self.store.clone(), self.keys.clone(), self.audit.clone());
        let from = Source { store, opener, audit };
        let (store, sealer, opener, audit) =
            (to.store.clone(), to.keys.clone(), to.keys.clone(), to.audit.clone());
        let to = Target { store, sealer, opener, audit };
        let actor = Actor::Operator("tester".into());
        Transfer::new(from, to, Arc::new(SystemClock::default()), actor).unwrap()
    }

    fn history(&self, at: &str, name_text: &str) -> History {
        block_on(self.store.history(&scope(at), &name(name_text))).unwrap().expect("it is there")
    }

    /// What the version's record holds.
    fn opened(&self, at: &str, version: &Version, name_text: &str) -> String {
        let key_scope = KeyScope::of(self.store.id(), &scope(at));
        let keys = block_on(own(&*self.store, &scope(at))).unwrap().keys;
        let wrapped = keys.iter().find(|key| Some(key.id) == key_id(version.body.record())).unwrap();
        let key = block_on(crate::keys::unwrap_checked(&*self.keys, &key_scope, wrapped)).unwrap();
        let (kind, purpose) = meaning(&version.body);
        let policy = version.rules.digest();
        let context =
            Context { scope: &key_scope, name: name_text, version: version.number, kind, purpose, policy };
        let Ok(opened) = open(&key, &context, version.body.record()) else { panic!("it opens") };
        String::from_utf8(opened.to_vec()).unwrap()
    }
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn scope(text: &str) -> Scope {
    match text.split_once('/') {
        None => Scope::Environment(text.parse().unwrap()),
        Some((environment, space)) => Scope::Space(environment.parse().unwrap(), space.parse().unwrap()),
    }
}

const ROWS: [(&str, &str); 5] = [
    ("live", "TOKEN"),
    ("live/red", "OWN"),
    ("live/blue", "BLOCKED"),
    ("live/blue", "GONE"),
    ("live/blue", "UNSET"),
];

fn assert_equal(from: &Side, to: &Side) {
    for (at, name_text) in ROWS {
        let (old, new) = (from.history(at, name_text), to.history(at, name_text));
        assert_eq!(old.row.head, new.row.head, "{at} {name_text}");
        assert_eq!(old.versions.len(), new.versions.len());
        for (old, new) in old.versions.iter().zip(&new.versions) {
            assert_ne!(old.body.record(), new.body.record(), "it is sealed for its store");
            assert_eq!(from.opened(at, old, name_text), to.opened(at, new, name_text));
            let same = Version { body: old.body.resealed(new.body.record().clone()), ..old.clone() };
            assert_eq!(same, *new);
        }
    }
    let spaces = |side: &Side| block_on(side.store.spaces(&"live".parse().unwrap(), None, 10)).unwrap();
    assert_eq!(spaces(from), spaces(to));
}

#[test]
fn everything_comes_over_as_it_was_and_a_second_run_finds_nothing_to_do() {
    let (from, to) = (Side::filled(), Side::new());
    let done = block_on(from.transfer(&to).run(|_| ())).unwrap();
    assert_eq!((done.scopes, done.rows, done.already), (3, 5, 0));
    assert_equal(&from, &to);
    let again = block_on(from.transfer(&to).run(|_| ())).unwrap();
    assert_eq!((again.scopes, again.rows, again.already), (3, 0, 5));
    assert_equal(&from, &to);
}

#[test]
fn what_was_stopped_goes_on_and_later_changes_come_after() {
    let (from, to) = (Side::filled(), Side::new());
    // The first part of a row with many versions, as after a crash.
    let history = from.history("live", "TOKEN");
    block_on(async {
        let made = Environment {
            id: "live".parse().unwrap(),
            mode: Mode::Standard,
            created_at: SystemClock::default().now(),
        };
        to.store.create_environment(made).await.unwrap();
        let transfer = from.transfer(&to);
        let keys = own(&*from.store, &scope("live")).await.unwrap().keys;
        let key_scope = KeyScope::of(to.store.id(), &scope("live"));
        let writer = transfer.target_keys.for_sealing(&key_scope, &[]).await.unwrap();
        let version = history.versions.iter().find(|version| version.number == 7).unwrap();
        let record =
            transfer.resealed(&scope("live"), &name("TOKEN"), version, &keys, &writer.key).await.unwrap();
        let part = vec![Version { body: version.body.resealed(record), ..version.clone() }];
        let add = VersionChange::AddAll(part);
        transfer.write(&scope("live"), &history, None, &[7], add, writer.new).await.unwrap();
    });
    block_on(from.transfer(&to).run(|_| ())).unwrap();
    assert_equal(&from, &to);
    block_on(async {
        from.set("live", "TOKEN", "newer").await;
        from.vault.revoke(&scope("live"), &name("TOKEN"), 5).await.unwrap();
    });
    let done = block_on(from.transfer(&to).run(|_| ())).unwrap();
    assert_eq!((done.rows, done.versions), (1, 1));
    assert_equal(&from, &to);
    block_on(from.vault.destroy(&scope("live/red"), &name("OWN"))).unwrap();
    block_on(from.transfer(&to).run(|_| ())).unwrap();
    assert!(to.history("live/red", "OWN").versions.is_empty(), "a destruction comes over, too");
    assert_equal(&from, &to);
}

#[test]
fn another_row_is_never_overwritten_and_a_damaged_record_stops_it() {
    let (from, to) = (Side::filled(), Side::new());
    block_on(async {
        to.vault.create_environment("live".parse().unwrap(), Mode::Standard).await.unwrap();
        to.set("live", "TOKEN", "another").await;
    });
    let refused = block_on(from.transfer(&to).run(|_| ()));
    assert_eq!(refused, Err(TransferError::Differs { scope: scope("live"), name: name("TOKEN") }));
    assert_eq!(to.history("live", "TOKEN").versions.len(), 1);

    let to = Side::new();
    let broken = Version {
        body: Body::Value(b"no record".to_vec().into()),
        ..from.history("live/red", "OWN").versions[0].clone()
    };
    let row = from.history("live/red", "OWN").row;
    block_on(async {
        let head = crate::row::RowHead { current: 2, latest: 2, ..row.head };
        let versions = VersionChange::Add(Version { number: 2, ..broken });
        let change = Change {
            scope: scope("live/red"),
            name: name("OWN"),
            expected: Some(row.revision),
            head,
            versions,
        };
        from.store.write(Batch { changes: vec![change], ..Batch::default() }).await.unwrap();
    });
    let refused = block_on(from.transfer(&to).run(|_| ()));
    assert_eq!(
        refused,
        Err(TransferError::Unreadable { scope: scope("live/red"), name: name("OWN"), version: 2 })
    );
}

#[test]
fn both_logs_say_so_before_a_value_is_opened_and_a_log_that_fails_stops_it() {
    let (from, to) = (Side::filled(), Side::new());
    to.audit.set_broken(Some("the disk is gone"));
    let refused = block_on(from.transfer(&to).run(|_| ()));
    assert!(matches!(refused, Err(TransferError::Audit(_))), "{refused:?}");
    assert!(block_on(to.store.history(&scope("live"), &name("TOKEN"))).unwrap().is_none());
    to.audit.set_broken(None);
    block_on(from.transfer(&to).run(|_| ())).unwrap();
    for side in [&from, &to] {
        let rows = block_on(side.audit.read(0, usize::MAX)).unwrap();
        let copies = rows.iter().filter(|row| row.body.contains("\"store.copy\"")).count();
        assert!(3 <= copies, "one row per scope: {copies}");
    }
    assert_eq!(from.transfer_to_itself(), Some(TransferError::SameStore));
}

impl Side {
    fn transfer_to_itself(&self) -> Option<TransferError> {
        let (store, opener, audit) = (self.store.clone(), self.keys.clone(), self.audit.clone());
        let from = Source { store, opener, audit };
        let (store, sealer, opener, audit) =
            (self.store.clone(), self.keys.clone(), self.keys.clone(), self.audit.clone());
        let to = Target { store, sealer, opener, audit };
        let actor = Actor::Operator("tester".into());
        Transfer::new(from, to, Arc::new(SystemClock::default()), actor).err()
    }
}

#[test]
fn a_space_of_the_same_name_elsewhere_is_no_obstacle() {
    let (from, to) = (Side::filled(), Side::new());
    block_on(async {
        to.vault.create_environment("live".parse().unwrap(), Mode::Standard).await.unwrap();
        let (environment, id) = ("live".parse().unwrap(), "green".parse().unwrap());
        to.store
            .create_space(Space { environment, id, created_at: SystemClock::default().now() })
            .await
            .unwrap();
    });
    assert_eq!(block_on(from.transfer(&to).run(|_| ())).unwrap().scopes, 3);
}
