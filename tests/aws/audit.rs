//! Audit by many writers, in DynamoDB and in a log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use jiff::Timestamp;
use undertone_aws::{Connection, DynamoAudit, LogAudit, StoreKey, verify_lines};
use undertone_core::audit::{Action, Actor, AuditEntry, Outcome, Verified};
use undertone_core::memory::MemoryKeys;
use undertone_core::{AuditLog, KeyError, contract};
use undertone_tests::emulators::{Ministack, Moto};
use undertone_tests::fault_proxy::{Fault, FaultProxy};

use crate::cloud::{connection, new_table, store_key};

/// A table in an emulator, with the store key of all who write there.
struct World {
    connection: Arc<Connection>,
    table: String,
    keys: Arc<MemoryKeys>,
    store_key: Arc<StoreKey>,
}

impl World {
    async fn at(url: &str) -> Self {
        let connection = connection(url);
        let table = new_table(&connection).await;
        let keys = Arc::new(MemoryKeys::default());
        let store_key = store_key(&keys).await;
        Self { connection, table, keys, store_key }
    }

    fn log(&self) -> DynamoAudit {
        self.log_by(&self.connection)
    }

    fn log_by(&self, connection: &Connection) -> DynamoAudit {
        DynamoAudit::new(connection.dynamodb(), &self.table, self.store_key.clone())
    }

    /// Every item as pk, sk, and whatever else.
    async fn items(&self) -> Vec<(String, String)> {
        let items = self.connection.dynamodb().scan().table_name(&self.table).send().await.unwrap();
        let text = |value: &AttributeValue| value.as_s().unwrap().clone();
        let mut keys: Vec<_> =
            items.items().iter().map(|item| (text(&item["pk"]), text(&item["sk"]))).collect();
        keys.sort();
        keys
    }

    async fn delete(&self, pk: &str, sk: &str) {
        let delete = self.connection.dynamodb().delete_item().table_name(&self.table);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        delete.key("pk", text(pk)).key("sk", text(sk)).send().await.unwrap();
    }

    async fn copy(&self, from: (&str, &str), to: (&str, &str)) {
        let client = self.connection.dynamodb();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let get = client.get_item().table_name(&self.table).key("pk", text(from.0)).key("sk", text(from.1));
        let mut item = get.send().await.unwrap().item.unwrap();
        item.insert("pk".to_owned(), text(to.0));
        item.insert("sk".to_owned(), text(to.1));
        client.put_item().table_name(&self.table).set_item(Some(item)).send().await.unwrap();
    }
}

fn entry(second: i64, why: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp::new(second, 0).unwrap(),
        actor: Actor::Operator("tester".into()),
        action: Action::Set,
        scope: None,
        asked_in: None,
        name: None,
        version: None,
        source_version: None,
        destination: None,
        reason: Some(why.to_owned()),
        outcome: Outcome::Allowed,
    }
}

fn rows(n: u64) -> Verified {
    Verified::Intact { rows: n }
}

#[tokio::test]
async fn the_table_keeps_the_contract() {
    for url in [Moto::start().url(), Ministack::start().url()] {
        let world = World::at(url).await;
        contract::audit(&|| Arc::new(world.log())).await;
        let verified = world.log().verify_all().await.unwrap();
        assert!(verified.iter().all(|(_, verified)| matches!(verified, Verified::Intact { .. })));
        assert_eq!(verified.len(), 5, "who wrote nothing isn't listed");
    }
}

#[tokio::test]
async fn appends_that_wait_share_a_transaction() {
    let emulator = Ministack::start();
    let world = World::at(emulator.url()).await;
    let proxy = FaultProxy::before(emulator.url()).await;
    let log = world.log_by(&connection(&proxy.url()));
    log.append(vec![entry(1, "first")]).await.unwrap();
    let before = proxy.requests();
    let racing = (0..60).map(|n| log.append(vec![entry(n, "racing")]));
    assert!(join_all(racing).await.iter().all(Result::is_ok));
    let asked = proxy.requests() - before;
    assert!(asked <= 4, "{asked} transactions for 60 appends");
    assert_eq!(log.verify().await, Ok(rows(61)));
}

#[tokio::test]
async fn more_rows_than_a_transaction_takes_are_several() {
    let world = World::at(Ministack::start().url()).await;
    let log = world.log();
    log.append((0..250).map(|n| entry(n, "many")).collect()).await.unwrap();
    assert_eq!(log.verify().await, Ok(rows(250)));
    let long = "x".repeat(300_000);
    log.append((0..30).map(|n| entry(n, &long)).collect()).await.unwrap();
    assert_eq!(log.verify().await, Ok(rows(280)));
    let too_long = log.append(vec![entry(1, &"x".repeat(400_000))]).await;
    assert!(too_long.is_err(), "an item has a limit");
    assert_eq!(log.last().await, Ok(280));
}

