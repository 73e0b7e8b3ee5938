//! The JSON shapes that the command line promises to strangers. A change of a shape is a change
//! of this file; scopes, rules and explanations are core's shapes.

use std::path::Path;

use serde_json::{Value, json};
use undertone_core::audit::{AuditRow, Verified};
use undertone_core::resolve::Explanation;
use undertone_core::transfer::Progress;
use undertone_core::vault::{PlanOutcome, PlanRow};
use undertone_core::wire::{explanation, rules, scope};
use undertone_core::{Body, Environment, History, Mode, Scope, SecretName, Space, Standing, is_hidden};
use undertone_local::{AwsKind, AwsSettings};

use crate::deploy::{Declared, Gap};
use crate::doctor::Findings;
use crate::exit::Failure;
use crate::init::KeyPlace;
use crate::secrets::origin::origin;

/// JSON on one line. Hidden characters are escaped, so a terminal may show it.
pub(crate) fn to_text(value: &Value) -> String {
    escape_hidden(&value.to_string())
}

/// JSON on many lines, for files that people read.
pub(crate) fn to_pretty(value: &Value) -> String {
    escape_hidden(&serde_json::to_string_pretty(value).expect("texts and numbers serialise"))
}

// Control characters inside strings are escaped already; the others can only be inside strings.
fn escape_hidden(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match c {
            '\n' => out.push(c),
            c if is_hidden(c) => {
                out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
            }
            c => out.push(c),
        }
        out
    })
}

/// `{"error": {"code", "message", "next"}}`
pub(crate) fn failure(failure: &Failure) -> Value {
    let (_, code) = failure.codes();
    json!({ "error": { "code": code, "message": failure.to_string(), "next": failure.next() } })
}

pub(crate) fn initialised(home: &Path, key: &KeyPlace, next: &[String]) -> Value {
    let (kind, place) = match key {
        KeyPlace::File(path) => ("file", Some(path.display().to_string())),
        KeyPlace::Passphrase => ("passphrase", None),
        KeyPlace::Credential(name) => ("credential", Some(name.clone())),
    };
    json!({ "home": home.display().to_string(), "key": { "kind": kind, "place": place }, "next": next })
}

pub(crate) fn made(at: &Scope) -> Value {
    json!({ "made": scope(at) })
}

pub(crate) fn environments(all: &[Environment]) -> Value {
    let environments = all.iter().map(|environment| {
        json!({
            "id": environment.id.as_str(),
            "development": environment.mode == Mode::Development,
            "created_at": environment.created_at.to_string(),
        })
    });
    json!({ "environments": environments.collect::<Value>() })
}

pub(crate) fn spaces(all: &[Space]) -> Value {
    let spaces = all.iter().map(|space| {
        json!({
            "environment": space.environment.as_str(),
            "id": space.id.as_str(),
            "created_at": space.created_at.to_string(),
        })
    });
    json!({ "spaces": spaces.collect::<Value>() })
}

/// What a verb did, and what wins afterwards.
pub(crate) fn changed(
    done: &str,
    at: &Scope,
    version: Option<u64>,
    warnings: &[String],
    after: &Explanation,
) -> Value {
    json!({
        "done": done,
        "scope": scope(at),
        "name": after.name.as_str(),
        "version": version,
        "warnings": warnings,
        "after": explanation(after),
    })
}

pub(crate) fn listed(at: &Scope, explanations: &[Explanation]) -> Value {
    let secrets = explanations.iter().map(|known| {
        let mut value = explanation(known);
        value["from"] = origin(known).as_str().into();
        value
    });
    json!({ "scope": scope(at), "secrets": secrets.collect::<Value>() })
}

pub(crate) fn history(history: &History) -> Value {
    let head = &history.row.head;
    let (standing, purge_at) = match head.standing {
        Standing::Active => ("active", None),
        Standing::Unset => ("unset", None),
        Standing::Deleted { purge_at } => ("deleted", Some(purge_at.to_string())),
        Standing::Destroyed => ("destroyed", None),
    };
    let versions = history.versions.iter().map(|version| {
        json!({
            "version": version.number,
            "kind": match version.body {
                Body::Value(_) => "value",
                Body::External(_) => "external",
                Body::Blocked(_) => "blocked",
            },
            "current": version.number == head.current,
            "revoked": version.revoked,
            "created_at": version.created_at.to_string(),
            "created_by": version.created_by,
            "rules": rules(&version.rules),
        })
    });
    json!({
        "scope": scope(&history.row.scope),
        "name": history.row.name.as_str(),
        "standing": standing,
        "purge_at": purge_at,
        "disabled": head.disabled,
        "locked": head.locked,
        "expires_at": head.expires_at.map(|at| at.to_string()),
        "updated_at": head.updated_at.to_string(),
        "updated_by": head.updated_by,
        "versions": versions.collect::<Value>(),
    })
}

/// What an import would do or did; `written` counts the values that were set.
pub(crate) fn imported(parts: &[(&Scope, &[PlanRow])], warnings: &[String], written: usize) -> Value {
    let rows = parts.iter().flat_map(|(at, rows)| rows.iter().map(move |row| (at, row)));
    let mut counts = serde_json::Map::new();
    for outcome in ["add", "override", "replace", "skip", "conflict"] {
        let count = rows.clone().filter(|(_, row)| row.outcome.as_str() == outcome).count();
        counts.insert(outcome.to_owned(), count.into());
    }
    let plan = rows.map(|(at, PlanRow { name, outcome })| {
        let reason = match outcome {
            PlanOutcome::Conflict(why) => Some(why),
            PlanOutcome::Add | PlanOutcome::Override | PlanOutcome::Replace | PlanOutcome::Skip => None,
        };
        json!({ "scope": scope(at), "name": name.as_str(), "outcome": outcome.as_str(), "reason": reason })
    });
    json!({ "plan": plan.collect::<Value>(), "counts": counts, "warnings": warnings, "written": written })
}

