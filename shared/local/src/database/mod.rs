//! The database file: one writer, some readers, and the check of whose file it is.
//!
//! Reads are short and run where they are called, each in one transaction over one moment.
//! Writes run in one thread, one after the other; other programs' writes come between them.

mod connection;
mod fault;
mod schema;
mod scrub;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, Transaction};

pub(crate) use connection::Opened;
pub(crate) use fault::Fault;
pub(crate) use schema::{Format, NEWEST};
pub(crate) use scrub::{is_scrub_due, owe_scrub, scrub, scrub_if_due};

use writer::Writer;

/// At most this many readers are kept open when nobody reads.
const IDLE_READERS: usize = 8;

/// An open database.
pub(crate) struct Database {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
}

/// What came of opening a database.
pub(crate) enum Open {
    Ready(Database),
    Refused(Format),
}

impl Database {
    /// Makes the tables in an empty file, together with what `fill` puts into them, or nothing.
    pub(crate) fn create(
        path: &Path,
        fill: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        schema::create(&mut connection::creator(path)?, fill)
    }

    /// Opens a file that [`Database::create`] has filled.
    pub(crate) fn open(path: &Path) -> Result<Open, Fault> {
        let connection = match connection::writer(path)? {
            Opened::Ready(connection) => connection,
            Opened::Refused(format) => return Ok(Open::Refused(format)),
        };
        scrub_if_due(&connection);
        Ok(Open::Ready(Self {
            path: path.to_owned(),
            readers: Mutex::default(),
            writer: Writer::start(connection)?,
        }))
    }

    /// Reads everything at one moment.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut connection = self.reader()?;
        let answer = connection.transaction().map_err(Fault::from).and_then(|moment| read(&moment));
        let mut idle = self.idle();
        if connection.is_autocommit() && idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        answer
    }

    /// Runs a job in the writer and waits for its answer.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.writer.run(job).await
    }

    /// Runs a job in the writer after those handed in before.
    pub(crate) fn hand_in(&self, job: impl FnOnce(&mut Connection) + Send + 'static) -> Result<(), Fault> {
        self.writer.hand_in(job)
    }

    /// The format that the file says it has.
    pub(crate) fn format(&self) -> Result<i64, Fault> {
        self.read(|moment| schema::version(moment))
    }

    fn reader(&self) -> Result<Connection, Fault> {
        let idle = self.idle().pop();
        idle.map_or_else(|| connection::reader(&self.path), Ok)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().expect("no holder of this lock panics")
    }
}
