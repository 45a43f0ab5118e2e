"""A saved game, restored in a process of its own, goes on as the one that was not saved: screens, RAM,
rewards, ends, truncations (tests/tools/saved_games.c plays). A handful of games with few saves; with
QGRAFT_TEST_ALL_GAMES (`make soak`) every game."""

import json
import os
import subprocess
from pathlib import Path

import pytest

QGRAFT = os.environ.get("QGRAFT")
EMULATOR = os.environ.get("QGRAFT_ATARI")
ALL = os.environ.get("QGRAFT_TEST_ALL_GAMES")
TOOL = Path(QGRAFT or "").resolve().parents[2] / "tests" / "saved_games"
# Those of which the emulator's own states lacked fields, or that end in their own way.
FIRST = ["chopper_command", "miniature_golf", "tic_tac_toe_3d", "double_dunk", "qbert:level=2",
         "tetris", "pitfall2"]
GRIDS = ["minatar/asterix", "minatar/breakout", "minatar/freeway", "minatar/seaquest:level=3",
         "minatar/space_invaders"]

pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")


def all_games():
    listed = subprocess.run([QGRAFT, "games", "--json"], capture_output=True, check=True).stdout
    return [g["name"] for g in json.loads(listed) if "/" not in g["name"]]


def goes_on(game, sticky, frame_skip, steps, saves, follow):
    result = subprocess.run([TOOL, game, sticky, str(frame_skip), str(steps), str(saves), str(follow)],
                            capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{saves} saves" in result.stdout


@pytest.mark.parametrize("frame_skip", [1, 4])
@pytest.mark.parametrize("sticky", ["0", "0.25"])
@pytest.mark.parametrize("game", GRIDS)
def test_grids(game, sticky, frame_skip):
    goes_on(game, sticky, frame_skip, 3000, 20, 1000)


@pytest.mark.skipif(not EMULATOR, reason="QGRAFT_ATARI does not name the emulator")
@pytest.mark.parametrize("frame_skip", [1, 4])
@pytest.mark.parametrize("sticky", ["0", "0.25"])
@pytest.mark.parametrize("game", FIRST + all_games() if ALL and QGRAFT and EMULATOR
                         else ["chopper_command", "qbert:level=2", "breakout"])
def test_atari(game, sticky, frame_skip):
    if ALL:
        goes_on(game, sticky, frame_skip, 1500 // frame_skip, 4, 4000)
    else:
        goes_on(game, sticky, frame_skip, 900 // frame_skip, 2, 400)
