//! `doctor`: looks for damage, for weak spots, and for deletions whose 30 days are over.

use std::fmt::Write;

use anstyle::AnsiColor;
use undertone_core::resolve::{Explanation, Role, State, explain};
use undertone_core::{ChainRows, Mode, Names, Row, Scope, SecretName, Standing, StoreError, Version};

use crate::args::DoctorArgs;
use crate::exit::Failure;
use crate::opened::{Health, Opened, Place, Status};
use crate::progress;
use crate::records::{Checker, Problem, REFUSED};
use crate::scopes::spaces;
use crate::screen::Screen;
use crate::table::{Cell, Table};
use crate::wire;

/// All that was found.
#[derive(Default)]
pub(crate) struct Findings {
    pub checks: Vec<Health>,
    /// How many records were opened or tried.
    pub records: u64,
    /// How many weren't opened because KMS refuses their keys to who asks.
    pub unopened: u64,
    pub damaged: Vec<Damage>,
    /// Scopes whose rows can't be read at all, and what the store says of them.
    pub unreadable: Vec<(Scope, String)>,
    pub weak: Vec<Weak>,
    pub purged: Vec<(Scope, SecretName)>,
}

/// A record that doesn't open.
pub(crate) struct Damage {
    pub scope: Scope,
    pub name: SecretName,
    pub version: u64,
    pub problem: Problem,
}

/// Something that works and probably shouldn't be so.
pub(crate) struct Weak {
    pub scope: Scope,
    pub name: SecretName,
    pub problem: Weakness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weakness {
    NoHostRule,
    Expired,
}

impl Weakness {
    /// The word in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Weakness::NoHostRule => "no_host_rule",
            Weakness::Expired => "expired",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Weakness::NoHostRule => {
                "has no host rule, so it can't be sent anywhere: set it again with --host"
            }
            Weakness::Expired => "has expired, so it resolves to nothing: set it again, or unset it",
        }
    }
}

