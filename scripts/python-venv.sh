#!/usr/bin/env bash
# Makes target/venvs/NAME from tests/python/requirements-NAME.txt and prints its folder.
# Does nothing if that file is the one the folder was made from.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:?usage: scripts/python-venv.sh NAME (of tests/python/requirements-NAME.txt)}
wanted=tests/python/requirements-$name.txt
folder=$PWD/target/venvs/$name

if ! cmp --silent "$wanted" "$folder/made-from.txt"; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >&2
    # Last: a folder that an interrupted install left behind doesn't count as made.
    cp "$wanted" "$folder/made-from.txt"
fi
echo "$folder"
