"""docs/tutorial.md, command by command, as a reader types them. With QGRAFT_TUTORIAL=all (make soak) in a fresh clone,
from the build to the report at full length, which must say what the page says; else what comes behind the installation,
with one seed and a fifth of the steps."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("pygame")
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/tutorial.md").read_text()
BLOCKS = [block.strip() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
WHOLE = os.environ.get("QGRAFT_TUTORIAL") == "all"


def run(commands, folder, **variables):
    result = subprocess.run(["bash", "-euc", commands], cwd=folder, capture_output=True, text=True,
                            timeout=7200, env=dict(os.environ, **variables))
    assert result.returncode == 0, commands + result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader would be behind the first block, and the PATH that they have."""
    folder = tmp_path_factory.mktemp("tutorial") / "qgraft"
    if WHOLE:
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        return folder, {"PATH": run(BLOCKS[0] + "\nprintenv PATH", folder).splitlines()[-1]}
    for part in "examples", "studies":
        shutil.copytree(ROOT / part, folder / part)
    study = folder / "studies/tutorial.yaml"
    short = study.read_text()
    for line, instead in (("seeds: 10", "seeds: 1"), ("baseline_seeds: 20", "baseline_seeds: 1"),
                          ("steps: 6k", "steps: 1200"), ("epsilon_steps: 3k", "epsilon_steps: 600"),
                          ("eval_every: 500", "eval_every: 1200")):
        assert re.search(f"(^|[ {{]){line}", short, re.MULTILINE)
        short = re.sub(f"(^|[ {{]){line}", rf"\1{instead}", short, count=1, flags=re.MULTILINE)
    study.write_text(short)
    game = folder / "examples/cartpole.py"  # small pictures, which the similarity of games looks at
    line = "self.gravity, self.length = gravity, length\n"
    assert line in game.read_text()
    game.write_text(game.read_text().replace(
        line, line + "        self.screen_width, self.screen_height = 120, 80\n"))
    return folder, {"PATH": os.pathsep.join([str(Path(os.environ["QGRAFT"]).parent), str(Path(sys.executable).parent),
                                             os.environ["PATH"]])}


def test_every_command(folder):
    place, path = folder
    said = [run(block, place, **path) for block in BLOCKS[1:]]
    assert len(said) == 2 and all(said)
    report = place / "runs/tutorial"
    assert "<h2>Claims beside what was found" in (report / "report.html").read_text()
    for name in re.findall(r"`runs/tutorial/(figures/[^`]*)`", PAGE):
        assert (report / name).stat().st_size > 10_000
    with open(report / "metrics.csv", newline="") as file:
        metrics = list(csv.DictReader(file))
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.* \| ([\w ]+) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == {row["run"] for row in metrics} - {"simulator", "fresh"}
    if WHOLE:  # what is short has learned nothing, and is not judged
        assert rows == {row["run"]: row["verdict"] for row in metrics if row["row"] == "pooled"}
