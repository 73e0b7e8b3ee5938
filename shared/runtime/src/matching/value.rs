//! Leaves of an event, and what a filter asks of them.
//!
//! Numbers, booleans and null are compared by type: `1` is `1.0` and never `"1"`. A string is a
//! pattern over the leaf's text, which strings, numbers and booleans have. Null has none.

use std::borrow::Cow;

use serde_json::Value;

use super::PatternError;
use super::pattern::Pattern;

/// Below this every whole number has a double of its own.
const FIRST_INEXACT: u128 = 1 << 53;

/// One value of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Matcher {
    Like(Pattern),
    Is(Scalar),
}

/// What is compared by type. Equal values are equal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Whole(i128),
    /// The bits of a double that isn't whole, or too large.
    Other(u64),
}

/// A value of an event that isn't an object or a list.
#[derive(Debug)]
pub(super) struct Leaf<'e> {
    scalar: Option<Scalar>,
    text: Option<Cow<'e, str>>,
}

impl Matcher {
    /// The matcher of a filter's value; nothing for an object or a list.
    pub(super) fn parse(value: &Value) -> Option<Result<Self, PatternError>> {
        Some(Ok(match value {
            Value::Null => Self::Is(Scalar::Null),
            Value::Bool(bool) => Self::Is(Scalar::Bool(*bool)),
            Value::Number(number) => Self::Is(Scalar::of(number)),
            Value::String(text) => return Some(Pattern::parse(text).map(Self::Like)),
            Value::Array(_) | Value::Object(_) => return None,
        }))
    }

    pub(super) fn takes(&self, leaf: &Leaf<'_>) -> bool {
        match self {
            Self::Like(pattern) => leaf.text().is_some_and(|text| pattern.matches(text)),
            Self::Is(scalar) => leaf.scalar == Some(*scalar),
        }
    }
}

impl<'e> Leaf<'e> {
    /// The leaf that a value is; nothing for an object or a list.
    pub(super) fn of(value: &'e Value) -> Option<Self> {
        let (scalar, text) = match value {
            Value::Null => (Some(Scalar::Null), None),
            Value::Bool(true) => (Some(Scalar::Bool(true)), Some("true".into())),
            Value::Bool(false) => (Some(Scalar::Bool(false)), Some("false".into())),
            Value::Number(number) => {
                let scalar = Scalar::of(number);
                (Some(scalar), Some(number_text(number, scalar).into()))
            }
            Value::String(text) => (None, Some(text.into())),
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Self { scalar, text })
    }

    pub(super) fn scalar(&self) -> Option<Scalar> {
        self.scalar
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl Scalar {
    fn of(number: &serde_json::Number) -> Self {
        if let Some(whole) = number.as_i64() {
            return Self::Whole(whole.into());
        }
        if let Some(whole) = number.as_u64() {
            return Self::Whole(whole.into());
        }
        let double = number.as_f64().unwrap_or(f64::NAN);
        if double.fract() == 0.0 && double.abs() < 1e38 {
            return Self::Whole(double as i128);
        }
        Self::Other(double.to_bits())
    }
}

/// The shortest text that reads back as the same number. Not left to `serde_json`, whose
/// exponents look different from version to version.
fn number_text(number: &serde_json::Number, scalar: Scalar) -> String {
    match (scalar, number.as_f64()) {
        (Scalar::Whole(whole), _) if whole.unsigned_abs() < FIRST_INEXACT => whole.to_string(),
        (_, Some(double)) if number.is_f64() => format!("{double:?}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_by_type() {
        for (matcher, value, want) in [
            (json!(1), json!(1), true),
            (json!(1), json!(1.0), true),
            (json!(1.5), json!(1.5), true),
            (json!(0), json!(-0.0), true),
            (json!(1), json!(2), false),
            (json!(1), json!("1"), false),
            (json!(1), json!(true), false),
            (json!(u64::MAX), json!(u64::MAX), true),
            (json!(u64::MAX), json!(u64::MAX - 1), false),
            (json!(1e18), json!(1_000_000_000_000_000_000_u64), true),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0), false),
            (json!(1e300), json!(1e300), true),
            (json!(1e300), json!(1e301), false),
            (json!(true), json!(true), true),
            (json!(true), json!(false), false),
            (json!(true), json!("true"), false),
            (json!(false), json!(0), false),
            (json!(null), json!(null), true),
            (json!(null), json!(""), false),
            (json!(null), json!(false), false),
            (json!(null), json!("null"), false),
        ] {
            check(&matcher, &value, want);
        }
    }

    #[test]
    fn a_pattern_takes_the_text_of_a_string_number_or_boolean() {
        for (pattern, value, want) in [
            ("space:*", json!("space:red"), true),
            ("0", json!(0), true),
            ("0", json!(-0.0), true),
            ("1.0", json!(1), false),
            ("1.0", json!(1.0), false),
            ("1", json!(1.0), true),
            ("-1?", json!(-12), true),
            ("1.5", json!(1.5), true),
            ("100000000000000000000", json!(1e20), false),
            ("1e20", json!(1e20), true),
            ("1e21", json!(1e21), true),
            ("1e+21", json!(1e21), false),
            ("1e-7", json!(1e-7), true),
            ("9007199254740993", json!(9_007_199_254_740_993_u64), true),
            ("9007199254740992.0", json!(9_007_199_254_740_992.0), true),
            ("true", json!(true), true),
            ("f*", json!(false), true),
            ("true", json!(false), false),
            ("**", json!(null), false),
            ("null", json!(null), false),
            ("", json!(null), false),
            ("", json!(""), true),
            ("**", json!(""), false),
        ] {
            check(&json!(pattern), &value, want);
        }
    }

    fn check(matcher: &Value, value: &Value, want: bool) {
        let parsed = Matcher::parse(matcher).unwrap().unwrap();
        let leaf = Leaf::of(value).unwrap();
        assert_eq!(parsed.takes(&leaf), want, "{matcher} on {value}");
    }
}
