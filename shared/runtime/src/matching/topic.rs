//! Topics: what an event is about, and which of them a handler takes.
//!
//! A [`Topic`] is what happened and holds no wildcards: there `*` is a character like any other.
//! A [`TopicPattern`] is what a handler takes. Neither ever has an empty segment.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use undertone_core::is_hidden;

use super::glob::{Segment, Span};
use super::pattern::Pattern;
use super::{LONGEST_TOPIC, PatternError, TopicError};

/// The topic of an event, such as `job:ready`: 1 to 256 characters in segments between colons.
///
/// Segments are never empty and hold no control, bidirectional or zero-width character. All
/// others are allowed, `*`, `?` and `\` too: a pattern takes those with a backslash before them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic(String);

/// One pattern of topics, such as `job:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicPattern {
    pattern: Pattern,
    /// As it was written.
    text: Arc<str>,
}

/// The topics of one handler. Any of its patterns may match; without patterns it takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topics(Vec<TopicPattern>);

/// What can be given where topics are asked for: one pattern, or a list of them.
pub trait IntoTopics {
    /// Parses each pattern.
    ///
    /// # Errors
    /// The first pattern that is none, and what to write instead.
    fn into_topics(self) -> Result<Topics, PatternError>;
}

impl Topic {
    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(text: &str) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        let length = text.chars().count();
        if LONGEST_TOPIC < length {
            return Err(TopicError::TooLong { length });
        }
        if let Some(index) = text.chars().position(is_hidden) {
            let position = index + 1;
            return Err(TopicError::Hidden { position });
        }
        if let Some(index) = text.split(':').position(str::is_empty) {
            let segment = index + 1;
            return Err(TopicError::EmptySegment { segment });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TopicPattern {
    pub(super) fn segments(&self) -> &[Span<Segment>] {
        self.pattern.segments()
    }
}

impl FromStr for TopicPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let pattern = Pattern::parse(text)?;
        if let Some((index, hidden)) = text.chars().enumerate().find(|(_, c)| is_hidden(*c)) {
            let position = index + 1;
            let character = format!("U+{:04X}", u32::from(hidden));
            return Err(PatternError::Hidden { position, character });
        }
        let empty = Span::One(Segment::Literal("".into()));
        if pattern.segments().contains(&empty) {
            return Err(PatternError::EmptySegment {
                pattern: text.to_owned(),
                instead: without_empty_segments(text),
            });
        }
        Ok(Self { pattern, text: text.into() })
    }
}

impl Topics {
    /// Whether any of the patterns takes this topic of an event.
    pub fn matches(&self, topic: &str) -> bool {
        has_segments(topic) && self.0.iter().any(|one| one.pattern.matches(topic))
    }

    /// The patterns as they were written.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|one| &*one.text)
    }

    pub(super) fn patterns(&self) -> &[TopicPattern] {
        &self.0
    }
}

/// Whether each segment of an event's topic has text. A topic that isn't so matches nothing.
pub(super) fn has_segments(topic: &str) -> bool {
    topic.split(':').all(|segment| !segment.is_empty())
}

fn without_empty_segments(pattern: &str) -> String {
    let segments: Vec<&str> = pattern.split(':').filter(|s| !s.is_empty()).collect();
    if segments.is_empty() {
        return "**".to_owned();
    }
    segments.join(":")
}

fn parse_all<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Topics, PatternError> {
    let patterns = patterns.into_iter().map(|text| text.as_ref().parse());
    patterns.collect::<Result<_, _>>().map(Topics)
}

impl IntoTopics for Topics {
    fn into_topics(self) -> Result<Topics, PatternError> {
        Ok(self)
    }
}

impl IntoTopics for TopicPattern {
    fn into_topics(self) -> Result<Topics, PatternError> {
        Ok(Topics(vec![self]))
    }
}

impl IntoTopics for &str {
    fn into_topics(self) -> Result<Topics, PatternError> {
        parse_all([self])
    }
}

