"""The Atari emulator and the whole pipeline against ale-py: screens, RAM, rewards, ends, lives, modes,
difficulties, action sets, and what the agent sees.

The library that qgraft opens and ale-py are two builds of one source, so every frame must be the
same from the first on. The 84x84 screens are computed here from ale-py's RGB frames by the
formulas of DQN 3.0, in the order of its float operations, so they must be equal too. A dozen games;
all of them, longer and in every mode, with QGRAFT_TEST_ALL_GAMES (`make soak`).
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from emulator import Emulator, Refused, draw_actions, play

ale_py = pytest.importorskip("ale_py")
roms = pytest.importorskip("ale_py.roms")

QGRAFT = os.environ.get("QGRAFT")
ATARI = pathlib.Path(os.environ.get("QGRAFT_ATARI") or os.path.join(
    os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "qgraft", "atari"
))
LIBRARY = ATARI / "libqgraft_ale.so"
pytestmark = [
    pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program"),
    pytest.mark.skipif(not LIBRARY.exists(),
                       reason="no Atari emulator: run 'make atari' or set QGRAFT_ATARI"),
]

SIDE = 84

# Joystick and paddle games, NTSC and PAL, cartridges with and without banks, games of other rules in
# other emulators, one with two difficulty switches set, one that draws random numbers of its own.
FEW = """breakout space_invaders qbert beam_rider pong air_raid backgammon chopper_command
casino video_checkers adventure pitfall2 tic_tac_toe_3d""".split()
THOROUGH = bool(os.environ.get("QGRAFT_TEST_ALL_GAMES"))
GAMES = FEW
if THOROUGH:
    GAMES = sorted(rom.stem for rom in (ATARI / "roms").glob("*.bin")
                   if ale_py.ALEInterface.isSupportedROM(str(rom)))
    assert len(GAMES) == 104
FRAMES = 12000 if THOROUGH else 2000  # of play, at most, until two episodes have ended


def rom(game):
    return ATARI / "roms" / f"{game}.bin"


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


def open_ale(game, seed=1, mode=None, difficulty=None):
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path(game))
    if mode is not None:
        ale.setMode(mode)
    if difficulty is not None:
        ale.setDifficulty(difficulty)
    if mode is not None or difficulty is not None:
        ale.reset_game()
    return ale


def sweep(frames):
    """Every action for half a second, one after the other."""
    return [frame // 30 % 18 for frame in range(frames)]


def assert_alike(ours, theirs, where):
    assert ours.frame.lives == theirs.lives(), where
    assert ours.frame.over == theirs.game_over(), where
    assert ours.frame.episode_frames == theirs.getEpisodeFrameNumber(), where
    assert ours.ram() == theirs.getRAM().tobytes(), where
    assert ours.screen() == theirs.getScreen().tobytes(), where


def play_alike(ours, theirs, actions, where):
    """Frame by frame, over the end of an episode into the next; gives the number of ends."""
    ends = 0
    ours.look()
    assert_alike(ours, theirs, (where, "start"))
    for at, action in enumerate(actions):
        assert ours.act(action) == theirs.act(action), (where, at)
        assert_alike(ours, theirs, (where, at))
        if ours.frame.over:
            ends += 1
            ours.reset()
            theirs.reset_game()
            if ends == 2:
                break
    return ends


@pytest.mark.parametrize("game", GAMES)
def test_the_emulator_is_ale_pys(game):
    ours, theirs = Emulator(LIBRARY, rom(game)), open_ale(game)
    assert ours.table.version.decode() == ale_py.__version__
    assert ours.modes == list(theirs.getAvailableModes())
    assert ours.difficulties == list(theirs.getAvailableDifficulties())
    assert ours.minimal == [int(a.value) for a in theirs.getMinimalActionSet()]
    assert ours.legal == [int(a.value) for a in theirs.getLegalActionSet()]
    np.testing.assert_array_equal(ours.palette[theirs.getScreen()], theirs.getScreenRGB())
    ends = play_alike(ours, theirs, draw_actions(7, FRAMES), "random")
    print(f"{game}: {ends} ends", end=" ")
    ours.close()

    ours, theirs = Emulator(LIBRARY, rom(game), seed=0), open_ale(game, seed=0)
    ends = play_alike(ours, theirs, sweep(FRAMES // 3), "scripted")
    print(f"and {ends}")
    ours.close()


@pytest.mark.parametrize("game", GAMES)
def test_every_mode_is_ale_pys(game):
    """Modes with the first difficulty, difficulties with the first mode."""
    theirs = open_ale(game)
    modes, difficulties = theirs.getAvailableModes(), theirs.getAvailableDifficulties()
    starts = [(mode, difficulties[0]) for mode in modes] + [(modes[0], d) for d in difficulties[1:]]
    if not THOROUGH:
        starts = starts[:2] + starts[-1:]
    for seed, (mode, difficulty) in enumerate(starts):
        ours = Emulator(LIBRARY, rom(game), seed, mode, difficulty)
        if mode == modes[0] and difficulty == 0:  # which needs no second start, and takes none
            theirs = open_ale(game, seed)
        else:
            theirs = open_ale(game, seed, mode, difficulty)
        play_alike(ours, theirs, draw_actions(3, 120 if THOROUGH else 60), (mode, difficulty))
        ours.close()


@pytest.mark.parametrize("game", GAMES)
def test_a_restart_is_a_fresh_process(game):
    frames = 1000 if THOROUGH else 300
    ours = Emulator(LIBRARY, rom(game), seed=5)
    begun = play(ours, draw_actions(1, frames))
    play(ours, draw_actions(2, 4 * frames))
    ours.restart(5)
    assert play(ours, draw_actions(1, frames)) == begun
    ours.close()
    child = [sys.executable, pathlib.Path(__file__).parent / "emulator.py", LIBRARY, rom(game), "5", str(frames)]
    assert int(subprocess.run(child, check=True, capture_output=True).stdout) == begun


def refused(*arguments, **options):
    with pytest.raises(Refused) as refusal:
        Emulator(LIBRARY, *arguments, **options)
    return str(refusal.value)


def test_what_ale_refuses_is_an_error(tmp_path):
    assert refused(tmp_path / "missing.bin").endswith("missing.bin: the emulator says: ROM file doesn't exist")
    (tmp_path / "pong.bin").write_bytes(b"not a ROM" * 200)
    assert "not one of the ROMs that ALE knows" in refused(tmp_path / "pong.bin")
    assert "not one of the ROMs that ALE knows" in refused(rom("combat"))  # for two
    assert refused(tmp_path)
    assert refused(rom("pong"), mode=77) == "mode 77: this game has 0, 1"
    assert refused(rom("pong"), difficulty=9) == "difficulty 9: this game has 0, 1, 2, 3"
    ours = Emulator(LIBRARY, rom("pong"))
    for action in (-1, 18, 40, 77):
        with pytest.raises(Refused, match="expected 0 to 17"):
            ours.act(action)
    ours.error.message = b""
    with pytest.raises(Refused, match="setRAM index out of bounds"):
        ours.check(ours.table.poke(ours.machine, 128, 1, ours.error))
    ours.close()

    gone = tmp_path / "breakout.bin"
    shutil.copy(rom("breakout"), gone)
    ours = Emulator(LIBRARY, gone)
    gone.unlink()
    with pytest.raises(Refused, match="ROM file doesn't exist"):
        ours.restart(3)
    ours.act(1)  # the machine is what it was
    ours.close()


def rollout(tmp_path, game, actions):
    moves, out = tmp_path / "moves.txt", tmp_path / "play.safetensors"
    moves.write_text("".join(f"{action}\n" for action in actions))
    subprocess.run(
        [QGRAFT, "rollout", game, "--actions", moves, "--seed", "1", "--raw", "--out", out],
        check=True,
    )
    play = load_file(out)
    out.unlink()  # 100 MB, and pytest keeps its folders
    return play


@pytest.mark.parametrize("game", ["breakout", "qbert", "ms_pacman", "beam_rider", "demon_attack", "seaquest"])
def test_the_pipeline_is_dqn3s_on_ale_py(tmp_path, game):
    """Over the first episode, with the agent's screens."""
    ale = open_ale(game)
    codes = ale.getMinimalActionSet()
    draw = random.Random(1)
    actions, expected = [], []
    older = newer = ale.getScreenRGB()
    while not ale.game_over():
        actions.append(draw.randrange(len(codes)))
        reward = 0
        for _ in range(4):
            reward += ale.act(codes[actions[-1]])
            older, newer = newer, ale.getScreenRGB()
            if ale.game_over():
                break
        expected.append((reward, ale.game_over(), ale.getScreen(), preprocess(newer, older), ale.getRAM()))
    assert len(actions) > 100
    play = rollout(tmp_path, game, actions)
    assert play["actions"].tolist() == actions
    for name, values in zip(("rewards", "ends", "screens", "observations", "ram"), zip(*expected)):
        for step, value in enumerate(values):
            assert np.array_equal(play[name][step], value), (name, step)


