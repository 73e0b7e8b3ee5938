//! How programs escape a text: percent encoding, JSON strings, HTML.
//!
//! Every style appends to a buffer that holds eight times the text, which none exceeds.

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Appends a text in one style.
type Writer<'w, T> = &'w dyn Fn(&T, &mut Vec<u8>);

type Give<'g, T> = &'g mut dyn FnMut(Writer<'_, T>);

/// Gives one writer per style of percent encoding.
pub(super) fn each_percent(give: Give<'_, [u8]>) {
    // What each leaves as it is, and how it writes a space the first and the second time.
    let encode_uri_component = (Some(&b"-_.!~*'()"[..]), ["%20", "%2520"]);
    let rfc_3986 = (Some(&b"-_.~"[..]), ["%20", "%2520"]);
    let form = (Some(&b"*-._"[..]), ["+", "%2B"]);
    let form_in_lower_case = (Some(&b"*-._"[..]), ["+", "%2b"]);
    let path = (Some(&b"-_.~/"[..]), ["%20", "%2520"]);
    let encode_uri = (Some(&b"-_.!~*'();/?:@&=+$,#"[..]), ["%20", "%2520"]);
    let everything = (None, ["%20", "%2520"]);
    for (kept, spaces) in
        [encode_uri_component, rfc_3986, form, form_in_lower_case, path, encode_uri, everything]
    {
        let is_kept =
            |byte: &u8| kept.is_some_and(|marks| byte.is_ascii_alphanumeric() || marks.contains(byte));
        for digits in [LOWER, UPPER] {
            for (prefix, space) in ["%", "%25"].into_iter().zip(spaces) {
                give(&|text, out| {
                    for byte in text {
                        match byte {
                            b' ' => out.extend_from_slice(space.as_bytes()),
                            kept if is_kept(kept) => out.push(*kept),
                            _ => hexed(prefix, *byte, digits, out),
                        }
                    }
                });
            }
        }
    }
}

/// Gives one writer per style of JSON string.
pub(super) fn each_json(give: Give<'_, str>) {
    let foreign = |c: char| !c.is_ascii();
    let go = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    let dotnet = |c: char| !c.is_ascii() || matches!(c, '"' | '\'' | '<' | '>' | '&' | '+' | '`');
    let styles: [(&dyn Fn(char) -> bool, &str); 6] = [
        (&|_| false, "/"),
        (&|_| false, "\\/"),
        (&foreign, "/"),
        (&foreign, "\\/"),
        (&go, "/"),
        (&dotnet, "/"),
    ];
    for digits in [LOWER, UPPER] {
        for (as_unicode, slash) in styles {
            give(&|text, out| {
                for c in text.chars() {
                    if as_unicode(c) {
                        unicode_escape(c, digits, out);
                    } else {
                        json_character(c, slash, digits, out);
                    }
                }
            });
        }
        give(&|text, out| text.chars().for_each(|c| unicode_escape(c, digits, out)));
    }
}

/// The usual serialiser's style.
pub(super) fn json(text: &str, out: &mut Vec<u8>) {
    text.chars().for_each(|c| json_character(c, "/", LOWER, out));
}

/// Gives one writer per style of HTML text.
pub(super) fn each_html(give: Give<'_, str>) {
    for double in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for single in ["'", "&#39;", "&#x27;", "&apos;", "&#039;"] {
            give(&|text, out| {
                for c in text.chars() {
                    match c {
                        '&' => out.extend_from_slice(b"&amp;"),
                        '<' => out.extend_from_slice(b"&lt;"),
                        '>' => out.extend_from_slice(b"&gt;"),
                        '"' => out.extend_from_slice(double.as_bytes()),
                        '\'' => out.extend_from_slice(single.as_bytes()),
                        _ => plain(c, out),
                    }
                }
            });
        }
    }
}

/// Two hexadecimal digits per byte, in both cases.
pub(super) fn each_hex(give: Give<'_, [u8]>) {
    for digits in [LOWER, UPPER] {
        give(&|bytes, out| bytes.iter().for_each(|byte| hexed("", *byte, digits, out)));
    }
}

fn json_character(c: char, slash: &str, digits: &[u8; 16], out: &mut Vec<u8>) {
    let short = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '/' => slash,
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\0'..='\u{1f}' => return unicode_escape(c, digits, out),
        _ => return plain(c, out),
    };
    out.extend_from_slice(short.as_bytes());
}

