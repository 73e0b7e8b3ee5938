//! A value from standard input, read without a buffer that anybody else keeps.

use std::os::fd::AsFd;

use undertone_core::{LARGEST_VALUE, ValueTooLarge};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// What happens to one newline at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinalNewline {
    /// It is stripped: `echo` and editors add one.
    Stripped,
    /// It is part of the value.
    Kept,
}

/// A value, and whether a newline was stripped.
pub(crate) struct Piped {
    pub value: Zeroizing<Vec<u8>>,
    pub stripped: bool,
}

/// Reads standard input to its end.
pub(crate) fn piped(newline: FinalNewline) -> Result<Piped, Failure> {
    // Two bytes more than a value may have, since a newline may go.
    let mut value = read_all(LARGEST_VALUE + 2)?;
    let stripped = newline == FinalNewline::Stripped && strip_newline(&mut value);
    if LARGEST_VALUE < value.len() {
        return Err(ValueTooLarge(value.len()).into());
    }
    Ok(Piped { value, stripped })
}

/// Standard input to its end, or one byte more than `most`.
pub(crate) fn read_all(most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let stdin = std::io::stdin();
    let mut all = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new(vec![0; 16 * 1024]);
    loop {
        match rustix::io::read(stdin.as_fd(), &mut chunk[..]) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&chunk[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::Input(std::io::Error::from(error).kind())),
        }
        if most < all.len() {
            return Ok(all);
        }
    }
}

fn strip_newline(value: &mut Vec<u8>) -> bool {
    let without = match value.as_slice() {
        [start @ .., b'\r', b'\n'] | [start @ .., b'\n'] => start.len(),
        _ => return false,
    };
    value.truncate(without);
    true
}

#[cfg(test)]
mod tests {
    use super::strip_newline;

    #[test]
    fn one_final_newline_goes_and_no_other() {
        for (text, want, stripped) in [
            ("a\n", "a", true),
            ("a\r\n", "a", true),
            ("a\n\n", "a\n", true),
            ("a\r\n\r\n", "a\r\n", true),
            ("a\r", "a\r", false),
            ("a \n", "a ", true),
            ("\n", "", true),
            ("", "", false),
        ] {
            let mut value = text.as_bytes().to_vec();
            assert_eq!(strip_newline(&mut value), stripped, "{text:?}");
            assert_eq!(value, want.as_bytes(), "{text:?}");
        }
    }
}
