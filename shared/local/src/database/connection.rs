//! One connection, set up the same way every time.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::schema::{self, Format, STEPS};

/// How long a connection waits for another program's write.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// What came of opening a file.
pub(crate) enum Opened {
    /// It is open, up to date and as this program makes it.
    Ready(Connection),
    /// It is refused, untouched.
    Refused(Format),
}

/// The connection that writes. Brings an older file up to date.
pub(super) fn writer(path: &Path) -> Result<Opened, Fault> {
    let mut connection = open(path)?;
    // Until the file is known to be ours, closing it may not write to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    match schema::format(&connection, STEPS)? {
        Format::Known => {}
        refused => return Ok(Opened::Refused(refused)),
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    set_up(&connection)?;
    schema::bring_up_to_date(&mut connection, STEPS)?;
    Ok(Opened::Ready(connection))
}

/// The connection with which a new, empty file is filled.
pub(super) fn creator(path: &Path) -> Result<Connection, Fault> {
    let connection = open(path)?;
    set_up(&connection)?;
    Ok(connection)
}

/// A connection that can't write.
pub(super) fn reader(path: &Path) -> Result<Connection, Fault> {
    let connection = open(path)?;
    set_up(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn open(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<(), Fault> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Else SQLite plans a statement anew whenever a parameter changes, which costs more than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA synchronous = FULL;",
    )?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Unavailable(
            "its file system has no write-ahead log: keep the home folder on a local disk".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_is_set_up_the_same_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("undertone.db");
        std::fs::write(&path, "").unwrap();
        schema::create(&mut creator(&path).unwrap(), |_| Ok(())).unwrap();
        let Opened::Ready(writer) = writer(&path).unwrap() else { panic!("it was just made") };
        for (connection, query_only) in [(writer, "0"), (reader(&path).unwrap(), "1")] {
            for (pragma, expected) in [
                ("journal_mode", "wal"),
                ("synchronous", "2"),
                ("secure_delete", "1"),
                ("foreign_keys", "1"),
                ("trusted_schema", "0"),
                ("cell_size_check", "1"),
                ("temp_store", "2"),
                ("busy_timeout", "5000"),
                ("query_only", query_only),
            ] {
                let value: rusqlite::types::Value =
                    connection.pragma_query_value(None, pragma, |columns| columns.get(0)).unwrap();
                let value = match value {
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    other => panic!("{other:?}"),
                };
                assert_eq!(value, expected, "{pragma}");
            }
        }
    }
}
