//! The strings and numbers inside a JSON object or array, read from its text.
//!
//! No JSON library reads a secret here: it would leave copies behind in memory that nobody wipes.

use zeroize::Zeroizing;

/// Gives each string (unescaped) and number (as written, and as serde_json would write it) in `json`, keys aside.
/// Nothing, if that is not made of JSON's tokens with matching brackets around it.
pub(super) fn each_leaf(json: &[u8], take: &mut dyn FnMut(&[u8])) {
    let Some(tokens) = tokens(json) else { return };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Text(raw) => {
                if !matches!(tokens.get(at + 1), Some(Token::Colon))
                    && let Some(text) = unescape(raw)
                {
                    take(&text);
                }
            }
            Token::Number(raw) => {
                take(raw);
                if let Ok(number) = serde_json::from_slice::<serde_json::Number>(raw) {
                    take(Zeroizing::new(number.to_string()).as_bytes());
                }
            }
            Token::Colon | Token::Open(_) | Token::Close(_) | Token::Other => {}
        }
    }
}

enum Token<'v> {
    /// What stands between the quotes, still escaped.
    Text(&'v [u8]),
    Number(&'v [u8]),
    Colon,
    Open(u8),
    Close(u8),
    Other,
}

fn tokens(json: &[u8]) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut awaited = Vec::new();
    let mut rest = json.trim_ascii();
    while !rest.is_empty() {
        let (token, length) = token(rest)?;
        match token {
            Token::Open(close) => awaited.push(close),
            Token::Close(close) if awaited.pop() != Some(close) => return None,
            Token::Close(_) if awaited.is_empty() && length < rest.len() => return None,
            _ if awaited.is_empty() && tokens.is_empty() => return None,
            _ => {}
        }
        tokens.push(token);
        rest = rest[length..].trim_ascii_start();
    }
    awaited.is_empty().then_some(tokens)
}

fn token(rest: &[u8]) -> Option<(Token<'_>, usize)> {
    Some(match rest.first()? {
        b'{' => (Token::Open(b'}'), 1),
        b'[' => (Token::Open(b']'), 1),
        close @ (b'}' | b']') => (Token::Close(*close), 1),
        b':' => (Token::Colon, 1),
        b',' => (Token::Other, 1),
        b'"' => {
            let inside = length_of_text(&rest[1..])?;
            (Token::Text(&rest[1..=inside]), inside + 2)
        }
        b'-' | b'0'..=b'9' => {
            let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
            let length = rest.iter().take_while(|byte| part(byte)).count();
            (Token::Number(&rest[..length]), length)
        }
        _ => {
            let mut words = [&b"true"[..], b"false", b"null"].into_iter();
            (Token::Other, words.find(|word| rest.starts_with(word))?.len())
        }
    })
}

fn length_of_text(rest: &[u8]) -> Option<usize> {
    let mut escaped = false;
    rest.iter().position(|byte| {
        let ends = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        ends
    })
}

fn unescape(raw: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // No escape is shorter than what it stands for, so this never grows.
    let mut text = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        let (&letter, after) = rest.split_first()?;
        rest = after;
        match letter {
            b'"' | b'\\' | b'/' => text.push(letter),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let (character, length) = unescape_unicode(rest)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
            _ => return None,
        }
    }
    Some(text)
}

/// The character that follows `\u`, and the length of what spells it.
fn unescape_unicode(rest: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(rest.get(at..at + 4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(0)?;
    let second = if rest.get(4..6) == Some(b"\\u") { unit(6) } else { None };
    let units = [first, second.unwrap_or(0)];
    let character = char::decode_utf16(units).next()?.ok()?;
    Some((character, if character.len_utf16() == 2 { 10 } else { 4 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(json: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_leaf(json.as_bytes(), &mut |leaf| {
            found.push(String::from_utf8(leaf.to_vec()).unwrap());
        });
        found.dedup();
        found
    }

    #[test]
    fn strings_and_numbers_are_leaves_and_keys_are_not() {
        for (json, want) in [
            (r#"{"a":"one","b":["two",{"c":"three"}]}"#, vec!["one", "two", "three"]),
            (r#"  ["x", true, null, false, "y"]  "#, vec!["x", "y"]),
            (r#"{"pin":12345678.50}"#, vec!["12345678.50", "12345678.5"]),
            (r#"[-1, 2e3]"#, vec!["-1", "2e3", "2000.0"]),
            (r#"["123456789012345678901234567890"]"#, vec!["123456789012345678901234567890"]),
            (r#"["a\"b\\c\/d\n\t\r\b\f"]"#, vec!["a\"b\\c/d\n\t\r\u{8}\u{c}"]),
            (r#"["\u00e4\u20AC\ud83d\ude00!"]"#, vec!["ä€😀!"]),
            (r#"{"a" : "spaced" }"#, vec!["spaced"]),
            ("[]", vec![]),
        ] {
            assert_eq!(leaves(json), want, "{json}");
        }
    }

    #[test]
    fn what_is_not_an_object_or_array_has_no_leaves() {
        for text in [
            "",
            "\"a string\"",
            "12345678",
            "{\"open\":\"a\"",
            "[\"a\"}",
            "[\"a\"] \"b\"",
            "[\"a\"][\"b\"]",
            "{key: \"a\"}",
            "[section]\nkey = \"a\"",
            "[\"never closed]",
            "]",
        ] {
            assert!(leaves(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_string_with_a_broken_escape_is_left_out_alone() {
        for (json, want) in [
            (r#"["\x41","kept"]"#, vec!["kept"]),
            (r#"["\ud83d alone","kept"]"#, vec!["kept"]),
            (r#"["\u12","kept"]"#, vec!["kept"]),
            (r#"["\ud83d..de00","kept"]"#, vec!["kept"]),
        ] {
            assert_eq!(leaves(json), want, "{json}");
        }
    }
}
