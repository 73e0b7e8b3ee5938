//! What of a value is looked for: the value, its lines, and the leaves of the JSON that it may be.

use super::SHORTEST;
use super::leaves::each_leaf;

/// JSON in lines in JSON: as deep as anybody nests a secret, and a bound on the work.
const DEEPEST: usize = 4;

/// Gives the value and each part of it that is a secret by itself, none shorter than `SHORTEST`.
/// Some are given more than once.
pub(super) fn each_piece(value: &[u8], take: &mut dyn FnMut(&[u8])) {
    give(value, DEEPEST, take);
}

fn give(value: &[u8], deepest: usize, take: &mut dyn FnMut(&[u8])) {
    if value.len() < SHORTEST {
        return;
    }
    take(value);
    let trimmed = value.trim_ascii();
    if trimmed.len() < value.len() {
        // Who reads a secret from a file often trims it.
        give(trimmed, deepest, take);
        return;
    }
    let Some(deepest) = deepest.checked_sub(1) else {
        return;
    };
    each_line(value, &mut |line| {
        if line.len() < value.len() && !is_armour(line) {
            give(line, deepest, take);
        }
    });
    each_leaf(value, &mut |leaf| give(leaf, deepest, take));
}

/// Lines end in a line feed, a carriage return, or `\n` spelled out, as environment variables often hold a PEM file.
fn each_line(value: &[u8], take: &mut dyn FnMut(&[u8])) {
    let mut start = 0;
    let mut at = 0;
    while at < value.len() {
        let border = match value[at..] {
            [b'\n' | b'\r', ..] => 1,
            [b'\\', b'n', ..] => 2,
            _ => 0,
        };
        if 0 < border {
            take(value[start..at].trim_ascii());
            start = at + border;
        }
        at += border.max(1);
    }
    take(value[start..].trim_ascii());
}

/// `-----BEGIN CERTIFICATE-----` and its like: everybody's, and in texts that hold no secret.
fn is_armour(line: &[u8]) -> bool {
    (line.starts_with(b"-----BEGIN ") || line.starts_with(b"-----END ")) && line.ends_with(b"-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(value: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_piece(value.as_bytes(), &mut |piece| {
            let piece = String::from_utf8(piece.to_vec()).unwrap();
            if !found.contains(&piece) {
                found.push(piece);
            }
        });
        found
    }

    #[test]
    fn a_value_is_known_with_its_lines_and_leaves() {
        for (value, want) in [
            ("hunter2hunter2", vec!["hunter2hunter2"]),
            ("1234567", vec![]),
            ("\nhunter2hunter2 \r\n", vec!["\nhunter2hunter2 \r\n", "hunter2hunter2"]),
            ("first line\rsecond", vec!["first line\rsecond", "first line"]),
            (
                "first line\r\n  second line\nthird",
                vec!["first line\r\n  second line\nthird", "first line", "second line"],
            ),
            (r"first line\nsecond line", vec![r"first line\nsecond line", "first line", "second line"]),
            (
                r#"{"user":"abcdefgh","pin":12345678}"#,
                vec![r#"{"user":"abcdefgh","pin":12345678}"#, "abcdefgh", "12345678"],
            ),
            (
                r#"["{\"inner\":\"abcdefgh\"}"]"#,
                vec![r#"["{\"inner\":\"abcdefgh\"}"]"#, r#"{"inner":"abcdefgh"}"#, "abcdefgh"],
            ),
            (
                r#"["abcdefgh\u000aijklmnop"]"#,
                vec![r#"["abcdefgh\u000aijklmnop"]"#, "abcdefgh\nijklmnop", "abcdefgh", "ijklmnop"],
            ),
            (
                "{\"a\":\"abcdefgh\"}\n{\"a\":\"ijklmnop\"}",
                vec![
                    "{\"a\":\"abcdefgh\"}\n{\"a\":\"ijklmnop\"}",
                    "{\"a\":\"abcdefgh\"}",
                    "abcdefgh",
                    "{\"a\":\"ijklmnop\"}",
                    "ijklmnop",
                ],
            ),
        ] {
            assert_eq!(pieces(value), want, "{value}");
        }
    }

    #[test]
    fn the_armour_of_a_key_is_no_secret_and_its_lines_are() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n";
        let want = [key, key.trim_end(), "MIIEvQIBADAN"];
        assert_eq!(pieces(key), want);
    }

    #[test]
    fn nesting_ends_somewhere() {
        let mut value = "abcdefgh".to_owned();
        for _ in 0..8 {
            value = serde_json::Value::from(vec![value]).to_string();
        }
        assert_eq!(pieces(&value).len(), 1 + DEEPEST);
    }
}
