//! The one glob: of characters in a segment, of segments in a text, of levels in a path.
//!
//! A `Many` that has been passed is never widened again unless it is the last one passed, so
//! matching takes at most (length of the pattern) x (length of the text) steps.

use super::{LONGEST_PATTERN, PatternError};

/// A piece of a pattern over some sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Span<T> {
    /// Takes exactly one item.
    One(T),
    /// Takes any number of items, none included.
    Many,
}

/// Takes one segment of a text or one level of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    Literal(Box<str>),
    /// `*` alone: one segment that isn't empty.
    Any,
    /// Text and wildcards.
    Glob(Box<[Span<Letter>]>),
}

/// Takes one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Letter {
    Exactly(char),
    Any,
}

/// What divides a text into segments, or a key into levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// No segment can hold a colon, so an escaped one divides as well.
    Colon,
    /// A level's name can hold a dot, so an escaped one is part of the name.
    Dot,
}

/// Whether the pattern takes the whole text.
pub(super) fn fits<T, I: Iterator<Item: Copy> + Clone>(
    pattern: &[Span<T>],
    mut text: I,
    takes: impl Fn(&T, I::Item) -> bool,
) -> bool {
    let mut at = 0;
    let mut last_many: Option<(usize, I)> = None;
    loop {
        let mut rest = text.clone();
        let taken = match (pattern.get(at), rest.next()) {
            (None, None) => return true,
            (None, Some(_)) => false,
            (Some(Span::One(one)), Some(item)) => takes(one, item),
            // To widen the last `Many` would leave even less for what follows it.
            (Some(Span::One(_)), None) => return false,
            (Some(Span::Many), _) => {
                at += 1;
                if at == pattern.len() {
                    return true;
                }
                last_many = Some((at, text.clone()));
                continue;
            }
        };
        if taken {
            at += 1;
            text = rest;
            continue;
        }
        let Some((after, widened)) = &mut last_many else {
            return false;
        };
        widened.next();
        at = *after;
        text = widened.clone();
    }
}

/// Reads a pattern. An empty segment becomes an empty literal; the caller decides on it.
pub(super) fn parse(text: &str, separator: Separator) -> Result<Vec<Span<Segment>>, PatternError> {
    let length = text.chars().count();
    if LONGEST_PATTERN < length {
        return Err(PatternError::TooLong { length });
    }
    let mut segments = Vec::new();
    let mut letters = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '*' => letters.push(Span::Many),
            '?' => letters.push(Span::One(Letter::Any)),
            '\\' => match chars.next() {
                Some(':') if separator == Separator::Colon => close(&mut letters, &mut segments),
                Some(escaped) => letters.push(Span::One(Letter::Exactly(escaped))),
                None => {
                    let pattern = text.escape_debug().to_string();
                    return Err(PatternError::LoneBackslash { pattern });
                }
            },
            _ if char == separator.char() => close(&mut letters, &mut segments),
            _ => letters.push(Span::One(Letter::Exactly(char))),
        }
    }
    close(&mut letters, &mut segments);
    Ok(segments)
}

fn close(letters: &mut Vec<Span<Letter>>, segments: &mut Vec<Span<Segment>>) {
    let segment = match letters.as_slice() {
        [Span::Many, Span::Many] => Span::Many,
        _ => Span::One(Segment::of(letters)),
    };
    letters.clear();
    if segment != Span::Many || segments.last() != Some(&Span::Many) {
        segments.push(segment);
    }
}

impl Separator {
    fn char(self) -> char {
        match self {
            Self::Colon => ':',
            Self::Dot => '.',
        }
    }
}

impl Segment {
    pub(super) fn takes(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => **literal == *text,
            Self::Any => !text.is_empty(),
            Self::Glob(letters) => glob_takes(letters, text),
        }
    }

    fn of(letters: &[Span<Letter>]) -> Self {
        if let Some(literal) = letters.iter().map(literal_char).collect::<Option<String>>() {
            return Self::Literal(literal.into());
        }
        if letters.iter().all(|letter| *letter == Span::Many) {
            return Self::Any;
        }
        let mut glob = letters.to_vec();
        glob.dedup_by(|next, before| *next == Span::Many && *before == Span::Many);
        Self::Glob(glob.into())
    }
}

/// Whether a segment of text and wildcards takes this text.
pub(super) fn glob_takes(letters: &[Span<Letter>], text: &str) -> bool {
    fits(letters, text.chars(), |letter, char| match letter {
        Letter::Exactly(exactly) => *exactly == char,
        Letter::Any => true,
    })
}

