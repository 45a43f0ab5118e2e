"""Evaluating, playing, drawing and measuring, as a person at the terminal does it."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from test_cli import QGRAFT, qgraft, refusal

GAME = "minatar/seaquest"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    qgraft("train", GAME, "--steps", 0, "--out", folder, "--quiet")
    return folder / "last.safetensors"


def on_terminal(*arguments, until=None, rows=24, columns=80, **environment):
    """What a command writes on a terminal, and its exit code; Ctrl-C once `until` has come."""
    pid, terminal = pty.fork()
    if pid == 0:
        for name in ("COLORTERM", "NO_COLOR"):
            os.environ.pop(name, None)
        os.environ.update({"TERM": "xterm-256color", **environment})
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))  # before it is asked for
        os.execv(QGRAFT, [QGRAFT, *map(str, arguments)])
    output, end = b"", time.monotonic() + 1200
    while time.monotonic() < end and select.select([terminal], [], [], 1200)[0]:
        try:
            output += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if until and until in output:
            os.kill(pid, signal.SIGINT)
            until = None
    os.close(terminal)
    return output, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def assert_cursor_restored(output):
    assert output.count(b"\x1b[?25l") == output.count(b"\x1b[?25h") == 1
    assert output.rindex(b"\x1b[?25h") > output.rindex(b"\x1b[?25l")


def test_piped_play_prints_a_line_for_each_episode(network):
    lines = qgraft("play", network, "--episodes", 3).stdout.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(rf"episode {number}: score \d+, \d+ steps", line)
    assert len(qgraft("play", network).stdout.splitlines()) == 1
    assert qgraft("play", "--random", GAME, "--steps", 5).stdout == \
        "episode 1: score 0, 5 steps, not ended\n"


def test_play_is_what_evaluate_measures(network):
    scores = re.findall(r"score (\d+), \d+ steps\n", qgraft(
        "play", network, "--steps", 600, "--seed", 5).stdout)
    result = json.loads(qgraft("evaluate", network, "--steps", 600, "--seed", 5, "--json").stdout)
    assert result["episodes"] == len(scores) > 1
    assert result["score"] == pytest.approx(sum(map(int, scores)) / len(scores))


@pytest.mark.parametrize("fps, milliseconds", [(10, 100), (15, 200 / 3), (1000, 20)])
def test_gif(network, tmp_path, fps, milliseconds):
    path = tmp_path / "play.gif"
    lines = qgraft("play", network, "--steps", 40, "--gif", path, "--fps", fps).stdout.splitlines()
    assert os.listdir(tmp_path) == ["play.gif"]
    with Image.open(path) as gif:
        assert gif.format == "GIF" and gif.size == (160, 160) and gif.info["loop"] == 0
        assert gif.n_frames == 40 + len(lines)  # every episode has a picture before its first step
        time_shown = 0
        for frame in range(gif.n_frames):
            gif.seek(frame)
            time_shown += gif.info["duration"]
            image = gif.convert("RGB")
            assert image.getpixel((17, 17)) == image.getpixel((30, 30))  # one cell
        assert time_shown == pytest.approx(milliseconds * gif.n_frames, abs=10)


def test_gif_of_atari(tmp_path):
    if "QGRAFT_ATARI" not in os.environ:
        pytest.skip("QGRAFT_ATARI is not set")
    qgraft("play", "--random", "breakout", "--steps", 20, "--gif", tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (320, 210) and gif.n_frames == 21
        gif.seek(20)
        assert gif.convert("RGB").getpixel((4, 100)) == (142, 142, 142)  # the wall


def test_gif_that_cannot_be_written(tmp_path):
    assert "no/a.gif" in refusal("play", "--random", GAME, "--gif", tmp_path / "no/a.gif", code=1)
    (tmp_path / "a.gif").mkdir()
    result = qgraft("play", "--random", GAME, "--steps", 3, "--gif", tmp_path / "a.gif", code=1)
    assert "a.gif" in result.stderr and os.listdir(tmp_path) == ["a.gif"]


def test_drawing_hides_the_cursor_and_shows_it_again(network):
    output, code = on_terminal("play", network, "--steps", 5, "--fps", 1000)
    assert code == 0 and b"\x1b[48;5;" in output and b"\x1b[48;2;" not in output
    assert b"action " in output and b"score " in output and b"episode 1  step 5" in output
    assert_cursor_restored(output)


def test_drawing_in_true_colour_on_a_small_terminal():
    output, code = on_terminal("play", "--random", GAME, "--steps", 5, "--fps", 1000, rows=8,
                               columns=30, COLORTERM="truecolor")
    assert code == 0 and b"\x1b[38;2;" in output and "\u2580".encode() in output
    assert output.rstrip().count(b"\n") == 6 * 7  # a start and 5 steps: 4 and 3 lines each
    assert_cursor_restored(output)


def test_interrupt_shows_the_cursor_again(tmp_path):
    output, code = on_terminal("play", "--random", GAME, "--fps", 0.1, "--gif",
                               tmp_path / "a.gif", until=b"step 0")
    assert code == 130
    assert_cursor_restored(output)
    with Image.open(tmp_path / "a.gif") as gif:  # what was played until then
        assert 1 <= gif.n_frames <= 2


def test_a_terminal_without_colour_gets_lines():
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        output, code = on_terminal("play", "--random", GAME, "--steps", 5, **environment)
        assert code == 0 and output == b"episode 1: score 0, 5 steps, not ended\r\n"
    output, code = on_terminal("play", "--random", GAME, "--steps", 5, "--no-draw")
    assert code == 0 and b"\x1b" not in output


def test_a_network_plays_with_its_own_actions(tmp_path, network):
    """Seaquest's six are the full set of every grid game; Asterix' five are no other game's."""
    assert "steps" in qgraft("play", network, "minatar/breakout", "--no-draw").stdout
    qgraft("train", "minatar/asterix", "--steps", 0, "--out", tmp_path / "r", "--quiet")
    assert "actions" in refusal("play", tmp_path / "r" / "last.safetensors", "minatar/breakout",
                                code=2)


