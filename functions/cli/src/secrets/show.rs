//! `list`, `explain` and `history`: everything about secrets but their values.

use anstyle::{AnsiColor, Style};
use undertone_core::resolve::{Explanation, Role, State};
use undertone_core::{Body, EffectiveRules, History, Rules, Standing};

use super::origin::{is_shadowed, origin};
use crate::args::{ListArgs, NamedArgs};
use crate::exit::Failure;
use crate::opened::Opened;
use crate::scopes::time;
use crate::screen::{Screen, shown_lines};
use crate::table::{Cell, Table};
use crate::wire;

pub(crate) async fn list(screen: &Screen, opened: &Opened, args: ListArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let all = opened.vault.list(&scope).await?;
    screen.answer(
        || match all.is_empty() {
            true => format!("No secrets in {scope} yet: set one with `undertone secrets set`\n"),
            false => list_table(screen, &all),
        },
        || wire::listed(&scope, &all),
    )
}

fn list_table(screen: &Screen, all: &[Explanation]) -> String {
    let mut table = Table::new(&["NAME", "STATE", "FROM", "VERSION", "EXPIRES", "HOSTS"]);
    for known in all {
        let decider = known.layers.iter().find(|layer| layer.role == Role::Decides);
        let shadow = if is_shadowed(known) { ", shadows own" } else { "" };
        table.row([
            known.name.as_str().into(),
            state_cell(known.result),
            format!("{}{shadow}", origin(known).as_str()).into(),
            known.winner.as_ref().map_or_else(|| "-".to_owned(), |(_, version)| version.to_string()).into(),
            decider.and_then(|layer| layer.expires_at).map_or_else(|| "-".to_owned(), time).into(),
            effective_hosts(&known.rules).into(),
        ]);
    }
    table.render(screen)
}

pub(crate) async fn explain(screen: &Screen, opened: &Opened, args: NamedArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let explanation = opened.vault.explain(&scope, &args.name).await?;
    screen.answer(|| explain_text(screen, &explanation), || undertone_core::wire::explanation(&explanation))
}

fn explain_text(screen: &Screen, explanation: &Explanation) -> String {
    let mut table = Table::new(&["SCOPE", "STATE", "VERSION", "LOCKED", "EXPIRES", "HOSTS", "WHY"]);
    for layer in &explanation.layers {
        table.row([
            layer.scope.to_string().into(),
            state_cell(layer.state),
            layer.version.map_or_else(|| "-".to_owned(), |version| version.to_string()).into(),
            if layer.locked { "yes" } else { "-" }.into(),
            layer.expires_at.map_or_else(|| "-".to_owned(), time).into(),
            hosts(&layer.rules).into(),
            layer.reason().into(),
        ]);
    }
    format!("{}\n\n{}", shown_lines(&explanation.sentence()), table.render(screen))
}

pub(crate) async fn history(screen: &Screen, opened: &Opened, args: NamedArgs) -> Result<(), Failure> {
    let history = opened.vault.history(&args.scope.scope(), &args.name).await?;
    screen.answer(|| history_text(screen, &history), || wire::history(&history))
}

fn history_text(screen: &Screen, history: &History) -> String {
    let head = &history.row.head;
    let standing = match head.standing {
        Standing::Active => "is active".to_owned(),
        Standing::Unset => "is unset; `undertone secrets restore` brings a version back".to_owned(),
        Standing::Deleted { purge_at } => {
            format!("is deleted; until {} `undertone secrets restore` brings a version back", time(purge_at))
        }
        Standing::Destroyed => "was destroyed".to_owned(),
    };
    let mut flags = String::new();
    if head.disabled {
        flags.push_str(", disabled");
    }
    if head.locked {
        flags.push_str(", locked");
    }
    if let Some(at) = head.expires_at {
        flags.push_str(&format!(", expires {}", time(at)));
    }
    let mut table =
        Table::new(&["VERSION", "KIND", "STATE", "SET", "BY", "HOSTS", "METHODS", "SINKS", "REVEAL"]);
    for version in &history.versions {
        let state = match (version.revoked, version.number == head.current) {
            (true, _) => "revoked",
            (false, true) => "current",
            (false, false) => "old",
        };
        let Rules { methods, sinks, reveal, .. } = &version.rules;
        table.row([
            version.number.to_string().into(),
            match version.body {
                Body::Value(_) => "value",
                Body::External(_) => "external",
                Body::Blocked(_) => "blocked",
            }
            .into(),
            state.into(),
            time(version.created_at).into(),
            version.created_by.as_str().into(),
            hosts(&version.rules).into(),
            methods.as_ref().map_or_else(|| "-".to_owned(), joined).into(),
            sinks.as_ref().map_or_else(|| "-".to_owned(), joined).into(),
            match reveal {
                undertone_core::Reveal::Refused => "-",
                undertone_core::Reveal::Allowed => "allowed",
            }
            .into(),
        ]);
    }
    let first = format!("`{}` in {} {standing}{flags}.", history.row.name, history.row.scope);
    match history.versions.is_empty() {
        true => format!("{}\n", shown_lines(&first)),
        false => format!("{}\n\n{}", shown_lines(&first), table.render(screen)),
    }
}

fn state_cell(state: State) -> Cell {
    let style = match state {
        State::Value => Style::new(),
        State::Absent => Style::new().dimmed(),
        State::Blocked | State::Disabled => AnsiColor::Yellow.on_default(),
        State::Expired | State::Revoked => AnsiColor::Red.on_default(),
    };
    Cell::styled(state.as_str(), style)
}

fn hosts(rules: &Rules) -> String {
    rules.hosts.as_ref().map_or_else(|| "-".to_owned(), joined)
}

/// The host rules of every row that binds a use: a host must be in each of them.
pub(crate) fn effective_hosts(rules: &EffectiveRules) -> String {
    let mut layers: Vec<String> =
        rules.0.iter().filter_map(|rules| rules.hosts.as_ref()).map(joined).collect();
    layers.dedup();
    if layers.is_empty() { "-".to_owned() } else { layers.join(" and ") }
}

fn joined<T: ToString>(values: &std::collections::BTreeSet<T>) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