impl IntoTopics for String {
    fn into_topics(self) -> Result<Topics, PatternError> {
        parse_all([self])
    }
}

impl IntoTopics for &String {
    fn into_topics(self) -> Result<Topics, PatternError> {
        parse_all([self])
    }
}

impl<T: AsRef<str>, const N: usize> IntoTopics for [T; N] {
    fn into_topics(self) -> Result<Topics, PatternError> {
        parse_all(self)
    }
}

impl<T: AsRef<str>> IntoTopics for &[T] {
    fn into_topics(self) -> Result<Topics, PatternError> {
        parse_all(self)
    }
}

impl<T: AsRef<str>> IntoTopics for Vec<T> {
    fn into_topics(self) -> Result<Topics, PatternError> {
        parse_all(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_segments_of_visible_characters() {
        let longest = "é".repeat(256);
        for topic in ["foo", "job:ready", "job:*", "événement:créé", "a b/c", &longest] {
            assert_eq!(topic.parse::<Topic>().unwrap().as_str(), topic);
        }
        for (topic, want) in [
            ("", TopicError::Empty),
            (":", TopicError::EmptySegment { segment: 1 }),
            ("job:", TopicError::EmptySegment { segment: 2 }),
            ("job::ready", TopicError::EmptySegment { segment: 2 }),
            ("job:re\nady", TopicError::Hidden { position: 7 }),
            ("job\u{202E}", TopicError::Hidden { position: 4 }),
            ("\u{200B}job", TopicError::Hidden { position: 1 }),
            (&"é".repeat(257), TopicError::TooLong { length: 257 }),
        ] {
            assert_eq!(topic.parse::<Topic>(), Err(want), "{topic:?}");
        }
    }

    #[test]
    fn a_pattern_with_an_empty_segment_is_refused_and_corrected() {
        for (pattern, instead) in [
            ("job::ready", "job:ready"),
            ("job:ready:", "job:ready"),
            (":job", "job"),
            ("job:::*", "job:*"),
            ("::", "**"),
        ] {
            let want =
                PatternError::EmptySegment { pattern: pattern.to_owned(), instead: instead.to_owned() };
            assert_eq!(pattern.parse::<TopicPattern>(), Err(want));
            assert!(instead.parse::<TopicPattern>().is_ok());
        }
        assert_eq!("".parse::<TopicPattern>(), Err(PatternError::Empty));
    }

    #[test]
    fn a_pattern_with_a_hidden_character_is_refused_unquoted() {
        let error = "job:\u{200B}*".parse::<TopicPattern>().unwrap_err();
        let want = "character 5 of the topic pattern is U+200B, a hidden character that no topic \
                    has: write the pattern without it";
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn one_pattern_or_a_list_can_be_given() {
        let list = vec!["job:*".to_owned(), "file:created".to_owned()];
        for topics in [
            ["job:*", "file:created"].into_topics(),
            vec!["job:*", "file:created"].into_topics(),
            list.as_slice().into_topics(),
            list.into_topics(),
        ] {
            let topics = topics.unwrap();
            assert!(topics.matches("job:ready") && topics.matches("file:created"));
            assert!(!topics.matches("file:deleted"));
        }
        for topics in [
            "job:*".into_topics(),
            "job:*".to_owned().into_topics(),
            (&"job:*".to_owned()).into_topics(),
            "job:*".parse::<TopicPattern>().unwrap().into_topics(),
            "job:*".into_topics().unwrap().into_topics(),
        ] {
            assert!(topics.unwrap().matches("job:ready"));
        }
        assert_eq!(["job:*", ""].into_topics(), Err(PatternError::Empty));
    }

    #[test]
    fn an_empty_list_and_a_topic_without_segments_match_nothing() {
        let none: [&str; 0] = [];
        assert!(!none.into_topics().unwrap().matches("job:ready"));
        for topic in ["", ":", "job::ready", "job:", ":job"] {
            let every = ["**", "job:**", "**:job"].into_topics().unwrap();
            assert!(!every.matches(topic), "{topic:?}");
        }
    }
}