pub(crate) async fn doctor(screen: &Screen, opened: &Opened, args: DoctorArgs) -> Result<(), Failure> {
    let mut findings = Findings { checks: opened.health().await, ..Findings::default() };
    let checker = Checker::new(opened.store.id(), opened.opener.clone());
    let spinner = progress::spinner(screen, "opening records");
    for scope in all_scopes(opened).await? {
        let rows = match opened.store.chain(&scope.chain(), Names::All).await {
            Ok(rows) => rows,
            Err(StoreError::Damaged(problem)) => {
                findings.unreadable.push((scope, problem));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for row in rows_of(&rows, &scope) {
            let keys = rows.scopes.iter().find(|own| own.scope == scope).map_or(&[][..], |own| &own.keys);
            for version in versions(opened, row).await? {
                findings.records += 1;
                spinner.set_position(findings.records);
                match checker.check(row, &version, keys).await? {
                    Ok(()) => {}
                    // Who may write and not read still wants to know the rest.
                    Err(REFUSED) if matches!(opened.place, Place::Aws(_)) => findings.unopened += 1,
                    Err(problem) => {
                        let (scope, name) = (scope.clone(), row.name.clone());
                        findings.damaged.push(Damage { scope, name, version: version.number, problem });
                    }
                }
            }
        }
        findings.weak.extend(weak(&rows, &scope, opened.clock.now()));
        if args.purge {
            let purged = opened.vault.purge(&scope).await?;
            findings.purged.extend(purged.into_iter().map(|name| (scope.clone(), name)));
        }
    }
    spinner.finish_and_clear();
    screen.answer(|| text(screen, &findings), || wire::findings(&findings))?;
    verdict(&findings)
}

fn verdict(findings: &Findings) -> Result<(), Failure> {
    let damage = findings.damaged.len() + findings.unreadable.len();
    if 0 < damage {
        return Err(Failure::Damage(damage));
    }
    match findings.checks.iter().any(|check| check.status == Status::Fail) {
        true => Err(Failure::Unhealthy),
        false => Ok(()),
    }
}

async fn all_scopes(opened: &Opened) -> Result<Vec<Scope>, Failure> {
    let mut scopes = Vec::new();
    for environment in opened.store.environments().await? {
        let spaces = spaces(opened, &environment.id).await?;
        scopes.push(Scope::Environment(environment.id));
        scopes.extend(spaces.into_iter().map(|space| Scope::Space(space.environment, space.id)));
    }
    Ok(scopes)
}

fn rows_of<'a>(rows: &'a ChainRows, scope: &'a Scope) -> impl Iterator<Item = &'a Row> {
    rows.scopes.iter().filter(move |own| own.scope == *scope).flat_map(|own| &own.rows)
}

/// All versions of a row; a row of one version carries it.
async fn versions(opened: &Opened, row: &Row) -> Result<Vec<Version>, Failure> {
    match &row.current {
        Some(only) if row.head.latest == 1 => Ok(vec![only.clone()]),
        Some(_) | None if row.head.standing == Standing::Destroyed => Ok(Vec::new()),
        Some(_) | None => {
            let history = opened.store.history(&row.scope, &row.name).await?;
            Ok(history.map(|history| history.versions).unwrap_or_default())
        }
    }
}

/// Rows that this very scope decides by: what it inherits is told at its owner.
fn weak(rows: &ChainRows, scope: &Scope, now: jiff::Timestamp) -> Vec<Weak> {
    let problem = |known: &Explanation| match known.result {
        State::Expired => Some(Weakness::Expired),
        State::Value
            if rows.mode == Mode::Standard && known.rules.0.iter().all(|rules| rules.hosts.is_none()) =>
        {
            Some(Weakness::NoHostRule)
        }
        State::Absent | State::Value | State::Blocked | State::Disabled | State::Revoked => None,
    };
    let active = rows_of(rows, scope).filter(|row| row.head.standing == Standing::Active);
    let known = active.map(|row| explain(rows, &scope.chain(), &row.name, now));
    let own = known.filter(|known| {
        known.layers.iter().any(|layer| layer.scope == *scope && layer.role == Role::Decides)
    });
    own.filter_map(|known| {
        problem(&known).map(|problem| Weak { scope: scope.clone(), name: known.name.clone(), problem })
    })
    .collect()
}

fn text(screen: &Screen, findings: &Findings) -> String {
    let mut table = Table::new(&["CHECK", "RESULT", ""]);
    for check in &findings.checks {
        table.row([check.name.as_str().into(), status_cell(check.status), check.message.as_str().into()]);
    }
    let records = match findings.damaged.len() {
        0 if 0 < findings.unopened => {
            let (unopened, all) = (findings.unopened, findings.records);
            (
                Status::Warn,
                format!("{unopened} of {all} sealed records weren't opened: KMS refuses their keys to you"),
            )
        }
        0 => (Status::Ok, format!("all {} sealed records open", findings.records)),
        damaged => (Status::Fail, format!("{damaged} of {} sealed records don't open", findings.records)),
    };
    table.row(["records".into(), status_cell(records.0), records.1.into()]);
    let mut out = table.render(screen);
    let lines = findings.damaged.iter().map(|found| {
        format!(
            "damaged: version {} of `{}` in {}: {}",
            found.version, found.name, found.scope, found.problem
        )
    });
    let lines = lines
        .chain(findings.unreadable.iter().map(|(scope, problem)| format!("unreadable: {scope}: {problem}")));
    let lines = lines.chain(
        findings
            .weak
            .iter()
            .map(|weak| format!("weak: `{}` in {} {}", weak.name, weak.scope, weak.problem.sentence())),
    );
    let lines = lines.chain(
        findings
            .purged
            .iter()
            .map(|(scope, name)| format!("purged: `{name}` in {scope}, deleted 30 days ago")),
    );
    for (index, line) in lines.enumerate() {
        let _ = writeln!(out, "{}{}", if index == 0 { "\n" } else { "" }, crate::screen::shown(&line));
    }
    out
}

fn status_cell(status: Status) -> Cell {
    let style = match status {
        Status::Ok => AnsiColor::Green,
        Status::Warn => AnsiColor::Yellow,
        Status::Fail => AnsiColor::Red,
    };
    Cell::styled(status.as_str(), style.on_default())
}
