//! Lookups in the event's own Environment and Space: each way to fail is a type of its own.

use std::time::Duration;

use undertone_core::{KeyError, ResolveError};
use undertone_tests::world::{World, name, scope};

/// The variant, in the words of the semantics.
pub(super) fn kind(error: &ResolveError) -> &'static str {
    match error {
        ResolveError::NotDeclared { .. } => "NotDeclared",
        ResolveError::NotFound { .. } => "NotFound",
        ResolveError::Blocked { .. } => "Blocked",
        ResolveError::Disabled { .. } => "Disabled",
        ResolveError::Expired { .. } => "Expired",
        ResolveError::Revoked { .. } => "Revoked",
        ResolveError::Forbidden { .. } => "Forbidden",
        ResolveError::NoEnvironment { .. } => "NoEnvironment",
        ResolveError::UnknownScope(_) => "UnknownScope",
        ResolveError::Unavailable { .. } => "Unavailable",
        ResolveError::Denied { .. } => "Denied",
        ResolveError::Unreadable { .. } => "Unreadable",
    }
}

/// A world with one secret in each state, all of them in `dev/red`.
async fn world() -> World {
    let world = World::new().await;
    let red = scope("dev/red");
    for name in ["FINE", "BLOCKED", "DISABLED", "REVOKED"] {
        world.set("dev", name, "of the environment").await;
        world.set("dev/red", name, "of the space").await;
    }
    world.set("dev", "EXPIRED", "of the environment").await;
    world.set_until("dev/red", "EXPIRED", "of the space", Duration::from_secs(60)).await;
    world.clock.forward(Duration::from_secs(61));
    world.vault.block(&red, &name("BLOCKED"), Default::default()).await.unwrap();
    world.vault.disable(&red, &name("DISABLED")).await.unwrap();
    world.vault.revoke(&red, &name("REVOKED"), 1).await.unwrap();
    world.declare("MISSING");
    world
}

#[tokio::test]
async fn each_way_to_fail_has_its_type_and_only_unavailable_may_be_tried_again() {
    for (asked, fault, want, row) in [
        ("FINE", None, "v1", None),
        ("UNDECLARED", None, "NotDeclared", Some("not_declared")),
        ("MISSING", None, "NotFound", None),
        ("BLOCKED", None, "Blocked", Some("blocked")),
        ("DISABLED", None, "Disabled", Some("disabled")),
        ("EXPIRED", None, "Expired", Some("expired")),
        ("REVOKED", None, "Revoked", Some("revoked")),
        ("FINE", Some(KeyError::Unavailable("no answer".to_owned())), "Unavailable", None),
        ("FINE", Some(KeyError::Denied("no right".to_owned())), "Denied", Some("denied")),
        ("FINE", Some(KeyError::BadAnswer("not a key".to_owned())), "Unreadable", Some("unreadable")),
        // A broken key service says nothing about what needs no key.
        ("MISSING", Some(KeyError::Unavailable("no answer".to_owned())), "NotFound", None),
        ("BLOCKED", Some(KeyError::Unavailable("no answer".to_owned())), "Blocked", Some("blocked")),
    ] {
        let world = world().await;
        world.keys.set_fault(fault.clone());
        let found = world
            .within("dev/red", async move |event| {
                let optional = event.secrets(asked).optional().await.map(|found| found.is_some());
                (event.secrets(asked).await.map(|secret| secret.version()), optional)
            })
            .await;
        let (found, optional) = found;
        let what = format!("{asked} {fault:?}: {found:?}");
        match &found {
            Ok(version) => assert_eq!(format!("v{version}"), want, "{what}"),
            Err(error) => {
                assert_eq!(kind(error), want, "{what}");
                assert_eq!(error.is_retryable(), want == "Unavailable", "{what}");
                assert_eq!(error.is_not_found(), want == "NotFound", "{what}");
            }
        }
        let optional = optional.map_err(|error| kind(&error));
        match want {
            "v1" => assert_eq!(optional, Ok(true), "{what}"),
            "NotFound" => assert_eq!(optional, Ok(false), "{what}"),
            other => assert_eq!(optional, Err(other), "{what}"),
        }
        let rows = world.rows_in_short().await;
        let want_rows: Vec<String> =
            row.map(|row| format!("secret.resolve {asked} refused {row}")).into_iter().collect();
        assert_eq!(
            rows,
            [want_rows.clone(), want_rows].concat(),
            "{what}: one row for each of the two lookups"
        );
    }
}

#[tokio::test]
async fn a_broken_store_never_looks_like_a_missing_secret() {
    let world = world().await;
    let listener =
        world.listener().on(undertone_tests::world::TOPIC, |_: undertone_runtime::Event| async { Ok(()) });
    let runtime = world.runtime(listener);
    let event = undertone_tests::world::event(undertone_tests::world::TOPIC, "dev/red");
    runtime.dispatch(&event, world.budget).await.unwrap();
    world.store.set_broken(Some("the disk is gone"));
    let error = runtime.dispatch(&event, world.budget).await.unwrap_err();
    assert_eq!((kind(&error), error.is_retryable()), ("Unavailable", true));
    world.store.set_broken(None);
    assert!(runtime.dispatch(&event, world.budget).await.is_ok());
}

