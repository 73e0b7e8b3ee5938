//! One pass over a text that may still grow: from suspects to hits to regions.

use std::ops::Range;

use super::anchors::WINDOW;
use super::forms::Edge;
use super::index::{Anchor, Index, MOST_AFTER, Shape};
use super::regions::{Hit, Regions};
use super::rolling::Rolling;

/// Whether more of the text is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Open,
    Closed,
}

pub(super) struct Sweep<'g> {
    index: &'g Index,
    rolling: Rolling,
    /// The first position whose window was not looked at.
    next: usize,
    pub(super) regions: Regions,
}

impl<'g> Sweep<'g> {
    /// No anchor stands before `next`.
    pub(super) fn new(index: &'g Index, next: usize) -> Self {
        Self { index, rolling: Rolling::new(index.point()), next, regions: Regions::default() }
    }

    /// Looks at all of `text` that it can decide about. Hits found later begin where it says, or after it.
    pub(super) fn advance(&mut self, text: &[u8], tail: Tail) -> usize {
        while let Some((at, anchor)) = self.index.next_anchor(text, self.next) {
            self.next = at;
            if tail == Tail::Open && text.len() < at + anchor.reach {
                return self.settled();
            }
            self.look_around(text, anchor);
            self.next += 1;
        }
        self.next = self.next.max((text.len() + 1).saturating_sub(WINDOW));
        match tail {
            Tail::Open => self.settled(),
            Tail::Closed => text.len(),
        }
    }

    /// The text lost its first `count` bytes, all of them settled.
    pub(super) fn forget(&mut self, count: usize) {
        self.next -= count;
        self.rolling.forget(count);
        self.regions.forget(count);
    }

    fn settled(&self) -> usize {
        self.next.saturating_sub(self.index.lookback())
    }

    fn look_around(&mut self, text: &[u8], anchor: &Anchor) {
        for shape in &anchor.shapes {
            if let Some(hit) = self.hit(text, shape) {
                self.regions.add(hit);
            }
        }
        if let Some(unseen) = anchor.unseen {
            self.regions.add(Hit {
                start: self.next.saturating_sub(unseen.before),
                end: text.len().min(self.next + unseen.after),
                owner: unseen.owner,
            });
        }
    }

    fn hit(&mut self, text: &[u8], shape: &Shape) -> Option<Hit> {
        let start = self.next.checked_sub(shape.offset)?;
        let end = start + shape.length;
        if text.len() < end {
            return None;
        }
        let sum = self.rolling.sum(text, start..end, shape.power, self.settled());
        let form = self.index.form(sum, shape.length)?;
        let Range { start, end } = widen(text, start..end, form.edge);
        Some(Hit { start, end, owner: form.owner })
    }
}

/// The whole occurrence of a form that was found at `range`.
pub(super) fn widen(text: &[u8], range: Range<usize>, edge: Edge) -> Range<usize> {
    let Edge::Base64 { mixed_before, mixed_after } = edge else {
        return range;
    };
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let before = text[..range.start].last().filter(|byte| mixed_before && in_alphabet(byte));
    let after = text[range.end..].first().filter(|byte| mixed_after && in_alphabet(byte));
    let end = range.end + usize::from(after.is_some());
    let padding = text[end..].iter().take(MOST_AFTER - 1).take_while(|byte| **byte == b'=');
    range.start - usize::from(before.is_some())..end + padding.count()
}

#[cfg(test)]
mod tests {
    use super::super::index::{IndexBuilder, MOST_SHAPES};
    use super::*;

    fn index(forms: &[Vec<u8>]) -> Index {
        let mut builder = IndexBuilder::new();
        for (owner, form) in forms.iter().enumerate() {
            builder.add(form, owner, Edge::Sharp);
        }
        builder.build()
    }

    #[test]
    fn work_is_linear_in_the_text_whatever_the_values() {
        let run = |length: usize, end: &[u8]| [&vec![b'a'; length][..], end].concat();
        let text = vec![b'a'; 70_000];
        for (what, forms) in [
            ("a long run and another letter", vec![run(65_535, b"b")]),
            ("a letter in the middle", vec![[run(30_000, b"b"), run(30_000, b"")].concat()]),
            ("runs of every length", (8..600).map(|length| run(length, b"")).collect()),
            ("runs that end alike", (200..600).map(|length| run(length, b"b")).collect()),
            ("a run", vec![run(8, b"")]),
        ] {
            let index = index(&forms);
            let mut sweep = Sweep::new(&index, 0);
            sweep.advance(&text, Tail::Closed);
            assert!(0 < sweep.rolling.asked, "{what}: the text is a hard one");
            assert!(sweep.rolling.asked <= MOST_SHAPES * text.len(), "{what}");
            assert!(sweep.rolling.touched <= 2 * text.len(), "{what}");
        }
    }

    #[test]
    fn values_beyond_the_cap_are_masked_unseen() {
        let runs = |length: usize| vec![b'a'; length];
        let steps = |length: usize| [&[b'a'; 50][..], b"xyz", &vec![b'b'; 100 + length], b"7"].concat();
        for values in [(8..200).map(runs).collect::<Vec<_>>(), (0..200).map(steps).collect()] {
            let index = index(&values);
            for value in &values {
                let text = [&[b'.'; 200][..], value, b" after it"].concat();
                let mut sweep = Sweep::new(&index, 0);
                let settled = sweep.advance(&text, Tail::Closed);
                let region = sweep.regions.first_settled(settled).expect("it is masked").range();
                assert!(region.start <= 200 && 200 + value.len() <= region.end, "{region:?}");
            }
        }
    }

    #[test]
    fn an_occurrence_takes_its_mixed_characters_and_padding_with_it() {
        let edge = |mixed_before, mixed_after| Edge::Base64 { mixed_before, mixed_after };
        for (text, edge, want) in [
            ("xxFORMyy==", Edge::Sharp, "FORM"),
            ("xxFORMyy==", edge(false, false), "FORM"),
            ("xxFORMyy==", edge(true, false), "xFORM"),
            ("xxFORMyy==", edge(false, true), "FORMy"),
            ("xxFORMy===", edge(true, true), "xFORMy=="),
            ("+/FORM_-", edge(true, true), "/FORM_"),
            ("  FORM==", edge(true, true), "FORM=="),
            ("FORM", edge(true, true), "FORM"),
            ("\"FORM\"", edge(true, true), "FORM"),
        ] {
            let at = text.find("FORM").unwrap();
            let range = widen(text.as_bytes(), at..at + 4, edge);
            assert_eq!(&text[range], want, "{text} {edge:?}");
        }
    }
}
