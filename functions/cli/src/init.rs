//! `init`: makes the place where secrets are kept.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::args::InitArgs;
use crate::exit::Failure;
use crate::home;
use crate::screen::Screen;
use crate::wire;

/// Where the root key comes from.
pub(crate) enum KeyPlace {
    File(PathBuf),
    Passphrase,
    Credential(String),
}

pub(crate) fn init(screen: &Screen, directory: &Path, args: InitArgs) -> Result<(), Failure> {
    let key = key_place(args)?;
    home::create(directory, &key)?;
    let next = [
        "undertone env create dev --development".to_owned(),
        "undertone secrets set SLACK_TOKEN --env dev".to_owned(),
    ];
    screen.answer(|| text(directory, &key, &next), || wire::initialised(directory, &key, &next))
}

fn key_place(args: InitArgs) -> Result<KeyPlace, Failure> {
    let InitArgs { key_file, passphrase, credential } = args;
    match (key_file, credential) {
        (Some(path), _) => std::path::absolute(&path).map(KeyPlace::File).map_err(|_| Failure::NoKeyPlace),
        (None, Some(name)) => Ok(KeyPlace::Credential(name)),
        (None, None) if passphrase => Ok(KeyPlace::Passphrase),
        (None, None) => home::default_key_file().map(KeyPlace::File),
    }
}

fn text(directory: &Path, key: &KeyPlace, next: &[String]) -> String {
    let mut out = format!("Secrets are kept in {}\n", crate::screen::shown(&directory.display().to_string()));
    let (place, care) = match key {
        KeyPlace::File(path) => (
            format!("The root key is the file {}", path.display()),
            "Back up the key file, apart from the secrets: without it nobody can read them again, \
             and whoever has both can read them all.",
        ),
        KeyPlace::Passphrase => (
            "The root key comes from the passphrase; every command asks for it".to_owned(),
            "Keep the passphrase where it survives you: without it nobody can read the secrets again.",
        ),
        KeyPlace::Credential(name) => (
            format!("The root key is the systemd credential {name}"),
            "Back up the credential, apart from the secrets: without it nobody can read them again.",
        ),
    };
    let _ = writeln!(out, "{}\n{care}\n\nNext:", crate::screen::shown(&place));
    for command in next {
        let _ = writeln!(out, "  {command}");
    }
    out
}
