#!/bin/bash
# The whole test suite: test.sh BUILD_ROOT PYTHON. Unit tests as released, again under the address
# and undefined-behaviour sanitizers, the threaded ones under the thread sanitizer; beside the
# sanitizers everything that is compared with other programs in Python, in BUILD_ROOT/python.log: one
# process more than processors, as tests also wait (four at most), a file in one of them: its tests
# share what they made.
# Stops at the first part that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$1 python=$2
began=$SECONDS

part() {
    echo
    echo "== $1 ($((SECONDS - began)) s)"
}

build() { # NAME TARGETS MESON_OPTION...
    local folder=$root/$1 targets
    read -r -a targets <<<"$2"
    [[ -f $folder/build.ninja ]] || meson setup "$folder" "${@:3}" >"$folder.setup" 2>&1 || {
        cat "$folder.setup"
        exit 1
    }
    # A folder configured before the tests' packages were there looks for them again.
    grep -q '^build unit-tests:' "$folder/build.ninja" ||
        meson setup --reconfigure "$folder" >"$folder.setup"
    ninja -C "$folder" --quiet "${targets[@]}"
}

# ThreadSanitizer of GCC 12 cannot map its shadow where the kernel randomises many address bits.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" -R)
fi
# -g1: lines of files in reports, but no variables, which take a fifth of the time to compile.
sanitized=(--buildtype=debugoptimized -Doptimization=1 "-Dc_args=-fno-sanitize-recover=all -g1")

part "unit tests, release"
build release "products unit-tests test-tools"
meson test -C "$root/release" --no-rebuild --print-errorlogs

part "the Python package"
scripts/install-package.sh "$root" "$python"

part "against other programs, beside what follows"
QGRAFT=$PWD/$root/release/src/cli/qgraft setsid "$python" -m pytest -q -rs --durations=10 \
    --numprocesses=$(($(nproc) < 3 ? $(nproc) + 1 : 4)) --dist=loadfile --no-loadscope-reorder \
    tests/python >"$root/python.log" 2>&1 &
beside=$!
trap 'kill -- "-$beside" 2>/dev/null || true' EXIT # with what its tests have started

part "unit tests, address and undefined-behaviour sanitizers"
build asan unit-tests "${sanitized[@]}" -Db_sanitize=address,undefined
meson test -C "$root/asan" --no-rebuild --print-errorlogs --suite unit --timeout-multiplier 5

part "threaded tests, thread sanitizer"
build tsan threaded-tests "${sanitized[@]}" -Db_sanitize=thread
"${fixed_addresses[@]}" meson test -C "$root/tsan" --no-rebuild --print-errorlogs --suite threads \
    --timeout-multiplier 10

part "against other programs"
failed=0
wait "$beside" || failed=1
cat "$root/python.log"
((failed == 0))
echo "tests: all passed in $((SECONDS - began)) s"
