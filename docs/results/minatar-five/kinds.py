#!/usr/bin/env python3
"""kinds.py METRICS: what each kind of copy did in the mean over its arms, from a study's metrics.csv.

The difference of the normalised area from the baselines, and its 95 % interval: Welch's over the seeds,
each of which is a mean over the arms, as `qgraft report` judges claims. Needs numpy and scipy.
"""
import csv
import sys
from collections import defaultdict

import numpy as np
from scipy import stats


def read(path):
    """The normalised areas of each run by seed, and the rows of the arms that were compared."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    scale = {row["game"]: (float(row["random"]), float(row["reference"]))
             for row in rows if row["row"] == "pooled" and row["reference"]}
    areas = defaultdict(list)
    for row in rows:
        if row["row"] == "seed" and row["game"] in scale:
            random, reference = scale[row["game"]]
            areas[row["run"]].append((float(row["area"]) - random) / (reference - random))
    return areas, [row for row in rows if row["row"] == "pooled" and row["reference"]]


def kind_of(row):
    whose = "random" if row["source"] == "random" else (
        "the same game" if row["source_game"] == row["game"] else "another game")
    return row["copied"], "frozen" if row["frozen"] == "true" else "free", whose


def effect(arms, areas):
    least = min(len(areas[row["run"]]) for row in arms)
    copied = np.mean([areas[row["run"]][:least] for row in arms], axis=0)
    fresh = np.mean([areas[row["baseline"]] for row in arms], axis=0)
    interval = stats.ttest_ind(copied, fresh, equal_var=False).confidence_interval()
    return copied.mean() - fresh.mean(), interval.low, interval.high


def main():
    areas, arms = read(sys.argv[1])
    kinds = defaultdict(list)
    for row in arms:
        kinds[kind_of(row)].append(row)
    baselines = {row["game"]: np.mean(areas[row["baseline"]]) for row in arms}
    print("baselines:", ", ".join(f"{game} {area:.2f}" for game, area in sorted(baselines.items())),
          f"; mean {np.mean(list(baselines.values())):.2f}")
    for copied, frozen, whose in sorted(kinds):
        group = kinds[copied, frozen, whose]
        difference, low, high = effect(group, areas)
        print(f"{copied:8} {frozen:7} {whose:14} {len(group):3} arms  "
              f"{difference:+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
