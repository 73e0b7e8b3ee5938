//! The commands under `store` and `deploy`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use undertone_core::{EnvironmentId, SpaceId};

#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy everything to another store; stop it whenever you like and start it again to go on
    Copy(CopyArgs),
    /// Seal each scope under one key and destroy keys that nothing needs
    Compact(CompactArgs),
    /// Wrap all keys under another KMS key; values stay as they are
    Rewrap(RewrapArgs),
}

/// Both are homes: folders whose undertone.toml says where secrets are kept.
#[derive(Args)]
pub(crate) struct CopyArgs {
    /// The home to copy from
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The home to copy to
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

#[derive(Args)]
pub(crate) struct CompactArgs {
    /// Only this Environment and its Spaces
    #[arg(long, value_name = "ID")]
    pub env: Option<EnvironmentId>,
    /// Make a new key for each scope first, and seal all of it under that
    #[arg(long)]
    pub rotate: bool,
}

#[derive(Args)]
pub(crate) struct RewrapArgs {
    /// The KMS key to wrap under from now on: its ARN, id or alias
    #[arg(long, value_name = "KEY")]
    pub to_key: String,
}

#[derive(Subcommand)]
pub(crate) enum DeployCommand {
    /// Compare what a listener declares with what every Space has
    Check(CheckArgs),
}

#[derive(Args)]
#[command(group = ArgGroup::new("listener").required(true))]
pub(crate) struct CheckArgs {
    /// The Environment
    #[arg(long, value_name = "ID", env = "UNDERTONE_ENV", hide_env_values = true)]
    pub env: EnvironmentId,
    /// Only this Space
    #[arg(long, value_name = "ID")]
    pub space: Option<SpaceId>,
    /// The listener's description in a file, as its program prints it with UNDERTONE_DESCRIBE=1
    #[arg(long, value_name = "FILE", group = "listener")]
    pub description: Option<PathBuf>,
    /// The listener's program and its arguments; it is asked what it declares, and handles nothing
    #[arg(last = true, value_name = "PROGRAM", group = "listener")]
    pub program: Vec<OsString>,
}
