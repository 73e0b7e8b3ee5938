//! Many patterns at once: each answers for itself, and those that share a beginning share the work.
//!
//! What a text finds is what [`Pattern::matches`](super::pattern::Pattern::matches) would find for
//! each pattern in turn, except that wildcards find something for the empty text too.

use std::collections::HashMap;

use super::glob::{self, Letter, Segment, Span};

/// One item per distinct pattern.
#[derive(Debug)]
pub(super) struct Trie<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    literals: HashMap<Box<str>, usize>,
    globs: Globs,
    any: Option<usize>,
    many: Option<usize>,
    /// Whether this node is behind a `**` and so stays for any segment.
    stays: bool,
    item: Option<T>,
}

/// Segments of text and wildcards, by the text before the first wildcard.
#[derive(Debug, Default)]
struct Globs {
    by_prefix: HashMap<Box<str>, Vec<Glob>>,
    /// Each length of a prefix, once.
    prefix_lengths: Vec<usize>,
}

#[derive(Debug)]
struct Glob {
    letters: Box<[Span<Letter>]>,
    child: usize,
}

const ROOT: usize = 0;

impl<T> Default for Trie<T> {
    fn default() -> Self {
        let root = Node::new();
        Self { nodes: vec![root] }
    }
}

impl<T> Trie<T> {
    /// The item of a pattern, made at first.
    pub(super) fn entry(&mut self, pattern: &[Span<Segment>]) -> &mut T
    where
        T: Default,
    {
        let mut at = ROOT;
        for segment in pattern {
            let fresh = self.nodes.len();
            at = self.nodes[at].child(segment, fresh);
            if at == fresh {
                let mut node = Node::new();
                node.stays = *segment == Span::Many;
                self.nodes.push(node);
            }
        }
        self.nodes[at].item.get_or_insert_default()
    }

    /// The item of each pattern that takes this text.
    pub(super) fn find(&self, text: &str) -> impl Iterator<Item = &T> {
        let mut here = vec![ROOT];
        let mut next = Vec::new();
        self.pass_double_stars(&mut here);
        for segment in text.split(':') {
            for at in &here {
                self.nodes[*at].step(*at, segment, &mut next);
            }
            self.pass_double_stars(&mut next);
            std::mem::swap(&mut here, &mut next);
            next.clear();
        }
        here.into_iter().filter_map(|at| self.nodes[at].item.as_ref())
    }

    /// A `**` may take no segment at all.
    fn pass_double_stars(&self, nodes: &mut Vec<usize>) {
        let behind = nodes.len();
        for at in 0..behind {
            nodes.extend(self.nodes[nodes[at]].many);
        }
        // Only a node behind a `**` can be reached twice: from before it, and by staying.
        if behind < nodes.len() {
            nodes.sort_unstable();
            nodes.dedup();
        }
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            literals: HashMap::new(),
            globs: Globs::default(),
            any: None,
            many: None,
            stays: false,
            item: None,
        }
    }

    /// The node behind this segment, which is `fresh` if there was none.
    fn child(&mut self, segment: &Span<Segment>, fresh: usize) -> usize {
        match segment {
            Span::Many => *self.many.get_or_insert(fresh),
            Span::One(Segment::Any) => *self.any.get_or_insert(fresh),
            Span::One(Segment::Literal(text)) => *self.literals.entry(text.clone()).or_insert(fresh),
            Span::One(Segment::Glob(letters)) => self.globs.child(letters, fresh),
        }
    }

    fn step(&self, own: usize, segment: &str, next: &mut Vec<usize>) {
        next.extend(self.literals.get(segment));
        self.globs.step(segment, next);
        next.extend(self.any.filter(|_| !segment.is_empty()));
        if self.stays {
            next.push(own);
        }
    }
}

impl Globs {
    fn child(&mut self, letters: &[Span<Letter>], fresh: usize) -> usize {
        let prefix = glob::literal_prefix(letters);
        if !self.prefix_lengths.contains(&prefix.len()) {
            self.prefix_lengths.push(prefix.len());
        }
        let globs = self.by_prefix.entry(prefix.into()).or_default();
        if let Some(known) = globs.iter().find(|glob| *glob.letters == *letters) {
            return known.child;
        }
        globs.push(Glob { letters: letters.into(), child: fresh });
        fresh
    }

    fn step(&self, segment: &str, next: &mut Vec<usize>) {
        for length in &self.prefix_lengths {
            let prefix = segment.get(..*length);
            let globs = prefix.and_then(|prefix| self.by_prefix.get(prefix));
            for glob in globs.into_iter().flatten() {
                if glob::glob_takes(&glob.letters, segment) {
                    next.push(glob.child);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::pattern::Pattern;

    const PATTERNS: [&str; 16] = [
        "job:ready",
        "job:*",
        "job:**",
        "job",
        "*",
        "**",
        "**:ready",
        "**:job:**",
        "j*:ready",
        "jo?:ready",
        "j*",
        "*y:**",
        "job:**:**:ready",
        "é*",
        "éa*:*",
        "**:a:**:b:**",
    ];

    #[test]
    fn a_text_finds_the_patterns_that_take_it_each_once() {
        let mut trie: Trie<Vec<usize>> = Trie::default();
        for (number, pattern) in PATTERNS.into_iter().enumerate() {
            let parsed = Pattern::parse(pattern).unwrap();
            trie.entry(parsed.segments()).push(number);
        }
        for text in [
            "job",
            "job:ready",
            "job:a:ready",
            "jobs",
            "é",
            "ê",
            "éa:x",
            "a:b",
            "a:a:x:b:b",
            ":",
            "job::ready",
            "job:",
            "x:job:job:y",
            "ready:y",
        ] {
            let mut found: Vec<usize> = trie.find(text).flatten().copied().collect();
            found.sort_unstable();
            let takes = |number: &usize| Pattern::parse(PATTERNS[*number]).unwrap().matches(text);
            let want: Vec<usize> = (0..PATTERNS.len()).filter(takes).collect();
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn equal_patterns_share_one_item() {
        let mut trie: Trie<Vec<usize>> = Trie::default();
        for pattern in ["job:r*", "job:r**", "**:x", "**:**:x"] {
            let parsed = Pattern::parse(pattern).unwrap();
            trie.entry(parsed.segments()).push(0);
        }
        assert_eq!(trie.find("job:ready").map(Vec::len).collect::<Vec<_>>(), [2]);
        assert_eq!(trie.find("x").map(Vec::len).collect::<Vec<_>>(), [2]);
    }
}
