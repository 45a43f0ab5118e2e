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


def curves_of(folder, name):
    """Scores of the evaluations, in order, of every seed that is finished."""
    curves = {}
    for run in (folder / "runs" / name).glob("s*"):
        if "state: finished" in (run / "process.yaml").read_text():
            with open(run / "evaluations.csv", newline="") as file:
                curves[run.name] = np.array([float(row["score"]) for row in csv.DictReader(file)])
    return curves


HEAD = "seeds  float32    bf16  difference, 95 % interval     margin  equivalent"


def against(float32, bf16, random):
    """A line about two {seed: curve}, and random play's score."""
    seeds = sorted(float32.keys() & bf16.keys())
    if len(seeds) < 2:
        return f"{len(seeds):5}  too few are finished"
    first, second = (np.array([side[s].mean() for s in seeds]) for side in (float32, bf16))
    best = np.mean([float32[s] for s in seeds], axis=0).max()
    margin = 0.1 * (best - random)
    d = second - first
    error = d.std(ddof=1) / np.sqrt(len(seeds))
    half = [stats.t.ppf(q, len(seeds) - 1) * error for q in (0.975, 0.95)]
    equivalent = abs(d.mean()) + half[1] < margin
    return (
        f"{len(seeds):5} {first.mean():8.3f} {second.mean():7.3f} "
        f"{d.mean():+8.3f} ({d.mean() - half[0]:+.3f} to {d.mean() + half[0]:+.3f}) "
        f"{margin:8.3f}  {'yes' if equivalent else 'not shown'}"
    )


def main():
    folder = pathlib.Path(sys.argv[1])
    names = sorted(p.name for p in (folder / "runs").glob("*-precisionfloat32"))
    print(f"{'game':26} {HEAD}")
    for name in names:
        stem = name[: -len("precisionfloat32")]
        game = stem.strip("-")
        float32, bf16 = (curves_of(folder, stem + p) for p in ("precisionfloat32", "precisionbf16"))
        scores = folder / "runs" / f"random-score-{game}" / "s1" / "random-score.json"
        random = json.loads(scores.read_text())["score"]
        print(f"{game:26} {against(float32, bf16, random)}")


if __name__ == "__main__":
    main()
