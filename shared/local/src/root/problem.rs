//! Why something can't serve as the root key, with the fix. Never a part of the key.

use std::path::PathBuf;

/// What is wrong with what should be a root key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// There is no such file.
    #[error("there is no such file: put the key back from its backup, or correct [key] in undertone.toml")]
    Absent,
    /// Not started by systemd with credentials.
    #[error(
        "$CREDENTIALS_DIRECTORY isn't set: run the program as a systemd service with LoadCredentialEncrypted="
    )]
    NoCredentials,
    /// A new key would replace something.
    #[error("there is a file already and it isn't replaced: choose another path")]
    Exists,
    /// The operating system refuses.
    #[error("{0}")]
    Unreadable(String),
    /// Not the file itself.
    #[error("it is a symbolic link: give the path of the file itself")]
    Symlink,
    /// A folder, pipe, socket or device.
    #[error("it is no regular file: give the path of a key file")]
    NotAFile,
    /// Somebody else's file.
    #[error("it belongs to user {owner}: `chown {me} {}`", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who reads it.
        me: u32,
    },
    /// Others may read or write it, or it may be executed.
    #[error("its mode is {mode:04o}, and only its owner may read it: `chmod 600 {}`", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No bytes.
    #[error("it is empty: put the key back from its backup")]
    Empty,
    /// Starts with a byte order mark.
    #[error("it starts with a byte order mark: write it without, as plain ASCII")]
    ByteOrderMark,
    /// Another text, or raw bytes.
    #[error("it doesn't start with `esk1_`: this is no key that Undertone made")]
    Prefix,
    /// Lines that end with CR LF.
    #[error("it holds a carriage return: end the line with LF alone, or not at all")]
    CarriageReturn,
    /// White space within, or several lines.
    #[error("it holds white space: the key is one line, with one LF after it or none")]
    WhiteSpace,
    /// Too short or too long.
    #[error("it has {0} characters where a key has 54: put the whole key back from its backup")]
    Length(usize),
    /// Not base64url.
    #[error("it holds characters that no key has: put the key back from its backup")]
    Alphabet,
    /// A typing error.
    #[error("its checksum is wrong, so a character was changed: put the key back from its backup")]
    Checksum,
    /// All bytes are zero.
    #[error("its bytes are all zero: this is no key")]
    Zero,
    /// 32 printable characters where raw bytes were expected.
    #[error("it is text of 32 characters: give an `esk1_` key, or 32 bytes from a random generator")]
    Text,
    /// No name that systemd could have given.
    #[error("a credential's name is 1 to 255 of `A-Z a-z 0-9 _ . -`")]
    CredentialName,
    /// Nobody could be asked.
    #[error("the passphrase can't be read: {0}")]
    NoPassphrase(String),
    /// Too easy to guess.
    #[error("a new passphrase has at least {least} characters, this one has {0}", least = super::passphrase::SHORTEST)]
    ShortPassphrase(usize),
    /// Argon2id would cost too little or too much.
    #[error("{0}")]
    Cost(&'static str),
    /// Argon2id found no memory.
    #[error(
        "there are no {0} KiB of memory free, which its Argon2id parameters ask for: free some, then try again"
    )]
    Memory(u32),
}

impl KeyProblem {
    /// Whether there is no key at all, rather than one that is unfit.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, KeyProblem::Absent | KeyProblem::NoCredentials)
    }
}
