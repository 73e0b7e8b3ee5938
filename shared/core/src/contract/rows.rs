//! Checks of reading and writing rows.

use std::collections::BTreeSet;

use super::fixture::{
    STALE, change_of, changes, conflict, existing, head, key, make_scopes, name, names, new_row,
    next_version, row, scope, time, version, write,
};
use crate::id::SecretId;
use crate::keys::WrappedKey;
use crate::name::SecretName;
use crate::row::{Body, Change, Revision, RowHead, Standing, Version, VersionChange};
use crate::rules::{Mode, Reveal, Rules, Sink};
use crate::store::{Batch, Names, Reseal, Store, StoreError};

fn full_rules() -> Rules {
    let parse = "the suites' rules are rules";
    Rules {
        hosts: Some(["slack.com", "*.slack.com"].map(|host| host.parse().expect(parse)).into()),
        methods: Some(BTreeSet::from(["POST".parse().expect(parse)])),
        sinks: Some(BTreeSet::from([Sink::Bearer, Sink::Query])),
        reveal: Reveal::Allowed,
    }
}

pub(super) async fn a_row_comes_back_as_it_was_written(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    let plain = head(1);
    let deleted = Standing::Deleted { purge_at: time(86_400) };
    let heads = [
        plain.clone(),
        RowHead { standing: Standing::Unset, ..plain.clone() },
        RowHead { standing: deleted, ..plain.clone() },
        RowHead { disabled: true, ..plain.clone() },
        RowHead { locked: true, ..plain.clone() },
        RowHead { expires_at: Some(time(-1)), ..plain.clone() },
        RowHead { expires_at: Some(jiff::Timestamp::MAX), updated_at: jiff::Timestamp::MIN, ..plain.clone() },
        RowHead { id: SecretId([0xff; 16]), latest: 9_000_000_000, ..plain.clone() },
        RowHead { updated_by: "O'Neil \"ä\" 🦀\n".to_owned(), ..plain.clone() },
        RowHead { updated_by: String::new(), ..plain },
    ];
    let versions = [
        version(1),
        Version { body: Body::Blocked(vec![0, 1, 255].into()), ..version(1) },
        Version { body: Body::External(vec![255, 0].into()), ..version(1) },
        Version { rules: full_rules(), ..version(1) },
        Version { rules: Rules { hosts: Some(BTreeSet::new()), ..Rules::default() }, ..version(1) },
        Version { revoked: true, created_at: time(-5), created_by: "ä".to_owned(), ..version(1) },
    ];
    let mut count = 0;
    for scope_text in ["dev", "dev/sp_1"] {
        for (head, version) in
            heads.iter().flat_map(|head| versions.iter().map(move |version| (head, version)))
        {
            count += 1;
            let name_text = format!("NAME_{count}");
            let change = Change {
                head: head.clone(),
                versions: VersionChange::Add(version.clone()),
                ..new_row(scope_text, &name_text)
            };
            write(store, change).await.expect("it is new");
            let read = existing(store, scope_text, &name_text).await;
            assert_eq!((&read.head, read.current.as_ref()), (head, Some(version)));
            assert_eq!((&read.scope, read.name.as_str()), (&scope(scope_text), name_text.as_str()));
        }
    }
}

pub(super) async fn any_name_comes_back_as_it_was_written(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    let long = "Ж".repeat(1_024);
    let all = ["A", "a name", "it's \"quoted\" \\ % _ ?", "ключ", "🦀", "e\u{301}x", "{\"a\":1}", &long];
    for text in all {
        write(store, new_row("dev", text)).await.expect("it is new");
    }
    for text in all {
        assert_eq!(existing(store, "dev", text).await.name, name(text));
    }
    let mut sorted = all.map(str::to_owned);
    sorted.sort();
    assert_eq!(names(store, "dev").await, sorted);
}

pub(super) async fn records_of_every_size_come_back(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    // A store that keeps a scope in one piece takes an eighth of it at a time here.
    let largest = store.limits().scope_bytes.map_or(usize::MAX, |bytes| bytes / 8);
    for size in [0, 1, 102, 4_000, 5_000, 65_798].into_iter().filter(|size| *size <= largest) {
        let body = Body::Value((0..size).map(|i: usize| i.to_le_bytes()[0]).collect());
        let versions = VersionChange::Add(Version { body, ..version(1) });
        let name_text = format!("OF_{size}");
        let VersionChange::Add(written) = versions.clone() else { unreachable!("it was just made") };
        write(store, Change { versions, ..new_row("dev", &name_text) }).await.expect("it is new");
        assert_eq!(existing(store, "dev", &name_text).await.current, Some(written), "{size}");
    }
}

