//! The root key: 32 bytes that are never in the database, and the three places it can come from.

mod credential;
mod file;
mod passphrase;
mod problem;
mod text;

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

pub(crate) use file::is_inside;
pub use passphrase::Argon2Params;
pub(crate) use passphrase::{SALT, new_salt};
pub use problem::KeyProblem;

use crate::settings::KeySource;

/// The root key. Wiped when dropped, never printed.
pub(crate) struct RootKey(Zeroizing<[u8; 32]>);

/// Asks for the passphrase.
pub(crate) type ReadPassphrase<'a> = &'a mut dyn FnMut() -> io::Result<Zeroizing<String>>;

impl RootKey {
    /// Takes over bytes that may be a key: an all-zero one is none.
    fn new(bytes: Zeroizing<[u8; 32]>) -> Result<Self, KeyProblem> {
        match bytes.iter().all(|byte| *byte == 0) {
            true => Err(KeyProblem::Zero),
            false => Ok(Self(bytes)),
        }
    }

    /// A fresh key from the operating system's generator.
    fn random() -> Self {
        Self(Zeroizing::new(undertone_core::random_bytes()))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn for_tests(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Gets the key from where the settings say. Relative paths start at the home.
pub(crate) fn load(
    source: &KeySource,
    home: &Path,
    passphrase: ReadPassphrase<'_>,
) -> Result<RootKey, KeyProblem> {
    match source {
        KeySource::File { path } => file::read(&home.join(path)),
        KeySource::Passphrase { salt, params } => {
            passphrase::derive(&passphrase::ask(passphrase)?, salt, *params)
        }
        KeySource::Credential { name } => {
            credential::read(std::env::var_os("CREDENTIALS_DIRECTORY").as_deref(), name)
        }
    }
}

/// The key of a new home. A file is made, and never replaced.
pub(crate) fn make(source: &KeySource, passphrase: ReadPassphrase<'_>) -> Result<RootKey, KeyProblem> {
    match source {
        KeySource::File { path } => file::create(path),
        KeySource::Passphrase { salt, params } => {
            passphrase::derive(&passphrase::ask_new(passphrase)?, salt, *params)
        }
        KeySource::Credential { name } => {
            credential::read(std::env::var_os("CREDENTIALS_DIRECTORY").as_deref(), name)
        }
    }
}

pub(crate) use credential::is_name as is_credential_name;
