//! The process itself: no core file, no debugger of another process of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps and attaching. Failing is no reason not to run: some sandboxes forbid the calls.
pub fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none).is_ok();
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    if !(limited && hidden) {
        tracing::warn!("core dumps can't be forbidden here: a crash may write memory to a file");
    }
}
