//! The command line as types: after parsing there are no raw strings, only ids, names and rules.

mod place;
mod rules;
mod secrets;
mod store;

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use undertone_core::{AgentId, EnvironmentId, IdError, Scope, SecretName, SpaceId};

pub(crate) use place::{PlaceArgs, StoreArg};
pub(crate) use rules::{Expiry, RuleArgs};
pub(crate) use secrets::{
    BlockArgs, ConfirmedArgs, ExportArgs, ExportFormat, ImportArgs, ImportFormat, ListArgs, NamedArgs,
    SecretsCommand, SetArgs, VersionArgs,
};
pub(crate) use store::{CheckArgs, CompactArgs, CopyArgs, DeployCommand, RewrapArgs, StoreCommand};

/// Secrets for event listeners: set them, see who wins, and prove what happened to them.
#[derive(Parser)]
#[command(name = "undertone", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args)]
pub(crate) struct Global {
    /// Where secrets are kept [default: $UNDERTONE_HOME, else $XDG_DATA_HOME/undertone]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub home: Option<PathBuf>,
    /// Print JSON and nothing else; errors too
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global options"
    )]
    pub color: Color,
    /// Print no notes and no sentence of success
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the place where secrets are kept, and its key
    Init(InitArgs),
    /// Stages such as `dev` and `prod`, which own secrets
    #[command(subcommand)]
    Env(EnvCommand),
    /// Workspaces or customers inside one Environment
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Set, look at, block, move and destroy secrets; no command prints a value
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Who did what, in a chain that shows every edit
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Copy a store, keep its keys few, change its KMS key
    #[command(subcommand)]
    Store(StoreCommand),
    /// Before a deployment: does every Space have what a listener needs?
    #[command(subcommand)]
    Deploy(DeployCommand),
    /// Bring an event to the listeners that run
    #[command(subcommand)]
    Event(EventCommand),
    /// Check the home, then become a listener's program: run -- PROGRAM [ARGUMENT]..
    Run(RunArgs),
    /// See the main job work, from nothing, in one go
    Demo(DemoArgs),
    /// Look for damage, weak spots and deletions that are due
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// The root key comes from one of three places; a key file is the default.
#[derive(Args)]
#[command(group = ArgGroup::new("key"))]
pub(crate) struct InitArgs {
    /// Keep the root key in this file [default: $XDG_CONFIG_HOME/undertone/root.key]
    #[arg(long, value_name = "PATH", group = "key")]
    pub key_file: Option<PathBuf>,
    /// Derive the root key from a passphrase that every command asks for
    #[arg(long, group = "key")]
    pub passphrase: bool,
    /// Take the root key from this systemd credential
    #[arg(long, value_name = "NAME", group = "key")]
    pub credential: Option<String>,
    /// With an AWS store: make its DynamoDB tables too, which the template of `infra/` makes otherwise
    #[arg(long, conflicts_with = "key")]
    pub create_tables: bool,
}

#[derive(Subcommand)]
pub(crate) enum EventCommand {
    /// Send one event and show what became of it
    Send(EventSendArgs),
}

