//! Secrets that another service keeps: they resolve like any other, and what they hold is treated like any other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use undertone_core::vault::{Expected, ExternalRequest, Spelling};
use undertone_core::{ExternalError, ExternalRef, ExternalSource, ExternalValue, Mode};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, HOST, value, version};

/// A value with its version, or why there is none.
type Kept = Result<(Vec<u8>, String), ExternalError>;

/// What the other service keeps, by id.
#[derive(Default)]
struct Elsewhere {
    kept: Mutex<HashMap<String, Kept>>,
    fetches: AtomicU64,
}

impl Elsewhere {
    fn keep(&self, id: &str, value: &str, version: &str) {
        self.answer(id, Ok((value.as_bytes().to_vec(), version.to_owned())));
    }

    fn answer(&self, id: &str, answer: Kept) {
        self.kept.lock().expect("no test panics with this lock").insert(id.to_owned(), answer);
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ExternalSource for Elsewhere {
    async fn fetch(&self, id: &str) -> Result<ExternalValue, ExternalError> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let kept = self.kept.lock().expect("no test panics with this lock").get(id).cloned();
        let (bytes, version) =
            kept.unwrap_or(Err(ExternalError::Denied("ResourceNotFoundException".to_owned())))?;
        Ok(ExternalValue { bytes: bytes.into(), version: version.into() })
    }
}

async fn refer(world: &World, at: &str, name_text: &str, id: &str, key: Option<&str>) {
    let request = ExternalRequest {
        name: name(name_text),
        reference: ExternalRef::new(id, key).expect("a reference of a test is one"),
        rules: hosts(&[HOST]),
        expires_at: None,
        spelling: Spelling::Canonical,
        expected: Expected::Any,
    };
    world.vault.refer(&scope(at), request).await.expect("the scope is there");
}

fn asker(world: &World, source: &Arc<Elsewhere>, names: &[&str]) -> Asker {
    Asker::new(world, names).with_external(world, source.clone())
}

const ID: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf";

#[tokio::test]
async fn an_external_row_resolves_along_the_chain_like_any_other() {
    let world = World::new().await;
    let source = Arc::new(Elsewhere::default());
    source.keep(ID, r#"{"user":"app","password":"elsewhere-value"}"#, "v-1");
    refer(&world, "live", "PASSWORD", ID, Some("password")).await;
    let asker = asker(&world, &source, &["PASSWORD"]);
    assert_eq!(asker.ask("live/red", "PASSWORD").await, value("elsewhere-value", "live"), "inherited");
    world.set_with("live/red", "PASSWORD", "own-value", hosts(&[HOST])).await;
    assert_eq!(asker.ask("live/red", "PASSWORD").await, value("own-value", "live/red"), "overridden");
    refer(&world, "live/red", "PASSWORD", ID, Some("user")).await;
    assert_eq!(asker.ask("live/red", "PASSWORD").await, version("app", "live/red", 2), "overriding");
    world.vault.block(&scope("live/blue"), &name("PASSWORD"), Spelling::Canonical).await.unwrap();
    assert_eq!(asker.ask("live/blue", "PASSWORD").await, Answer::Blocked(scope("live/blue")));
    world.vault.disable(&scope("live"), &name("PASSWORD")).await.unwrap();
    assert_eq!(asker.ask("live", "PASSWORD").await, Answer::Disabled(scope("live")));
}

#[tokio::test]
async fn its_rules_bind_and_its_version_is_on_record() {
    let world = World::new().await;
    let source = Arc::new(Elsewhere::default());
    source.keep(ID, "elsewhere-value", "EXAMPLE1-90ab-cdef");
    refer(&world, "live", "TOKEN", ID, None).await;
    let asker = asker(&world, &source, &["TOKEN"]);
    let handle = asker.handle("live/red", "TOKEN").await.unwrap();
    assert_eq!(crate::lookup::send(&handle, "other.example").await, Answer::HostRefused);
    assert_eq!(asker.ask("live/red", "TOKEN").await, value("elsewhere-value", "live"));
    let rows = world.rows().await;
    assert!(rows.iter().all(|row| row["source_version"] == "EXAMPLE1-90ab-cdef"), "{rows:?}");
    assert!(!format!("{rows:?}").contains("elsewhere-value"));
}

#[tokio::test]
async fn the_leak_guard_knows_what_was_fetched() {
    let world = World::new().await;
    let source = Arc::new(Elsewhere::default());
    source.keep(ID, "elsewhere-value", "v-1");
    refer(&world, "live", "TOKEN", ID, None).await;
    let snapshot = asker(&world, &source, &["TOKEN"]).snapshot("live").await.unwrap();
    assert_eq!(snapshot.guard().clean("it is elsewhere-value!"), "it is [secret:TOKEN]!");
    assert_eq!(snapshot.mode(), Mode::Standard);
}

#[tokio::test]
async fn what_the_service_rotates_is_seen_within_a_minute_and_one_secret_is_fetched_once() {
    let world = World::new().await;
    let source = Arc::new(Elsewhere::default());
    source.keep(ID, r#"{"a":"first-a","b":"first-b"}"#, "v-1");
    refer(&world, "live", "A", ID, Some("a")).await;
    refer(&world, "live", "B", ID, Some("b")).await;
    let asker = asker(&world, &source, &["A", "B"]);
    assert_eq!(asker.ask("live", "A").await, value("first-a", "live"));
    assert_eq!(asker.ask("live", "B").await, value("first-b", "live"));
    assert_eq!(source.fetches(), 1);
    source.keep(ID, r#"{"a":"second-a","b":"second-b"}"#, "v-2");
    world.clock.forward(std::time::Duration::from_secs(61));
    assert_eq!(asker.ask("live", "B").await, value("second-b", "live"));
    assert_eq!(source.fetches(), 2);
}

#[tokio::test]
async fn what_can_not_be_fetched_is_an_answer_of_its_own_and_never_the_value_beneath() {
    let live = || scope("live/red");
    let kept = |text: &str| Ok((text.as_bytes().to_vec(), "v-1".to_owned()));
    for (answer, key, want) in [
        (Err(ExternalError::Unavailable("ThrottlingException".to_owned())), None, Answer::Unavailable),
        (Err(ExternalError::Denied("AccessDeniedException".to_owned())), None, Answer::Denied(live())),
        (kept("no json"), Some("a"), Answer::Denied(live())),
        (kept(r#"{"b":1}"#), Some("a"), Answer::Denied(live())),
        (kept(&"x".repeat(65_537)), None, Answer::Denied(live())),
        (kept(&"x".repeat(65_536)), None, value(&"x".repeat(65_536), "live/red")),
        (kept(""), None, value("", "live/red")),
    ] {
        let world = World::new().await;
        world.set_with("live", "TOKEN", "the-value-beneath", hosts(&[HOST])).await;
        let source = Arc::new(Elsewhere::default());
        source.answer(ID, answer.clone());
        refer(&world, "live/red", "TOKEN", ID, key).await;
        assert_eq!(asker(&world, &source, &["TOKEN"]).ask("live/red", "TOKEN").await, want, "{key:?}");
        let without = Asker::new(&world, &["TOKEN"]).ask("live/red", "TOKEN").await;
        assert_eq!(without, Answer::Denied(live()), "a program that can't reach the service");
    }
}

#[tokio::test]
async fn a_reference_can_not_be_moved_or_passed_off_as_a_value() {
    use undertone_core::{Body, Names, ReadStore};
    let world = World::new().await;
    let source = Arc::new(Elsewhere::default());
    source.keep(ID, "elsewhere-value", "v-1");
    refer(&world, "live", "TOKEN", ID, None).await;
    world.set_with("live", "OTHER", ID, hosts(&[HOST])).await;
    for (target, turned) in [("TOKEN", true), ("OTHER", false)] {
        let store = crate::wrapped::WrappedStore::new(world.store.clone());
        store.set_edit(move |rows| {
            for row in rows.scopes.iter_mut().flat_map(|scope| &mut scope.rows) {
                let Some(current) = row.current.as_mut().filter(|_| row.name == name(target)) else {
                    continue;
                };
                let record = current.body.record().clone();
                current.body = if turned { Body::Value(record) } else { Body::External(record) };
            }
        });
        let asker =
            Asker::over(&world, store, world.keys.clone(), &[target]).with_external(&world, source.clone());
        assert_eq!(asker.ask("live", target).await, Answer::Unreadable(scope("live")), "{target}");
    }
    let names = [name("TOKEN")];
    let rows = world.store.chain(&scope("live").chain(), Names::Only(&names)).await.unwrap();
    let version = rows.scopes[0].rows[0].current.as_ref().unwrap();
    assert!(!version.body.record().windows(3).any(|bytes| bytes == b"arn"), "the reference is sealed");
}
