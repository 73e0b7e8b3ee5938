//! Which stretches of a text are forms of a value: a table of keyed hashes that answers "this one?" in constant time.
//!
//! Nothing in it can be read. Who can read the process's memory has the keys too, and can test a guess.
//!
//! Work per position is capped: at most `MOST_SHAPES` stretches are asked about. Forms beyond that (only values made to
//! collide reach it, such as a thousand runs of one letter) are masked unseen wherever their anchor stands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use zeroize::Zeroizing;

use super::SHORTEST;
use super::anchors::{Filter, LAST_OFFSET, Spread, WINDOW, rarest_window, window};
use super::forms::Edge;
use super::rolling::{Point, make_room};

/// How many different stretches one anchor may stand for.
pub(super) const MOST_SHAPES: usize = 8;

/// How far an occurrence reaches beyond the form that was found: a mixed character and two of padding.
pub(super) const MOST_AFTER: usize = 3;

/// How far it reaches before the form.
const MOST_BEFORE: usize = 1;

pub(super) struct Index {
    keys: Keys,
    filter: Filter,
    anchors: Sealed<Anchor>,
    forms: Sealed<Form>,
    lookback: usize,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.forms.len()
    }

    pub(super) fn point(&self) -> Point {
        self.keys.point
    }

    /// The furthest that an occurrence begins before its anchor.
    pub(super) fn lookback(&self) -> usize {
        self.lookback
    }

    /// The first anchor at `from` or after it.
    pub(super) fn next_anchor(&self, text: &[u8], from: usize) -> Option<(usize, &Anchor)> {
        let mut from = from;
        while !self.forms.is_empty() {
            let at = self.filter.next(text, from)?;
            let seal = self.keys.seal_window(window(text, at)?);
            if let Some(anchor) = self.anchors.get(&seal) {
                return Some((at, anchor));
            }
            from = at + 1;
        }
        None
    }

    pub(super) fn form(&self, sum: u64, length: usize) -> Option<&Form> {
        self.forms.get(&self.keys.seal_form(sum, length))
    }
}

/// A known form: whose, and how far an occurrence of it reaches.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) owner: usize,
    pub(super) edge: Edge,
}

/// What may stand around one anchor.
#[derive(Default)]
pub(super) struct Anchor {
    pub(super) shapes: Vec<Shape>,
    pub(super) unseen: Option<Unseen>,
    /// How much of the text, from the anchor on, must be there to decide.
    pub(super) reach: usize,
}

/// Where a form stands around its anchor.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) power: u64,
}

/// All the forms that one anchor has no shapes left for.
#[derive(Clone, Copy)]
pub(super) struct Unseen {
    pub(super) owner: usize,
    pub(super) before: usize,
    pub(super) after: usize,
}

pub(super) struct IndexBuilder {
    keys: Keys,
    anchors: Sealed<Anchor>,
    forms: Sealed<Form>,
    places: Zeroizing<Vec<u32>>,
    lookback: usize,
}

impl IndexBuilder {
    pub(super) fn new() -> Self {
        Self {
            keys: Keys::random(),
            anchors: HashMap::default(),
            forms: HashMap::default(),
            places: Zeroizing::default(),
            lookback: 0,
        }
    }

    /// Of two owners of one form, the first keeps it.
    pub(super) fn add(&mut self, form: &[u8], owner: usize, edge: Edge) {
        if form.len() < SHORTEST {
            return;
        }
        let seal = self.keys.seal_form(self.keys.point.sum(form), form.len());
        match self.forms.entry(seal) {
            Entry::Occupied(mut known) => known.get_mut().edge = known.get().edge.or(edge),
            Entry::Vacant(place) => {
                place.insert(Form { owner, edge });
                self.add_shape(form, owner);
            }
        }
    }

    pub(super) fn build(self) -> Index {
        Index {
            filter: Filter::new(self.keys.spread, &self.places),
            keys: self.keys,
            anchors: self.anchors,
            forms: self.forms,
            lookback: self.lookback,
        }
    }

    fn add_shape(&mut self, form: &[u8], owner: usize) {
        let rarest = rarest_window(form);
        let last = (form.len() - WINDOW).min(LAST_OFFSET);
        let length = form.len();
        let power = self.keys.point.power(length);
        // Long forms, which have a choice, leave room for short ones, which have none.
        for most in 2..=MOST_SHAPES {
            for offset in (rarest..=last).chain(0..rarest) {
                if self.anchor(form, offset).add(Shape { offset, length, power }, most) {
                    self.lookback = self.lookback.max(offset + MOST_BEFORE);
                    return;
                }
            }
        }
        self.anchor(form, rarest).add_unseen(owner, rarest, length);
        self.lookback = self.lookback.max(rarest + MOST_BEFORE);
    }

    fn anchor(&mut self, form: &[u8], offset: usize) -> &mut Anchor {
        let window = window(form, offset).expect("an anchor lies inside its form");
        match self.anchors.entry(self.keys.seal_window(window)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                make_room(&mut self.places, 1);
                self.places.push(self.keys.spread.place(window));
                place.insert(Anchor::default())
            }
        }
    }
}

