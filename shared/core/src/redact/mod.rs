//! The leak guard: knows an execution's secrets without holding them, and finds or masks them in what leaves.
//!
//! **Invariant.** Of each occurrence of a known form of a known value, no byte is in what [`Guard::clean`] and its like
//! give back. The guard itself holds nothing readable: keyed hashes, under keys drawn for each guard.
//!
//! Known are each value, the value trimmed, its lines, and the strings and numbers in it if it is JSON; each of these
//! as it is, in base64 and base64url (wherever it stands among other bytes, padded or not), hexadecimal, percent
//! encoding (once and twice), JSON string escapes (nested once), HTML escapes and UTF-16.
//!
//! **Limits.** Not masked is what is shorter than [`SHORTEST`] bytes, or was split, reversed, compressed, encrypted,
//! wrapped into lines anew, or encoded in two of these ways at once. Two cases of hexadecimal digits in one value are
//! not known either. The armour of PEM files is no secret. Whoever reads this process's memory can test guesses.
//!
//! Work is linear in the text, whatever the values. Where that needs it, more is masked than a value, never less.

mod anchors;
mod escapes;
mod forms;
mod index;
mod json;
mod leaves;
mod pieces;
mod regions;
mod rolling;
mod stream;
mod sweep;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use json::FoundInJson;
pub use stream::GuardStream;

use index::{Index, IndexBuilder};
use sweep::{Sweep, Tail};

/// Values, lines and leaves with fewer bytes are not masked: they would be found by accident everywhere.
pub const SHORTEST: usize = 8;

/// The secrets of one execution, known by keyed hashes.
pub struct Guard {
    index: Index,
    names: Vec<String>,
    marks: Vec<String>,
}

impl Guard {
    /// A guard that knows no secret and changes nothing.
    pub fn empty() -> Self {
        Self::builder().build()
    }

    /// Starts a guard.
    pub fn builder() -> GuardBuilder {
        GuardBuilder { index: IndexBuilder::new(), names: Vec::new() }
    }

    /// Whether there is nothing that it could find.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// The text with `[secret:NAME]` in place of each occurrence; borrowed if there is none.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(mut sweep) = self.sweep(text.as_bytes()) else {
            return Cow::Borrowed(text);
        };
        // A value that is no text may begin or end inside a character.
        sweep.regions.widen_to_characters(text);
        let cleaned = String::from_utf8(self.written(sweep, text.as_bytes()));
        Cow::Owned(cleaned.expect("regions begin and end between characters"))
    }

    /// The same for bytes that may be no text.
    pub fn clean_bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        match self.sweep(bytes) {
            Some(sweep) => Cow::Owned(self.written(sweep, bytes)),
            None => Cow::Borrowed(bytes),
        }
    }

    /// The first occurrence.
    pub fn find(&self, bytes: &[u8]) -> Option<Found<'_>> {
        // In steps, so that an early occurrence in a long text is found early.
        const STEP: usize = 64 * 1024;
        let (mut end, _) = self.index.next_anchor(bytes, 0)?;
        let mut sweep = Sweep::new(&self.index, end);
        while end < bytes.len() {
            end = bytes.len().min(end + STEP);
            let tail = if end == bytes.len() { Tail::Closed } else { Tail::Open };
            let settled = sweep.advance(&bytes[..end], tail);
            if let Some(region) = sweep.regions.first_settled(settled) {
                return Some(Found { name: &self.names[region.owner()], range: region.range() });
            }
        }
        None
    }

    /// The first occurrence in the strings, keys and numbers of a JSON value.
    pub fn find_in_json(&self, value: &serde_json::Value) -> Option<FoundInJson<'_>> {
        json::find_in_json(self, value)
    }

    /// Cleans a text that comes in chunks.
    pub fn stream(&self) -> GuardStream<'_> {
        GuardStream::new(self)
    }

    /// Nothing if there is no occurrence.
    fn sweep(&self, bytes: &[u8]) -> Option<Sweep<'_>> {
        // Most texts hold not even an anchor: they need no sweep.
        let (first, _) = self.index.next_anchor(bytes, 0)?;
        let mut sweep = Sweep::new(&self.index, first);
        sweep.advance(bytes, Tail::Closed);
        (!sweep.regions.is_empty()).then_some(sweep)
    }

    fn written(&self, mut sweep: Sweep<'_>, bytes: &[u8]) -> Vec<u8> {
        let mut cleaned = Vec::with_capacity(bytes.len());
        sweep.regions.write(bytes, bytes.len(), &self.marks, &mut cleaned);
        cleaned
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (values, forms) = (self.names.len(), self.index.len());
        f.debug_struct("Guard").field("values", &values).field("forms", &forms).finish()
    }
}

/// Takes secrets and makes a [`Guard`]. Holds no value either.
pub struct GuardBuilder {
    index: IndexBuilder,
    names: Vec<String>,
}

impl GuardBuilder {
    /// Adds a value. A name may have several (its versions); of two names for one value the first is shown.
    #[must_use]
    pub fn add(mut self, name: &str, value: &[u8]) -> Self {
        let owner = self.names.len();
        self.names.push(name.to_owned());
        pieces::each_piece(value, &mut |piece| {
            forms::each_form(piece, &mut |form, edge| self.index.add(form, owner, edge));
        });
        self
    }

    /// The guard for everything added.
    pub fn build(self) -> Guard {
        let mut guard = Guard { index: self.index.build(), names: self.names, marks: Vec::new() };
        guard.marks = guard.names.iter().map(|name| mark(&guard, name)).collect();
        guard
    }
}

impl fmt::Debug for GuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBuilder").field("values", &self.names.len()).finish()
    }
}

/// What stands for an occurrence. It must hold no value itself, not even one that equals a name.
fn mark(guard: &Guard, name: &str) -> String {
    let marks = [format!("[secret:{name}]"), "[secret]".to_owned()];
    let harmless = marks.into_iter().find(|mark| guard.find(mark.as_bytes()).is_none());
    harmless.unwrap_or_else(|| "***".to_owned())
}

/// An occurrence: whose, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'g> {
    /// The name of the secret.
    pub name: &'g str,
    /// The bytes that would be masked.
    pub range: Range<usize>,
}
