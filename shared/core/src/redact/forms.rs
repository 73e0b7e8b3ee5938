//! The forms that a piece of a value takes in a text: itself, base64, hexadecimal, escaped, UTF-16.

use zeroize::Zeroizing;

use super::escapes::{each_hex, each_html, each_json, each_percent, json};

/// What belongs to an occurrence besides the bytes that were looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Sharp,
    /// The characters beside it may mix bits of the value with those of its neighbours; padding may follow.
    Base64 {
        mixed_before: bool,
        mixed_after: bool,
    },
}

impl Edge {
    /// For a form that comes about in two ways: what belongs to either.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Sharp, edge) | (edge, Self::Sharp) => edge,
            (
                Self::Base64 { mixed_before, mixed_after },
                Self::Base64 { mixed_before: also_before, mixed_after: also_after },
            ) => Self::Base64 {
                mixed_before: mixed_before || also_before,
                mixed_after: mixed_after || also_after,
            },
        }
    }
}

/// Gives every form of a piece. Some are given more than once, and some are shorter than the piece.
pub(super) fn each_form(piece: &[u8], take: &mut dyn FnMut(&[u8], Edge)) {
    take(piece, Edge::Sharp);
    // No form is longer: the buffer is filled again and again, never moves and is wiped once.
    let mut buffer = Zeroizing::new(Vec::with_capacity(8 * piece.len()));
    for alphabet in [STANDARD, URL] {
        for shift in 0..3 {
            buffer.clear();
            let edge = base64(piece, shift, alphabet, &mut buffer);
            take(&buffer, edge);
        }
    }
    let mut take_sharp = |form: &[u8]| {
        if form != piece {
            take(form, Edge::Sharp);
        }
    };
    for each in [each_hex, each_percent] {
        each(&mut |write| {
            buffer.clear();
            write(piece, &mut buffer);
            take_sharp(&buffer);
        });
    }
    match std::str::from_utf8(piece) {
        Ok(text) => each_text_form(text, &mut buffer, &mut take_sharp),
        // What is left of other bytes where a program insisted on a text.
        Err(_) => {
            let lossy = Zeroizing::new(String::from_utf8_lossy(piece).into_owned());
            take_sharp(lossy.as_bytes());
        }
    }
    for separator in [", ", ","] {
        buffer.clear();
        byte_list(piece, separator, &mut buffer);
        take_sharp(&buffer);
    }
}

/// How a program shows bytes that it doesn't take for a text: `104, 117, 110`.
fn byte_list(piece: &[u8], separator: &str, out: &mut Vec<u8>) {
    for (index, byte) in piece.iter().enumerate() {
        if 0 < index {
            out.extend_from_slice(separator.as_bytes());
        }
        let digits = [byte / 100, byte / 10 % 10, byte % 10].map(|digit| b'0' + digit);
        let leading = match byte {
            0..=9 => 2,
            10..=99 => 1,
            100..=255 => 0,
        };
        out.extend_from_slice(&digits[leading..]);
    }
}

fn each_text_form(text: &str, buffer: &mut Vec<u8>, take: &mut dyn FnMut(&[u8])) {
    for each in [each_json, each_html] {
        each(&mut |write| {
            buffer.clear();
            write(text, buffer);
            take(buffer);
        });
    }
    // A JSON string in a JSON string: what one program answered, in the log of another.
    let mut once = Zeroizing::new(Vec::with_capacity(8 * text.len()));
    json(text, &mut once);
    buffer.clear();
    json(std::str::from_utf8(&once).expect("an escaped text is text"), buffer);
    take(buffer);
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        buffer.clear();
        text.encode_utf16().for_each(|unit| buffer.extend_from_slice(&bytes(unit)));
        take(buffer);
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters that depend on the value alone when it comes `shift` bytes after a group of three began.
fn base64(value: &[u8], shift: usize, alphabet: &[u8; 64], out: &mut Vec<u8>) -> Edge {
    let starts = 8 * shift;
    let ends = starts + 8 * value.len();
    for character in starts.div_ceil(6)..ends / 6 {
        let bit = 6 * character - starts;
        let low = value.get(bit / 8 + 1).copied().unwrap_or(0);
        let pair = u16::from_be_bytes([value[bit / 8], low]);
        out.push(alphabet[usize::from((pair >> (10 - bit % 8)) & 63)]);
    }
    Edge::Base64 { mixed_before: !starts.is_multiple_of(6), mixed_after: !ends.is_multiple_of(6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(piece: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each_form(piece, &mut |form, _| found.push(form.to_vec()));
        found
    }

    #[test]
    fn base64_gives_the_characters_that_no_neighbour_changes() {
        let mixed = |mixed_before, mixed_after| Edge::Base64 { mixed_before, mixed_after };
        // "ab?>cd~z" after nothing, "x" and "xy": YWI_PmNkfno, eGFiPz5jZH56, eHlhYj8-Y2R-eg.
        for (shift, standard, url, edge) in [
            (0, "YWI/PmNkfn", "YWI_PmNkfn", mixed(false, true)),
            (1, "FiPz5jZH56", "FiPz5jZH56", mixed(true, false)),
            (2, "hYj8+Y2R+e", "hYj8-Y2R-e", mixed(true, true)),
        ] {
            for (alphabet, want) in [(STANDARD, standard), (URL, url)] {
                let mut out = Vec::new();
                assert_eq!(base64(b"ab?>cd~z", shift, alphabet, &mut out), edge, "{shift}");
                assert_eq!(String::from_utf8(out).unwrap(), want, "{shift}");
            }
        }
    }

    #[test]
    fn text_has_utf_16_and_nested_json_forms_and_other_bytes_have_not() {
        let found = forms("a\"ß".as_bytes());
        for want in [&b"a\0\"\0\xdf\0"[..], b"\0a\0\"\0\xdf", "a\\\\\\\"ß".as_bytes()] {
            assert!(found.iter().any(|form| form == want), "{want:?}");
        }
        let found = forms(b"a\xff\xfe");
        assert!(found.iter().all(|form| !form.contains(&0)));
        assert!(found.iter().any(|form| form == b"61fffe"));
    }
}
