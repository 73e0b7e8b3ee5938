//! `deploy check`: does every Space have what a listener declares?
//!
//! Nothing is opened and nothing leaves: rows are compared with the declaration, as the resolver
//! would choose among them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anstyle::AnsiColor;
use serde_json::Value;
use undertone_core::resolve::{State, explain};
use undertone_core::{HostRule, Names, Scope, SecretName};

use crate::args::CheckArgs;
use crate::exit::Failure;
use crate::opened::Opened;
use crate::scopes::spaces;
use crate::screen::Screen;
use crate::table::{Cell, Table};
use crate::{progress, wire};

/// More than any description has, in bytes.
const LARGEST: u64 = 1 << 20;

/// What a listener declares.
pub(crate) struct Declared {
    pub agent: String,
    pub secrets: Vec<(SecretName, Option<BTreeSet<HostRule>>)>,
}

/// A name that a scope doesn't have as the listener needs it.
pub(crate) struct Gap {
    pub scope: Scope,
    pub name: SecretName,
    pub problem: &'static str,
}

pub(crate) async fn check(
    screen: &Screen,
    open: impl AsyncFn() -> Result<Opened, Failure>,
    args: CheckArgs,
) -> Result<(), Failure> {
    let text = match &args.description {
        Some(file) => read(file)?,
        None => ask(&args.program)?,
    };
    let declared = parse(&text).ok_or(Failure::NoDescription)?;
    let opened = open().await?;
    let scopes = match args.space {
        Some(space) => vec![Scope::Space(args.env, space)],
        None => {
            let inside = spaces(&opened, &args.env).await?.into_iter();
            let inside: Vec<Scope> = inside.map(|space| Scope::Space(space.environment, space.id)).collect();
            // An Environment without Spaces is checked by itself.
            if inside.is_empty() { vec![Scope::Environment(args.env)] } else { inside }
        }
    };
    let bar = progress::bar(screen, "checking", scopes.len() as u64);
    let mut gaps = Vec::new();
    for scope in &scopes {
        gaps.extend(compare(&opened, scope, &declared).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    screen.answer(
        || table(screen, &declared, scopes.len(), &gaps),
        || wire::gaps(&declared, scopes.len(), &gaps),
    )?;
    match gaps.len() {
        0 => Ok(()),
        missing => Err(Failure::Gaps(missing)),
    }
}

async fn compare(opened: &Opened, scope: &Scope, declared: &Declared) -> Result<Vec<Gap>, Failure> {
    let names: Vec<SecretName> = declared.secrets.iter().map(|(name, _)| name.clone()).collect();
    let rows = opened.store.chain(&scope.chain(), Names::Only(&names)).await?;
    let mut gaps = Vec::new();
    for (name, hosts) in &declared.secrets {
        let found = explain(&rows, &scope.chain(), name, opened.clock.now());
        let problem = match found.result {
            State::Absent => Some("missing"),
            State::Blocked => Some("blocked"),
            State::Disabled => Some("disabled"),
            State::Expired => Some("expired"),
            State::Revoked => Some("revoked"),
            State::Value => {
                let mut ruled = found.rules.0.iter().filter_map(|rules| rules.hosts.as_ref()).peekable();
                let standard = rows.mode == undertone_core::Mode::Standard;
                match hosts {
                    _ if standard && ruled.peek().is_none() => Some("may go nowhere: it has no host rule"),
                    Some(wanted) if ruled.any(|allowed| wanted.is_disjoint(allowed)) => {
                        Some("may go to none of the hosts that the listener declares")
                    }
                    Some(_) | None => None,
                }
            }
        };
        gaps.extend(problem.map(|problem| Gap { scope: scope.clone(), name: name.clone(), problem }));
    }
    Ok(gaps)
}

fn read(file: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| Failure::DescriptionFile(error.kind()))?;
    opened.take(LARGEST).read_to_string(&mut text).map_err(|error| Failure::DescriptionFile(error.kind()))?;
    Ok(text)
}

/// Asks the program what it declares. It ends without handling anything.
fn ask(program: &[OsString]) -> Result<String, Failure> {
    let [program, arguments @ ..] = program else {
        return Err(Failure::Usage("name the program: undertone deploy check -- PROGRAM".to_owned()));
    };
    let output = Command::new(program)
        .args(arguments)
        .env("UNDERTONE_DESCRIBE", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|error| {
        let program = undertone_core::escaped(&program.to_string_lossy());
        Failure::Program { program, kind: error.kind() }
    })?;
    String::from_utf8(output.stdout).map_err(|_| Failure::NoDescription)
}

fn parse(text: &str) -> Option<Declared> {
    let described: Value = serde_json::from_str(text.trim()).ok()?;
    let agent = described["agent"].as_str()?.parse::<undertone_core::AgentId>().ok()?;
    let secret = |secret: &Value| {
        let name: SecretName = secret["name"].as_str()?.parse().ok()?;
        let host = |host: &Value| host.as_str()?.parse::<HostRule>().ok();
        let hosts = match &secret["hosts"] {
            Value::Null => None,
            hosts => Some(hosts.as_array()?.iter().map(host).collect::<Option<_>>()?),
        };
        Some((name, hosts))
    };
    let secrets = described["secrets"].as_array()?.iter().map(secret).collect::<Option<_>>()?;
    Some(Declared { agent: agent.to_string(), secrets })
}

fn table(screen: &Screen, declared: &Declared, scopes: usize, gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        let count = declared.secrets.len();
        return format!(
            "`{}` has all {count} secrets that it declares in {scopes} scopes.\n",
            declared.agent
        );
    }
    let mut table = Table::new(&["SCOPE", "NAME", "PROBLEM"]);
    for gap in gaps {
        let problem = Cell::styled(gap.problem, AnsiColor::Red.on_default());
        table.row([gap.scope.to_string().into(), gap.name.as_str().into(), problem]);
    }
    table.render(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_description_is_one() {
        let good = r#"{"agent":"a","topics":[],"secrets":[{"name":"A","hosts":null},{"name":"B","hosts":["a.example"]}]}"#;
        assert_eq!(parse(good).unwrap().secrets.len(), 2);
        for bad in [
            "",
            "{}",
            "listening",
            r#"{"agent":"a/b","secrets":[]}"#,
            r#"{"agent":"a","secrets":[{"name":""}]}"#,
            r#"{"agent":"a","secrets":[{"name":"A","hosts":["*"]}]}"#,
            r#"{"agent":"a","secrets":[{"name":"A","hosts":"a.example"}]}"#,
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