#[tokio::test]
async fn each_writer_has_a_chain_and_people_see_them_all() {
    let world = World::at(Ministack::start().url()).await;
    let (one, other) = (world.log(), world.log());
    for n in 0..3 {
        one.append(vec![entry(10 * n + 1, "one")]).await.unwrap();
        other.append(vec![entry(10 * n + 2, "other")]).await.unwrap();
    }
    let reader = world.log();
    let segments = reader.segments().await.unwrap();
    let own = [one.own_segment().await.unwrap(), other.own_segment().await.unwrap()];
    assert_eq!(segments, own);
    let verified = reader.verify_all().await.unwrap();
    assert_eq!(verified, own.clone().map(|segment| (segment, rows(3))));
    let tail = reader.tail(4).await.unwrap();
    let seconds: Vec<i64> = tail.iter().map(|row| row.at.as_second()).collect();
    assert_eq!(seconds, [11, 12, 21, 22], "newest last, whoever wrote them");
    let some = reader.segment_rows(own[0].writer, 1, 1).await.unwrap();
    assert_eq!(some.iter().map(|row| row.sequence).collect::<Vec<_>>(), [2]);
    one.begin_anew().await;
    one.append(vec![entry(99, "a copy of the process")]).await.unwrap();
    assert_eq!(reader.segments().await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_edit_past_undertone_is_found() {
    let place = |n: u64| format!("{n:020}");
    type Edit = fn(&World, String, String) -> futures_util::future::BoxFuture<'_, ()>;
    let edits: [(&str, Edit); 6] = [
        ("a row is removed", |world, one, _| {
            Box::pin(async move { world.delete(&one, &format!("{:020}", 2)).await })
        }),
        ("the last row is removed", |world, one, _| {
            Box::pin(async move { world.delete(&one, &format!("{:020}", 3)).await })
        }),
        ("the seal is removed", |world, one, _| Box::pin(async move { world.delete(&one, "tip").await })),
        ("a row takes another's place", |world, one, _| {
            Box::pin(async move {
                world.copy((&one, &format!("{:020}", 3)), (&one, &format!("{:020}", 2))).await;
            })
        }),
        ("an older seal without its rows", |world, one, other| {
            Box::pin(async move { world.copy((&other, "tip"), (&one, "tip")).await })
        }),
        ("another writer's rows", |world, one, other| {
            Box::pin(async move {
                for sk in [1, 2, 3].map(|n| format!("{n:020}")).iter().map(String::as_str).chain(["tip"]) {
                    world.copy((&other, sk), (&one, sk)).await;
                }
            })
        }),
    ];
    for (what, edit) in edits {
        let world = World::at(Ministack::start().url()).await;
        let (one, other) = (world.log(), world.log());
        for n in 1..=3 {
            one.append(vec![entry(n, "same")]).await.unwrap();
            other.append(vec![entry(n, "same")]).await.unwrap();
        }
        assert_eq!(one.verify().await, Ok(rows(3)));
        let items = world.items().await;
        assert!(items.iter().any(|(_, sk)| *sk == place(3)));
        let partition = |log: &undertone_aws::Segment| format!("audit#{}", log.writer);
        let writers = (one.own_segment().await.unwrap(), other.own_segment().await.unwrap());
        edit(&world, partition(&writers.0), partition(&writers.1)).await;
        assert!(matches!(one.verify().await, Ok(Verified::Broken { .. })), "{what}");
        assert_eq!(other.verify().await, Ok(rows(3)), "{what}, and not this one's");
        let all = world.log().verify_all().await.unwrap();
        let broken = all.iter().filter(|(_, verified)| matches!(verified, Verified::Broken { .. })).count();
        assert_eq!(broken, 1, "{what}");
    }
}

#[tokio::test]
async fn a_forged_entry_in_the_list_is_found() {
    let world = World::at(Ministack::start().url()).await;
    let log = world.log();
    log.append(vec![entry(1, "x")]).await.unwrap();
    let (_, place) = world.items().await.into_iter().find(|(pk, _)| pk == "segments").unwrap();
    let later = place.replacen("0000", "0001", 1);
    world.copy(("segments", &place), ("segments", &later)).await;
    let all = world.log().verify_all().await.unwrap();
    let intact = all.iter().filter(|(_, verified)| *verified == rows(1)).count();
    assert_eq!((all.len(), intact), (2, 1));
}

#[tokio::test]
async fn a_lost_answer_neither_forks_nor_loses_the_chain() {
    let emulator = Ministack::start();
    for url in [emulator.url(), Moto::start().url()] {
        let world = World::at(url).await;
        let proxy = FaultProxy::before(url).await;
        let log = world.log_by(&connection(&proxy.url()));
        for fault in [Fault::CutBeforeResponse, Fault::CutInBody, Fault::ServerError] {
            let before = log.last().await.unwrap();
            proxy.fail_nth(1, fault);
            assert_eq!(log.append(vec![entry(1, "once")]).await, Ok(()), "{fault:?}");
            assert_eq!(log.last().await, Ok(before + 1), "{fault:?}");
        }
        // All tries of the SDK are cut, so it isn't known whether the rows are there: they are.
        proxy.only("TransactWriteItems");
        proxy.set(Some(Fault::CutBeforeResponse));
        assert_eq!(log.append(vec![entry(2, "told by the tip")]).await, Ok(()));
        // The tip can't be read either: the append fails, and what came true isn't written over.
        proxy.only("");
        assert!(log.append(vec![entry(3, "nobody knows")]).await.is_err());
        proxy.set(None);
        log.append(vec![entry(4, "after")]).await.unwrap();
        assert_eq!(log.verify().await, Ok(rows(6)), "the rows of unknown fate were written");
        proxy.set(Some(Fault::ServerError));
        assert!(log.append(vec![entry(5, "away")]).await.is_err());
        proxy.set(None);
        log.append(vec![entry(6, "back")]).await.unwrap();
        assert_eq!(log.verify().await, Ok(rows(7)), "the others weren't");
    }
}

#[tokio::test]
async fn nothing_is_appended_behind_an_end_that_was_changed() {
    for what in ["removed", "another's"] {
        let world = World::at(Ministack::start().url()).await;
        let (log, other) = (world.log(), world.log());
        log.append(vec![entry(1, "x")]).await.unwrap();
        other.append(vec![entry(1, "x")]).await.unwrap();
        let partition = format!("audit#{}", log.own_segment().await.unwrap().writer);
        match what {
            "removed" => world.delete(&partition, "tip").await,
            _ => {
                let from = format!("audit#{}", other.own_segment().await.unwrap().writer);
                world.copy((&from, "tip"), (&partition, "tip")).await;
            }
        }
        for _ in 0..2 {
            let error = log.append(vec![entry(2, "y")]).await.expect_err(what);
            assert!(error.to_string().contains("audit verify"), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn without_the_store_key_nothing_is_written() {
    let world = World::at(Ministack::start().url()).await;
    world.keys.set_fault(Some(KeyError::Denied("no".to_owned())));
    assert!(world.log().append(vec![entry(1, "x")]).await.is_err());
    assert!(world.items().await.is_empty());
}

/// What was written, and how often writing fails.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<(Vec<u8>, usize)>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.0.lock().unwrap();
        if 0 < output.1 {
            output.1 -= 1;
            // Half a line is out before it is noticed.
            output.0.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        output.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_log_holds_one_line_per_row_and_can_be_checked() {
    let store_key = store_key(&Arc::new(MemoryKeys::default())).await;
    let output = Output::default();
    let [one, other] = [(); 2].map(|()| LogAudit::new(store_key.clone(), Box::new(output.clone())));
    for n in 0..3 {
        one.append(vec![entry(n, "\",\"writer\":\"forged"), entry(n, "b")]).await.unwrap();
        other.append(vec![entry(n, "c")]).await.unwrap();
    }
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 9);
    for line in &lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["audit"]["action"], "secret.set");
    }
    let verify = async |lines: Vec<String>| {
        let mut found = verify_lines(lines.iter().map(String::as_str), &store_key).await.unwrap();
        found.sort_by_key(|(_, verified)| match verified {
            Verified::Intact { rows } => *rows,
            Verified::Broken { .. } => u64::MAX,
        });
        found.into_iter().map(|(_, verified)| verified).collect::<Vec<_>>()
    };
    let owned = || lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(verify(owned()).await, [rows(3), rows(6)]);
    let shuffled =
        owned().into_iter().rev().chain(owned()).map(|line| format!("2026-01-01T00:00:00Z {line}"));
    assert_eq!(verify(shuffled.chain(["START RequestId: x".to_owned()]).collect()).await, [rows(3), rows(6)]);
    for (what, edit) in [
        ("edited", (|lines| lines[1] = lines[1].replace("\"b\"", "\"B\"")) as fn(&mut Vec<String>)),
        ("removed", |lines| drop(lines.remove(1))),
        ("renumbered", |lines| lines[1] = lines[1].replace("\"sequence\":2", "\"sequence\":3")),
        ("another MAC", |lines| lines[1] = lines[1].replace("\"mac\":\"", "\"mac\":\"0")),
    ] {
        let mut edited = owned();
        edit(&mut edited);
        let found = verify(edited).await;
        assert_eq!(found[0], rows(3), "{what}");
        assert!(matches!(found[1], Verified::Broken { .. }), "{what}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_fails_the_operation_and_starts_a_chain_anew() {
    let store_key = store_key(&Arc::new(MemoryKeys::default())).await;
    let output = Output::default();
    let log = LogAudit::new(store_key.clone(), Box::new(output.clone()));
    log.append(vec![entry(1, "a")]).await.unwrap();
    output.0.lock().unwrap().1 = 1;
    assert!(log.append(vec![entry(2, "lost")]).await.is_err());
    log.append(vec![entry(3, "b")]).await.unwrap();
    let verified = verify_lines(output.text().lines(), &store_key).await.unwrap();
    assert_eq!(verified.iter().map(|(_, verified)| verified).collect::<Vec<_>>(), [&rows(1), &rows(1)]);
    assert!(log.read(0, 1).await.is_err() && log.last().await.is_err() && log.verify().await.is_err());
    assert!(log.append(vec![entry(4, &"x".repeat(260_000))]).await.is_err(), "a line has a limit");
}