def test_outputs_go_by_their_names(tmp_path, network):
    """In another order they play the same; where none is the game's, by place, and it is said."""
    with safe_open(network, "numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    last = max(name for name in tensors if name.startswith("fc")).split(".")[0]
    order = [3, 0, 5, 1, 4, 2]
    moved = {name: value[order].copy() if name.startswith(last) else value for name, value in tensors.items()}
    names = metadata["actions"].split(",")
    for name, values, actions in (("moved", moved, [names[i] for i in order]), ("other", tensors, list("abcdef"))):
        save_file(values, tmp_path / name, {**metadata, "actions": ",".join(actions)})
    words = ["--steps", 500, "--epsilon", 0, "--json"]
    plain = qgraft("evaluate", network, *words)
    assert not plain.stderr
    for name in ("moved", "other"):
        result = qgraft("evaluate", tmp_path / name, *words)
        assert json.loads(result.stdout) == {**json.loads(plain.stdout), "network": str(tmp_path / name)}
        assert ("actions are 'a,b,c,d,e,f', those of minatar/seaquest" in result.stderr) == (name == "other")
        assert result.stderr.count("\n") == (name == "other")
    assert "in another order" in refusal("distill", tmp_path / "moved", "--out", tmp_path / "student")


def test_a_game_is_cut_off(network):
    line = qgraft("play", network, "--no-draw", "--max-episode-frames", 5, "--episodes", 2).stdout
    assert line.splitlines()[0].endswith("5 steps, cut off") and line.count("\n") == 2
    shown = json.loads(qgraft("evaluate", network, "--steps", 50, "--max-episode-frames", 5,
                              "--json").stdout)
    assert shown["episodes"] == 10
    result = qgraft("evaluate", network, "--steps", 3)
    assert "no episode ended" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments, message", [
    (["--fps", 0], "--fps: '0'"),
    (["--fps", "nan"], "--fps: 'nan'"),
    (["--episodes", 0], "--episodes: '0'"),
    (["--steps", "many"], "many"),
    (["--epsilon", 2], "epsilon"),
    (["--seed", -1], "--seed: '-1'"),
    (["--isa", "mmx"], "mmx"),
    (["minatar/seaqest"], "did you mean 'minatar/seaquest'"),
    (["minatar/seaquest:mode=1"], "mode"),
    (["minatar/seaquest:level=999"], "level"),
])
def test_play_and_evaluate_refuse(network, arguments, message):
    assert message in refusal("play", network, *arguments)
    if arguments[0] not in ("--fps", "--episodes"):
        assert message in refusal("evaluate", network, *arguments)


@pytest.mark.parametrize("arguments", [
    ["play"], ["play", "a", "b", "c"], ["play", "--random"], ["play", "--random", "a", "b"],
    ["play", "--random", GAME, "--epsilon", 0.1], ["play", "--nix"], ["evaluate"],
    ["evaluate", "a", "b", "c"], ["bench", "nix"], ["bench", "--nix"], ["games", "a", "b"],
])
def test_wrong_usage(arguments):
    assert f"qgraft {arguments[0]}" in qgraft(*arguments, code=2).stderr


def test_missing_files(tmp_path):
    for command in ("play", "evaluate", "inspect"):
        assert "missing" in refusal(command, tmp_path / "missing", code=1)


def test_bench_refuses():
    assert "--preset: 'x'" in refusal("bench", "--preset", "x")
    assert "--threads: '0'" in refusal("bench", "--threads", 0)
    assert "--seconds: '-1'" in refusal("bench", "--seconds", -1)
    assert "instruction set 'mmx'" in refusal("bench", "--isa", "mmx")
    assert "name 'train', too" in refusal("bench", "update", "--set", "n_step=3")
    assert "name 'update', too" in refusal("bench", "act", "games", "--set", "double=true")


def test_bench_gives_every_figure(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "QGRAFT_ATARI": str(tmp_path / "none")}
    data = json.loads(qgraft("bench", "update", "act", "games", "train", "--preset", "grid",
                             "--threads", 1, "--seconds", 0.02, "--json", env=environment).stdout)
    assert {"version", "cpu", "threads", "isa"} <= set(data)
    assert {figure["subject"] for figure in data["figures"]} == \
        {"machine", "update", "act", "games", "train"}
    assert all(figure["value"] > 0 and figure["unit"] for figure in data["figures"])
    skipped = data["skipped"]  # four games and a training
    assert len(skipped) == 5 and all("none" in reason for reason in skipped)
    assert os.listdir(tmp_path) == []


def test_frames_of_an_action(tmp_path):
    """As in the training, where that is said; actions of three frames end more episodes."""
    qgraft("train", "minatar/breakout", "--steps", 0, "--out", tmp_path, "--quiet")
    told = [json.loads(qgraft("evaluate", tmp_path / "last.safetensors", "--epsilon", 1, "--steps", 3000, "--json",
                              *words).stdout)["episodes"] for words in ([], ["--frame-skip", 1], ["--frame-skip", 3])]
    assert told[0] == told[1] < told[2]
    assert "--frame-skip" in refusal("evaluate", tmp_path / "last.safetensors", "--frame-skip", 0)
    assert "--isa" in refusal("play", "--random", "minatar/breakout", "--isa", "mmx")