impl Anchor {
    /// Whether there was room for it.
    fn add(&mut self, shape: Shape, most: usize) -> bool {
        if self.shapes.iter().any(|known| known.is_like(&shape)) {
            return true;
        }
        let has_room = self.shapes.len() < most;
        if has_room {
            self.reach = self.reach.max(shape.length - shape.offset + MOST_AFTER);
            self.shapes.push(shape);
        }
        has_room
    }

    fn add_unseen(&mut self, owner: usize, offset: usize, length: usize) {
        let unseen = self.unseen.get_or_insert(Unseen { owner, before: 0, after: 0 });
        unseen.before = unseen.before.max(offset + MOST_BEFORE);
        unseen.after = unseen.after.max(length - offset + MOST_AFTER);
        self.reach = self.reach.max(unseen.after);
    }
}

impl Shape {
    fn is_like(&self, other: &Self) -> bool {
        (self.offset, self.length) == (other.offset, other.length)
    }
}

/// Drawn anew for each guard: two guards over the same values have nothing in common.
struct Keys {
    windows: RandomState,
    forms: RandomState,
    spread: Spread,
    point: Point,
}

impl Keys {
    fn random() -> Self {
        let drawn = RandomState::new();
        Self {
            windows: RandomState::new(),
            forms: RandomState::new(),
            spread: Spread::new(drawn.hash_one("spread")),
            point: Point::new(drawn.hash_one("point")),
        }
    }

    fn seal_window(&self, window: u64) -> u64 {
        self.windows.hash_one(window)
    }

    fn seal_form(&self, sum: u64, length: usize) -> u64 {
        self.forms.hash_one((sum, length))
    }
}

type Sealed<T> = HashMap<u64, T, BuildHasherDefault<AsIs>>;

/// Seals are keyed hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a seal is a u64");
    }

    fn write_u64(&mut self, seal: u64) {
        self.0 = seal;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(forms: &[&[u8]]) -> Index {
        let mut builder = IndexBuilder::new();
        for (owner, form) in forms.iter().enumerate() {
            builder.add(form, owner, Edge::Sharp);
        }
        builder.build()
    }

    #[test]
    fn a_form_is_known_by_all_of_its_bytes() {
        let index = index(&[b"hunter2-hunter2"]);
        let owner = |text: &[u8]| index.form(index.point().sum(text), text.len());
        assert_eq!(owner(b"hunter2-hunter2").map(|form| form.owner), Some(0));
        for other in ["hunter2-hunter3", "hunter2-hunter", "", "hunter2-hunter22"] {
            assert!(owner(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn the_first_owner_keeps_a_form() {
        let index = index(&[b"abcdefgh", b"abcdefgh"]);
        let form = index.form(index.point().sum(b"abcdefgh"), 8);
        assert_eq!(form.map(|form| form.owner), Some(0));
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn a_form_that_comes_about_in_two_ways_has_the_edges_of_both() {
        let base64 = |mixed_before, mixed_after| Edge::Base64 { mixed_before, mixed_after };
        for edges in [
            [base64(true, false), Edge::Sharp, base64(false, true)],
            [Edge::Sharp, base64(false, true), base64(true, false)],
        ] {
            let mut builder = IndexBuilder::new();
            for edge in edges {
                builder.add(b"AAAAAAAAAA", 0, edge);
            }
            let index = builder.build();
            let form = index.form(index.point().sum(b"AAAAAAAAAA"), 10).unwrap();
            assert_eq!(form.edge, base64(true, true), "{edges:?}");
        }
    }

    #[test]
    fn looking_back_reaches_the_character_before_a_form() {
        for (form, want) in [(&b"x7Gq93Zp"[..], 1), (b"          x7Gq93Zp", 10)] {
            assert!(want <= index(&[form]).lookback());
        }
    }

    #[test]
    fn long_forms_leave_room_for_short_ones() {
        let whole = b"x7Gq93Zpabcdefghijklmnopqrstuvwxyz-ABCDEFGH";
        let ends = (8..=whole.len()).rev().map(|length| &whole[..length]);
        let beginnings = (0..=whole.len() - 8).map(|start| &whole[start..]);
        for forms in [ends.collect::<Vec<_>>(), beginnings.collect()] {
            assert!(index(&forms).anchors.values().all(|anchor| anchor.unseen.is_none()));
        }
    }

    #[test]
    fn what_is_too_short_is_not_kept() {
        assert_eq!(index(&[b"1234567", b""]).len(), 0);
        assert_eq!(index(&[b"12345678"]).len(), 1);
    }

    #[test]
    fn forms_that_could_share_an_anchor_move_to_another_or_are_masked_unseen() {
        // Prefixes of one value: each has a window of its own.
        let value = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let prefixes: Vec<&[u8]> = (8..=value.len()).map(|end| &value[..end]).collect();
        assert!(index(&prefixes).anchors.values().all(|anchor| anchor.unseen.is_none()));
        // Runs of one letter: they have one window between them.
        let runs = [b'a'; 40];
        let runs: Vec<&[u8]> = (8..=40).map(|end| &runs[..end]).collect();
        let index = index(&runs);
        let (_, anchor) = index.next_anchor(b"aaaaaaaa", 0).unwrap();
        assert_eq!(anchor.shapes.len(), MOST_SHAPES);
        assert_eq!(anchor.unseen.map(|unseen| unseen.after), Some(40 + MOST_AFTER));
    }
}
