//! A scope that can't be read is never taken for one that isn't there.

use serde_json::{Value, json};
use undertone_core::{KeyError, Names, ReadStore, Store, StoreError};
use undertone_tests::fake_aws::{Answer, FakeAws};

use super::world::{World, environment, make, name, names, new_row, scope, space, write};

const BATCH: &str = "BatchGetSecretValue";

/// A kind of error, without what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Unavailable,
    Denied,
    Damaged,
    UnknownEnvironment,
    UnknownSpace,
    Other,
}

fn why<T>(read: Result<T, StoreError>) -> Why {
    match read.err().expect("it can't be read") {
        StoreError::Unavailable(_) => Why::Unavailable,
        StoreError::Denied(_) => Why::Denied,
        StoreError::Damaged(_) => Why::Damaged,
        StoreError::UnknownEnvironment(_) => Why::UnknownEnvironment,
        StoreError::UnknownSpace(..) => Why::UnknownSpace,
        _ => Why::Other,
    }
}

async fn world(aws: &FakeAws) -> World {
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    world
}

async fn read(world: &World) -> Result<(), StoreError> {
    world.store.chain(&scope("dev/sp_1").chain(), Names::All).await.map(drop)
}

fn errors(codes: &[(String, &str)]) -> Answer {
    let errors: Vec<Value> = codes
        .iter()
        .map(|(id, code)| json!({ "SecretId": id, "ErrorCode": code, "Message": "the test says so" }))
        .collect();
    Answer::With { member: "Errors", value: errors.into() }
}

#[tokio::test]
async fn each_part_of_a_call_that_failed_is_an_error_of_its_own() {
    let aws = FakeAws::start().await;
    let world = world(&aws).await;
    for (code, above, below) in [
        ("ResourceNotFoundException", Why::UnknownEnvironment, Why::UnknownSpace),
        ("AccessDeniedException", Why::Denied, Why::Denied),
        ("InvalidRequestException", Why::Denied, Why::Denied),
        ("DecryptionFailure", Why::Denied, Why::Denied),
        ("InternalServiceError", Why::Unavailable, Why::Unavailable),
        ("ThrottlingException", Why::Unavailable, Why::Unavailable),
        ("SomethingNew", Why::Denied, Why::Denied),
        ("not a code at all", Why::Unavailable, Why::Unavailable),
        ("", Why::Unavailable, Why::Unavailable),
    ] {
        for (place, want) in [("dev", above), ("dev/sp_1", below)] {
            aws.secrets().answer_next(BATCH, errors(&[(world.secret(place), code)]));
            assert_eq!(why(read(&world).await), want, "{code} for {place}");
        }
    }
    let arn = |place: &str| format!("arn:aws:secretsmanager:eu-central-1:1:secret:{}", world.secret(place));
    for (id, want) in [
        (arn("dev/sp_1-a1B2c3"), Err(Why::Denied)),
        (arn("dev-a1B2c3"), Err(Why::Denied)),
        (arn("dev/sp_1-a1B2c3-a1B2c3"), Ok(())),
        (arn("dev/sp_1"), Ok(())),
    ] {
        aws.secrets().answer_next(BATCH, errors(&[(id.clone(), "AccessDeniedException")]));
        let read = read(&world).await;
        assert_eq!(if read.is_ok() { Ok(()) } else { Err(why(read)) }, want, "{id}");
    }
    let missing = "ResourceNotFoundException";
    aws.secrets().answer_next(
        BATCH,
        errors(&[(world.secret("dev"), "AccessDeniedException"), (world.secret("dev/sp_1"), missing)]),
    );
    assert_eq!(why(read(&world).await), Why::Denied, "the Environment comes first");
    assert_eq!(read(&world).await, Ok(()));
}

#[tokio::test]
async fn what_an_answer_leaves_out_is_not_absent() {
    let aws = FakeAws::start().await;
    let world = world(&aws).await;
    aws.secrets().answer_next(BATCH, Answer::Without("SecretValues"));
    assert_eq!(why(read(&world).await), Why::Unavailable);
    aws.secrets().answer_next(BATCH, Answer::raw(200, "application/x-amz-json-1.1", "{}"));
    assert_eq!(why(read(&world).await), Why::Unavailable);
    let nothing = json!([{ "Name": world.secret("dev"), "VersionId": "v" }]);
    aws.secrets().answer_next(BATCH, Answer::With { member: "SecretValues", value: nothing });
    assert_eq!(why(read(&world).await), Why::Damaged, "a secret of bytes is none of ours");
    for kind in ["ResourceNotFoundException", "InvalidRequestException", "InvalidParameterException"] {
        aws.secrets().answer_next(BATCH, Answer::refusal(kind));
        assert_eq!(why(read(&world).await), Why::Denied, "{kind} for the whole call");
    }
}

