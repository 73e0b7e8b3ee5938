//! The plan of a file that maps Spaces, among which some may have to be made.

use std::collections::{HashMap, HashSet};

use undertone_core::vault::{PlanOutcome, PlanRow, Replace};
use undertone_core::{EnvironmentId, Names, Scope, SecretName, SpaceId, Standing};

use super::file::Entry;
use super::plan::{Choices, Part, for_scope, judged};
use crate::exit::Failure;
use crate::opened::Opened;
use crate::scopes::spaces;

/// Plans the entries for the Spaces that they name, in the order of the file.
pub(super) async fn per_space(
    opened: &Opened,
    environment: &EnvironmentId,
    entries: Vec<Entry>,
    choices: Choices,
) -> Result<Vec<Part>, Failure> {
    let known: HashSet<SpaceId> =
        spaces(opened, environment).await?.into_iter().map(|space| space.id).collect();
    let files = by_space(entries);
    let new = files.iter().filter(|(space, _)| !known.contains(space)).flat_map(|(_, entries)| entries);
    let seen_by_new = match choices.create_spaces {
        true => inherited(opened, environment, names(new), choices).await?,
        false => HashMap::new(),
    };
    let mut parts = Vec::with_capacity(files.len());
    for (space, entries) in files {
        let exists = known.contains(&space);
        let scope = Scope::Space(environment.clone(), space);
        parts.push(match exists {
            true => for_scope(opened, scope, entries, choices).await?,
            false => for_new_space(scope, entries, &seen_by_new, choices),
        });
    }
    Ok(parts)
}

fn by_space(entries: Vec<Entry>) -> Vec<(SpaceId, Vec<Entry>)> {
    let mut files: Vec<(SpaceId, Vec<Entry>)> = Vec::new();
    for entry in entries {
        let Some(space) = entry.space.clone() else {
            continue;
        };
        match files.last_mut() {
            Some((last, own)) if *last == space => own.push(entry),
            Some(_) | None => files.push((space, vec![entry])),
        }
    }
    files
}

fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<SecretName> {
    let mut names: Vec<SecretName> = entries.map(|entry| entry.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// What would happen to each name in a Space that has nothing of its own: the Environment says.
async fn inherited(
    opened: &Opened,
    environment: &EnvironmentId,
    names: Vec<SecretName>,
    choices: Choices,
) -> Result<HashMap<SecretName, PlanOutcome>, Failure> {
    let above = Scope::Environment(environment.clone());
    let plan = opened.vault.plan_import(&above, &names, choices.spelling, Replace::Keep).await?;
    let rows = opened.store.chain(&above.chain(), Names::Only(&names)).await?;
    let rows = rows.scopes.iter().flat_map(|scope| &scope.rows);
    let locked = rows.filter(|row| row.head.locked && row.head.standing == Standing::Active);
    let locked: HashSet<&SecretName> = locked.map(|row| &row.name).collect();
    let outcome = |PlanRow { name, outcome }| {
        let outcome = match outcome {
            PlanOutcome::Skip if locked.contains(&name) => {
                PlanOutcome::Conflict("locked in the Environment: it would never win".to_owned())
            }
            PlanOutcome::Skip => PlanOutcome::Override,
            PlanOutcome::Add | PlanOutcome::Override | PlanOutcome::Replace | PlanOutcome::Conflict(_) => {
                outcome
            }
        };
        (name, outcome)
    };
    Ok(plan.into_iter().map(outcome).collect())
}

fn for_new_space(
    scope: Scope,
    entries: Vec<Entry>,
    seen: &HashMap<SecretName, PlanOutcome>,
    choices: Choices,
) -> Part {
    let missing = || PlanOutcome::Conflict("there is no such Space: add --create-spaces".to_owned());
    let rows = entries.iter().map(|entry| PlanRow {
        name: entry.name.clone(),
        outcome: seen.get(&entry.name).cloned().unwrap_or_else(missing),
    });
    let rows = rows.collect();
    judged(scope, choices.create_spaces, rows, entries, choices)
}
