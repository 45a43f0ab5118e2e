"""How alike the networks of a study's sources answer to the states of each two of their games, for its
report to hold against the transfer between them: debiased CKA of each layer, on the states of one
game and of the other, mean over both and over seeds.

    python examples/network_similarity.py runs/five     # writes runs/five/measures.csv; more words go
                                                        # to `qgraft similarity`: --frames 500
    qgraft report runs/five
"""

import csv
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys

QGRAFT = os.environ.get("QGRAFT", "qgraft")
folder, more = pathlib.Path(sys.argv[1]), sys.argv[2:]


def ask(*words):
    return json.loads(subprocess.run([QGRAFT, *map(str, words), "--json"], check=True,
                                     stdout=subprocess.PIPE).stdout)


plan = ask("run", folder, "--plan")
sources = {name.rsplit(":", 1)[0] for run in plan["runs"] for task in run["tasks"]
           for name in task["after"]}
networks = {}  # of each game by seed; of several sources of a game those of the first
for run in plan["runs"]:
    if run["run"] in sources:
        networks.setdefault(run["game"], {
            task["seed"]: folder / task["folder"] / "best.safetensors" for task in run["tasks"]})

rows, layers = [], []
for a, b in itertools.combinations(networks, 2):
    alike = {}
    for seed in networks[a].keys() & networks[b].keys():
        answer = ask("similarity", a, b, "--networks", networks[a][seed], networks[b][seed], *more)
        for layer in answer["representation"]["debiased_cka"]:
            alike.setdefault(layer["layers"][0], []).append(statistics.mean(layer["on"]))
    layers = layers or list(alike)
    rows.append([a, b, *(statistics.mean(alike[layer]) if alike.get(layer) else ""
                         for layer in layers)])
with open(folder / "measures.csv", "w", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows(
        [["game", "other", *(f"cka {layer}" for layer in layers)], *rows])
print(f"{folder}/measures.csv: {len(rows)} pairs of games")
