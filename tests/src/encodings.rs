//! A canary, the ways in which programs write it, and a finder that knows them all.
//!
//! Written without a look at the leak guard, so that the two check each other.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// A value with something that each escape must touch; fit for a header.
pub const CANARY: &str = r#"cnry/7Gq+x<b&'2>Zt%w=9"f2L~k\pQ"#;

/// Another one.
pub const OTHER_CANARY: &str = "second-canary-8Jd0sWm2Vx";

/// One way to write a value.
pub struct Encoding {
    /// Its name in messages.
    pub name: &'static str,
    /// The value as that program writes it, beside other text where that matters.
    pub written: Vec<u8>,
    /// The bytes of it that depend on the value alone.
    pub needle: Vec<u8>,
}

/// The value in every encoding.
pub fn encodings(value: &str) -> Vec<Encoding> {
    let bytes = value.as_bytes();
    let text = |name, written: String| {
        let written = written.into_bytes();
        Encoding { name, needle: written.clone(), written }
    };
    let hex = |format: fn(&u8) -> String| bytes.iter().map(format).collect::<String>();
    let percent = percent(bytes);
    let wide = |name, order: fn(u16) -> [u8; 2]| {
        let written: Vec<u8> = value.encode_utf16().flat_map(order).collect();
        Encoding { name, needle: written.clone(), written }
    };
    let mut all = vec![
        text("as it is", value.to_owned()),
        text("hexadecimal", hex(|byte| format!("{byte:02x}"))),
        text("upper-case hexadecimal", hex(|byte| format!("{byte:02X}"))),
        text("percent", percent.clone()),
        text("percent twice", percent.replace('%', "%25")),
        text("a form's field", percent.replace('~', "%7E").replace("%20", "+")),
        text("a JSON string", json_escape(value)),
        text("a JSON string in a JSON string", json_escape(&json_escape(value))),
        text("HTML", html_escape(value)),
        wide("UTF-16, little end first", u16::to_le_bytes),
        wide("UTF-16, big end first", u16::to_be_bytes),
    ];
    for (name, engine) in [
        ("base64", &STANDARD),
        ("base64 without padding", &STANDARD_NO_PAD),
        ("base64url", &URL_SAFE),
        ("base64url without padding", &URL_SAFE_NO_PAD),
    ] {
        for before in ["", "x", "xy"] {
            let written = engine.encode([before.as_bytes(), bytes].concat()).into_bytes();
            // What a neighbour's bits are mixed into doesn't depend on the value alone.
            let from = (8 * before.len()).div_ceil(6);
            let to = 8 * (before.len() + bytes.len()) / 6;
            all.push(Encoding { name, needle: written[from..to].to_vec(), written });
        }
    }
    all
}

/// In which encoding the value stands in the bytes, if it does.
pub fn find(bytes: &[u8], value: &str) -> Option<&'static str> {
    let stands = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    encodings(value).into_iter().find(|encoding| stands(&encoding.needle)).map(|encoding| encoding.name)
}

/// Asserts that the value doesn't stand in the bytes in any encoding, after having proved that it
/// would be found there.
pub fn assert_clean(bytes: &[u8], value: &str) {
    let middle = bytes.len() / 2;
    for encoding in encodings(value) {
        let planted = [&bytes[..middle], &encoding.written, &bytes[middle..]].concat();
        assert!(find(&planted, value).is_some(), "the finder doesn't see {}", encoding.name);
    }
    if let Some(found) = find(bytes, value) {
        panic!("the canary is there as {found}: {}", String::from_utf8_lossy(bytes));
    }
}

fn percent(bytes: &[u8]) -> String {
    let write = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    bytes.iter().map(write).collect()
}

fn json_escape(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("texts serialise");
    quoted[1..quoted.len() - 1].to_owned()
}

fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
}
