//! `audit tail` and `audit verify`: the rows of the audit log, and whether they are as written.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use undertone_core::SecretName;
use undertone_core::audit::{AuditLog, AuditRow, Verified};

use crate::args::{OutcomeArg, TailArgs};
use crate::aws::Aws;
use crate::exit::Failure;
use crate::opened::{Opened, Place};
use crate::progress;
use crate::screen::{Form, Screen, write_out};
use crate::table::{Cell, Table};
use crate::wire;

/// So many rows are read at a time.
const CHUNK: u64 = 1_000;
const HEADINGS: [&str; 9] = ["ROW", "TIME", "WHO", "ACTION", "SCOPE", "NAME", "VERSION", "TO", "OUTCOME"];
const PAUSE: Duration = Duration::from_millis(300);

pub(crate) async fn tail(screen: &Screen, opened: &Opened, args: TailArgs) -> Result<(), Failure> {
    let wanted = |row: &Value| is_wanted(row, args.name.as_ref(), args.outcome);
    if let Place::Aws(aws) = &opened.place {
        return tail_chains(screen, aws, args.lines, args.follow, wanted).await;
    }
    let last = opened.audit.last().await?;
    let rows = last_rows(&*opened.audit, last, args.lines, wanted).await?;
    let mut table = Table::new(&HEADINGS);
    print(screen, &mut table, &rows, true)?;
    match args.follow {
        true => follow(screen, &*opened.audit, last, &mut table, wanted).await,
        false => Ok(()),
    }
}

/// Prints rows as they are written, until whoever reads has gone or the program is stopped.
async fn follow(
    screen: &Screen,
    audit: &dyn AuditLog,
    mut last: u64,
    table: &mut Table,
    wanted: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    loop {
        let new = read(audit, last, CHUNK).await?;
        let Some(newest) = new.last() else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        last = newest.sequence;
        let rows: Vec<Value> = new.iter().map(wire::audit_row).filter(&wanted).collect();
        print(screen, table, &rows, false)?;
    }
}

/// On AWS every process writes a chain of its own: the newest rows of all of them.
async fn tail_chains(
    screen: &Screen,
    aws: &Aws,
    lines: usize,
    follow: bool,
    wanted: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    if follow {
        let why = "--follow needs a home: on AWS ask again, or follow the function's log";
        return Err(Failure::Usage(why.to_owned()));
    }
    // Rows that aren't wanted are filtered out afterwards, so more are read.
    let rows = aws.tail(lines.saturating_mul(10).clamp(1_000, 100_000)).await?;
    let mut rows: Vec<Value> = rows.iter().map(wire::audit_row).filter(&wanted).collect();
    rows.drain(..rows.len().saturating_sub(lines));
    print(screen, &mut Table::new(&HEADINGS), &rows, true)
}

/// Every chain of an installation on AWS.
async fn verify_chains(screen: &Screen, aws: &Aws) -> Result<(), Failure> {
    let spinner = progress::spinner(screen, "checking chains");
    let chains = aws.verify().await;
    spinner.finish_and_clear();
    let chains = chains?;
    let broken = chains.iter().filter(|(_, verified)| matches!(verified, Verified::Broken { .. })).count();
    screen.answer(|| chains_text(&chains), || wire::chains(&chains))?;
    match broken {
        0 => Ok(()),
        broken => Err(Failure::ChainsBroken { broken, all: chains.len() }),
    }
}

fn chains_text(chains: &[(String, Verified)]) -> String {
    let mut rows = 0;
    let mut out = String::new();
    for (writer, verified) in chains {
        match verified {
            Verified::Intact { rows: intact } => rows += intact,
            Verified::Broken { sequence, problem } => {
                out += &format!("row {sequence} of writer {writer} isn't as it was written: {problem}\n");
            }
        }
    }
    if out.is_empty() {
        let chains = chains.len();
        out = format!("All {rows} rows of {chains} writers of the audit log are as they were written.\n");
    }
    out
}

