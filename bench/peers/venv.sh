#!/bin/bash
# Makes the Python environment of the peers in the folder VENV, about 700 MB: venv.sh VENV.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1
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
