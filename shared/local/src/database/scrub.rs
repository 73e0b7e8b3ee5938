//! Getting destroyed records out of the write-ahead log.
//!
//! A destroyed record is overwritten in its table, and the page with its old bytes may still be
//! in the log until the log is emptied. That can't be done while another program reads, so the
//! debt is part of the destroying transaction and is paid as soon as it can be: right after, at
//! a later write, or when the home is opened next.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::connection::PATIENCE;
use super::fault::Fault;

/// Remembers, as part of the transaction, that the log has to be emptied.
pub(crate) fn owe_scrub(transaction: &Transaction<'_>) -> Result<(), Fault> {
    transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('scrub', x'01')")?.execute([])?;
    Ok(())
}

/// Whether the log still has to be emptied.
pub(crate) fn is_scrub_due(connection: &Connection) -> Result<bool, Fault> {
    let due = connection
        .prepare_cached("SELECT 1 FROM meta WHERE key = 'scrub'")?
        .query_row([], |_| Ok(()))
        .optional()?;
    Ok(due.is_some())
}

/// Empties the log, waiting a while for those who read. If it fails the debt stays.
pub(crate) fn scrub(connection: &Connection) {
    let emptied = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .is_ok_and(|busy| busy == 0);
    if emptied {
        // If this fails the log is emptied once more, which harms nobody.
        let _ = connection.execute("DELETE FROM meta WHERE key = 'scrub'", []);
    }
}

/// Pays an old debt if that takes no waiting.
pub(crate) fn scrub_if_due(connection: &Connection) {
    if is_scrub_due(connection).unwrap_or(false) && connection.busy_timeout(Duration::ZERO).is_ok() {
        scrub(connection);
        // Setting a number in the connection can't fail; a connection without patience only
        // reports a busy store earlier.
        let _ = connection.busy_timeout(PATIENCE);
    }
}
