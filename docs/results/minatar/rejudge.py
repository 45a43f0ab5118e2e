"""Judges the study's experiments and claims again from metrics.csv, by today's rules: writes verdicts.csv and claims.csv.

Needs PyYAML. rejudge.py TOOL, the tool being build/release/tests/statistics. metrics.csv is that of the version that ran the study;
the reference of a game is now the mean asymptote of its baseline, and all experiments are judged together."""

import csv
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import yaml

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


def ask(key, question):
    result = subprocess.run([sys.argv[1]], input=json.dumps({key: question}), check=True, capture_output=True,
                            text=True)
    return json.loads(result.stdout)


# ---- Claims: docs/statistics.md ----

WELCH, PAIRED, NOT_ADJUSTED = 1, 2, 2  # qg_compare, qg_adjust (statistics.h)
COLUMNS = {"area": "area", "early": "beginning", "asymptote": "asymptote"}


def fits(row, wanted):
    """Whether a graft is one of those that a claim speaks of."""
    way, _, number = row["copied"].partition(" ")
    said = {"self": row["source_game"] == row["game"], "from": row["source"], "freeze": row["frozen"] == "true",
            way: int(number or 0)}
    return all(said.get(key) in (value if isinstance(value, list) else [value]) for key, value in wanted.items())


def seed_means(rows_of_runs, column, scales):
    """By seed, the mean over runs of what they reached, normalised."""
    values = defaultdict(list)
    for rows in rows_of_runs:
        random, reference = scales[rows[0]["baseline"] or rows[0]["run"]]
        for row in rows:
            values[row["seed"]].append((float(row[column]) - random) / (reference - random))
    return {seed: sum(v) / len(v) for seed, v in sorted(values.items())}


def compare(of, than, runs, column, scales):
    """By seed, `of` minus `than`, game by game where both have games in common, each less its baseline."""
    def gain(arms):
        ours = seed_means(arms, column, scales)
        base = seed_means([runs[rows[0]["baseline"]] for rows in arms], column, scales)
        return {seed: ours[seed] - base[seed] for seed in ours}
    games = sorted({rows[0]["game"] for rows in of} & {rows[0]["game"] for rows in than})
    parts = [[[rows for rows in side if rows[0]["game"] == game] for side in (of, than)] for game in games]
    differences = [(gain(a), gain(b)) for a, b in parts or [(of, than)]]
    return {seed: sum(a[seed] - b[seed] for a, b in differences) / len(differences) for seed in differences[0][0]}


def judge_claim(claim, runs, arms, scales):
    column = COLUMNS[claim.get("metric", "area")]
    of, than = ([rows for rows in arms.values() if fits(rows[0], claim[side])] if side in claim else []
                for side in ("of", "than"))
    assert of and bool(than) == ("than" in claim), claim["says"]
    if than:
        values = compare(of, than, runs, column, scales)
        baseline = dict.fromkeys(values, 0.0)
    else:
        values = seed_means(of, column, scales)
        baseline = seed_means([runs[rows[0]["baseline"]] for rows in of], column, scales)
    question = {"compare": PAIRED if than else WELCH, "adjust": NOT_ADJUSTED, "margin": claim.get("margin", 0.1), "seed": 1,
                "baselines": [{"values": list(baseline.values()), "seeds": [int(s) for s in baseline]}],
                "arms": [{"values": list(values.values()), "seeds": [int(s) for s in values], "baseline": 0,
                          "stratum": "free", "control": False}]}
    verdict, = ask("verdicts", question)
    within = verdict["margin_p"]
    verdict["p"] = min(1, 2 * min(within, 1 - within)) if claim["expect"] == "little" else verdict["p"]
    return verdict, len(of) + len(than)


def finding(claim, effect, p):
    if p > 0.05:
        return "not decided"
    if claim["expect"] == "little":
        return "holds" if abs(effect) < claim.get("margin", 0.1) else "does not hold"
    return "holds" if (claim["expect"] in ("positive", "better")) == (effect > 0) else "does not hold"


def judge_claims(runs, arms, scales):
    claims = yaml.safe_load((FOLDER / "study.yaml").read_text())["claims"]
    judged = [judge_claim(claim, runs, arms, scales) for claim in claims]
    adjusted = ask("adjusted", {"p": [verdict["p"] for verdict, _ in judged]})["any"]
    with open(FOLDER / "claims.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["says", "source", "expect", "metric", "finding", "effect", "low", "high", "p", "p_adjusted",
                         "experiments"])
        for claim, (verdict, count), p in zip(claims, judged, adjusted):
            effect = verdict["effect"][0]
            writer.writerow([claim["says"], claim.get("source", ""), claim["expect"], claim.get("metric", "area"),
                             finding(claim, effect, p), *(f"{x:.6g}" for x in (effect, *verdict["raw"][1:],
                                                                             verdict["p"], p)), count])


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
    judge_claims(runs, arms, scales)
    verdicts, pairing = ask("verdicts", question), ask("pairing", question)
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
