#!/usr/bin/env bash
# AWS on this machine: starts an emulator on loopback, deploys infra/ into it with `sam deploy`, sets
# secrets with the command line, sends events over bus, queue and URL, shows what came of them, and ends
# everything it started: once with secrets in DynamoDB, once in Secrets Manager. No account is needed.
# The options are those of tests/python/aws_local.py; without --code the functions are built first.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/python-venv.sh sam >/dev/null
emulators=$(scripts/python-venv.sh emulators)
case " $*" in
    *" -h"* | *" --help"*) ;;
    *)
        case " $*" in *" --code"*) ;; *) scripts/build-functions.sh ;; esac
        case " $*" in *" --cli"*) ;; *) cargo build --locked -p undertone-cli ;; esac
        ;;
esac
exec "$emulators/bin/python" tests/python/aws_local.py "$@"
