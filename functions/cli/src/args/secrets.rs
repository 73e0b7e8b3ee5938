//! The commands under `secrets`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use undertone_core::SecretName;

use super::{Expiry, RuleArgs, ScopeArgs, Unjudged};

#[derive(Subcommand)]
pub(crate) enum SecretsCommand {
    /// Set a value, read from standard input or a hidden prompt
    Set(SetArgs),
    /// Take the row out, so that the scope inherits again
    Unset(ConfirmedArgs),
    /// Inherit nothing here: the name resolves to nothing
    Block(BlockArgs),
    /// Lock an Environment's row: no Space overrides it
    Lock(NamedArgs),
    /// Unlock an Environment's row
    Unlock(NamedArgs),
    /// Switch a row off; nothing takes its place
    Disable(NamedArgs),
    /// Switch a row on again
    Enable(NamedArgs),
    /// Take the row out; it can be restored for 30 days
    Delete(ConfirmedArgs),
    /// Destroy all versions now, for good
    Destroy(ConfirmedArgs),
    /// Make an old version current
    Restore(VersionArgs),
    /// Revoke one version for good
    Revoke(VersionArgs),
    /// List the names that a scope sees, and where each comes from
    List(ListArgs),
    /// Say which value wins and why
    Explain(NamedArgs),
    /// List all versions of a row
    History(NamedArgs),
    /// Set many values from a file: .env, JSON or YAML
    Import(ImportArgs),
    /// Print names, states and rules, never values
    Export(ExportArgs),
}

#[derive(Args)]
pub(crate) struct NamedArgs {
    /// The secret's name
    pub name: SecretName,
    #[command(flatten)]
    pub scope: ScopeArgs,
}

#[derive(Args)]
pub(crate) struct BlockArgs {
    #[command(flatten)]
    pub named: NamedArgs,
    /// Allow a name that isn't [A-Z][A-Z0-9_]*
    #[arg(long)]
    pub allow_noncanonical: bool,
}

#[derive(Args)]
pub(crate) struct ConfirmedArgs {
    #[command(flatten)]
    pub named: NamedArgs,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Args)]
pub(crate) struct VersionArgs {
    /// The secret's name
    pub name: SecretName,
    /// The version's number
    pub version: u64,
    #[command(flatten)]
    pub scope: ScopeArgs,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub scope: ScopeArgs,
}

#[derive(Args)]
pub(crate) struct SetArgs {
    /// The secret's name. The value is never an argument: pipe it, or type it when asked
    #[arg(value_name = "NAME")]
    pub name: Unjudged,
    /// Takes what somebody may pass by mistake, so that it is refused without being repeated.
    #[arg(hide = true, num_args = 0..)]
    pub extra: Vec<OsString>,
    /// As above.
    #[arg(long = "value", hide = true, num_args = 0..=1, allow_hyphen_values = true)]
    pub value: Option<Option<OsString>>,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Keep the rules of the current version; refused together with other rules
    #[arg(long, conflicts_with_all = ["hosts", "methods", "sinks", "reveal"])]
    pub keep_rules: bool,
    /// Expires at this time (RFC 3339) or after this while (90m, 12h, 30d, 8w)
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Expiry>,
    /// Only if the scope has no such row
    #[arg(long)]
    pub if_absent: bool,
    /// Allow a value of no bytes
    #[arg(long)]
    pub allow_empty: bool,
    /// Allow a name that isn't [A-Z][A-Z0-9_]*
    #[arg(long)]
    pub allow_noncanonical: bool,
    /// Keep the final newline of standard input
    #[arg(long)]
    pub raw: bool,
    /// Refer to a secret of AWS Secrets Manager, by ARN or name, instead of setting a value
    #[arg(long, value_name = "ID", conflicts_with_all = ["raw", "allow_empty"])]
    pub external: Option<String>,
    /// With --external: the field of its JSON object that is meant
    #[arg(long, value_name = "KEY", requires = "external")]
    pub json_key: Option<String>,
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The file, or - for standard input
    pub file: PathBuf,
    /// What the file is [default: by its extension]
    #[arg(long, value_enum)]
    pub format: Option<ImportFormat>,
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// The file maps Space ids to mappings
    #[arg(long)]
    pub per_space: bool,
    /// With --per-space: make Spaces that don't exist
    #[arg(long, requires = "per_space")]
    pub create_spaces: bool,
    /// Set a new version of names that the scope has already
    #[arg(long)]
    pub replace: bool,
    /// Leave out what can't be imported instead of importing nothing
    #[arg(long)]
    pub skip_conflicts: bool,
    /// Allow values of no bytes
    #[arg(long)]
    pub allow_empty: bool,
    /// Allow names that aren't [A-Z][A-Z0-9_]*
    #[arg(long)]
    pub allow_noncanonical: bool,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    Env,
    Json,
    Yaml,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// As what; `env` is an example file with empty values
    #[arg(long, value_enum, default_value = "json")]
    pub format: ExportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Json,
    Yaml,
    Env,
}
