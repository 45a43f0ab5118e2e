"""The zoo's networks are what their page says, and one can begin from them."""

import json
import re
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from test_cli import qgraft

ZOO = Path(__file__).resolve().parents[2] / "zoo"
sys.path.insert(0, str(ZOO))
import table  # noqa: E402

NAMES = [f"{game}-s{seed}{early}" for game in table.GAMES for seed in table.SEEDS for early in ("", "-early")]


def test_what_is_in_it():
    files = sorted(ZOO.glob("*.safetensors"))
    assert sorted(f.stem for f in files) == sorted(NAMES)
    assert sum(f.stat().st_size for f in files) < 15e6
    for file in files:
        game, seed = re.fullmatch(r"(\w+)-s(\d)(?:-early)?", file.stem).groups()
        with safe_open(file, "numpy") as tensors:
            said = tensors.metadata()
        early = file.stem.endswith("-early")
        known = {"format": "qgraft network 1", "architecture": "grid", "input": "10,10,10,1", "history": "1",
                 "domain": f"minatar/{game}", "seed": seed}
        assert said.items() >= known.items()
        own = {"actions", "step", "score"} | (set() if early else {"confirmed_score"})
        assert said.keys() == known.keys() | own  # and nothing of the machine
        assert said["step"] == "150000" if early else int(said["step"]) % 50_000 == 0


def test_every_network_is_in_the_table():
    rows = re.findall(r"^\| `([\w-]+)` ", (ZOO / "README.md").read_text(), re.MULTILINE)
    assert rows == [name for name in NAMES if not name.endswith("-early")]


@pytest.mark.parametrize("name", ["breakout-s2"])
def test_scores_are_played_again(name):
    row = next(line for line in (ZOO / "README.md").read_text().splitlines() if line.startswith(f"| `{name}` "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[4:7] == table.numbers(table.play(ZOO / f"{name}.safetensors"))
    assert cells[7:] == table.numbers(table.play(ZOO / f"{name}-early.safetensors"))


def test_the_commands_of_the_page(tmp_path):
    """As typed, but for the length of the runs and evaluations, and for what needs a terminal."""
    page = (ZOO / "README.md").read_text()
    commands = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1].splitlines()[1:]
    assert len(commands) == 6
    for command in commands:
        words = command.split("#")[0].split()[1:]
        if words[0] == "graft":
            words[words.index("200k")] = "1000"
            words += ["--out", str(tmp_path / "graft"), "--set", "learn_start=500", "--quiet"]
        if words[0] == "evaluate":
            words[words.index("100k")] = "1000"
        if words[0] == "play":
            words += ["--gif", str(tmp_path / "play.gif")]
        if words[0] == "stitch":
            words += ["--steps", "1000"]
        qgraft(*words, cwd=ZOO.parent)
    assert "kind: graft" in (tmp_path / "graft/run.yaml").read_text()


def test_the_study_of_the_page(tmp_path):
    study = re.search(r"```yaml\n(.*?)```", (ZOO / "README.md").read_text(), re.DOTALL)[1]
    (tmp_path / "zoo.yaml").write_text(study.replace("zoo/", f"{ZOO}/"))
    plan = json.loads(qgraft("run", tmp_path / "zoo.yaml", "--plan", "--json", cwd=tmp_path).stdout)
    grafts = [run for run in plan["runs"] if "from-breakout" in run["run"]]
    assert len(grafts) == 1 and [task["seed"] for task in grafts[0]["tasks"]] == [1, 2, 3]
