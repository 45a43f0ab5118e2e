#!/bin/bash
# Makes the wheel of the Python package and installs it into an environment: install-package.sh
# BUILD_ROOT PYTHON. What BUILD_ROOT/release has compiled is not compiled again. PYTHON has
# meson-python and cffi (tests/python/requirements.txt).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(realpath "$1") python=$(realpath -s "$2")

# The Meson that made the folder: another one would make it anew.
MESON=$(sed -n 's/^ command = \(.*\) --internal regenerate .*/\1/p' "$root/release/build.ninja")
export MESON

rm -rf "$root/wheel"
pip=("$python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" wheel --no-build-isolation --no-deps --no-index --wheel-dir "$root/wheel" \
    -Cbuild-dir="$root/release" -Csetup-args=-Dpython="$python" . >"$root/wheel.log" 2>&1 || {
    cat "$root/wheel.log"
    exit 1
}
"${pip[@]}" install --no-deps --no-index --force-reinstall "$root"/wheel/*.whl