#[tokio::test]
async fn a_refused_lookup_that_can_not_be_audited_is_unavailable() {
    let world = world().await;
    world.audit.set_broken(Some("the disk is full"));
    for (asked, want) in [("BLOCKED", "Unavailable"), ("UNDECLARED", "Unavailable"), ("MISSING", "NotFound")]
    {
        let error = world.within("dev/red", async move |event| event.secrets(asked).await.err()).await;
        assert_eq!(error.as_ref().map(kind), Some(want), "{asked}");
    }
}

#[tokio::test]
async fn a_name_is_asked_for_exactly_and_shown_escaped() {
    let world = World::new().await;
    world.set("dev", "SLACK_TOKEN", "the-value-of-the-token").await;
    for asked in [
        "slack_token",
        "SLACK_TOKEN ",
        "SLACK_TOKEN\n",
        " SLACK_TOKEN",
        "SLАCK_TOKEN",
        "SLACK_TOKEN\u{200b}",
        "",
    ] {
        let error = world.within("dev", async move |event| event.secrets(asked).await.err()).await.unwrap();
        assert_eq!(kind(&error), "NotDeclared", "{asked:?}");
        let said = error.to_string();
        assert!(!said.chars().any(undertone_core::is_hidden), "{said:?}");
    }
    assert!(world.within("dev", async |event| event.secrets("SLACK_TOKEN").await.is_ok()).await);
}

#[tokio::test]
async fn close_names_are_those_that_the_listener_declares() {
    let world = World::new().await;
    // In the store and not declared: nobody hears of it.
    let hidden = undertone_core::SecretValue::new(b"a-hidden-value".to_vec()).unwrap();
    let request = undertone_core::vault::SetRequest::new(name("SLACK_TOKEN_2"), hidden);
    world.vault.set(&scope("dev"), request).await.unwrap();
    world.set("dev", "SLACK_TOKEN", "the-value-of-the-token").await;
    world.declare("SLACK_TOKEN_1");
    let error = world.within("dev", async |event| event.secrets("SLACK_TOKEN_1").await.err()).await.unwrap();
    match &error {
        ResolveError::NotFound { close, .. } => assert_eq!(close, &[name("SLACK_TOKEN")]),
        other => panic!("{other}"),
    }
    assert!(!error.to_string().contains("SLACK_TOKEN_2"), "{error}");
}

#[tokio::test]
async fn the_space_wins_over_the_environment_and_the_handle_says_whose_it_is() {
    let world = World::new().await;
    world.set("dev", "BOTH", "of the environment").await;
    world.set("dev/red", "BOTH", "of the space").await;
    world.set("dev/red", "BOTH", "of the space, again").await;
    world.set("dev", "INHERITED", "of the environment").await;
    world.set("dev/blue", "EMPTY", "").await;
    world.set("dev", "EMPTY", "of the environment").await;
    world.set("dev", "LOCKED", "of the environment").await;
    world.set("dev/red", "LOCKED", "of the space").await;
    world.vault.lock(&scope("dev"), &name("LOCKED")).await.unwrap();
    for (at, asked, from, shown) in [
        ("dev/red", "BOTH", "dev/red", "Secret(BOTH v2)"),
        ("dev/blue", "BOTH", "dev", "Secret(BOTH v1)"),
        ("dev", "BOTH", "dev", "Secret(BOTH v1)"),
        ("dev/red", "INHERITED", "dev", "Secret(INHERITED v1)"),
        ("dev/blue", "EMPTY", "dev/blue", "Secret(EMPTY v1)"),
        ("dev/red", "LOCKED", "dev", "Secret(LOCKED v1)"),
    ] {
        let secret = world.within(at, async move |event| event.secrets(asked).await).await.unwrap();
        assert_eq!((secret.scope(), format!("{secret:?}")), (&scope(from), shown.to_owned()), "{at} {asked}");
    }
}

#[tokio::test]
async fn an_event_without_an_environment_has_no_secrets_and_says_so() {
    let world = world().await;
    let (give, given) = std::sync::mpsc::channel();
    let listener = world.listener().on(
        "test:run",
        undertone_tests::world::once(async move |event| {
            give.send(event.secrets("FINE").await.err())?;
            give.send(event.secrets("FINE").space("red").await.err())?;
            Ok(())
        }),
    );
    let event = serde_json::json!({"topic": "test:run", "context": {"spaceId": "red"}});
    world.dispatch(listener, &undertone_runtime::EventData::from_json(event).unwrap()).await;
    for _ in 0..2 {
        assert_eq!(given.recv().unwrap().as_ref().map(kind), Some("NoEnvironment"));
    }
}
