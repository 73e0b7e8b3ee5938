//! What the tests share: a world in memory, stand-in servers, a strict AWS, encodings of a canary.

pub mod certificates;
pub mod child;
pub mod emulators;
pub mod encodings;
pub mod fake_aws;
pub mod fault_proxy;
pub mod network;
pub mod programs;
pub mod runtime_api;
pub mod servers;
pub mod world;
