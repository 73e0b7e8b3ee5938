//! MACs over what a store keeps in the open: modes, locks, expiry, which version is current.
//!
//! Every Environment, Space, row, version and the epoch carries an HMAC-SHA-256 under a key that
//! hangs under the store key, checked at every read, so that an edit made past Undertone is
//! found. It covers which table, which row of it, and every field; a version's record isn't
//! covered, since it opens only where it belongs. A MAC can't tell that an older state of a row
//! or version, which once was right, was put back.

use aws_lc_rs::hmac;
use jiff::Timestamp;

use crate::name::SecretName;
use crate::row::{Body, Row, Standing, Version};
use crate::rules::Mode;
use crate::scope::Scope;
use crate::store::{Environment, Epoch, Space};

/// HMAC-SHA-256.
pub type Mac = [u8; 32];

/// The key of the MACs: `use_key(.., "rows")`.
pub struct Seals(hmac::Key);

impl Seals {
    /// From the key that hangs under the store key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A whole document of a store that keeps documents, at the place where it is kept.
    pub fn document(&self, place: &[&str], bytes: &[u8]) -> Sealed<'_> {
        let places = u64::try_from(place.len()).expect("a place has a few parts");
        let sealed = self.sealed("document").number(places);
        place.iter().fold(sealed, |sealed, part| sealed.text(part)).bytes(bytes)
    }

    /// The store's epoch.
    pub fn epoch(&self, epoch: Epoch) -> Sealed<'_> {
        self.sealed("epoch").number(epoch.0)
    }

    /// `rows` is how many names the Environment itself has.
    pub fn environment(&self, environment: &Environment, rows: u64) -> Sealed<'_> {
        let sealed = self.sealed("environment").text(environment.id.as_str());
        sealed.number(mode_code(environment.mode)).time(environment.created_at).number(rows)
    }

    /// `rows` is how many names the Space itself has.
    pub fn space(&self, space: &Space, rows: u64) -> Sealed<'_> {
        let sealed = self.sealed("space").text(space.environment.as_str()).text(space.id.as_str());
        sealed.time(space.created_at).number(rows)
    }

    /// A row without its versions; `versions` is how many it has.
    pub fn row(&self, row: &Row, versions: u64) -> Sealed<'_> {
        let head = &row.head;
        let (standing, purge_at) = standing_code(head.standing);
        self.sealed("row")
            .scope(&row.scope)
            .text(row.name.as_str())
            .number(row.revision.0)
            .bytes(&head.id.0)
            .number(standing)
            .maybe_time(purge_at)
            .number(head.current)
            .number(head.latest)
            .number(u64::from(head.disabled))
            .number(u64::from(head.locked))
            .maybe_time(head.expires_at)
            .time(head.updated_at)
            .text(&head.updated_by)
            .number(versions)
    }

    /// A version without its record; `record` is where that is, 0 if it is beside it.
    pub fn version(&self, scope: &Scope, name: &SecretName, version: &Version, record: i64) -> Sealed<'_> {
        self.sealed("version")
            .scope(scope)
            .text(name.as_str())
            .number(version.number)
            .number(kind_code(&version.body))
            .text(&version.rules.canonical())
            .number(u64::from(version.revoked))
            .time(version.created_at)
            .text(&version.created_by)
            .bytes(&record.to_be_bytes())
    }

    fn sealed(&self, table: &str) -> Sealed<'_> {
        Sealed { key: &self.0, fields: Vec::with_capacity(256) }.text(table)
    }
}

/// The fields of one stored thing, each as `length(u32) ‖ bytes`.
#[must_use]
pub struct Sealed<'a> {
    key: &'a hmac::Key,
    fields: Vec<u8>,
}

impl Sealed<'_> {
    /// The MAC to store.
    pub fn mac(&self) -> Mac {
        let tag = hmac::sign(self.key, &self.fields);
        tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// Whether the stored MAC is that of these fields.
    pub fn is(&self, stored: &[u8]) -> bool {
        hmac::verify(self.key, &self.fields, stored).is_ok()
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).expect("stored fields are far below 4 GiB");
        self.fields.extend_from_slice(&length.to_be_bytes());
        self.fields.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn time(self, time: Timestamp) -> Self {
        self.bytes(&time.as_nanosecond().to_be_bytes())
    }

    /// No time is no bytes.
    fn maybe_time(self, time: Option<Timestamp>) -> Self {
        match time {
            None => self.bytes(&[]),
            Some(time) => self.time(time),
        }
    }

    /// No Space is no bytes; a Space's id has at least one.
    fn scope(self, scope: &Scope) -> Self {
        self.text(scope.environment().as_str()).text(scope.space().map_or("", |space| space.as_str()))
    }
}

/// How a mode is stored.
pub fn mode_code(mode: Mode) -> u64 {
    match mode {
        Mode::Standard => 0,
        Mode::Development => 1,
    }
}

/// How a row's standing is stored.
pub fn standing_code(standing: Standing) -> (u64, Option<Timestamp>) {
    match standing {
        Standing::Active => (0, None),
        Standing::Unset => (1, None),
        Standing::Deleted { purge_at } => (2, Some(purge_at)),
        Standing::Destroyed => (3, None),
    }
}

/// How a version's kind is stored.
pub fn kind_code(body: &Body) -> u64 {
    match body {
        Body::Value(_) => 1,
        Body::Blocked(_) => 2,
        Body::External(_) => 3,
    }
}
