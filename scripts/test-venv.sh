#!/bin/bash
# Makes a Python environment from a folder's requirements (default: those of the tests):
# test-venv.sh FOLDER [REQUIREMENTS]. Does nothing when it is there and was made from the same.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
from=${2:-tests/python}
requirements=("$from/requirements.txt" "$from/requirements-no-deps.txt")
stamp=$(python3 --version && cat "${requirements[@]}")
[[ -f $venv/stamp && $(<"$venv/stamp") == "$stamp" ]] && exit 0

echo "Making the Python environment of $from in $venv"
rm -rf "$venv"
python3 -m venv "$venv"
pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install --no-input -r "${requirements[0]}"
"${pip[@]}" install --no-input --no-deps -r "${requirements[1]}"
printf '%s\n' "$stamp" >"$venv/stamp"
