//! Writing versions and their records.
//!
//! A record that goes is overwritten where it is, with as many bytes as it had: see
//! `database::schema`. One of another length gets a place of its own, and its old one becomes zeros.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::params;
use undertone_core::seals::kind_code;
use undertone_core::{Row, StoreError, Version};

use super::read::{Moment, StoredVersion, environment, space};
use crate::database::Fault;

impl Moment<'_> {
    pub(super) fn add_version(self, row: &Row, version: &Version) -> Result<(), Fault> {
        let id = self.add_record(version.body.record())?;
        let mut statement = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO versions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        let added = statement.execute(params![
            environment(&row.scope),
            space(&row.scope),
            row.name.as_str(),
            version.number,
            kind_code(&version.body),
            id,
            version.rules.canonical(),
            version.revoked,
            version.created_at.to_string(),
            version.created_by,
            self.seals.version(&row.scope, &row.name, version, id).mac(),
        ])?;
        match added {
            // Somebody gave the same number to another version.
            0 => Err(conflict(row)),
            _ => Ok(()),
        }
    }

    pub(super) fn revoke(self, row: &Row, number: u64) -> Result<(), Fault> {
        let mut versions = self.versions(&row.scope, &row.name)?.into_iter();
        let Some(mut stored) = versions.find(|stored| stored.version.number == number) else {
            return Ok(());
        };
        stored.version.revoked = true;
        self.put_version(row, &stored)
    }

    pub(super) fn destroy(self, row: &Row) -> Result<(), Fault> {
        for stored in self.versions(&row.scope, &row.name)? {
            self.clear_record(stored.record)?;
        }
        let mut statement = self
            .transaction
            .prepare_cached("DELETE FROM versions WHERE environment = ?1 AND space = ?2 AND name = ?3")?;
        statement.execute([environment(&row.scope), space(&row.scope), row.name.as_str()])?;
        Ok(())
    }

    /// Gives versions other records. All else about them stays.
    pub(super) fn put_records(self, row: &Row, records: Vec<(u64, Arc<[u8]>)>) -> Result<(), Fault> {
        let mut versions = self.versions(&row.scope, &row.name)?;
        // Of a version that is named twice the last record counts.
        let records: BTreeMap<_, _> = records.into_iter().collect();
        for (number, record) in records {
            let stored = versions.iter_mut().find(|stored| stored.version.number == number);
            let stored = stored.ok_or_else(|| conflict(row))?;
            match stored.version.body.record().len() == record.len() {
                true => self.replace_record(stored.record, &record)?,
                false => {
                    self.clear_record(stored.record)?;
                    stored.record = self.add_record(&record)?;
                    self.put_version(row, stored)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what of a version may change: whether it is revoked, and where its record is.
    fn put_version(self, row: &Row, stored: &StoredVersion) -> Result<(), Fault> {
        let mac = self.seals.version(&row.scope, &row.name, &stored.version, stored.record).mac();
        let mut statement = self.transaction.prepare_cached(
            "UPDATE versions SET revoked = ?1, record = ?2, mac = ?3
             WHERE environment = ?4 AND space = ?5 AND name = ?6 AND number = ?7",
        )?;
        statement.execute(params![
            stored.version.revoked,
            stored.record,
            mac,
            environment(&row.scope),
            space(&row.scope),
            row.name.as_str(),
            stored.version.number
        ])?;
        Ok(())
    }

    fn add_record(self, record: &[u8]) -> Result<i64, Fault> {
        self.transaction.prepare_cached("INSERT INTO records (record) VALUES (?1)")?.execute([record])?;
        Ok(self.transaction.last_insert_rowid())
    }

    fn replace_record(self, id: i64, record: &[u8]) -> Result<(), Fault> {
        let mut statement =
            self.transaction.prepare_cached("UPDATE records SET record = ?1 WHERE id = ?2")?;
        statement.execute(params![record, id])?;
        Ok(())
    }

    fn clear_record(self, id: i64) -> Result<(), Fault> {
        let mut statement = self
            .transaction
            .prepare_cached("UPDATE records SET record = zeroblob(length(record)) WHERE id = ?1")?;
        statement.execute([id])?;
        Ok(())
    }
}

fn conflict(row: &Row) -> Fault {
    StoreError::Conflict { scope: row.scope.clone(), name: row.name.clone() }.into()
}
