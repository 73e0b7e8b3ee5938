//! Undertone on one machine.
