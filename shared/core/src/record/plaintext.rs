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
        // Elements are wiped one at a time and spare capacity in one sweep, which for the largest
        // value is as long as decrypting it against a tenth of that.
        self.0.clear();
        self.0.zeroize();
    }
}
