"""Judges the study's experiments again from metrics.csv, by today's rule: writes verdicts.csv.

rejudge.py TOOL, the tool being build/release/tests/statistics. metrics.csv is that of the version that ran the study;
the reference of a game is now the mean asymptote of its baseline, and all experiments are judged together."""

import csv
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent


def read_runs():
    """The rows of each run with a seed, by its id."""
    runs = defaultdict(list)
    with open(FOLDER / "metrics.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["row"] == "seed":
                runs[row["run"]].append(row)
    return runs


def normalised_areas(rows, random, reference):
    return [(float(row["area"]) - random) / (reference - random) for row in rows]


def main():
    runs = read_runs()
    arms = {run: rows for run, rows in runs.items() if rows[0]["baseline"]}
    baselines = sorted({rows[0]["baseline"] for rows in arms.values()})
    scales, groups = {}, []
    for baseline in baselines:
        rows = runs[baseline]
        random = next(float(r[0]["random"]) for r in arms.values() if r[0]["baseline"] == baseline)
        scales[baseline] = random, sum(float(row["asymptote"]) for row in rows) / len(rows)
        groups.append({"values": normalised_areas(rows, *scales[baseline]),
                       "seeds": [int(row["seed"]) for row in rows]})
    question = {"baselines": groups, "seed": 1, "arms": [{
        "values": normalised_areas(rows, *scales[rows[0]["baseline"]]),
        "seeds": [int(row["seed"]) for row in rows],
        "baseline": baselines.index(rows[0]["baseline"]),
        "stratum": "frozen" if rows[0]["frozen"] == "true" else "free",
        "control": rows[0]["source_game"] in ("", rows[0]["game"])} for rows in arms.values()]}
    answers = []
    for key in ("verdicts", "pairing"):
        result = subprocess.run([sys.argv[1]], input=json.dumps({key: question}), check=True,
                                capture_output=True, text=True)
        answers.append(json.loads(result.stdout))
    verdicts, pairing = answers
    counts = defaultdict(lambda: defaultdict(int))
    sums = defaultdict(float)
    with open(FOLDER / "verdicts.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "source", "copied", "frozen", "game", "control", "effect", "low", "high",
                         "adjusted_low", "adjusted_high", "p", "p_family", "p_rate", "p_margin",
                         "verdict", "reason"])
        for (run, rows), arm, v in zip(arms.items(), question["arms"], verdicts):
            row, kind = rows[0], ("control" if arm["control"] else "experiment", arm["stratum"])
            counts[kind][v["decision"]] += 1
            sums[kind] += v["effect"][0]
            writer.writerow([run, row["source"], row["copied"], row["frozen"], row["game"],
                             str(arm["control"]).lower(), *(f"{x:.6g}" for x in (
                                 v["effect"][0], *v["raw"][1:], *v["adjusted"][1:], v["p"],
                                 v["family_p"], v["q"], v["margin_p"])), v["decision"], v["reason"]])
    for kind, decisions in sorted(counts.items()):
        total = sum(decisions.values())
        print(*kind, total, f"mean {sums[kind] / total:+.3f}", dict(decisions))
    print("correlation of seeds", pairing)
    print("references", {baseline: round(scale[1], 2) for baseline, scale in scales.items()})


main()