/// The text before a glob's first wildcard.
pub(super) fn literal_prefix(letters: &[Span<Letter>]) -> String {
    letters.iter().map_while(literal_char).collect()
}

fn literal_char(letter: &Span<Letter>) -> Option<char> {
    match letter {
        Span::One(Letter::Exactly(char)) => Some(*char),
        Span::One(Letter::Any) | Span::Many => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(pattern: &str) -> Span<Segment> {
        let mut segments = parse(pattern, Separator::Colon).unwrap();
        assert_eq!(segments.len(), 1, "{pattern}");
        segments.remove(0)
    }

    #[test]
    fn a_segment_is_as_plain_as_it_can_be() {
        let literal = |text: &str| Span::One(Segment::Literal(text.into()));
        for (pattern, want) in [
            ("ready", literal("ready")),
            ("", literal("")),
            (r"\*\?\\", literal(r"*?\")),
            (r"re\ady", literal("ready")),
            ("[a]{b}(c)!@/.$^", literal("[a]{b}(c)!@/.$^")),
            ("*", Span::One(Segment::Any)),
            ("***", Span::One(Segment::Any)),
            ("**", Span::Many),
        ] {
            assert_eq!(segment(pattern), want, "{pattern}");
        }
    }

    #[test]
    fn wildcards_take_characters() {
        for (pattern, text, want) in [
            ("re*dy", "ready", true),
            ("rea*dy", "ready", true),
            ("re**", "ready", true),
            ("re**", "re", true),
            ("*e*", "ready", true),
            ("*x*", "ready", false),
            ("*dy", "dydy", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("?", "😀", true),
            ("??", "😀", false),
            ("?*", "", false),
            (r"\**", "*x", true),
            (r"\**", "x", false),
            ("a*b", "a\nb", true),
        ] {
            let Span::One(segment) = segment(pattern) else {
                panic!("{pattern} is one segment");
            };
            assert_eq!(segment.takes(text), want, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn a_separator_divides_unless_it_is_an_escaped_dot() {
        for (pattern, separator, want) in [
            ("a:b.c", Separator::Colon, 2),
            (r"a\:b", Separator::Colon, 2),
            ("a::", Separator::Colon, 3),
            ("a.b:c", Separator::Dot, 2),
            (r"a\.b", Separator::Dot, 1),
            ("**:**:a", Separator::Colon, 2),
            ("*:*:a", Separator::Colon, 3),
        ] {
            assert_eq!(parse(pattern, separator).unwrap().len(), want, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_refused() {
        for (pattern, want) in [
            ("job:x\\".to_owned(), PatternError::LoneBackslash { pattern: r"job:x\\".to_owned() }),
            ("é".repeat(1025), PatternError::TooLong { length: 1025 }),
        ] {
            assert_eq!(parse(&pattern, Separator::Colon), Err(want));
        }
        assert!(parse(&"é".repeat(1024), Separator::Colon).is_ok());
    }

    /// Follows the definition, at any cost.
    fn fits_by_definition(pattern: &[Span<Letter>], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [Span::Many, rest @ ..] => (0..=text.len()).any(|from| fits_by_definition(rest, &text[from..])),
            [Span::One(letter), rest @ ..] => text.split_first().is_some_and(|(char, text)| {
                let taken = match letter {
                    Letter::Exactly(exactly) => exactly == char,
                    Letter::Any => true,
                };
                taken && fits_by_definition(rest, text)
            }),
        }
    }

    #[test]
    fn every_short_glob_takes_what_the_definition_says() {
        let letters = [
            Span::Many,
            Span::One(Letter::Any),
            Span::One(Letter::Exactly('a')),
            Span::One(Letter::Exactly('b')),
        ];
        for pattern in words(4, 5) {
            let pattern: Vec<_> = pattern.iter().map(|at| letters[*at].clone()).collect();
            for text in words(2, 5) {
                let text: Vec<char> = text.iter().map(|at| ['a', 'b'][*at]).collect();
                let want = fits_by_definition(&pattern, &text);
                let found = glob_takes(&pattern, &String::from_iter(&text));
                assert_eq!(found, want, "{pattern:?} on {text:?}");
            }
        }
    }

    /// Every word of less than so many letters.
    fn words(alphabet: usize, lengths: u32) -> impl Iterator<Item = Vec<usize>> {
        (0..lengths).flat_map(move |length| {
            (0..alphabet.pow(length)).map(move |number| {
                let places = (0..length).map(|place| number / alphabet.pow(place));
                places.map(|rest| rest % alphabet).collect()
            })
        })
    }
}
