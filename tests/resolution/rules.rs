//! Rules of use intersect along a chain: every row of the name must allow a use.

use undertone_core::vault::Spelling;
use undertone_core::{Reveal, Rules, UseError};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, send};

type Hosts = Option<&'static [&'static str]>;

const ASKED: [&str; 3] = ["slack.com", "api.slack.com", "evil.example"];

#[tokio::test]
async fn a_use_needs_the_leave_of_every_row_above_and_of_the_agent() {
    const ONE: Hosts = Some(&["slack.com"]);
    const SUB: Hosts = Some(&["*.slack.com"]);
    const BOTH: Hosts = Some(&["slack.com", "*.slack.com"]);
    const EVIL: Hosts = Some(&["evil.example"]);
    const NONE: Hosts = Some(&[]);
    // Environment, Space, agent: which of the three hosts may have it.
    let rows: [(Hosts, Hosts, Hosts, &[&str]); 12] = [
        (None, None, None, &[]),
        (None, BOTH, None, &["slack.com", "api.slack.com"]),
        (BOTH, None, None, &["slack.com", "api.slack.com"]),
        (BOTH, ONE, None, &["slack.com"]),
        (ONE, BOTH, None, &["slack.com"]),
        (ONE, EVIL, None, &[]),
        (ONE, SUB, None, &[]),
        (NONE, BOTH, None, &[]),
        (BOTH, BOTH, SUB, &["api.slack.com"]),
        (BOTH, None, EVIL, &[]),
        // What an agent declares narrows the owners' rules and stands in for none.
        (None, None, ONE, &[]),
        (BOTH, BOTH, BOTH, &["slack.com", "api.slack.com"]),
    ];
    for (environment, space, agent, want) in rows {
        let world = World::new().await;
        world.set_with("live", "TOKEN", "a-value", named(environment)).await;
        world.set_with("live/red", "TOKEN", "b-value", named(space)).await;
        let asker = Asker::limited(&world, world.store.clone(), world.keys.clone(), &[("TOKEN", agent)]);
        let handle = asker.handle("live/red", "TOKEN").await.expect("the Space has a value");
        for host in ASKED {
            let left = matches!(send(&handle, host).await, Answer::Value { .. });
            assert_eq!(left, want.contains(&host), "{environment:?} {space:?} {agent:?} {host}");
        }
    }
}

#[tokio::test]
async fn in_a_development_environment_a_use_needs_no_host_rule_but_keeps_to_those_there_are() {
    const ONE: Hosts = Some(&["slack.com"]);
    let rows: [(Hosts, Hosts, &[&str]); 4] = [
        (None, None, &ASKED),
        (ONE, None, &["slack.com"]),
        (None, ONE, &["slack.com"]),
        (ONE, Some(&["evil.example"]), &[]),
    ];
    for (owner, agent, want) in rows {
        let world = World::new().await;
        world.set_with("dev", "TOKEN", "a-value", named(owner)).await;
        let asker = Asker::limited(&world, world.store.clone(), world.keys.clone(), &[("TOKEN", agent)]);
        let handle = asker.handle("dev/red", "TOKEN").await.expect("the Environment has a value");
        for host in ASKED {
            let left = matches!(send(&handle, host).await, Answer::Value { .. });
            assert_eq!(left, want.contains(&host), "{owner:?} {agent:?} {host}");
        }
    }
}

/// A row that lost still limits the row that won; one that is taken out, or blocks, has no rules.
#[tokio::test]
async fn a_row_above_limits_whatever_its_own_state() {
    #[derive(Debug)]
    enum Above {
        Disabled,
        Revoked,
        Expired,
        Unset,
        Blocked,
    }
    for (above, want) in [
        (Above::Disabled, false),
        (Above::Revoked, false),
        (Above::Expired, false),
        (Above::Unset, true),
        (Above::Blocked, true),
    ] {
        let world = World::new().await;
        let (live, token) = (scope("live"), name("TOKEN"));
        world.set_with("live", "TOKEN", "a-value", hosts(&["slack.com"])).await;
        world.set_with("live/red", "TOKEN", "b-value", hosts(&["evil.example"])).await;
        let done = match above {
            Above::Disabled => world.vault.disable(&live, &token).await,
            Above::Revoked => world.vault.revoke(&live, &token, 1).await,
            Above::Unset => world.vault.unset(&live, &token).await,
            Above::Blocked => world.vault.block(&live, &token, Spelling::Canonical).await,
            Above::Expired => {
                let request = undertone_core::vault::SetRequest {
                    rules: hosts(&["slack.com"]),
                    expires_at: Some(
                        undertone_core::Clock::now(&*world.clock) + std::time::Duration::from_secs(9),
                    ),
                    ..undertone_core::vault::SetRequest::new(token, secret_value())
                };
                world.vault.set(&live, request).await
            }
        };
        done.expect("the row is there");
        world.clock.forward(std::time::Duration::from_secs(10));
        let handle = Asker::new(&world, &["TOKEN"]).handle("live/red", "TOKEN").await.expect("a value");
        let left = matches!(send(&handle, "evil.example").await, Answer::Value { .. });
        assert_eq!(left, want, "{above:?}");
    }
}

#[tokio::test]
async fn a_locked_row_is_bound_by_its_own_rules_only() {
    let world = World::new().await;
    world.set_with("live", "TOKEN", "a-value", hosts(&["slack.com"])).await;
    world.vault.lock(&scope("live"), &name("TOKEN")).await.expect("the row is there");
    world.set_with("live/red", "TOKEN", "b-value", hosts(&["evil.example"])).await;
    let handle = Asker::new(&world, &["TOKEN"]).handle("live/red", "TOKEN").await.expect("a value");
    assert_eq!(send(&handle, "slack.com").await, crate::lookup::value("a-value", "live"));
    assert_eq!(send(&handle, "evil.example").await, Answer::HostRefused);
}

#[tokio::test]
async fn a_value_is_revealed_only_if_every_row_and_the_agent_allow_it() {
    for (environment, space, agent, want) in [
        (Reveal::Allowed, Reveal::Allowed, None, true),
        (Reveal::Allowed, Reveal::Refused, None, false),
        (Reveal::Refused, Reveal::Allowed, None, false),
        (Reveal::Refused, Reveal::Refused, None, false),
    ] {
        let world = World::new().await;
        let rules = |reveal| Rules { reveal, ..Rules::default() };
        world.set_with("live", "TOKEN", "a-value", rules(environment)).await;
        world.set_with("live/red", "TOKEN", "b-value", rules(space)).await;
        let asker = Asker::limited(&world, world.store.clone(), world.keys.clone(), &[("TOKEN", agent)]);
        let handle = asker.handle("live/red", "TOKEN").await.expect("the Space has a value");
        let revealed = handle.reveal("a test looks at it").await;
        match (revealed, want) {
            (Ok(value), true) => assert_eq!(value.expose(), b"b-value"),
            (Err(UseError::RevealNotAllowed { .. }), false) => {}
            (other, _) => panic!("{environment:?} {space:?}: {:?}", other.map(|_| "a value")),
        }
    }
}

fn named(names: Hosts) -> Rules {
    names.map_or_else(Rules::default, hosts)
}

fn secret_value() -> undertone_core::SecretValue {
    undertone_core::SecretValue::new(b"a-value".to_vec()).expect("it is short")
}
