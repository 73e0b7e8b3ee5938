//! `secrets set`: a value from standard input or a hidden prompt, never from an argument.

use std::io::IsTerminal;

use undertone_core::resolve::{Explanation, LayerReport, Role, State, explain};
use undertone_core::vault::{EmptyValue, Expected, ExternalRequest, SetRequest, Spelling};
use undertone_core::{
    ChainRows, ExternalRef, Mode, NameError, Names, Revision, Rules, Scope, SecretName, SecretValue,
};
use zeroize::Zeroizing;

use crate::args::SetArgs;
use crate::exit::Failure;
use crate::input::{FinalNewline, piped};
use crate::opened::Opened;
use crate::prompt;
use crate::records::Checker;
use crate::screen::Screen;
use crate::wire;

pub(crate) async fn set(
    screen: &Screen,
    open: impl AsyncFn() -> Result<Opened, Failure>,
    args: SetArgs,
) -> Result<(), Failure> {
    if !args.extra.is_empty() || args.value.is_some() {
        return Err(Failure::ValueAsArgument);
    }
    let spelling = if args.allow_noncanonical { Spelling::Any } else { Spelling::Canonical };
    let name = judge_name(&args.name.0, spelling)?;
    let opened = open().await?;
    let now = opened.clock.now();
    let expires_at = args.expires.map(|expiry| expiry.from(now).ok_or(Failure::ExpiryTooFar)).transpose()?;
    let scope = args.scope.scope();
    let rows = opened.store.chain(&scope.chain(), Names::Only(std::slice::from_ref(&name))).await?;
    let before = explain(&rows, &scope.chain(), &name, now);
    let rules = match args.keep_rules {
        true => kept_rules(&opened, &rows, &scope, &name).await?,
        false => args.rules.rules(),
    };
    let expected = match (args.if_absent, args.keep_rules) {
        (true, _) => Expected::Absent,
        // Rules that somebody narrowed while the value was typed must not be widened back.
        (false, true) => own_revision(&rows, &scope, &name).map_or(Expected::Absent, Expected::At),
        (false, false) => Expected::Any,
    };
    let mut lints: Vec<&str> = Vec::new();
    let written = match &args.external {
        Some(id) => {
            let reference = ExternalRef::new(id, args.json_key.as_deref())?;
            let (name, rules) = (name.clone(), rules.clone());
            let request = ExternalRequest { name, reference, rules, expires_at, spelling, expected };
            opened.vault.refer(&scope, request).await?
        }
        None => {
            let newline = if args.raw { FinalNewline::Kept } else { FinalNewline::Stripped };
            let value = SecretValue::new(read_value(screen, &name, newline)?)?;
            lints.extend(value.lints().into_iter().map(undertone_core::ValueLint::message));
            let empty = if args.allow_empty { EmptyValue::Allowed } else { EmptyValue::Refused };
            let (name, rules) = (name.clone(), rules.clone());
            let request = SetRequest { name, value, rules, expires_at, spelling, empty, expected };
            opened.vault.set(&scope, request).await?
        }
    };
    let mut warnings: Vec<String> =
        lints.iter().map(|lint| format!("the value of `{name}` {lint}")).collect();
    warnings.extend(lost(own_layer(&before, &scope), &rules, expires_at.is_some()));
    warnings.extend(nowhere_to_go(&written.after, rows.mode));
    warnings.iter().for_each(|warning| screen.warn(warning));
    let version = written.version.unwrap_or_default();
    screen.done(
        || format!("`{name}`: version {version} is set in {scope}.\n{}", consequence(&written.after, &scope)),
        || wire::changed("set", &scope, written.version, &warnings, &written.after),
    )
}

fn own_revision(rows: &ChainRows, scope: &Scope, name: &SecretName) -> Option<Revision> {
    let mut own = rows.scopes.iter().filter(|own| own.scope == *scope).flat_map(|own| &own.rows);
    own.find(|row| row.name == *name).map(|row| row.revision)
}

