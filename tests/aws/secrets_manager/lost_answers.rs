//! Answers that don't come: nothing is done twice, and nobody's own work is taken for another's.

use std::time::Duration;

use undertone_core::{Batch, ReadStore, Store, StoreError};
use undertone_tests::fake_aws::{Answer, FakeAws};
use undertone_tests::fault_proxy::{Fault, FaultProxy};

use super::world::{PATIENCE, World, batch, change, environment, names, new_row, row, scope, space, write};

/// Longer than all tries of a call together.
const LONG: Duration = Duration::from_secs(8);

struct Lossy {
    aws: FakeAws,
    proxy: FaultProxy,
    world: World,
    store: undertone_aws::SecretsManagerStore,
}

impl Lossy {
    async fn start(operation: &str) -> Self {
        let aws = FakeAws::start().await;
        let proxy = FaultProxy::before(&aws.url()).await;
        let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
        let store = world.over(&proxy).await;
        store.epoch(&scope("dev").chain()).await.unwrap();
        proxy.only(operation);
        Self { aws, proxy, world, store }
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_done_once() {
    for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
        for fault in [
            Fault::CutBeforeResponse,
            Fault::CutInBody,
            Fault::Delay(2 * PATIENCE),
            Fault::Throttle,
            Fault::ServerError,
            Fault::Hang,
        ] {
            let lossy = Lossy::start(operation).await;
            for place in ["dev", "dev/sp_1"] {
                lossy.proxy.fail_nth(1, fault);
                let written = write(&lossy.store, new_row(place, "TOKEN")).await;
                assert_eq!(written, Ok(()), "{operation}, {fault:?}, {place}");
                let kept = row(&*lossy.world.store, place, "TOKEN").await.unwrap();
                assert_eq!(kept.revision.0, 1);
                write(&lossy.store, change(place, "TOKEN", Some(1), 2)).await.unwrap();
            }
            assert_eq!(lossy.proxy.count_of(fault), 2);
        }
    }
}

#[tokio::test]
async fn a_change_none_of_whose_answers_comes_is_found_by_reading() {
    for fault in [Fault::CutBeforeResponse, Fault::CutInBody, Fault::Corrupt, Fault::Delay(LONG)] {
        let lossy = Lossy::start("UpdateSecretVersionStage").await;
        lossy.proxy.set(Some(fault));
        assert_eq!(write(&lossy.store, new_row("dev/sp_1", "TOKEN")).await, Ok(()), "{fault:?}");
        let epoch = lossy.world.store.epoch(&scope("dev/sp_1").chain()).await.unwrap();
        assert_eq!(epoch.0 & 0xffff_ffff, 2, "it was applied once");
        assert_eq!(lossy.aws.secrets().calls_of("PutSecretValue"), 1);
        let twice = write(&lossy.store, new_row("dev/sp_1", "TOKEN")).await;
        assert!(matches!(twice, Err(StoreError::Conflict { .. })), "another's is a conflict: {twice:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_work_is_found_beneath_what_others_wrote_meanwhile() {
    for (others, want) in [(5, Ok(())), (40, Err(()))] {
        let lossy = Lossy::start("UpdateSecretVersionStage").await;
        lossy.proxy.set(Some(Fault::Delay(LONG)));
        let ours = async {
            let written = write(&lossy.store, new_row("dev/sp_1", "OURS")).await;
            written.map_err(|error| match error {
                StoreError::Unavailable(problem) => {
                    assert!(problem.contains("look whether it was done"), "{problem}")
                }
                other => panic!("{other}"),
            })
        };
        let theirs = async {
            while names(&*lossy.world.store, "dev/sp_1").await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Nobody reads either until all of theirs is written.
            lossy.proxy.only("");
            for number in 0..others {
                write(&*lossy.world.store, new_row("dev/sp_1", &format!("THEIRS_{number}"))).await.unwrap();
            }
            lossy.proxy.set(None);
        };
        let (ours, ()) = tokio::join!(ours, theirs);
        assert_eq!(ours, want, "after {others} writes of others");
        assert_eq!(names(&*lossy.world.store, "dev/sp_1").await.unwrap().len(), others + 1);
    }
}

#[tokio::test]
async fn a_scope_whose_making_goes_unanswered_is_made_once() {
    for fault in [Fault::CutBeforeResponse, Fault::CutInBody, Fault::Corrupt, Fault::Delay(LONG)] {
        let lossy = Lossy::start("CreateSecret").await;
        lossy.proxy.set(Some(fault));
        assert_eq!(lossy.store.create_environment(environment("prod")).await, Ok(()), "{fault:?}");
        let made = Batch { spaces: vec![space("dev/sp_2")], ..batch(vec![new_row("dev/sp_2", "TOKEN")]) };
        assert_eq!(lossy.store.write(made).await, Ok(()), "{fault:?}");
        assert_eq!(names(&*lossy.world.store, "dev/sp_2").await.unwrap(), ["TOKEN"]);
        for again in [
            lossy.store.create_environment(environment("prod")).await,
            lossy.store.create_space(space("dev/sp_2")).await,
        ] {
            assert!(matches!(again, Err(StoreError::Exists(_))), "{fault:?}: {again:?}");
        }
    }
}

#[tokio::test]
async fn what_was_not_done_is_said_to_be_not_done() {
    let lossy = Lossy::start("PutSecretValue").await;
    lossy.proxy.set(Some(Fault::ServerError));
    let refused = write(&lossy.store, new_row("dev", "TOKEN")).await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable(problem)) if !problem.contains("lost")),
        "{refused:?}"
    );
    lossy.proxy.set(None);
    assert_eq!(names(&*lossy.world.store, "dev").await.unwrap(), [""; 0]);
    assert_eq!(write(&lossy.store, new_row("dev", "TOKEN")).await, Ok(()));
}

#[tokio::test]
async fn a_version_that_has_gone_before_it_was_current_is_put_anew() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    aws.secrets().reset_calls();
    aws.secrets().answer_next("UpdateSecretVersionStage", Answer::refusal("ResourceNotFoundException"));
    assert_eq!(write(&*world.store, new_row("dev", "TOKEN")).await, Ok(()));
    assert_eq!(aws.secrets().calls_of("PutSecretValue"), 2);
    aws.secrets().reset_calls();
    aws.secrets().answer_next("UpdateSecretVersionStage", Answer::refusal("InvalidParameterException"));
    assert_eq!(write(&*world.store, new_row("dev", "OTHER")).await, Ok(()));
    assert_eq!(aws.secrets().calls_of("PutSecretValue"), 1, "on top of the same version it is the same");
}
