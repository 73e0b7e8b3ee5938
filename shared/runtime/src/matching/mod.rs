//! Event matching: which handlers take an event.
//!
//! Everything a listener's author writes is parsed once, at registration: topics by [`Topics`],
//! filters by [`Filter`]. An [`Index`] of all handlers then answers for an event in about the
//! time that one handler costs, and always as "each handler in turn" would.
//!
//! No pattern, however many wildcards it has, takes more steps than its length times the length
//! of what it is matched against.

mod error;
mod filter;
mod glob;
mod index;
mod key;
mod pattern;
mod topic;
mod trie;
mod value;

pub use error::{FilterError, PatternError, TopicError};
pub use filter::{Filter, IntoFilter};
pub use index::Index;
pub use topic::{IntoTopics, Topic, TopicPattern, Topics};

/// The longest pattern or filter key, in characters.
pub const LONGEST_PATTERN: usize = 1024;

/// The longest topic of an event, in characters.
pub const LONGEST_TOPIC: usize = 256;

/// How many conditions one filter may have.
pub const MOST_FILTER_KEYS: usize = 64;

/// How many levels of objects and lists of an event a filter looks into.
pub const DEEPEST_LEVEL: usize = 128;
