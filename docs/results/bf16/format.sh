#!/bin/sh
# Which layers can be bf16? format.sh [FOLDER]: three grid games, 20 seeds, 200,000 steps, in float32, in
# bf16 as it is (the last layer in float32) and with every layer in bf16, then format.py. What is
# finished is not made again. QGRAFT is the program, QGRAFT_ALL one whose `is_bf16` (src/network/cpu/memory.c)
# holds for every layer; PYTHON a Python with numpy and scipy; SEEDS how many seeds.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-runs-format}
: "${QGRAFT_ALL:?names a program whose is_bf16 holds for every layer}"

train() { # FORMAT PROGRAM OPTION...
    format=$1 program=$2
    shift 2
    for seed in $(seq 1 "${SEEDS:-20}"); do
        for game in breakout freeway space_invaders; do
            run=$folder/$format/$game/s$seed
            grep -qs "state: finished" "$run/process.yaml" || "$program" train "minatar/$game" --steps 200k \
                --seed "$seed" --threads 1 --quiet "$@" --out "$run" --overwrite
        done
    done
}

train float32 "${QGRAFT:-qgraft}" --set precision=float32
train last "${QGRAFT:-qgraft}" --set precision=bf16
train all "$QGRAFT_ALL" --set precision=bf16 --isa avx512
"${PYTHON:-python3}" "$here/format.py" "$folder"
