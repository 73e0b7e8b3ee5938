//! The JSON that a store's secrets hold, and the MAC at its end.
//!
//! The MAC covers the text as it was written, up to the MAC itself, and which scope it is of. So
//! there is no second way to write a document, and nothing is read that wasn't checked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use undertone_core::keys::WrappedKey;
use undertone_core::seals::{Seals, kind_code, mode_code, standing_code};
use undertone_core::{
    Body, History, Mode, Revision, Row, RowHead, Rules, Scope, SecretId, Standing, StoreId, Version,
};

use super::document::{Document, WriteId, numbered};

/// The format that this program writes and reads.
const FORMAT: u64 = 1;
const MAC_BEGINS: &str = ",\"mac\":\"";
const MAC_ENDS: &str = "\"}";
/// 32 bytes as base64 without padding.
const MAC_LENGTH: usize = 43;

/// Why a stored text isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It isn't what was written there.
    Edited,
    /// A newer program wrote it, in this format.
    Newer(u64),
}

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreDocument {
    pub(super) id: StoreId,
    pub(super) key: WrappedKey,
    /// The KMS key under which Secrets Manager keeps the store's secrets; its own, if there is none.
    pub(super) envelope_key: Option<String>,
}

/// The text to store.
pub(super) fn write(document: &Document, seals: &Seals) -> String {
    let mut text = serde_json::to_string(&WireDocument::from(document)).expect("texts and numbers serialise");
    text.pop();
    let mac = seals.document(&place(&document.scope), text.as_bytes()).mac();
    text.push_str(MAC_BEGINS);
    URL_SAFE_NO_PAD.encode_string(mac, &mut text);
    text.push_str(MAC_ENDS);
    text
}

/// Reads what was stored for a scope.
pub(super) fn read(scope: &Scope, text: &str, seals: &Seals) -> Result<Document, Unreadable> {
    let edited = || newer(text).map_or(Unreadable::Edited, Unreadable::Newer);
    let (body, mac) = split(text).ok_or_else(edited)?;
    if !seals.document(&place(scope), body.as_bytes()).is(&mac) {
        return Err(edited());
    }
    let wire: WireDocument<'_> = serde_json::from_str(text).map_err(|_| edited())?;
    if wire.format != FORMAT {
        return Err(edited());
    }
    document(scope, wire).ok_or(Unreadable::Edited)
}

/// The text to store about the store itself.
pub(super) fn write_store(store: &StoreDocument) -> String {
    let wire = WireStore {
        format: FORMAT,
        store_id: encoded(&store.id.0),
        store_key: encoded(&store.key.encode()),
        envelope_key: store.envelope_key.as_deref().map(Cow::Borrowed),
    };
    serde_json::to_string(&wire).expect("texts and numbers serialise")
}

/// Reads what was stored about the store itself.
pub(super) fn read_store(text: &str) -> Result<StoreDocument, Unreadable> {
    if let Some(found) = newer(text) {
        return Err(Unreadable::Newer(found));
    }
    let read = || {
        let wire: WireStore<'_> = serde_json::from_str(text).ok()?;
        if wire.format != FORMAT {
            return None;
        }
        Some(StoreDocument {
            id: StoreId(array(&wire.store_id)?),
            key: WrappedKey::decode(&decoded(&wire.store_key)?).ok()?,
            envelope_key: wire.envelope_key.map(Cow::into_owned),
        })
    };
    read().ok_or(Unreadable::Edited)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireStore<'a> {
    format: u64,
    #[serde(borrow)]
    store_id: Cow<'a, str>,
    #[serde(borrow)]
    store_key: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    envelope_key: Option<Cow<'a, str>>,
}

/// Names of fields are short where there are many: 64 KiB are all that a secret has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDocument<'a> {
    format: u64,
    #[serde(borrow)]
    environment: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    space: Option<Cow<'a, str>>,
    mode: u64,
    created_at: Timely,
    epoch: u32,
    #[serde(borrow)]
    made: Cow<'a, str>,
    #[serde(borrow)]
    writes: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    keys: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    rows: Vec<WireRow<'a>>,
    /// Looked at before anything else is.
    #[serde(rename = "mac", skip_serializing)]
    _mac: IgnoredAny,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRow<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    revision: u64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    standing: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purge_at: Option<Timely>,
    current: u64,
    latest: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    disabled: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    locked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timely>,
    at: Timely,
    #[serde(borrow)]
    by: Cow<'a, str>,
    #[serde(borrow)]
    versions: Vec<WireVersion<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireVersion<'a> {
    n: u64,
    kind: u64,
    #[serde(borrow)]
    record: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    rules: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_false")]
    revoked: bool,
    at: Timely,
    #[serde(borrow)]
    by: Cow<'a, str>,
}

/// A time as text.
#[derive(Clone, Copy)]
struct Timely(Timestamp);

impl Serialize for Timely {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timely {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom("a time has another form"))
    }
}

/// All that is read of a document to tell that it is from a newer program.
#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn newer(text: &str) -> Option<u64> {
    let found = serde_json::from_str::<FormatOnly>(text).ok()?.format;
    (FORMAT < found).then_some(found)
}

/// What the MAC covers besides the text.
fn place(scope: &Scope) -> [&str; 3] {
    match scope {
        Scope::Environment(environment) => ["environment", environment.as_str(), ""],
        Scope::Space(environment, space) => ["space", environment.as_str(), space.as_str()],
    }
}

