//! JSON files: one object of texts, or with Spaces an object of such objects.
//!
//! serde_json's own messages quote the input, so they are dropped; a problem that we see is put
//! aside in [`Parsing::problem`] before serde is told to stop.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use undertone_core::SpaceId;
use zeroize::Zeroizing;

use super::file::{Entry, FileError, Place, Shape};

pub(super) fn parse(text: &str, shape: Shape) -> Result<Vec<Entry>, FileError> {
    let mut parsing = Parsing { entries: Vec::new(), problem: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let level = match shape {
        Shape::Names => Level::Names(None),
        Shape::PerSpace => Level::Spaces,
    };
    let seed = Node { parsing: &mut parsing, level, pointer: String::new() };
    let done = seed.deserialize(&mut json).and_then(|()| json.end());
    match (parsing.problem, done) {
        (Some(problem), _) => Err(problem),
        (None, Ok(())) => Ok(parsing.entries),
        (None, Err(error)) => Err(FileError::Wrong {
            place: Place::Line { line: error.line().max(1), column: error.column().max(1) },
            why: "this isn't JSON",
        }),
    }
}

struct Parsing {
    entries: Vec<Entry>,
    problem: Option<FileError>,
}

#[derive(Clone)]
enum Level {
    Spaces,
    Names(Option<SpaceId>),
    Value(Option<SpaceId>, undertone_core::SecretName),
}

struct Node<'p> {
    parsing: &'p mut Parsing,
    level: Level,
    pointer: String,
}

impl Node<'_> {
    fn stop<E: serde::de::Error>(self, why: &'static str) -> E {
        stop(self.parsing, self.pointer, why)
    }
}

fn stop<E: serde::de::Error>(parsing: &mut Parsing, pointer: String, why: &'static str) -> E {
    parsing.problem = Some(FileError::Wrong { place: Place::Pointer(pointer), why });
    E::custom("")
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.level.clone() {
            Level::Spaces | Level::Names(_) => Err(self.stop("an object is wanted here")),
            Level::Value(space, name) => {
                self.parsing.entries.push(Entry { space, name, value: Zeroizing::new(text.to_owned()) });
                Ok(())
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if matches!(self.level, Level::Value(..)) {
            return Err(self.stop("a text is wanted here, not an object: values aren't nested"));
        }
        let Node { parsing, level, pointer } = self;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let inner = match &level {
                Level::Spaces => {
                    key.parse().map(|space| Level::Names(Some(space))).map_err(|_| "this is no Space's id")
                }
                Level::Names(space) => key
                    .parse()
                    .map(|name| Level::Value(space.clone(), name))
                    .map_err(|_| "this is no secret's name"),
                Level::Value(..) => Err("values aren't nested"),
            };
            let level = match inner {
                Ok(level) => level,
                Err(why) => return Err(stop(parsing, pointer, why)),
            };
            if !seen.insert(key) {
                return Err(stop(parsing, pointer, "the name is there twice"));
            }
            map.next_value_seed(Node { parsing: &mut *parsing, level, pointer })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.stop("a list can't be imported"))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.stop("a value is a text: quote it"))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.stop("a value is a text: quote it"))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.stop("a value is a text: quote it"))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.stop("a value is a text: quote it"))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(self.stop("a value is a text, null is none: leave the name away, or write \"\""))
    }
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
    fn an_object_of_texts_is_read() {
        assert_eq!(
            parsed(r#"{"A": "b", "C D": "\u00e9\n\ud83d\ude00", "E": ""}"#, Shape::Names),
            Ok(vec!["A=b".to_owned(), "C D=é\n😀".to_owned(), "E=".to_owned()])
        );
        assert_eq!(
            parsed(r#"{"sp_1": {"A": "b"}, "sp_2": {"A": "c"}, "sp_3": {}}"#, Shape::PerSpace),
            Ok(vec!["sp_1/A=b".to_owned(), "sp_2/A=c".to_owned()])
        );
        assert_eq!(parsed("{}", Shape::Names), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_by_pointer_or_line_and_never_by_content() {
        for (text, shape, want) in [
            ("", Shape::Names, "line 1, column 1: this isn't JSON"),
            ("hunter2", Shape::Names, "line 1, column 1: this isn't JSON"),
            ("{\n\"A\": \"hunter2\",\n}", Shape::Names, "line 3, column 1: this isn't JSON"),
            (r#"{"A": "hunter2"#, Shape::Names, "line 1, column 14: this isn't JSON"),
            (r#"{"A": "hunter2"} {}"#, Shape::Names, "line 1, column 18: this isn't JSON"),
            (r#"["hunter2"]"#, Shape::Names, "at the top: a list"),
            (r#""hunter2""#, Shape::Names, "at the top: an object"),
            (r#"{"A": {"B": "hunter2"}}"#, Shape::Names, "at /A: a text is wanted here, not an object"),
            (r#"{"A": ["hunter2"]}"#, Shape::Names, "at /A: a list"),
            (r#"{"A": 12345678}"#, Shape::Names, "at /A: a value is a text"),
            (r#"{"A": -1.5e300}"#, Shape::Names, "at /A: a value is a text"),
            (r#"{"A": 123456789012345678901234567890}"#, Shape::Names, "at /A: a value is a text"),
            (r#"{"A": true}"#, Shape::Names, "at /A: a value is a text"),
            (r#"{"A": null}"#, Shape::Names, "at /A: a value is a text, null"),
            (r#"{"A": "hunter2", "A": "b"}"#, Shape::Names, "at /A: the name is there twice"),
            (r#"{"A/B~": 1}"#, Shape::Names, "at /A~1B~0: a value is a text"),
            (r#"{"": "hunter2"}"#, Shape::Names, "at /: this is no secret's name"),
            (r#"{"A\u001b[31m": "hunter2"}"#, Shape::Names, "at /A\\u{1b}[31m: this is no secret's name"),
            (r#"{"sp_1": "hunter2"}"#, Shape::PerSpace, "at /sp_1: an object"),
            (r#"{"sp 1": {}}"#, Shape::PerSpace, "at /sp 1: this is no Space's id"),
            (r#"{"sp_1": {"A": {}}}"#, Shape::PerSpace, "at /sp_1/A: a text"),
            (r#"{"sp_1": {}, "sp_1": {}}"#, Shape::PerSpace, "at /sp_1: the name is there twice"),
        ] {
            let error = parsed(text, shape).unwrap_err();
            assert!(error.starts_with(want), "{text:?}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("12345678"), "{error}");
        }
    }
}
