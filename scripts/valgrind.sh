#!/bin/bash
# Looks for leaks and wrong accesses in short commands: valgrind.sh BUILD_FOLDER. Silent where there
# are none; stops at the first command that has some.
set -euo pipefail
cd "$(dirname "$0")/.."
qgraft=$PWD/$1/src/cli/qgraft
studies=$PWD/studies
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

check() {
    echo "valgrind: qgraft $1"
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
        --num-callers=30 "$qgraft" "$@" >out 2>err || { cat out err >&2 && exit 1; }
}

short=(--quiet --set learn_start=100 --set replay=300 --set minibatch=8 --set update_every=8
    --set eval_every=200 --set eval_steps=60 --set log_every=100 --set validation_size=20)
lesson=(--quiet --set log_every=100 --set eval_every=200 --set eval_steps=60)

check train minatar/breakout --steps 400 --keep-replay --out source "${short[@]}"
check train minatar/breakout --steps 400 --keep-replay --out source --resume "${short[@]}"
check graft source/best.safetensors --to minatar/asterix --first 2 --freeze --steps 300 --out graft "${short[@]}"
check distill source/best.safetensors graft/best.safetensors --samples 200 --out student "${lesson[@]}"
check evaluate graft/best.safetensors --steps 50
check diagnose graft
check stitch graft/best.safetensors --source source/best.safetensors --at 1 --steps 50 --out stitched
check replay source/replay.data --export memory
check inspect graft/best.safetensors --pedigree
check similarity minatar/breakout minatar/asterix
check run "$studies/demo.yaml" --plan
"$qgraft" run "$studies/demo.yaml" --scale 0.01 --out study --quiet
check run study --quiet
check status study
check report study --quiet
echo "valgrind: no leak and no error"
