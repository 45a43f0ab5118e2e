"""Each learner of the study beside DQN 3.0's: compare.py FOLDER (of `qgraft run study.yaml`)."""

import csv
import pathlib
import sys

import numpy as np
from scipy import stats

STUDY = pathlib.Path(sys.argv[1]) / "runs"
GAMES = ["breakout", "space_invaders"]


def scores(run):
    """Of every seed's evaluations, [seeds][evaluations]."""
    return np.array([[float(row["score"]) for row in csv.DictReader(path.open())]
                     for path in sorted(run.glob("s*/evaluations.csv"))])


rows = []
for game in GAMES:
    base = scores(STUDY / f"dqn3-{game}")
    for run in sorted(STUDY.glob(f"*-{game}")):
        if run.name.startswith("random-score"):
            continue
        found = scores(run)
        test = stats.ttest_ind(found.mean(axis=1), base.mean(axis=1), equal_var=False)
        low, high = test.confidence_interval()
        rows.append([game, run.name[:-len(game) - 1], len(found), found.mean(),
                     found[:, -1].mean(), found[:, -1].min(), found.mean() - base.mean(), low, high,
                     test.pvalue])

tested = sorted(row for row in rows if row[1] != "dqn3")
order = sorted(range(len(tested)), key=lambda i: tested[i][-1])
holm = 0
for place, i in enumerate(order):
    holm = max(holm, min(1, (len(order) - place) * tested[i][-1]))
    tested[i].append(holm)
print("| game | learner | seeds | mean of evaluations | last one | its lowest | difference | 95 % interval | Holm's p |")
print("|---|---|---|---|---|---|---|---|---|")
for row in rows:
    game, learner, seeds, mean, last, lowest = row[:6]
    text = f"| {game} | {learner} | {seeds} | {mean:.2f} | {last:.2f} | {lowest:.2f} "
    if len(row) > 10:
        text += f"| {row[6]:+.2f} | {row[7]:+.2f} to {row[8]:+.2f} | {row[10]:.3f} |"
    else:
        text += "| | | |"
    print(text)
