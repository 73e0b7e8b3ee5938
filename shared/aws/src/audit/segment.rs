//! A writer, its segment, and the key of its chain.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use undertone_core::audit::{CHAIN_START, ChainKey};
use undertone_core::random_bytes;
use undertone_core::seals::Seals;

/// The partition of the list of segments.
pub(super) const LIST: &str = "segments";

/// One process, for as long as it writes one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId([u8; 16]);

/// A chain of rows by one writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who wrote it.
    pub writer: WriterId,
    /// When its first row was written.
    pub started: Timestamp,
}

impl WriterId {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(random_bytes())
    }

    /// The key of this writer's chain: nobody else's rows fit it.
    ///
    /// No row has the number 0, so this is no row's MAC.
    pub(super) fn chain(&self, all: &ChainKey) -> ChainKey {
        ChainKey::new(&all.link(&CHAIN_START, 0, &format!("writer {self}")))
    }

    pub(super) fn partition(&self) -> String {
        format!("audit#{self}")
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no writer's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a writer's id is 32 hexadecimal digits")]
pub struct WriterIdError;

impl FromStr for WriterId {
    type Err = WriterIdError;

    fn from_str(text: &str) -> Result<Self, WriterIdError> {
        let id = u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes()));
        // Signs, capitals and missing digits are other spellings of a number, and no id.
        id.ok().filter(|id| id.to_string() == text).ok_or(WriterIdError)
    }
}

impl Segment {
    /// Where the list has it: oldest first.
    pub(super) fn place(&self) -> String {
        format!("{:020}#{}", self.started.as_nanosecond().max(0), self.writer)
    }

    /// The segment that the list has there.
    pub(super) fn at(place: &str) -> Option<Self> {
        let (started, writer) = place.split_once('#')?;
        let started = Timestamp::from_nanosecond(started.parse().ok()?).ok()?;
        let segment = Self { started, writer: writer.parse().ok()? };
        (segment.place() == place).then_some(segment)
    }

    /// Seals the entry in the list.
    pub(super) fn mac(&self, seals: &Seals) -> [u8; 32] {
        seals.document(&[LIST, &self.place()], b"").mac()
    }

    /// Whether the entry in the list was written by Undertone.
    pub(super) fn is_sealed(&self, seals: &Seals, mac: &[u8]) -> bool {
        seals.document(&[LIST, &self.place()], b"").is(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_found_by_its_place_and_nothing_else_is_one() {
        let started = Timestamp::new(1_790_000_000, 123_456_789).unwrap();
        let segment = Segment { writer: WriterId([0xa5; 16]), started };
        let place = segment.place();
        assert_eq!(Segment::at(&place), Some(segment));
        for other in ["", "1#2", &place[1..], &place.to_uppercase(), &place.replace('#', "#+")] {
            assert_eq!(Segment::at(other), None, "{other}");
        }
    }

    #[test]
    fn writers_have_chains_of_their_own() {
        let all = ChainKey::new(&[7; 32]);
        let [one, other] = [1, 2].map(|n| WriterId([n; 16]).chain(&all).link(&CHAIN_START, 1, "{}"));
        assert_ne!(one, other);
        assert_ne!(one, all.link(&CHAIN_START, 1, "{}"));
    }
}
