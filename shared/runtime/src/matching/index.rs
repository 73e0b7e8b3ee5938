//! All handlers at once: which of them take an event, in the order of their registration.
//!
//! The answer is that of each handler in turn. The topic leads to the handlers that take it; of
//! those, each is looked at only if its rarest condition may hold. Then all of its conditions are
//! checked, so a shortcut can cost time and never change the answer.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::filter::{self, Filter};
use super::key::Key;
use super::topic::{self, Topics};
use super::trie::Trie;
use super::value::{Leaf, Matcher, Scalar};

/// Every registered handler, by its position in the list that the index was built from.
#[derive(Debug)]
pub struct Index {
    by_topic: Trie<Group>,
    /// What each handler asks of an event.
    conditions: Vec<Vec<Condition>>,
    keys: Vec<Key>,
}

/// The handlers of one topic pattern.
#[derive(Debug, Default)]
struct Group {
    unfiltered: Vec<usize>,
    /// By the key of each handler's rarest condition.
    by_key: BTreeMap<KeyId, Candidates>,
}

/// Handlers by the values that one key must have.
#[derive(Debug, Default)]
struct Candidates {
    by_pattern: Trie<Vec<usize>>,
    by_scalar: HashMap<Scalar, Vec<usize>>,
}

#[derive(Debug)]
struct Condition {
    key: KeyId,
    any_of: Vec<Matcher>,
}

/// A position in [`Index::keys`].
type KeyId = usize;

impl Index {
    /// Builds the index. Handlers are known by their position in the list.
    pub fn new(handlers: Vec<(Topics, Filter)>) -> Self {
        let mut keys = Keys::default();
        let (topics, conditions): (Vec<Topics>, Vec<Vec<Condition>>) =
            handlers.into_iter().map(|(topics, filter)| (topics, keys.intern(filter))).unzip();
        let rarest = rarest_conditions(&conditions);
        let mut by_topic: Trie<Group> = Trie::default();
        for (handler, topics) in topics.iter().enumerate() {
            for pattern in topics.patterns() {
                by_topic.entry(pattern.segments()).add(handler, rarest[handler]);
            }
        }
        let keys = keys.list;
        Self { by_topic, conditions, keys }
    }

    /// The positions of the handlers that take this event, in ascending order.
    pub fn matching(&self, topic: &str, event: &Value) -> Vec<usize> {
        let mut found = Vec::new();
        if !topic::has_segments(topic) {
            return found;
        }
        let mut leaves = Leaves { keys: &self.keys, event, known: HashMap::new() };
        for group in self.by_topic.find(topic) {
            found.extend_from_slice(&group.unfiltered);
            for (key, candidates) in &group.by_key {
                candidates.find(leaves.at(*key), &mut found);
            }
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|handler| {
            let mut conditions = self.conditions[*handler].iter();
            conditions.all(|condition| filter::holds(&condition.any_of, leaves.at(condition.key)))
        });
        found
    }
}

impl Group {
    fn add(&mut self, handler: usize, rarest: Option<&Condition>) {
        match rarest {
            None => self.unfiltered.push(handler),
            Some(condition) => {
                let candidates = self.by_key.entry(condition.key).or_default();
                candidates.add(handler, &condition.any_of);
            }
        }
    }
}

impl Candidates {
    fn add(&mut self, handler: usize, any_of: &[Matcher]) {
        for matcher in any_of {
            match matcher {
                Matcher::Like(pattern) => self.by_pattern.entry(pattern.segments()).push(handler),
                Matcher::Is(scalar) => self.by_scalar.entry(*scalar).or_default().push(handler),
            }
        }
    }

