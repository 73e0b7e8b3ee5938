//! What the tests share: a world in memory, stand-in servers, encodings of a canary.
