"""docs/python.md: its snippets run as they stand (but for the trainings, which take minutes), and what it
says of networks in environments is what the library plays."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
qgraft = pytest.importorskip("qgraft", reason="scripts/install-package.sh installs it")

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs/python.md").read_text()
ATARI = pathlib.Path(os.environ.get("QGRAFT_ATARI", ""), "SHA256SUMS")
needs_atari = pytest.mark.skipif(not os.environ.get("QGRAFT_ATARI") or not ATARI.exists(),
                                 reason="QGRAFT_ATARI names no emulator")


def snippets(title):
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def play(title, names, without=""):
    """What the names of a section's snippets are after them."""
    for snippet in snippets(title):
        lines = snippet.splitlines()
        exec("\n".join(line for line in lines if not without or without not in line), names)
    return names


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "zoo").symlink_to(ROOT / "zoo")
    (tmp_path / "runs/breakout").mkdir(parents=True)
    shutil.copy(ROOT / "zoo/breakout-s1.safetensors", tmp_path / "runs/breakout/best.safetensors")
    monkeypatch.chdir(tmp_path)


def test_networks(folder):
    states = np.random.default_rng(1).integers(0, 2, (8, 10, 10, 10)).astype(np.uint8)
    names = play("Networks", {
        "qgraft": qgraft, "states": states, "actions": [0, 1] * 4, "rewards": np.ones(8),
        "next_states": states, "terminals": np.zeros(8), "wanted": np.zeros((8, 3))})
    assert names["q"].shape == (8, 3) and names["features"].shape == (8, 128)
    assert names["trained"].sha256 != names["network"].sha256
    assert qgraft.Network.load("mine.safetensors").sha256 == names["network"].sha256


def test_environments(folder):
    names = {"gymnasium": gymnasium, "qgraft": qgraft}
    made, plays, _ = snippets("Games as environments")
    exec("\n".join(line for line in made.splitlines() if "pong" not in line), names)
    assert names["env"].unwrapped._domain is not None and names["games"].num_envs == 64
    exec(plays, names)
    assert names["network"].actions == names["env"].unwrapped.action_names
    scores = []
    for seed in range(20):
        exec(plays.replace("seed=1", f"seed={seed}"), names)
        scores.append(names["score"])
    played = qgraft.evaluate(names["network"], epsilon=0, steps=10_000)
    error = played.deviation * (1 / len(scores) + 1 / played.episodes) ** 0.5
    assert abs(np.mean(scores) - played.score) < 4 * error and np.mean(scores) > 3


@needs_atari
def test_atari_environments(folder):
    """The stacked screens: the same game as the library's own play of it, which no chance moves."""
    names = play("Games as environments", {})
    assert names["q"].shape == (1, 6)
    env = gymnasium.make("qgraft/space_invaders-v0")
    player = qgraft.Network("nature", actions=env.unwrapped.action_names, seed=1)
    engine = qgraft.Engine(player, learns=False)
    stacked = gymnasium.wrappers.FrameStackObservation(env, 4, padding_type="zero")
    seen, _ = stacked.reset(seed=1)
    over, steps = False, 0
    while not over:
        seen, _, end, truncated, _ = stacked.step(engine.forward(seen[None, ..., 0]).argmax())
        over, steps = end or truncated, steps + 1
    ends = [qgraft.evaluate(player, "space_invaders", epsilon=0, noop_max=0, steps=2 * steps - short).episodes
            for short in (0, 1)]
    assert ends == [2, 1]


def test_statistics():
    random = np.random.default_rng(1)
    runs = {name: random.normal(mean, 0.1, 8) for name, mean in (
        ("fresh_areas", 1), ("areas", 2), ("others", 1), ("task_1", 1), ("task_2", 2))}
    names = play("Statistics", runs)
    assert names["verdicts"]["first 2"].decision == "positive"


def test_the_program():
    words = re.search(r"`python -m (qgraft\s+similarity .*?)`", PAGE, re.DOTALL)[1].split()
    said = subprocess.check_output([sys.executable, "-m", *words, "--frames=100"])
    assert [game["game"] for game in json.loads(said)["games"]] == words[2:4]


def test_presets_of_studies():
    """Those that docs/studies.md names are those that there are."""
    row = re.search(r"^\| `preset` \| (.*?) \|", (ROOT / "docs/studies.md").read_text(), re.MULTILINE)[1]
    with pytest.raises(qgraft.UsageError) as caught:
        qgraft.settings("no such")
    assert re.findall(r"`(\w+)`", row) == str(caught.value).split("allowed: ")[1].split(", ")
