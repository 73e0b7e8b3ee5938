//! `.env` files. The grammar is in `docs/reference/cli.md`; nothing is ever substituted.
//!
//! ```text
//! file    = (blank | comment | setting) (LF | CRLF) ..
//! comment = '#' anything
//! setting = ["export" space+] KEY space* '=' space* value space* [comment]
//! KEY     = [A-Za-z_] [A-Za-z0-9_.-]*
//! value   = "'" anything but ' "'"              as it is, line breaks included
//!         | '"' (char | \n | \r | \t | \" | \\ | \$) .. '"'
//!         | text                                up to the line's end or a blank and '#'
//! ```

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::file::{Entry, FileError, Place};

/// Whether `.env` can write the name.
pub(crate) fn is_env_key(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, FileError> {
    let mut cursor = Cursor { text, at: 0 };
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen = HashSet::new();
    while !cursor.rest().is_empty() {
        cursor.skip_blanks();
        let start = cursor.at;
        if !matches!(cursor.peek(), None | Some('#')) && !cursor.at_line_end() {
            let (key, value) = setting(&mut cursor)?;
            let name = key.parse().map_err(|_| cursor.wrong(start, "this is no secret's name"))?;
            if !seen.insert(key) {
                return Err(cursor.wrong(start, "the name is set twice"));
            }
            entries.push(Entry { space: None, name, value });
            cursor.skip_blanks();
        }
        if cursor.peek() == Some('#') {
            cursor.skip_while(|c| c != '\n');
        }
        cursor.line_end()?;
    }
    Ok(entries)
}

fn setting<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Zeroizing<String>), FileError> {
    let mut key = cursor.take_key()?;
    if key == "export" && cursor.peek().is_some_and(is_blank) {
        cursor.skip_blanks();
        // `export =x` sets the name `export`.
        if cursor.peek() != Some('=') {
            key = cursor.take_key()?;
        }
    }
    cursor.skip_blanks();
    if !cursor.eat('=') {
        return Err(cursor.wrong(cursor.at, "a `=` is missing after the name"));
    }
    cursor.skip_blanks();
    let start = cursor.at;
    let value = match cursor.peek() {
        Some('\'') => single_quoted(cursor)?,
        Some('"') => double_quoted(cursor)?,
        _ => return Ok((key, unquoted(cursor))),
    };
    let after = cursor.at;
    let blank = cursor.peek().is_some_and(is_blank);
    cursor.skip_blanks();
    match cursor.peek() {
        None => Ok((key, value)),
        Some('#') if blank => Ok((key, value)),
        Some(_) if cursor.at_line_end() => Ok((key, value)),
        Some(_) => {
            debug_assert!(start < after, "a quoted value has two quotes");
            Err(cursor.wrong(after, "something stands behind the closing quote"))
        }
    }
}

fn single_quoted(cursor: &mut Cursor<'_>) -> Result<Zeroizing<String>, FileError> {
    let start = cursor.at;
    cursor.eat('\'');
    let inside = cursor.rest();
    let length = inside.find('\'').ok_or_else(|| cursor.wrong(start, "the quote is never closed"))?;
    cursor.at += length + 1;
    Ok(Zeroizing::new(inside[..length].to_owned()))
}

fn double_quoted(cursor: &mut Cursor<'_>) -> Result<Zeroizing<String>, FileError> {
    let start = cursor.at;
    cursor.eat('"');
    // As long as what is left of the file at most, so it never grows and leaves no copy.
    let room = cursor.rest().find('"').map_or(0, |end| end + 1);
    let mut value = Zeroizing::new(String::with_capacity(room));
    while let Some(c) = cursor.next() {
        match c {
            '"' => return Ok(value),
            '\\' => {
                let escape = cursor.at - 1;
                value.push(match cursor.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(c @ ('"' | '\\' | '$')) => c,
                    _ => {
                        return Err(
                            cursor.wrong(escape, "there is no such escape: \\n \\r \\t \\\" \\\\ \\$ exist")
                        );
                    }
                });
            }
            c => value.push(c),
        }
    }
    Err(cursor.wrong(start, "the quote is never closed"))
}

