#!/usr/bin/env python3
"""Training returns of the study's baselines beside those that Dopamine has published, by 250,000 agent steps.

A return is that of the game, not clipped; the mean is over the episodes that ended in those steps, as
Dopamine's iterations have it. Needs the study's folder and a checkout of github.com/google/dopamine.
"""
import argparse
import csv
import json
import pathlib

ITERATION = 250_000  # agent steps
AGENT = "DQN (Adam + MSE in JAX)"
FILES = {"demon_attack": "demonattack.json", "space_invaders": "spaceinvaders.json"}


def ours(path):
    """Mean return in each iteration that the run has finished."""
    sums, counted, last = {}, 0, 0
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            last, episodes = int(row["step"]), int(row["episodes"])
            total = sums.setdefault((last - 1) // ITERATION, [0, 0])
            if episodes > counted:
                total[0] += (episodes - counted) * float(row["mean_return"])
                total[1] += episodes - counted
            counted = episodes
    return [total / episodes for i, (total, episodes) in sorted(sums.items())
            if (i + 1) * ITERATION <= last]


def theirs(path):
    """The published runs' values, by iteration."""
    values = {}
    for row in json.loads(path.read_text()):
        if row["Agent"] == AGENT:
            values.setdefault(row["Iteration"], []).append(row["Value"])
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=pathlib.Path, help="folder of the study, runs/atari-figures")
    parser.add_argument("dopamine", type=pathlib.Path, help="checkout of google/dopamine")
    arguments = parser.parse_args()
    try:
        published = {game: theirs(arguments.dopamine / "baselines/atari/data" / name)
                     for game, name in FILES.items()}
        found = {game: [ours(folder / "training.csv") for folder in sorted(
            (arguments.study / "runs" / game).glob("s*"), key=lambda folder: int(folder.name[1:]))]
            for game in FILES}
    except (OSError, KeyError, ValueError) as error:
        parser.exit(1, f"beside.py: not a study's folder and a checkout of Dopamine: {error}\n")
    if not any(found.values()):
        parser.exit(1, f"beside.py: {arguments.study}: no run of {' or '.join(FILES)}\n")
    print("| game | agent steps | here, by seed | published, lowest to highest |\n|---|---|---|---|")
    for game, runs in found.items():
        for i in range(max(map(len, runs), default=0)):
            means = ", ".join(f"{run[i]:.0f}" if len(run) > i else "-" for run in runs)
            print(f"| {game} | {i * ITERATION:,} to {(i + 1) * ITERATION:,} | {means} | "
                  f"{min(published[game][i]):.0f} to {max(published[game][i]):.0f} |")


if __name__ == "__main__":
    main()
