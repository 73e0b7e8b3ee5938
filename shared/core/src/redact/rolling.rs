//! The sum of any stretch of a text in constant time, after each byte was read once.
//!
//! A sum is a polynomial over the bytes modulo 2^61 - 1 at a random point: equal stretches have equal sums, two others
//! of one length agree with a chance of at most length / 2^61. A sum alone can be undone for short stretches, so it is
//! sealed (hashed under a key) before it is kept, and the sums of a text are wiped.

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

const MODULUS: u64 = (1 << 61) - 1;

/// Where the polynomial is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Point {
    /// The point raised to 8, 7, .. 1.
    powers: [u64; BLOCK],
}

/// How many bytes are summed at once. One by one, each multiplication would wait for the last.
const BLOCK: usize = 8;

impl Point {
    pub(super) fn new(random: u64) -> Self {
        // Small points would sum short stretches without ever wrapping.
        const SMALLEST: u64 = 1 << 32;
        let point = SMALLEST + random % (MODULUS - SMALLEST);
        let mut powers = [point; BLOCK];
        for at in (0..BLOCK - 1).rev() {
            powers[at] = multiply(powers[at + 1], point);
        }
        Self { powers }
    }

    /// What `Rolling::sum` says of the same bytes.
    pub(super) fn sum(&self, bytes: &[u8]) -> u64 {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let sum = blocks.iter().fold(0, |sum, block| self.add_block(sum, block));
        rest.iter().fold(sum, |sum, byte| self.add(sum, *byte))
    }

    /// The point raised to `length`, which `Rolling::sum` needs for stretches of that length.
    pub(super) fn power(&self, length: usize) -> u64 {
        let (mut power, mut square, mut left) = (1, self.powers[BLOCK - 1], length);
        while 0 < left {
            if left & 1 == 1 {
                power = multiply(power, square);
            }
            square = multiply(square, square);
            left >>= 1;
        }
        power
    }

    fn add(&self, sum: u64, byte: u8) -> u64 {
        reduce(multiply(sum, self.powers[BLOCK - 1]) + digit(byte))
    }

    /// The same as adding each byte.
    fn add_block(&self, sum: u64, block: &[u8; BLOCK]) -> u64 {
        let mut wide = u128::from(sum) * u128::from(self.powers[0]);
        for (byte, power) in block.iter().zip(&self.powers[1..]) {
            wide += u128::from(digit(*byte)) * u128::from(*power);
        }
        // Eight products may be more than fits one round.
        reduce(fold(u128::from(fold(wide + u128::from(digit(block[BLOCK - 1]))))))
    }
}

/// One more than the byte: leading zero bytes count too.
fn digit(byte: u8) -> u64 {
    u64::from(byte) + 1
}

/// The sums of a text's beginnings, for the part of it that is still asked about.
pub(super) struct Rolling {
    point: Point,
    /// Where in the text the first of `sums` stands.
    from: usize,
    sums: Zeroizing<Vec<u64>>,
    /// Bytes read and sums moved.
    #[cfg(test)]
    pub(super) touched: usize,
    #[cfg(test)]
    pub(super) asked: usize,
}

impl Rolling {
    pub(super) fn new(point: Point) -> Self {
        Self {
            point,
            from: 0,
            sums: Zeroizing::default(),
            #[cfg(test)]
            touched: 0,
            #[cfg(test)]
            asked: 0,
        }
    }

    /// The sum of `stretch`. `power` belongs to its length; this and all later stretches start at `floor` or after it,
    /// and `floor` never goes back.
    pub(super) fn sum(&mut self, text: &[u8], stretch: Range<usize>, power: u64, floor: usize) -> u64 {
        #[cfg(test)]
        {
            self.asked += 1;
        }
        self.drop_before(floor);
        self.read_to(text, floor, stretch.end);
        let before = self.sums[stretch.start - self.from];
        let after = self.sums[stretch.end - self.from];
        reduce(after + MODULUS - multiply(before, power))
    }

    /// The text lost its first `count` bytes; what comes later lies behind them.
    pub(super) fn forget(&mut self, count: usize) {
        let stale = count.saturating_sub(self.from).min(self.sums.len());
        self.sums.drain(..stale);
        self.from = (self.from + stale).saturating_sub(count);
    }

