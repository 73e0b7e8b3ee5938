//! The truth table: what the Environment says, what the Space says, and what follows.

use std::time::Duration;

use serde_json::{Value, json};
use undertone_core::resolve::{Explanation, Role, State};
use undertone_core::vault::{Spelling, VaultError};
use undertone_core::{StoreError, wire};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, HOST, value};

const ENVIRONMENT: &str = "live";
const SPACE: &str = "live/red";
const TOKEN: &str = "TOKEN";
const A: &str = "alpha-value";
const B: &str = "bravo-value";

/// What one scope was told about the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Nothing,
    Value(&'static str),
    Locked(&'static str),
    Blocked,
    BlockedLocked,
    Expired,
    ExpiredLocked,
    Disabled,
    DisabledLocked,
    Revoked,
    RevokedLocked,
    Unset,
    LockedThenUnset,
    Deleted,
    Destroyed,
}

#[tokio::test]
async fn the_truth_table_holds_and_is_explained_as_it_holds() {
    use Role::{Decides, Overridden, ShadowedByLock, Silent};
    let blocked = |at| Answer::Blocked(scope(at));
    let expired = |at| Answer::Expired(scope(at));
    let disabled = |at| Answer::Disabled(scope(at));
    let revoked = |at| Answer::Revoked(scope(at), 1);
    let rows = [
        (Says::Value(A), Says::Nothing, value(A, ENVIRONMENT), [Decides, Silent]),
        (Says::Value(A), Says::Value(B), value(B, SPACE), [Overridden, Decides]),
        (Says::Value(A), Says::Blocked, blocked(SPACE), [Overridden, Decides]),
        (Says::Locked(A), Says::Value(B), value(A, ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Nothing, Says::Value(B), value(B, SPACE), [Silent, Decides]),
        (Says::Blocked, Says::Value(B), value(B, SPACE), [Overridden, Decides]),
        (Says::BlockedLocked, Says::Value(B), blocked(ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Value(A), Says::Expired, expired(SPACE), [Overridden, Decides]),
        (Says::Value(A), Says::Disabled, disabled(SPACE), [Overridden, Decides]),
        (Says::Value(A), Says::Revoked, revoked(SPACE), [Overridden, Decides]),
        (Says::Value(A), Says::Value(""), value("", SPACE), [Overridden, Decides]),
        (Says::Value(""), Says::Nothing, value("", ENVIRONMENT), [Decides, Silent]),
        (Says::Nothing, Says::Nothing, Answer::NotFound, [Silent, Silent]),
        (Says::Blocked, Says::Nothing, blocked(ENVIRONMENT), [Decides, Silent]),
        (Says::Blocked, Says::Blocked, blocked(SPACE), [Overridden, Decides]),
        (Says::Expired, Says::Nothing, expired(ENVIRONMENT), [Decides, Silent]),
        (Says::Disabled, Says::Nothing, disabled(ENVIRONMENT), [Decides, Silent]),
        (Says::Revoked, Says::Nothing, revoked(ENVIRONMENT), [Decides, Silent]),
        (Says::Expired, Says::Value(B), value(B, SPACE), [Overridden, Decides]),
        (Says::Disabled, Says::Value(B), value(B, SPACE), [Overridden, Decides]),
        (Says::Revoked, Says::Value(B), value(B, SPACE), [Overridden, Decides]),
        (Says::ExpiredLocked, Says::Value(B), expired(ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::DisabledLocked, Says::Value(B), disabled(ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::RevokedLocked, Says::Value(B), revoked(ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Locked(A), Says::Nothing, value(A, ENVIRONMENT), [Decides, Silent]),
        (Says::Locked(A), Says::Blocked, value(A, ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Locked(A), Says::Expired, value(A, ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Locked(A), Says::Disabled, value(A, ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Locked(A), Says::Revoked, value(A, ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::Locked(""), Says::Value(B), value("", ENVIRONMENT), [Decides, ShadowedByLock]),
        (Says::LockedThenUnset, Says::Value(B), value(B, SPACE), [Silent, Decides]),
        (Says::Value(A), Says::Unset, value(A, ENVIRONMENT), [Decides, Silent]),
        (Says::Value(A), Says::Deleted, value(A, ENVIRONMENT), [Decides, Silent]),
        (Says::Value(A), Says::Destroyed, value(A, ENVIRONMENT), [Decides, Silent]),
        (Says::Unset, Says::Value(B), value(B, SPACE), [Silent, Decides]),
        (Says::Deleted, Says::Value(B), value(B, SPACE), [Silent, Decides]),
        (Says::Destroyed, Says::Value(B), value(B, SPACE), [Silent, Decides]),
        (Says::Unset, Says::Nothing, Answer::NotFound, [Silent, Silent]),
        (Says::Deleted, Says::Destroyed, Answer::NotFound, [Silent, Silent]),
    ];
    for (environment, space, want, roles) in rows {
        let case = format!("{environment:?} over {space:?}");
        let world = told(environment, space).await;
        let asker = Asker::new(&world, &[TOKEN]);
        assert_eq!(asker.ask(SPACE, TOKEN).await, want, "{case}");

        let explanation = world.vault.explain(&scope(SPACE), &name(TOKEN)).await.expect("the store is well");
        check_explanation(&explanation, [environment, space], &want, roles, &case);
        let listed = world.vault.list(&scope(SPACE)).await.expect("the store is well");
        let listed: Vec<Value> = listed.iter().map(wire::explanation).collect();
        let is_listed = roles.iter().any(|role| *role != Silent);
        assert_eq!(listed, is_listed.then(|| wire::explanation(&explanation)).as_slice(), "{case}");

        // A scope that can't be read may hold a lock, so nothing is an answer any more.
        world.store.set_broken(Some("the disk is gone"));
        assert_eq!(asker.ask(SPACE, TOKEN).await, Answer::Unavailable, "{case}, warm");
        let cold = Asker::new(&world, &[TOKEN]);
        assert_eq!(cold.ask(SPACE, TOKEN).await, Answer::Unavailable, "{case}, cold");
        let explained = world.vault.explain(&scope(SPACE), &name(TOKEN)).await.map(|_| ());
        let unavailable = VaultError::Store(StoreError::Unavailable("the disk is gone".to_owned()));
        assert_eq!(explained, Err(unavailable), "{case}");
    }
}

#[tokio::test]
async fn an_event_without_a_space_sees_its_environment_only() {
    for (environment, want) in [
        (Says::Nothing, Answer::NotFound),
        (Says::Value(A), value(A, ENVIRONMENT)),
        (Says::Locked(A), value(A, ENVIRONMENT)),
        (Says::Blocked, Answer::Blocked(scope(ENVIRONMENT))),
        (Says::Expired, Answer::Expired(scope(ENVIRONMENT))),
    ] {
        let world = told(environment, Says::Value(B)).await;
        let asker = Asker::new(&world, &[TOKEN]);
        for at in [ENVIRONMENT, "live/blue"] {
            assert_eq!(asker.ask(at, TOKEN).await, want, "{environment:?} at {at}");
        }
        for elsewhere in ["dev", "dev/red"] {
            assert_eq!(asker.ask(elsewhere, TOKEN).await, Answer::NotFound, "{elsewhere}");
        }
    }
}

#[tokio::test]
async fn a_lock_that_is_opened_lets_the_space_win_again() {
    let world = told(Says::Locked(A), Says::Value(B)).await;
    let asker = Asker::new(&world, &[TOKEN]);
    assert_eq!(asker.ask(SPACE, TOKEN).await, value(A, ENVIRONMENT));
    world.vault.unlock(&scope(ENVIRONMENT), &name(TOKEN)).await.expect("it is locked");
    assert_eq!(asker.ask(SPACE, TOKEN).await, value(B, SPACE));
    let refused = world.vault.lock(&scope(SPACE), &name(TOKEN)).await.map(|_| ());
    assert_eq!(refused, Err(VaultError::NotLockable(scope(SPACE))));
}

#[tokio::test]
async fn an_explanation_is_this_json_and_this_text() {
    let world = World::new().await;
    world.set_with(ENVIRONMENT, TOKEN, A, hosts(&["*.slack.com", HOST])).await;
    world.set_with(SPACE, TOKEN, B, hosts(&[HOST])).await;
    let explanation = world.vault.explain(&scope(SPACE), &name(TOKEN)).await.expect("the store is well");
    let rules = |hosts: &[&str]| json!({ "hosts": hosts, "methods": null, "sinks": null, "reveal": false });
    let wide = rules(&[HOST, "*.slack.com"]);
    assert_eq!(
        wire::explanation(&explanation),
        json!({
            "name": "TOKEN",
            "scope": { "environment": "live", "space": "red" },
            "result": "value",
            "winner": { "scope": { "environment": "live", "space": "red" }, "version": 1 },
            "all_of": [wide, rules(&[HOST])],
            "layers": [
                {
                    "scope": { "environment": "live", "space": null },
                    "state": "value", "role": "overridden", "reason": "a nearer scope has a row",
                    "version": 1, "locked": false, "expires_at": null, "rules": wide,
                },
                {
                    "scope": { "environment": "live", "space": "red" },
                    "state": "value", "role": "decides", "reason": "the nearest row decides",
                    "version": 1, "locked": false, "expires_at": null, "rules": rules(&[HOST]),
                },
            ],
        })
    );
    assert_eq!(
        explanation.to_string(),
        "`TOKEN`: version 1 of Space live/red wins.\n  \
         Environment live: value v1, overridden (a nearer scope has a row)\n  \
         Space live/red: value v1, decides (the nearest row decides)\n"
    );
}

/// A world in which both scopes were told something.
async fn told(environment: Says, space: Says) -> World {
    let world = World::new().await;
    tell(&world, ENVIRONMENT, environment).await;
    tell(&world, SPACE, space).await;
    // What was to expire has.
    world.clock.forward(Duration::from_secs(120));
    world
}

async fn tell(world: &World, at: &str, says: Says) {
    let (vault, scope, name) = (&world.vault, scope(at), name(TOKEN));
    let set = |value: &'static str| world.set_with(at, TOKEN, value, hosts(&[HOST]));
    let done = match says {
        Says::Nothing => return,
        Says::Value(value) => return set(value).await,
        Says::Expired | Says::ExpiredLocked => {
            return {
                world.set_until(at, TOKEN, A, Duration::from_secs(60)).await;
                lock_if(world, at, says == Says::ExpiredLocked).await;
            };
        }
        Says::Blocked | Says::BlockedLocked => vault.block(&scope, &name, Spelling::Canonical).await,
        Says::Locked(value) => {
            set(value).await;
            vault.lock(&scope, &name).await
        }
        Says::Disabled | Says::DisabledLocked => {
            set(A).await;
            vault.disable(&scope, &name).await
        }
        Says::Revoked | Says::RevokedLocked => {
            set(A).await;
            vault.revoke(&scope, &name, 1).await
        }
        Says::Unset => {
            set(A).await;
            vault.unset(&scope, &name).await
        }
        Says::LockedThenUnset => {
            set(A).await;
            lock_if(world, at, true).await;
            vault.unset(&scope, &name).await
        }
        Says::Deleted => {
            set(A).await;
            vault.delete(&scope, &name).await
        }
        Says::Destroyed => {
            set(A).await;
            vault.destroy(&scope, &name).await
        }
    };
    done.expect("the row is there");
    lock_if(world, at, says.is_locked()).await;
}

async fn lock_if(world: &World, at: &str, locked: bool) {
    if locked {
        world.vault.lock(&scope(at), &name(TOKEN)).await.expect("an Environment's row can be locked");
    }
}

impl Says {
    fn is_locked(self) -> bool {
        use Says::{BlockedLocked, DisabledLocked, ExpiredLocked, Locked, RevokedLocked};
        matches!(self, Locked(_) | BlockedLocked | DisabledLocked | ExpiredLocked | RevokedLocked)
    }

    fn state(self) -> State {
        match self {
            Says::Nothing | Says::Unset | Says::LockedThenUnset | Says::Deleted | Says::Destroyed => {
                State::Absent
            }
            Says::Value(_) | Says::Locked(_) => State::Value,
            Says::Blocked | Says::BlockedLocked => State::Blocked,
            Says::Expired | Says::ExpiredLocked => State::Expired,
            Says::Disabled | Says::DisabledLocked => State::Disabled,
            Says::Revoked | Says::RevokedLocked => State::Revoked,
        }
    }
}

/// The explanation says what the resolver answered, and why, without any value.
fn check_explanation(
    explanation: &Explanation,
    says: [Says; 2],
    answer: &Answer,
    roles: [Role; 2],
    case: &str,
) {
    let (result, winner) = match answer {
        Answer::Value { scope, version, .. } => (State::Value, Some((scope, *version))),
        Answer::Blocked(scope) => (State::Blocked, Some((scope, 1))),
        Answer::Expired(scope) => (State::Expired, Some((scope, 1))),
        Answer::Disabled(scope) => (State::Disabled, Some((scope, 1))),
        Answer::Revoked(scope, version) => (State::Revoked, Some((scope, *version))),
        Answer::NotFound => (State::Absent, None),
        Answer::NotDeclared
        | Answer::Unreadable(_)
        | Answer::Unavailable
        | Answer::Denied(_)
        | Answer::HostRefused => {
            panic!("{case}: not in the table")
        }
    };
    assert_eq!(explanation.result, result, "{case}");
    assert_eq!(explanation.winner.as_ref().map(|(scope, version)| (scope, *version)), winner, "{case}");
    assert_eq!(explanation.layers.len(), 2, "{case}");
    let json = wire::explanation(explanation);
    assert_eq!(json["name"], TOKEN);
    assert_eq!(json["scope"], json!({ "environment": "live", "space": "red" }), "{case}");
    assert_eq!(json["result"], result.as_str(), "{case}");
    let winner = winner.map(|(at, version)| json!({ "scope": wire::scope(at), "version": version }));
    assert_eq!(json["winner"], json!(winner), "{case}");
    for (index, at) in [ENVIRONMENT, SPACE].into_iter().enumerate() {
        let (layer, says) = (&json["layers"][index], says[index]);
        let state = says.state();
        assert_eq!(layer["scope"], wire::scope(&scope(at)), "{case}");
        assert_eq!(layer["state"], state.as_str(), "{case}");
        assert_eq!(layer["role"], roles[index].as_str(), "{case}");
        assert_eq!(layer["locked"], says.is_locked(), "{case}");
        assert_eq!(layer["version"], json!((state != State::Absent).then_some(1)), "{case}");
        assert_eq!(layer["expires_at"].is_string(), state == State::Expired, "{case}");
    }
    let shown = format!("{json} {explanation} {explanation:?}");
    assert!(!shown.contains(A) && !shown.contains(B), "{case}: {shown}");
}
