//! What an import would do, name by name, before anything is written.

use std::collections::{HashMap, HashSet};

use undertone_core::resolve::Role;
use undertone_core::vault::{EmptyValue, ImportItem, PlanOutcome, PlanRow, Replace, Spelling};
use undertone_core::{EnvironmentId, Mode, Names, Rules, Scope, SecretName, SecretValue, SpaceId};
use zeroize::Zeroizing;

use super::file::Entry;
use crate::exit::Failure;
use crate::home::Opened;
use crate::scopes::spaces;

/// What an import may do.
#[derive(Clone, Copy)]
pub(super) struct Choices {
    pub spelling: Spelling,
    pub replace: Replace,
    pub empty: EmptyValue,
    pub create_spaces: bool,
}

/// The part of an import that goes to one scope.
pub(super) struct Part {
    pub scope: Scope,
    /// Whether the Space has to be made first.
    pub is_new: bool,
    pub rows: Vec<PlanRow>,
    /// The value of each row; `None` where it can't be one.
    values: Vec<Option<SecretValue>>,
}

impl Part {
    /// The values that are to be written.
    pub(super) fn take_items(&mut self) -> Vec<ImportItem> {
        let rows = self.rows.iter().zip(std::mem::take(&mut self.values));
        let wanted = rows.filter(|(row, _)| is_write(&row.outcome));
        wanted.filter_map(|(row, value)| Some(ImportItem { name: row.name.clone(), value: value? })).collect()
    }

    /// What is probably a mistake about the values that are to be written.
    pub(super) fn lints(&self) -> Vec<String> {
        let rows = self.rows.iter().zip(&self.values).filter(|(row, _)| is_write(&row.outcome));
        let lints = rows.flat_map(|(row, value)| {
            let lints = value.iter().flat_map(SecretValue::lints);
            lints.map(|lint| format!("the value of `{}` for {} {}", row.name, self.scope, lint.message()))
        });
        lints.collect()
    }

    pub(super) fn count(&self, wanted: impl Fn(&PlanOutcome) -> bool) -> usize {
        self.rows.iter().filter(|row| wanted(&row.outcome)).count()
    }
}

/// Whether the outcome writes something.
pub(super) fn is_write(outcome: &PlanOutcome) -> bool {
    match outcome {
        PlanOutcome::Add | PlanOutcome::Override | PlanOutcome::Replace => true,
        PlanOutcome::Skip | PlanOutcome::Conflict(_) => false,
    }
}

/// Plans the entries for one scope.
pub(super) async fn for_scope(
    opened: &Opened,
    scope: Scope,
    entries: Vec<Entry>,
    choices: Choices,
) -> Result<Part, Failure> {
    let names: Vec<SecretName> = entries.iter().map(|entry| entry.name.clone()).collect();
    let rows = opened.vault.plan_import(&scope, &names, choices.spelling, choices.replace).await?;
    Ok(judged(scope, false, rows, entries, choices))
}

/// Plans the entries for the Spaces that they name, in the order of the file.
pub(super) async fn per_space(
    opened: &Opened,
    environment: &EnvironmentId,
    entries: Vec<Entry>,
    choices: Choices,
) -> Result<Vec<Part>, Failure> {
    let known: HashSet<SpaceId> =
        spaces(opened, environment).await?.into_iter().map(|space| space.id).collect();
    let mut parts = Vec::new();
    let mut entries = entries.into_iter().peekable();
    while let Some(space) = entries.peek().and_then(|entry| entry.space.clone()) {
        let mut own = Vec::new();
        while let Some(entry) = entries.next_if(|entry| entry.space.as_ref() == Some(&space)) {
            own.push(entry);
        }
        let exists = known.contains(&space);
        let scope = Scope::Space(environment.clone(), space);
        parts.push(match (exists, choices.create_spaces) {
            (true, _) => for_scope(opened, scope, own, choices).await?,
            (false, true) => for_new_space(opened, scope, own, choices).await?,
            (false, false) => {
                let why = "there is no such Space: add --create-spaces";
                let rows = own.iter().map(|entry| PlanRow {
                    name: entry.name.clone(),
                    outcome: PlanOutcome::Conflict(why.to_owned()),
                });
                let rows = rows.collect();
                judged(scope, false, rows, own, choices)
            }
        });
    }
    Ok(parts)
}

