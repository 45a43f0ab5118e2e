# Pong: our run beside Dopamine's five. In this folder: gnuplot curve.gp
# published.csv: mean training return of Dopamine's DQN over the 250,000 agent steps before `steps`.
set terminal pngcairo size 1248,760 noenhanced background 'white' fontscale 1.9 linewidth 1.9 font 'sans,11'
set output 'curve.png'
set datafile separator ','
set datafile missing ''
set xlabel 'agent steps (a million is four million frames)'
set ylabel 'return of an episode'
set xrange [0:2e6]
set yrange [-21.5:*]
set format x '%.1s%c'
set key above Left reverse samplen 2 maxcols 1
set grid ytics linecolor '#dddddd'
ours = "< awk -F, 'NR > 1 {n = $3 - e; e = $3; sum += n * $4; all += n} \
    NR > 1 && $1 % 250000 == 0 {print $1 \",\" sum / all; sum = all = 0}' training.csv"
plot for [run = 1:5] 'published.csv' using ($1 == run ? $2 : NaN):3 skip 1 with lines linecolor '#999999' \
        title run == 1 ? 'Dopamine, five runs, training returns (epsilon to 0.01, sticky actions)' : '', \
    ours using 1:2 with lines linewidth 2 linecolor '#0072b2' \
        title 'qgraft, one run, training returns (epsilon to 0.1)', \
    'evaluations.csv' using 1:2 skip 1 with points pointtype 7 pointsize 2 linecolor '#d55e00' \
        title 'qgraft, evaluations of 125,000 steps (epsilon 0.05)'
