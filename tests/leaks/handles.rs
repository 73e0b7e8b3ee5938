//! A handle shows its name; its value is read only where every row says so, and on record.

use std::sync::Arc;

use undertone_core::{ResolveError, Reveal, Rules, UseError};
use undertone_tests::encodings::{CANARY, assert_clean};
use undertone_tests::world::{World, hosts, name, scope};

use super::{readable, world};

#[tokio::test]
async fn a_handle_shows_its_name_and_version_and_nothing_of_its_value() {
    let world = World::new().await;
    for version in 1..=7 {
        world.set("dev", "SLACK_TOKEN", format!("{CANARY}{version}")).await;
    }
    let secret = world.within("dev", async |event| event.secrets("SLACK_TOKEN").await).await.unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(SLACK_TOKEN v7)");
    assert_eq!(format!("{:?}", Some(&secret)), "Some(Secret(SLACK_TOKEN v7))");
    assert_clean(format!("{secret:#?}").as_bytes(), CANARY);
}

#[tokio::test]
async fn a_value_is_read_only_where_every_row_of_its_name_allows_it() {
    let refused = Rules::default;
    for (environment, space, allowed) in [
        (None, Some(readable()), true),
        (Some(readable()), None, true),
        (Some(readable()), Some(readable()), true),
        (None, Some(refused()), false),
        (Some(refused()), None, false),
        (Some(refused()), Some(readable()), false),
        (Some(readable()), Some(refused()), false),
        (None, Some(hosts(&["slack.com"])), false),
        (None, Some(Rules { reveal: Reveal::Allowed, ..hosts(&["slack.com"]) }), true),
    ] {
        let world = World::new().await;
        for (at, rules) in [("dev", environment.clone()), ("dev/red", space.clone())] {
            if let Some(rules) = rules {
                world.set_with(at, "TOKEN", CANARY, rules).await;
            }
        }
        let read = world
            .within("dev/red", async |event| {
                let token = event.secrets("TOKEN").await.unwrap();
                token.reveal("to sign\na form").await.map(|value| value.expose().to_vec())
            })
            .await;
        let what = format!("{environment:?} {space:?}");
        match allowed {
            true => assert_eq!(read, Ok(CANARY.as_bytes().to_vec()), "{what}"),
            false => assert_eq!(read, Err(UseError::RevealNotAllowed { name: name("TOKEN") }), "{what}"),
        }
        let row = if allowed { "allowed" } else { "refused reveal" };
        assert_eq!(world.rows_in_short().await, [format!("secret.reveal TOKEN {row}")], "{what}");
        assert_eq!(world.rows().await[0]["reason"], r"to sign\na form", "{what}");
    }
}

#[tokio::test]
async fn a_value_is_not_read_when_that_can_not_be_recorded_or_the_handle_is_no_longer_valid() {
    for what in ["audit", "revoked", "disabled"] {
        let world = Arc::new(world().await);
        let operator = world.clone();
        let error = world
            .within("dev/red", async move |event| {
                let token = event.secrets("TOKEN").await.unwrap();
                assert!(token.reveal("before").await.is_ok());
                match what {
                    "audit" => operator.audit.set_broken(Some("the disk is full")),
                    "revoked" => drop(operator.vault.revoke(&scope("dev"), &name("TOKEN"), 1).await.unwrap()),
                    _ => drop(operator.vault.disable(&scope("dev"), &name("TOKEN")).await.unwrap()),
                }
                token.reveal("after").await.err()
            })
            .await;
        match (what, error) {
            ("audit", Some(UseError::Audit(_)))
            | ("revoked", Some(UseError::Resolve(ResolveError::Revoked { .. })))
            | ("disabled", Some(UseError::Resolve(ResolveError::Disabled { .. }))) => {}
            other => panic!("{other:?}"),
        }
    }
}
