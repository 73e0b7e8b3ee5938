//! Anchors: the eight bytes of each form by which an occurrence is first suspected.
//!
//! The filter sees every position of every text, so it is a few instructions in front of everything else. It lets
//! through all anchors, and of other windows about one in two hundred: it sets two bits for each anchor, of at least
//! sixty-four.

use zeroize::Zeroizing;

pub(super) const WINDOW: usize = 8;

/// No anchor begins later in its form: how far an occurrence can begin before what gives it away.
pub(super) const LAST_OFFSET: usize = 120;

/// A window, as one number.
pub(super) fn window(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..)?.first_chunk::<WINDOW>()?;
    Some(u64::from_le_bytes(*bytes))
}

/// The offset at which a form's window looks rarest: `{"token":` and blanks are in many texts, `x7Gq` is in few.
pub(super) fn rarest_window(form: &[u8]) -> usize {
    let last = form.len().saturating_sub(WINDOW).min(LAST_OFFSET);
    let rarity = |at: usize| match at {
        _ if form[at.saturating_sub(3)..at].contains(&form[at]) => 0,
        _ => rarity_of(form[at]),
    };
    let mut sum: u32 = (0..WINDOW.min(form.len())).map(rarity).sum();
    let (mut best, mut best_sum) = (0, sum);
    for offset in 1..=last {
        if RARE <= best_sum {
            break;
        }
        sum = sum + rarity(offset + WINDOW - 1) - rarity(offset - 1);
        if best_sum < sum {
            (best, best_sum) = (offset, sum);
        }
    }
    best
}

/// Rare enough to look no further: an early anchor lets a stream go on sooner.
const RARE: u32 = 18;

fn rarity_of(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' | b'A'..=b'Z' | 128.. => 3,
        b'a'..=b'z' => 2,
        _ => 1,
    }
}

/// Spreads windows over the filter's places. Keyed, so that no text can be written to get through often.
#[derive(Clone, Copy)]
pub(super) struct Spread(u64);

impl Spread {
    pub(super) fn new(random: u64) -> Self {
        Self(random | 1)
    }

    #[inline(always)]
    pub(super) fn place(self, window: u64) -> u32 {
        // The upper half of the product depends on all bytes of the window.
        (window.wrapping_mul(self.0) >> 32) as u32
    }
}

pub(super) struct Filter {
    spread: Spread,
    shift: u32,
    words: Box<[u64]>,
}

impl Filter {
    pub(super) fn new(spread: Spread, places: &Zeroizing<Vec<u32>>) -> Self {
        const FEWEST_WORDS: usize = 1 << 8;
        const MOST_WORDS: usize = 1 << 20;
        let words = places.len().next_power_of_two().clamp(FEWEST_WORDS, MOST_WORDS);
        let mut filter = Self { spread, shift: 32 - words.ilog2(), words: vec![0; words].into_boxed_slice() };
        for place in places.iter() {
            filter.words[(place >> filter.shift) as usize] |= bits(*place);
        }
        filter
    }

    /// The first position from `from` on whose window may be an anchor.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        const STRIDE: usize = 8;
        let mut at = from;
        // Many positions, one branch: the processor works on all of them at once.
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<{ STRIDE + WINDOW - 1 }>())
        {
            let mut any = false;
            for window in block.windows(WINDOW) {
                any |= self.lets_through(window);
            }
            if any {
                break;
            }
            at += STRIDE;
        }
        let mut windows = text.get(at..)?.windows(WINDOW);
        windows.position(|window| self.lets_through(window)).map(|found| at + found)
    }

    #[inline(always)]
    fn lets_through(&self, window: &[u8]) -> bool {
        let window = window.try_into().expect("a window has its length");
        let place = self.spread.place(u64::from_le_bytes(window));
        let word = self.words[(place >> self.shift) as usize];
        word >> (place & 63) & word >> (place >> 6 & 63) & 1 == 1
    }
}

#[inline(always)]
fn bits(place: u32) -> u64 {
    1 << (place & 63) | 1 << (place >> 6 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchor_is_the_rarest_looking_window() {
        for (form, want) in [
            ("hunter2h", "hunter2h"),
            ("        x7Gq93Zp        ", "x7Gq93"),
            ("{\"token\":\"Zx81Qp04\"}", "Zx81"),
            ("aaaaaaaaaaaaaaaaaa7b", "7b"),
            ("-----BEGIN RSA KEY", "BEGIN R"),
        ] {
            let at = rarest_window(form.as_bytes());
            assert!(form[at..at + WINDOW].contains(want), "{form}: {}", &form[at..at + WINDOW]);
        }
    }

    #[test]
    fn an_anchor_begins_early() {
        let form = [&[b'a'; 4000][..], b"x7Gq93Zp"].concat();
        assert!(rarest_window(&form) <= LAST_OFFSET);
    }

    #[test]
    fn the_filter_lets_every_anchor_through_and_few_others() {
        let spread = Spread::new(0x9e37_79b9_7f4a_7c15);
        for count in [1_u64, 200, 15_000] {
            let anchor = |i: u64| (i + 1).wrapping_mul(0xd134_2543_de82_ef95);
            let places = (0..count).map(|i| spread.place(anchor(i))).collect();
            let filter = Filter::new(spread, &Zeroizing::new(places));
            for i in 0..count {
                assert_eq!(filter.next(&anchor(i).to_le_bytes(), 0), Some(0), "{i} of {count}");
            }
            let others = 100_000;
            let through =
                (0..others).filter(|i| filter.next(&anchor(count + i).to_le_bytes(), 0).is_some()).count();
            assert!(through < 1_000, "{through} of {others} beside {count}");
        }
    }
}
