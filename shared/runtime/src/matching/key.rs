//! The key of a filter: where in an event to look.
//!
//! Every key is a path from the root. A bare key is the path `**.key`, so it finds a leaf of
//! that name at any depth. Lists are no level of a path: each element stands where its list does.

use serde_json::Value;

use super::DEEPEST_LEVEL;
use super::glob::{self, Segment, Span};
use super::value::Leaf;

/// A parsed path such as `payload.**.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The levels before the first `**`: they tell which parts of an event to look into.
    fixed: Vec<Segment>,
    /// The levels from the first `**` on.
    open: Vec<Span<Segment>>,
}

impl Key {
    pub(super) fn new(levels: &[Span<Segment>]) -> Self {
        let fixed = levels.iter().map_while(|level| match level {
            Span::One(segment) => Some(segment.clone()),
            Span::Many => None,
        });
        let fixed: Vec<Segment> = fixed.collect();
        let open = levels[fixed.len()..].to_vec();
        Self { fixed, open }
    }

    /// The key that finds what this path finds, below any level.
    pub(super) fn anywhere(levels: &[Span<Segment>]) -> Self {
        Self { fixed: Vec::new(), open: [&[Span::Many], levels].concat() }
    }

    /// Every leaf at this key.
    pub(super) fn leaves<'e>(&self, event: &'e Value) -> Vec<Leaf<'e>> {
        let mut walk = Walk { key: self, names: Vec::new(), found: Vec::new() };
        walk.visit(event, DEEPEST_LEVEL);
        walk.found
    }
}

/// A way through an event, and what was found on it.
struct Walk<'k, 'e> {
    key: &'k Key,
    /// From the root to where the walk is.
    names: Vec<&'e str>,
    found: Vec<Leaf<'e>>,
}

impl<'e> Walk<'_, 'e> {
    fn visit(&mut self, value: &'e Value, levels_left: usize) {
        let Some(levels_left) = levels_left.checked_sub(1) else {
            return;
        };
        match value {
            Value::Array(elements) => {
                for element in elements {
                    self.visit(element, levels_left);
                }
            }
            Value::Object(children) => match self.key.fixed.get(self.names.len()) {
                Some(Segment::Literal(name)) => {
                    if let Some((name, child)) = children.get_key_value(&**name) {
                        self.visit_child(name, child, levels_left);
                    }
                }
                Some(level @ (Segment::Any | Segment::Glob(_))) => {
                    for (name, child) in children.iter().filter(|(name, _)| level.takes(name)) {
                        self.visit_child(name, child, levels_left);
                    }
                }
                None if self.key.open.is_empty() => {}
                None => {
                    for (name, child) in children {
                        self.visit_child(name, child, levels_left);
                    }
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                if self.is_at_key() {
                    self.found.extend(Leaf::of(value));
                }
            }
        }
    }

    fn visit_child(&mut self, name: &'e str, child: &'e Value, levels_left: usize) {
        self.names.push(name);
        self.visit(child, levels_left);
        self.names.pop();
    }

    fn is_at_key(&self) -> bool {
        let Some(names) = self.names.get(self.key.fixed.len()..) else {
            return false;
        };
        glob::fits(&self.key.open, names.iter(), |level, name| level.takes(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::glob::Separator;
    use serde_json::json;

    fn leaves(path: &str, event: &Value) -> Vec<String> {
        texts(&Key::new(&levels(path)), event)
    }

    fn leaves_anywhere(name: &str, event: &Value) -> Vec<String> {
        texts(&Key::anywhere(&levels(name)), event)
    }

    fn levels(path: &str) -> Vec<Span<Segment>> {
        glob::parse(path, Separator::Dot).unwrap()
    }

    fn texts(key: &Key, event: &Value) -> Vec<String> {
        let leaves = key.leaves(event);
        let texts = leaves.iter().map(|leaf| leaf.text().unwrap_or("null"));
        texts.map(str::to_owned).collect()
    }

    #[test]
    fn a_path_starts_at_the_root_and_ends_at_a_leaf() {
        let event = json!({
            "id": "1",
            "a": { "id": "2", "b": { "id": "3", "c": { "id": "4" } } },
            "dotted.name": { "id": "5" },
        });
        for (path, want) in [
            ("id", "1"),
            ("a.id", "2"),
            ("a.b", ""),
            ("a.b.c.id.x", ""),
            ("b.id", ""),
            ("*.id", "25"),
            ("?.?.id", "3"),
            ("*.*.id", "3"),
            ("a.**.id", "234"),
            ("a.**", "234"),
            ("id.**", "1"),
            ("**.c.**", "4"),
            ("**.id", "12345"),
            ("**", "12345"),
            ("**.b.id", "3"),
            ("a.**.b.**.id", "34"),
            (r"dotted\.name.id", "5"),
            ("dotted.name.id", ""),
            ("dotted*.id", "5"),
        ] {
            let mut found = leaves(path, &event);
            found.sort();
            assert_eq!(found.concat(), want, "{path}");
        }
    }

    #[test]
    fn a_bare_name_is_found_at_any_depth() {
        let event = json!({ "id": "1", "a": { "id": "2", "b": [{ "id": "3" }] }, "id2": "4" });
        for (name, want) in [("id", "123"), ("id*", "1234"), ("ID", ""), ("a", ""), ("*", "1234")] {
            let mut found = leaves_anywhere(name, &event);
            found.sort();
            assert_eq!(found.concat(), want, "{name}");
        }
    }

    #[test]
    fn a_list_is_no_level() {
        let event = json!({ "tags": ["1", ["2", null]], "items": [{ "id": "3" }, "4"], "none": [] });
        for (path, want) in [
            ("tags", "12null"),
            ("tags.*", ""),
            ("items", "4"),
            ("items.id", "3"),
            ("items.0", ""),
            ("none", ""),
        ] {
            assert_eq!(leaves(path, &event).concat(), want, "{path}");
        }
    }

    #[test]
    fn nothing_is_found_below_the_deepest_level() {
        let in_list = |value| Value::Array(vec![value]);
        let in_object = |value| Value::from_iter([("a", value)]);
        let nested = |depth: usize| {
            (0..depth).fold(json!("1"), |value, level| match level % 2 {
                0 => in_object(value),
                _ => in_list(value),
            })
        };
        for (depth, want) in [(127, "1"), (128, ""), (800, "")] {
            assert_eq!(leaves("**", &nested(depth)).concat(), want, "in {depth}");
        }
    }
}
