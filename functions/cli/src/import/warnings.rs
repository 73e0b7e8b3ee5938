//! What is probably a mistake about an import, said before anybody says yes.

use undertone_core::vault::PlanOutcome;
use undertone_core::{Mode, Names, Rules, Scope, SecretName, Standing};

use super::plan::{Part, is_write};
use crate::exit::Failure;
use crate::opened::Opened;

/// About the values and about their rules.
pub(super) async fn warnings(opened: &Opened, parts: &[Part], rules: &Rules) -> Result<Vec<String>, Failure> {
    let mut warnings: Vec<String> = parts.iter().flat_map(Part::lints).collect();
    let Some(writes) = parts.iter().find(|part| 0 < part.count(is_write)) else {
        return Ok(warnings);
    };
    if rules.hosts.is_none() && mode(opened, &writes.scope).await? == Mode::Standard {
        warnings.push("these values have no host rule, so unless a row above has one they can't be sent anywhere: add --host".to_owned());
    }
    if *rules == Rules::default() {
        for part in parts {
            warnings.extend(lost_rules(opened, part).await?);
        }
    }
    Ok(warnings)
}

async fn mode(opened: &Opened, scope: &Scope) -> Result<Mode, Failure> {
    let environment = Scope::Environment(scope.environment().clone());
    Ok(opened.store.chain(&environment.chain(), Names::Only(&[])).await?.mode)
}

/// Values that have rules and would have none.
async fn lost_rules(opened: &Opened, part: &Part) -> Result<Vec<String>, Failure> {
    let replaced = part.rows.iter().filter(|row| row.outcome == PlanOutcome::Replace);
    let replaced: Vec<SecretName> = replaced.map(|row| row.name.clone()).collect();
    if replaced.is_empty() {
        return Ok(Vec::new());
    }
    let rows = opened.store.chain(&part.scope.chain(), Names::Only(&replaced)).await?;
    let own = rows.scopes.iter().filter(|own| own.scope == part.scope).flat_map(|own| &own.rows);
    let active = own.filter(|row| row.head.standing == Standing::Active);
    let losing =
        active.filter(|row| row.current.as_ref().is_some_and(|current| current.rules != Rules::default()));
    let sentence = |name: &SecretName| {
        format!("`{name}` in {} has rules of use, and its new version would have none", part.scope)
    };
    Ok(losing.map(|row| sentence(&row.name)).collect())
}
