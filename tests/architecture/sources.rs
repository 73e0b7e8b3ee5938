//! How sources look, where a habit would wear a rule away.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// A file that is longer is about more than one thing.
const LONGEST_FILE: usize = 500;

#[test]
fn no_source_is_longer_than_one_thing() {
    for source in product() {
        let lines = source.text.lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines", source.path.display());
    }
}

#[test]
fn no_file_is_named_after_nothing_in_particular() {
    for path in files(&["shared", "functions", "tests"]) {
        let inside = path.strip_prefix(root()).expect("it is in the workspace");
        for part in inside.iter().filter_map(|part| Path::new(part).file_stem()?.to_str()) {
            let vague = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"];
            assert!(!vague.contains(&part), "{}: what is in it?", inside.display());
        }
    }
}

#[test]
fn core_promises_json_in_one_file_only() {
    for source in product().iter().filter(|source| source.is_in("shared/core")) {
        if source.path.ends_with("src/wire.rs") {
            continue;
        }
        for (number, line) in source.code() {
            let promises = line.contains("Serialize") || line.contains("Deserialize");
            assert!(!promises, "{}:{number}: shapes are in wire.rs", source.path.display());
        }
    }
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let sources = product();
    assert!(50 < sources.len(), "{} files: is this the right folder?", sources.len());
    for source in sources {
        for (number, line) in source.code() {
            let place = source.path.display();
            assert!(!line.contains(".unwrap()"), "{place}:{number}: return an error, or name the invariant");
        }
    }
}

#[test]
fn random_bytes_come_from_the_operating_system_and_from_one_place() {
    // A generator inside the process is part of its memory: two processes that Lambda makes of one
    // snapshot would go on with the same numbers.
    let mut drawn = Vec::new();
    for source in product() {
        for (number, line) in source.code() {
            let place = source.path.display();
            let inside = line.contains("aws_lc_rs") && line.contains("rand") || line.contains("SystemRandom");
            assert!(!inside, "{place}:{number}: use `undertone_core::random_bytes`");
            if line.contains("getrandom::") {
                drawn.push(source.path.clone());
            }
        }
    }
    assert_eq!(drawn, [root().join("shared/core/src/id.rs")]);
}

/// A source of the product: not a test, nor a module for tests.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_in(&self, place: &str) -> bool {
        self.path.starts_with(root().join(place))
    }

    /// The lines that ship, with their numbers: comments and modules of tests left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let opens_tests = |at: &usize| {
            let mut after = self.text[*at..].lines().skip_while(|line| line.starts_with("#["));
            after.next() == Some("mod tests {")
        };
        let tests = self.text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(opens_tests);
        let shipped = &self.text[..tests.unwrap_or(self.text.len())];
        let lines = shipped.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Every source of libraries and programs that ships.
fn product() -> Vec<Source> {
    let files = files(&["shared", "functions"]);
    let mut for_tests = BTreeSet::new();
    let mut sources = Vec::new();
    for path in files.into_iter().filter(|path| path.iter().any(|part| part == "src")) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for module in text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|after| after.split_once(';')) {
            for_tests.extend(places_of(&path, module.0).into_iter().flatten());
        }
        sources.push(Source { path, text });
    }
    sources.retain(|source| !for_tests.contains(&source.path));
    sources
}

/// Where a module that a file declares may lie.
fn places_of(declared_in: &Path, module: &str) -> Option<[PathBuf; 2]> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let folder = match declared_in.file_stem()?.to_str()? {
        "mod" | "lib" | "main" => declared_in.parent()?.to_owned(),
        _ => declared_in.with_extension(""),
    };
    let file = folder.join(format!("{module}.rs"));
    module.chars().all(is_name).then(|| [file, folder.join(module).join("mod.rs")])
}

/// Every Rust file below these folders.
fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
