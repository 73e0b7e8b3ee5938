//! YAML files: one mapping of texts, or with Spaces a mapping of such mappings.
//!
//! Read event by event, so that duplicates, anchors and what only looks like a text are seen
//! and refused; the parser's own messages are dropped.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use undertone_core::SpaceId;
use zeroize::Zeroizing;

use super::file::{Entry, FileError, Place, Shape};

pub(super) fn parse(text: &str, shape: Shape) -> Result<Vec<Entry>, FileError> {
    let mut events = Events(Parser::new_from_str(text));
    let mut entries = Vec::new();
    let (first, span) = events.next()?;
    if matches!(first, Event::StreamEnd) {
        return Ok(entries);
    }
    match first {
        Event::MappingStart(0, None) => match shape {
            Shape::Names => names(&mut events, None, &mut entries)?,
            Shape::PerSpace => spaces(&mut events, &mut entries)?,
        },
        _ => return Err(wrong(span, "a mapping is wanted here")),
    }
    match events.next()? {
        (Event::StreamEnd, _) => Ok(entries),
        (_, span) => Err(wrong(span, "a second document can't be imported")),
    }
}

fn spaces(events: &mut Events<'_>, entries: &mut Vec<Entry>) -> Result<(), FileError> {
    let mut seen = HashSet::new();
    while let Some((key, at)) = events.key()? {
        let space: SpaceId = key.parse().map_err(|_| wrong(at, "this is no Space's id"))?;
        if !seen.insert(key) {
            return Err(wrong(at, "the Space is there twice"));
        }
        match events.next()? {
            (Event::MappingStart(0, None), _) => names(events, Some(space), entries)?,
            (_, span) => return Err(wrong(span, "a mapping of names is wanted here")),
        }
    }
    Ok(())
}

fn names(events: &mut Events<'_>, space: Option<SpaceId>, entries: &mut Vec<Entry>) -> Result<(), FileError> {
    let mut seen = HashSet::new();
    while let Some((key, at)) = events.key()? {
        let name = key.parse().map_err(|_| wrong(at, "this is no secret's name"))?;
        if !seen.insert(key) {
            return Err(wrong(at, "the name is there twice"));
        }
        let (event, span) = events.next()?;
        entries.push(Entry { space: space.clone(), name, value: value(event, span)? });
    }
    Ok(())
}

fn value(event: Event<'_>, span: Span) -> Result<Zeroizing<String>, FileError> {
    match event {
        Event::Scalar(text, style, 0, tag) => {
            let text = Zeroizing::new(text.into_owned());
            let is_text = match tag {
                Some(tag) => tag.is_yaml_core_schema() && tag.suffix == "str",
                None => style != ScalarStyle::Plain || !means_something_else(&text),
            };
            match is_text {
                true => Ok(text),
                false => Err(wrong(span, "this is no text but a number, a boolean, null or a tag: quote it")),
            }
        }
        Event::Scalar(..) | Event::Alias(_) => Err(wrong(span, "anchors and aliases can't be imported")),
        _ => Err(wrong(span, "a text is wanted here: values aren't nested")),
    }
}

/// Whether a plain scalar is no text, by the core schema of YAML 1.2 and, since other programs
/// read it so, by YAML 1.1.
fn means_something_else(text: &str) -> bool {
    const WORDS: [&str; 13] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", "<<"];
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_start_matches(['-', '+']);
    let starts_like_one = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let digits_of = |prefix: &str, digits: &str| {
        number
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| digits.contains(c) || c == '_'))
    };
    WORDS.contains(&lower.as_str())
        || number == ".inf"
        || (starts_like_one && number.replace('_', "").parse::<f64>().is_ok())
        || digits_of("0x", "0123456789abcdef")
        || digits_of("0o", "01234567")
        || digits_of("0b", "01")
        || is_sexagesimal(number)
}

/// `12:34:56` is a number in YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.contains(':') && parts.all(is_number)
}

struct Events<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Events<'a> {
    /// The next event that says something about content. After the end, the end again.
    fn next(&mut self) -> Result<(Event<'a>, Span), FileError> {
        loop {
            match self.0.next_event() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Err(error)) => {
                    return Err(wrong(Span::new(*error.marker(), *error.marker()), "this isn't YAML"));
                }
                Some(Ok((
                    Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd,
                    _,
                ))) => {}
                Some(Ok(event)) => return Ok(event),
            }
        }
    }

    /// A mapping's next key, or `None` at its end.
    fn key(&mut self) -> Result<Option<(String, Span)>, FileError> {
        match self.next()? {
            (Event::MappingEnd, _) => Ok(None),
            (Event::Scalar(text, _, 0, None), span) => Ok(Some((text.into_owned(), span))),
            (_, span) => Err(wrong(span, "a plain name is wanted here")),
        }
    }
}

