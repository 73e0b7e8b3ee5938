//! `run`: checks the home and becomes a listener's program.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::args::{PlaceArgs, RunArgs};
use crate::exit::Failure;

/// Replaces this process. Returns only if that fails.
pub(crate) fn run(home: &Path, place: &PlaceArgs, args: RunArgs) -> Result<(), Failure> {
    let [program, arguments @ ..] = args.program.as_slice() else {
        return Err(Failure::Usage("name the program: undertone run -- PROGRAM".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(arguments).env("UNDERTONE_HOME", home);
    for (name, value) in place.variables() {
        command.env(name, value);
    }
    let error = command.exec();
    Err(Failure::Program { program: undertone_core::escaped(&program.to_string_lossy()), kind: error.kind() })
}
