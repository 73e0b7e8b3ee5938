//! The tables, and how an older file becomes one of today.
//!
//! A file says whose it is (`application_id`) and in which format (`user_version`). A file of
//! another program or of a newer format is refused before anything is written, and a file whose
//! tables, indexes or triggers differ from what the steps below make is refused as damaged.
//!
//! Records are in a table of their own that is only ever appended to and overwritten in place:
//! SQLite's `secure_delete` leaves copies of moved cells behind when it merges pages, and pages
//! of such a table are never merged.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::fault::Fault;

/// "UNDT".
const APPLICATION: i64 = 0x554e_4454;

/// Step n makes format n+1 from format n. Steps are never changed once released.
pub(super) const STEPS: &[&str] = &[FORMAT_1, FORMAT_2];

/// In which state a file was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Of this program; perhaps to be brought up to date.
    Known,
    /// Of this program's future.
    Newer(i64),
    /// Not of this program.
    Foreign,
}

/// The newest format that this program knows.
pub(crate) const NEWEST: i64 = STEPS.len() as i64;

/// Looks at a file without changing it.
pub(super) fn format(connection: &Connection, steps: &[&str]) -> Result<Format, Fault> {
    let version = version(connection)?;
    if number(connection, "application_id")? != APPLICATION || version < 1 {
        return Ok(Format::Foreign);
    }
    match usize::try_from(version) {
        Ok(version) if version <= steps.len() => Ok(Format::Known),
        _ => Ok(Format::Newer(version)),
    }
}

/// Makes the tables in an empty file, together with what `fill` puts into them, or nothing.
pub(super) fn create(
    connection: &mut Connection,
    fill: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    steps_from(&transaction, 0, STEPS)?;
    fill(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Brings a known file up to date in one transaction and makes sure of its tables.
pub(super) fn bring_up_to_date(connection: &mut Connection, steps: &[&str]) -> Result<(), Fault> {
    if version(connection)? < steps.len() as i64 {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again under the lock: another program may have done it meanwhile.
        let version = version(&transaction)?;
        steps_from(&transaction, usize::try_from(version).unwrap_or(0), steps)?;
        transaction.commit()?;
    }
    let mut expected = Connection::open_in_memory()?;
    let transaction = expected.transaction()?;
    steps_from(&transaction, 0, steps)?;
    if tables(&transaction)? != tables(connection)? {
        return Err(Fault::Damaged(
            "the tables of the database were changed by something else than Undertone: restore a backup"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The format that a file says it has.
pub(super) fn version(connection: &Connection) -> Result<i64, Fault> {
    number(connection, "user_version")
}

fn steps_from(transaction: &Transaction<'_>, done: usize, steps: &[&str]) -> Result<(), Fault> {
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    Ok(())
}

fn number(connection: &Connection, pragma: &str) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}

type Table = (String, String, String, Option<String>);

fn tables(connection: &Connection) -> Result<Vec<Table>, Fault> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// `space` is '' in a row of an Environment itself. Times are texts in RFC 3339, UTC.
const FORMAT_1: &str = "
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL,
    mac BLOB NOT NULL
) STRICT;

CREATE TABLE environments (
    id TEXT NOT NULL PRIMARY KEY,
    mode INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    rows INTEGER NOT NULL,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spaces (
    environment TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    rows INTEGER NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (environment, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    environment TEXT NOT NULL REFERENCES environments (id),
    space TEXT NOT NULL,
    id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (environment, space, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rows (
    environment TEXT NOT NULL REFERENCES environments (id),
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    revision INTEGER NOT NULL,
    id BLOB NOT NULL,
    standing INTEGER NOT NULL,
    purge_at TEXT,
    current INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    locked INTEGER NOT NULL,
    expires_at TEXT,
    updated_at TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    versions INTEGER NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (environment, space, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX rows_by_folded ON rows (environment, folded, space);

CREATE TABLE versions (
    environment TEXT NOT NULL,
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    record INTEGER NOT NULL,
    rules TEXT NOT NULL,
    revoked INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (environment, space, name, number),
    FOREIGN KEY (environment, space, name) REFERENCES rows (environment, space, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    id INTEGER NOT NULL PRIMARY KEY,
    record BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
    sequence INTEGER NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

CREATE TABLE audit_tip (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    mac BLOB NOT NULL
) STRICT;
";

/// Claims of events, and versions of kind 3, which a program that knows format 1 alone can't read.
/// `until` is in nanoseconds since 1970; `answer` is NULL while the event is being handled.
const FORMAT_2: &str = "
CREATE TABLE claims (
    agent TEXT NOT NULL,
    event TEXT NOT NULL,
    digest BLOB NOT NULL,
    claim BLOB NOT NULL,
    until INTEGER NOT NULL,
    answer TEXT,
    mac BLOB NOT NULL,
    PRIMARY KEY (agent, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_by_until ON claims (until);
";

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "CREATE TABLE extra (id INTEGER NOT NULL PRIMARY KEY) STRICT;
        INSERT INTO extra SELECT count(*) FROM meta;";

    fn and_then(step: &'static str) -> Vec<&'static str> {
        STEPS.iter().copied().chain([step]).collect()
    }

    fn made() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        create(&mut connection, |_| Ok(())).unwrap();
        connection
    }

    #[test]
    fn a_file_is_known_newer_or_foreign() {
        let connection = made();
        assert_eq!(format(&connection, STEPS).unwrap(), Format::Known);
        connection.pragma_update(None, "user_version", NEWEST + 1).unwrap();
        assert_eq!(format(&connection, STEPS).unwrap(), Format::Newer(NEWEST + 1));
        assert_eq!(format(&connection, &and_then(NEXT)).unwrap(), Format::Known);
        connection.pragma_update(None, "user_version", 0).unwrap();
        assert_eq!(format(&connection, STEPS).unwrap(), Format::Foreign);
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.pragma_update(None, "application_id", 7).unwrap();
        assert_eq!(format(&connection, STEPS).unwrap(), Format::Foreign);
    }

    #[test]
    fn an_older_file_is_brought_up_to_date_once_and_keeps_its_rows() {
        let mut connection = made();
        connection.execute("INSERT INTO meta VALUES ('a', x'01')", []).unwrap();
        for _ in 0..2 {
            bring_up_to_date(&mut connection, &and_then(NEXT)).unwrap();
            assert_eq!(version(&connection).unwrap(), NEWEST + 1);
            let extra: i64 = connection.query_row("SELECT sum(id) FROM extra", [], |row| row.get(0)).unwrap();
            assert_eq!(extra, 1);
        }
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let mut connection = made();
        let before = tables(&connection).unwrap();
        let half = "CREATE TABLE extra (id INTEGER); CREATE TABLE rows (id INTEGER);";
        assert!(bring_up_to_date(&mut connection, &and_then(half)).is_err());
        assert_eq!(version(&connection).unwrap(), NEWEST);
        assert_eq!(tables(&connection).unwrap(), before);
    }

    #[test]
    fn tables_that_no_step_made_are_damage() {
        for change in [
            "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM audit; END",
            "CREATE TABLE extra (id INTEGER)",
            "DROP INDEX rows_by_folded",
            "ALTER TABLE spaces RENAME COLUMN rows TO many",
        ] {
            let mut connection = made();
            connection.execute_batch(change).unwrap();
            let refused = bring_up_to_date(&mut connection, STEPS);
            assert!(matches!(refused, Err(Fault::Damaged(_))), "{change}");
        }
    }
}
