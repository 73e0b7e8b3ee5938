#!/usr/bin/env bash
# All tests, from nothing: sets up what they need inside target/ and ends with one line.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
need() { command -v "$1" >/dev/null || { echo "$1 is missing: $2" >&2; exit 1; }; }

need cargo "install Rust 1.94 or newer"
need cc "install a C compiler (Debian: apt-get install gcc libc6-dev)"
need python3 "install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)"

say "Python: the second implementation of the record format, the rules of infra/, the ready-made events"
[ -x target/venv/bin/python ] || python3 -m venv target/venv
target/venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
target/venv/bin/python -m unittest discover -s tests/python

say "Linters of infra/"
scripts/lint-infra.sh

say "Rust: all crates, then the documentation's examples"
cargo test --workspace --locked --lib --bins --tests
cargo test --workspace --locked --doc

say "AWS in an emulator: the functions built, the template deployed, secrets set, events sent, all that is stored searched"
scripts/demo-aws.sh

say "The size of the example as it goes to Lambda"
scripts/size-report.sh

say "Benches compile"
cargo check --workspace --locked --benches

say "All tests passed."
