#!/bin/bash
# Feeds the readers of outside files with what libFuzzer thinks of: fuzz.sh SECONDS [TARGET...].
# Builds with clang in build/fuzz and runs every target of tests/fuzz (or those named) for SECONDS,
# two at a time. What they find to be new stays in build/fuzz/corpus; an input that breaks one stands in
# build/fuzz/findings and makes this fail.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
build=build/fuzz
targets=("${@:2}")
((${#targets[@]} > 0)) || mapfile -t targets < <(basename -a -s .c tests/fuzz/fuzz_*.c | sed 's/^fuzz_//')

[[ -f $build/build.ninja ]] ||
    CC=clang meson setup $build -Dfuzz=true --buildtype=debugoptimized -Doptimization=1 >/dev/null
ninja -C $build --quiet fuzzers

# The targets write their inputs to files: in memory, where the system has a place for that.
memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$memory"/qgraft-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

run_target() { # NAME
    local corpus=$build/corpus/$1 log=$build/$1.log dictionary=()
    mkdir -p "$corpus" $build/findings
    [[ ! -f tests/fuzz/$1.dict ]] || dictionary=(-dict="tests/fuzz/$1.dict")
    $build/tests/fuzz_"$1" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$build/findings/$1-" "${dictionary[@]}" \
        "$corpus" "tests/fuzz/corpus/$1" >"$log" 2>&1 || {
        echo "$1: a finding, see $log" >&2
        grep -E -m 12 'not true|ERROR|runtime error|Test unit|^ +#[0-7] ' "$log" >&2
        return 1
    }
    printf '%-14s%12s runs, %s features, no finding\n' "$1" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)"
}

failed=0
for target in "${targets[@]}"; do
    if (($(jobs -rp | wc -l) == 2)); then wait -n || failed=1; fi
    run_target "$target" &
done
while [[ -n $(jobs -p) ]]; do wait -n || failed=1; done
exit "$failed"
