//! KMS is away, slow or says no, while keys are known: what still opens, for how long, and who is asked how often.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use futures_util::FutureExt;
use futures_util::future::join_all;
use undertone_aws::{Connection, KmsKey, KmsOpener, KmsSealer};
use undertone_core::keys::{WrappedKey, unwrap_checked};
use undertone_core::resolve::KeyCache;
use undertone_core::{KeyError, KeyScope, Sealer};
use undertone_tests::fake_aws::FakeAws;
use undertone_tests::fault_proxy::{Fault, FaultProxy};
use undertone_tests::world::{MovedClock, scope as scope_at};

use crate::cloud::{STORE, config};

const MINUTE: Duration = Duration::from_secs(60);

/// A strict KMS behind a proxy, a key that it wrapped, and a cache of keys on a clock that is moved by hand.
struct World {
    aws: FakeAws,
    proxy: FaultProxy,
    clock: Arc<MovedClock>,
    connection: Arc<Connection>,
    sealer: KmsSealer,
    cache: KeyCache,
    wrapped: WrappedKey,
}

impl World {
    async fn start() -> Self {
        let aws = FakeAws::start().await;
        let key = KmsKey::new(&aws.kms().create_key("alias/red")).unwrap();
        let proxy = FaultProxy::before(&aws.url()).await;
        let clock = Arc::new(MovedClock::default());
        let patience = Duration::from_millis(300);
        let timeouts =
            TimeoutConfig::builder().connect_timeout(patience).operation_attempt_timeout(patience).build();
        let config = config(&proxy.url(), None).into_builder().timeout_config(timeouts).build();
        let connection = Arc::new(Connection::new(config, clock.clone()));
        let sealer = KmsSealer::new(connection.clone(), key.clone());
        let cache = KeyCache::new(Arc::new(KmsOpener::new(connection.clone(), key)), clock.clone());
        let (_, wrapped) = sealer.new_key(&scope(), 1).await.unwrap();
        Self { aws, proxy, clock, connection, sealer, cache, wrapped }
    }

    async fn key(&self) -> Result<(), KeyError> {
        self.cache.key(&scope(), &self.wrapped).await.map(drop)
    }

    fn asked(&self) -> u64 {
        self.connection.kms_stats().counts().calls
    }
}

fn scope() -> KeyScope {
    KeyScope::store(STORE)
}

#[tokio::test]
async fn a_known_key_serves_through_an_outage_until_it_is_a_quarter_of_an_hour_old() {
    for fault in [
        Fault::Throttle,
        Fault::ServerError,
        Fault::CutBeforeResponse,
        Fault::CutInBody,
        Fault::RefuseConnections,
        Fault::Hang,
    ] {
        let world = World::start().await;
        world.key().await.unwrap();
        world.proxy.set(Some(fault));
        for seconds in [30, 300, 270, 200, 80] {
            world.clock.forward(Duration::from_secs(seconds));
            assert_eq!(world.key().await, Ok(()), "{fault:?}, {seconds} seconds on");
        }
        world.clock.forward(Duration::from_secs(25));
        assert!(matches!(world.key().await, Err(KeyError::Unavailable(_))), "{fault:?} after 15 minutes");
        let made = world.sealer.new_key(&scope(), 2).await;
        assert!(matches!(made, Err(KeyError::Unavailable(_))), "{fault:?}: no new keys");
        world.proxy.set(None);
        world.clock.forward(MINUTE);
        assert_eq!(world.key().await, Ok(()), "{fault:?} is over");
    }
}

#[tokio::test]
async fn an_outage_of_thirty_seconds_is_not_noticed_by_who_knows_the_key() {
    let world = World::start().await;
    world.key().await.unwrap();
    let asked = world.asked();
    world.proxy.set(Some(Fault::ServerError));
    for _ in 0..30 {
        world.clock.forward(Duration::from_secs(1));
        assert_eq!(world.key().await, Ok(()));
    }
    assert_eq!(world.asked(), asked, "nobody is asked");
}

#[tokio::test]
async fn a_refusal_evicts_at_once_and_an_outage_afterwards_brings_nothing_back() {
    for what in ["disabled", "going", "denied"] {
        let world = World::start().await;
        world.key().await.unwrap();
        // In the middle of an outage, in which the key is served although it is due.
        world.proxy.set(Some(Fault::ServerError));
        world.clock.forward(6 * MINUTE);
        world.key().await.unwrap();
        world.proxy.set(None);
        match what {
            "disabled" => world.aws.kms().disable("alias/red"),
            "going" => world.aws.kms().schedule_deletion("alias/red"),
            _ => world.aws.kms().deny("Decrypt", None),
        }
        world.clock.forward(MINUTE);
        assert!(matches!(world.key().await, Err(KeyError::Denied(_))), "{what}");
        world.proxy.set(Some(Fault::ServerError));
        world.clock.forward(MINUTE);
        assert!(matches!(world.key().await, Err(KeyError::Unavailable(_))), "{what}, then away");
    }
}