fn unicode_escape(c: char, digits: &[u8; 16], out: &mut Vec<u8>) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let [high, low] = unit.to_be_bytes();
        hexed("\\u", high, digits, out);
        hexed("", low, digits, out);
    }
}

fn hexed(prefix: &str, byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend_from_slice(prefix.as_bytes());
    out.push(digits[usize::from(byte >> 4)]);
    out.push(digits[usize::from(byte & 15)]);
}

fn plain(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T: AsRef<[u8]> + ?Sized>(each: fn(Give<'_, T>), text: &T) -> Vec<String> {
        let mut found = Vec::new();
        each(&mut |write| {
            let mut out = Vec::with_capacity(8 * text.as_ref().len());
            write(text, &mut out);
            assert!(out.len() <= 8 * text.as_ref().len(), "it fits the buffer");
            found.push(String::from_utf8(out).unwrap());
        });
        found
    }

    #[test]
    fn percent_encoding_knows_its_styles_once_and_twice() {
        let found = all(each_percent, &b"a b/+!~"[..]);
        for want in [
            "a%20b%2F%2B!~",
            "a%20b%2f%2b!~",
            "a%20b%2F%2B%21~",
            "a+b%2F%2B%21%7E",
            "a%20b/%2B%21~",
            "a%20b/+!~",
            "%61%20%62%2F%2B%21%7E",
            "%61%20%62%2f%2b%21%7e",
            "a%2520b%252F%252B!~",
            "a%2520b%252f%252b!~",
            "a%2Bb%252F%252B%2521%257E",
            "a%2bb%252f%252b%2521%257e",
            "%2561%2520%2562%252F%252B%2521%257E",
        ] {
            assert!(found.iter().any(|form| form == want), "{want}");
        }
    }

    #[test]
    fn json_escapes_know_their_styles() {
        let found = all(each_json, "a\"/\\\n\u{1f}ä😀<");
        for want in [
            "a\\\"/\\\\\\n\\u001fä😀<",
            "a\\\"\\/\\\\\\n\\u001fä😀<",
            "a\\\"/\\\\\\n\\u001f\\u00e4\\ud83d\\ude00<",
            "a\\\"\\/\\\\\\n\\u001f\\u00e4\\ud83d\\ude00<",
            "a\\\"/\\\\\\n\\u001F\\u00E4\\uD83D\\uDE00<",
            "a\\\"/\\\\\\n\\u001fä😀\\u003c",
            "a\\u0022/\\\\\\n\\u001F\\u00E4\\uD83D\\uDE00\\u003C",
            "\\u0061\\u0022\\u002f\\u005c\\u000a\\u001f\\u00e4\\ud83d\\ude00\\u003c",
            "\\u0061\\u0022\\u002F\\u005C\\u000A\\u001F\\u00E4\\uD83D\\uDE00\\u003C",
        ] {
            assert!(found.iter().any(|form| form == want), "{want}");
        }
        let usual = serde_json::to_string("a\"/\\\n\u{1f}\u{8}ä").unwrap();
        let mut found = Vec::new();
        json("a\"/\\\n\u{1f}\u{8}ä", &mut found);
        assert_eq!([b"\"", &found[..], b"\""].concat(), usual.as_bytes());
    }

    #[test]
    fn html_escapes_know_their_quotes() {
        let found = all(each_html, "<a&b>\"'ä");
        for want in [
            "&lt;a&amp;b&gt;\"'ä",
            "&lt;a&amp;b&gt;&quot;&#39;ä",
            "&lt;a&amp;b&gt;&quot;&#x27;ä",
            "&lt;a&amp;b&gt;&quot;&apos;ä",
            "&lt;a&amp;b&gt;&#34;&#39;ä",
            "&lt;a&amp;b&gt;&quot;'ä",
        ] {
            assert!(found.iter().any(|form| form == want), "{want}");
        }
    }

    #[test]
    fn hex_comes_in_both_cases() {
        assert_eq!(all(each_hex, &b"\x00\xab/"[..]), ["00ab2f", "00AB2F"]);
    }

    #[test]
    fn the_longest_escapes_fit_the_buffer() {
        for text in ["\u{1}\u{1f}", "\"\"''", "\u{ffff}😀\u{80}", "&&&&"] {
            all(each_percent, text.as_bytes());
            all(each_json, text);
            all(each_html, text);
        }
    }
}
