//! Namespaces: handlers that take the events of some tenants only.

use serde_json::{Value, json};
use undertone_runtime::{EventData, Listener};
use undertone_tests::world::{TOPIC, World};

use super::Diary;

#[tokio::test]
async fn a_namespace_takes_the_events_that_carry_a_matching_one() {
    let world = World::new().await;
    for (namespaces, want) in [
        (json!(["space:red"]), vec!["root", "red", "any space"]),
        (json!(["space:blue"]), vec!["root", "any space", "blue or green"]),
        (json!(["space:green", "workbook:x"]), vec!["root", "any space", "blue or green"]),
        (json!(["space:red", "zone:1"]), vec!["root", "red", "any space", "red and zone 1"]),
        (json!(["zone:1"]), vec!["root"]),
        (json!(["space"]), vec!["root"]),
        (json!(["SPACE:RED"]), vec!["root"]),
        (json!([]), vec!["root"]),
        (Value::Null, vec!["root"]),
    ] {
        let diary = Diary::default();
        let listener = Listener::new("tester")
            .on(TOPIC, diary.handler("root"))
            .namespace("space:red", |red| red.on(TOPIC, diary.handler("red")))
            .namespace("space:*", |space| space.on(TOPIC, diary.handler("any space")))
            .namespace(["space:blue", "space:green"], |space| space.on(TOPIC, diary.handler("blue or green")))
            .namespace("space:red", |red| {
                red.namespace("zone:1", |zone| zone.on(TOPIC, diary.handler("red and zone 1")))
            });
        let event = json!({"topic": TOPIC, "namespaces": namespaces});
        world.dispatch(listener, &EventData::from_json(event).unwrap()).await;
        let mut ended = diary.ended();
        ended.sort();
        let mut want: Vec<&str> = want;
        want.sort_unstable();
        assert_eq!(ended, want, "{namespaces}");
    }
}

#[tokio::test]
async fn a_listener_that_is_nested_in_a_namespace_is_bound_to_it() {
    let world = World::new().await;
    for (namespaces, want) in [
        (json!(["space:red", "zone:1"]), vec!["child", "child in zone 1"]),
        (json!(["space:red"]), vec!["child"]),
        (json!(["zone:1"]), vec![]),
    ] {
        let diary = Diary::default();
        let child = Listener::new("child")
            .on(TOPIC, diary.handler("child"))
            .namespace("zone:1", |zone| zone.on(TOPIC, diary.handler("child in zone 1")));
        let listener = Listener::new("tester").namespace("space:red", |red| red.nest(child));
        let event = json!({"topic": TOPIC, "namespaces": namespaces});
        world.dispatch(listener, &EventData::from_json(event).unwrap()).await;
        assert_eq!(diary.ended(), want, "{namespaces}");
    }
}