/// An event from a file, or one described by options.
#[derive(Args)]
pub(crate) struct EventSendArgs {
    /// A file with the event as JSON; `-` for standard input
    #[arg(value_name = "FILE", conflicts_with_all = ["topic", "space", "payload"])]
    pub file: Option<PathBuf>,
    /// The topic, such as `job:completed`
    #[arg(long, value_name = "TOPIC", required_unless_present = "file")]
    pub topic: Option<String>,
    /// The Environment
    #[arg(long, value_name = "ID", env = "UNDERTONE_ENV", hide_env_values = true)]
    pub env: Option<EnvironmentId>,
    /// The Space
    #[arg(long, value_name = "ID")]
    pub space: Option<SpaceId>,
    /// The payload, as JSON
    #[arg(long, value_name = "JSON")]
    pub payload: Option<String>,
    /// Only to this listener
    #[arg(long, value_name = "SLUG")]
    pub to: Option<AgentId>,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Where home and key are made [default: a new folder among the temporary files]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Post to this Slack API, such as https://slack.com/api; the token is asked for, or piped in
    #[arg(long, value_name = "URL", requires = "channel")]
    pub slack_url: Option<String>,
    /// The channel's id, with --slack-url
    #[arg(long, value_name = "ID", requires = "slack_url")]
    pub channel: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum EnvCommand {
    /// Make an Environment
    Create {
        /// Its id
        id: EnvironmentId,
        /// Let secrets without a host rule leave, and allow plain HTTP to this machine
        #[arg(long)]
        development: bool,
    },
    /// List the Environments
    List,
}

#[derive(Subcommand)]
pub(crate) enum SpaceCommand {
    /// Make a Space
    Create {
        /// Its id
        id: SpaceId,
        #[command(flatten)]
        environment: EnvironmentArgs,
    },
    /// List the Spaces of an Environment
    List {
        #[command(flatten)]
        environment: EnvironmentArgs,
    },
}

#[derive(Args)]
pub(crate) struct EnvironmentArgs {
    /// The Environment
    #[arg(long, value_name = "ID", env = "UNDERTONE_ENV", hide_env_values = true)]
    pub env: EnvironmentId,
}

#[derive(Args)]
pub(crate) struct ScopeArgs {
    /// The Environment
    #[arg(long, value_name = "ID", env = "UNDERTONE_ENV", hide_env_values = true)]
    pub env: EnvironmentId,
    /// The Space; leave it away, or empty, for the Environment itself
    #[arg(long, value_name = "ID", env = "UNDERTONE_SPACE", hide_env_values = true)]
    pub space: Option<SpaceArg>,
}

/// A Space, or, written as the empty text, none: that overrides `$UNDERTONE_SPACE`.
#[derive(Clone, Debug)]
pub(crate) struct SpaceArg(Option<SpaceId>);

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the last rows
    Tail(TailArgs),
    /// Recompute the chain of rows and name the first that doesn't fit
    Verify,
}

#[derive(Args)]
pub(crate) struct TailArgs {
    /// How many rows
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// Go on printing rows as they are written
    #[arg(short, long)]
    pub follow: bool,
    /// Only rows about this secret
    #[arg(long)]
    pub name: Option<SecretName>,
    /// Only rows that ended like this
    #[arg(long, value_enum)]
    pub outcome: Option<OutcomeArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutcomeArg {
    Allowed,
    Refused,
    Failed,
}

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Destroy what was deleted more than 30 days ago
    #[arg(long)]
    pub purge: bool,
}

impl ScopeArgs {
    pub(crate) fn scope(&self) -> Scope {
        match self.space.as_ref().and_then(|space| space.0.as_ref()) {
            None => Scope::Environment(self.env.clone()),
            Some(space) => Scope::Space(self.env.clone(), space.clone()),
        }
    }
}

impl FromStr for SpaceArg {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self((!text.is_empty()).then(|| text.parse()).transpose()?))
    }
}

impl OutcomeArg {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            OutcomeArg::Allowed => "allowed",
            OutcomeArg::Refused => "refused",
            OutcomeArg::Failed => "failed",
        }
    }
}

/// A text that may be a value put in the wrong place: kept until it is judged, never printed.
#[derive(Clone)]
pub(crate) struct Unjudged(pub zeroize::Zeroizing<String>);

impl FromStr for Unjudged {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned().into()))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use super::Cli;

    const MANUAL: &str = include_str!("../../../../docs/reference/cli.md");

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_of_the_manual_is_understood_and_every_command_has_one() {
        let examples = MANUAL.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        let mut shown = Vec::new();
        for line in examples.flat_map(str::lines) {
            let line = line.split(" # ").next().unwrap_or_default();
            let line = line.split(" | ").last().unwrap_or_default();
            let words = line.split_whitespace().take_while(|word| !["<", ">"].contains(word));
            let words: Vec<&str> = words.map(|word| word.trim_matches('\'')).collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{line}: {error}");
            }
            shown.push(words.join(" "));
        }
        for command in commands(&Cli::command(), "") {
            let has_example = shown.iter().any(|line| line.starts_with(&command));
            assert!(has_example, "{command} has no example");
        }
    }

    /// Every command that does something, in full.
    fn commands(command: &Command, before: &str) -> Vec<String> {
        let name = format!("{before}{}", command.get_name());
        let inner: Vec<String> =
            command.get_subcommands().flat_map(|inner| commands(inner, &format!("{name} "))).collect();
        if inner.is_empty() { vec![name] } else { inner }
    }
}
