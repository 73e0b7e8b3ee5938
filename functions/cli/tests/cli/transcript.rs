//! Transcripts: what is typed and what is answered, in files that people can read.
//!
//! ```text
//! # a comment
//! @ name           writes a file from the `|` lines below
//! | content
//! $ env list       runs the program; words are split at blanks, '' quotes, \u{1b} is an escape
//! < text           is its standard input: \n \r and \u{..} are escapes, no newline is added
//! > text           is expected on standard output
//! ! text           is expected on standard error
//! ? 3              is the expected exit code, 0 if left away
//! ```
//! Times, ids of keys, the user's name and the folder are `[TIME]`, `[KEY]`, `[USER]`, `[DIR]`; runs of blanks count as two.
//! `UPDATE_GOLDEN=1 cargo test -p undertone-cli` writes the expectations anew.

use std::fmt::Write;
use std::path::Path;

use crate::process::{Said, World};

/// Runs a transcript and compares, or rewrites it.
pub fn check(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let now = replay(&text);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, now).unwrap();
        return;
    }
    for (line, (want, got)) in text.lines().zip(now.lines()).enumerate() {
        assert_eq!(got, want, "{} line {}\n\nall of it:\n{now}", path.display(), line + 1);
    }
    assert_eq!(now.lines().count(), text.lines().count(), "{}:\n{now}", path.display());
}

fn replay(text: &str) -> String {
    let world = World::empty();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        match line.split_at_checked(2) {
            Some(("$ ", typed)) => {
                let _ = writeln!(out, "{line}");
                let mut input = String::new();
                while let Some(more) = lines.next_if(|next| next.starts_with("< ")) {
                    let _ = writeln!(out, "{more}");
                    input.push_str(&unescaped(&more[2..]));
                }
                while lines.next_if(|next| next.starts_with(['>', '!', '?'])).is_some() {}
                answer(&mut out, &world, &run(&world, typed, &input));
            }
            Some(("@ ", name)) => {
                let _ = writeln!(out, "{line}");
                let mut content = String::new();
                while let Some(more) = lines.next_if(|next| next.starts_with('|')) {
                    let _ = writeln!(out, "{more}");
                    content.push_str(more.strip_prefix("| ").unwrap_or_default());
                    content.push('\n');
                }
                world.file(name, &content);
            }
            _ => {
                assert!(line.is_empty() || line.starts_with('#'), "no line of a transcript: {line}");
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

fn run(world: &World, typed: &str, input: &str) -> Said {
    let words = words(typed);
    let settings = words.iter().take_while(|word| word.starts_with("UNDERTONE_")).count();
    let arguments: Vec<&str> = words[settings..].iter().map(String::as_str).collect();
    let mut command = world.command(&arguments);
    for setting in &words[..settings] {
        let (name, value) = setting.split_once('=').unwrap();
        command.env(name, value);
    }
    let input_file = world.path().join(".input");
    std::fs::write(&input_file, input).unwrap();
    command.stdin(std::fs::File::open(input_file).unwrap());
    Said::from(command.output().unwrap())
}

fn answer(out: &mut String, world: &World, said: &Said) {
    for (mark, text) in [('>', &said.out), ('!', &said.err)] {
        for line in text.lines() {
            let line = squeezed(&keyless(&timeless(line)))
                .replace(world.path().to_str().unwrap(), "[DIR]")
                .replace(&format!("\"{}\"", user()), "\"[USER]\"")
                .replace(&format!("  {}  ", user()), "  [USER]  ");
            let _ = writeln!(out, "{}", format!("{mark} {line}").trim_end());
        }
    }
    if said.exit != 0 {
        let _ = writeln!(out, "? {}", said.exit);
    }
}

fn user() -> String {
    whoami::username().unwrap()
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.iter().map(|word| unescaped(word)).collect()
}

fn unescaped(text: &str) -> String {
    let text = text.replace("\\n", "\n").replace("\\r", "\r");
    let mut parts = text.split("\\u{");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').unwrap();
        out.push(u32::from_str_radix(code, 16).ok().and_then(char::from_u32).unwrap());
        out.push_str(rest);
    }
    out
}

fn squeezed(line: &str) -> String {
    let mut out = String::new();
    let indent = line.len() - line.trim_start_matches(' ').len();
    out.push_str(&line[..indent]);
    let mut blanks = 0;
    for c in line[indent..].chars() {
        blanks = if c == ' ' { blanks + 1 } else { 0 };
        if blanks <= 2 {
            out.push(c);
        }
    }
    out
}

/// `2031-01-31T12:00:00.123Z` as `[TIME]`, but for those that the transcript itself has set.
fn timeless(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = time_at(rest);
        match length {
            Some(length) if !rest.starts_with("2099") => {
                out.push_str("[TIME]");
                rest = &rest[length..];
            }
            Some(_) | None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// Ids of keys, 32 hex digits, as `[KEY]`.
fn keyless(line: &str) -> String {
    let is_key = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_key(word));
    words.fold(line.to_owned(), |line, key| line.replace(key, "[KEY]"))
}

fn time_at(text: &str) -> Option<usize> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let start = bytes.get(..FORM.len())?;
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if !start.iter().zip(FORM).all(fits) {
        return None;
    }
    let fraction = bytes[FORM.len()..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let end = FORM.len() + fraction;
    (bytes.get(end) == Some(&b'Z')).then_some(end + 1)
}
