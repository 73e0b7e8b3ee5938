//! What an import would do, name by name, before anything is written.

use std::collections::HashMap;

use undertone_core::vault::{EmptyValue, Expected, ImportItem, PlanOutcome, PlanRow, Replace, Spelling};
use undertone_core::{Scope, SecretName, SecretValue};
use zeroize::Zeroizing;

use super::file::Entry;
use crate::exit::Failure;
use crate::opened::Opened;

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
        let item = |(row, value): (&PlanRow, Option<SecretValue>)| {
            // A row that somebody makes between the plan and the write isn't overwritten.
            let expected = match row.outcome {
                PlanOutcome::Add | PlanOutcome::Override => Expected::Absent,
                PlanOutcome::Replace | PlanOutcome::Skip | PlanOutcome::Conflict(_) => Expected::Any,
            };
            Some(ImportItem { name: row.name.clone(), value: value?, expected })
        };
        wanted.filter_map(item).collect()
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

/// Adds the conflicts that the values and the other names of the file make.
pub(super) fn judged(
    scope: Scope,
    is_new: bool,
    mut rows: Vec<PlanRow>,
    entries: Vec<Entry>,
    choices: Choices,
) -> Part {
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
