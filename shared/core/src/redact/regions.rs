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
            let named_by = &mut region.named_by;
            for place in [&mut region.start, &mut region.end, &mut named_by.start, &mut named_by.end] {
                // What began before has its mark already.
                *place = place.saturating_sub(count);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"0123456789abcdefghij";

    fn regions(hits: &[(usize, usize, usize)]) -> Regions {
        let mut regions = Regions::default();
        for &(start, end, owner) in hits {
            regions.add(Hit { start, end, owner });
        }
        regions
    }

    fn written(mut regions: Regions) -> String {
        let mut out = Vec::new();
        let marks = ["A", "B", "C"].map(|name| format!("[{name}]"));
        regions.write(TEXT, TEXT.len(), &marks, &mut out);
        assert!(regions.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn overlapping_hits_are_one_region_named_by_the_leftmost_then_the_longest() {
        for (hits, want) in [
            (vec![], "0123456789abcdefghij"),
            (vec![(2, 4, 0)], "01[A]456789abcdefghij"),
            (vec![(2, 4, 0), (4, 6, 1)], "01[A][B]6789abcdefghij"),
            (vec![(2, 5, 0), (4, 6, 1)], "01[A]6789abcdefghij"),
            (vec![(2, 5, 0), (2, 6, 1)], "01[B]6789abcdefghij"),
            (vec![(2, 6, 1), (2, 6, 0)], "01[A]6789abcdefghij"),
            (vec![(0, 9, 2), (3, 5, 0), (8, 20, 1)], "[C]"),
            (vec![(1, 3, 0), (5, 7, 1), (2, 6, 2)], "0[A]789abcdefghij"),
            (vec![(1, 3, 0), (5, 7, 1), (9, 11, 2)], "0[A]34[B]78[C]bcdefghij"),
        ] {
            // The order in which they are found is no matter.
            for turn in 0..hits.len().max(1) {
                let mut turned = hits.clone();
                turned.rotate_left(turn);
                assert_eq!(written(regions(&turned)), want, "{turned:?}");
                turned.reverse();
                assert_eq!(written(regions(&turned)), want, "{turned:?}");
            }
        }
    }

    #[test]
    fn a_region_that_is_written_in_parts_has_one_mark() {
        let mut regions = regions(&[(2, 8, 0), (9, 11, 1)]);
        let marks = ["[A]".to_owned(), "[B]".to_owned()];
        let mut out = Vec::new();
        for (from, to) in [(0, 1), (1, 2), (2, 4), (4, 10), (10, 20)] {
            regions.write(&TEXT[from..], to - from, &marks, &mut out);
            regions.forget(to - from);
        }
        assert_eq!(out, b"01[A]8[B]bcdefghij");
    }

    #[test]
    fn the_longest_gives_the_name_after_the_front_was_forgotten_too() {
        let mut regions = regions(&[(5, 8, 0)]);
        regions.forget(3);
        regions.add(Hit { start: 2, end: 7, owner: 1 });
        assert_eq!(regions.first_settled(20).map(|region| (region.range(), region.owner())), Some((2..7, 1)));
    }

    #[test]
    fn a_region_is_settled_when_no_later_hit_can_reach_it() {
        let regions = regions(&[(2, 8, 0)]);
        assert!(regions.first_settled(7).is_none());
        assert_eq!(regions.first_settled(8).map(Region::range), Some(2..8));
    }

    #[test]
    fn a_region_grows_to_whole_characters() {
        let text = "aäöb";
        let mut regions = regions(&[(2, 4, 0)]);
        regions.widen_to_characters(text);
        let mut out = Vec::new();
        regions.write(text.as_bytes(), text.len(), &["*".to_owned()], &mut out);
        assert_eq!(out, b"a*b");
    }
}
