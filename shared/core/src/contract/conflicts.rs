//! Checks of what keeps writers from overwriting each other, and names from looking alike.

use std::sync::Arc;

use futures_util::future::join_all;

use super::fixture::{
    STALE, change_of, changes, conflict, existing, head, key, make_scopes, name, names, new_row,
    next_version, row, scope, space, version, write,
};
use crate::row::{Body, Change, RowHead, Standing, Version, VersionChange};
use crate::store::{Batch, Names, Reseal, Store, StoreError};

pub(super) async fn a_write_must_name_the_revision_that_it_saw(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let seen = existing(store, "dev", "TOKEN").await;
    write(store, next_version(&seen)).await.expect("nobody came between");
    let before = existing(store, "dev", "TOKEN").await;
    for (expected, scope_text, why) in [
        (None, "dev", "there is a row"),
        (Some(seen.revision), "dev", "somebody changed it since"),
        (Some(STALE), "dev", "it never had that revision"),
        (Some(seen.revision), "dev/sp_1", "there is no row"),
    ] {
        for versions in [VersionChange::Keep, VersionChange::Revoke(1), VersionChange::DestroyAll] {
            let change = Change { expected, versions, ..new_row(scope_text, "TOKEN") };
            assert_eq!(write(store, change).await, Err(conflict(scope_text, "TOKEN")), "{why}");
        }
    }
    assert_eq!(existing(store, "dev", "TOKEN").await, before, "nothing changed");
    assert_eq!(row(store, "dev/sp_1", "TOKEN").await, None);
}

pub(super) async fn every_change_gives_the_row_a_new_revision(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let mut revisions = Vec::new();
    for _ in 0..3 {
        let row = existing(store, "dev", "TOKEN").await;
        revisions.push(row.revision);
        let same = Change {
            expected: Some(row.revision),
            head: row.head,
            versions: VersionChange::Keep,
            ..new_row("dev", "TOKEN")
        };
        write(store, same).await.expect("nobody came between");
    }
    assert!(revisions.is_sorted_by(|earlier, later| earlier < later), "{revisions:?}");
}

pub(super) async fn of_sixteen_racing_writers_one_wins(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    for round in 1..=4 {
        let seen = row(store, "dev", "TOKEN").await;
        let racing = (0..16).map(|writer| {
            let mut change = seen.as_ref().map_or_else(|| new_row("dev", "TOKEN"), next_version);
            change.head = RowHead { updated_by: format!("writer {writer}"), ..head(round) };
            async move { (writer, write(store, change).await) }
        });
        let (won, lost): (Vec<_>, Vec<_>) =
            join_all(racing).await.into_iter().partition(|(_, result)| result.is_ok());
        assert_eq!(won.len(), 1, "{won:?}");
        assert!(lost.iter().all(|(_, result)| *result == Err(conflict("dev", "TOKEN"))), "{lost:?}");
        let winner = format!("writer {}", won[0].0);
        assert_eq!(existing(store, "dev", "TOKEN").await.head.updated_by, winner);
    }
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    assert_eq!(history.versions.len(), 4);
}

pub(super) async fn racing_writers_of_different_names_all_win(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    let racing = (0..16).map(|writer| async move {
        let name_text = format!("NAME_{writer:02}");
        (write(store, new_row("dev", &name_text)).await, name_text)
    });
    let (results, expected): (Vec<_>, Vec<_>) = join_all(racing).await.into_iter().unzip();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(names(store, "dev").await, expected);
}

pub(super) async fn a_batch_of_one_scope_is_applied_whole_or_not_at_all(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let before = existing(store, "dev", "TOKEN").await;
    let stale = Change { expected: Some(STALE), ..new_row("dev", "FOURTH") };
    for last in [stale, new_row("dev", "token")] {
        let changes = vec![next_version(&before), new_row("dev", "THIRD"), last];
        let batch = Batch { keys: vec![(scope("dev"), key(1, 1))], changes, ..Batch::default() };
        store.write(batch).await.expect_err("the last change is refused");
        assert_eq!(names(store, "dev").await, ["TOKEN"]);
        assert_eq!(existing(store, "dev", "TOKEN").await, before);
        let chain = store.chain(&scope("dev").chain(), Names::All).await.expect("readable");
        assert_eq!(chain.scopes[0].keys, []);
    }
    let batch = Batch {
        spaces: vec![space("dev/sp_2")],
        keys: vec![(scope("dev/sp_2"), key(2, 1))],
        changes: vec![new_row("dev/sp_2", "IN_A_NEW_SPACE"), new_row("dev/sp_2", "SECOND")],
        ..Batch::default()
    };
    store.write(batch).await.expect("all of it is right");
    assert_eq!(names(store, "dev/sp_2").await, ["IN_A_NEW_SPACE", "SECOND"]);
}