pub(super) async fn a_chain_is_read_from_the_environment_down(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1", "dev/sp_2", "prod", "prod/sp_1"]).await;
    for (scope_text, by) in
        [("dev", "a"), ("dev/sp_1", "b"), ("dev/sp_2", "c"), ("prod", "d"), ("prod/sp_1", "e")]
    {
        let head = RowHead { updated_by: by.to_owned(), ..head(1) };
        write(store, Change { head, ..new_row(scope_text, "TOKEN") }).await.expect("it is new");
    }
    for (scope_text, mode, expected) in [
        ("dev", Mode::Development, vec![("dev", "a")]),
        ("dev/sp_1", Mode::Development, vec![("dev", "a"), ("dev/sp_1", "b")]),
        ("dev/sp_2", Mode::Development, vec![("dev", "a"), ("dev/sp_2", "c")]),
        ("prod", Mode::Standard, vec![("prod", "d")]),
        ("prod/sp_1", Mode::Standard, vec![("prod", "d"), ("prod/sp_1", "e")]),
    ] {
        for names in [Names::All, Names::Only(&[name("TOKEN")])] {
            let chain = store.chain(&scope(scope_text).chain(), names).await.expect("readable");
            assert_eq!(chain.mode, mode);
            let found: Vec<_> = chain
                .scopes
                .iter()
                .flat_map(|scope| {
                    scope.rows.iter().map(|row| (&scope.scope, &row.scope, &*row.head.updated_by))
                })
                .collect();
            let scopes: Vec<_> = expected.iter().map(|(scope_text, _)| scope(scope_text)).collect();
            let expected: Vec<_> =
                scopes.iter().zip(&expected).map(|(scope, (_, by))| (scope, scope, *by)).collect();
            assert_eq!(found, expected, "{scope_text}");
        }
    }
}

pub(super) async fn only_the_names_asked_for_are_read(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    for (scope_text, name_text) in
        [("dev", "A"), ("dev", "B"), ("dev", "C"), ("dev/sp_1", "B"), ("dev/sp_1", "D")]
    {
        write(store, new_row(scope_text, name_text)).await.expect("it is new");
    }
    for (asked, expected) in [
        (Some(vec!["B"]), [vec!["B"], vec!["B"]]),
        (Some(vec!["D", "A", "X"]), [vec!["A"], vec!["D"]]),
        (Some(vec!["b"]), [vec![], vec![]]),
        (Some(vec![]), [vec![], vec![]]),
        (None, [vec!["A", "B", "C"], vec!["B", "D"]]),
    ] {
        let only: Option<Vec<SecretName>> =
            asked.as_ref().map(|asked| asked.iter().map(|text| name(text)).collect());
        let names = only.as_deref().map_or(Names::All, Names::Only);
        let chain = store.chain(&scope("dev/sp_1").chain(), names).await.expect("readable");
        let found: Vec<BTreeSet<&str>> = chain
            .scopes
            .iter()
            .map(|scope| scope.rows.iter().map(|row| row.name.as_str()).collect())
            .collect();
        let expected: Vec<BTreeSet<&str>> = expected.into_iter().map(BTreeSet::from_iter).collect();
        assert_eq!(found, expected, "{asked:?}");
    }
}

pub(super) async fn ten_thousand_names_can_be_asked_for_at_once(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    let written: Vec<Change> =
        (0..40).map(|number| new_row("dev", &format!("NAME_{}", number * 250))).collect();
    for part in written.chunks(store.limits().changes) {
        store.write(changes(part.to_vec())).await.expect("they are new");
    }
    let asked: Vec<SecretName> = (0..10_000).map(|number| name(&format!("NAME_{number}"))).collect();
    let chain = store.chain(&scope("dev/sp_1").chain(), Names::Only(&asked)).await.expect("readable");
    let found: BTreeSet<&SecretName> = chain.scopes[0].rows.iter().map(|row| &row.name).collect();
    assert_eq!(found, written.iter().map(|change| &change.name).collect());
    assert!(chain.scopes[1].rows.is_empty());
}

pub(super) async fn a_history_has_every_version_newest_first(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    assert_eq!(store.history(&scope("dev/sp_1"), &name("TOKEN")).await, Ok(None));
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    assert_eq!(store.history(&scope("dev/sp_1"), &name("TOKEN")).await, Ok(None), "that is another scope's");
    for _ in 0..11 {
        let next = next_version(&existing(store, "dev", "TOKEN").await);
        write(store, next).await.expect("nobody came between");
    }
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    assert_eq!(history.versions, (1..=12).rev().map(version).collect::<Vec<_>>());
    assert_eq!(history.row, existing(store, "dev", "TOKEN").await);
    assert_eq!(history.row.current, Some(version(12)));
}

