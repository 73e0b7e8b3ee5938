//! Undertone at the command line.
fn main() {}