/// The name, or an error that doesn't repeat the text: it may be a value in the name's place.
fn judge_name(text: &str, spelling: Spelling) -> Result<SecretName, Failure> {
    if spelling == Spelling::Canonical && text.contains('=') {
        return Err(Failure::ValueAsArgument);
    }
    let name = text.parse::<SecretName>().map_err(|error| match error {
        NameError::Empty => Failure::NoName("it is empty"),
        NameError::TooLong(_) => Failure::NoName("it is too long"),
        NameError::Hidden { .. } => Failure::NoName("it holds a hidden character"),
        NameError::OuterSpace(_) => Failure::NoName("it starts or ends with white space"),
    })?;
    match spelling {
        Spelling::Canonical if !name.is_canonical() => Err(Failure::NotCanonical),
        Spelling::Canonical | Spelling::Any => Ok(name),
    }
}

fn read_value(
    screen: &Screen,
    name: &SecretName,
    newline: FinalNewline,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if std::io::stdin().is_terminal() {
        return prompt::new_value(name.as_str());
    }
    let piped = piped(newline)?;
    if piped.stripped {
        screen.note("one final newline was stripped; --raw keeps it");
    }
    Ok(piped.value)
}

/// The rules of the current version, once its record has proved that nobody edited them: the new
/// version is sealed with them, so an edit in the store must not be made good here.
async fn kept_rules(
    opened: &Opened,
    rows: &ChainRows,
    scope: &Scope,
    name: &SecretName,
) -> Result<Rules, Failure> {
    let own = rows.scopes.iter().find(|own| own.scope == *scope);
    let row = own.and_then(|own| Some((own, own.rows.iter().find(|row| row.name == *name)?)));
    let current = row.and_then(|(own, row)| Some((own, row, row.current.as_ref()?)));
    let Some((own, row, version)) = current else {
        return Err(Failure::NoRulesToKeep(name.clone()));
    };
    let checker = Checker::new(opened.store.id(), opened.opener.clone());
    match checker.check(row, version, &own.keys).await? {
        Ok(()) => Ok(version.rules.clone()),
        Err(_) => Err(Failure::RulesNotTrusted(name.clone())),
    }
}

fn own_layer<'a>(explanation: &'a Explanation, scope: &Scope) -> Option<&'a LayerReport> {
    explanation.layers.iter().find(|layer| layer.scope == *scope && layer.version.is_some())
}

/// What the version before had and the new one has not.
fn lost(before: Option<&LayerReport>, rules: &Rules, expires: bool) -> Vec<String> {
    let Some((before, version)) = before.and_then(|before| Some((before, before.version?))) else {
        return Vec::new();
    };
    let mut lost = Vec::new();
    if before.rules != Rules::default() && *rules == Rules::default() {
        lost.push(format!(
            "version {version} had rules of use and this one has none: --keep-rules keeps them"
        ));
    }
    if before.expires_at.is_some() && !expires {
        lost.push(format!("version {version} was to expire and this one isn't: --expires says when"));
    }
    lost
}

fn nowhere_to_go(after: &Explanation, mode: Mode) -> Option<String> {
    let has_hosts = after.rules.0.iter().any(|rules| rules.hosts.is_some());
    (after.result == State::Value && mode == Mode::Standard && !has_hosts).then(|| {
        format!(
            "no rule says to which hosts `{}` may go, so it can't be sent anywhere from here: add --host",
            after.name
        )
    })
}

/// What the new row does to others, or others to it. Ends with a newline if it isn't empty.
fn consequence(after: &Explanation, scope: &Scope) -> String {
    let own = after.layers.iter().find(|layer| layer.scope == *scope);
    let decides = own.is_some_and(|own| own.role == Role::Decides && own.state == State::Value);
    if !decides {
        return format!("It doesn't win there. {}\n", after.sentence());
    }
    let beaten = after.layers.iter().find(|layer| layer.role == Role::Overridden);
    beaten.map_or_else(String::new, |layer| match layer.version {
        Some(version) if layer.state == State::Value => {
            format!("It overrides version {version} of {}.\n", layer.scope)
        }
        Some(_) | None => format!("It overrides {}, which is {} there.\n", layer.scope, layer.state.as_str()),
    })
}
