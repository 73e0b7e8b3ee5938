//! Why a value won: the chain, the winner, the losers, as one object for text and JSON.

use std::fmt;

use jiff::Timestamp;

use super::choose::{Decision, Role, State, choose};
use crate::name::SecretName;
use crate::rules::{EffectiveRules, Rules};
use crate::scope::{Chain, Scope};
use crate::store::ChainRows;

/// The whole truth about one name in one chain. Never holds a value.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The name.
    pub name: SecretName,
    /// The chain.
    pub chain: Chain,
    /// Every scope, from the Environment down.
    pub layers: Vec<LayerReport>,
    /// What the chain as a whole says.
    pub result: State,
    /// The deciding scope and the version that it says it with.
    pub winner: Option<(Scope, u64)>,
    /// The rules that bind a use of the winner.
    pub rules: EffectiveRules,
}

/// One scope of the chain.
#[derive(Clone, Debug)]
pub struct LayerReport {
    /// Which scope.
    pub scope: Scope,
    /// What its row says.
    pub state: State,
    /// What became of it.
    pub role: Role,
    /// The current version, if there is a row.
    pub version: Option<u64>,
    /// Whether the row is locked.
    pub locked: bool,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Its own rules of use.
    pub rules: Rules,
}

/// Explains a name from the rows of its chain; the same [`choose`] decides here and in the resolver.
pub fn explain(rows: &ChainRows, chain: &Chain, name: &SecretName, now: Timestamp) -> Explanation {
    let choice = choose(rows, name, now);
    let (result, winner, rules) = match choice.decision {
        Decision::Value { row, version, rules } => (State::Value, Some((row, version.number)), rules),
        Decision::Blocked(row) => (State::Blocked, Some((row, row.head.current)), EffectiveRules::default()),
        Decision::Disabled(row) => {
            (State::Disabled, Some((row, row.head.current)), EffectiveRules::default())
        }
        Decision::Expired(row) => (State::Expired, Some((row, row.head.current)), EffectiveRules::default()),
        Decision::Revoked(row) => (State::Revoked, Some((row, row.head.current)), EffectiveRules::default()),
        Decision::NotFound => (State::Absent, None, EffectiveRules::default()),
    };
    let layers = choice.layers.iter().map(|layer| {
        let version = layer.row.and_then(|row| row.current.as_ref());
        LayerReport {
            scope: layer.scope.clone(),
            state: layer.state,
            role: layer.role,
            version: version.map(|version| version.number),
            locked: layer.row.is_some_and(|row| row.head.locked),
            expires_at: layer.row.and_then(|row| row.head.expires_at),
            rules: version.map(|version| version.rules.clone()).unwrap_or_default(),
        }
    });
    Explanation {
        name: name.clone(),
        chain: chain.clone(),
        layers: layers.collect(),
        result,
        winner: winner.map(|(row, version)| (row.scope.clone(), version)),
        rules,
    }
}

impl State {
    /// The state's name in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Absent => "absent",
            State::Value => "value",
            State::Blocked => "blocked",
            State::Disabled => "disabled",
            State::Expired => "expired",
            State::Revoked => "revoked",
        }
    }
}

impl Role {
    /// The role's name in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Decides => "decides",
            Role::Silent => "silent",
            Role::Overridden => "overridden",
            Role::ShadowedByLock => "shadowed_by_lock",
        }
    }
}

impl Explanation {
    /// The answer in one sentence.
    pub fn sentence(&self) -> String {
        let name = &self.name;
        let Some((scope, version)) = &self.winner else {
            return format!("`{name}` is not set anywhere in the chain.");
        };
        let how = match self.result {
            State::Absent => return format!("`{name}` is not set anywhere in the chain."),
            State::Value => "wins",
            State::Blocked => "blocks it",
            State::Disabled => "is disabled, so nothing resolves",
            State::Expired => "has expired, so nothing resolves",
            State::Revoked => "was revoked, so nothing resolves",
        };
        let locked = self.layers.iter().any(|layer| layer.role == Role::Decides && layer.locked);
        let lock = if locked { " (locked: no Space overrides it)" } else { "" };
        match self.result {
            State::Blocked => format!("`{name}`: {scope} {how}{lock}."),
            _ => format!("`{name}`: version {version} of {scope} {how}{lock}."),
        }
    }
}

impl LayerReport {
    /// Why the layer has its role, in a few words.
    pub fn reason(&self) -> &'static str {
        match (self.role, self.state) {
            (Role::Silent, _) => "no row here: what is above is inherited",
            (Role::Overridden, _) => "a nearer scope has a row",
            (Role::ShadowedByLock, _) => "a scope above is locked",
            (Role::Decides, State::Absent) => "no row here",
            (Role::Decides, State::Value) if self.locked => "locked: the first locked row decides",
            (Role::Decides, State::Value) => "the nearest row decides",
            (Role::Decides, State::Blocked) => "blocked here: nothing is inherited",
            (Role::Decides, State::Disabled) => "switched off here: no fallback",
            (Role::Decides, State::Expired) => "expired here: no fallback",
            (Role::Decides, State::Revoked) => "revoked here: no fallback",
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sentence())?;
        for layer in &self.layers {
            let version = layer.version.map(|v| format!(" v{v}")).unwrap_or_default();
            writeln!(
                f,
                "  {}: {}{version}, {} ({})",
                layer.scope,
                layer.state.as_str(),
                layer.role.as_str(),
                layer.reason()
            )?;
        }
        Ok(())
    }
}
