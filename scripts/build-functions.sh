#!/usr/bin/env bash
# Builds the functions into target/lambda/NAME/bootstrap, from where infra/template.yaml takes them.
#
#   scripts/build-functions.sh            for this machine: the emulator, and `cargo lambda watch`
#   scripts/build-functions.sh --arm64    for Lambda on arm64, the template's default
#   scripts/build-functions.sh --x86-64   for Lambda on x86-64
#
# For Lambda it links with zig, so that programs ask for no newer glibc than Amazon Linux 2023 has
# (2.34), whatever this machine has. cargo-lambda and zig come from the Python registry into target/.
set -euo pipefail
cd "$(dirname "$0")/.."

# Without the embedded store: on Lambda there is nowhere to keep it.
what=(-p slack-notifier -p maintenance --bins
    --no-default-features --features slack-notifier/aws,slack-notifier/lambda)

build_for_lambda() {
    local tools
    tools=$(scripts/python-venv.sh cargo-lambda)
    if command -v rustup >/dev/null; then rustup target add "$2"; fi
    # First in the path: cargo-lambda finds zig as `python3 -m ziglang`.
    PATH=$tools/bin:$PATH cargo lambda build --locked --profile function "$1" "${what[@]}"
}

case "${1-}" in
    "")
        cargo build --locked --profile function "${what[@]}"
        for name in slack-notifier maintenance; do
            mkdir -p "target/lambda/$name"
            # In two steps: whoever runs the old program keeps it.
            cp "target/function/$name" "target/lambda/$name/bootstrap.new"
            mv "target/lambda/$name/bootstrap.new" "target/lambda/$name/bootstrap"
        done
        ;;
    --arm64) build_for_lambda --arm64 aarch64-unknown-linux-gnu ;;
    --x86-64) build_for_lambda --x86-64 x86_64-unknown-linux-gnu ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
esac
ls -l target/lambda/*/bootstrap
