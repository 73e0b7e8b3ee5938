//! Which row of a chain wins: the truth table, in one pure function.

use jiff::Timestamp;

use crate::name::SecretName;
use crate::row::{Body, Row, Standing, Version};
use crate::rules::EffectiveRules;
use crate::scope::Scope;
use crate::store::ChainRows;

/// What one scope of the chain says about the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: the only state that falls through.
    Absent,
    /// It has a usable value.
    Value,
    /// It blocks what it would inherit.
    Blocked,
    /// It is switched off.
    Disabled,
    /// Its time is over.
    Expired,
    /// Its current version was revoked.
    Revoked,
}

/// What became of a scope's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Decides,
    /// There is no row.
    Silent,
    /// A nearer scope decides.
    Overridden,
    /// A locked row above decides.
    ShadowedByLock,
}

/// One scope of the chain.
#[derive(Clone, Debug)]
pub struct Layer<'a> {
    /// Which scope.
    pub scope: &'a Scope,
    /// Its row, if one takes part.
    pub row: Option<&'a Row>,
    /// What the row says.
    pub state: State,
    /// What became of it.
    pub role: Role,
}

/// What the chain as a whole says.
#[derive(Clone, Debug)]
pub enum Decision<'a> {
    /// A value.
    Value {
        /// The winning row.
        row: &'a Row,
        /// Its current version.
        version: &'a Version,
        /// The rules of the row and of every row above it.
        rules: EffectiveRules,
    },
    /// The deciding row blocks.
    Blocked(&'a Row),
    /// The deciding row is switched off.
    Disabled(&'a Row),
    /// The deciding row has expired.
    Expired(&'a Row),
    /// The deciding row's version was revoked.
    Revoked(&'a Row),
    /// No scope says anything.
    NotFound,
}

/// The answer with its reasons.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// Every scope, from the Environment down.
    pub layers: Vec<Layer<'a>>,
    /// The answer.
    pub decision: Decision<'a>,
}

/// Chooses among a chain's rows of one name.
///
/// From the Environment down the first locked row decides; else from the most specific scope up
/// the first row that is not absent.
pub fn choose<'a>(chain: &'a ChainRows, name: &SecretName, now: Timestamp) -> Choice<'a> {
    let mut layers: Vec<Layer<'a>> = chain
        .scopes
        .iter()
        .map(|scope| {
            let row =
                scope.rows.iter().find(|row| row.name == *name && row.head.standing == Standing::Active);
            Layer {
                scope: &scope.scope,
                row,
                state: row.map_or(State::Absent, |row| state(row, now)),
                role: Role::Silent,
            }
        })
        .collect();
    let lock = layers.iter().position(|layer| layer.row.is_some_and(|row| row.head.locked));
    let decider = lock.or_else(|| layers.iter().rposition(|layer| layer.row.is_some()));
    for (index, layer) in layers.iter_mut().enumerate() {
        layer.role = match layer.row {
            None => Role::Silent,
            Some(_) if Some(index) == decider => Role::Decides,
            Some(_) if lock.is_some_and(|lock| lock < index) => Role::ShadowedByLock,
            Some(_) => Role::Overridden,
        };
    }
    let decision = decider.map_or(Decision::NotFound, |index| decide(&layers, index));
    Choice { layers, decision }
}

fn decide<'a>(layers: &[Layer<'a>], index: usize) -> Decision<'a> {
    let row = layers[index].row.expect("the deciding layer has a row");
    match layers[index].state {
        State::Absent => Decision::NotFound,
        State::Blocked => Decision::Blocked(row),
        State::Disabled => Decision::Disabled(row),
        State::Expired => Decision::Expired(row),
        State::Revoked => Decision::Revoked(row),
        State::Value => Decision::Value {
            row,
            version: row.current.as_ref().expect("a value has a version"),
            rules: EffectiveRules(
                layers[..=index]
                    .iter()
                    .filter_map(|layer| layer.row?.current.as_ref())
                    // A block carries no rules of its own: it would lift what lies above it.
                    .filter(|version| matches!(version.body, Body::Value(_) | Body::External(_)))
                    .map(|version| version.rules.clone())
                    .collect(),
            ),
        },
    }
}

fn state(row: &Row, now: Timestamp) -> State {
    let Some(version) = &row.current else {
        return State::Absent;
    };
    if row.head.disabled {
        return State::Disabled;
    }
    if version.revoked {
        return State::Revoked;
    }
    match version.body {
        Body::Blocked(_) => State::Blocked,
        Body::Value(_) | Body::External(_) if row.head.expires_at.is_some_and(|at| at <= now) => {
            State::Expired
        }
        Body::Value(_) | Body::External(_) => State::Value,
    }
}
