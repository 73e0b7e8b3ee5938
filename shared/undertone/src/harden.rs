//! The process itself: no core file, no debugger of another process of the same user.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps and attaching. Failing is no reason not to run: some sandboxes forbid the calls.
pub fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none).is_ok();
    if !(limited && hide()) {
        tracing::warn!("core dumps can't be forbidden here: a crash may write memory to a file");
    }
}

#[cfg(target_os = "linux")]
fn hide() -> bool {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok()
}

/// Other systems have no such switch; there the limit on core files has to do.
#[cfg(not(target_os = "linux"))]
fn hide() -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn nothing_is_dumped_and_nobody_attaches() {
        super::harden();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
