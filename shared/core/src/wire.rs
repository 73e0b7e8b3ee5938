//! The JSON shapes that core promises to strangers: explanations, rules, rows of audit.
//!
//! Domain types don't derive `Serialize`; they are converted here, so that a change of a shape
//! is a change of this file.

use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::{Actor, AuditEntry, Outcome};
use crate::resolve::Explanation;
use crate::rules::{EffectiveRules, Reveal, Rules};
use crate::scope::Scope;

/// A scope as `{"environment": .., "space": ..}`; `space` is null for an Environment.
pub fn scope(scope: &Scope) -> Value {
    json!({
        "environment": scope.environment().as_str(),
        "space": scope.space().map(|space| space.as_str()),
    })
}

/// Rules of use; a field that says nothing is null.
pub fn rules(rules: &Rules) -> Value {
    fn list<T: ToString>(values: &Option<std::collections::BTreeSet<T>>) -> Value {
        values.as_ref().map_or(Value::Null, |values| {
            values.iter().map(|value| Value::String(value.to_string())).collect()
        })
    }
    json!({
        "hosts": list(&rules.hosts),
        "methods": list(&rules.methods),
        "sinks": list(&rules.sinks),
        "reveal": rules.reveal == Reveal::Allowed,
    })
}

fn effective(layers: &EffectiveRules) -> Value {
    layers.0.iter().map(rules).collect()
}

/// What `explain` prints with `--json`, and what API and console show.
pub fn explanation(explanation: &Explanation) -> Value {
    let layers = explanation.layers.iter().map(|layer| {
        json!({
            "scope": scope(&layer.scope),
            "state": layer.state.as_str(),
            "role": layer.role.as_str(),
            "reason": layer.reason(),
            "version": layer.version,
            "locked": layer.locked,
            "expires_at": layer.expires_at.map(|at| at.to_string()),
            "rules": rules(&layer.rules),
        })
    });
    json!({
        "name": explanation.name.as_str(),
        "scope": scope(&explanation.chain.nearest()),
        "result": explanation.result.as_str(),
        "winner": explanation.winner.as_ref().map(|(winner, version)| json!({
            "scope": scope(winner),
            "version": version,
        })),
        "all_of": effective(&explanation.rules),
        "layers": layers.collect::<Value>(),
    })
}

/// An entry of audit as the text that the chain's MAC covers. Fields in a fixed order.
pub fn audit_body(entry: &AuditEntry) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        at: String,
        actor: Value,
        action: &'a str,
        scope: Option<Value>,
        asked_in: Option<Value>,
        name: Option<&'a str>,
        version: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source_version: Option<&'a str>,
        sink: Option<&'a str>,
        method: Option<&'a str>,
        host: Option<String>,
        reason: Option<&'a str>,
        outcome: &'a str,
        detail: Option<&'a str>,
    }
    let (outcome, detail) = match &entry.outcome {
        Outcome::Allowed => ("allowed", None),
        Outcome::Refused(why) => ("refused", Some(why.as_str())),
        Outcome::Failed(why) => ("failed", Some(why.as_str())),
    };
    let destination = entry.destination.as_ref();
    let body = Body {
        at: entry.at.to_string(),
        actor: match &entry.actor {
            Actor::Operator(name) => json!({ "operator": &**name }),
            Actor::Agent { agent, event } => json!({ "agent": &**agent, "event": &**event }),
        },
        action: entry.action.as_str(),
        scope: entry.scope.as_ref().map(scope),
        asked_in: entry.asked_in.as_ref().map(scope),
        name: entry.name.as_ref().map(|name| name.as_str()),
        version: entry.version,
        source_version: entry.source_version.as_deref(),
        sink: destination.map(|(sink, _)| sink.as_str()),
        method: destination.map(|(_, to)| to.method.as_str()),
        host: destination.map(|(_, to)| to.to.to_string()),
        reason: entry.reason.as_deref(),
        outcome,
        detail,
    };
    serde_json::to_string(&body).expect("texts and numbers serialise")
}