pub(crate) async fn verify(screen: &Screen, opened: &Opened) -> Result<(), Failure> {
    if let Place::Aws(aws) = &opened.place {
        return verify_chains(screen, aws).await;
    }
    let rows = opened.audit.last().await?;
    let spinner = progress::spinner(screen, "checking rows");
    spinner.set_position(rows);
    let verified = opened.audit.verify().await?;
    spinner.finish_and_clear();
    match verified {
        Verified::Intact { rows } => screen.answer(
            || format!("All {rows} rows of the audit log are as they were written.\n"),
            || wire::verified(rows),
        ),
        Verified::Broken { sequence, problem } => {
            if screen.form() == Form::Json {
                screen.answer(String::new, || wire::broken(sequence, problem))?;
            }
            Err(Failure::AuditBroken { sequence, problem })
        }
    }
}

/// The last `count` wanted rows up to row `last`, oldest first, read backwards in chunks.
async fn last_rows(
    audit: &dyn AuditLog,
    last: u64,
    count: usize,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>, Failure> {
    let mut found: Vec<Value> = Vec::new();
    let mut end = last;
    while 0 < end && found.len() < count {
        let start = end.saturating_sub(CHUNK);
        let rows = read(audit, start, end - start).await?;
        let rows = rows.iter().filter(|row| row.sequence <= end).map(wire::audit_row);
        found.splice(0..0, rows.filter(&wanted));
        end = start;
    }
    let surplus = found.len().saturating_sub(count);
    found.drain(..surplus);
    Ok(found)
}

async fn read(audit: &dyn AuditLog, after: u64, count: u64) -> Result<Vec<AuditRow>, Failure> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(audit.read(after, count).await?)
}

fn is_wanted(row: &Value, name: Option<&SecretName>, outcome: Option<OutcomeArg>) -> bool {
    name.is_none_or(|name| row["name"] == name.as_str())
        && outcome.is_none_or(|outcome| row["outcome"] == outcome.as_str())
}

fn print(screen: &Screen, table: &mut Table, rows: &[Value], first: bool) -> Result<(), Failure> {
    if screen.form() == Form::Json {
        let lines: String = rows.iter().map(|row| wire::to_text(row) + "\n").collect();
        return write_out(&lines);
    }
    for row in rows {
        table.row(cells(row));
    }
    write_out(&if first { table.render(screen) } else { table.render_rows(screen) })
}

fn cells(row: &Value) -> [Cell; 9] {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(unreadable) = row.get("unreadable") {
        let unreadable = Cell::styled(&text(unreadable), AnsiColor::Red.on_default());
        let [a, b, c, d, e, f, g] = std::array::from_fn(|_| Cell::from(""));
        return [text(&row["sequence"]).into(), unreadable, a, b, c, d, e, f, g];
    }
    let at = text(&row["at"]);
    let actor = &row["actor"];
    let who = if actor["operator"].is_null() { &actor["agent"] } else { &actor["operator"] };
    let place = |scope: &Value| match (text(&scope["environment"]), text(&scope["space"])) {
        (environment, space) if space.is_empty() => environment,
        (environment, space) => format!("{environment}/{space}"),
    };
    let (owner, asked_in) = (place(&row["scope"]), place(&row["asked_in"]));
    let scope = match asked_in.is_empty() || asked_in == owner {
        true => owner,
        false => format!("{owner} for {asked_in}"),
    };
    let to = [&row["sink"], &row["method"], &row["host"]].map(text).join(" ");
    let outcome = text(&row["outcome"]);
    let style = match outcome.as_str() {
        "refused" => AnsiColor::Yellow.on_default(),
        "failed" => AnsiColor::Red.on_default(),
        _ => Style::new(),
    };
    let detail = text(&row["detail"]);
    let outcome = if detail.is_empty() { outcome } else { format!("{outcome}: {detail}") };
    [
        text(&row["sequence"]).into(),
        at.parse().map_or(at, crate::scopes::time).into(),
        text(who).into(),
        text(&row["action"]).into(),
        scope.into(),
        text(&row["name"]).into(),
        text(&row["version"]).into(),
        to.trim().into(),
        Cell::styled(&outcome, style),
    ]
}
