#!/usr/bin/env python3
"""Plays every network of the zoo anew and writes the tables in zoo/README.md. QGRAFT names the program."""

import json
import os
import pathlib
import statistics
import subprocess

ZOO = pathlib.Path(__file__).resolve().parent
GAMES = ["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
SEEDS = [1, 2, 3, 4, 5]
MARK = "<!-- made by table.py from here on -->\n"
MEANS = ["game", "best, mean of five seeds", "lowest and highest", "after 150,000 steps", "lowest and highest"]
EACH = ["network", "best at step", "chosen with", "played again in training", "played anew", "deviation", "episodes",
        "`-early` played anew", "deviation", "episodes"]


def ask(*words):
    said = subprocess.run([os.environ.get("QGRAFT", "qgraft"), *map(str, words), "--json"], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(said.stdout)


def play(file):
    """By another seed than the evaluations of its training, and five times as long."""
    return ask("evaluate", file, "--steps", 100000, "--seed", 99)


def numbers(played):
    return [f"{played['score']:.2f}", f"{played['deviation']:.2f}", str(played["episodes"])]


def table(head, rows):
    rows = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def main():
    means, each = [], []
    for game in GAMES:
        best, early = [], []
        for seed in SEEDS:
            name = f"{game}-s{seed}"
            said = ask("inspect", ZOO / f"{name}.safetensors")["metadata"]
            best.append(play(ZOO / f"{name}.safetensors"))
            early.append(play(ZOO / f"{name}-early.safetensors"))
            each.append([f"`{name}`", f"{int(said['step']):,}", f"{float(said['score']):.2f}",
                         f"{float(said['confirmed_score']):.2f}", *numbers(best[-1]), *numbers(early[-1])])
        row = [game]
        for played in best, early:
            scores = [p["score"] for p in played]
            row += [f"{statistics.mean(scores):.2f}", f"{min(scores):.2f} to {max(scores):.2f}"]
        means.append(row)
    page = ZOO / "README.md"
    text = page.read_text().split(MARK)[0]
    page.write_text(text + MARK + "\n" + table(MEANS, means) + "\n" + table(EACH, each))


if __name__ == "__main__":
    main()
