#!/usr/bin/env python3
"""compare.py FOLDER: the runs of study.yaml, bf16 against float32, seed by seed.

The measure is the area under the learning curve (the mean score of a run's evaluations). For each game:
the mean difference over the seeds and its 95 % interval (Student's t over pairs), and two one-sided tests
at 5 % against a margin of 0.1 (best mean evaluation of float32 - random play), which was fixed beforehand:
the two precisions are equivalent when the 90 % interval lies within the margin.
"""
import csv
import json
import pathlib
import sys

import numpy as np
from scipy import stats


def curve(run):
    """Scores of a run's evaluations, in order."""
    with open(run / "evaluations.csv", newline="") as file:
        return np.array([float(row["score"]) for row in csv.DictReader(file)])


def runs_of(folder, name):
    return sorted(p for p in (folder / "runs" / name).iterdir() if (p / "evaluations.csv").exists())


def main():
    folder = pathlib.Path(sys.argv[1])
    names = sorted(p.name for p in (folder / "runs").glob("*-precisionfloat32"))
    print(f"{'game':26} seeds  float32    bf16  difference, 95 % interval     margin  equivalent")
    for name in names:
        stem = name[: -len("precisionfloat32")]
        curves = [[curve(r) for r in runs_of(folder, stem + p)] for p in ("precisionfloat32", "precisionbf16")]
        seeds = min(len(curves[0]), len(curves[1]))
        if seeds < 2:
            print(f"{stem.strip('-'):26} {seeds:5}  too few finished")
            continue
        first, second = (np.array([c.mean() for c in side[:seeds]]) for side in curves)
        scores = folder / "runs" / f"random-score-{stem.strip('-')}" / "s1" / "random-score.json"
        random = json.loads(scores.read_text())["score"]
        best = np.mean([c[: min(map(len, curves[0]))] for c in curves[0]], axis=0).max()
        margin = 0.1 * (best - random)
        d = second - first
        error = d.std(ddof=1) / np.sqrt(seeds)
        half = [stats.t.ppf(q, seeds - 1) * error for q in (0.975, 0.95)]
        equivalent = abs(d.mean()) + half[1] < margin
        print(
            f"{stem.strip('-'):26} {seeds:5} {first.mean():8.3f} {second.mean():7.3f} "
            f"{d.mean():+8.3f} ({d.mean() - half[0]:+.3f} to {d.mean() + half[0]:+.3f}) "
            f"{margin:8.3f}  {'yes' if equivalent else 'not shown'}"
        )


if __name__ == "__main__":
    main()
