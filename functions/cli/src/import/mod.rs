//! `secrets import`: parse, plan, show, ask, and only then write.

mod env;
mod file;
mod json;
mod plan;
mod spaces;
mod warnings;
mod yaml;

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use undertone_core::vault::{EmptyValue, ImportPart, Makes, PlanOutcome, PlanRow, Replace, Spelling};

pub(crate) use env::is_env_key;
pub(crate) use file::FileError;

use self::file::Shape;
use self::plan::{Choices, Part, is_write};
use crate::args::ImportArgs;
use crate::exit::Failure;
use crate::opened::Opened;
use crate::screen::{Form, Screen, write_out};
use crate::table::{Cell, Table};
use crate::{progress, prompt, wire};

/// So many warnings are printed; JSON has them all.
const WARNINGS: usize = 20;

pub(crate) async fn import(
    screen: &Screen,
    open: impl AsyncFn() -> Result<Opened, Failure>,
    args: ImportArgs,
) -> Result<(), Failure> {
    let scope = args.scope.scope();
    if args.per_space && scope.space().is_some() {
        return Err(Failure::Usage(
            "--per-space takes the Spaces from the file: leave --space (and UNDERTONE_SPACE) away".to_owned(),
        ));
    }
    let shape = if args.per_space { Shape::PerSpace } else { Shape::Names };
    let entries = file::read(&args.file, args.format, shape)?;
    let opened = open().await?;
    let choices = Choices {
        spelling: if args.allow_noncanonical { Spelling::Any } else { Spelling::Canonical },
        replace: if args.replace { Replace::Replace } else { Replace::Keep },
        empty: if args.allow_empty { EmptyValue::Allowed } else { EmptyValue::Refused },
        create_spaces: args.create_spaces,
    };
    let mut parts = match shape {
        Shape::Names => vec![plan::for_scope(&opened, scope.clone(), entries, choices).await?],
        Shape::PerSpace => spaces::per_space(&opened, scope.environment(), entries, choices).await?,
    };
    let rules = args.rules.rules();
    let warnings = warnings::warnings(&opened, &parts, &rules).await?;
    let to_write = count(&parts, is_write);
    show_plan(screen, &parts, &warnings)?;
    if let Err(refused) = may_write(&args, &parts, to_write) {
        print_json(screen, &parts, &warnings, 0)?;
        return Err(refused);
    }
    let bar = progress::bar(screen, "setting", u64::try_from(to_write).unwrap_or(u64::MAX));
    let mut written = 0;
    let imported = opened.vault.import(take_parts(&mut parts), &rules, |count| {
        written += count;
        bar.inc(u64::try_from(count).unwrap_or(u64::MAX));
    });
    if let Err(problem) = imported.await.map_err(Failure::from) {
        bar.abandon();
        return Err(match written {
            0 => problem,
            written => Failure::ImportStopped { written, all: to_write, problem: Box::new(problem) },
        });
    }
    bar.finish_and_clear();
    screen.done(|| format!("{} set.\n", values(written)), || as_json(&parts, &warnings, written))
}

fn values(count: usize) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}

/// Whether the plan may be carried out: no conflict in the way, and somebody said yes.
fn may_write(args: &ImportArgs, parts: &[Part], to_write: usize) -> Result<(), Failure> {
    let conflicts = count(parts, |outcome| matches!(outcome, PlanOutcome::Conflict(_)));
    if 0 < conflicts && !args.skip_conflicts {
        return Err(Failure::ImportConflicts { conflicts, all: count(parts, |_| true) });
    }
    if args.yes || to_write == 0 {
        return Ok(());
    }
    prompt::confirm(&format!("Set {}?", values(to_write)))
}

/// What is to be written, scope by scope. A new Space of which nothing is taken isn't made.
fn take_parts(parts: &mut [Part]) -> Vec<ImportPart> {
    let taken = parts.iter_mut().map(|part| ImportPart {
        scope: part.scope.clone(),
        makes: if part.is_new { Makes::Space } else { Makes::Nothing },
        items: part.take_items(),
    });
    taken.filter(|part| !part.items.is_empty()).collect()
}

fn count(parts: &[Part], wanted: impl Fn(&PlanOutcome) -> bool + Copy) -> usize {
    parts.iter().map(|part| part.count(wanted)).sum()
}

fn show_plan(screen: &Screen, parts: &[Part], warnings: &[String]) -> Result<(), Failure> {
    warnings.iter().take(WARNINGS).for_each(|warning| screen.warn(warning));
    if WARNINGS < warnings.len() {
        screen.warn(&format!("and {} more like these", warnings.len() - WARNINGS));
    }
    match screen.form() {
        Form::Text => write_out(&plan_text(screen, parts)),
        Form::Json => Ok(()),
    }
}

fn plan_text(screen: &Screen, parts: &[Part]) -> String {
    let mut table = Table::new(&["SCOPE", "NAME", "PLAN", ""]);
    for part in parts {
        for PlanRow { name, outcome } in &part.rows {
            let (style, why) = match outcome {
                PlanOutcome::Add => (AnsiColor::Green.on_default(), ""),
                PlanOutcome::Override | PlanOutcome::Replace => (AnsiColor::Yellow.on_default(), ""),
                PlanOutcome::Skip => (Style::new().dimmed(), "is set already: --replace sets a new version"),
                PlanOutcome::Conflict(why) => (AnsiColor::Red.on_default(), why.as_str()),
            };
            let scope = part.scope.to_string() + if part.is_new { " (new)" } else { "" };
            table.row([
                scope.into(),
                name.as_str().into(),
                Cell::styled(outcome.as_str(), style),
                why.into(),
            ]);
        }
    }
    let mut out = table.render(screen);
    let counts = ["add", "override", "replace", "skip", "conflict"]
        .map(|word| format!("{} {word}", count(parts, |outcome| outcome.as_str() == word)));
    let _ = writeln!(out, "\n{}", counts.join(", "));
    out
}

fn print_json(screen: &Screen, parts: &[Part], warnings: &[String], written: usize) -> Result<(), Failure> {
    match screen.form() {
        Form::Text => Ok(()),
        Form::Json => screen.answer(String::new, || as_json(parts, warnings, written)),
    }
}

fn as_json(parts: &[Part], warnings: &[String], written: usize) -> serde_json::Value {
    let plan: Vec<_> = parts.iter().map(|part| (&part.scope, part.rows.as_slice())).collect();
    wire::imported(&plan, warnings, written)
}
