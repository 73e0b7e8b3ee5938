//! `secrets export`: names, states, versions and rules of what a scope sees. Never a value: a
//! vault returns none, so there is none to print.

use std::fmt::Write;

use serde_json::Value;
use undertone_core::Scope;
use undertone_core::resolve::Explanation;

use crate::args::{ExportArgs, ExportFormat};
use crate::exit::Failure;
use crate::opened::Opened;
use crate::screen::{Form, Screen, shown, write_out};
use crate::secrets::origin::origin;
use crate::secrets::show::effective_hosts;
use crate::wire;

pub(crate) async fn export(screen: &Screen, opened: &Opened, args: ExportArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let all = opened.vault.list(&scope).await?;
    write_out(&match (screen.form(), args.format) {
        (Form::Json, _) | (Form::Text, ExportFormat::Json) => {
            wire::to_pretty(&wire::exported(&scope, &all)) + "\n"
        }
        (Form::Text, ExportFormat::Yaml) => yaml(&wire::exported(&scope, &all)),
        (Form::Text, ExportFormat::Env) => env(&scope, &all),
    })
}

/// Block mappings and lists; texts are quoted as in JSON, which every YAML reader understands.
fn yaml(value: &Value) -> String {
    let mut out = String::new();
    yaml_node(&mut out, value, 0);
    out.trim_start_matches('\n').to_owned()
}

fn yaml_node(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let _ = write!(out, "\n{indent}{key}:");
                yaml_node(out, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut nested = String::new();
                yaml_node(&mut nested, item, depth + 1);
                // The first line of a nested mapping stands behind the dash.
                let _ = write!(out, "\n{indent}- {}", nested.trim_start());
            }
        }
        leaf => {
            let _ = write!(out, " {}", wire::to_text(leaf));
        }
    }
    if depth == 0 {
        out.push('\n');
    }
}

/// A file for `secrets import`, once somebody has filled in the values.
fn env(scope: &Scope, all: &[Explanation]) -> String {
    let mut out = format!("# {scope}\n");
    for known in all {
        let from = known.winner.as_ref().map_or_else(String::new, |(scope, version)| {
            format!(", version {version} of {scope} ({})", origin(known).as_str())
        });
        let hosts = match effective_hosts(&known.rules) {
            hosts if hosts == "-" => String::new(),
            hosts => format!(", hosts {hosts}"),
        };
        let _ = writeln!(out, "\n# {}{from}{hosts}", known.result.as_str());
        let name = known.name.as_str();
        let _ = match crate::import::is_env_key(name) {
            true => writeln!(out, "{name}="),
            false => writeln!(out, "# {} (a name that .env can't write)", shown(name)),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn yaml_is_nested_by_indentation_and_texts_are_quoted() {
        let value = json!({
            "scope": { "environment": "prod", "space": null },
            "secrets": [
                { "name": "A: b", "rules": { "hosts": ["slack.com"], "methods": null }, "version": 1 },
                { "name": "C\u{9b}", "rules": { "hosts": [] } },
            ],
        });
        let want = "scope:\n  environment: \"prod\"\n  space: null\nsecrets:\n  - name: \"A: b\"\n    rules:\n      \
                    hosts:\n        - \"slack.com\"\n      methods: null\n    version: 1\n  - name: \"C\\u009b\"\n    \
                    rules:\n      hosts: []\n";
        assert_eq!(super::yaml(&value), want);
    }
}