/// A Space that isn't there yet sees what its Environment has.
async fn for_new_space(
    opened: &Opened,
    scope: Scope,
    entries: Vec<Entry>,
    choices: Choices,
) -> Result<Part, Failure> {
    let above = Scope::Environment(scope.environment().clone());
    let names: Vec<SecretName> = entries.iter().map(|entry| entry.name.clone()).collect();
    let mut rows = opened.vault.plan_import(&above, &names, choices.spelling, Replace::Keep).await?;
    let inherited = opened.vault.list(&above).await?;
    let locked: HashSet<&SecretName> = inherited
        .iter()
        .filter(|known| known.layers.iter().any(|layer| layer.role == Role::Decides && layer.locked))
        .map(|known| &known.name)
        .collect();
    for row in rows.iter_mut().filter(|row| row.outcome == PlanOutcome::Skip) {
        row.outcome = match locked.contains(&row.name) {
            true => PlanOutcome::Conflict("locked in the Environment: it would never win".to_owned()),
            false => PlanOutcome::Override,
        };
    }
    Ok(judged(scope, true, rows, entries, choices))
}

/// What the values lose, or never had, under these rules.
pub(super) async fn rule_warnings(
    opened: &Opened,
    parts: &[Part],
    rules: &Rules,
) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    let Some(writes) = parts.iter().find(|part| 0 < part.count(is_write)) else {
        return Ok(warnings);
    };
    let chain = Scope::Environment(writes.scope.environment().clone()).chain();
    let mode = opened.store.chain(&chain, Names::Only(&[])).await?.mode;
    if rules.hosts.is_none() && mode == Mode::Standard {
        warnings.push("no rule says to which hosts these values may go: add --host".to_owned());
    }
    if *rules != Rules::default() {
        return Ok(warnings);
    }
    for part in parts {
        let replaced: HashSet<&SecretName> =
            part.rows.iter().filter(|row| row.outcome == PlanOutcome::Replace).map(|row| &row.name).collect();
        if replaced.is_empty() {
            continue;
        }
        let known = opened.vault.list(&part.scope).await?;
        let losing = known.iter().filter(|known| replaced.contains(&known.name)).filter(|known| {
            known.layers.iter().any(|layer| layer.scope == part.scope && layer.rules != Rules::default())
        });
        warnings.extend(losing.map(|known| {
            format!(
                "`{}` in {} has rules of use, and its new version would have none",
                known.name, part.scope
            )
        }));
    }
    Ok(warnings)
}

/// Adds the conflicts that the values and the other names of the file make.
fn judged(scope: Scope, is_new: bool, mut rows: Vec<PlanRow>, entries: Vec<Entry>, choices: Choices) -> Part {
    let mut by_look: HashMap<String, SecretName> = HashMap::new();
    let mut values = Vec::with_capacity(entries.len());
    for (row, entry) in rows.iter_mut().zip(entries) {
        let value = SecretValue::new(bytes(entry.value));
        let twin = by_look.insert(row.name.folded(), row.name.clone());
        let problem = match (&value, twin) {
            (Err(too_large), _) => Some(too_large.to_string()),
            (Ok(_), Some(twin)) => Some(format!("looks like `{twin}`, which the file has too")),
            (Ok(value), None) if value.is_empty() && choices.empty == EmptyValue::Refused => {
                Some("the value is empty: add --allow-empty if that is meant".to_owned())
            }
            (Ok(_), None) => None,
        };
        if let (Some(problem), true) = (problem, is_write(&row.outcome)) {
            row.outcome = PlanOutcome::Conflict(problem);
        }
        values.push(value.ok());
    }
    Part { scope, is_new, rows, values }
}

/// The bytes themselves, not a copy.
fn bytes(mut text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}
