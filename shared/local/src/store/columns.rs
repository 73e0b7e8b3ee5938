//! From columns to types. What doesn't fit its type is damage, never a guess.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row as Columns;
use rusqlite::types::FromSql;
use undertone_core::{Body, Mode, Rules, Standing};

use crate::database::Fault;

/// The columns of a result row, read from left to right.
pub(super) struct Fields<'a> {
    columns: &'a Columns<'a>,
    next: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(columns: &'a Columns<'a>) -> Self {
        Self { columns, next: 0 }
    }

    pub(super) fn next<T: FromSql>(&mut self) -> Result<T, Fault> {
        let field = self.columns.get(self.next)?;
        self.next += 1;
        Ok(field)
    }

    pub(super) fn parsed<T: FromStr>(&mut self) -> Result<T, Fault> {
        self.next::<String>()?.parse().map_err(|_| wrong_form())
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Fault> {
        self.parsed()
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        let text = self.next::<Option<String>>()?;
        text.map(|text| text.parse().map_err(|_| wrong_form())).transpose()
    }

    /// 0 or 1, and nothing else.
    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        match self.next::<i64>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong_form()),
        }
    }

    pub(super) fn mode(&mut self) -> Result<Mode, Fault> {
        match self.next::<i64>()? {
            0 => Ok(Mode::Standard),
            1 => Ok(Mode::Development),
            _ => Err(wrong_form()),
        }
    }

    /// Two columns: the code, and when a deleted row is purged.
    pub(super) fn standing(&mut self) -> Result<Standing, Fault> {
        match (self.next::<i64>()?, self.maybe_time()?) {
            (0, None) => Ok(Standing::Active),
            (1, None) => Ok(Standing::Unset),
            (2, Some(purge_at)) => Ok(Standing::Deleted { purge_at }),
            (3, None) => Ok(Standing::Destroyed),
            _ => Err(wrong_form()),
        }
    }

    /// Two columns: the kind and the record.
    pub(super) fn body(&mut self) -> Result<Body, Fault> {
        match (self.next::<i64>()?, self.next::<Arc<[u8]>>()?) {
            (1, record) => Ok(Body::Value(record)),
            (2, record) => Ok(Body::Blocked(record)),
            (3, record) => Ok(Body::External(record)),
            _ => Err(wrong_form()),
        }
    }

    pub(super) fn rules(&mut self) -> Result<Rules, Fault> {
        Rules::from_canonical(&self.next::<String>()?).map_err(|_| wrong_form())
    }
}

fn wrong_form() -> Fault {
    Fault::Damaged("a stored field has the wrong form".to_owned())
}

/// What is said of a stored thing whose MAC isn't that of its fields.
pub(super) fn edited(what: impl Display) -> Fault {
    Fault::Damaged(format!("{what} isn't as Undertone wrote it: run `undertone doctor`"))
}
