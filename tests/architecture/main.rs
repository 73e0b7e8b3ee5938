//! The architecture, asserted: who may use whom, where a version is written, how sources look.
//!
//! The table of crates is in `dependencies`; a new crate gets its row there before anything else.

mod dependencies;
mod manifests;
mod sources;

use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand, Package};

/// The workspace as cargo sees it, with every feature on: what can be reached, not what is today.
fn workspace() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    command.features(CargoOpt::AllFeatures).other_options(["--locked".to_owned()]);
    command.exec().expect("cargo can read the workspace")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member").to_owned()
}

/// A member's place in the tree: `shared/core`.
fn place(metadata: &Metadata, package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a manifest is in a folder");
    folder.strip_prefix(&metadata.workspace_root).expect("a member is in the workspace").to_string()
}
