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
    print("| game | agent steps | here, by seed | published, lowest to highest |\n|---|---|---|---|")
    for game, name in FILES.items():
        published = theirs(arguments.dopamine / "baselines/atari/data" / name)
        folders = sorted((arguments.study / "runs" / game).glob("s*"), key=lambda s: int(s.name[1:]))
        runs = [ours(folder / "training.csv") for folder in folders]
        for i in range(max(map(len, runs), default=0)):
            means = ", ".join(f"{run[i]:.0f}" for run in runs if len(run) > i)
            print(f"| {game} | {i * ITERATION:,} to {(i + 1) * ITERATION:,} | {means} | "
                  f"{min(published[i]):.0f} to {max(published[i]):.0f} |")


if __name__ == "__main__":
    main()
