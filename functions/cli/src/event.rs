//! `event send`: brings one event to every running listener and shows what became of it.
//!
//! There is no queue: a listener that doesn't run doesn't get the event.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use undertone::local::{BUDGET, sockets};
use undertone::{EventData, EventError};

use crate::args::EventSendArgs;
use crate::exit::Failure;
use crate::screen::Screen;
use crate::table::Table;

/// The largest report that is read from a listener.
const LARGEST_REPORT: u64 = 16 * 1024 * 1024;

pub(crate) async fn send(screen: &Screen, home: &Path, args: EventSendArgs) -> Result<(), Failure> {
    let bytes = event_bytes(&args)?;
    // Parsed here too: a wrong event is the sender's to mend, whoever listens.
    let event = EventData::parse(&bytes)?;
    let running = running(home, args.to.as_ref().map(|agent| agent.as_str()))?;
    let mut reports = Vec::new();
    for (agent, socket) in running {
        if let Some(report) = deliver(&socket, &bytes).await {
            reports.push((agent, report));
        }
    }
    if reports.is_empty() {
        return Err(Failure::NoListener);
    }
    show(screen, event.id(), &reports)
}

fn event_bytes(args: &EventSendArgs) -> Result<Vec<u8>, Failure> {
    let Some(file) = &args.file else {
        return Ok(built(args)?.to_string().into_bytes());
    };
    let limit = undertone::LARGEST_EVENT as u64 + 1;
    let mut bytes = Vec::new();
    let unreadable = |error: std::io::Error| Failure::EventFile(error.kind());
    match file.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(unreadable)?,
        false => std::fs::File::open(file)
            .map_err(unreadable)?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?,
    };
    Ok(bytes)
}

/// The event that the options describe.
fn built(args: &EventSendArgs) -> Result<Value, Failure> {
    let missing = || Failure::Usage("give the event as a file, or at least its --topic".to_owned());
    let topic = args.topic.as_deref().ok_or_else(missing)?;
    let mut context = Map::new();
    if let Some(environment) = &args.env {
        context.insert("environmentId".to_owned(), environment.as_str().into());
    }
    if let Some(space) = &args.space {
        context.insert("spaceId".to_owned(), space.as_str().into());
    }
    let payload = match &args.payload {
        None => Value::Null,
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Failure::Event(EventError::NotJson {
                line: error.line(),
                column: error.column(),
                offset: error.column().saturating_sub(1),
            })
        })?,
    };
    Ok(json!({
        "topic": topic,
        "domain": topic.split(':').next(),
        "context": context,
        "payload": payload,
        "createdAt": jiff::Timestamp::now().to_string(),
    }))
}

fn running(home: &Path, only: Option<&str>) -> Result<Vec<(String, PathBuf)>, Failure> {
    let Ok(folder) = std::fs::read_dir(sockets(home)) else {
        return Err(Failure::NoListener);
    };
    let sockets = folder
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "sock"));
    let named = sockets.filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path.clone())));
    let mut found: Vec<_> = named.filter(|(agent, _)| only.is_none_or(|only| only == agent)).collect();
    found.sort();
    Ok(found)
}

/// The listener's report, or `None` if nobody answers at the socket.
async fn deliver(socket: &Path, event: &[u8]) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    let exchange = async {
        stream.write_all(event).await?;
        stream.shutdown().await?;
        let mut bytes = Vec::new();
        stream.take(LARGEST_REPORT).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = tokio::time::timeout(BUDGET + Duration::from_secs(5), exchange).await;
    let report = bytes.ok().and_then(Result::ok).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Some(report.unwrap_or_else(|| json!({ "error": "the listener gave no report" })))
}

fn show(screen: &Screen, event: &str, reports: &[(String, Value)]) -> Result<(), Failure> {
    let table = || {
        let mut table = Table::new(&["LISTENER", "HANDLER", "RESULT"]);
        reports.iter().for_each(|(agent, report)| rows(&mut table, agent, report));
        table.render(screen)
    };
    let json = || {
        let listeners: Vec<&Value> = reports.iter().map(|(_, report)| report).collect();
        json!({ "event": event, "listeners": listeners })
    };
    screen.answer(table, json)?;
    match reports.iter().filter(|(_, report)| is_failure(report)).count() {
        0 => Ok(()),
        failed => Err(Failure::EventFailed { failed, all: reports.len() }),
    }
}

fn is_failure(report: &Value) -> bool {
    let failed = |outcome: &Value| outcome["ok"] != Value::Bool(true);
    report.get("error").is_some() || report["outcomes"].as_array().into_iter().flatten().any(failed)
}

fn rows(table: &mut Table, agent: &str, report: &Value) {
    let mut row = |handler: &str, result: &str| table.row([agent.into(), handler.into(), result.into()]);
    if let Some(error) = report["error"].as_str() {
        return row("", &format!("not handled: {error}"));
    }
    let outcomes = report["outcomes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if outcomes.is_empty() {
        return row("", "no handler takes this event");
    }
    for outcome in outcomes {
        let text = |field: &str| outcome[field].as_str().unwrap_or_default().to_owned();
        let result = match outcome["ok"].as_bool() {
            Some(true) if outcome["reply"].is_null() => "ok".to_owned(),
            Some(true) => format!("ok: {}", outcome["reply"]),
            _ => format!("{}: {}", text("kind"), text("message")),
        };
        row(&outcome["handler"].to_string(), &result);
    }
}
