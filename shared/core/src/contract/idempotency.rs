//! The suite of the port [`Idempotency`].

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::fixture::time;
use crate::idempotency::{ClaimId, Claimed, Idempotency, IdempotencyKey};

/// Runs every check, each on fresh claims.
pub async fn idempotency(make: &dyn Fn() -> Arc<dyn Idempotency>) {
    an_event_is_handled_once_and_answered_the_same(&*make()).await;
    a_claim_lapses_and_its_holder_loses_it(&*make()).await;
    what_was_given_up_is_handled_again(&*make()).await;
    an_answer_is_forgotten_when_its_time_is_over(&*make()).await;
    agents_and_events_are_told_apart(&*make()).await;
    another_event_under_the_same_id_is_told_from_the_first(&*make()).await;
    of_sixteen_racing_claims_one_wins(&*make()).await;
}

const NOW: i64 = 2_000_000_000;

fn at(seconds: i64) -> Timestamp {
    time(NOW + seconds)
}

fn key(agent: &str, event: &str) -> IdempotencyKey {
    let agent = agent.parse().expect("the suites' ids are ids");
    IdempotencyKey { agent, event: event.to_owned(), digest: [7; 32] }
}

async fn claim(claims: &dyn Idempotency, key: &IdempotencyKey, now: i64, until: i64) -> (ClaimId, Claimed) {
    let id = ClaimId::random();
    (id, claims.claim(key, id, at(now), at(until)).await.expect("it works"))
}

async fn an_event_is_handled_once_and_answered_the_same(claims: &dyn Idempotency) {
    let key = key("agent", "ev 1 \"ä\" 🦀");
    let (id, first) = claim(claims, &key, 0, 30).await;
    assert_eq!(first, Claimed::Yours);
    assert_eq!(claim(claims, &key, 1, 31).await.1, Claimed::Taken { until: at(30) });
    claims.finish(&key, id, "{\"ok\":true}", at(1_000)).await.expect("it works");
    for now in [2, 31, 999] {
        assert_eq!(claim(claims, &key, now, now + 30).await.1, Claimed::Done("{\"ok\":true}".to_owned()));
    }
}

async fn a_claim_lapses_and_its_holder_loses_it(claims: &dyn Idempotency) {
    let key = key("agent", "ev");
    let (late, _) = claim(claims, &key, 0, 30).await;
    let (next, taken) = claim(claims, &key, 30, 60).await;
    assert_eq!(taken, Claimed::Yours);
    claims.finish(&key, late, "late", at(1_000)).await.expect("it is left to the next");
    claims.give_up(&key, late).await.expect("it is left to the next");
    assert_eq!(claim(claims, &key, 31, 61).await.1, Claimed::Taken { until: at(60) });
    claims.finish(&key, next, "next", at(1_000)).await.expect("it works");
    assert_eq!(claim(claims, &key, 32, 62).await.1, Claimed::Done("next".to_owned()));
}

async fn what_was_given_up_is_handled_again(claims: &dyn Idempotency) {
    let key = key("agent", "ev");
    let (id, _) = claim(claims, &key, 0, 30).await;
    claims.give_up(&key, id).await.expect("it works");
    claims.finish(&key, id, "late", at(100)).await.expect("it is left to the next");
    let (id, again) = claim(claims, &key, 1, 31).await;
    assert_eq!(again, Claimed::Yours);
    claims.finish(&key, id, "done", at(100)).await.expect("it works");
    claims.give_up(&key, id).await.expect("a finished claim is none");
    assert_eq!(claim(claims, &key, 2, 32).await.1, Claimed::Done("done".to_owned()));
}

async fn an_answer_is_forgotten_when_its_time_is_over(claims: &dyn Idempotency) {
    let key = key("agent", "ev");
    let (id, _) = claim(claims, &key, 0, 30).await;
    claims.finish(&key, id, "done", at(100)).await.expect("it works");
    assert_eq!(claim(claims, &key, 100, 130).await.1, Claimed::Yours);
}

async fn agents_and_events_are_told_apart(claims: &dyn Idempotency) {
    for key in [key("a", "b"), key("a", "c"), key("b", "b"), key("a.b", ""), key("a", "b#c"), key("a", "")] {
        assert_eq!(claim(claims, &key, 0, 30).await.1, Claimed::Yours, "{key:?}");
    }
}

async fn another_event_under_the_same_id_is_told_from_the_first(claims: &dyn Idempotency) {
    let first = key("agent", "ev");
    let other = IdempotencyKey { digest: [8; 32], ..first.clone() };
    let (id, _) = claim(claims, &first, 0, 30).await;
    assert_eq!(claim(claims, &other, 1, 31).await.1, Claimed::OtherEvent);
    claims.finish(&first, id, "first", at(100)).await.expect("it works");
    assert_eq!(claim(claims, &other, 2, 32).await.1, Claimed::OtherEvent);
    assert_eq!(claim(claims, &other, 100, 130).await.1, Claimed::Yours);
}

async fn of_sixteen_racing_claims_one_wins(claims: &dyn Idempotency) {
    let key = key("agent", "ev");
    let racing = join_all((0..16).map(|_| claim(claims, &key, 0, 30))).await;
    let won = racing.iter().filter(|(_, claimed)| *claimed == Claimed::Yours).count();
    assert_eq!(won, 1);
    let lost = racing.iter().filter(|(_, claimed)| *claimed == Claimed::Taken { until: at(30) }).count();
    assert_eq!(lost, 15, "{racing:?}");
}
