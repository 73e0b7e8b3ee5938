//! `init`: makes the place where secrets are kept.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use undertone_local::{AwsKind, AwsSettings};

use crate::args::{Global, InitArgs};
use crate::exit::Failure;
use crate::screen::Screen;
use crate::{aws, home, wire};

/// Where the root key comes from.
pub(crate) enum KeyPlace {
    File(PathBuf),
    Passphrase,
    Credential(String),
}

pub(crate) async fn init(screen: &Screen, global: &Global, args: InitArgs) -> Result<(), Failure> {
    let directory = home::directory(global.home.clone())?;
    let next = [
        "undertone env create dev --development".to_owned(),
        "undertone secrets set SLACK_TOKEN --env dev".to_owned(),
    ];
    if let Some(settings) = aws::from_arguments(&global.place)? {
        if args.key_file.is_some() || args.passphrase || args.credential.is_some() {
            let why = "a store on AWS has its root key in KMS: leave --key-file, --passphrase and --credential away";
            return Err(Failure::Usage(why.to_owned()));
        }
        aws::create(&directory, &settings, args.create_tables).await?;
        return screen.answer(
            || aws_text(&directory, &settings, &next),
            || wire::initialised_on_aws(&directory, &settings, &next),
        );
    }
    let key = key_place(args)?;
    home::create(&directory, &key)?;
    screen.answer(|| text(&directory, &key, &next), || wire::initialised(&directory, &key, &next))
}

fn aws_text(directory: &Path, settings: &AwsSettings, next: &[String]) -> String {
    let place = match settings.kind {
        AwsKind::DynamoDb => format!("the DynamoDB table {}", settings.table),
        AwsKind::SecretsManager => format!("Secrets Manager, under {}/", settings.prefix),
    };
    let mut out = format!("Secrets are kept in {}\n", crate::screen::shown(&place));
    let _ = writeln!(
        out,
        "{}",
        crate::screen::shown(&format!("The root key is the KMS key {}", settings.kms_key))
    );
    let home = directory.join("undertone.toml").display().to_string();
    let _ = writeln!(out, "{} says so to every command", crate::screen::shown(&home));
    out.push_str("\nNext:\n");
    for command in next {
        let _ = writeln!(out, "  {command}");
    }
    out
}

fn key_place(args: InitArgs) -> Result<KeyPlace, Failure> {
    let InitArgs { key_file, passphrase, credential, create_tables } = args;
    if create_tables {
        return Err(Failure::Usage("--create-tables goes with a store on AWS: add --store aws".to_owned()));
    }
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
