#!/usr/bin/env bash
# AWS on this machine: starts an emulator on loopback, deploys infra/ into it with `sam deploy`, sends
# events through, shows what came of them, and ends everything it started. No account is needed.
# The options are those of tests/python/aws_local.py; the functions must have been built (infra/README.md).
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/python-venv.sh sam >/dev/null
emulators=$(scripts/python-venv.sh emulators)
exec "$emulators/bin/python" tests/python/aws_local.py "$@"
