//! A root key from a passphrase: Argon2id (RFC 9106), with parameters that are part of the key.
//!
//! The parameters are in the settings, where anybody who may write there could lower them. That
//! gives another key, which doesn't open this home, and below the floor nothing is computed.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::{KeyProblem, ReadPassphrase, RootKey};

/// The bytes of a salt.
pub(crate) const SALT: usize = 16;

/// The fewest characters of a new passphrase.
pub(super) const SHORTEST: usize = 8;

/// What guessing one passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Argon2Params {
    /// 256 MiB, three passes, one lane: a second or two.
    fn default() -> Self {
        Self { memory_kib: 256 * 1024, passes: 3, lanes: 1 }
    }
}

impl Argon2Params {
    /// The least that is accepted: 64 MiB, three passes, one lane.
    pub const FLOOR: Argon2Params = Argon2Params { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Parameters within what is safe for the key and for the machine.
    ///
    /// # Errors
    /// If they are out of bounds; nothing was allocated then.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KeyProblem> {
        match () {
            () if memory_kib < 64 * 1024 => {
                Err(KeyProblem::Cost("memory_kib must be at least 65536 (64 MiB)"))
            }
            () if 1024 * 1024 < memory_kib => {
                Err(KeyProblem::Cost("memory_kib must be at most 1048576 (1 GiB)"))
            }
            () if passes < 3 => Err(KeyProblem::Cost("passes must be at least 3")),
            () if 64 < passes => Err(KeyProblem::Cost("passes must be at most 64")),
            () if !(1..=16).contains(&lanes) => Err(KeyProblem::Cost("lanes must be 1 to 16")),
            () => Ok(Self { memory_kib, passes, lanes }),
        }
    }

    /// The memory in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// How often the memory is gone over.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// How many parts of the memory are independent.
    pub fn lanes(self) -> u32 {
        self.lanes
    }
}

/// A salt for a new key.
pub(crate) fn new_salt() -> [u8; SALT] {
    undertone_core::random_bytes()
}

/// Asks for the passphrase of a home.
pub(super) fn ask(read: ReadPassphrase<'_>) -> Result<Zeroizing<String>, KeyProblem> {
    read().map_err(|error| KeyProblem::NoPassphrase(error.to_string()))
}

/// Asks for the passphrase of a new home.
pub(super) fn ask_new(read: ReadPassphrase<'_>) -> Result<Zeroizing<String>, KeyProblem> {
    let passphrase = ask(read)?;
    match passphrase.chars().count() {
        characters if characters < SHORTEST => Err(KeyProblem::ShortPassphrase(characters)),
        _ => Ok(passphrase),
    }
}

/// The key that a passphrase gives: its UTF-8 bytes as typed, nothing normalised.
pub(super) fn derive(
    passphrase: &str,
    salt: &[u8; SALT],
    params: Argon2Params,
) -> Result<RootKey, KeyProblem> {
    let Argon2Params { memory_kib, passes, lanes } = params;
    let checked = Params::new(memory_kib, passes, lanes, Some(32)).expect("within Argon2's own bounds");
    let out_of_memory = |_| KeyProblem::Memory(memory_kib);
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::default();
    memory.try_reserve_exact(checked.block_count()).map_err(out_of_memory)?;
    memory.resize(checked.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, checked)
        .hash_password_into_with_memory(
            passphrase.as_bytes(),
            salt,
            key.as_mut_slice(),
            memory.as_mut_slice(),
        )
        .map_err(|_| KeyProblem::NoPassphrase("it is longer than 4 GiB".to_owned()))?;
    RootKey::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_bounds_are_refused() {
        let (floor, ceiling) = (64 * 1024, 1024 * 1024);
        for (memory, passes, lanes, ok) in [
            (floor, 3, 1, true),
            (ceiling, 64, 16, true),
            (floor - 1, 3, 1, false),
            (ceiling + 1, 3, 1, false),
            (u32::MAX, 3, 1, false),
            (floor, 2, 1, false),
            (floor, 65, 1, false),
            (floor, 3, 0, false),
            (floor, 3, 17, false),
        ] {
            assert_eq!(Argon2Params::new(memory, passes, lanes).is_ok(), ok, "{memory} {passes} {lanes}");
        }
    }

    #[test]
    fn the_key_depends_on_passphrase_salt_and_cost() {
        let key = |passphrase: &str, salt, params| *derive(passphrase, &salt, params).unwrap().expose();
        let floor = Argon2Params::FLOOR;
        let first = key("correct horse", [1; 16], floor);
        // From argon2-cffi 25.1 (the reference implementation in C).
        let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "dcc3ec3ce0901fcc6f65123e4abe2793a4638f8c4688d557fac29554b038ced3");
        assert_ne!(first, key("correct horsE", [1; 16], floor));
        assert_ne!(first, key("correct horse", [2; 16], floor));
        assert_ne!(first, key("correct horse", [1; 16], Argon2Params { passes: 4, ..floor }));
    }

    #[test]
    fn a_new_passphrase_is_not_too_short() {
        let ask = |text: &str| ask_new(&mut || Ok(Zeroizing::new(text.to_owned()))).map(|text| text.len());
        assert_eq!(ask("1234567"), Err(KeyProblem::ShortPassphrase(7)));
        assert_eq!(ask("ääääääää"), Ok(16));
        let broken = ask_new(&mut || Err(std::io::Error::other("no terminal")));
        assert_eq!(broken.err(), Some(KeyProblem::NoPassphrase("no terminal".to_owned())));
    }
}
