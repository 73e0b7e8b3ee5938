//! Filters: what an event must hold, besides its topic, for a handler to take it.
//!
//! A filter is conditions that must all hold. A condition is a key and a list of values, and
//! holds where any leaf at the key is taken by any value. So what is missing never matches.

use serde_json::{Map, Value};

use super::glob::{self, Segment, Separator, Span};
use super::key::Key;
use super::value::{Leaf, Matcher};
use super::{FilterError, LONGEST_PATTERN, MOST_FILTER_KEYS, PatternError};

/// A parsed filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    pub(super) key: Key,
    pub(super) any_of: Vec<Matcher>,
}

/// What can be given where a filter is asked for: a filter, what [`filter!`](crate::filter)
/// yields, or JSON.
pub trait IntoFilter {
    /// Parses what isn't parsed yet.
    ///
    /// # Errors
    /// Why it is no filter, and what to write instead.
    fn into_filter(self) -> Result<Filter, FilterError>;
}

/// Parses a filter that is written like [`serde_json::json!`], without its outer braces.
///
/// Yields `Result<Filter, FilterError>`, which `IntoFilter` takes as it is: the listener reports
/// the error where the handler is registered. About 40 keys fit into one macro; more can be given
/// as JSON.
///
/// ```
/// # use undertone_runtime::filter;
/// # use serde_json::json;
/// let filter = filter! { "payload.job": "space:*", "spaceId": ["sp_1", "sp_2"] };
/// let event = json!({ "context": { "spaceId": "sp_2" }, "payload": { "job": "space:notify" } });
/// assert!(filter.is_ok_and(|filter| filter.matches(&event)));
/// ```
#[macro_export]
macro_rules! filter {
    ($($filter:tt)*) => {
        $crate::matching::Filter::parse($crate::__private::serde_json::json!({ $($filter)* }))
    };
}

impl Filter {
    /// The filter that every event passes.
    pub fn any() -> Self {
        Self { conditions: Vec::new() }
    }

    /// Reads a filter from a JSON object. Null is no filter, and neither is `{}`.
    ///
    /// # Errors
    /// Why it is no filter, and what to write instead.
    pub fn parse(filter: Value) -> Result<Self, FilterError> {
        let mut conditions = Vec::new();
        match &filter {
            Value::Null => {}
            Value::Object(keys) => collect(keys, Path::default(), &mut conditions)?,
            Value::Array(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                let found = in_words(&filter);
                return Err(FilterError::NotAnObject { found });
            }
        }
        Ok(Self { conditions })
    }

    /// Whether every condition holds for this event.
    pub fn matches(&self, event: &Value) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.all(|condition| holds(&condition.any_of, &condition.key.leaves(event)))
    }

    pub(super) fn into_conditions(self) -> Vec<Condition> {
        self.conditions
    }
}