pub(super) async fn a_batch_over_more_scopes_than_the_store_takes_is_refused(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    if 1 < store.limits().scopes {
        return;
    }
    let batch = changes(vec![new_row("dev", "FIRST"), new_row("dev/sp_1", "SECOND")]);
    assert!(matches!(store.write(batch).await, Err(StoreError::Full { .. })));
    assert_eq!(names(store, "dev").await, [""; 0]);
    assert_eq!(names(store, "dev/sp_1").await, [""; 0]);
}

pub(super) async fn a_batch_is_applied_whole_or_not_at_all(store: &dyn Store) {
    if store.limits().scopes < 4 {
        return;
    }
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let before = existing(store, "dev", "TOKEN").await;
    let unknown = new_row("stage", "FOURTH");
    let stale = Change { expected: Some(STALE), ..new_row("dev", "FOURTH") };
    let look_alike = new_row("dev", "token");
    for last in [unknown, stale, look_alike] {
        let batch = Batch {
            spaces: vec![space("dev/sp_2")],
            keys: vec![(scope("dev"), key(1, 1))],
            changes: vec![
                new_row("dev/sp_2", "IN_A_NEW_SPACE"),
                new_row("dev/sp_1", "SECOND"),
                next_version(&before),
                new_row("dev", "THIRD"),
                last,
            ],
            ..Batch::default()
        };
        store.write(batch).await.expect_err("the last change is refused");
        assert_eq!(names(store, "dev").await, ["TOKEN"]);
        assert_eq!(names(store, "dev/sp_1").await, [""; 0]);
        assert_eq!(existing(store, "dev", "TOKEN").await, before);
        let chain = store.chain(&scope("dev").chain(), Names::All).await.expect("readable");
        assert_eq!(chain.scopes[0].keys, []);
        let spaces = store.spaces(scope("dev").environment(), None, 10).await.expect("readable");
        assert_eq!(spaces, [space("dev/sp_1")]);
    }
    let batch = Batch {
        spaces: vec![space("dev/sp_2")],
        keys: vec![(scope("dev"), key(1, 1)), (scope("dev/sp_2"), key(2, 1))],
        changes: vec![
            new_row("dev/sp_2", "IN_A_NEW_SPACE"),
            new_row("dev/sp_1", "SECOND"),
            next_version(&before),
            new_row("dev", "THIRD"),
        ],
        ..Batch::default()
    };
    store.write(batch).await.expect("all of it is right");
    assert_eq!(names(store, "dev").await, ["THIRD", "TOKEN"]);
    assert_eq!(names(store, "dev/sp_1").await, ["SECOND"]);
    assert_eq!(names(store, "dev/sp_2").await, ["IN_A_NEW_SPACE"]);
    assert_eq!(existing(store, "dev", "TOKEN").await.head.current, 2);
}

pub(super) async fn a_batch_makes_no_space_twice(store: &dyn Store) {
    if store.limits().scopes < 2 {
        return;
    }
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    for (spaces, error) in [
        (["dev/sp_2", "dev/sp_1"], StoreError::Exists(scope("dev/sp_1"))),
        (["dev/sp_2", "dev/sp_2"], StoreError::Exists(scope("dev/sp_2"))),
        (["dev/sp_2", "prod/sp_1"], StoreError::UnknownEnvironment(scope("prod").environment().clone())),
    ] {
        let batch = Batch { spaces: spaces.map(space).into(), ..Batch::default() };
        assert_eq!(store.write(batch).await, Err(error), "{spaces:?}");
        let kept = store.spaces(scope("dev").environment(), None, 10).await.expect("readable");
        assert_eq!(kept, [space("dev/sp_1")]);
    }
}

pub(super) async fn a_full_batch_is_applied(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    let count = store.limits().changes.min(200);
    let all = (0..count).map(|number| new_row("dev", &format!("NAME_{number:03}"))).collect();
    store.write(changes(all)).await.expect("they are new");
    assert_eq!(names(store, "dev").await.len(), count);
}

/// A record in format ESR1 as far as a store looks into it: it names this key.
fn sealed_under(id: u8) -> Version {
    let mut record = b"ESR1\x01\x01".to_vec();
    record.extend([id; 16]);
    record.extend([0; 100]);
    Version { body: Body::Value(record.into()), ..version(1) }
}