/// The text that the MAC covers, and the MAC.
fn split(text: &str) -> Option<(&str, Vec<u8>)> {
    let length = MAC_BEGINS.len() + MAC_LENGTH + MAC_ENDS.len();
    let (body, end) = text.split_at_checked(text.len().checked_sub(length)?)?;
    let mac = end.strip_prefix(MAC_BEGINS)?.strip_suffix(MAC_ENDS)?;
    Some((body, decoded(mac)?))
}

impl<'a> From<&'a Document> for WireDocument<'a> {
    fn from(document: &'a Document) -> Self {
        Self {
            format: FORMAT,
            environment: document.scope.environment().as_str().into(),
            space: document.scope.space().map(|space| space.as_str().into()),
            mode: mode_code(document.mode),
            created_at: Timely(document.created_at),
            epoch: document.epoch,
            made: encoded(&document.made.0),
            writes: document.writes.iter().map(|write| encoded(&write.0)).collect(),
            keys: document.keys.iter().map(|key| encoded(&key.encode())).collect(),
            rows: document.rows.values().map(WireRow::from).collect(),
            _mac: IgnoredAny,
        }
    }
}

impl<'a> From<&'a History> for WireRow<'a> {
    fn from(History { row, versions }: &'a History) -> Self {
        let (standing, purge_at) = standing_code(row.head.standing);
        Self {
            name: row.name.as_str().into(),
            revision: row.revision.0,
            id: encoded(&row.head.id.0),
            standing,
            purge_at: purge_at.map(Timely),
            current: row.head.current,
            latest: row.head.latest,
            disabled: row.head.disabled,
            locked: row.head.locked,
            expires_at: row.head.expires_at.map(Timely),
            at: Timely(row.head.updated_at),
            by: row.head.updated_by.as_str().into(),
            versions: versions.iter().map(WireVersion::from).collect(),
        }
    }
}

impl<'a> From<&'a Version> for WireVersion<'a> {
    fn from(version: &'a Version) -> Self {
        Self {
            n: version.number,
            kind: kind_code(&version.body),
            record: encoded(version.body.record()),
            rules: version.rules.canonical().into(),
            revoked: version.revoked,
            at: Timely(version.created_at),
            by: version.created_by.as_str().into(),
        }
    }
}

fn document(scope: &Scope, wire: WireDocument<'_>) -> Option<Document> {
    let is_named = (&*wire.environment, wire.space.as_deref())
        == (scope.environment().as_str(), scope.space().map(|space| space.as_str()));
    if !is_named {
        return None;
    }
    let writes = wire.writes.iter().map(|write| Some(WriteId(array(write)?)));
    let keys = wire.keys.iter().map(|key| WrappedKey::decode(&decoded(key)?).ok());
    let histories = wire.rows.into_iter().map(|row| history(scope, row));
    let rows: BTreeMap<_, _> = histories
        .map(|history| history.map(|history| (history.row.name.clone(), history)))
        .collect::<Option<_>>()?;
    Some(Document {
        scope: scope.clone(),
        mode: match wire.mode {
            0 => Mode::Standard,
            1 => Mode::Development,
            _ => return None,
        },
        created_at: wire.created_at.0,
        epoch: wire.epoch,
        made: WriteId(array(&wire.made)?),
        writes: writes.collect::<Option<_>>()?,
        keys: keys.collect::<Option<_>>()?,
        rows,
    })
}

fn history(scope: &Scope, wire: WireRow<'_>) -> Option<History> {
    let versions: Vec<Version> = wire.versions.into_iter().map(version).collect::<Option<_>>()?;
    let head = RowHead {
        id: SecretId(array(&wire.id)?),
        standing: match (wire.standing, wire.purge_at) {
            (0, None) => Standing::Active,
            (1, None) => Standing::Unset,
            (2, Some(purge_at)) => Standing::Deleted { purge_at: purge_at.0 },
            (3, None) => Standing::Destroyed,
            _ => return None,
        },
        current: wire.current,
        latest: wire.latest,
        disabled: wire.disabled,
        locked: wire.locked,
        expires_at: wire.expires_at.map(|at| at.0),
        updated_at: wire.at.0,
        updated_by: wire.by.into_owned(),
    };
    let row = Row {
        scope: scope.clone(),
        name: wire.name.parse().ok()?,
        revision: Revision(wire.revision),
        current: numbered(&versions, head.current),
        head,
    };
    Some(History { row, versions })
}

fn version(wire: WireVersion<'_>) -> Option<Version> {
    let record = decoded(&wire.record)?.into();
    Some(Version {
        number: wire.n,
        body: match wire.kind {
            1 => Body::Value(record),
            2 => Body::Blocked(record),
            3 => Body::External(record),
            _ => return None,
        },
        rules: Rules::from_canonical(&wire.rules).ok()?,
        revoked: wire.revoked,
        created_at: wire.at.0,
        created_by: wire.by.into_owned(),
    })
}

fn encoded(bytes: &[u8]) -> Cow<'static, str> {
    URL_SAFE_NO_PAD.encode(bytes).into()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decoded(text)?.try_into().ok()
}

fn is_false(flag: &bool) -> bool {
    !flag
}
