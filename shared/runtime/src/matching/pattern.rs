//! A pattern over a text of colon segments: a topic, or a value of an event.
//!
//! A wildcard never takes an empty text; only the empty pattern does.

use super::PatternError;
use super::glob::{self, Segment, Separator, Span};

/// A parsed pattern such as `space:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern(Vec<Span<Segment>>);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        glob::parse(text, Separator::Colon).map(Self)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match (text, &*self.0) {
            ("", [Span::One(Segment::Literal(literal))]) => literal.is_empty(),
            ("", _) => false,
            _ => glob::fits(&self.0, text.split(':'), Segment::takes),
        }
    }

    pub(super) fn segments(&self) -> &[Span<Segment>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_matched_one_to_one_and_double_stars_take_any_number() {
        for (pattern, text, want) in [
            ("job:ready", "job:ready", true),
            ("job", "job:ready", false),
            ("job:*", "job", false),
            ("job:*", "job:a:b", false),
            ("*:*", "job:ready", true),
            ("job:**", "job", true),
            ("job:**", "job:a:b", true),
            ("job:**", "jobs", false),
            ("job:**:ready", "job:ready", true),
            ("job:**:ready", "job:a:b:ready", true),
            ("job:**:ready", "job:a:b", false),
            ("**:a:**:b", "a:x:a:b:x:b", true),
            ("**:a:**:b", "b:a", false),
            ("job?ready", "job:ready", false),
            ("job*ready", "job:ready", false),
            (r"job\:ready", "job:ready", true),
        ] {
            check(pattern, text, want);
        }
    }

    #[test]
    fn an_empty_segment_is_taken_by_itself_and_by_double_stars_only() {
        for (pattern, text, want) in [
            ("a:b", "a::b", false),
            ("a::b", "a::b", true),
            ("a:*:b", "a::b", false),
            ("a:**:b", "a::b", true),
            ("a", "a:", false),
            ("a:*", "a:", false),
            ("a:", "a:", true),
            ("**", ":", true),
        ] {
            check(pattern, text, want);
        }
    }

    #[test]
    fn the_empty_text_is_taken_by_the_empty_pattern_only() {
        for (pattern, want) in [("", true), ("*", false), ("**", false), ("**:", false)] {
            check(pattern, "", want);
        }
        check("", "a", false);
        check("", ":", false);
    }

    #[test]
    fn thousands_of_wildcards_take_no_more_than_a_moment() {
        let text = "a".repeat(20_000);
        let segments = "a:".repeat(20_000);
        for (pattern, text) in [
            ("a*".repeat(511) + "b", &text),
            ("*".to_owned() + &"a".repeat(1000) + "b", &text),
            ("*?".repeat(511) + "b", &text),
            ("**:a:".repeat(204) + "b", &segments),
            ("**:*:".repeat(204) + "b", &segments),
        ] {
            let start = std::time::Instant::now();
            check(&pattern, text, false);
            assert!(start.elapsed().as_secs() < 5, "{pattern}");
        }
    }

    fn check(pattern: &str, text: &str, want: bool) {
        let parsed = Pattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(text), want, "{pattern} on {text:?}");
    }
}
