#!/bin/bash
# Times one DQN update in qgraft and in PyTorch, JAX and oneDNN, in turns: run.sh [nature|grid].
# QGRAFT names the program (default: that of `make`). The first run downloads about 700 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=${1:-nature}
qgraft=${QGRAFT:-build/release/src/cli/qgraft}
venv=build/peers-venv
onednn=$venv/onednn_update
if [[ $preset != nature && $preset != grid ]]; then
    echo "run.sh: '$preset' is not a network: nature or grid" >&2
    exit 2
fi
if [[ ! -x $qgraft ]]; then
    echo "run.sh: $qgraft is missing: run make, or set QGRAFT" >&2
    exit 1
fi
scripts/packages.sh check build peers
mkdir -p build
scripts/test-venv.sh "$venv" bench/peers

# PyTorch's wheel does not start without these libraries, and calls none of them on a processor.
torch=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch/lib
stub() { # LIBRARY SOURCE [LINKER OPTION]
    [[ -e $torch/$1 ]] || cc -shared -fPIC -o "$torch/$1" "-Wl,-soname,$1" "${@:3}" -xc - <<<"$2"
}
for library in cublas.so.13 cublasLt.so.13 cudnn.so.9 cufft.so.12 cufile.so.0 cupti.so.13 \
    cusparse.so.12 cusparseLt.so.0 nccl.so.2 nvrtc.so.13; do
    stub "lib$library" ""
done
stub libnvshmem_host.so.3 "char nvshmem_selected_device_transport[64];" \
    "-Wl,--version-script=bench/peers/nvshmem.map"

c++ -std=c++17 -O3 -march=native -fno-math-errno -fopenmp bench/peers/onednn_update.cpp -ldnnl \
    -o "$onednn"
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" bench/peers/compare.py "$qgraft" "$onednn" "$preset"
