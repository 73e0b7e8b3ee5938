//! The demo's home, Environment, Spaces and secrets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use undertone_core::audit::Actor;
use undertone_core::vault::{SetRequest, Spelling, Vault};
use undertone_core::{
    HostRule, Method, Mode, Rules, Scope, SecretName, SecretValue, Sink, SystemClock, random_bytes,
};
use undertone_local::{Home, NewKey};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// The Space that inherits.
pub(crate) const INHERITS: &str = "acme";
/// The Space that overrides.
pub(crate) const OVERRIDES: &str = "globex";
/// The Space that blocks.
pub(crate) const BLOCKS: &str = "initech";

pub(crate) struct World {
    pub home: Home,
    pub vault: Vault,
}

/// A new home and its key, side by side in one folder.
pub(crate) fn make(folder: &Path, actor: Actor) -> Result<World, Failure> {
    let home = Home::init(&folder.join("home"), NewKey::File(folder.join("key").join("root.key")))?;
    let (keys, clock) = (home.keys(), Arc::new(SystemClock::default()));
    let vault = Vault::new(home.store(), keys.clone(), keys, home.audit(), clock, actor);
    Ok(World { home, vault })
}

/// A folder in the system's place for temporary files that nobody else may enter.
pub(crate) fn new_folder() -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new().prefix("undertone-demo-").tempdir();
    // It stays, so that it can be looked at afterwards.
    Ok(folder.map_err(|error| Failure::DemoSetup(error.kind()))?.keep())
}

pub(crate) async fn scopes(vault: &Vault, mode: Mode) -> Result<(), Failure> {
    let environment: undertone_core::EnvironmentId = "demo".parse().expect("a plain id");
    vault.create_environment(environment.clone(), mode).await?;
    for space in [INHERITS, OVERRIDES, BLOCKS] {
        vault.create_space(environment.clone(), space.parse().expect("a plain id")).await?;
    }
    Ok(())
}

pub(crate) fn scope(space: Option<&str>) -> Scope {
    let environment = "demo".parse().expect("a plain id");
    match space {
        None => Scope::Environment(environment),
        Some(space) => Scope::Space(environment, space.parse().expect("a plain id")),
    }
}

pub(crate) fn name(name: &str) -> SecretName {
    name.parse().expect("a plain name")
}

pub(crate) async fn set(
    vault: &Vault,
    scope: &Scope,
    secret: &str,
    value: SecretValue,
    host: &HostRule,
    sink: &[Sink],
) -> Result<(), Failure> {
    let post: [Method; 2] = ["POST".parse().expect("a method"), "GET".parse().expect("a method")];
    let rules = Rules {
        hosts: Some(BTreeSet::from([host.clone()])),
        methods: Some(BTreeSet::from(post)),
        sinks: Some(sink.iter().copied().collect()),
        ..Rules::default()
    };
    vault.set(scope, SetRequest { rules, ..SetRequest::new(name(secret), value) }).await?;
    Ok(())
}

pub(crate) async fn block(vault: &Vault, scope: &Scope, secret: &str) -> Result<(), Failure> {
    vault.block(scope, &name(secret), Spelling::Canonical).await?;
    Ok(())
}

/// A token that looks like Slack's and is random.
pub(crate) fn made_up_token() -> Zeroizing<Vec<u8>> {
    let random = Zeroizing::new(random_bytes::<24>());
    let mut token = Zeroizing::new(Vec::with_capacity(64));
    token.extend_from_slice(b"xoxb-");
    for byte in random.iter() {
        for nibble in [byte >> 4, byte & 15] {
            token.push(b"0123456789abcdef"[usize::from(nibble)]);
        }
    }
    token
}

pub(crate) fn value(bytes: &[u8]) -> SecretValue {
    SecretValue::new(bytes.to_vec()).expect("it is short")
}
