//! Why a command failed, and the exit code that says so. Codes are stable: scripts branch on them.

use std::io;
use std::process::ExitCode;

use undertone_aws::InstallationError;
use undertone_core::maintenance::MaintenanceError;
use undertone_core::transfer::TransferError;
use undertone_core::vault::VaultError;
use undertone_core::{
    AuditError, ExternalRefError, KeyError, NameError, SecretName, StoreError, ValueTooLarge,
};
use undertone_local::LocalError;

use crate::import::FileError;

/// The exit codes of `docs/reference/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    /// Nothing more precise fits.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No such scope, row or version.
    NotFound = 3,
    /// Somebody else changed it, it exists, or it can't be told from something that exists.
    Conflict = 4,
    /// Not confirmed, or not allowed.
    Refused = 5,
    /// Store, audit log or key service can't be used now.
    Unavailable = 6,
    /// The key is missing, wrong, or readable by others.
    Key = 7,
    /// Something stored isn't what was written.
    Damaged = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command failed. Messages name things and never quote values.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Vault(VaultError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    TooLarge(#[from] ValueTooLarge),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Usage(String),
    #[error(
        "a value is never an argument: it would stay in the shell's history and in the list of processes. \
         Nothing was set. Pipe it: `printf %s \"$TOKEN\" | undertone secrets set NAME`, or leave it away \
         and type it when asked. The one you just passed should be changed at its source"
    )]
    ValueAsArgument,
    /// The text in the name's place, unlike [`Failure::Name`], isn't repeated: it may be a value.
    #[error(
        "the text in the name's place is no canonical name ([A-Z][A-Z0-9_]*, at most 128): \
         add --allow-noncanonical if the listener asks for it, and never pass a value here"
    )]
    NotCanonical,
    #[error("the text in the name's place is no name: {0}")]
    NoName(&'static str),
    #[error("not confirmed, so nothing was changed")]
    NotConfirmed,
    #[error("this asks before it acts, and there is no terminal to ask at: add --yes")]
    NeedsYes,
    #[error("the two entries differ, so nothing was set: try again")]
    EntriesDiffer,
    #[error(
        "more than one line was entered, so nothing was set: pipe a value of many lines to standard input"
    )]
    ManyLines,
    #[error("cancelled, so nothing was set")]
    Cancelled,
    #[error("there is no terminal to ask at: use a key file or a credential where nobody types")]
    NoTerminal,
    #[error("the terminal can't be used: {0}")]
    Terminal(io::ErrorKind),
    #[error("the time at which it is to expire is too far away: give an earlier one")]
    ExpiryTooFar,
    #[error(
        "the rules of the current version of `{0}` can't be trusted (its record doesn't open): name them again"
    )]
    RulesNotTrusted(SecretName),
    #[error("`{0}` has no current version here whose rules could be kept: name them")]
    NoRulesToKeep(SecretName),
    #[error("standard input can't be read: {0}")]
    Input(io::ErrorKind),
    #[error("{conflicts} of {all} can't be imported, so nothing was: see the plan, or add --skip-conflicts")]
    ImportConflicts { conflicts: usize, all: usize },
    #[error("the import stopped after {written} of {all}: {problem}")]
    ImportStopped { written: usize, all: usize, problem: Box<Failure> },
    #[error("no directory for secrets: set HOME, XDG_DATA_HOME or UNDERTONE_HOME, or give --home")]
    NoHome,
    #[error("no directory for the key file: set HOME or XDG_CONFIG_HOME, or give --key-file")]
    NoKeyPlace,
    #[error("row {sequence} of the audit log isn't as it was written: {problem}")]
    AuditBroken { sequence: u64, problem: &'static str },
    #[error("damaged: {0}; see above, and set again what doesn't open")]
    Damage(usize),
    #[error(transparent)]
    Event(#[from] undertone::EventError),
    #[error("the event can't be read: {0}")]
    EventFile(io::ErrorKind),
    #[error("no listener runs here: start one with `undertone run -- PROGRAM`")]
    NoListener,
    #[error("{failed} of {all} listeners didn't handle the event: see above")]
    EventFailed { failed: usize, all: usize },
    #[error("{program} can't be started: {kind}")]
    Program { program: String, kind: io::ErrorKind },
    #[error(transparent)]
    Listener(#[from] undertone::RuntimeError),
    #[error(transparent)]
    Resolve(#[from] undertone::ResolveError),
    #[error("the demo can't be set up: {0}")]
    DemoSetup(io::ErrorKind),
    #[error("the Slack API's URL is refused: write it as https://slack.com/api")]
    DemoUrl,
    #[error("the attempt to {0} succeeded, which must not happen: please report it (see SECURITY.md)")]
    DemoLeak(&'static str),
    #[error("a check failed: see above")]
    Unhealthy,
    #[error(transparent)]
    Aws(#[from] InstallationError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
    #[error(transparent)]
    External(#[from] ExternalRefError),
    #[error("that is no description of a listener: its program prints one with UNDERTONE_DESCRIBE=1")]
    NoDescription,
    #[error("some Space lacks what the listener declares ({0} gaps): see above")]
    Gaps(usize),
    #[error("the description can't be read: {0}")]
    DescriptionFile(io::ErrorKind),
    #[error("{broken} of {all} chains of the audit log aren't as they were written: see above")]
    ChainsBroken { broken: usize, all: usize },
    #[error("can't start: {0}")]
    Start(io::ErrorKind),
    #[error("standard output can't be written: {0}")]
    Output(io::ErrorKind),
    /// Whoever read the output has enough. Not an error.
    #[error("standard output was closed")]
    Closed,
}

impl Failure {
    /// The exit code and the code in JSON; both are stable.
    pub(crate) fn codes(&self) -> (Exit, &'static str) {
        match self {
            Failure::Vault(error) => vault_codes(error),
            Failure::Local(error) => crate::home::codes(error),
            Failure::Name(_) | Failure::NoName(_) => (Exit::Refused, "bad_name"),
            Failure::NotCanonical => (Exit::Refused, "noncanonical_name"),
            Failure::TooLarge(_) => (Exit::Refused, "value_too_large"),
            Failure::File(FileError::Unreadable { .. }) => (Exit::Failed, "file_unreadable"),
            Failure::File(FileError::UnknownFormat | FileError::NotPerSpace) => (Exit::Usage, "usage"),
            Failure::File(_) => (Exit::Refused, "bad_file"),
            Failure::Usage(_) => (Exit::Usage, "usage"),
            Failure::ValueAsArgument => (Exit::Usage, "value_as_argument"),
            Failure::NotConfirmed => (Exit::Refused, "not_confirmed"),
            Failure::NeedsYes => (Exit::Refused, "needs_yes"),
            Failure::EntriesDiffer => (Exit::Refused, "entries_differ"),
            Failure::ManyLines => (Exit::Refused, "many_lines"),
            Failure::Cancelled => (Exit::Refused, "cancelled"),
            Failure::NoTerminal => (Exit::Key, "no_terminal"),
            Failure::Terminal(_) => (Exit::Failed, "terminal"),
            Failure::ExpiryTooFar => (Exit::Refused, "bad_expiry"),
            Failure::RulesNotTrusted(_) => (Exit::Damaged, "rules_not_trusted"),
            Failure::NoRulesToKeep(_) => (Exit::NotFound, "no_rules_to_keep"),
            Failure::Input(_) => (Exit::Failed, "input"),
            Failure::ImportConflicts { .. } => (Exit::Conflict, "import_conflicts"),
            Failure::ImportStopped { problem, .. } => problem.codes(),
            Failure::NoHome | Failure::NoKeyPlace => (Exit::Usage, "no_directory"),
            Failure::AuditBroken { .. } => (Exit::Damaged, "audit_broken"),
            Failure::Damage(_) => (Exit::Damaged, "damaged"),
            Failure::Event(_) => (Exit::Refused, "bad_event"),
            Failure::EventFile(_) => (Exit::Failed, "file_unreadable"),
            Failure::NoListener => (Exit::NotFound, "no_listener"),
            Failure::EventFailed { .. } => (Exit::Failed, "event_failed"),
            Failure::Program { .. } => (Exit::NotFound, "no_program"),
            Failure::Listener(_) => (Exit::Failed, "bad_listener"),
            Failure::Resolve(error) if error.is_retryable() => (Exit::Unavailable, "unavailable"),
            Failure::Resolve(_) => (Exit::Refused, "not_resolved"),
            Failure::DemoSetup(_) => (Exit::Failed, "demo_setup"),
            Failure::DemoUrl => (Exit::Usage, "usage"),
            Failure::DemoLeak(_) => (Exit::Damaged, "leak"),
            Failure::Unhealthy => (Exit::Failed, "unhealthy"),
            Failure::Aws(error) => crate::aws::codes(error),
            Failure::Transfer(error) => transfer_codes(error),
            Failure::Maintenance(error) => maintenance_codes(error),
            Failure::External(_) => (Exit::Refused, "bad_reference"),
            Failure::NoDescription => (Exit::Refused, "no_description"),
            Failure::Gaps(_) => (Exit::NotFound, "gaps"),
            Failure::DescriptionFile(_) => (Exit::Failed, "file_unreadable"),
            Failure::ChainsBroken { .. } => (Exit::Damaged, "audit_broken"),
            Failure::Start(_) => (Exit::Failed, "start"),
            Failure::Output(_) => (Exit::Failed, "output"),
            Failure::Closed => (Exit::Ok, "closed"),
        }
    }

    /// The command that helps, where there is one.
    pub(crate) fn next(&self) -> Option<String> {
        match self {
            Failure::Vault(VaultError::Store(StoreError::UnknownEnvironment(id))) => {
                Some(format!("undertone env create {id}"))
            }
            Failure::Vault(VaultError::Store(StoreError::UnknownSpace(environment, id))) => {
                Some(format!("undertone space create {id} --env {environment}"))
            }
            Failure::Vault(VaultError::NoRow { .. }) => Some("undertone secrets list".to_owned()),
            Failure::Vault(
                VaultError::NoVersion { name, .. } | VaultError::Store(StoreError::Conflict { name, .. }),
            ) => name.is_canonical().then(|| format!("undertone secrets history {name}")),
            Failure::ValueAsArgument => Some("printf %s \"$TOKEN\" | undertone secrets set NAME".to_owned()),
            Failure::AuditBroken { .. } => Some("undertone audit tail".to_owned()),
            Failure::Local(error) => crate::home::next(error),
            Failure::ImportStopped { problem, .. } => problem.next(),
            _ => None,
        }
    }
}

fn vault_codes(error: &VaultError) -> (Exit, &'static str) {
    match error {
        VaultError::Store(error) => store_codes(error),
        VaultError::Key(error) => key_codes(error),
        VaultError::Audit(_) => (Exit::Unavailable, "audit_unavailable"),
        VaultError::Noncanonical(_) => (Exit::Refused, "noncanonical_name"),
        VaultError::Empty(_) => (Exit::Refused, "empty_value"),
        VaultError::NoRow { .. } => (Exit::NotFound, "no_row"),
        VaultError::RowExists { .. } => (Exit::Conflict, "row_exists"),
        VaultError::NoVersion { .. } => (Exit::NotFound, "no_version"),
        VaultError::VersionRevoked { .. } => (Exit::Refused, "version_revoked"),
        VaultError::NotLockable(_) => (Exit::Refused, "not_lockable"),
        VaultError::ExpiresInThePast(_) => (Exit::Refused, "expires_in_the_past"),
    }
}

pub(crate) fn key_codes(error: &KeyError) -> (Exit, &'static str) {
    match error {
        KeyError::Unavailable(_) => (Exit::Unavailable, "keys_unavailable"),
        KeyError::Denied(_) => (Exit::Key, "key_denied"),
        KeyError::BadAnswer(_) => (Exit::Key, "wrong_key"),
    }
}

fn transfer_codes(error: &TransferError) -> (Exit, &'static str) {
    match error {
        TransferError::From(error) | TransferError::To(error) => store_codes(error),
        TransferError::SameStore => (Exit::Usage, "same_store"),
        TransferError::Key(error) => key_codes(error),
        TransferError::Audit(_) => (Exit::Unavailable, "audit_unavailable"),
        TransferError::Unreadable { .. } => (Exit::Damaged, "damaged"),
        TransferError::Differs { .. } => (Exit::Conflict, "conflict"),
    }
}

fn maintenance_codes(error: &MaintenanceError) -> (Exit, &'static str) {
    match error {
        MaintenanceError::Store(error) => store_codes(error),
        MaintenanceError::Key(error) => key_codes(error),
        MaintenanceError::Audit(_) => (Exit::Unavailable, "audit_unavailable"),
        MaintenanceError::Unreadable { .. } => (Exit::Damaged, "damaged"),
    }
}

fn store_codes(error: &StoreError) -> (Exit, &'static str) {
    match error {
        StoreError::Unavailable(_) => (Exit::Unavailable, "store_unavailable"),
        StoreError::Denied(_) => (Exit::Refused, "store_denied"),
        StoreError::Full { .. } => (Exit::Refused, "store_full"),
        StoreError::Damaged(_) => (Exit::Damaged, "store_damaged"),
        StoreError::Conflict { .. } | StoreError::Changed(_) => (Exit::Conflict, "conflict"),
        StoreError::LookAlike { .. } => (Exit::Conflict, "look_alike"),
        StoreError::UnknownEnvironment(_) => (Exit::NotFound, "unknown_environment"),
        StoreError::UnknownSpace(..) => (Exit::NotFound, "unknown_space"),
        StoreError::Exists(_) => (Exit::Conflict, "exists"),
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Failure::Vault(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Vault(error.into())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Failure::Vault(error.into())
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        Failure::Vault(error.into())
    }
}
