#!/usr/bin/env python3
"""format.py FOLDER: the runs of format.sh, each format of bf16 against float32, seed by seed.

The measure is the area under the learning curve (the mean score of the evaluations up to 200,000 steps);
difference, 95 % interval and the test of equivalence are those of compare.py.
"""
import csv
import pathlib
import sys

import numpy as np

from compare import HEAD, against

STEPS = 200_000
# Random play: random-score.json of study.yaml's runs.
RANDOM = {"breakout": 0.38, "freeway": 0.29, "space_invaders": 3.90}


def curves_of(folder):
    """{seed: scores of the evaluations up to STEPS} of the seeds that have come so far."""
    curves = {}
    for run in sorted(folder.glob("s*")):
        with open(run / "evaluations.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= STEPS]
        if rows and int(rows[-1]["step"]) == STEPS:
            curves[run.name] = np.array([float(row["score"]) for row in rows])
    return curves


def main():
    folder = pathlib.Path(sys.argv[1])
    print(f"{'game':15} {'bf16':5} {HEAD}")
    for game in sorted(p.name for p in (folder / "float32").iterdir()):
        float32 = curves_of(folder / "float32" / game)
        for name in ("last", "all"):
            other = curves_of(folder / name / game)
            print(f"{game:15} {name:5} {against(float32, other, RANDOM[game])}")


if __name__ == "__main__":
    main()
