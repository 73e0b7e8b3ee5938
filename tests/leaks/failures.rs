//! What a failed handler says is masked wherever it can be read.

use undertone_runtime::{Error, Event, Failure, FailureKind};
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean, find};
use undertone_tests::world::{TOPIC, event, once, scope};

use super::{read, readable, texts, world};

/// An error of the author's that tells everything.
#[derive(Debug, thiserror::Error)]
#[error("could not log in with {token}")]
struct Telling {
    token: String,
    #[source]
    source: std::io::Error,
}

#[tokio::test]
async fn an_error_that_holds_a_value_is_masked_in_every_encoding() {
    let world = world().await;
    for (encoding, text) in texts(CANARY) {
        let written = text.clone();
        let listener = world.listener().on(
            TOPIC,
            once(async move |_: Event| -> undertone_runtime::Result<()> {
                Err(Error::msg(format!("could not log in with <{written}>")))
            }),
        );
        let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
        let failure = report.failures().next().unwrap();
        assert_eq!(failure.kind, FailureKind::Error);
        assert!(failure.message.starts_with("could not log in with <"), "{encoding}: {}", failure.message);
        assert!(failure.message.contains("[secret:TOKEN]"), "{encoding}: {}", failure.message);
        assert_clean(failure.message.as_bytes(), CANARY);
        assert_clean(format!("{report:?} {report:#?}").as_bytes(), CANARY);
        // The error itself is kept as it is, for sorting.
        let kept = failure.error.as_ref().unwrap().to_string();
        assert!(find(kept.as_bytes(), CANARY).is_some(), "{encoding}: {kept}");
    }
}

#[tokio::test]
async fn an_error_of_the_authors_own_type_is_masked_and_can_still_be_told() {
    let world = world().await;
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| -> undertone_runtime::Result<()> {
            let token = read(&event, "TOKEN").await;
            let source = std::io::Error::other(token.clone());
            Err(Telling { token, source }.into())
        }),
    );
    let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
    let Failure { message, error, .. } = report.failures().next().unwrap();
    assert_eq!(message, "could not log in with [secret:TOKEN]");
    assert!(error.as_ref().unwrap().downcast_ref::<Telling>().is_some());
    assert_clean(format!("{report:?}").as_bytes(), CANARY);
}

#[tokio::test]
async fn the_value_of_a_granted_scope_is_masked_too() {
    let mut world = world().await;
    world.set_with("dev/blue", "OTHER", OTHER_CANARY, readable()).await;
    world.granted.push(scope("dev/blue"));
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| -> undertone_runtime::Result<()> {
            let secret = event.secrets("OTHER").space("blue").await?;
            let value = secret.reveal("a test of what happens then").await?;
            let own = read(&event, "TOKEN").await;
            Err(Error::msg(format!("{} and {own}", String::from_utf8_lossy(value.expose()))))
        }),
    );
    let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
    assert_eq!(report.failures().next().unwrap().message, "[secret:OTHER] and [secret:TOKEN]");
}

#[tokio::test]
async fn a_panic_is_reported_without_its_message() {
    let world = world().await;
    // The message goes to standard error of this test: see `panics` for that side.
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| -> undertone_runtime::Result<()> {
            let token = read(&event, "TOKEN").await;
            panic!("a panic that is expected, with {token}")
        }),
    );
    let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
    assert_eq!(report.failures().next().unwrap().message, "the handler panicked");
    assert_clean(format!("{report:?}").as_bytes(), CANARY);
}
