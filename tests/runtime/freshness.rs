//! Versions: one for a whole attempt, the newest for the next, and as few reads as that needs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use undertone_core::memory::MemoryStore;
use undertone_core::resolve::Freshness;
use undertone_core::{
    Chain, ChainRows, Epoch, History, Names, ReadStore, Scope, SecretName, StoreError, StoreId,
};
use undertone_runtime::{Event, Listener, Ports, Runtime};
use undertone_tests::servers::{Answer, Server};
use undertone_tests::world::{TOPIC, World, event, name, scope};

use super::Diary;

/// A store whose reads take a while, so that lookups meet.
struct Slow(Arc<MemoryStore>);

#[async_trait]
impl ReadStore for Slow {
    fn id(&self) -> StoreId {
        self.0.id()
    }

    async fn epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        self.0.epoch(chain).await
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.0.chain(chain, names).await
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        self.0.history(scope, name).await
    }
}

fn runtime(world: &World, listener: Listener, freshness: Freshness) -> Runtime {
    let ports = Ports {
        store: Arc::new(Slow(world.store.clone())),
        opener: world.keys.clone(),
        audit: world.audit.clone(),
        clock: world.clock.clone(),
        external: None,
    };
    Runtime::new(listener, ports, world.granted.clone(), freshness).unwrap()
}

/// Writes which version of `TOKEN` it was given.
fn noting(diary: &Diary) -> impl undertone_runtime::Handler + use<> {
    let diary = diary.clone();
    move |event: Event| {
        let diary = diary.clone();
        async move {
            diary.write(format!("{:?}", event.secrets("TOKEN").await?));
            Ok(())
        }
    }
}

#[tokio::test]
async fn concurrent_lookups_of_one_event_share_one_read_for_each_scope() {
    let mut world = World::new().await;
    world.granted.push(scope("dev/blue"));
    for name in ["A", "B", "C"] {
        world.set("dev", name, "a-value-of-some-length").await;
    }
    let listener = world.listener().on(TOPIC, |event: Event| async move {
        let own =
            join_all(["A", "B", "C"].repeat(20).into_iter().map(|name| event.secrets(name).into_future()));
        let other = join_all(
            ["A", "B", "C"]
                .repeat(20)
                .into_iter()
                .map(|name| event.secrets(name).space("blue").into_future()),
        );
        let (own, other) = tokio::join!(own, other);
        assert!(own.iter().chain(&other).all(Result::is_ok));
        Ok(())
    });
    let runtime = runtime(&world, listener, Freshness::default());
    let before = world.store.reads();
    let report = runtime.dispatch(&event(TOPIC, "dev/red"), world.budget).await.unwrap();
    assert!(report.is_success(), "{report:?}");
    assert_eq!(world.store.reads() - before, 2, "one for the event's own chain, one for the granted Space");
    assert_eq!(world.keys.unwraps(), 1, "one scope has a key");
}

#[tokio::test]
async fn concurrent_events_share_one_read_and_later_ones_need_none() {
    let world = World::new().await;
    world.set("dev", "TOKEN", "a-value-of-some-length").await;
    let diary = Diary::default();
    let runtime = runtime(&world, world.listener().on(TOPIC, noting(&diary)), Freshness::default());
    let before = world.store.reads();
    let events: Vec<_> = (0..100).map(|_| event(TOPIC, "dev/red")).collect();
    join_all(events.iter().map(|event| runtime.dispatch(event, world.budget))).await;
    assert_eq!(world.store.reads() - before, 1);
    runtime.dispatch(&event(TOPIC, "dev/red"), world.budget).await.unwrap();
    assert_eq!(world.store.reads() - before, 1, "nothing has changed");
    assert_eq!(diary.lines(), vec!["Secret(TOKEN v1)"; 101]);
    runtime.dispatch(&event(TOPIC, "dev/blue"), world.budget).await.unwrap();
    assert_eq!(world.store.reads() - before, 2, "another Space");
}

#[tokio::test]
async fn what_is_set_between_two_events_is_seen_by_the_second() {
    let world = World::new().await;
    world.declare("TOKEN");
    let diary = Diary::default();
    let runtime = world.runtime(world.listener().on(TOPIC, noting(&diary)));
    let event = event(TOPIC, "dev/red");
    let dispatch = async || {
        let report = runtime.dispatch(&event, world.budget).await.unwrap();
        report
            .failures()
            .next()
            .map_or_else(|| diary.lines().pop().unwrap(), |failure| failure.message.clone())
    };
    assert!(dispatch().await.starts_with("no secret `TOKEN`"));
    world.set("dev", "TOKEN", "the-first-of-the-environment").await;
    assert_eq!(dispatch().await, "Secret(TOKEN v1)");
    world.set("dev", "TOKEN", "the-second-of-the-environment").await;
    assert_eq!(dispatch().await, "Secret(TOKEN v2)", "a retry of the same event resolves anew");
    world.set("dev/red", "TOKEN", "the-first-of-the-space").await;
    assert_eq!(dispatch().await, "Secret(TOKEN v1)");
    world.vault.block(&scope("dev/red"), &name("TOKEN"), Default::default()).await.unwrap();
    assert!(dispatch().await.starts_with("`TOKEN` is blocked"));
    world.vault.unset(&scope("dev/red"), &name("TOKEN")).await.unwrap();
    assert_eq!(dispatch().await, "Secret(TOKEN v2)");
}