pub(super) async fn an_old_version_becomes_current_again(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let second = next_version(&existing(store, "dev", "TOKEN").await);
    write(store, second).await.expect("nobody came between");
    let row = existing(store, "dev", "TOKEN").await;
    let back = RowHead { current: 1, ..row.head.clone() };
    write(store, change_of(&row, back, VersionChange::Keep)).await.expect("nobody came between");
    let row = existing(store, "dev", "TOKEN").await;
    assert_eq!((row.head.current, row.head.latest, row.current), (1, 2, Some(version(1))));
}

pub(super) async fn revoking_marks_one_version(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    for _ in 0..2 {
        let next = next_version(&existing(store, "dev", "TOKEN").await);
        write(store, next).await.expect("nobody came between");
    }
    for (revoked, expected) in [(2, [false, true, false]), (3, [true, true, false]), (9, [true, true, false])]
    {
        let row = existing(store, "dev", "TOKEN").await;
        let change = change_of(&row, row.head.clone(), VersionChange::Revoke(revoked));
        write(store, change).await.expect("nobody came between");
        let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
        let marks: Vec<bool> = history.versions.iter().map(|version| version.revoked).collect();
        assert_eq!(marks, expected, "after revoking {revoked}");
        let current = existing(store, "dev", "TOKEN").await.current.expect("there");
        assert_eq!(current.revoked, expected[0]);
        assert_eq!(Version { revoked: false, ..current }, version(3), "nothing else changed");
    }
}

pub(super) async fn destroying_leaves_the_row_and_no_version(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    write(store, new_row("dev", "OTHER")).await.expect("it is new");
    let second = next_version(&existing(store, "dev", "TOKEN").await);
    write(store, second).await.expect("nobody came between");
    let row = existing(store, "dev", "TOKEN").await;
    let gone = RowHead { standing: Standing::Destroyed, current: 0, ..row.head.clone() };
    write(store, change_of(&row, gone.clone(), VersionChange::DestroyAll))
        .await
        .expect("nobody came between");
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    assert_eq!((history.versions, history.row.current, &history.row.head), (Vec::new(), None, &gone));
    assert_eq!(existing(store, "dev", "OTHER").await.current, Some(version(1)), "that is another row");

    let third = next_version(&existing(store, "dev", "TOKEN").await);
    write(store, third).await.expect("a destroyed name can be set again");
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    assert_eq!(history.versions, [version(3)]);
    assert!(Revision(0) < history.row.revision);
}

pub(super) async fn keys_belong_to_one_scope_and_are_kept_once(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    for (scope_text, key) in
        [("dev", key(1, 1)), ("dev/sp_1", key(2, 1)), ("dev", key(3, 2)), ("dev", key(1, 1))]
    {
        let keys = vec![(scope(scope_text), key.clone()), (scope(scope_text), key)];
        let batch = Batch { keys, ..Batch::default() };
        store.write(batch).await.expect("a key that is there is no error");
    }
    for names in [Names::All, Names::Only(&[])] {
        let chain = store.chain(&scope("dev/sp_1").chain(), names).await.expect("readable");
        let mut keys = chain.scopes.into_iter().map(|mut scope| {
            scope.keys.sort_by_key(|key| key.id);
            scope.keys
        });
        assert_eq!(keys.next(), Some(vec![key(1, 1), key(3, 2)]));
        assert_eq!(keys.next(), Some(vec![key(2, 1)]));
    }
    assert!(row(store, "dev", "TOKEN").await.is_none(), "keys are no rows");
}

pub(super) async fn a_scope_that_is_full_says_so_and_stays_as_it_was(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    let Some(limit) = store.limits().scope_bytes else {
        return;
    };
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let before = existing(store, "dev", "TOKEN").await;
    let body = Body::Value(vec![7; limit].into());
    let versions = VersionChange::Add(Version { body, ..version(1) });
    let too_much = write(store, Change { versions, ..new_row("dev", "LARGE") }).await;
    assert!(
        matches!(&too_much, Err(StoreError::Full { scope: at, .. }) if *at == scope("dev")),
        "{too_much:?}"
    );
    assert_eq!(names(store, "dev").await, ["TOKEN"]);
    assert_eq!(existing(store, "dev", "TOKEN").await, before);
}

