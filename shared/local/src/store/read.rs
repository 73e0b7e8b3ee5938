//! Reading: every stored thing is checked against its MAC before anybody sees it.
//!
//! That a name is absent decides whether a Space inherits, so it isn't taken from one place: the
//! index must agree for a single name, and the sealed count for a whole scope.

use rusqlite::{OptionalExtension, Row as Columns, Transaction, params};
use undertone_core::keys::WrappedKey;
use undertone_core::seals::Seals;
use undertone_core::{
    Chain, ChainRows, Environment, EnvironmentId, Epoch, History, Names, Revision, Row, RowHead, Scope,
    ScopeRows, SecretId, SecretName, Space, SpaceId, StoreError, Version, escaped,
};

use super::columns::{Fields, edited};
use crate::database::Fault;

/// One moment of the store, with the key that its MACs are checked with.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) seals: &'a Seals,
}

/// A thing with the number that is stored and sealed with it.
pub(super) struct Counted<T> {
    pub(super) thing: T,
    /// An Environment's or Space's rows, or a row's versions.
    pub(super) count: u64,
}

/// A version, and where its record is.
pub(super) struct StoredVersion {
    pub(super) version: Version,
    pub(super) record: i64,
}

/// A known Environment or Space, with how many rows it has.
pub(super) enum Known {
    Environment(Counted<Environment>),
    Space(Counted<Space>),
}

impl Known {
    pub(super) fn rows(&self) -> u64 {
        match self {
            Known::Environment(known) => known.count,
            Known::Space(known) => known.count,
        }
    }
}

macro_rules! version_columns {
    () => {
        "v.number, v.kind, s.record, v.record, v.rules, v.revoked, v.created_at, v.created_by, v.mac"
    };
}

macro_rules! rows_of_scope {
    ($rest:literal) => {
        concat!(
            "SELECT r.name, r.revision, r.id, r.standing, r.purge_at, r.current, r.latest, r.disabled,
                 r.locked, r.expires_at, r.updated_at, r.updated_by, r.versions, r.mac, v.number, ",
            version_columns!(),
            " FROM rows r
             LEFT JOIN versions v ON v.environment = r.environment AND v.space = r.space
                 AND v.name = r.name AND v.number = r.current
             LEFT JOIN records s ON s.id = v.record
             WHERE r.environment = ?1 AND r.space = ?2",
            $rest
        )
    };
}