#[tokio::test]
async fn one_event_stays_on_one_version_and_the_next_takes_the_new_one() {
    let server = Server::plain(|_| Answer::status(200)).await;
    let world = Arc::new(World::new().await);
    world.set("dev", "TOKEN", "the-first-value").await;
    for turn in ["first", "second"] {
        let (operator, url) = (world.clone(), server.url("/"));
        world
            .within("dev/red", async move |event| {
                let before = event.secrets("TOKEN").await.unwrap();
                operator.set("dev", "TOKEN", "the-second-value").await;
                operator.set("dev/red", "TOKEN", "of-the-space").await;
                operator.vault.unset(&scope("dev/red"), &name("TOKEN")).await.unwrap();
                let after = event.clone().secrets("TOKEN").await.unwrap();
                assert_eq!(format!("{before:?}"), format!("{after:?}"), "{turn}");
                event
                    .http()
                    .post(&url)
                    .header("before", &before)
                    .header("after", &after)
                    .send()
                    .await
                    .unwrap();
            })
            .await;
    }
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|got| (got.header("before").unwrap().to_vec(), got.header("after").unwrap().to_vec()))
        .collect();
    let both = |value: &str| (value.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(sent, [both("the-first-value"), both("the-second-value")]);
}

#[tokio::test]
async fn a_granted_scope_stays_on_one_version_too() {
    let mut world = World::new().await;
    world.set("dev/blue", "TOKEN", "the-first-value").await;
    world.granted.push(scope("dev/blue"));
    let world = Arc::new(world);
    for want in ["Secret(TOKEN v1)", "Secret(TOKEN v2)"] {
        let operator = world.clone();
        let shown = world
            .within("dev/red", async move |event| {
                let before = event.secrets("TOKEN").space("blue").await.unwrap();
                operator.set("dev/blue", "TOKEN", "another-value").await;
                let after = event.secrets("TOKEN").space("blue").await.unwrap();
                [before, after].map(|secret| format!("{secret:?}"))
            })
            .await;
        assert_eq!(shown, [want, want]);
    }
}

#[tokio::test]
async fn the_handlers_of_one_event_get_one_version() {
    let world = Arc::new(World::new().await);
    world.set("dev", "TOKEN", "the-first-value").await;
    let (diary, operator) = (Diary::default(), world.clone());
    let rotate = move |_: Event| {
        let operator = operator.clone();
        async move {
            operator.set("dev", "TOKEN", "another-value").await;
            Ok(())
        }
    };
    let listener =
        world.listener().on(TOPIC, noting(&diary)).on(TOPIC, rotate.clone()).on(TOPIC, noting(&diary));
    let runtime = world.runtime(listener);
    for _ in 0..2 {
        assert!(runtime.dispatch(&event(TOPIC, "dev"), world.budget).await.unwrap().is_success());
    }
    let noted = ["Secret(TOKEN v1)", "Secret(TOKEN v1)", "Secret(TOKEN v2)", "Secret(TOKEN v2)"];
    assert_eq!(diary.lines(), noted);
}

#[tokio::test]
async fn what_takes_a_secret_away_beats_a_handle_that_is_out() {
    use super::secrets::kind;
    let server = Server::plain(|_| Answer::status(200)).await;
    for (what, want) in [
        ("nothing", None),
        ("a new version", None),
        ("revoked", Some("Revoked")),
        ("disabled", Some("Disabled")),
        ("deleted", Some("Revoked")),
        ("destroyed", Some("Revoked")),
        ("expired", Some("Expired")),
        ("a broken store", Some("Unavailable")),
    ] {
        let world = Arc::new(World::new().await);
        world.set_until("dev", "TOKEN", "a-value-of-some-length", Duration::from_secs(60)).await;
        let (operator, url) = (world.clone(), server.url("/"));
        let before = server.connections();
        let error = world
            .within("dev", async move |event| {
                let token = event.secrets("TOKEN").await.unwrap();
                let (at, name) = (scope("dev"), name("TOKEN"));
                match what {
                    "a new version" => operator.set("dev", "TOKEN", "the-next-value").await,
                    "revoked" => drop(operator.vault.revoke(&at, &name, 1).await.unwrap()),
                    "disabled" => drop(operator.vault.disable(&at, &name).await.unwrap()),
                    "deleted" => drop(operator.vault.delete(&at, &name).await.unwrap()),
                    "destroyed" => drop(operator.vault.destroy(&at, &name).await.unwrap()),
                    "expired" => operator.clock.forward(Duration::from_secs(61)),
                    "a broken store" => operator.store.set_broken(Some("the disk is gone")),
                    _ => {}
                }
                event.http().post(&url).bearer(&token).send().await.err()
            })
            .await;
        match (want, &error) {
            (None, None) => {}
            (
                Some(want),
                Some(undertone_runtime::EgressError::Secret(undertone_core::UseError::Resolve(error))),
            ) => {
                assert_eq!(kind(error), want, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(server.connections() - before, usize::from(want.is_none()), "{what}");
    }
}

#[tokio::test]
async fn a_staleness_that_was_allowed_ends_in_time() {
    let world = World::new().await;
    world.set("dev", "TOKEN", "the-first-value").await;
    let diary = Diary::default();
    let freshness = Freshness { unasked: Duration::from_secs(30), ..Freshness::default() };
    let runtime = runtime(&world, world.listener().on(TOPIC, noting(&diary)), freshness);
    let event = event(TOPIC, "dev");
    for (forward, rotate) in [(0, false), (0, true), (20, false), (11, false)] {
        world.clock.forward(Duration::from_secs(forward));
        if rotate {
            world.set("dev", "TOKEN", "the-second-value").await;
        }
        runtime.dispatch(&event, world.budget).await.unwrap();
    }
    let noted = ["Secret(TOKEN v1)", "Secret(TOKEN v1)", "Secret(TOKEN v1)", "Secret(TOKEN v2)"];
    assert_eq!(diary.lines(), noted);
}
