#!/bin/sh
# Makes the zoo anew: runs zoo/study.yaml in FOLDER (what is finished there is not run again), takes its networks, plays
# each, and writes the table into zoo/README.md: make.sh [FOLDER]. QGRAFT names the program; both as seen
# from the repository's folder.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build/zoo}
export QGRAFT="${QGRAFT:-build/release/src/cli/qgraft}"
"$QGRAFT" run zoo/study.yaml --out "$folder"
for game in asterix breakout freeway seaquest space_invaders; do
    for seed in 1 2 3 4 5; do
        run=$folder/runs/minatar-$game/s$seed
        cp "$run/best.safetensors" "zoo/$game-s$seed.safetensors"
        cp "$run/step-150000.safetensors" "zoo/$game-s$seed-early.safetensors"
    done
done
python3 zoo/table.py