#[tokio::test]
async fn a_wrong_answer_evicts_at_once() {
    let world = World::start().await;
    world.key().await.unwrap();
    world.proxy.set(Some(Fault::Corrupt));
    world.clock.forward(6 * MINUTE);
    assert!(matches!(world.key().await, Err(KeyError::BadAnswer(_))));
}

#[tokio::test]
async fn a_service_that_is_away_is_asked_ten_times_a_second_at_most() {
    let world = World::start().await;
    let opener = KmsOpener::new(world.connection.clone(), KmsKey::new("alias/red").unwrap());
    for fault in [Fault::Throttle, Fault::ServerError] {
        world.proxy.set(Some(fault));
        for second in 0..3 {
            world.clock.forward(Duration::from_secs(1));
            let before = world.proxy.requests();
            let wanted =
                (0..300).map(|_| async { unwrap_checked(&opener, &scope(), &world.wrapped).await.is_err() });
            let failed = join_all(wanted).await;
            assert!(failed.iter().all(|failed| *failed));
            let asked = world.proxy.requests() - before;
            // The clock goes on a little while they are asked.
            assert!((1..=20).contains(&asked), "{asked} requests for {fault:?} in second {second}");
        }
    }
    assert!(1_000 < world.connection.kms_stats().counts().held_back);
}

#[tokio::test]
async fn while_kms_throttles_whoever_knows_its_key_waits_for_nothing() {
    let world = World::start().await;
    world.key().await.unwrap();
    let others = KeyScope::of(STORE, &scope_at("dev/red"));
    world.proxy.set(Some(Fault::Throttle));
    let misses = async {
        let lost = (0..200).map(|_| async { world.cache.key(&others, &world.wrapped).await.is_err() });
        join_all(lost).await
    };
    let hits = async {
        for _ in 0..1_000 {
            // Ready when it is asked first: no call, no lock and no pause stands before it.
            assert_eq!(world.key().now_or_never(), Some(Ok(())));
            tokio::task::yield_now().await;
        }
    };
    let before = world.proxy.requests();
    let (misses, ()) = tokio::join!(misses, hits);
    assert!(misses.into_iter().all(|lost| lost));
    let asked = world.proxy.requests() - before;
    assert!((1..=3).contains(&asked), "{asked} requests: all who miss one key share one question");
}

#[tokio::test]
async fn many_who_want_one_key_make_one_call() {
    let world = World::start().await;
    let asked = world.asked();
    assert!(join_all((0..200).map(|_| world.key())).await.iter().all(Result::is_ok));
    assert_eq!(world.asked() - asked, 1);
}

#[tokio::test]
async fn a_caller_who_gives_up_early_leaves_a_key_that_serves() {
    let world = World::start().await;
    world.key().await.unwrap();
    world.proxy.set(Some(Fault::Hang));
    world.clock.forward(6 * MINUTE);
    let short = Duration::from_millis(50);
    assert!(tokio::time::timeout(short, world.key()).await.is_err(), "it was waiting for KMS");
    assert_eq!(tokio::time::timeout(short, world.key()).await, Ok(Ok(())), "the next one isn't");
}

#[tokio::test]
async fn in_an_outage_one_asks_whether_it_is_over_and_nobody_else_waits() {
    let world = World::start().await;
    world.key().await.unwrap();
    world.proxy.set(Some(Fault::Hang));
    world.clock.forward(6 * MINUTE);
    world.key().await.unwrap();
    world.clock.forward(MINUTE);
    let others = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let all = join_all((0..100).map(|_| world.key()));
        tokio::time::timeout(Duration::from_millis(100), all).await
    };
    let (one, others) = tokio::join!(world.key(), others);
    assert!(one.is_ok() && others.expect("they don't wait").iter().all(Result::is_ok));
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_on_its_way_is_not_kept() {
    let world = World::start().await;
    world.proxy.set(Some(Fault::Delay(Duration::from_millis(100))));
    let forget = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.cache.forget_all();
    };
    let (key, ()) = tokio::join!(world.key(), forget);
    let asked = world.asked();
    assert!(key.is_ok() && world.key().await.is_ok());
    assert_eq!(world.asked() - asked, 1, "it had to be asked for again");
}

#[tokio::test]
async fn a_question_is_bounded_in_time() {
    let world = World::start().await;
    let patient = Arc::new(Connection::new(config(&world.proxy.url(), None), world.clock.clone()));
    let opener = KmsOpener::new(patient, KmsKey::new("alias/red").unwrap());
    world.proxy.set(Some(Fault::Hang));
    let begun = std::time::Instant::now();
    let answer = unwrap_checked(&opener, &scope(), &world.wrapped).await;
    assert!(matches!(answer, Err(KeyError::Unavailable(_))));
    let took = begun.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&took), "{took:?}");
}