/// Whether any of the values takes any of the leaves.
pub(super) fn holds(any_of: &[Matcher], leaves: &[Leaf<'_>]) -> bool {
    leaves.iter().any(|leaf| any_of.iter().any(|matcher| matcher.takes(leaf)))
}

/// From the root of a filter to one of its keys.
#[derive(Clone, Default)]
struct Path {
    levels: Vec<Span<Segment>>,
    /// For errors.
    text: String,
}

impl Path {
    fn join(&self, key: &str) -> Result<Self, FilterError> {
        let dot = if self.text.is_empty() { "" } else { "." };
        let text = format!("{}{dot}{key}", self.text);
        let length = text.chars().count();
        if LONGEST_PATTERN < length {
            return Err(FilterError::Key(PatternError::TooLong { length }));
        }
        let mut path = Self { levels: self.levels.clone(), text };
        let levels = glob::parse(key, Separator::Dot).map_err(FilterError::Key)?;
        if levels.contains(&Span::One(Segment::Literal("".into()))) {
            return Err(FilterError::EmptyLevel { key: path.quoted() });
        }
        path.levels.extend(levels);
        Ok(path)
    }

    fn key(&self) -> Key {
        match &*self.levels {
            [_] => Key::anywhere(&self.levels),
            _ => Key::new(&self.levels),
        }
    }

    fn quoted(&self) -> String {
        self.text.escape_debug().to_string()
    }
}

fn collect(
    keys: &Map<String, Value>,
    parent: Path,
    conditions: &mut Vec<Condition>,
) -> Result<(), FilterError> {
    for (key, value) in keys {
        let path = parent.join(key)?;
        match value {
            Value::Object(keys) if keys.is_empty() => {
                return Err(FilterError::EmptyObject { key: path.quoted() });
            }
            Value::Object(keys) => {
                collect(keys, path, conditions)?;
                continue;
            }
            Value::Array(values) => conditions.push(condition(&path, values)?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                conditions.push(condition(&path, std::slice::from_ref(value))?);
            }
        }
        if MOST_FILTER_KEYS < conditions.len() {
            return Err(FilterError::TooManyKeys);
        }
    }
    Ok(())
}

fn condition(path: &Path, values: &[Value]) -> Result<Condition, FilterError> {
    let mut any_of = Vec::with_capacity(values.len());
    for value in values {
        any_of.push(match Matcher::parse(value) {
            Some(Ok(matcher)) => matcher,
            Some(Err(why)) => {
                let key = path.quoted();
                return Err(FilterError::Value { key, why });
            }
            None => {
                let (key, found) = (path.quoted(), in_words(value));
                return Err(FilterError::NestedInList { key, found });
            }
        });
    }
    let key = path.key();
    Ok(Condition { key, any_of })
}

fn in_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl IntoFilter for Filter {
    fn into_filter(self) -> Result<Filter, FilterError> {
        Ok(self)
    }
}

impl IntoFilter for Result<Filter, FilterError> {
    fn into_filter(self) -> Result<Filter, FilterError> {
        self
    }
}

impl IntoFilter for Value {
    fn into_filter(self) -> Result<Filter, FilterError> {
        Filter::parse(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "topic": "job:ready",
            "context": { "spaceId": "sp_1", "slugs": { "sheet": "contacts" } },
            "payload": { "job": "space:notify", "count": 3, "done": false, "info": null },
        })
    }

    #[test]
    fn keys_are_and_and_values_are_or() {
        for (filter, want) in [
            (filter! {}, true),
            (filter! { "spaceId": "sp_1", "job": "space:*" }, true),
            (filter! { "spaceId": "sp_1", "job": "workbook:*" }, false),
            (filter! { "spaceId": ["sp_0", "sp_1"] }, true),
            (filter! { "spaceId": [] }, false),
            (filter! { "info": ["x", null] }, true),
            (filter! { "count": [2, 3] }, true),
            (filter! { "nope": null }, false),
            (filter! { "nope": "**" }, false),
            (filter! { "context": { "spaceId": "sp_1", "slugs": { "sheet": "c*" } } }, true),
            (filter! { "context": { "slugs.sheet": "contacts" } }, true),
            (filter! { "context": { "sheet": "contacts" } }, false),
            (filter! { "context": { "**": "contacts" } }, true),
            (filter! { "context": "**" }, false),
        ] {
            let filter = filter.unwrap();
            assert_eq!(filter.matches(&event()), want, "{filter:?}");
        }
    }

    #[test]
    fn null_is_no_filter_and_json_is_one() {
        for (given, want) in [
            (Value::Null.into_filter(), true),
            (json!({ "spaceId": "sp_2" }).into_filter(), false),
            (filter! { "spaceId": "sp_1" }.into_filter(), true),
            (Filter::any().into_filter(), true),
        ] {
            assert_eq!(given.unwrap().matches(&event()), want);
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused_with_what_to_write() {
        let deep = (0..600).fold(json!("x"), |value, _| json!({ "a": value }));
        for (given, want) in [
            (json!("space:notify"), "a filter is an object, not a string: write"),
            (json!([]), "a filter is an object, not a list: write"),
            (json!({ "": "x" }), r#"the filter key "" has an empty level"#),
            (json!({ "a..b": "x" }), r#"the filter key "a..b" has an empty level"#),
            (json!({ "a": { "": 1 } }), r#"the filter key "a." has an empty level"#),
            (json!({ "a": {} }), r#"the filter key "a" holds an empty object"#),
            (json!({ "a": [["x"]] }), r#"the filter key "a" lists a list: list strings"#),
            (json!({ "a": { "b": [{}] } }), r#"the filter key "a.b" lists an object"#),
            (json!({ "a\\": 1 }), r"a filter key is no pattern: the pattern `a\\` ends in a"),
            (json!({ "a\n": "x\\" }), r#"the value of the filter key "a\n" is no pattern: the"#),
            (json!({ "a".repeat(1025): 1 }), "a filter key is no pattern: a pattern has at most"),
            (deep, "a filter key is no pattern: a pattern has at most 1024 characters"),
            (json!({ "a": "x".repeat(1025) }), r#"the value of the filter key "a" is no pattern"#),
        ] {
            let error = Filter::parse(given).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn a_filter_has_at_most_64_conditions() {
        let keys = |count: usize| -> Value { (0..count).map(|n| (format!("k{n}"), json!(n))).collect() };
        assert!(Filter::parse(keys(64)).is_ok());
        assert_eq!(Filter::parse(keys(65)), Err(FilterError::TooManyKeys));
        let nested = json!({ "a": keys(40), "b": keys(40) });
        assert_eq!(Filter::parse(nested), Err(FilterError::TooManyKeys));
    }
}
