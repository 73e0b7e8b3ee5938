//! The regions of a text that hold a value: hits merged, in order, and written as marks.

use std::ops::Range;

/// One occurrence of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) owner: usize,
}

/// Overlapping hits, of which the leftmost, and of those the longest, gives the region its name.
#[derive(Debug)]
pub(super) struct Region {
    start: usize,
    end: usize,
    named_by: Hit,
    marked: bool,
}

impl Region {
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn owner(&self) -> usize {
        self.named_by.owner
    }
}

/// In order of their start; no two overlap.
#[derive(Default)]
pub(super) struct Regions(Vec<Region>);

impl Regions {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first region, if no hit that starts at `settled` or later can change it.
    pub(super) fn first_settled(&self, settled: usize) -> Option<&Region> {
        self.0.first().filter(|region| region.end <= settled)
    }

    pub(super) fn add(&mut self, hit: Hit) {
        let mut region = Region { start: hit.start, end: hit.end, named_by: hit, marked: false };
        // Hits come almost in order, so the search from the end is short.
        let after = self.0.iter().rposition(|known| known.start < hit.end).map_or(0, |at| at + 1);
        let overlaps = |known: &&Region| hit.start < known.end;
        let count = self.0[..after].iter().rev().take_while(overlaps).count();
        for known in self.0.drain(after - count..after) {
            region.merge(known);
        }
        self.0.insert(after - count, region);
    }

    /// Grows each region to whole characters.
    pub(super) fn widen_to_characters(&mut self, text: &str) {
        for region in &mut self.0 {
            region.start = text.floor_char_boundary(region.start);
            region.end = text.ceil_char_boundary(region.end);
        }
    }

    /// Appends `text` up to `to` with a mark for each region, and drops the regions that ended.
    /// One that goes on beyond `to` stays, and has its mark.
    pub(super) fn write(&mut self, text: &[u8], to: usize, marks: &[String], out: &mut Vec<u8>) {
        let mut at = 0;
        let mut ended = 0;
        for region in self.0.iter_mut().take_while(|region| region.start < to) {
            out.extend_from_slice(&text[at..region.start.max(at)]);
            if !region.marked {
                out.extend_from_slice(marks[region.owner()].as_bytes());
                region.marked = true;
            }
            at = region.end.min(to);
            ended += usize::from(region.end <= to);
        }
        out.extend_from_slice(&text[at..to]);
        self.0.drain(..ended);
    }

    /// The text lost its first `count` bytes.
    pub(super) fn forget(&mut self, count: usize) {
        for region in &mut self.0 {
            region.start = region.start.saturating_sub(count);
            region.end = region.end.saturating_sub(count);
        }
    }
}

impl Region {
    fn merge(&mut self, other: Self) {
        let rank = |hit: &Hit| (hit.start, std::cmp::Reverse(hit.end), hit.owner);
        if rank(&other.named_by) < rank(&self.named_by) {
            self.named_by = other.named_by;
        }
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.marked |= other.marked;
    }
}