#[tokio::test]
async fn a_denied_scope_is_denied_to_every_operation() {
    let aws = FakeAws::start().await;
    let world = world(&aws).await;
    let store = &*world.store;
    aws.secrets().deny("GetSecretValue", &world.secret("dev"));
    assert_eq!(why(read(&world).await), Why::Denied);
    assert_eq!(why(store.epoch(&scope("dev").chain()).await), Why::Denied);
    assert_eq!(why(store.history(&scope("dev"), &name("TOKEN")).await), Why::Denied);
    assert_eq!(why(write(store, new_row("dev/sp_1", "TOKEN")).await), Why::Denied);
    assert_eq!(why(store.create_space(space("dev/sp_2")).await), Why::Denied);
    assert_eq!(why(store.spaces(scope("dev").environment(), None, 9).await), Why::Denied);
    assert_eq!(why(store.environments().await), Why::Denied);
    aws.secrets().allow_all();
    assert_eq!(store.spaces(scope("dev").environment(), None, 9).await, Ok(vec![space("dev/sp_1")]));
    let error = {
        aws.secrets().deny("PutSecretValue", "");
        write(store, new_row("dev/sp_1", "TOKEN")).await.unwrap_err()
    };
    let text = "the store refused: Space dev/sp_1: PutSecretValue: AccessDeniedException";
    assert_eq!(error.to_string(), text, "the code alone, not what AWS says about it");
}

#[tokio::test]
async fn a_space_that_cannot_be_read_bars_new_names_above_it() {
    let aws = FakeAws::start().await;
    let world = world(&aws).await;
    aws.secrets().deny("GetSecretValue", &world.secret("dev/sp_1"));
    assert_eq!(why(write(&*world.store, new_row("dev", "NEW")).await), Why::Denied);
    aws.secrets().allow_all();
    assert_eq!(names(&*world.store, "dev").await.unwrap(), ["TOKEN"]);
}

#[tokio::test]
async fn a_deleted_scope_is_not_absent_and_its_error_says_how_to_restore_it() {
    let aws = FakeAws::start().await;
    let world = world(&aws).await;
    let store = &*world.store;
    for place in ["dev/sp_1", "dev"] {
        let id = world.secret(place);
        world.client.delete_secret().secret_id(&id).send().await.unwrap();
        let says_how = |read: Result<(), StoreError>| {
            let error = read.expect_err("it is deleted");
            let text = error.to_string();
            assert!(matches!(error, StoreError::Denied(_)), "{text}");
            assert!(text.contains(&format!("restore-secret --secret-id {id}")), "{text}");
        };
        says_how(read(&world).await);
        says_how(store.history(&scope(place), &name("TOKEN")).await.map(drop));
        says_how(write(store, new_row(place, "TOKEN")).await);
        says_how(match scope(place).space() {
            Some(_) => store.create_space(space(place)).await,
            None => store.create_environment(environment(place)).await,
        });
        world.client.restore_secret().secret_id(&id).send().await.unwrap();
        assert_eq!(read(&world).await, Ok(()));
    }
}

#[tokio::test]
async fn a_key_service_that_is_away_or_refuses_is_told_apart() {
    let aws = FakeAws::start().await;
    let world = world(&aws).await;
    for (fault, want) in [
        (KeyError::Unavailable("away".to_owned()), Why::Unavailable),
        (KeyError::Denied("no".to_owned()), Why::Denied),
        (KeyError::BadAnswer("what".to_owned()), Why::Denied),
    ] {
        world.keys.set_fault(Some(fault));
        let cold = world.other().await;
        assert_eq!(why(cold.epoch(&scope("dev").chain()).await), want);
        assert_eq!(why(cold.create_environment(environment("new")).await), want);
        let absent = cold.epoch(&scope("prod").chain()).await;
        assert_eq!(why(absent), Why::UnknownEnvironment, "that needs no key");
    }
}

#[tokio::test]
async fn what_this_process_has_just_made_is_asked_for_again() {
    let aws = FakeAws::start().await;
    let world = World::fresh(&aws.url()).await;
    make(&*world.store, &["dev", "dev/sp_1"]).await;
    let late = || {
        for _ in 0..3 {
            aws.secrets().answer_next("GetSecretValue", Answer::refusal("ResourceNotFoundException"));
        }
        let both = ["dev", "dev/sp_1"].map(|place| (world.secret(place), "ResourceNotFoundException"));
        aws.secrets().answer_next(BATCH, errors(&both));
    };
    late();
    assert!(world.store.epoch(&scope("dev").chain()).await.is_ok());
    assert_eq!(read(&world).await, Ok(()));
    let other = world.other().await;
    late();
    for place in ["dev", "dev/sp_1"] {
        let read = other.epoch(&scope(place).chain()).await;
        assert_eq!(why(read), Why::UnknownEnvironment, "others don't wait for {place}");
    }
}
