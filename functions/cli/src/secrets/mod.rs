//! The commands under `secrets`: each change goes through the vault, no command shows a value.

pub(crate) mod origin;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod verbs;