def fails(folder):
    """The one line of a rollout with the emulator of that folder."""
    result = subprocess.run([QGRAFT, "rollout", "pong", "--random", "5", "--seed", "1", "--out", folder / "x"],
                            capture_output=True, text=True, timeout=1200,
                            env={**os.environ, "QGRAFT_ATARI": str(folder)})
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert "make atari" in result.stderr, result
    return result.stderr


def test_an_emulator_that_is_cut_off(tmp_path):
    whole = LIBRARY.read_bytes()
    for part in (0.01, 0.3, 0.6, 0.9):
        (tmp_path / LIBRARY.name).write_bytes(whole[:int(len(whole) * part)])
        assert "cut off" in fails(tmp_path)
    (tmp_path / LIBRARY.name).write_bytes(b"")
    assert LIBRARY.name in fails(tmp_path)


def compile_library(folder, text):
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", folder / LIBRARY.name], input=text,
                   text=True, check=True)


def test_an_emulator_of_another_version(tmp_path):
    assert "No such file" in fails(tmp_path)
    (tmp_path / "libale_c.so").write_bytes(b"")  # what was there before
    assert "the emulator of an earlier qgraft" in fails(tmp_path)
    compile_library(tmp_path, "int other;")
    assert "is not the emulator's library" in fails(tmp_path)
    compile_library(tmp_path, "static int table[64] = {77}; void *qg_ale_table(void) { return table; }")
    assert "of another version of qgraft (interface 77; expected 2)" in fails(tmp_path)
    compile_library(tmp_path, "void *qg_ale_table(void) { return 0; }")
    assert "is not the emulator's library" in fails(tmp_path)


