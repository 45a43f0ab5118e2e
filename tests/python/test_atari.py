"""The whole Atari pipeline against ale-py: screens, RAM, rewards, ends and what the agent sees.

The C library that qgraft opens and ale-py are two builds of one emulator. With random_seed=39 both
begin the first game alike, once ale-py has played a few no-ops more, and from there every frame of
the episode must be the same. (Later games do not align: the timer is drawn anew at each.) The
84x84 screens are computed here from ale-py's RGB frames by the formulas of DQN 3.0, in the order
of its float operations, so they must be equal too.
"""

import os
import random
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file

ale_py = pytest.importorskip("ale_py")
roms = pytest.importorskip("ale_py.roms")

QGRAFT = os.environ.get("QGRAFT")
ATARI = os.environ.get("QGRAFT_ATARI") or os.path.join(
    os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "qgraft", "atari"
)
pytestmark = [
    pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program"),
    pytest.mark.skipif(
        not os.path.exists(os.path.join(ATARI, "libale_c.so")),
        reason="no Atari emulator: run 'make atari' or set QGRAFT_ATARI",
    ),
]

SEED = 39
SIDE = 84
STEPS = 3000  # more than the first episode of random play has

# game: no-ops that ale-py plays more; bytes of RAM that differ (in Seaquest a dead one)
GAMES = {
    "breakout": (2, 0),
    "qbert": (2, 0),
    "ms_pacman": (2, 0),
    "beam_rider": (3, 0),
    "demon_attack": (2, 0),
    "seaquest": (2, 1),
}


def shrink(values, axis):
    """torch's image.scale 'bilinear' for a shrink, along one axis, in float32."""
    values = np.moveaxis(values, axis, 0).astype(np.float32)
    length = values.shape[0]
    one = np.float32(1)
    scale = np.float32(length) / np.float32(SIDE)
    out = np.empty((SIDE,) + values.shape[1:], np.float32)
    begin, begin_part = 0, np.float32(0)
    for i in range(SIDE):
        point = np.float32(i + 1) * scale
        end = int(point)
        end_part = point - np.float32(end)
        total = one - begin_part
        acc = total * values[begin]
        for source in range(begin + 1, end):
            acc = acc + values[source]
            total = total + one
        if end < length:
            acc = acc + end_part * values[end]
            total = total + end_part
        out[i] = acc / total
        begin, begin_part = end, end_part
    return np.moveaxis(out, 0, axis)


def preprocess(newer, older):
    """u8 [H, 160, 3], twice -> u8 [84, 84]."""
    rgb = np.maximum(newer, older).astype(np.float64)
    y = (0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]).astype(np.float32)
    return shrink(shrink(y, 1), 0).astype(np.uint8)


def open_ale(game, extra_noops):
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", SEED)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path(game))
    for _ in range(extra_noops):
        ale.act(ale_py.Action.NOOP)
    return ale


def rollout(tmp_path, game, actions):
    moves, out = tmp_path / "moves.txt", tmp_path / "play.safetensors"
    moves.write_text("".join(f"{action}\n" for action in actions))
    subprocess.run(
        [QGRAFT, "rollout", game, "--actions", moves, "--seed", str(SEED), "--raw", "--out", out],
        check=True,
    )
    play = load_file(out)
    out.unlink()  # 100 MB, and pytest keeps its folders
    return play


@pytest.mark.parametrize("game", GAMES)
def test_first_episode_is_ale_pys(tmp_path, game):
    extra_noops, differing_bytes = GAMES[game]
    ale = open_ale(game, extra_noops)
    codes = ale.getMinimalActionSet()
    draw = random.Random(1)
    actions = [draw.randrange(len(codes)) for _ in range(STEPS)]
    play = rollout(tmp_path, game, actions)
    assert play["actions"].tolist() == actions

    differing = set()
    older = newer = ale.getScreenRGB()
    for step, action in enumerate(actions):
        reward = 0
        for _ in range(4):
            reward += ale.act(codes[action])
            older, newer = newer, ale.getScreenRGB()
            if ale.game_over():
                break
        assert play["rewards"][step] == reward, step
        assert play["ends"][step] == ale.game_over(), step
        np.testing.assert_array_equal(play["screens"][step], ale.getScreen(), str(step))
        np.testing.assert_array_equal(play["observations"][step], preprocess(newer, older), str(step))
        differing |= set(np.flatnonzero(play["ram"][step] != ale.getRAM()))
        if ale.game_over():
            break
    assert ale.game_over(), "the first episode is longer than this test"
    assert len(differing) <= differing_bytes, differing
    assert step > 100


def test_an_emulator_that_is_cut_off(tmp_path):
    whole = open(os.path.join(ATARI, "libale_c.so"), "rb").read()
    for part in (0.01, 0.3, 0.6, 0.9):
        (tmp_path / "libale_c.so").write_bytes(whole[:int(len(whole) * part)])
        result = subprocess.run([QGRAFT, "rollout", "pong", "--random", "5", "--seed", "1", "--out", "x"],
                                capture_output=True, text=True, timeout=60,
                                env={**os.environ, "QGRAFT_ATARI": str(tmp_path)})
        assert result.returncode == 1 and "cut off" in result.stderr, result
        assert "make atari" in result.stderr and result.stderr.count("\n") == 1
