#!/bin/bash
# Draws the scores of several runs of each game, a line a run: plot-curves.sh FOLDER OUT.svg|OUT.png
# FOLDER holds run folders named GAME-sSEED.
set -euo pipefail
folder=$1 out=$2
case $out in
*.svg) terminal="svg size 960,540 dynamic font 'sans,13' background rgb 'white'" ;;
*.png) terminal="pngcairo size 1920,1080 font 'sans,22'" ;;
*)
    echo "plot-curves.sh: $out: must end in .svg or .png" >&2
    exit 2
    ;;
esac
games=$(find "$folder" -maxdepth 1 -name '*-s[0-9]*' -printf '%f\n' | sed 's/-s[0-9]*$//' | sort -u)
plots=
for game in $games; do
    lines=
    color=0
    for run in "$folder/$game"-s*; do
        color=$((color + 1))
        lines+="'$run/evaluations.csv' using (\$1/1000):2 skip 1 with lines lw 2 lc $color, "
    done
    plots+="set title '${game//_/ }'; plot ${lines%, };"
done
gnuplot -e "
    set terminal $terminal; set output '$out'; set datafile separator ',';
    set linetype 1 lc rgb '#0072b2'; set linetype 2 lc rgb '#d55e00'; set linetype 3 lc rgb '#009e73';
    set key off; set xlabel 'agent steps (thousands)'; set ylabel 'score'; set yrange [0:]; set xtics 250;
    set grid lc rgb '#dddddd'; set multiplot layout 2,3; $plots unset multiplot"
