//! Lookups in other Environments and Spaces: refused unless an operator granted that scope.

use undertone_core::Secret;
use undertone_runtime::{Event, EventData};
use undertone_tests::encodings::CANARY;
use undertone_tests::servers::{Answer, Server};
use undertone_tests::world::{World, once, scope};

use super::secrets::kind;

/// Asks from `dev/red`.
async fn ask(
    world: &World,
    environment: Option<&'static str>,
    space: Option<&'static str>,
    name: &'static str,
) -> Result<Secret, undertone_core::ResolveError> {
    world.within("dev/red", async move |event| look_up(&event, environment, space, name).await).await
}

async fn look_up(
    event: &Event,
    environment: Option<&'static str>,
    space: Option<&'static str>,
    name: &'static str,
) -> Result<Secret, undertone_core::ResolveError> {
    let lookup = event.secrets(name);
    let lookup = environment.into_iter().fold(lookup, |lookup, id| lookup.environment(id));
    space.into_iter().fold(lookup, |lookup, id| lookup.space(id)).await
}

async fn world() -> World {
    let world = World::new().await;
    for at in ["dev", "dev/red", "dev/blue", "live", "live/blue"] {
        world.set(at, "TOKEN", format!("the token of {at}")).await;
    }
    world.declare("MISSING");
    world
}

#[tokio::test]
async fn another_scope_is_refused_and_audited_and_nothing_says_whether_it_exists() {
    let world = world().await;
    let mut said = Vec::new();
    for (environment, space) in [
        (None, Some("blue")),
        (None, Some("nobody")),
        (None, Some("../red")),
        (None, Some("")),
        (Some("dev"), None),
        (Some("dev"), Some("blue")),
        (Some("live"), None),
        (Some("live"), Some("blue")),
        (Some("live"), Some("nobody")),
        (Some("nowhere"), None),
        (Some("nowhere"), Some("blue")),
        (Some("../live"), None),
        (Some("live"), Some("../blue")),
        (Some(""), Some("")),
    ] {
        for name in ["TOKEN", "MISSING", "UNDECLARED"] {
            let before = (world.store.reads(), world.rows().await.len());
            let error = ask(&world, environment, space, name).await.unwrap_err();
            let what = format!("{environment:?} {space:?} {name}");
            assert_eq!(kind(&error), "Forbidden", "{what}");
            let rows = world.rows_in_short().await.split_off(before.1);
            assert_eq!(rows, [format!("secret.resolve {name} refused forbidden")], "{what}");
            // At most the event's own chain was read.
            assert!(world.store.reads() - before.0 <= 1, "{what}");
            let id = |text: String, id: Option<&str>| match id {
                Some(id) if !id.is_empty() => text.replace(id, "ID"),
                _ => text,
            };
            said.push((environment, space, id(id(error.to_string(), space), environment)));
        }
    }
    let texts = |exists: Option<&str>| -> Vec<&String> {
        said.iter().filter(|(e, s, _)| e.is_none() && *s == exists).map(|(_, _, text)| text).collect()
    };
    assert_eq!(texts(Some("blue")), texts(Some("nobody")), "the same words");
}

#[tokio::test]
async fn a_granted_scope_and_no_other_is_open() {
    let mut world = world().await;
    world.granted.push(scope("dev/blue"));
    for (environment, space, want) in [
        (None, Some("blue"), Ok("dev/blue")),
        (Some("dev"), Some("blue"), Ok("dev/blue")),
        // One's own scope needs no grant.
        (None, Some("red"), Ok("dev/red")),
        (Some("dev"), Some("red"), Ok("dev/red")),
        (Some("dev"), None, Err("Forbidden")),
        (Some("live"), Some("blue"), Err("Forbidden")),
        (Some("live"), None, Err("Forbidden")),
        (None, Some("green"), Err("Forbidden")),
    ] {
        let found = ask(&world, environment, space, "TOKEN").await;
        let found = found.map(|secret| secret.scope().clone()).map_err(|error| kind(&error));
        assert_eq!(found, want.map(scope), "{environment:?} {space:?}");
    }
}

