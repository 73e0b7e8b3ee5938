//! What the process forbids itself before it reads anything: panics that quote what they were
//! working on. Core dumps and being traced are forbidden by `undertone::harden`.

use std::io::Write;

/// A panic's message may quote data, so only its place is printed.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "undertone: stopped by a defect of its own at {place}; please report that place"
        );
    }));
}