impl Moment<'_> {
    pub(super) fn epoch(self) -> Result<Epoch, Fault> {
        let mut statement = self.transaction.prepare_cached("SELECT value, mac FROM epoch")?;
        let (epoch, mac) =
            statement.query_row([], |row| Ok((Epoch(row.get(0)?), row.get::<_, Vec<u8>>(1)?)))?;
        if !self.seals.epoch(epoch).is(&mac) {
            return Err(edited("the store's epoch"));
        }
        Ok(epoch)
    }

    pub(super) fn chain(self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, Fault> {
        let environment = self.environment(&chain.environment)?;
        let mode = environment.thing.mode;
        let mut scopes = vec![self.scope(Known::Environment(environment), names)?];
        if let Some(space) = &chain.space {
            let space = self.space(&chain.environment, space)?;
            scopes.push(self.scope(Known::Space(space), names)?);
        }
        Ok(ChainRows { epoch: self.epoch()?, mode, scopes })
    }

    pub(super) fn history(self, scope: &Scope, name: &SecretName) -> Result<Option<History>, Fault> {
        let Some(Counted { thing: row, count }) = self.row(scope, name)? else {
            return Ok(None);
        };
        let stored = self.versions(scope, name)?;
        if stored.len() as u64 != count {
            return Err(edited(format!("the list of versions of `{name}` in {scope}")));
        }
        let versions = stored.into_iter().map(|stored| stored.version).collect();
        Ok(Some(History { row, versions }))
    }

    /// All versions of a row, newest first.
    pub(super) fn versions(self, scope: &Scope, name: &SecretName) -> Result<Vec<StoredVersion>, Fault> {
        let mut statement = self.transaction.prepare_cached(concat!(
            "SELECT ",
            version_columns!(),
            " FROM versions v LEFT JOIN records s ON s.id = v.record
             WHERE v.environment = ?1 AND v.space = ?2 AND v.name = ?3 ORDER BY v.number DESC"
        ))?;
        let mut found = statement.query([environment(scope), space(scope), name.as_str()])?;
        let mut versions = Vec::new();
        while let Some(columns) = found.next()? {
            versions.push(self.checked_version(scope, name, &mut Fields::of(columns))?);
        }
        Ok(versions)
    }

    /// The scope with its number of rows, or the error of an unknown scope.
    pub(super) fn known(self, scope: &Scope) -> Result<Known, Fault> {
        match scope {
            Scope::Environment(id) => Ok(Known::Environment(self.environment(id)?)),
            Scope::Space(environment, id) => {
                self.environment(environment)?;
                Ok(Known::Space(self.space(environment, id)?))
            }
        }
    }

    pub(super) fn environment(self, id: &EnvironmentId) -> Result<Counted<Environment>, Fault> {
        let sql = "SELECT id, mode, created_at, rows, mac FROM environments WHERE id = ?1";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut found = statement.query([id.as_str()])?;
        match found.next()? {
            None => Err(StoreError::UnknownEnvironment(id.clone()).into()),
            Some(columns) => self.checked_environment(columns),
        }
    }

    pub(super) fn environments(self) -> Result<Vec<Environment>, Fault> {
        let sql = "SELECT id, mode, created_at, rows, mac FROM environments ORDER BY id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut found = statement.query([])?;
        let mut environments = Vec::new();
        while let Some(columns) = found.next()? {
            environments.push(self.checked_environment(columns)?.thing);
        }
        Ok(environments)
    }

    pub(super) fn space(self, environment: &EnvironmentId, id: &SpaceId) -> Result<Counted<Space>, Fault> {
        let sql = "SELECT id, created_at, rows, mac FROM spaces WHERE environment = ?1 AND id = ?2";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut found = statement.query([environment.as_str(), id.as_str()])?;
        match found.next()? {
            None => Err(StoreError::UnknownSpace(environment.clone(), id.clone()).into()),
            Some(columns) => self.checked_space(environment, columns),
        }
    }

    pub(super) fn spaces(
        self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, Fault> {
        self.environment(environment)?;
        let sql = "SELECT id, created_at, rows, mac FROM spaces
             WHERE environment = ?1 AND ?2 < id ORDER BY id LIMIT ?3";
        let mut statement = self.transaction.prepare_cached(sql)?;
        // Every id is greater than the empty text.
        let after = after.map_or("", |after| after.as_str());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found = statement.query(params![environment.as_str(), after, limit])?;
        let mut spaces = Vec::new();
        while let Some(columns) = found.next()? {
            spaces.push(self.checked_space(environment, columns)?.thing);
        }
        Ok(spaces)
    }

    /// A row with its current version, and how many versions it has.
    pub(super) fn row(self, scope: &Scope, name: &SecretName) -> Result<Option<Counted<Row>>, Fault> {
        let mut statement = self.transaction.prepare_cached(rows_of_scope!(" AND r.name = ?3"))?;
        let mut found = statement.query(params![environment(scope), space(scope), name.as_str()])?;
        if let Some(columns) = found.next()? {
            return self.checked_row(scope, columns).map(Some);
        }
        if self.is_indexed(scope, name)? {
            return Err(edited(format!("the row of `{name}` in {scope}")));
        }
        Ok(None)
    }

    pub(super) fn keys(self, scope: &Scope) -> Result<Vec<WrappedKey>, Fault> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT wrapped FROM keys WHERE environment = ?1 AND space = ?2 ORDER BY id")?;
        let wrapped = statement
            .query_map([environment(scope), space(scope)], |columns| columns.get::<_, Vec<u8>>(0))?;
        let decode = |bytes: Result<Vec<u8>, rusqlite::Error>| {
            WrappedKey::decode(&bytes?).map_err(|error| Fault::Damaged(format!("{scope}: {error}")))
        };
        wrapped.map(decode).collect()
    }

    fn scope(self, known: Known, names: Names<'_>) -> Result<ScopeRows, Fault> {
        let scope = match &known {
            Known::Environment(known) => Scope::Environment(known.thing.id.clone()),
            Known::Space(known) => Scope::Space(known.thing.environment.clone(), known.thing.id.clone()),
        };
        let rows = match names {
            Names::All => self.rows(&scope, known.rows())?,
            Names::Only(names) => {
                let rows = names.iter().filter_map(|name| self.row(&scope, name).transpose());
                rows.map(|row| Ok(row?.thing)).collect::<Result<_, Fault>>()?
            }
        };
        let keys = self.keys(&scope)?;
        Ok(ScopeRows { scope, rows, keys })
    }

    fn rows(self, scope: &Scope, count: u64) -> Result<Vec<Row>, Fault> {
        let mut statement = self.transaction.prepare_cached(rows_of_scope!(" ORDER BY r.name"))?;
        let mut found = statement.query([environment(scope), space(scope)])?;
        let mut rows = Vec::new();
        while let Some(columns) = found.next()? {
            rows.push(self.checked_row(scope, columns)?.thing);
        }
        if rows.len() as u64 != count {
            return Err(edited(format!("the list of names of {scope}")));
        }
        Ok(rows)
    }

    /// Whether the index knows a row that the table doesn't.
    fn is_indexed(self, scope: &Scope, name: &SecretName) -> Result<bool, Fault> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT 1 FROM rows INDEXED BY rows_by_folded
             WHERE environment = ?1 AND folded = ?2 AND space = ?3 AND name = ?4",
        )?;
        let key = params![environment(scope), name.folded(), space(scope), name.as_str()];
        Ok(statement.query_row(key, |_| Ok(())).optional()?.is_some())
    }

    fn checked_environment(self, columns: &Columns<'_>) -> Result<Counted<Environment>, Fault> {
        let mut fields = Fields::of(columns);
        let mut read = || {
            let id = fields.parsed()?;
            let environment = Environment { id, mode: fields.mode()?, created_at: fields.time()? };
            Ok((environment, fields.next()?, fields.next::<Vec<u8>>()?))
        };
        let about = || format!("the Environment `{}`", first_text(columns));
        let (thing, count, mac) = read().map_err(|fault: Fault| fault.about(about))?;
        match self.seals.environment(&thing, count).is(&mac) {
            true => Ok(Counted { thing, count }),
            false => Err(edited(about())),
        }
    }

    fn checked_space(
        self,
        environment: &EnvironmentId,
        columns: &Columns<'_>,
    ) -> Result<Counted<Space>, Fault> {
        let mut fields = Fields::of(columns);
        let mut read = || {
            let id = fields.parsed()?;
            let space = Space { environment: environment.clone(), id, created_at: fields.time()? };
            Ok((space, fields.next()?, fields.next::<Vec<u8>>()?))
        };
        let about = || format!("the Space `{environment}/{}`", first_text(columns));
        let (thing, count, mac) = read().map_err(|fault: Fault| fault.about(about))?;
        match self.seals.space(&thing, count).is(&mac) {
            true => Ok(Counted { thing, count }),
            false => Err(edited(about())),
        }
    }

    fn checked_row(self, scope: &Scope, columns: &Columns<'_>) -> Result<Counted<Row>, Fault> {
        let mut fields = Fields::of(columns);
        let about = || format!("the row of `{}` in {scope}", first_text(columns));
        let (mut row, count, mac) = head(scope, &mut fields).map_err(|fault: Fault| fault.about(about))?;
        if !self.seals.row(&row, count).is(&mac) {
            return Err(edited(about()));
        }
        let has_current = fields.next::<Option<u64>>()?.is_some();
        if has_current {
            row.current = Some(self.checked_version(scope, &row.name, &mut fields)?.version);
        }
        if has_current != (row.head.current != 0) {
            return Err(edited(format!("version {} of `{}` in {scope}", row.head.current, row.name)));
        }
        Ok(Counted { thing: row, count })
    }

    fn checked_version(
        self,
        scope: &Scope,
        name: &SecretName,
        fields: &mut Fields<'_>,
    ) -> Result<StoredVersion, Fault> {
        let number = fields.next()?;
        let mut read = || {
            let body = fields.body()?;
            let record = fields.next()?;
            let version = Version {
                number,
                body,
                rules: fields.rules()?,
                revoked: fields.flag()?,
                created_at: fields.time()?,
                created_by: fields.next()?,
            };
            Ok((StoredVersion { version, record }, fields.next::<Vec<u8>>()?))
        };
        let about = || format!("version {number} of `{name}` in {scope}");
        let (stored, mac) = read().map_err(|fault: Fault| fault.about(about))?;
        match self.seals.version(scope, name, &stored.version, stored.record).is(&mac) {
            true => Ok(stored),
            false => Err(edited(about())),
        }
    }
}

/// How a scope's Environment is stored.
pub(super) fn environment(scope: &Scope) -> &str {
    scope.environment().as_str()
}

/// How a scope's Space is stored.
pub(super) fn space(scope: &Scope) -> &str {
    scope.space().map_or("", |space| space.as_str())
}

fn head(scope: &Scope, fields: &mut Fields<'_>) -> Result<(Row, u64, Vec<u8>), Fault> {
    let row = Row {
        scope: scope.clone(),
        name: fields.parsed()?,
        revision: Revision(fields.next()?),
        head: RowHead {
            id: SecretId(fields.next()?),
            standing: fields.standing()?,
            current: fields.next()?,
            latest: fields.next()?,
            disabled: fields.flag()?,
            locked: fields.flag()?,
            expires_at: fields.maybe_time()?,
            updated_at: fields.time()?,
            updated_by: fields.next()?,
        },
        current: None,
    };
    Ok((row, fields.next()?, fields.next()?))
}

/// The id or name that a result row starts with, fit for a message.
fn first_text(columns: &Columns<'_>) -> String {
    columns.get::<_, String>(0).map_or_else(|_| "?".to_owned(), |text| escaped(&text))
}