pub(super) async fn a_record_under_a_key_that_its_scope_does_not_have_is_a_conflict(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    let add = |scope_text: &str, name_text: &str, id: u8| {
        let versions = VersionChange::Add(sealed_under(id));
        Change { versions, ..new_row(scope_text, name_text) }
    };
    let keys = vec![(scope("dev"), key(1, 1))];
    let first = Batch { keys, changes: vec![add("dev", "FIRST", 1)], ..Batch::default() };
    store.write(first).await.expect("the key comes with it");
    write(store, add("dev", "SECOND", 1)).await.expect("the key is there");
    for (scope_text, id, why) in [("dev", 2, "nobody has that key"), ("dev/sp_1", 1, "it is another scope's")]
    {
        let refused = write(store, add(scope_text, "THIRD", id)).await;
        assert_eq!(refused, Err(conflict(scope_text, "THIRD")), "{why}");
    }
    let retired = vec![(scope("dev"), key(1, 1).id)];
    store.write(Batch { retired, ..Batch::default() }).await.expect("a store doesn't ask who needs it");
    assert_eq!(write(store, add("dev", "THIRD", 1)).await, Err(conflict("dev", "THIRD")), "it is gone");
    let row = existing(store, "dev", "SECOND").await;
    let records = vec![(1, sealed_under(1).body.record().clone())];
    let reseal = Reseal { scope: scope("dev"), name: name("SECOND"), expected: row.revision, records };
    let batch = Batch { reseals: vec![reseal], ..Batch::default() };
    assert_eq!(
        store.write(batch).await,
        Err(conflict("dev", "SECOND")),
        "nor is anything sealed anew under it"
    );
}

pub(super) async fn look_alikes_in_one_chain_are_refused(fresh: &dyn Fn() -> Arc<dyn Store>) {
    for (first, first_name, second, second_name, refused) in [
        ("dev", "SLACK_TOKEN", "dev", "slack_token", true),
        ("dev", "SLACK_TOKEN", "dev/sp_1", "Slack_Token", true),
        ("dev/sp_1", "SLACK_TOKEN", "dev", "slack_TOKEN", true),
        ("dev/sp_1", "SLACK_TOKEN", "dev/sp_1", "slack_token", true),
        ("dev", "Straße", "dev/sp_1", "STRASSE", true),
        ("dev", "ﬁle", "dev", "FILE", true),
        ("dev", "SLACK_TOKEN", "dev/sp_1", "SLACK_TOKEN", false),
        ("dev/sp_1", "SLACK_TOKEN", "dev", "SLACK_TOKEN", false),
        ("dev/sp_1", "SLACK_TOKEN", "dev/sp_2", "slack_token", false),
        ("dev", "SLACK_TOKEN", "prod", "slack_token", false),
        ("dev", "SLACK_TOKEN", "prod/sp_1", "slack_token", false),
        ("prod/sp_1", "SLACK_TOKEN", "dev", "slack_token", false),
        ("dev", "SLACK_TOKEN", "dev/sp_1", "SLACK-TOKEN", false),
    ] {
        let store = fresh();
        make_scopes(&*store, &["dev", "dev/sp_1", "dev/sp_2", "prod", "prod/sp_1"]).await;
        write(&*store, new_row(first, first_name)).await.expect("it is new");
        let refusal = StoreError::LookAlike {
            name: name(second_name),
            existing: name(first_name),
            scope: scope(first),
        };
        let expected = if refused { Err(refusal) } else { Ok(()) };
        let case = format!("{first} {first_name}, then {second} {second_name}");
        assert_eq!(write(&*store, new_row(second, second_name)).await, expected, "{case}");
        let next = next_version(&existing(&*store, first, first_name).await);
        assert_eq!(write(&*store, next).await, Ok(()), "{case}: the first can still be changed");
    }
}

pub(super) async fn look_alikes_in_one_batch_are_refused(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    let places: &[&str] = if store.limits().scopes < 2 { &["dev"] } else { &["dev/sp_1", "dev"] };
    for first in places {
        let batch = changes(vec![new_row(first, "TOKEN"), new_row("dev", "token")]);
        let (name, existing) = (name("token"), name("TOKEN"));
        let refusal = StoreError::LookAlike { name, existing, scope: scope(first) };
        assert_eq!(store.write(batch).await, Err(refusal));
        assert_eq!(names(store, first).await, [""; 0]);
    }
}

pub(super) async fn a_destroyed_name_bars_no_spelling_and_comes_back_only_if_none_took_its_place(
    fresh: &dyn Fn() -> Arc<dyn Store>,
) {
    for (first, second) in [("dev", "dev/sp_1"), ("dev/sp_1", "dev"), ("dev", "dev")] {
        let store = &*fresh();
        make_scopes(store, &["dev", "dev/sp_1"]).await;
        write(store, new_row(first, "TOKEN")).await.expect("it is new");
        let row = existing(store, first, "TOKEN").await;
        let gone = RowHead { standing: Standing::Destroyed, current: 0, ..row.head.clone() };
        write(store, change_of(&row, gone, VersionChange::DestroyAll)).await.expect("nobody came between");
        let destroyed = existing(store, first, "TOKEN").await;
        write(store, new_row(second, "token")).await.expect("nothing of that spelling is left");
        let (name, existing_name) = (name("TOKEN"), name("token"));
        let refusal = StoreError::LookAlike { name, existing: existing_name, scope: scope(second) };
        assert_eq!(write(store, next_version(&destroyed)).await, Err(refusal), "{first}, {second}");
        assert_eq!(existing(store, first, "TOKEN").await, destroyed);
    }
}
