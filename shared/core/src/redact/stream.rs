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
        Self { guard, sweep: Sweep::new(&guard.index, 0), held: Zeroizing::default() }
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

#[cfg(test)]
mod tests {
    use super::super::anchors::{LAST_OFFSET, WINDOW};
    use super::*;

    const VALUE: &str = "xoxb-8412/Zq+Wm77\"Rt";

    fn guard() -> Guard {
        Guard::builder().add("TOKEN", VALUE.as_bytes()).build()
    }

    fn streamed<'c>(guard: &Guard, chunks: impl IntoIterator<Item = &'c [u8]>) -> String {
        let mut stream = guard.stream();
        let mut cleaned: Vec<u8> = chunks.into_iter().flat_map(|chunk| stream.push(chunk)).collect();
        cleaned.extend(stream.finish());
        String::from_utf8(cleaned).unwrap()
    }

    #[test]
    fn a_value_is_masked_across_every_border() {
        let guard = guard();
        for form in [
            VALUE.to_owned(),
            "eG94Yi04NDEyL1pxK1dtNzciUnQ=".to_owned(),
            VALUE.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            VALUE.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        ] {
            let text = format!("before {form} after");
            for border in 0..=text.len() {
                let (one, other) = text.as_bytes().split_at(border);
                let cleaned = streamed(&guard, [one, other]);
                assert_eq!(cleaned, "before [secret:TOKEN] after", "{form} at {border}");
            }
            let bytes = text.as_bytes().chunks(1);
            assert_eq!(streamed(&guard, bytes), "before [secret:TOKEN] after", "{form}");
        }
    }

    #[test]
    fn values_beyond_the_cap_are_masked_across_every_border_too() {
        let values: Vec<String> = (0..100).map(|i| "a".repeat(50) + &"b".repeat(100 + i) + "7Gq").collect();
        let guard = values.iter().fold(Guard::builder(), |builder, value| builder.add("A", value.as_bytes()));
        let guard = guard.build();
        for value in &values {
            let text = ".".repeat(200) + value + &".".repeat(300);
            for size in [1, 20, 200] {
                let cleaned = streamed(&guard, text.as_bytes().chunks(size));
                assert_eq!(cleaned, guard.clean(&text), "{size}");
                assert!(cleaned.trim_matches('.') == "[secret:A]", "{cleaned}");
            }
        }
    }

    #[test]
    fn a_beginning_that_goes_on_otherwise_is_given_back() {
        let guard = guard();
        for end in 0..VALUE.len() {
            let text = format!("before {}", &VALUE[..end]);
            assert_eq!(streamed(&guard, text.as_bytes().chunks(3)), text);
        }
    }

    #[test]
    fn clean_text_is_held_back_for_less_than_a_line() {
        let long = "0123456789".repeat(6_000);
        let guard = Guard::builder().add("LONG", long.as_bytes()).build();
        let mut stream = guard.stream();
        let text = "nothing to see here, ".repeat(100);
        let given = stream.push(text.as_bytes()).len();
        assert!(text.len() - given <= LAST_OFFSET + WINDOW + 1, "{given} of {}", text.len());
    }

    #[test]
    fn a_stream_without_an_end_is_not_kept() {
        let guard = Guard::builder().add("RUN", b"aaaaaaaa").build();
        let mut stream = guard.stream();
        let mut given = Vec::new();
        for _ in 0..1_000 {
            given.extend(stream.push(&[b'a'; 1_000]));
            assert!(stream.held.len() < 2_000);
        }
        given.extend(stream.finish());
        assert_eq!(given, b"[secret:RUN]");
    }

    #[test]
    fn an_empty_guard_holds_nothing_back() {
        let guard = Guard::empty();
        let mut stream = guard.stream();
        assert_eq!(stream.push(b"chunk"), b"chunk");
        assert_eq!(stream.finish(), b"");
    }
}
