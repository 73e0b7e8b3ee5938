//! Cleaning a text that comes in chunks.
//!
//! It says the same as cleaning the whole: bytes are held back until no value can begin in them any more. That is
//! seldom more than a line, and never more than the longest form of a value.

use zeroize::Zeroizing;

use super::Guard;
use super::rolling::make_room;
use super::sweep::{Sweep, Tail};

/// Made by [`Guard::stream`]. What it still holds when it is dropped is wiped, and never leaves.
pub struct GuardStream<'g> {
    guard: &'g Guard,
    sweep: Sweep<'g>,
    held: Zeroizing<Vec<u8>>,
}

impl<'g> GuardStream<'g> {
    pub(super) fn new(guard: &'g Guard) -> Self {
        Self { guard, sweep: Sweep::new(&guard.index), held: Zeroizing::default() }
    }

    /// Takes the next chunk and gives what is safe to pass on: nothing, or more than the chunk.
    #[must_use = "the cleaned bytes are in the answer"]
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.guard.is_empty() {
            return chunk.to_vec();
        }
        make_room(&mut self.held, chunk.len());
        self.held.extend_from_slice(chunk);
        let (cleaned, settled) = self.clean(Tail::Open);
        self.held.drain(..settled);
        self.sweep.forget(settled);
        cleaned
    }

    /// The rest.
    #[must_use = "the last cleaned bytes are in the answer"]
    pub fn finish(mut self) -> Vec<u8> {
        self.clean(Tail::Closed).0
    }

    /// What is settled, cleaned, and how much of what is held that is.
    fn clean(&mut self, tail: Tail) -> (Vec<u8>, usize) {
        let settled = self.sweep.advance(&self.held, tail);
        let mut cleaned = Vec::with_capacity(settled);
        self.sweep.regions.write(&self.held, settled, &self.guard.marks, &mut cleaned);
        (cleaned, settled)
    }
}