def test_networks_carry_their_emulator(tmp_path):
    """Those of before ALE name none; where one was trained in a mode whose number has moved, whoever
    uses it is told."""
    small = '--set validation_size=50 --set learn_start=100 --set replay=500 --set eval_steps=40 --set eval_every=200'.split()

    def call(*words):
        return subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True, timeout=120, cwd=tmp_path)

    result = call("train", "pong:mode=1", "--steps", 200, "--threads", 1, "--quiet", "--out", "run", *small)
    assert result.returncode == 0, result
    new = tmp_path / "run/last.safetensors"
    with safe_open(new, "numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    assert metadata["emulator"] == f"ale {ale_py.__version__}"
    old = tmp_path / "old.safetensors"
    save_file(tensors, old, {k: v for k, v in metadata.items() if k != "emulator"})

    for network, warned in ((new, False), (old, True)):
        for words in (["evaluate", network, "--steps", 20], ["play", network, "--steps", 5, "--gif", "x.gif"],
                      ["stitch", network, "--source", network, "--at", 1, "--steps", 5],
                      ["graft", network, "--to", "breakout", "--first", 1, "--dry-run"]):
            result = call(*words)
            assert result.returncode == 0, result
            assert result.stderr.count("by the numbers of the emulator before ALE") == warned, result
    save_file(tensors, old, {k: v.replace(":mode=1", "") for k, v in metadata.items() if k != "emulator"})
    assert "before ALE" not in call("evaluate", old, "--steps", 20).stderr