fn wrong(span: Span, why: &'static str) -> FileError {
    let place = Place::Line { line: span.start.line().max(1), column: span.start.col() + 1 };
    FileError::Wrong { place, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, shape: Shape) -> Result<Vec<String>, String> {
        let entries = parse(text, shape).map_err(|error| error.to_string())?;
        let space = |entry: &Entry| entry.space.as_ref().map(|space| format!("{space}/")).unwrap_or_default();
        Ok(entries.iter().map(|entry| format!("{}{}={}", space(entry), entry.name, *entry.value)).collect())
    }

    #[test]
    fn a_mapping_of_texts_is_read() {
        for (text, want) in [
            ("A: b", "A=b"),
            ("---\nA: b\n...\n", "A=b"),
            ("A: 'true'", "A=true"),
            ("A: \"12\"", "A=12"),
            ("A: !!str 12", "A=12"),
            ("A: |\n  b\n  c\n", "A=b\nc\n"),
            ("A: |-\n  b\n  c\n", "A=b\nc"),
            ("A: b # comment", "A=b"),
            ("{A: b}", "A=b"),
            ("A: ''", "A="),
            ("A: xoxb-12-34", "A=xoxb-12-34"),
            ("A: 1.2.3", "A=1.2.3"),
            ("A: 12ab", "A=12ab"),
            ("A: 0xyz", "A=0xyz"),
            ("A: infinity", "A=infinity"),
            ("A: https://a.example:8443/b", "A=https://a.example:8443/b"),
            ("B C: d", "B C=d"),
        ] {
            assert_eq!(parsed(text, Shape::Names), Ok(vec![want.to_owned()]), "{text:?}");
        }
        assert_eq!(parsed("", Shape::Names), Ok(vec![]));
        assert_eq!(parsed("# nothing\n", Shape::Names), Ok(vec![]));
        assert_eq!(
            parsed("sp_1:\n  A: b\nsp_2: {A: c}\n7: {A: d}\n", Shape::PerSpace),
            Ok(vec!["sp_1/A=b".to_owned(), "sp_2/A=c".to_owned(), "7/A=d".to_owned()])
        );
    }

    #[test]
    fn what_is_wrong_is_told_by_place_and_never_by_content() {
        const NO_TEXT: &str = "this is no text";
        for (text, shape, want) in [
            ("hunter2", Shape::Names, "line 1, column 1: a mapping"),
            ("- hunter2", Shape::Names, "line 1, column 1: a mapping"),
            ("A: 'hunter2", Shape::Names, "this isn't YAML"),
            ("A: b\n  hunter2: c", Shape::Names, "this isn't YAML"),
            ("A: b\n\thunter2", Shape::Names, "this isn't YAML"),
            ("A: hunter2\nA: b", Shape::Names, "line 2, column 1: the name is there twice"),
            ("A:\n  B: hunter2", Shape::Names, "line 2, column 3: a text is wanted"),
            ("A: [hunter2]", Shape::Names, "line 1, column 4: a text is wanted"),
            ("A: &x hunter2\nB: *x", Shape::Names, "anchors"),
            ("A: *x", Shape::Names, "YAML"),
            ("A: b\n---\nC: hunter2", Shape::Names, "line 3, column 1: a second document"),
            ("? [A]\n: hunter2", Shape::Names, "a plain name"),
            ("A: !!int 12", Shape::Names, NO_TEXT),
            ("A: !hunter2 12", Shape::Names, NO_TEXT),
            ("A:", Shape::Names, NO_TEXT),
            ("A: ~", Shape::Names, NO_TEXT),
            ("A: null", Shape::Names, NO_TEXT),
            ("A: True", Shape::Names, NO_TEXT),
            ("A: no", Shape::Names, NO_TEXT),
            ("A: 12345678", Shape::Names, NO_TEXT),
            ("A: -1", Shape::Names, NO_TEXT),
            ("A: 1.5", Shape::Names, NO_TEXT),
            ("A: 1e3", Shape::Names, NO_TEXT),
            ("A: .5", Shape::Names, NO_TEXT),
            ("A: 0x1F", Shape::Names, NO_TEXT),
            ("A: 0o17", Shape::Names, NO_TEXT),
            ("A: 1_000", Shape::Names, NO_TEXT),
            ("A: .inf", Shape::Names, NO_TEXT),
            ("A: .NaN", Shape::Names, NO_TEXT),
            ("A: 12:34:56", Shape::Names, NO_TEXT),
            ("sp_1: hunter2", Shape::PerSpace, "line 1, column 7: a mapping of names"),
            ("sp 1: {}", Shape::PerSpace, "line 1, column 1: this is no Space's id"),
            ("sp_1: {}\nsp_1: {}", Shape::PerSpace, "line 2, column 1: the Space is there twice"),
        ] {
            let error = parsed(text, shape).unwrap_err();
            assert!(error.contains(want), "{text:?}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("12345678"), "{error}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        let pieces = [
            "A", ":", " ", "\n", "-", "'", "\"", "{", "}", "[", "]", "&", "*", "!", "|", ">", "\t", "#", "?",
            "ö", ",", "%", "\u{0}",
        ];
        let mut seed = 7_u64;
        for _ in 0..50_000 {
            let mut text = String::new();
            for _ in 0..14 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            let _ = parse(&text, Shape::Names);
            let _ = parse(&text, Shape::PerSpace);
        }
    }
}