pub(super) async fn a_row_moves_in_with_several_versions(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    let revoked = Version { revoked: true, ..version(2) };
    let versions = VersionChange::AddAll(vec![version(5), revoked.clone(), version(1)]);
    let moved = RowHead { current: 5, latest: 9, ..head(5) };
    write(store, Change { head: moved, versions, ..new_row("dev", "TOKEN") }).await.expect("it is new");
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    assert_eq!(history.versions, [version(5), revoked, version(1)]);
    assert_eq!((history.row.head.latest, history.row.current), (9, Some(version(5))));
    let row = existing(store, "dev", "TOKEN").await;
    let older = change_of(&row, row.head.clone(), VersionChange::AddAll(vec![version(4), version(3)]));
    write(store, older).await.expect("nobody came between");
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    let numbers: Vec<u64> = history.versions.iter().map(|version| version.number).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}

pub(super) async fn a_record_is_sealed_anew_and_nothing_else_changes(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    write(store, next_version(&existing(store, "dev", "TOKEN").await)).await.expect("nobody came between");
    let before = existing(store, "dev", "TOKEN").await;
    let epoch = store.epoch(&scope("dev").chain()).await.expect("readable");
    let record = |text: &str| text.as_bytes().to_vec().into();
    let records = vec![(2, record("resealed-2")), (1, record("resealed-1"))];
    let reseal = |expected| {
        let (scope, name, records) = (scope("dev"), name("TOKEN"), records.clone());
        Batch { reseals: vec![Reseal { scope, name, expected, records }], ..Batch::default() }
    };
    assert_eq!(store.write(reseal(STALE)).await, Err(conflict("dev", "TOKEN")));
    assert_eq!(existing(store, "dev", "TOKEN").await, before);
    store.write(reseal(before.revision)).await.expect("nobody came between");
    let history = store.history(&scope("dev"), &name("TOKEN")).await.expect("readable").expect("there");
    let resealed =
        |number: u64| Version { body: Body::Value(record(&format!("resealed-{number}"))), ..version(number) };
    assert_eq!(history.versions, [resealed(2), resealed(1)]);
    assert_eq!((&history.row.head, history.row.current), (&before.head, Some(resealed(2))));
    assert!(before.revision < history.row.revision);
    assert!(epoch < store.epoch(&scope("dev").chain()).await.expect("readable"));
}

pub(super) async fn keys_are_wrapped_anew_and_retired(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1"]).await;
    let keys = vec![(scope("dev"), key(1, 1)), (scope("dev"), key(2, 2))];
    store.write(Batch { keys, ..Batch::default() }).await.expect("they are new");
    let keys = vec![(scope("dev/sp_1"), key(1, 1))];
    store.write(Batch { keys, ..Batch::default() }).await.expect("it is new");
    let anew = WrappedKey { blob: vec![9; 40].into(), ..key(1, 1) };
    let rewrapped = vec![(scope("dev"), anew.clone())];
    store.write(Batch { rewrapped, ..Batch::default() }).await.expect("it is there");
    let retired = vec![(scope("dev"), key(2, 2).id), (scope("dev"), key(7, 7).id)];
    let dev = scope("dev").chain();
    let seen = store.epoch(&dev).await.expect("readable");
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    let late = Batch { retired: retired.clone(), seen: Some((dev.clone(), seen)), ..Batch::default() };
    assert_eq!(store.write(late).await, Err(StoreError::Changed(scope("dev"))), "somebody wrote since");
    let chain = store.chain(&dev, Names::All).await.expect("readable");
    assert_eq!(chain.scopes[0].keys.len(), 2, "nothing was retired");
    let seen = Some((dev, chain.epoch));
    let now = Batch { retired, seen, ..Batch::default() };
    store.write(now).await.expect("what isn't there is gone already");
    let space = scope("dev/sp_1").chain();
    let seen = store.epoch(&space).await.expect("readable");
    write(store, new_row("dev/sp_1", "TOKEN")).await.expect("it is new");
    let retired = vec![(scope("dev/sp_1"), key(1, 1).id)];
    let late = Batch { retired, seen: Some((space, seen)), ..Batch::default() };
    assert_eq!(store.write(late).await, Err(StoreError::Changed(scope("dev/sp_1"))), "in a Space as well");
    let chain = store.chain(&scope("dev/sp_1").chain(), Names::All).await.expect("readable");
    assert_eq!(chain.scopes[0].keys, [anew]);
    assert_eq!(chain.scopes[1].keys, [key(1, 1)], "another scope's key is another key");
}
