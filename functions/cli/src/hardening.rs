//! What the process forbids itself before it reads anything: core dumps, being traced by its
//! user's other programs, and panics that quote what they were working on.

use std::io::Write;

use rustix::process::{Resource, Rlimit, setrlimit};

/// No core file, and no reading of this process's memory by others of the same user.
///
/// Both are a second line of defence: where the system refuses them, the program goes on.
pub(crate) fn forbid_core_dumps() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
}

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn nothing_is_dumped() {
        super::forbid_core_dumps();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
