//! The suite of the port [`AuditLog`].

use std::sync::Arc;

use futures_util::future::join_all;

use super::fixture::{name, scope, time};
use crate::audit::{Action, Actor, AuditEntry, AuditLog, Outcome, Verified};
use crate::wire::audit_body;

/// Runs every check, each on a fresh log.
pub async fn audit(make: &dyn Fn() -> Arc<dyn AuditLog>) {
    a_new_log_is_empty_and_intact(&*make()).await;
    rows_are_numbered_from_one_in_the_order_of_their_entries(&*make()).await;
    an_append_of_nothing_is_nothing(&*make()).await;
    rows_are_read_in_pages(&*make()).await;
    racing_appends_make_one_chain(&*make()).await;
    every_row_has_a_mac_of_its_own(&*make()).await;
}

fn entry(version: u64) -> AuditEntry {
    AuditEntry {
        at: time(6),
        actor: Actor::Operator("o'neil \"ä\" 🦀".into()),
        action: Action::Set,
        scope: Some(scope("dev/sp_1")),
        asked_in: None,
        name: Some(name("SLACK TOKEN")),
        version: Some(version),
        source_version: None,
        destination: None,
        reason: Some("because".to_owned()),
        outcome: Outcome::Failed("conflict".to_owned()),
    }
}

async fn bodies(log: &dyn AuditLog, after: u64, limit: usize) -> Vec<(u64, String)> {
    let rows = log.read(after, limit).await.expect("readable");
    rows.into_iter().map(|row| (row.sequence, row.body)).collect()
}

/// The rows with these numbers, where row n holds entry n.
fn expected(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    numbers.into_iter().map(|number| (number, audit_body(&entry(number)))).collect()
}

async fn a_new_log_is_empty_and_intact(log: &dyn AuditLog) {
    assert_eq!(log.last().await, Ok(0));
    assert_eq!(log.read(0, 10).await, Ok(Vec::new()));
    assert_eq!(log.verify().await, Ok(Verified::Intact { rows: 0 }));
}

async fn rows_are_numbered_from_one_in_the_order_of_their_entries(log: &dyn AuditLog) {
    for numbers in [vec![1], vec![2, 3, 4], vec![5]] {
        let last = numbers.last().copied();
        log.append(numbers.into_iter().map(entry).collect()).await.expect("writable");
        assert_eq!(log.last().await.ok(), last);
    }
    assert_eq!(bodies(log, 0, 10).await, expected(1..=5));
    assert_eq!(log.verify().await, Ok(Verified::Intact { rows: 5 }));
}

async fn an_append_of_nothing_is_nothing(log: &dyn AuditLog) {
    log.append(Vec::new()).await.expect("there is nothing to fail");
    assert_eq!(log.verify().await, Ok(Verified::Intact { rows: 0 }));
    log.append(vec![entry(1)]).await.expect("writable");
    log.append(Vec::new()).await.expect("there is nothing to fail");
    assert_eq!(bodies(log, 0, 10).await, expected([1]));
    assert_eq!(log.verify().await, Ok(Verified::Intact { rows: 1 }));
}

async fn rows_are_read_in_pages(log: &dyn AuditLog) {
    log.append((1..=7).map(entry).collect()).await.expect("writable");
    for (after, limit, numbers) in [
        (0, 3, vec![1, 2, 3]),
        (3, 3, vec![4, 5, 6]),
        (6, 3, vec![7]),
        (7, 3, vec![]),
        (u64::MAX, 3, vec![]),
        (0, 0, vec![]),
        (5, usize::MAX, vec![6, 7]),
    ] {
        assert_eq!(bodies(log, after, limit).await, expected(numbers), "{limit} after {after}");
    }
}

async fn racing_appends_make_one_chain(log: &dyn AuditLog) {
    let racing = (0..32).map(|writer| log.append(vec![entry(writer), entry(writer)]));
    assert!(join_all(racing).await.iter().all(Result::is_ok));
    assert_eq!(log.verify().await, Ok(Verified::Intact { rows: 64 }));
    let mut rows = bodies(log, 0, 100).await;
    let pairs: Vec<_> = rows.chunks(2).map(|pair| pair[0].1 == pair[1].1).collect();
    assert_eq!(pairs, [true; 32], "entries of one append stay together");
    rows.sort_by(|one, other| one.1.cmp(&other.1));
    rows.dedup_by(|one, other| one.1 == other.1);
    assert_eq!(rows.len(), 32, "and none is lost");
}

async fn every_row_has_a_mac_of_its_own(log: &dyn AuditLog) {
    log.append(vec![entry(1), entry(1), entry(1)]).await.expect("writable");
    let mut macs: Vec<[u8; 32]> =
        log.read(0, 10).await.expect("readable").into_iter().map(|row| row.mac).collect();
    macs.sort_unstable();
    macs.dedup();
    assert_eq!(macs.len(), 3, "equal entries are linked to different rows");
}
