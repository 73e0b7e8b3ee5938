//! Finding a value in JSON that is about to be stored or returned.

use serde_json::Value;
use zeroize::Zeroizing;

use super::Guard;

/// A value stands in JSON: whose, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundInJson<'g> {
    /// The name of the secret.
    pub name: &'g str,
    /// The leaf, or the member whose key it is, as a JSON pointer (RFC 6901). It is cleaned itself.
    pub pointer: String,
}

pub(super) fn find_in_json<'g>(guard: &'g Guard, value: &Value) -> Option<FoundInJson<'g>> {
    let trail = find(guard, value)?;
    let mut pointer = Zeroizing::new(String::new());
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
    steps: Vec<Zeroizing<String>>,
}

impl Trail<'_> {
    fn below(mut self, step: String) -> Self {
        self.steps.push(Zeroizing::new(step));
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
        Value::Array(items) => in_bytes(guard, items).or_else(|| {
            items.iter().enumerate().find_map(|(at, item)| {
                let trail = find(guard, item)?;
                Some(trail.below(at.to_string()))
            })
        }),
        Value::Object(members) => members.iter().find_map(|(key, member)| {
            let trail = find_in_text(guard, key).or_else(|| find(guard, member))?;
            Some(trail.below(key.clone()))
        }),
    }
}

/// A list of numbers may be a value's bytes one by one.
fn in_bytes<'g>(guard: &'g Guard, items: &[Value]) -> Option<Trail<'g>> {
    let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
    let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
    let bytes = Zeroizing::new(bytes?);
    let found = guard.find(&bytes)?;
    Some(Trail { name: found.name, steps: Vec::new() })
}

fn find_in_text<'g>(guard: &'g Guard, text: &str) -> Option<Trail<'g>> {
    let found = guard.find(text.as_bytes())?;
    Some(Trail { name: found.name, steps: Vec::new() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn guard() -> Guard {
        Guard::builder()
            .add("TOKEN", b"hunter2-hunter2")
            .add("PIN", b"12345678")
            .add("PATH", b"users/admin/key")
            .add("AMOUNT", br#"{"amount": 12345.6700}"#)
            .add("a/b~c", b"strange-name")
            .build()
    }

    #[test]
    fn a_value_in_json_is_found_and_pointed_at() {
        let guard = guard();
        for (value, want) in [
            (json!("hunter2-hunter2"), Some(("TOKEN", ""))),
            (json!({"a": [1, {"b": "x hunter2-hunter2 y"}]}), Some(("TOKEN", "/a/1/b"))),
            (json!({"a": {"b": 12_345_678}}), Some(("PIN", "/a/b"))),
            (json!([0, -12_345_678]), Some(("PIN", "/1"))),
            (json!([12345.67]), Some(("AMOUNT", "/0"))),
            (json!({"a/b~c": {"": "hunter2-hunter2"}}), Some(("TOKEN", "/a~1b~0c/"))),
            (json!({"a": {"=hunter2-hunter2": 1}}), Some(("TOKEN", "/a/=[secret:TOKEN]"))),
            (json!({"strange-name": 1}), Some(("a/b~c", "/[secret:a~1b~0c]"))),
            (json!({"aHVudGVyMi1odW50ZXIy": [true]}), Some(("TOKEN", "/[secret:TOKEN]"))),
            (json!({"a": {"hunter2-hunter": "2"}, "b": [null, true, 1234567]}), None),
            (json!({"a": b"hunter2-hunter2"}), Some(("TOKEN", "/a"))),
            (json!([1, 2, 3, 104, 117, 110, 116, 101, 114, 300]), None),
            (json!([]), None),
        ] {
            let found = guard.find_in_json(&value);
            let found = found.as_ref().map(|found| (found.name, found.pointer.as_str()));
            assert_eq!(found, want, "{value}");
        }
        assert_eq!(Guard::empty().find_in_json(&json!("hunter2-hunter2")), None);
    }

    #[test]
    fn a_pointer_holds_no_value_that_its_keys_spell_together() {
        let value = json!({"users": {"admin": {"key": "hunter2-hunter2"}}});
        let found = guard().find_in_json(&value).map(|found| found.pointer);
        assert_eq!(found.as_deref(), Some("/[secret:PATH]"));
    }
}
