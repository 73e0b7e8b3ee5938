//! A scope's head: what the scope is, its keys, and a mark for every row that it has.
//!
//! A mark is the start of the row's own MAC. So a row that was removed, or put back as it was
//! earlier, is found by whoever reads it together with the head, and only a name that the head
//! doesn't have is absent. Every change of the scope writes the head, and its epoch rises.

use jiff::Timestamp;
use undertone_core::keys::WrappedKey;
use undertone_core::seals::{Mac, Seals, mode_code};
use undertone_core::{Environment, Mode, Scope, SecretName, Space, StoreError, random_bytes};

use super::item::{Edited, Fields, Item};
use super::place::{Place, short_digest};

/// Names one call of [`write`](undertone_core::Store::write), so that it knows its own work again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteId(pub(super) [u8; 16]);

impl WriteId {
    pub(super) fn random() -> Self {
        Self(random_bytes())
    }
}

/// A scope's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) scope: Scope,
    /// A Space has its Environment's.
    pub(super) mode: Mode,
    pub(super) created_at: Timestamp,
    pub(super) epoch: u64,
    pub(super) keys: Vec<WrappedKey>,
    pub(super) marks: Marks,
    /// What made the scope.
    pub(super) made: WriteId,
    /// What wrote it last.
    pub(super) written: WriteId,
}

impl Head {
    /// A new Environment's.
    pub(super) fn of_environment(made: &Environment, write: WriteId) -> Self {
        Self::new(Scope::Environment(made.id.clone()), made.mode, made.created_at, write)
    }

    /// A new Space's.
    pub(super) fn of_space(made: &Space, write: WriteId) -> Self {
        let scope = Scope::Space(made.environment.clone(), made.id.clone());
        Self::new(scope, Mode::Standard, made.created_at, write)
    }

    fn new(scope: Scope, mode: Mode, created_at: Timestamp, write: WriteId) -> Self {
        let (keys, marks) = (Vec::new(), Marks::default());
        Self { scope, mode, created_at, epoch: 1, keys, marks, made: write, written: write }
    }

    pub(super) fn item(&self, seals: &Seals) -> Item {
        let fields = Fields::default()
            .with_number("mode", mode_code(self.mode))
            .with_time("created_at", self.created_at)
            .with_number("epoch", self.epoch)
            .with_list("keys", self.keys.iter().map(WrappedKey::encode))
            .with_bytes("marks", &self.marks.0)
            .with_bytes("made", &self.made.0)
            .with_bytes("written", &self.written.0);
        Item::sealed(Place::head(&self.scope), fields, seals).0
    }

    pub(super) fn read(scope: &Scope, item: &Item, seals: &Seals) -> Result<Self, StoreError> {
        Self::checked(scope, item, seals).map_err(|Edited| edited(scope))
    }

    fn checked(scope: &Scope, item: &Item, seals: &Seals) -> Result<Self, Edited> {
        let (fields, _) = item.check(seals)?;
        let keys = fields.list("keys")?.into_iter();
        Ok(Self {
            scope: scope.clone(),
            mode: read_mode(fields)?,
            created_at: fields.time("created_at")?,
            epoch: fields.number("epoch")?,
            keys: keys.map(|key| WrappedKey::decode(key).map_err(|_| Edited)).collect::<Result<_, _>>()?,
            marks: Marks::read(fields.bytes("marks")?)?,
            made: WriteId(fields.array("made")?),
            written: WriteId(fields.array("written")?),
        })
    }
}

/// An Environment or a Space in its list.
pub(super) fn list_item(place: Place, mode: Mode, created_at: Timestamp, seals: &Seals) -> Item {
    let fields = Fields::default().with_number("mode", mode_code(mode)).with_time("created_at", created_at);
    Item::sealed(place, fields, seals).0
}

/// The mode and the time of a list's entry.
pub(super) fn read_list_item(item: &Item, seals: &Seals) -> Result<(Mode, Timestamp), Edited> {
    let (fields, _) = item.check(seals)?;
    Ok((read_mode(fields)?, fields.time("created_at")?))
}

fn read_mode(fields: &Fields) -> Result<Mode, Edited> {
    match fields.number("mode")? {
        0 => Ok(Mode::Standard),
        1 => Ok(Mode::Development),
        _ => Err(Edited),
    }
}

/// What is said of a stored thing that can't be as it was written.
pub(super) fn edited(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{what} isn't as Undertone wrote it: run `undertone doctor`"))
}

/// For each row of a scope the short digest of its name and its mark, 16 bytes together, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(Vec<u8>);

/// The start of a row's MAC.
pub(super) type Mark = [u8; 8];

/// A mark of the row with this MAC.
pub(super) fn mark(mac: &Mac) -> Mark {
    *mac.first_chunk().expect("a MAC has 32 bytes")
}

const NAME: usize = 8;
const ENTRY: usize = NAME + 8;

impl Marks {
    fn read(bytes: &[u8]) -> Result<Self, Edited> {
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        let ascends = entries.is_sorted_by(|one, next| one[..NAME] < next[..NAME]);
        (rest.is_empty() && ascends).then(|| Self(bytes.to_vec())).ok_or(Edited)
    }

    /// How many rows the scope has.
    pub(super) fn count(&self) -> usize {
        self.0.len() / ENTRY
    }

    /// The mark of the row of this name, if the scope has one.
    pub(super) fn of(&self, name: &SecretName) -> Option<Mark> {
        let at = self.find(&short_digest(name)).ok()?;
        self.entries()[at].last_chunk().copied()
    }

    /// Marks a row, new or changed.
    pub(super) fn set(&mut self, name: &SecretName, mark: Mark) {
        let digest = short_digest(name);
        match self.find(&digest) {
            Ok(at) => self.0[at * ENTRY + NAME..][..mark.len()].copy_from_slice(&mark),
            Err(at) => {
                let entry = digest.into_iter().chain(mark);
                self.0.splice(at * ENTRY..at * ENTRY, entry);
            }
        }
    }

    fn find(&self, digest: &[u8; NAME]) -> Result<usize, usize> {
        self.entries().binary_search_by(|entry| entry[..NAME].cmp(digest))
    }

    fn entries(&self) -> &[[u8; ENTRY]] {
        self.0.as_chunks().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_by_name_whatever_the_order_in_which_they_came() {
        let names: Vec<SecretName> = (0..200).map(|n| format!("NAME_{n}").parse().unwrap()).collect();
        let mut marks = Marks::default();
        for (number, name) in (0..).zip(&names) {
            marks.set(name, [number; 8]);
        }
        marks.set(&names[7], [255; 8]);
        assert_eq!(marks.count(), names.len());
        for (number, name) in (0..).zip(&names) {
            assert_eq!(marks.of(name), Some([if number == 7 { 255 } else { number }; 8]));
        }
        assert_eq!(marks.of(&"OTHER".parse().unwrap()), None);
        assert_eq!(Marks::read(&marks.0), Ok(marks));
    }

    #[test]
    fn marks_that_nobody_would_write_are_refused() {
        let one = [1; ENTRY];
        let other = [2; ENTRY];
        for (bytes, ok) in [
            (Vec::new(), true),
            ([one, other].concat(), true),
            ([other, one].concat(), false),
            ([one, one].concat(), false),
            (one[1..].to_vec(), false),
        ] {
            assert_eq!(Marks::read(&bytes).is_ok(), ok, "{bytes:?}");
        }
    }
}
