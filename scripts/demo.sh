#!/bin/bash
# Trains an agent on a built-in game for about a minute and draws its scores in the terminal:
# demo.sh QGRAFT FOLDER
set -euo pipefail
qgraft=$1 folder=$2

rm -rf "$folder"
"$qgraft" train minatar/breakout --steps 150k --seed 1 --out "$folder" \
    --set eval_every=10k --set eval_steps=5k
gnuplot -e "
    set terminal dumb $(tput cols 2>/dev/null || echo 80) 22;
    set datafile separator ',';
    set key off; set xlabel 'agent steps';
    set title 'minatar/breakout: mean score of an episode';
    plot '$folder/evaluations.csv' using 'step':'score' with linespoints"
echo "All of it stands in $folder: networks, settings, evaluations.csv, TensorBoard events."