    fn find(&self, leaves: &[Leaf<'_>], found: &mut Vec<usize>) {
        // An event may hold a value any number of times; its handlers are taken once.
        let mut taken = HashSet::new();
        for handlers in leaves.iter().flat_map(|leaf| self.at(leaf)) {
            if taken.insert(std::ptr::from_ref(handlers)) {
                found.extend_from_slice(handlers);
            }
        }
    }

    fn at(&self, leaf: &Leaf<'_>) -> impl Iterator<Item = &Vec<usize>> {
        let text = leaf.text().into_iter();
        let scalar = leaf.scalar();
        text.flat_map(|text| self.by_pattern.find(text))
            .chain(scalar.and_then(|scalar| self.by_scalar.get(&scalar)))
    }
}

/// The conditions of every filter, each key kept once.
#[derive(Default)]
struct Keys {
    list: Vec<Key>,
    ids: HashMap<Key, KeyId>,
}

impl Keys {
    fn intern(&mut self, filter: Filter) -> Vec<Condition> {
        let conditions = filter.into_conditions().into_iter();
        let interned =
            conditions.map(|condition| Condition { key: self.id(condition.key), any_of: condition.any_of });
        interned.collect()
    }

    fn id(&mut self, key: Key) -> KeyId {
        *self.ids.entry(key).or_insert_with_key(|key| {
            self.list.push(key.clone());
            self.list.len() - 1
        })
    }
}

/// Each handler's condition whose values the fewest handlers ask for. Many handlers may share
/// `"domain": "space"`; that one of them names a Space tells them apart.
fn rarest_conditions(handlers: &[Vec<Condition>]) -> Vec<Option<&Condition>> {
    let mut asked: HashMap<(KeyId, &Matcher), usize> = HashMap::new();
    for condition in handlers.iter().flatten() {
        for matcher in &condition.any_of {
            *asked.entry((condition.key, matcher)).or_default() += 1;
        }
    }
    let most_asked = |condition: &&Condition| {
        let values = condition.any_of.iter();
        values.map(|matcher| asked[&(condition.key, matcher)]).max()
    };
    let handlers = handlers.iter();
    handlers.map(|conditions| conditions.iter().min_by_key(most_asked)).collect()
}

/// The leaves of one event, gathered once for each key that is asked for.
struct Leaves<'i, 'e> {
    keys: &'i [Key],
    event: &'e Value,
    known: HashMap<KeyId, Vec<Leaf<'e>>>,
}

impl<'e> Leaves<'_, 'e> {
    fn at(&mut self, key: KeyId) -> &[Leaf<'e>] {
        let known = self.known.entry(key);
        known.or_insert_with(|| self.keys[key].leaves(self.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::IntoTopics;
    use serde_json::json;

    fn index(handlers: &[(&[&str], Value)]) -> Index {
        let handlers = handlers.iter().map(|(topics, filter)| {
            let topics = topics.into_topics().unwrap();
            (topics, Filter::parse(filter.clone()).unwrap())
        });
        Index::new(handlers.collect())
    }

    #[test]
    fn handlers_are_found_once_and_in_the_order_of_registration() {
        let index = index(&[
            (&["**"], json!({ "job": ["x", "space:*", "space:notify"] })),
            (&["job:ready", "job:*", "**:ready"], json!(null)),
            (&["file:*"], json!(null)),
            (&["job:*"], json!({ "job": "space:notify", "count": [3, "3", null] })),
            (&["job:ready"], json!({ "job": [] })),
            (&[], json!(null)),
            (&["job:ready"], json!({ "count": 3.0, "job": "space:notify" })),
            (&["job:ready"], json!({ "count": 3, "job": "space:other" })),
        ]);
        let event = json!({ "payload": { "job": "space:notify", "count": 3 } });
        for (topic, want) in [
            ("job:ready", vec![0, 1, 3, 6]),
            ("job:other", vec![0, 1, 3]),
            ("file:created", vec![0, 2]),
            ("job::ready", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(index.matching(topic, &event), want, "{topic:?}");
        }
    }

    #[test]
    fn a_handler_is_looked_up_by_its_rarest_condition() {
        let mut keys = Keys::default();
        let filters = ["sp_1", "sp_2"].map(|space| {
            let filter = json!({ "domain": "space", "spaceId": space, "status": ["x", "y"] });
            keys.intern(Filter::parse(filter).unwrap())
        });
        for (rarest, filter) in rarest_conditions(&filters).iter().zip(&filters) {
            let rarest = rarest.map(|condition| condition.key);
            assert_eq!(rarest, Some(filter[1].key), "of domain, spaceId, status");
        }
    }

    #[test]
    fn a_value_that_an_event_repeats_is_paid_for_once() {
        let handler = (&["x"][..], json!({ "tags": "*" }));
        let index = index(&vec![handler; 2_000]);
        let event = json!({ "tags": vec!["a"; 50_000] });
        let start = std::time::Instant::now();
        assert_eq!(index.matching("x", &event).len(), 2_000);
        assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    }

    #[test]
    fn the_index_answers_as_each_handler_in_turn() {
        let mut dice = Dice(7);
        let mut hard_matches = 0;
        for round in 0..3_000 {
            let handlers: Vec<(Topics, Filter)> =
                (0..dice.roll(12)).map(|_| (dice.topics(), dice.filter())).collect();
            let index = Index::new(handlers.clone());
            let two_conditions = |at: usize| 1 < index.conditions[at].len();
            for _ in 0..8 {
                let (topic, event) = (dice.topic(), dice.event());
                let takes = |(_, (topics, filter)): &(usize, &(Topics, Filter))| {
                    topics.matches(&topic) && filter.matches(&event)
                };
                let in_turn = handlers.iter().enumerate().filter(takes);
                let want: Vec<usize> = in_turn.map(|(position, _)| position).collect();
                let found = index.matching(&topic, &event);
                assert_eq!(found, want, "round {round}: {topic} {event} {handlers:?}");
                hard_matches += found.iter().filter(|at| two_conditions(**at)).count();
            }
        }
        assert!(1_000 < hard_matches, "only {hard_matches} were compared");
    }

    /// Throws patterns and events from few pieces, so that many of them meet.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) as usize % sides
        }

        fn pick(&mut self, choices: &[&'static str]) -> &'static str {
            choices[self.roll(choices.len())]
        }

        fn joined(&mut self, pieces: &[&'static str], separator: &str) -> String {
            let count = 1 + self.roll(3).min(self.roll(3));
            let pieces: Vec<&str> = (0..count).map(|_| self.pick(pieces)).collect();
            pieces.join(separator)
        }

        fn topics(&mut self) -> Topics {
            let pieces = ["a", "b", "ab", r"\*", "*", "**", "?", "a*", "ab*", "*b", "a**b"];
            let count = self.roll(5);
            let topics: Vec<String> = (0..count).map(|_| self.joined(&pieces, ":")).collect();
            topics.into_topics().unwrap()
        }

        fn topic(&mut self) -> String {
            self.joined(&["a", "b", "ab", "ba", "*", "a", "b", "ab", ""], ":")
        }

        fn filter(&mut self) -> Filter {
            let pieces = ["a", "b", "*", "**", "?", "a*"];
            let count = self.roll(4);
            let keys = (0..count).map(|_| {
                let values = (0..1 + self.roll(4)).map(|_| self.wanted()).collect();
                (self.joined(&pieces, "."), Value::Array(values))
            });
            Filter::parse(keys.collect()).unwrap()
        }

        fn wanted(&mut self) -> Value {
            match self.roll(8) {
                0 => self.scalar(),
                _ => json!(self.joined(&["a", "b", "1", "*", "**", "a*", "?", "t*e", ""], ":")),
            }
        }

        fn scalar(&mut self) -> Value {
            let scalars = json!([null, true, 1, 1.0, 1.5, ""]);
            scalars[self.roll(6)].clone()
        }

        fn event(&mut self) -> Value {
            self.object(4)
        }

        fn object(&mut self, levels: usize) -> Value {
            let names = ["a", "b", "ab"];
            let children = 1 + self.roll(4);
            (0..children).map(|_| (self.pick(&names).to_owned(), self.value(levels))).collect()
        }

        fn value(&mut self, levels: usize) -> Value {
            match self.roll(6) {
                0 => self.scalar(),
                1 if 0 < levels => (0..self.roll(3)).map(|_| self.value(levels - 1)).collect(),
                2 | 3 if 0 < levels => self.object(levels - 1),
                _ => json!(self.joined(&["a", "b", "ab", "1", ""], ":")),
            }
        }
    }
}
