//! A root key as text: `esk1_`, 43 characters of base64url for the key, 6 for a checksum.
//!
//! The checksum is the first four bytes of SHA-256 over `"esk1" ‖ key`: it finds typing errors
//! and lets a scanner tell a key from other text. One LF may follow, nothing else.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{KeyProblem, RootKey};

const PREFIX: &str = "esk1_";
/// Characters of 32 bytes in base64url.
const KEY: usize = 43;
/// Characters of the whole text.
const LENGTH: usize = PREFIX.len() + KEY + 6;

/// More bytes than any key text has. Reading stops here.
pub(super) const LIMIT: usize = 4 * LENGTH;

pub(super) fn write(key: &RootKey) -> Zeroizing<String> {
    // Room for all of it, so that no shorter copy stays behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(LENGTH + 1));
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(key.expose(), &mut text);
    URL_SAFE_NO_PAD.encode_string(checksum(key.expose()), &mut text);
    text.push('\n');
    text
}

pub(super) fn parse(bytes: &[u8]) -> Result<RootKey, KeyProblem> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if text.is_empty() {
        return Err(KeyProblem::Empty);
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(KeyProblem::ByteOrderMark);
    }
    let Some(rest) = text.strip_prefix(PREFIX.as_bytes()) else {
        return Err(KeyProblem::Prefix);
    };
    if rest.contains(&b'\r') {
        return Err(KeyProblem::CarriageReturn);
    }
    if rest.iter().any(u8::is_ascii_whitespace) {
        return Err(KeyProblem::WhiteSpace);
    }
    if text.len() != LENGTH {
        return Err(KeyProblem::Length(text.len()));
    }
    let (key, sum) = rest.split_at(KEY);
    let (key, sum) = (decode::<32>(key)?, decode::<4>(sum)?);
    if *sum != checksum(&key) {
        return Err(KeyProblem::Checksum);
    }
    RootKey::new(key)
}

fn decode<const N: usize>(text: &[u8]) -> Result<Zeroizing<[u8; N]>, KeyProblem> {
    let mut room = Zeroizing::new([0; 36]);
    let length = URL_SAFE_NO_PAD.decode_slice(text, room.as_mut_slice()).map_err(|_| KeyProblem::Alphabet)?;
    let mut bytes = Zeroizing::new([0; N]);
    bytes.copy_from_slice(room.get(..length).filter(|room| room.len() == N).ok_or(KeyProblem::Alphabet)?);
    Ok(bytes)
}

fn checksum(key: &[u8; 32]) -> [u8; 4] {
    let mut context = Context::new(&SHA256);
    context.update(b"esk1");
    context.update(key);
    let digest = context.finish();
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_with_one_line_end_or_none() {
        let key = RootKey::for_tests([7; 32]);
        let text = write(&key);
        assert_eq!(text.len(), LENGTH + 1);
        for text in [text.as_bytes(), text.trim_end().as_bytes()] {
            assert_eq!(parse(text).map(|key| *key.expose()), Ok([7; 32]));
        }
    }

    #[test]
    fn the_text_of_a_key_is_fixed() {
        let key = RootKey::for_tests(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(&**write(&key), "esk1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh82FQN1g\n");
    }

    #[test]
    fn anything_else_is_refused_for_its_own_reason() {
        let text = write(&RootKey::for_tests([7; 32]));
        let text = text.trim_end();
        let zero = write(&RootKey::for_tests([0; 32]));
        let changed = text.replacen("Bw", "Cw", 1);
        for (bytes, problem) in [
            (Vec::new(), KeyProblem::Empty),
            (b"\n".to_vec(), KeyProblem::Empty),
            (format!("\u{feff}{text}").into_bytes(), KeyProblem::ByteOrderMark),
            (format!(" {text}").into_bytes(), KeyProblem::Prefix),
            (text.replace("esk1_", "esk2_").into_bytes(), KeyProblem::Prefix),
            (vec![7; 31], KeyProblem::Prefix),
            (vec![7; 32], KeyProblem::Prefix),
            (format!("{text}\r\n").into_bytes(), KeyProblem::CarriageReturn),
            (format!("{text}\n\n").into_bytes(), KeyProblem::WhiteSpace),
            (format!("{text} \n").into_bytes(), KeyProblem::WhiteSpace),
            (text.as_bytes()[..53].to_vec(), KeyProblem::Length(53)),
            (format!("{text}A").into_bytes(), KeyProblem::Length(55)),
            (text.replacen("Bw", "B+", 1).into_bytes(), KeyProblem::Alphabet),
            (text.replacen("Bw", "B\0", 1).into_bytes(), KeyProblem::Alphabet),
            (changed.into_bytes(), KeyProblem::Checksum),
            (zero.as_bytes().to_vec(), KeyProblem::Zero),
        ] {
            assert_eq!(parse(&bytes).err(), Some(problem), "{bytes:?}");
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let text = write(&RootKey::for_tests(*b"0123456789abcdefghijklmnopqrstuv"));
        let text = text.trim_end().as_bytes();
        for at in 0..text.len() {
            for other in (0..=u8::MAX).filter(|other| *other != text[at]) {
                let mut changed = text.to_vec();
                changed[at] = other;
                // The last place also takes a line end, which makes the text too short.
                assert!(parse(&changed).is_err(), "{at} {other}");
            }
        }
    }
}
