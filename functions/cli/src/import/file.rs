//! An import's file: reading it, and what its three formats have in common.
//!
//! An error says where, by line and column or by JSON pointer, and never what stands there.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use undertone_core::{SecretName, SpaceId};
use zeroize::Zeroizing;

use super::{env, json, yaml};
use crate::args::ImportFormat;
use crate::exit::Failure;
use crate::input::read_all;

/// No import is larger than this, in bytes.
const LARGEST_FILE: usize = 256 * 1024 * 1024;

/// One name of a file with its value.
pub(crate) struct Entry {
    /// Of a file that maps Spaces: whose value it is.
    pub space: Option<SpaceId>,
    pub name: SecretName,
    pub value: Zeroizing<String>,
}

/// Whether a file maps names, or Spaces to names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Names,
    PerSpace,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Line { line: usize, column: usize },
    Pointer(String),
}

/// Why a file can't be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the file can't be read: {kind}")]
    Unreadable { kind: io::ErrorKind },
    #[error("the file is larger than 256 MiB: split it")]
    TooLarge,
    #[error("the file's extension doesn't say what it is: add --format env, json or yaml")]
    UnknownFormat,
    #[error("a .env file has no Spaces: use JSON or YAML with --per-space")]
    NotPerSpace,
    #[error("{place}: {why}")]
    Wrong { place: Place, why: &'static str },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { line, column } => write!(f, "line {line}, column {column}"),
            Place::Pointer(pointer) if pointer.is_empty() => f.write_str("at the top"),
            Place::Pointer(pointer) => write!(f, "at {}", undertone_core::escaped(pointer)),
        }
    }
}

/// The entries of a file, in its order.
pub(super) fn read(path: &Path, format: Option<ImportFormat>, shape: Shape) -> Result<Vec<Entry>, Failure> {
    let format = match format.or_else(|| by_extension(path)) {
        Some(format) => format,
        None => return Err(FileError::UnknownFormat.into()),
    };
    if shape == Shape::PerSpace && format == ImportFormat::Env {
        return Err(FileError::NotPerSpace.into());
    }
    let bytes = if path == Path::new("-") { read_all(LARGEST_FILE)? } else { read_file(path)? };
    if LARGEST_FILE < bytes.len() {
        return Err(FileError::TooLarge.into());
    }
    let text = text(&bytes)?;
    let entries = match format {
        ImportFormat::Env => env::parse(text),
        ImportFormat::Json => json::parse(text, shape),
        ImportFormat::Yaml => yaml::parse(text, shape),
    };
    Ok(entries?)
}

fn by_extension(path: &Path) -> Option<ImportFormat> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let extension = name.rsplit('.').next()?;
    match extension {
        "json" => Some(ImportFormat::Json),
        "yaml" | "yml" => Some(ImportFormat::Yaml),
        // `.env`, `prod.env`, and the common `.env.prod`.
        "env" => Some(ImportFormat::Env),
        _ if name.starts_with(".env.") => Some(ImportFormat::Env),
        _ => None,
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let unreadable = |error: io::Error| FileError::Unreadable { kind: error.kind() };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let room = usize::try_from(length).unwrap_or(LARGEST_FILE).min(LARGEST_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
    let most = u64::try_from(LARGEST_FILE + 1).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The text, without the byte-order mark that some editors write.
fn text(bytes: &[u8]) -> Result<&str, FileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        FileError::Wrong { place: Place::Line { line, column: 1 }, why: "it isn't UTF-8 from here on" }
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