/// Names, states and rules of what a scope sees.
pub(crate) fn exported(at: &Scope, explanations: &[Explanation]) -> Value {
    let secrets = explanations.iter().map(|known| {
        let decider = known.winner.as_ref();
        let layer = decider.and_then(|(from, _)| known.layers.iter().find(|layer| layer.scope == *from));
        json!({
            "name": known.name.as_str(),
            "state": known.result.as_str(),
            "from": origin(known).as_str(),
            "scope": decider.map(|(from, _)| scope(from)),
            "version": decider.map(|(_, version)| version),
            "locked": layer.is_some_and(|layer| layer.locked),
            "expires_at": layer.and_then(|layer| layer.expires_at).map(|at| at.to_string()),
            "rules": layer.map(|layer| rules(&layer.rules)),
        })
    });
    json!({ "scope": scope(at), "secrets": secrets.collect::<Value>() })
}

/// A row of audit with its number. A body that isn't JSON any more is given as text.
pub(crate) fn audit_row(row: &AuditRow) -> Value {
    match serde_json::from_str::<Value>(&row.body) {
        Ok(Value::Object(mut body)) => {
            body.insert("sequence".to_owned(), row.sequence.into());
            Value::Object(body)
        }
        Ok(_) | Err(_) => json!({ "sequence": row.sequence, "unreadable": row.body }),
    }
}

pub(crate) fn verified(rows: u64) -> Value {
    json!({ "intact": true, "rows": rows })
}

pub(crate) fn broken(sequence: u64, problem: &str) -> Value {
    json!({ "intact": false, "first_bad_row": sequence, "problem": problem })
}

pub(crate) fn initialised_on_aws(home: &std::path::Path, settings: &AwsSettings, next: &[String]) -> Value {
    let (store, place) = match settings.kind {
        AwsKind::DynamoDb => ("dynamodb", &settings.table),
        AwsKind::SecretsManager => ("secrets-manager", &settings.prefix),
    };
    json!({
        "home": home.display().to_string(),
        "store": store,
        "place": place,
        "kms_key": settings.kms_key,
        "next": next,
    })
}

pub(crate) fn copied(Progress { scopes, rows, versions, already }: Progress) -> Value {
    json!({ "scopes": scopes, "rows": rows, "versions": versions, "already": already })
}

pub(crate) fn compacted(resealed: u64, retired: u64, keys: u64, scopes: u64) -> Value {
    json!({ "scopes": scopes, "resealed": resealed, "retired": retired, "keys": keys })
}

pub(crate) fn rewrapped(keys: u64) -> Value {
    json!({ "keys": keys })
}

/// What a listener declares and a scope doesn't have.
pub(crate) fn gaps(declared: &Declared, scopes: usize, gaps: &[Gap]) -> Value {
    let gaps = gaps
        .iter()
        .map(|gap| json!({ "scope": scope(&gap.scope), "name": gap.name.as_str(), "problem": gap.problem }));
    let names = declared.secrets.iter().map(|(name, _)| name.as_str());
    json!({
        "agent": declared.agent,
        "secrets": names.collect::<Value>(),
        "scopes": scopes,
        "gaps": gaps.collect::<Value>(),
    })
}

/// Every writer's chain of audit, checked.
pub(crate) fn chains(chains: &[(String, Verified)]) -> Value {
    let chains = chains.iter().map(|(writer, verified)| match verified {
        Verified::Intact { rows } => json!({ "writer": writer, "intact": true, "rows": rows }),
        Verified::Broken { sequence, problem } => {
            json!({ "writer": writer, "intact": false, "first_bad_row": sequence, "problem": problem })
        }
    });
    json!({ "chains": chains.collect::<Value>() })
}

pub(crate) fn findings(findings: &Findings) -> Value {
    let about = |at: &Scope, name: &SecretName| json!({ "scope": scope(at), "name": name.as_str() });
    let checks = findings.checks.iter().map(
        |check| json!({ "name": check.name, "status": check.status.as_str(), "message": check.message }),
    );
    let damaged = findings.damaged.iter().map(|damage| {
        let mut value = about(&damage.scope, &damage.name);
        value["version"] = damage.version.into();
        value["problem"] = damage.problem.into();
        value
    });
    let unreadable =
        findings.unreadable.iter().map(|(at, why)| json!({ "scope": scope(at), "problem": why }));
    let weak = findings.weak.iter().map(|weak| {
        let mut value = about(&weak.scope, &weak.name);
        value["problem"] = weak.problem.as_str().into();
        value
    });
    json!({
        "checks": checks.collect::<Value>(),
        "records": findings.records,
        "unopened": findings.unopened,
        "damaged": damaged.collect::<Value>(),
        "unreadable": unreadable.collect::<Value>(),
        "weak": weak.collect::<Value>(),
        "purged": findings.purged.iter().map(|(at, name)| about(at, name)).collect::<Value>(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn json_on_a_terminal_holds_no_control_sequence_and_reads_back() {
        let value = json!({ "a": "\u{1b}[31m\u{9b}2J\u{202e}\u{e0001}\n" });
        let text = super::to_text(&value);
        assert_eq!(text, "{\"a\":\"\\u001b[31m\\u009b2J\\u202e\\udb40\\udc01\\n\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert_eq!(super::to_pretty(&json!({ "a": [] })), "{\n  \"a\": []\n}");
    }
}
