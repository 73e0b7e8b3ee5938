//! Who may use whom, and what a crate must never reach, however many steps away.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

use crate::{place, workspace};

/// One row of the table.
struct Crate {
    place: &'static str,
    /// Ours that it may use.
    uses: &'static [&'static str],
    /// Anybody's that it must never reach; `x-*` stands for every name that begins so.
    never: &'static [&'static str],
}

/// No runtime, no network, no vendor, no command line.
const PURE: &[&str] = &["tokio", "reqwest", "hyper", "aws-*", "axum", "clap"];

const TABLE: [Crate; 10] = [
    Crate { place: "shared/core", uses: &[], never: PURE },
    Crate { place: "shared/flows", uses: &["shared/core"], never: PURE },
    Crate {
        place: "shared/runtime",
        uses: &["shared/core", "shared/flows", "shared/tls"],
        never: &["aws-*", "axum", "lambda_runtime"],
    },
    Crate { place: "shared/local", uses: &["shared/core"], never: &["reqwest", "aws-*"] },
    Crate { place: "shared/tls", uses: &[], never: PURE },
    Crate {
        place: "shared/aws",
        uses: &["shared/core", "shared/tls"],
        // The SDK's own clients: HTTP/2, and an older TLS beside the one.
        never: &["axum", "aws-smithy-http-client", "h2"],
    },
    Crate { place: "shared/admin", uses: &["shared/core", "shared/flows"], never: &["aws-*", "reqwest"] },
    Crate { place: "shared/gateway", uses: &["shared/core"], never: &["aws-*", "reqwest"] },
    Crate { place: "shared/lambda", uses: &["shared/core", "shared/runtime"], never: &["aws-sdk-*", "axum"] },
    Crate {
        place: "shared/undertone",
        uses: &[
            "shared/core",
            "shared/flows",
            "shared/runtime",
            "shared/local",
            "shared/aws",
            "shared/lambda",
        ],
        never: &[],
    },
];

#[test]
fn crates_use_only_what_the_table_allows() {
    let metadata = workspace();
    let mut seen = BTreeSet::new();
    for package in metadata.workspace_packages() {
        let place = place(&metadata, package);
        let uses = ours_used_by(&metadata, package);
        if place.starts_with("tests") || place.starts_with("functions/") {
            continue;
        }
        let row = TABLE.iter().find(|row| row.place == place);
        let row = row.unwrap_or_else(|| panic!("{place} is not in the table: decide what it may use"));
        let more: Vec<&String> = uses.iter().filter(|used| !row.uses.contains(&used.as_str())).collect();
        assert!(more.is_empty(), "{place} must not use {more:?}");
        seen.insert(row.place);
    }
    for place in ["shared/core", "shared/runtime", "shared/local", "shared/undertone"] {
        assert!(seen.contains(place), "{place} is gone: is this the right workspace?");
    }
}

#[test]
fn nothing_uses_the_tests_and_no_library_uses_a_program() {
    let metadata = workspace();
    for package in metadata.workspace_packages() {
        let (place, uses) = (place(&metadata, package), ours_used_by(&metadata, package));
        assert!(!uses.contains("tests"), "{place} uses the tests");
        let programs: Vec<_> = uses.iter().filter(|used| used.starts_with("functions/")).collect();
        assert!(programs.is_empty() || !place.starts_with("shared/"), "{place} uses {programs:?}");
    }
}

#[test]
fn crates_reach_nothing_that_the_table_forbids() {
    let metadata = workspace();
    let graph = Graph::new(&metadata);
    for package in metadata.workspace_packages() {
        let place = place(&metadata, package);
        let Some(row) = TABLE.iter().find(|row| row.place == place) else { continue };
        for (name, path) in graph.reached_from(&package.id) {
            let forbidden = row.never.iter().any(|pattern| matches(pattern, &name));
            assert!(!forbidden, "{place} must never reach {name}: {}", path.join(" -> "));
        }
    }
}

#[test]
fn a_few_crates_are_used_in_one_place_only() {
    let metadata = workspace();
    for package in metadata.workspace_packages() {
        let place = place(&metadata, package);
        for used in &package.dependencies {
            let allowed = match used.name.as_str() {
                "clap" | "clap_complete" => place.starts_with("functions/"),
                "lambda_runtime" => ["shared/lambda", "tests/bare-lambda"].contains(&place.as_str()),
                _ => true,
            };
            assert!(allowed, "{place} must not use {}", used.name);
        }
    }
}

#[test]
fn patterns_cover_what_they_say_and_aws_lc_is_no_service_of_aws() {
    for (pattern, name, want) in [
        ("tokio", "tokio", true),
        ("tokio", "tokio-util", false),
        ("aws-*", "aws-sdk-kms", true),
        ("aws-*", "aws-config", true),
        ("aws-*", "aws_lambda_events", true),
        ("aws-*", "aws-lc-rs", false),
        ("aws-*", "aws-lc-sys", false),
        ("aws-sdk-*", "aws-config", false),
    ] {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
}

/// AWS-LC is a library of cryptography, whoever wrote it.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        None => pattern == name,
        Some(start) => name.replace('_', "-").starts_with(start) && !name.starts_with("aws-lc-"),
    }
}

/// Our crates that a crate uses itself, by place; uses in tests don't count.
fn ours_used_by(metadata: &Metadata, package: &Package) -> BTreeSet<String> {
    let ours: BTreeMap<_, _> = metadata
        .workspace_packages()
        .into_iter()
        .map(|ours| (ours.name.as_str(), place(metadata, ours)))
        .collect();
    let used = package.dependencies.iter().filter(|used| used.kind != DependencyKind::Development);
    used.filter_map(|used| ours.get(used.name.as_str()).cloned()).collect()
}

/// Who uses whom in what is shipped: tests and build scripts left out.
struct Graph<'a> {
    names: BTreeMap<&'a PackageId, &'a str>,
    uses: BTreeMap<&'a PackageId, Vec<&'a PackageId>>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Metadata) -> Self {
        let resolve = metadata.resolve.as_ref().expect("cargo resolves the workspace");
        let uses = resolve.nodes.iter().map(|node| {
            let shipped = node
                .deps
                .iter()
                .filter(|used| used.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            (&node.id, shipped.map(|used| &used.pkg).collect())
        });
        let names = metadata.packages.iter().map(|package| (&package.id, package.name.as_str()));
        Self { names: names.collect(), uses: uses.collect() }
    }

    /// Every crate that is reached, with a way to it.
    fn reached_from(&self, id: &'a PackageId) -> BTreeMap<String, Vec<&'a str>> {
        let mut reached = BTreeMap::new();
        let mut ways = vec![(id, vec![self.names[id]])];
        let mut seen = BTreeSet::new();
        while let Some((id, way)) = ways.pop() {
            for used in &self.uses[id] {
                if seen.insert(*used) {
                    let way: Vec<&str> = way.iter().copied().chain([self.names[used]]).collect();
                    reached.insert(self.names[used].to_owned(), way.clone());
                    ways.push((used, way));
                }
            }
        }
        reached
    }
}
