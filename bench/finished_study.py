"""Makes the folder of a finished study of 1,050 runs without running any, to time its report:

    python3 bench/finished_study.py build/release/src/cli/qgraft build/big
    /usr/bin/time -v build/release/src/cli/qgraft report build/big/study
"""

import json
import os
import pathlib
import random
import subprocess
import sys

program, out = sys.argv[1:]
out = pathlib.Path(out)
out.mkdir(parents=True, exist_ok=True)
games = ["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
(out / "big.yaml").write_text(f"""
study: big
steps: 100k
seeds: 10
settings: {{eval_every: 1k, learn_start: 5k, epsilon_steps: 50k}}
sources: {{{", ".join(f"{g}: {{game: minatar/{g}}}" for g in games)}}}
runs:
  - {{game: [{", ".join("minatar/" + g for g in games)}], from: [{", ".join(games)}], first: [1, 3],
     freeze: [false, true]}}
games: {{{", ".join(f"minatar/{g}: {{random: 0, reference: 10}}" for g in games)}}}
""")
plan = json.loads(subprocess.run(
    [program, "run", out / "big.yaml", "--out", out / "study", "--plan", "--json"],
    capture_output=True, text=True, check=True).stdout)
folder = out / "study"
folder.mkdir(exist_ok=True)
(folder / "study.yaml").write_bytes((out / "big.yaml").read_bytes())
(folder / "study.json").write_text(json.dumps(
    {"format": 1, "study": "big", "scale": 1.0, "base": str(out.resolve())}))
# One network for all, which the report reads as if it were each one's own.
subprocess.run([program, "train", "minatar/breakout", "--steps", "0", "--out", out / "network",
                "--overwrite", "--quiet"], check=True)
random.seed(1)
count = 0
for run in plan["runs"]:
    for task in run["tasks"]:
        run_folder = folder / task["folder"]
        if "similarity" in run["run"] or "random-score" in run["run"]:
            continue
        run_folder.mkdir(parents=True, exist_ok=True)
        count += 1
        (run_folder / "task.json").write_text(json.dumps(
            {"hash": task["hash"], "state": "finished", "seconds": 1.0, "host": "x", "message": ""}))
        (run_folder / "run.yaml").write_text("qgraft: 0.1.0\n")
        (run_folder / "process.yaml").write_text("host: x\nstate: finished\n")
        (run_folder / "training.csv").write_text("")
        (run_folder / "best.safetensors").unlink(missing_ok=True)
        os.link(out / "network/best.safetensors", run_folder / "best.safetensors")
        lift = random.gauss(0, 1)
        rows = [f"{step * 1000},{max(0, step / 10 + lift + random.gauss(0, 1)):.4f},9,1,0,9,,"
                for step in range(101)]
        (run_folder / "evaluations.csv").write_text(
            "step,score,episodes,deviation,minimum,maximum,validation_q,validation_td_error\n"
            + "\n".join(rows) + "\n")
print(count, "runs")
