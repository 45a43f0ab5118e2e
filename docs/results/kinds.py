#!/usr/bin/env python3
"""What kinds of copy did in the mean over their arms, from the metrics.csv of a study's report.

The difference of the normalised area from the baselines, and its 95 % interval: Welch's over the seeds,
each of which is a mean over the arms, as `qgraft report` judges claims. Needs numpy and scipy.
"""
import argparse
import csv
import signal
from collections import defaultdict

try:
    import numpy as np
    from scipy import stats
except ModuleNotFoundError as error:
    raise SystemExit(f"kinds.py: {error.name} is missing: pip install numpy scipy") from None


def read(path):
    """The normalised areas by run and seed, and the rows of the arms that were compared."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    scale = {row["game"]: (float(row["random"]), float(row["reference"]))
             for row in rows if row["row"] == "pooled" and row["reference"]}
    areas = defaultdict(dict)
    for row in rows:
        if row["row"] == "seed" and row["game"] in scale:
            random, reference = scale[row["game"]]
            areas[row["run"]][row["seed"]] = (float(row["area"]) - random) / (reference - random)
    return areas, [row for row in rows if row["row"] == "pooled" and row["reference"]]


def whose(row):
    if row["source"] == "random":
        return "random"
    return "the same game" if row["source_game"] == row["game"] else "another game"


def source(row):
    """What its name says beside its game: "early", a kind of student; "trained" where it says no more."""
    game = row["source_game"].rpartition("/")[2]
    return row["source"].removeprefix(game).lstrip("-_") or "trained"


KEYS = {
    "copied": lambda row: row["copied"],
    "frozen": lambda row: "frozen" if row["frozen"] == "true" else "free",
    "whose": whose,
    "source": source,
    "game": lambda row: row["game"],
    "learner": lambda row: row["baseline"].rpartition("-")[2],  # of a study that names them so
}


def mean(runs):
    """For each seed that all of them have."""
    common = set.intersection(*map(set, runs))
    return np.array([np.mean([run[seed] for run in runs]) for seed in sorted(common, key=int)])


def effect(arms, areas):
    copied = mean([areas[row["run"]] for row in arms])
    fresh = mean([areas[row["baseline"]] for row in arms])
    interval = stats.ttest_ind(copied, fresh, equal_var=False).confidence_interval()
    return copied.mean() - fresh.mean(), interval.low, interval.high


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head`
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("metrics")
    parser.add_argument("--by", default="copied,frozen,whose", metavar="KEY,...",
                        help=f"what makes a kind: {', '.join(KEYS)} (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = [key for key in arguments.by.split(",") if key not in KEYS]
    if unknown:
        parser.error(f"--by: there is no {unknown[0]!r}: {', '.join(KEYS)}")
    keys = [KEYS[key] for key in arguments.by.split(",")]
    try:
        areas, arms = read(arguments.metrics)
    except (OSError, KeyError, UnicodeDecodeError) as error:
        parser.exit(1, f"kinds.py: {arguments.metrics}: not a report's metrics.csv ({error})\n")
    if not arms:
        parser.exit(1, f"kinds.py: {arguments.metrics}: no experiment has been compared\n")
    kinds = defaultdict(list)
    for row in arms:
        kinds[tuple(key(row) for key in keys)].append(row)
    baselines = {row["baseline"]: mean([areas[row["baseline"]]]).mean() for row in arms}
    print("baselines:", ", ".join(f"{run} {area:.2f}" for run, area in sorted(baselines.items())),
          f"; mean {np.mean(list(baselines.values())):.2f}")
    for kind, group in sorted(kinds.items()):
        difference, low, high = effect(group, areas)
        print("".join(f"{part:14} " for part in kind) + f"{len(group):3} arms  "
              f"{difference:+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
