//! A full disk: the error says so, and nothing is half done.

use futures_executor::block_on;
use undertone_core::audit::{Action, Actor, AuditEntry, Outcome, Verified};
use undertone_core::{
    Batch, Body, Change, Environment, Epoch, Mode, Names, ReadStore, RowHead, Rules, Scope, SecretId,
    Standing, Store, StoreError, Version, VersionChange,
};

use super::*;

fn change(name: &str, size: usize) -> Change {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Change {
        scope: Scope::Environment("dev".parse().unwrap()),
        name: name.parse().unwrap(),
        expected: None,
        head: RowHead {
            id: SecretId([1; 16]),
            standing: Standing::Active,
            current: 1,
            latest: 1,
            disabled: false,
            locked: false,
            expires_at: None,
            updated_at: at,
            updated_by: "tester".to_owned(),
        },
        versions: VersionChange::Add(Version {
            number: 1,
            body: Body::Value(vec![7; size].into()),
            rules: Rules::default(),
            revoked: false,
            created_at: at,
            created_by: "tester".to_owned(),
        }),
    }
}

fn entry(reason: String) -> AuditEntry {
    AuditEntry {
        at: jiff::Timestamp::UNIX_EPOCH,
        actor: Actor::Operator("tester".into()),
        action: Action::Reveal,
        scope: None,
        asked_in: None,
        name: None,
        version: None,
        source_version: None,
        destination: None,
        reason: Some(reason),
        outcome: Outcome::Allowed,
    }
}

/// The number of rows, and the epoch.
fn state(home: &Home) -> (usize, Epoch) {
    let dev = Scope::Environment("dev".parse().unwrap());
    let chain = block_on(home.store.chain(&dev.chain(), Names::All)).unwrap();
    (chain.scopes[0].rows.len(), chain.epoch)
}

/// Lets the database grow by so many pages and no further; `None` lets it grow again.
fn limit(home: &Home, pages: Option<i64>) {
    let limited = home.database.write(move |connection| {
        let now: i64 = connection.pragma_query_value(None, "page_count", |columns| columns.get(0))?;
        let limit = pages.map_or(i64::from(u32::MAX - 1), |pages| now + pages);
        connection.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))?;
        Ok(())
    });
    block_on(limited).unwrap();
}

#[test]
fn a_full_disk_is_said_and_leaves_the_state_before() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::init(&folder.path().join("home"), NewKey::File(folder.path().join("root.key"))).unwrap();
    let dev = Environment {
        id: "dev".parse().unwrap(),
        mode: Mode::Standard,
        created_at: jiff::Timestamp::UNIX_EPOCH,
    };
    block_on(home.store.create_environment(dev)).unwrap();
    for pages in 0..6 {
        limit(&home, Some(pages));
        let before = state(&home);
        let batch = Batch { changes: vec![change("A", 10), change("B", 60_000)], ..Batch::default() };
        match block_on(home.store.write(batch)) {
            Err(StoreError::Unavailable(problem)) => assert!(problem.contains("disk is full"), "{problem}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(state(&home), before, "{pages} pages");
        let long = vec![entry("a short one".to_owned()), entry("x".repeat(60_000))];
        let error = block_on(home.audit.append(long)).unwrap_err();
        assert!(error.to_string().contains("disk is full"), "{error}");
        assert_eq!(block_on(home.audit.verify()), Ok(Verified::Intact { rows: 0 }));
    }
    limit(&home, None);
    let batch = Batch { changes: vec![change("A", 10), change("B", 60_000)], ..Batch::default() };
    block_on(home.store.write(batch)).unwrap();
    block_on(home.audit.append(vec![entry("there is room again".to_owned())])).unwrap();
    assert_eq!(state(&home).0, 2);
    assert_eq!(block_on(home.audit.verify()), Ok(Verified::Intact { rows: 1 }));
}
