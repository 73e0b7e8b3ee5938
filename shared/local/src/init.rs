//! Making a home: all of it, or nothing is left behind.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::params;
use undertone_core::audit::ChainKey;
use undertone_core::keys::use_key;
use undertone_core::seals::Seals;
use undertone_core::{KeyScope, StoreId};
use zeroize::Zeroizing;

use crate::audit::start_chain;
use crate::database::{Database, Open};
use crate::error::LocalError;
use crate::home::{DATABASE, Home, Meta, SETTINGS, assemble, unusable};
use crate::keys::LocalKeys;
use crate::root::{self, Argon2Params};
use crate::settings::{AwsSettings, KeySource, Settings};
use crate::store::start_epoch;

/// Where the root key of a new home is to come from.
pub enum NewKey<'a> {
    /// A new key file, which must not exist yet.
    File(PathBuf),
    /// A passphrase.
    Passphrase {
        /// Asks for it, twice if it is typed.
        read: &'a mut dyn FnMut() -> io::Result<Zeroizing<String>>,
        /// What guessing it costs.
        params: Argon2Params,
    },
    /// A systemd credential that exists already.
    Credential {
        /// Its name.
        name: String,
    },
}

/// Makes a home in a folder, which may exist and may not be a home.
pub(crate) fn init(dir: &Path, key: NewKey<'_>) -> Result<Home, LocalError> {
    let mut undo = Undo::default();
    let home = make(dir, key, &mut undo)?;
    undo.made.clear();
    Ok(home)
}

/// Makes a home that points to AWS: a folder with its settings. Asks AWS nothing.
///
/// # Errors
/// If the folder is a home already, a setting can't be what it says, or something can't be made;
/// nothing is left behind then.
pub fn write_aws_settings(dir: &Path, settings: &AwsSettings) -> Result<(), LocalError> {
    let dir = std::path::absolute(dir).map_err(LocalError::file("find", dir))?;
    let text = settings.to_toml();
    // What is written can be read, or isn't written.
    Settings::parse(&dir.join(SETTINGS), &text)?;
    let mut undo = Undo::default();
    make_folder(&dir, &mut undo)?;
    if dir.join(DATABASE).exists() {
        return Err(LocalError::HomeExists { dir, what: DATABASE });
    }
    write_settings(&dir, &text, &mut undo)?;
    undo.made.clear();
    Ok(())
}

/// What has been made so far, removed again unless all of it could be.
#[derive(Default)]
struct Undo {
    made: Vec<PathBuf>,
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // What can't be removed stays; the error that led here is what the caller must hear.
            let _ = match path.is_dir() {
                true => fs::remove_dir(path),
                false => fs::remove_file(path),
            };
        }
    }
}

fn make(dir: &Path, key: NewKey<'_>, undo: &mut Undo) -> Result<Home, LocalError> {
    make_folder(dir, undo)?;
    let database = dir.join(DATABASE);
    if dir.join(SETTINGS).exists() {
        return Err(LocalError::HomeExists { dir: dir.to_owned(), what: SETTINGS });
    }
    // Whoever makes this file makes the home; another init at the same time stops here.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&database) {
        Ok(_) => undo.made.push(database.clone()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(LocalError::HomeExists { dir: dir.to_owned(), what: DATABASE });
        }
        Err(error) => return Err(LocalError::file("create", database)(error)),
    }
    let (source, keys) = make_key(key, undo)?;
    undo.made.extend(["-wal", "-shm"].map(|end| dir.join(format!("{DATABASE}{end}"))));
    let meta = make_store(&database, &keys)?;
    write_settings(dir, &source.to_toml(), undo)?;
    let Open::Ready(database) = Database::open(&database)? else {
        unreachable!("the file was just made in the newest format");
    };
    assemble(dir.to_owned(), source, Default::default(), database, meta, keys)
}

fn make_folder(dir: &Path, undo: &mut Undo) -> Result<(), LocalError> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        let mode = if folder == dir { 0o700 } else { 0o777 };
        DirBuilder::new().mode(mode).create(folder).map_err(LocalError::file("create", folder))?;
        undo.made.push(folder.to_owned());
        sync_folder(folder.parent().unwrap_or(folder))?;
    }
    Ok(())
}

fn make_key(key: NewKey<'_>, undo: &mut Undo) -> Result<(KeySource, LocalKeys), LocalError> {
    let mut nobody = || Err(io::Error::other("nobody was asked"));
    let (source, read): (KeySource, &mut dyn FnMut() -> _) = match key {
        NewKey::File(path) => {
            let path = std::path::absolute(&path).map_err(LocalError::file("find", path))?;
            if let Some(folder) = path.parent() {
                make_folder(folder, undo)?;
            }
            (KeySource::File { path }, &mut nobody)
        }
        NewKey::Passphrase { read, params } => {
            (KeySource::Passphrase { salt: root::new_salt(), params }, read)
        }
        NewKey::Credential { name } => (KeySource::Credential { name }, &mut nobody),
    };
    let made = root::make(&source, read);
    let root = made.map_err(|problem| LocalError::BadKey { place: source.place(), problem })?;
    if let KeySource::File { path } = &source {
        undo.made.push(path.clone());
    }
    Ok((source, LocalKeys::new(root)))
}

fn make_store(path: &Path, keys: &LocalKeys) -> Result<Meta, LocalError> {
    let store = StoreId::random();
    let (key, store_key) = keys.make_key(&KeyScope::store(store), 1).map_err(unusable)?;
    let seals = Seals::new(&use_key(store, &key, "rows"));
    Database::create(path, |transaction| {
        transaction.execute(
            "INSERT INTO meta VALUES ('store_id', ?1), ('store_key', ?2)",
            params![store.0, store_key.encode()],
        )?;
        start_epoch(transaction, &seals)?;
        start_chain(transaction, &ChainKey::new(&use_key(store, &key, "audit")))
    })?;
    let root_id = keys.root_id(store).map_err(unusable)?;
    Ok(Meta { store, store_key, root_id })
}

fn write_settings(dir: &Path, text: &str, undo: &mut Undo) -> Result<(), LocalError> {
    let path = dir.join(SETTINGS);
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(LocalError::HomeExists { dir: dir.to_owned(), what: SETTINGS });
        }
        Err(error) => return Err(LocalError::file("create", path)(error)),
    };
    undo.made.push(path.clone());
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(LocalError::file("write", &path))?;
    sync_folder(dir)
}

fn sync_folder(dir: &Path) -> Result<(), LocalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(LocalError::file("write", dir))
}