fn unquoted(cursor: &mut Cursor<'_>) -> Zeroizing<String> {
    let line = cursor.rest().split('\n').next().unwrap_or_default();
    // A `#` is a comment only behind a blank, and at once behind the `=`.
    let comment =
        line.char_indices().find(|(at, c)| *c == '#' && line[..*at].chars().next_back().is_none_or(is_blank));
    let text = &line[..comment.map_or(line.len(), |(at, _)| at)];
    let value = text.strip_suffix('\r').unwrap_or(text).trim_end_matches(is_blank);
    cursor.at += value.len();
    Zeroizing::new(value.to_owned())
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn skip_while(&mut self, belongs: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    }

    fn skip_blanks(&mut self) {
        self.skip_while(is_blank);
    }

    fn take_key(&mut self) -> Result<&'a str, FileError> {
        let start = self.at;
        self.skip_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let key = &self.text[start..self.at];
        if !is_env_key(key) {
            return Err(
                self.wrong(start, "a name is letters, digits and `_ . -`, and starts with a letter or `_`")
            );
        }
        Ok(key)
    }

    fn at_line_end(&self) -> bool {
        let rest = self.rest();
        rest.is_empty() || rest.starts_with('\n') || rest.starts_with("\r\n")
    }

    fn line_end(&mut self) -> Result<(), FileError> {
        if !self.at_line_end() {
            return Err(self.wrong(self.at, "the line should end here"));
        }
        self.eat('\r');
        self.eat('\n');
        Ok(())
    }

    fn wrong(&self, at: usize, why: &'static str) -> FileError {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        FileError::Wrong { place: Place::Line { line, column }, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        let entries = parse(text).map_err(|error| error.to_string())?;
        Ok(entries.iter().map(|entry| (entry.name.to_string(), entry.value.to_string())).collect())
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        for (text, want) in [
            ("A=b", "b"),
            ("A=b\n", "b"),
            ("A=b\r\n", "b"),
            ("  A = b  \n", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=b\t#c", "b"),
            ("A=#c", ""),
            ("A= #c", ""),
            ("A=", ""),
            ("A=\r\n", ""),
            ("A=''", ""),
            ("A=\"\"", ""),
            ("A='b c' # comment", "b c"),
            ("A='b\\n$c\"'", "b\\n$c\""),
            ("A=\"b\\n\\r\\t\\\"\\\\\\$c\"", "b\n\r\t\"\\$c"),
            ("A=\"$HOME ${B} `c`\"", "$HOME ${B} `c`"),
            ("A=$HOME", "$HOME"),
            ("A=b c d", "b c d"),
            ("A=b'c\"d", "b'c\"d"),
            ("A=b\\n", "b\\n"),
            ("A=a=b==", "a=b=="),
            ("A=\"b\nc\"", "b\nc"),
            ("A='b\r\nc'", "b\r\nc"),
            ("# first\n\n\t\nA=b\n# last", "b"),
            ("A=\"b#c\"", "b#c"),
            ("A=ö表", "ö表"),
        ] {
            assert_eq!(parsed(text), Ok(vec![("A".to_owned(), want.to_owned())]), "{text:?}");
        }
        assert_eq!(parsed(""), Ok(vec![]));
        assert_eq!(parsed("export=a").map(|all| all[0].0.clone()), Ok("export".to_owned()));
        assert_eq!(parsed("export =a").map(|all| all[0].0.clone()), Ok("export".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told_by_place_and_never_by_content() {
        for (text, want) in [
            ("hunter2", "line 1, column 8: a `="),
            ("A=b\nhunter2 hunter2", "line 2, column 9: a `="),
            ("1A=b", "line 1, column 1: a name"),
            ("-A=b", "line 1, column 1: a name"),
            ("=hunter2", "line 1, column 1: a name"),
            ("export 1=hunter2", "line 1, column 8: a name"),
            ("A='hunter2", "line 1, column 3: the quote"),
            ("A=\"hunter2\nB=c", "line 1, column 3: the quote"),
            ("A=\"hunter2\\", "line 1, column 11: there is no such escape"),
            ("A=\"hunter2\\x\"", "line 1, column 11: there is no such escape"),
            ("A='hunter2'b", "line 1, column 12: something"),
            ("A='hunter2' b", "line 1, column 12: something"),
            ("A=\"hunter2\"#b", "line 1, column 12: something"),
            ("A=b\n  A=hunter2", "line 2, column 3: the name is set twice"),
            ("ö=hunter2", "line 1, column 1: a name"),
            ("\rA=hunter2", "line 1, column 1: a name"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(want), "{text:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        let pieces = ["A", "=", "'", "\"", "\\", "\n", "\r", "#", " ", "$", "export", "ö", "\u{0}"];
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            let _ = parse(&text);
        }
    }
}