#[tokio::test]
async fn a_granted_environment_is_open_and_its_spaces_are_not() {
    let mut world = world().await;
    world.granted.push(scope("live"));
    for (environment, space, want) in [
        (Some("live"), None, Ok("live")),
        (Some("live"), Some("blue"), Err("Forbidden")),
        (Some("dev"), None, Err("Forbidden")),
        (None, Some("blue"), Err("Forbidden")),
    ] {
        let found = ask(&world, environment, space, "TOKEN").await;
        let found = found.map(|secret| secret.scope().clone()).map_err(|error| kind(&error));
        assert_eq!(found, want.map(scope), "{environment:?} {space:?}");
    }
}

#[tokio::test]
async fn a_grant_opens_a_scope_and_no_name_that_is_not_declared() {
    let mut world = world().await;
    world.granted.extend([scope("dev/blue"), scope("dev/nobody")]);
    for (space, name, want) in [
        ("blue", "UNDECLARED", "NotDeclared"),
        ("blue", "MISSING", "NotFound"),
        ("nobody", "TOKEN", "UnknownScope"),
    ] {
        let error = ask(&world, None, Some(space), name).await.unwrap_err();
        assert_eq!(kind(&error), want, "{space} {name}");
    }
    let optional =
        world.within("dev/red", async |event| event.secrets("MISSING").space("blue").optional().await).await;
    assert!(matches!(optional, Ok(None)));
    let optional = world
        .within("dev/red", async |event| event.secrets("TOKEN").space("green").optional().await.err())
        .await;
    assert_eq!(optional.as_ref().map(kind), Some("Forbidden"));
}

#[tokio::test]
async fn the_value_of_the_granted_scope_is_what_is_sent() {
    let server = Server::plain(|_| Answer::status(200)).await;
    let mut world = world().await;
    world.granted.push(scope("dev/blue"));
    let url = server.url("/");
    world
        .within("dev/red", async move |event| {
            let other = event.secrets("TOKEN").space("blue").await.unwrap();
            event.http().post(&url).bearer(&other).send().await.unwrap();
        })
        .await;
    assert_eq!(server.request().header("authorization"), Some(&b"Bearer the token of dev/blue"[..]));
    assert_eq!(world.rows().await[0]["scope"]["space"], "blue");
}

#[tokio::test]
async fn a_secret_of_a_standard_environment_is_bound_by_its_own_rules_in_a_development_event() {
    let server = Server::plain(|_| Answer::status(200)).await;
    let mut world = world().await;
    world.set("live", "TOKEN", CANARY).await;
    world.granted.push(scope("live"));
    for url in [server.url("/"), "https://api.example.com/".to_owned()] {
        let result = world
            .within("dev/red", async move |event| {
                let live = event.secrets("TOKEN").environment("live").await.unwrap();
                event.http().post(&url).bearer(&live).send().await
            })
            .await;
        assert!(matches!(result.err(), Some(undertone_runtime::EgressError::Secret(_))));
    }
    assert_eq!(server.connections(), 0);
    let rows = world.rows_in_short().await;
    assert_eq!(rows, ["secret.use TOKEN refused plain_http", "secret.use TOKEN refused no_host_rule"]);
}

#[tokio::test]
async fn an_event_without_an_environment_can_use_a_granted_one_and_is_held_to_the_standard() {
    let server = Server::plain(|_| Answer::status(200)).await;
    let mut world = world().await;
    world.granted.push(scope("dev"));
    let url = server.url("/");
    let (give, given) = std::sync::mpsc::channel();
    let listener = world.listener().on(
        "test:run",
        once(async move |event: Event| {
            let token = event.secrets("TOKEN").environment("dev").await?;
            give.send((format!("{token:?}"), event.http().post(&url).bearer(&token).send().await.err()))?;
            Ok(())
        }),
    );
    let event = EventData::from_json(serde_json::json!({"topic": "test:run"})).unwrap();
    world.dispatch(listener, &event).await;
    let (shown, error) = given.recv().unwrap();
    assert_eq!(shown, "Secret(TOKEN v1)");
    assert!(matches!(error, Some(undertone_runtime::EgressError::PlainHttp { .. })), "{error:?}");
    assert_eq!(server.connections(), 0);
}
