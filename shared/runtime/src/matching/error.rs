//! What can be wrong with a topic, a pattern or a filter, and what to write instead.
//!
//! Patterns and keys are quoted, for the listener's author wrote them. What an event holds never is.

use super::{LONGEST_PATTERN, LONGEST_TOPIC, MOST_FILTER_KEYS};

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A topic pattern without text.
    #[error("the topic pattern is empty: write `**` for every topic")]
    Empty,
    /// A topic pattern with a doubled, leading or trailing colon.
    #[error("the topic pattern `{pattern}` has an empty segment: write `{instead}`")]
    EmptySegment {
        /// The pattern as written.
        pattern: String,
        /// The pattern without its empty segments.
        instead: String,
    },
    /// A topic pattern with a character that no topic has.
    #[error(
        "character {position} of the topic pattern is {character}, a hidden character that no \
         topic has: write the pattern without it"
    )]
    Hidden {
        /// Where it is, counted from 1.
        position: usize,
        /// The character as `U+200B`.
        character: String,
    },
    /// A backslash with nothing behind it.
    #[error(
        "the pattern `{pattern}` ends in a backslash that escapes nothing: write `\\\\` for a \
         backslash"
    )]
    LoneBackslash {
        /// The pattern as written, escaped.
        pattern: String,
    },
    /// More than [`LONGEST_PATTERN`] characters.
    #[error(
        "a pattern has at most {LONGEST_PATTERN} characters, this one has {length}: shorten it \
         with `*` or `**`"
    )]
    TooLong {
        /// How many it has.
        length: usize,
    },
}

/// Why a text is no topic of an event. It names the rule and never quotes the topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing.
    #[error("an event's topic can't be empty: name what happened, such as `job:ready`")]
    Empty,
    /// More than [`LONGEST_TOPIC`] characters.
    #[error("an event's topic has at most {LONGEST_TOPIC} characters, this one has {length}")]
    TooLong {
        /// How many it has.
        length: usize,
    },
    /// A doubled, leading or trailing colon.
    #[error(
        "segment {segment} of the event's topic is empty: write one colon between segments and \
         none at the ends"
    )]
    EmptySegment {
        /// Which one, counted from 1.
        segment: usize,
    },
    /// A control, bidirectional or zero-width character.
    #[error(
        "character {position} of the event's topic is a control, bidirectional or zero-width \
         character: write the topic without it"
    )]
    Hidden {
        /// Where it is, counted from 1.
        position: usize,
    },
}

/// Why a JSON value is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Neither an object nor null.
    #[error(
        "a filter is an object, not {found}: write `{{ \"status\": .. }}` with the key to look \
         at, or `{{ \"**\": .. }}` for any key"
    )]
    NotAnObject {
        /// What was found, in words.
        found: &'static str,
    },
    /// More than [`MOST_FILTER_KEYS`] conditions.
    #[error(
        "a filter has at most {MOST_FILTER_KEYS} keys: register several handlers, or check the \
         rest in the handler"
    )]
    TooManyKeys,
    /// A key, or a level of a dotted key, without text.
    #[error("the filter key \"{key}\" has an empty level: write each level's name, or `*` for any one")]
    EmptyLevel {
        /// The key as a path, escaped.
        key: String,
    },
    /// A nested object without keys.
    #[error(
        "the filter key \"{key}\" holds an empty object, which says nothing: leave the key out, \
         or name what is beneath it"
    )]
    EmptyObject {
        /// The key as a path, escaped.
        key: String,
    },
    /// A list that holds a list or an object.
    #[error("the filter key \"{key}\" lists {found}: list strings, numbers, true, false and null only")]
    NestedInList {
        /// The key as a path, escaped.
        key: String,
        /// What was found, in words.
        found: &'static str,
    },
    /// A key that is no pattern.
    #[error("a filter key is no pattern: {0}")]
    Key(PatternError),
    /// A value that is no pattern.
    #[error("the value of the filter key \"{key}\" is no pattern: {why}")]
    Value {
        /// The key as a path, escaped.
        key: String,
        /// What is wrong with its value.
        why: PatternError,
    },
}