    fn drop_before(&mut self, floor: usize) {
        let stale = floor.saturating_sub(self.from);
        if self.sums.len() <= stale {
            self.sums.clear();
        } else if self.sums.len() / 2 < stale {
            // More than half is stale: moving the rest costs less than what was read since the last time.
            #[cfg(test)]
            {
                self.touched += self.sums.len() - stale;
            }
            self.sums.drain(..stale);
            self.from = floor;
        }
    }

    fn read_to(&mut self, text: &[u8], floor: usize, end: usize) {
        if self.sums.is_empty() {
            self.from = floor;
            make_room(&mut self.sums, 1);
            self.sums.push(0);
        }
        let reached = self.from + self.sums.len() - 1;
        let Some(unread) = text.get(reached..end) else {
            return;
        };
        #[cfg(test)]
        {
            self.touched += unread.len();
        }
        make_room(&mut self.sums, unread.len());
        let mut sum = self.sums[self.sums.len() - 1];
        for byte in unread {
            sum = self.point.add(sum, *byte);
            self.sums.push(sum);
        }
    }
}

/// Room for `more` items in a vector whose outgrown memory is wiped too.
pub(super) fn make_room<T: Zeroize + Clone>(items: &mut Zeroizing<Vec<T>>, more: usize) {
    let wanted = items.len() + more;
    if items.capacity() < wanted {
        let mut larger = Zeroizing::new(Vec::with_capacity(wanted.max(items.capacity() * 2)));
        larger.extend_from_slice(items);
        *items = larger;
    }
}

fn multiply(a: u64, b: u64) -> u64 {
    reduce(fold(u128::from(a) * u128::from(b)))
}

/// A smaller number of the same remainder. The product of two reduced ones comes out below twice the modulus.
fn fold(wide: u128) -> u64 {
    (wide as u64 & MODULUS) + (wide >> 61) as u64
}

fn reduce(sum: u64) -> u64 {
    if sum < MODULUS { sum } else { sum - MODULUS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_has_the_sum_of_its_bytes_wherever_it_stands() {
        let point = Point::new(0x1234_5678_9abc_def0);
        let text: Vec<u8> = (0..3000_u32).map(|i| (i * i % 251) as u8).collect();
        let mut rolling = Rolling::new(point);
        for (floor, start, end) in [
            (0, 0, 8),
            (0, 3, 300),
            (2, 2, 20),
            (250, 290, 400),
            (1000, 1500, 1501),
            (1000, 1000, 3000),
            (2999, 2999, 3000),
        ] {
            let sum = rolling.sum(&text, start..end, point.power(end - start), floor);
            assert_eq!(sum, point.sum(&text[start..end]), "{start}..{end}");
        }
    }

    #[test]
    fn forgetting_the_front_of_a_text_moves_the_stretches() {
        let point = Point::new(77);
        let text = b"0123456789abcdefghijklmnopqrstuvwxyz";
        for count in [4, 10, 30] {
            let mut rolling = Rolling::new(point);
            rolling.sum(text, 4..20, point.power(16), 4);
            rolling.forget(count);
            let rest = &text[count..];
            let sum = rolling.sum(rest, 0..6, point.power(6), 0);
            assert_eq!(sum, point.sum(&rest[..6]), "{count} forgotten");
        }
    }

    #[test]
    fn each_byte_is_read_once_and_each_sum_moved_once_at_most() {
        let point = Point::new(9);
        let text = vec![b'x'; 10_000];
        let mut rolling = Rolling::new(point);
        let power = point.power(500);
        for start in 0..9_500 {
            rolling.sum(&text, start..start + 500, power, start.saturating_sub(100));
        }
        assert!(rolling.touched <= 2 * text.len(), "{}", rolling.touched);
        assert!(rolling.sums.len() < 2_000, "the stale part is dropped");
    }

    #[test]
    fn sums_tell_apart_what_differs_in_zeros_or_order() {
        let point = Point::new(5);
        for (one, other) in [(&b"\0\0a"[..], &b"\0a"[..]), (b"ab", b"ba"), (b"", b"\0")] {
            assert_ne!(point.sum(one), point.sum(other));
        }
    }
}
