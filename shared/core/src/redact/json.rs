//! Finding a value in JSON that is about to be stored or returned.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{Guard, SHORTEST};

/// A value stands in JSON: whose, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundInJson<'g> {
    /// The name of the secret.
    pub name: &'g str,
    /// The leaf, or the member whose key it is, as a JSON pointer (RFC 6901). It is cleaned itself.
    pub pointer: String,
}

pub(super) fn find_in_json<'g>(guard: &'g Guard, value: &Value) -> Option<FoundInJson<'g>> {
    if guard.is_empty() {
        return None;
    }
    let trail = find(guard, value)?;
    let mut pointer = String::new();
    for step in trail.steps.iter().rev() {
        pointer.push('/');
        // A name in a mark may hold what a pointer must escape.
        let step = guard.clean(step);
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    // Keys that are harmless one by one may spell a value together.
    let pointer = guard.clean(&pointer).into_owned();
    Some(FoundInJson { name: trail.name, pointer })
}

/// The way from a leaf back to the root.
struct Trail<'g> {
    name: &'g str,
    steps: Vec<String>,
}

impl Trail<'_> {
    fn below(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }
}

fn find<'g>(guard: &'g Guard, value: &Value) -> Option<Trail<'g>> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => {
            let text = Zeroizing::new(number.to_string());
            find_in_text(guard, &text)
        }
        Value::String(text) => find_in_text(guard, text),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| {
            let trail = find(guard, item)?;
            Some(trail.below(at.to_string()))
        }),
        Value::Object(members) => members.iter().find_map(|(key, member)| {
            let trail = find_in_text(guard, key).or_else(|| find(guard, member))?;
            Some(trail.below(key.clone()))
        }),
    }
}

fn find_in_text<'g>(guard: &'g Guard, text: &str) -> Option<Trail<'g>> {
    if text.len() < SHORTEST {
        return None;
    }
    let found = guard.find(text.as_bytes())?;
    Some(Trail { name: found.name, steps: Vec::new() })
}
