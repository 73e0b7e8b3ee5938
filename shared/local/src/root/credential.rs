//! A systemd credential: a file that systemd decrypted for this service, in a folder of its own.
//!
//! It holds the same text as a key file, or exactly 32 raw bytes, so that
//! `head -c 32 /dev/urandom | systemd-creds encrypt --name=undertone - undertone.cred` makes one.
//! systemd guards the folder; its files' owner and mode differ between systemd's versions.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{KeyProblem, RootKey, file, text};

/// Reads the credential from the folder that `$CREDENTIALS_DIRECTORY` names.
pub(super) fn read(folder: Option<&OsStr>, name: &str) -> Result<RootKey, KeyProblem> {
    if !is_name(name) {
        return Err(KeyProblem::CredentialName);
    }
    let folder = folder.filter(|folder| !folder.is_empty()).ok_or(KeyProblem::NoCredentials)?;
    let (credential, _) = file::open(&Path::new(folder).join(name), OFlags::empty())?;
    let bytes = file::contents(credential)?;
    let Ok(raw) = <&[u8; 32]>::try_from(bytes.as_slice()) else {
        return text::parse(&bytes);
    };
    // 32 random bytes are all printable once in 10^13 times; a typed-in text always is.
    if raw.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Err(KeyProblem::Text);
    }
    RootKey::new(Zeroizing::new(*raw))
}

/// Whether systemd could have given the name, and it stays within the folder.
pub(crate) fn is_name(name: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=255).contains(&name.len()) && name.bytes().all(ok) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_key_text_or_32_raw_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let key = RootKey::for_tests([0xa7; 32]);
        let text = text::write(&key);
        for (bytes, problem) in [
            (text.as_bytes(), None),
            (text.trim_end().as_bytes(), None),
            (&[0xa7; 32], None),
            (&[0xa7; 31], Some(KeyProblem::Prefix)),
            (&[0xa7; 33], Some(KeyProblem::Prefix)),
            (&[0; 32], Some(KeyProblem::Zero)),
            (b"correct horse battery staple 123", Some(KeyProblem::Text)),
            (b"", Some(KeyProblem::Empty)),
        ] {
            std::fs::write(folder.path().join("key"), bytes).unwrap();
            let read = read(Some(folder.path().as_os_str()), "key").map(|key| *key.expose());
            assert_eq!(read, problem.map_or(Ok([0xa7; 32]), Err), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().as_os_str();
        let long = "a".repeat(256);
        for (folder, name, problem) in [
            (None, "key", KeyProblem::NoCredentials),
            (Some(OsStr::new("")), "key", KeyProblem::NoCredentials),
            (Some(folder), "key", KeyProblem::Absent),
            (Some(OsStr::new("/nowhere")), "key", KeyProblem::Absent),
            (Some(folder), "../key", KeyProblem::CredentialName),
            (Some(folder), "..", KeyProblem::CredentialName),
            (Some(folder), "", KeyProblem::CredentialName),
            (Some(folder), long.as_str(), KeyProblem::CredentialName),
        ] {
            assert_eq!(read(folder, name).err(), Some(problem), "{name:?}");
        }
    }
}
