//! What a caller asks of the vault. Choices are enums, so that a call reads as what it does.

use jiff::Timestamp;

use crate::external::ExternalRef;
use crate::name::SecretName;
use crate::row::Revision;
use crate::rules::Rules;
use crate::scope::Scope;
use crate::value::SecretValue;

/// Which names may be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `[A-Z][A-Z0-9_]{0,127}` only.
    #[default]
    Canonical,
    /// Any printable name.
    Any,
}

/// Whether a value may have no bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyValue {
    /// Refused: it is nearly always a mistake.
    #[default]
    Refused,
    /// The empty value is a value.
    Allowed,
}

/// What the caller believes of the row that it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Nothing; a writer that comes between is still a conflict.
    #[default]
    Any,
    /// There is none.
    Absent,
    /// It has this revision.
    At(Revision),
}

/// A value to set.
pub struct SetRequest {
    /// The name.
    pub name: SecretName,
    /// The value.
    pub value: SecretValue,
    /// Its rules of use.
    pub rules: Rules,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Which names may be made.
    pub spelling: Spelling,
    /// Whether the value may be empty.
    pub empty: EmptyValue,
    /// What the caller believes of the row.
    pub expected: Expected,
}

impl SetRequest {
    /// A request with the strictest choices and no rules.
    pub fn new(name: SecretName, value: SecretValue) -> Self {
        Self {
            name,
            value,
            rules: Rules::default(),
            expires_at: None,
            spelling: Spelling::default(),
            empty: EmptyValue::default(),
            expected: Expected::default(),
        }
    }
}

/// A reference to set: the value stays where it is.
pub struct ExternalRequest {
    /// The name.
    pub name: SecretName,
    /// Where the value is.
    pub reference: ExternalRef,
    /// Its rules of use.
    pub rules: Rules,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Which names may be made.
    pub spelling: Spelling,
    /// What the caller believes of the row.
    pub expected: Expected,
}

/// What an import does with names that the scope already has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// Leaves them alone.
    #[default]
    Keep,
    /// Sets a new version.
    Replace,
}

/// One name of an import, parsed, with its value.
pub struct ImportItem {
    /// The name.
    pub name: SecretName,
    /// The value.
    pub value: SecretValue,
    /// What the plan saw of the row.
    pub expected: Expected,
}

/// One scope of an import.
pub struct ImportPart {
    /// Whose values they are.
    pub scope: Scope,
    /// Whether the scope is there.
    pub makes: Makes,
    /// The values.
    pub items: Vec<ImportItem>,
}

/// What an import makes before it sets values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Nothing: the scope is there.
    Nothing,
    /// The Space.
    Space,
}

/// What an import would do with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRow {
    /// The name.
    pub name: SecretName,
    /// What would happen.
    pub outcome: Outcome,
}

/// What an import would do with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The name is new in the chain.
    Add,
    /// The Space gets its own value over the Environment's.
    Override,
    /// The scope's row gets a new version.
    Replace,
    /// The scope has the name already and keeps it.
    Skip,
    /// It can't be imported, for this reason.
    Conflict(String),
}

impl Outcome {
    /// The outcome's name in tables and JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Add => "add",
            Outcome::Override => "override",
            Outcome::Replace => "replace",
            Outcome::Skip => "skip",
            Outcome::Conflict(_) => "conflict",
        }
    }
}
