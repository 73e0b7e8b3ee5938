//! Rows and versions as items.
//!
//! A row's item holds its current version as well: one item is all that a lookup needs. Its older
//! versions are items of their own, and the row seals them as a chain: which there are, in order,
//! by their MACs. A version that is taken away, added or put back as it was earlier breaks it.

use aws_lc_rs::digest::{SHA256, digest};
use undertone_core::seals::{Mac, Seals, kind_code, standing_code};
use undertone_core::{
    Body, Revision, Row, RowHead, Rules, Scope, SecretId, SecretName, Standing, StoreError, Version,
};

use super::head::{WriteId, edited};
use super::item::{Edited, Fields, Item};
use super::place::Place;

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredRow {
    pub(super) row: Row,
    pub(super) older: Older,
    /// What wrote it.
    pub(super) written: WriteId,
    pub(super) mac: Mac,
}

/// The versions that aren't current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Older {
    pub(super) count: u64,
    /// The highest number among them; 0 without any.
    pub(super) last: u64,
    chain: [u8; 32],
}

impl Older {
    /// With one more, whose number is higher than all.
    pub(super) fn and(self, number: u64, mac: &Mac) -> Self {
        let link = [&self.chain[..], &number.to_be_bytes(), mac].concat();
        let chain = digest(&SHA256, &link).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self { count: self.count + 1, last: number, chain }
    }
}

/// A row's item, and its MAC.
pub(super) fn row_item(row: &Row, older: &Older, written: WriteId, seals: &Seals) -> (Item, Mac) {
    let head = &row.head;
    let (standing, purge_at) = standing_code(head.standing);
    let fields = Fields::default()
        .with_text("name", row.name.as_str())
        .with_number("revision", row.revision.0)
        .with_bytes("id", &head.id.0)
        .with_number("standing", standing)
        .with_maybe_time("purge_at", purge_at)
        .with_number("current", head.current)
        .with_number("latest", head.latest)
        .with_flag("disabled", head.disabled)
        .with_flag("locked", head.locked)
        .with_maybe_time("expires_at", head.expires_at)
        .with_time("updated_at", head.updated_at)
        .with_text("updated_by", &head.updated_by)
        .with_number("older_count", older.count)
        .with_number("older_last", older.last)
        .with_bytes("older_chain", &older.chain)
        .with_bytes("written", &written.0);
    let fields = match &row.current {
        None => fields,
        Some(version) => with_version(fields, version),
    };
    Item::sealed(Place::row(&row.scope, &row.name), fields, seals)
}

/// The item of a version that isn't current, and its MAC.
pub(super) fn version_item(
    scope: &Scope,
    name: &SecretName,
    version: &Version,
    seals: &Seals,
) -> (Item, Mac) {
    let fields = with_version(Fields::default(), version);
    Item::sealed(Place::version(scope, name, version.number), fields, seals)
}

/// The row that an item holds.
pub(super) fn read_row(scope: &Scope, item: &Item, seals: &Seals) -> Result<StoredRow, StoreError> {
    let checked = || {
        let (fields, mac) = item.check(seals)?;
        let row = Row {
            scope: scope.clone(),
            name: fields.parsed("name")?,
            revision: Revision(fields.number("revision")?),
            head: row_head(fields)?,
            current: fields.has("record").then(|| version(fields)).transpose()?,
        };
        let older = Older {
            count: fields.number("older_count")?,
            last: fields.number("older_last")?,
            chain: fields.array("older_chain")?,
        };
        Ok(StoredRow { row, older, written: WriteId(fields.array("written")?), mac })
    };
    checked().map_err(|Edited| match item.fields.parsed::<SecretName>("name") {
        Ok(name) => edited(format!("the row of `{name}` in {scope}")),
        Err(Edited) => edited(format!("a row in {scope}")),
    })
}

/// The version that an item holds, with its MAC.
pub(super) fn read_version(item: &Item, seals: &Seals) -> Result<(Version, Mac), Edited> {
    let (fields, mac) = item.check(seals)?;
    Ok((version(fields)?, mac))
}

fn with_version(fields: Fields, version: &Version) -> Fields {
    fields
        .with_number("number", version.number)
        .with_number("kind", kind_code(&version.body))
        .with_bytes("record", version.body.record())
        .with_text("rules", &version.rules.canonical())
        .with_flag("revoked", version.revoked)
        .with_time("created_at", version.created_at)
        .with_text("created_by", &version.created_by)
}

fn version(fields: &Fields) -> Result<Version, Edited> {
    let record = fields.bytes("record")?.into();
    Ok(Version {
        number: fields.number("number")?,
        body: match fields.number("kind")? {
            1 => Body::Value(record),
            2 => Body::Blocked(record),
            3 => Body::External(record),
            _ => return Err(Edited),
        },
        rules: Rules::from_canonical(fields.text("rules")?).map_err(|_| Edited)?,
        revoked: fields.flag("revoked")?,
        created_at: fields.time("created_at")?,
        created_by: fields.text("created_by")?.to_owned(),
    })
}

fn row_head(fields: &Fields) -> Result<RowHead, Edited> {
    Ok(RowHead {
        id: SecretId(fields.array("id")?),
        standing: match (fields.number("standing")?, fields.maybe_time("purge_at")?) {
            (0, None) => Standing::Active,
            (1, None) => Standing::Unset,
            (2, Some(purge_at)) => Standing::Deleted { purge_at },
            (3, None) => Standing::Destroyed,
            _ => return Err(Edited),
        },
        current: fields.number("current")?,
        latest: fields.number("latest")?,
        disabled: fields.flag("disabled")?,
        locked: fields.flag("locked")?,
        expires_at: fields.maybe_time("expires_at")?,
        updated_at: fields.time("updated_at")?,
        updated_by: fields.text("updated_by")?.to_owned(),
    })
}
