//! What can be said about a home's files without opening a record: for `undertone doctor`, and
//! as warnings at every start.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use undertone_core::KeyId;

use crate::database::{Database, Fault, NEWEST, is_scrub_due};
use crate::home::{DATABASE, SETTINGS};
use crate::root::is_inside;
use crate::settings::KeySource;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, in a word or two.
    pub name: &'static str,
    /// How it is.
    pub level: Level,
    /// How it is, in a sentence; unless it is well, with what to do.
    pub sentence: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and it is unwise.
    Warn,
    /// It doesn't work, or not for long.
    Fail,
}

/// All checks. Reads the whole database once.
pub(crate) fn checks(dir: &Path, source: &KeySource, database: &Database, root_id: KeyId) -> Vec<Check> {
    vec![
        key(dir, source, root_id),
        files(dir),
        format(database),
        journal(database),
        integrity(database),
        destroyed(database),
    ]
}

/// What is unwise, and cheap to see.
pub(crate) fn warnings(dir: &Path, source: &KeySource) -> Vec<String> {
    let checks = [key_place(dir, source), open_to_others(dir)];
    checks.into_iter().flatten().collect()
}

fn key(dir: &Path, source: &KeySource, root_id: KeyId) -> Check {
    let place = source.place();
    match key_place(dir, source) {
        Some(sentence) => Check { name: "root key", level: Level::Warn, sentence },
        None => ok("root key", format!("{place} gives this home's root key, {root_id}.")),
    }
}

fn key_place(dir: &Path, source: &KeySource) -> Option<String> {
    match source {
        KeySource::File { path } if is_inside(&dir.join(path), dir) => Some(format!(
            "The key file {} is inside the home, so a copy of the home holds the key too: move it elsewhere and correct `path` in {SETTINGS}.",
            dir.join(path).display()
        )),
        KeySource::File { .. } | KeySource::Passphrase { .. } | KeySource::Credential { .. } => None,
    }
}

fn files(dir: &Path) -> Check {
    match open_to_others(dir) {
        Some(sentence) => Check { name: "file modes", level: Level::Warn, sentence },
        None => ok("file modes", format!("Only their owner can use {} and the files in it.", dir.display())),
    }
}

/// The first file or folder that others than its owner can use. The files may be open to others
/// if the folder isn't.
fn open_to_others(dir: &Path) -> Option<String> {
    let mode = |path: &Path| path.metadata().map_or(0, |metadata| metadata.mode() & 0o077);
    if mode(dir) == 0 {
        return None;
    }
    let log = format!("{DATABASE}-wal");
    let open = [DATABASE, &log, SETTINGS].map(|name| dir.join(name)).into_iter().find(|path| mode(path) != 0);
    Some(match open {
        None => format!("Other users can enter {0}: `chmod 700 {0}`.", dir.display()),
        Some(path) => format!(
            "Other users can use {}: `chmod 700 {2}` and `chmod 600 {2}/{1}*`.",
            path.display(),
            "undertone.",
            dir.display()
        ),
    })
}

fn format(database: &Database) -> Check {
    match database.format() {
        Ok(NEWEST) => ok("format", format!("The database has format {NEWEST}, the newest.")),
        Ok(found) => fail(
            "format",
            format!(
                "The database has format {found}, this program expects {NEWEST}: use the newest `undertone`."
            ),
        ),
        Err(fault) => unusable("format", fault),
    }
}

fn journal(database: &Database) -> Check {
    let mode = database.read(|moment| {
        Ok(moment.pragma_query_value(None, "journal_mode", |columns| columns.get::<_, String>(0))?)
    });
    match mode {
        Ok(mode) if mode == "wal" => ok(
            "journal",
            "Changes go through a write-ahead log and reach the disk before they count.".to_owned(),
        ),
        Ok(_) => fail("journal", "The write-ahead log is off: open the home once more.".to_owned()),
        Err(fault) => unusable("journal", fault),
    }
}

fn integrity(database: &Database) -> Check {
    let report = database.read(|moment| {
        let mut statement = moment.prepare("PRAGMA integrity_check(100)")?;
        let lines = statement.query_map([], |columns| columns.get::<_, String>(0))?;
        Ok(lines.collect::<Result<Vec<_>, _>>()?)
    });
    match report {
        Ok(lines) if lines == ["ok"] => ok("integrity", "The database file is intact.".to_owned()),
        // Its lines may quote stored names: only how many there are is said.
        Ok(lines) => fail(
            "integrity",
            format!("The database file is damaged in {} places: restore a backup.", lines.len()),
        ),
        Err(fault) => unusable("integrity", fault),
    }
}

fn destroyed(database: &Database) -> Check {
    match database.read(|moment| is_scrub_due(moment)) {
        Ok(false) => ok("destroyed values", "No destroyed value is left in the files.".to_owned()),
        Ok(true) => Check {
            name: "destroyed values",
            level: Level::Warn,
            sentence: "Destroyed values, still sealed, are left in the write-ahead log: end the other programs that use this home, then run `undertone doctor` again.".to_owned(),
        },
        Err(fault) => unusable("destroyed values", fault),
    }
}

fn ok(name: &'static str, sentence: String) -> Check {
    Check { name, level: Level::Ok, sentence }
}

fn fail(name: &'static str, sentence: String) -> Check {
    Check { name, level: Level::Fail, sentence }
}

fn unusable(name: &'static str, fault: Fault) -> Check {
    fail(name, format!("{}.", undertone_core::StoreError::from(fault)))
}
