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
    pub(super) fn new(index: &'g Index) -> Self {
        Self { index, rolling: Rolling::new(index.point()), next: 0, regions: Regions::default() }
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
                end: self.next + unseen.after,
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
fn widen(text: &[u8], range: Range<usize>, edge: Edge) -> Range<usize> {
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
