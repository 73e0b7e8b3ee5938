//! What fits into a secret, how many versions are kept, and what AWS says to too many.

use undertone_core::{Batch, Change, ReadStore, RowHead, Store, StoreError, VersionChange};
use undertone_tests::fake_aws::{Answer, FakeAws};

use super::world::{
    World, calls, change, environment, head, name, names, new_row, row, scope, version, write,
};

fn sized(scope_text: &str, name_text: &str, bytes: usize) -> Change {
    let versions = VersionChange::Add(version(1, &vec![7; bytes]));
    Change { versions, ..new_row(scope_text, name_text) }
}

/// The same row, written by somebody whose name has so many characters.
fn by(length: usize, expected: u64) -> Change {
    let head = RowHead { updated_by: "x".repeat(length), ..head(1) };
    Change { head, versions: VersionChange::Keep, ..change("dev/sp_1", "TOKEN", Some(expected), 1) }
}

#[tokio::test]
async fn a_scope_is_filled_to_the_last_byte_and_then_says_so() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    let store = &*world.store;
    write(store, sized("dev/sp_1", "TOKEN", 40_000)).await.unwrap();
    write(store, by(1, 1)).await.unwrap();
    // The id of one write more has eleven characters, two quotes and a comma.
    let fits = 65_536 - world.stored("dev/sp_1").await.0.len() - 14 + 1;
    for (length, fits) in [(fits + 1, false), (fits, true)] {
        match write(store, by(length, 2)).await {
            Ok(()) => assert!(fits, "{length}"),
            Err(StoreError::Full { scope: at, problem }) => {
                assert_eq!((at, fits), (scope("dev/sp_1"), false));
                assert!(
                    problem.contains("65537 bytes") && problem.contains("undertone store copy"),
                    "{problem}"
                );
            }
            Err(other) => panic!("{length}: {other}"),
        }
    }
    assert_eq!(world.stored("dev/sp_1").await.0.len(), 65_536);
    assert_eq!(row(store, "dev/sp_1", "TOKEN").await.unwrap().head.updated_by.len(), fits);
}

#[tokio::test]
async fn a_full_scope_is_refused_before_anything_is_put() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    aws.secrets().reset_calls();
    let refused = write(&*world.store, sized("dev", "LARGE", 65_536)).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert_eq!(aws.secrets().calls_of("PutSecretValue"), 0, "{:?}", calls(&aws));
    assert_eq!(names(&*world.store, "dev").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_hundred_names_with_small_values_fit() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    // A record of a short value under KMS: 39 bytes of frame, 64 of padded value, 64 of nonce and tags.
    let all =
        (0..100).map(|number| sized("dev", &format!("SLACK_SIGNING_SECRET_{number:02}"), 170)).collect();
    world.store.write(Batch { changes: all, ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn twenty_versions_of_a_row_are_kept_and_always_the_current_one() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    let store = &*world.store;
    for number in 1..=25 {
        let expected = (1 < number).then(|| number - 1);
        write(store, change("dev", "TOKEN", expected, number)).await.unwrap();
    }
    let numbers = async || {
        let history = store.history(&scope("dev"), &name("TOKEN")).await.unwrap().unwrap();
        assert_eq!(history.row.current.map(|version| version.number), Some(history.row.head.current));
        history.versions.into_iter().map(|version| version.number).collect::<Vec<u64>>()
    };
    assert_eq!(numbers().await, (6..=25).rev().collect::<Vec<u64>>());
    let back = RowHead { current: 6, latest: 25, ..head(6) };
    let keep = Change { head: back, versions: VersionChange::Keep, ..change("dev", "TOKEN", Some(25), 6) };
    write(store, keep).await.unwrap();
    let added = VersionChange::AddAll((26..=30).map(|number| version(number, b"record")).collect());
    let more = Change {
        head: RowHead { current: 6, latest: 30, ..head(6) },
        versions: added,
        ..change("dev", "TOKEN", Some(26), 6)
    };
    write(store, more).await.unwrap();
    let expected: Vec<u64> = (12..=30).rev().chain([6]).collect();
    assert_eq!(numbers().await, expected);
}

#[tokio::test]
async fn what_is_too_much_for_the_service_is_full_and_not_away() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    for (operation, what) in [("PutSecretValue", "100 versions"), ("CreateSecret", "as many secrets")] {
        // The SDK asks three times.
        for _ in 0..3 {
            aws.secrets().answer_next(operation, Answer::refusal("LimitExceededException"));
        }
        let refused = match operation {
            "PutSecretValue" => write(&*world.store, new_row("dev", "TOKEN")).await,
            _ => world.store.create_environment(environment("prod")).await,
        };
        let Err(StoreError::Full { problem, .. }) = refused else { panic!("{refused:?}") };
        assert!(problem.contains(what) && problem.contains("undertone store copy"), "{problem}");
    }
}
