#!/bin/bash
# Compares updates of the presets cleanrl and sb3 with those of the libraries: learners.sh. QGRAFT names
# the program (default: that of `make`). The first run downloads about 700 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
qgraft=${QGRAFT:-build/release/src/cli/qgraft}
if [[ ! -x $qgraft ]]; then
    echo "learners.sh: $qgraft is missing: run make, or set QGRAFT" >&2
    exit 1
fi
mkdir -p build
bench/peers/venv.sh build/peers-venv
export PYTHONDONTWRITEBYTECODE=1
exec build/peers-venv/bin/python bench/peers/learners.py "$qgraft"
