//! What the guard promises, with the forms as other programs write them.

use std::borrow::Cow;

use super::forms::each_form;
use super::pieces::each_piece;
use super::{Guard, GuardBuilder};

/// Something of everything that some form must escape.
const VALUE: &str = r#"pä"s/w+r d&'<1>~"#;

fn guard(secrets: &[(&str, &[u8])]) -> Guard {
    let add = |builder: GuardBuilder, (name, value): &(&str, &[u8])| builder.add(name, value);
    secrets.iter().fold(Guard::builder(), add).build()
}

#[test]
fn every_form_of_a_value_is_masked_whole() {
    let guard = guard(&[("A", VALUE.as_bytes())]);
    for (what, form) in [
        ("as is", VALUE),
        ("JSON", r#"pä\"s/w+r d&'<1>~"#),
        ("JSON with slashes escaped", r#"pä\"s\/w+r d&'<1>~"#),
        ("JSON in ASCII", r#"p\u00e4\"s/w+r d&'<1>~"#),
        ("JSON in ASCII with slashes escaped", r#"p\u00e4\"s\/w+r d&'<1>~"#),
        ("JSON as Go writes it", r#"pä\"s/w+r d\u0026'\u003c1\u003e~"#),
        ("JSON as .NET writes it", r#"p\u00E4\u0022s/w\u002Br d\u0026\u0027\u003C1\u003E~"#),
        ("JSON in JSON", r#"pä\\\"s/w+r d&'<1>~"#),
        ("HTML as Python writes it", "pä&quot;s/w+r d&amp;&#x27;&lt;1&gt;~"),
        ("HTML as Go writes it", "pä&#34;s/w+r d&amp;&#39;&lt;1&gt;~"),
        ("HTML with a named apostrophe", "pä&quot;s/w+r d&amp;&apos;&lt;1&gt;~"),
        ("HTML between tags", "pä\"s/w+r d&amp;'&lt;1&gt;~"),
        ("percent, slashes kept", "p%C3%A4%22s/w%2Br%20d%26%27%3C1%3E~"),
        ("percent, RFC 3986", "p%C3%A4%22s%2Fw%2Br%20d%26%27%3C1%3E~"),
        ("percent, encodeURIComponent", "p%C3%A4%22s%2Fw%2Br%20d%26'%3C1%3E~"),
        ("percent, lower case", "p%c3%a4%22s%2fw%2br%20d%26'%3c1%3e~"),
        ("percent, a form", "p%C3%A4%22s%2Fw%2Br+d%26%27%3C1%3E%7E"),
        ("percent twice", "p%25C3%25A4%2522s%252Fw%252Br%2520d%2526%2527%253C1%253E~"),
        ("percent twice, a form", "p%25C3%25A4%2522s%252Fw%252Br%2Bd%2526%2527%253C1%253E%257E"),
        ("percent, every byte", "%70%c3%a4%22%73%2f%77%2b%72%20%64%26%27%3c%31%3e%7e"),
        (
            "percent twice, every byte",
            "%2570%25C3%25A4%2522%2573%252F%2577%252B%2572%2520%2564%2526%2527%253C%2531%253E%257E",
        ),
        ("hex", "70c3a422732f772b72206426273c313e7e"),
        ("hex in upper case", "70C3A422732F772B72206426273C313E7E"),
        (
            "JSON, every character",
            r"\u0070\u00e4\u0022\u0073\u002f\u0077\u002b\u0072\u0020\u0064\u0026\u0027\u003c\u0031\u003e\u007e",
        ),
        ("base64", "cMOkInMvdytyIGQmJzwxPn4="),
        ("base64 without padding", "cMOkInMvdytyIGQmJzwxPn4"),
    ] {
        for (before, after) in [("", ""), ("x ", " y"), ("<<", ">>"), ("ä\"", "\"ä"), ("\\", "\n")] {
            let text = format!("{before}{form}{after}");
            let want = format!("{before}[secret:A]{after}");
            assert_eq!(guard.clean(&text), want, "{what}");
            assert_eq!(guard.clean_bytes(text.as_bytes()), want.as_bytes(), "{what}");
            let found = guard.find(text.as_bytes()).unwrap();
            assert_eq!((found.name, &text[found.range]), ("A", form), "{what}");
        }
    }
}

#[test]
fn base64_is_masked_wherever_the_value_stands_in_it() {
    for length in [8, 9, 10, 17, 40] {
        let value: Vec<u8> = (0..length).map(|i: u8| i.wrapping_mul(83) ^ 0xb5).collect();
        let guard = guard(&[("A", &value)]);
        for (before, after) in (0..7).flat_map(|before| (0..7).map(move |after| (before, after))) {
            let bytes = [&vec![b'?'; before][..], &value, &vec![b'>'; after]].concat();
            for (alphabet, padding) in [("+/", "="), ("-_", "="), ("-_", "")] {
                let text = base64(&bytes, alphabet, padding);
                // Characters and padding that say nothing of the value stay.
                let kept_before = 8 * before / 6;
                let kept_after = (8 * (before + value.len())).div_ceil(6);
                let rest = text[kept_after..].trim_start_matches(|c| after == 0 && c == '=');
                let want = format!("{}[secret:A]{rest}", &text[..kept_before]);
                assert_eq!(guard.clean(&text), want, "{before} {after} {text}");
            }
        }
    }
}

fn base64(bytes: &[u8], alphabet: &str, padding: &str) -> String {
    let letters = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(alphabet.chars());
    let letters: Vec<char> = letters.collect();
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(String::new(), |bits, byte| format!("{bits}{byte:08b}"));
        for six in bits.as_bytes().chunks(6) {
            let six = format!("{:0<6}", String::from_utf8(six.to_vec()).unwrap());
            text.push(letters[usize::from_str_radix(&six, 2).unwrap()]);
        }
        text += &padding.repeat(3 - group.len());
    }
    text
}

#[test]
fn utf_16_is_masked_in_both_byte_orders() {
    let guard = guard(&[("A", VALUE.as_bytes())]);
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let wide = |text: &str| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let text = [wide("x "), wide(VALUE), wide(" y")].concat();
        let mut cleaned = guard.clean_bytes(&text).into_owned();
        // Either order looks like the other one, a zero byte to the side: that one may go too.
        cleaned.retain(|byte| *byte != 0);
        assert_eq!(lossy(&cleaned), "x [secret:A] y");
    }
}

#[test]
fn a_value_that_is_no_text_is_masked_in_text_and_bytes() {
    // "ä" ends in the byte that the value begins with, and "é" begins with the byte that it ends in.
    let value = b"\xa4 a binary key \xc3";
    let guard = guard(&[("KEY", value)]);
    assert_eq!(guard.clean("aä a binary key éb"), "a[secret:KEY]b");
    assert_eq!(guard.clean_bytes(b"a\xa4 a binary key \xc3b"), &b"a[secret:KEY]b"[..]);
    assert_eq!(guard.clean("a420612062696e617279206b657920c3"), "[secret:KEY]");
}

#[test]
fn short_values_and_clean_text_stay_as_they_are() {
    let guard = guard(&[("SHORT", b"1234567"), ("EMPTY", b""), ("A", b"hunter2-hunter2")]);
    for text in [
        "",
        "1234567",
        "31323334353637",
        "hunter2",
        "hunter2-hunter",
        "a line of a log, rather longer than the others: nothing in it is secret",
    ] {
        assert!(matches!(guard.clean(text), Cow::Borrowed(same) if same == text), "{text}");
        assert!(matches!(guard.clean_bytes(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        assert_eq!(guard.find(text.as_bytes()), None, "{text}");
    }
    let short = self::guard(&[("SHORT", b"1234567")]);
    assert!(short.is_empty() && Guard::empty().is_empty() && !guard.is_empty());
    assert!(matches!(Guard::empty().clean("hunter2-hunter2"), Cow::Borrowed(_)));
}

#[test]
fn overlapping_values_leave_no_fragment() {
    let guard = guard(&[
        ("SHORT", b"abcdefgh"),
        ("LONG", b"abcdefghijkl"),
        ("NEXT", b"ijklmnopqrst"),
        ("SAME", b"abcdefgh"),
        ("RUN", b"zzzzzzzz"),
    ]);
    for (text, want) in [
        ("1 abcdefgh 2", "1 [secret:SHORT] 2"),
        ("1 abcdefghi 2", "1 [secret:SHORT]i 2"),
        ("1 abcdefghijkl 2", "1 [secret:LONG] 2"),
        ("1 abcdefghijklmnopqrst 2", "1 [secret:LONG] 2"),
        ("1 abcdefghabcdefgh 2", "1 [secret:SHORT][secret:SHORT] 2"),
        ("ijklmnopqrstabcdefgh", "[secret:NEXT][secret:SHORT]"),
        ("1 zzzzzzzzzzzzzzzzzzz 2", "1 [secret:RUN] 2"),
    ] {
        assert_eq!(guard.clean(text), want, "{text}");
    }
}

#[test]
fn the_first_occurrence_is_found() {
    let guard = guard(&[("A", b"hunter2-hunter2"), ("B", b"swordfish-x7Gq")]);
    let far = "clean ".repeat(30_000);
    for (text, want) in [
        (format!("swordfish-x7Gq hunter2-hunter2 {far}"), Some(("B", 0..14))),
        (format!("{far}hunter2-hunter2"), Some(("A", 180_000..180_015))),
        (format!("{far}hunter2-hunter2{far}swordfish-x7Gq"), Some(("A", 180_000..180_015))),
        (far.clone(), None),
    ] {
        let found = guard.find(text.as_bytes()).map(|found| (found.name, found.range));
        assert_eq!(found, want);
    }
    // It searches in steps, of which the first begins at the first suspect.
    let suspect = "hunter2-hunter. unter2-hunter2";
    for before in 65_500..65_600 {
        let dots = ".".repeat(before - suspect.len());
        let text = format!("{suspect}{dots}hunter2-hunter2{far}");
        let found = guard.find(text.as_bytes()).map(|found| found.range);
        assert_eq!(found, Some(before..before + 15), "across a step");
    }
}

#[test]
fn the_lines_of_a_key_are_masked_wherever_they_appear() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\r\nAQEFAASCBKcwggSjAgEAAoIB\nAQC7\n-----END PRIVATE KEY-----\n";
    let guard = guard(&[("KEY", key.as_bytes())]);
    for (text, want) in [
        (format!("<{key}>"), "<[secret:KEY]>"),
        (
            key.replace('\n', " ").replace('\r', ""),
            "-----BEGIN PRIVATE KEY----- [secret:KEY] [secret:KEY] AQC7 -----END PRIVATE KEY----- ",
        ),
        (format!("<{}>", key.trim_end()), "<[secret:KEY]>"),
        (format!("{key:?}"), "\"[secret:KEY]\""),
        ("TUlJRXZRSUJBREFOQmdrcWhraUc5dzBC".to_owned(), "[secret:KEY]"),
        ("-----BEGIN PRIVATE KEY-----".to_owned(), "-----BEGIN PRIVATE KEY-----"),
    ] {
        assert_eq!(guard.clean(&text), want, "{text}");
    }
}

#[test]
fn the_leaves_of_a_json_value_are_masked_wherever_they_appear() {
    let value = r#"{"user":"svc-account","pass":"q\"w\u00e4\/rty-77","pin":8412093377,"port":5432}"#;
    let guard = guard(&[("DB", value.as_bytes())]);
    for (text, want) in [
        (value, "[secret:DB]"),
        ("postgres://svc-account:q%22w%C3%A4%2Frty-77@db:5432", "postgres://[secret:DB]:[secret:DB]@db:5432"),
        ("q\"wä/rty-77", "[secret:DB]"),
        ("pin=8412093377;", "pin=[secret:DB];"),
        ("user pass pin port 5432", "user pass pin port 5432"),
    ] {
        assert_eq!(guard.clean(text), want, "{text}");
    }
}

#[test]
fn a_mark_holds_no_value() {
    let guard = guard(&[("hunter2-hunter2", b"hunter2-hunter2"), ("B", b"[secret]"), ("C", b"[secret:C]")]);
    for (text, want) in [("hunter2-hunter2", "***"), ("[secret]", "[secret:B]"), ("[secret:C]", "***")] {
        assert_eq!(guard.clean(text), want);
        assert_eq!(guard.clean(want), want, "cleaning again changes nothing");
    }
}

#[test]
fn a_guard_shows_counts_alone_and_may_be_shared() {
    fn shared<T: Send + Sync>(_: &T) {}
    let guard = guard(&[("A", b"hunter2-hunter2"), ("B", b"short")]);
    shared(&guard);
    shared(&guard.stream());
    let shown = format!("{guard:?}");
    assert!(shown.starts_with("Guard { values: 2, forms: "), "{shown}");
    assert_eq!(format!("{:?}", Guard::builder().add("A", b"hunter2")), "GuardBuilder { values: 1 }");
}

#[test]
fn it_says_the_same_as_a_plain_search_for_all_forms_whole_and_in_chunks() {
    let mut random = Random(3);
    for round in 0..150 {
        let values: Vec<Vec<u8>> = (0..1 + random.below(4)).map(|_| random.value()).collect();
        let names: Vec<String> = (0..values.len()).map(|i| format!("S{i}")).collect();
        let secrets = names.iter().zip(&values).fold(Guard::builder(), |b, (n, v)| b.add(n, v)).build();
        let text = random.text(&values);
        let want = plainly_cleaned(&text, &values);
        assert_eq!(lossy(&secrets.clean_bytes(&text)), lossy(&want), "round {round}: {values:?}");
        let mut stream = secrets.stream();
        let mut cleaned = Vec::new();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let longest = [1, 9, 70, 500][random.below(4)];
            let (chunk, after) = rest.split_at(rest.len().min(random.below(longest + 1)));
            cleaned.extend(stream.push(chunk));
            rest = after;
        }
        cleaned.extend(stream.finish());
        assert_eq!(lossy(&cleaned), lossy(&want), "round {round} in chunks: {values:?}");
        let found = secrets.find(&text).map(|found| found.range.start);
        let first = (0..text.len()).find(|at| text[*at] != *want.get(*at).unwrap_or(&b'#'));
        assert_eq!(found.is_some(), want != text, "round {round}");
        assert!(found <= first, "round {round}");
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The specification: mark every byte of every form, then name each run of marked bytes.
fn plainly_cleaned(text: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
    let mut hits = Vec::new();
    for (owner, value) in values.iter().enumerate() {
        each_piece(value, &mut |piece| {
            each_form(piece, &mut |form, edge| {
                if form.len() < super::SHORTEST {
                    return;
                }
                for at in 0..(text.len() + 1).saturating_sub(form.len()) {
                    if text[at..].starts_with(form) {
                        let range = super::sweep::widen(text, at..at + form.len(), edge);
                        hits.push((range.start, std::cmp::Reverse(range.end), owner));
                    }
                }
            });
        });
    }
    hits.sort_unstable();
    let mut cleaned = Vec::new();
    let mut end = 0;
    for (start, std::cmp::Reverse(stop), owner) in hits {
        if end <= start {
            cleaned.extend_from_slice(&text[end..start]);
            cleaned.extend_from_slice(format!("[secret:S{owner}]").as_bytes());
        }
        end = end.max(stop);
    }
    cleaned.extend_from_slice(&text[end..]);
    cleaned
}

/// A linear congruential generator: the same cases in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Few letters, so that values overlap each other and themselves.
    fn value(&mut self) -> Vec<u8> {
        let letters: &[&[u8]] = &[b"a", b"ab", b"ab\"/", b"aX7\n", b"\x00\xff\xc3"];
        let letters = letters[self.below(letters.len())];
        let length = [6, 8, 9, 12, 40, 200][self.below(6)];
        let value: Vec<u8> = (0..length).map(|_| letters[self.below(letters.len())]).collect();
        match self.below(4) {
            0 => serde_json::json!({ "leaf": String::from_utf8_lossy(&value) }).to_string().into(),
            _ => value,
        }
    }

    fn text(&mut self, values: &[Vec<u8>]) -> Vec<u8> {
        let mut forms = vec![b"clean ".to_vec(), b"aaaaaaa".to_vec(), b"=".to_vec(), b" ".to_vec()];
        for value in values {
            each_piece(value, &mut |piece| {
                each_form(piece, &mut |form, _| forms.push(form.to_vec()));
            });
        }
        let mut text = Vec::new();
        while text.len() < 1_500 {
            let form = &forms[self.below(forms.len())];
            let end = [form.len(), self.below(form.len() + 1)][self.below(2)];
            text.extend_from_slice(&form[..end]);
        }
        text
    }
}
