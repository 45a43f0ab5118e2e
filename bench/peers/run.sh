#!/bin/bash
# Times one DQN update in qgraft and in PyTorch, JAX and oneDNN, in turns:
# run.sh [nature|grid] [float32|bf16] (bf16: PyTorch with autocast).
# QGRAFT names the program (default: that of `make`). The first run downloads about 700 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=${1:-nature} precision=${2:-float32}
qgraft=${QGRAFT:-build/release/src/cli/qgraft}
venv=build/peers-venv
if [[ $preset != nature && $preset != grid ]]; then
    echo "run.sh: '$preset' is not a network: nature or grid" >&2
    exit 2
fi
if [[ $precision != float32 && $precision != bf16 ]]; then
    echo "run.sh: '$precision' is not a precision: float32 or bf16" >&2
    exit 2
fi
if [[ ! -x $qgraft ]]; then
    echo "run.sh: $qgraft is missing: run make, or set QGRAFT" >&2
    exit 1
fi
if [[ $precision == float32 ]]; then
    scripts/packages.sh check build peers
else
    scripts/packages.sh check build
fi
mkdir -p build
bench/peers/venv.sh "$venv"

if [[ $precision == float32 ]]; then
    c++ -std=c++17 -O3 -march=native -fno-math-errno -fopenmp bench/peers/onednn_update.cpp -ldnnl \
        -o "$venv/onednn_update"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" bench/peers/compare.py "$qgraft" "$venv/onednn_update" "$preset" "$precision"
