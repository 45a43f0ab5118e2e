"""The replay memory: kept as a data set that other programs read, compressed or not, through kills, a
full disk and damage. The games are plugins with screens of bytes: one whose screens are nearly empty,
and one of noise, which does not shrink, so that the file grows."""

import json
import os
import random
import resource
import signal
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zstandard
from safetensors import safe_open
from safetensors.numpy import load_file

import killing

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")
SOURCE = Path(__file__).resolve().parents[2]
SIDE = 48
SMALL = {"learn_start": 300, "replay": 1500, "update_every": 20, "minibatch": 8, "noop_max": 3,
         "epsilon_steps": 600, "target_every": 200, "eval_every": 1000, "eval_steps": 600,
         "log_every": 200, "validation_size": 20, "history": 3,
         "network": '[{"conv": 2, "kernel": 8, "stride": 8}, {"linear": 8}]'}
NOISE = ("    uint32_t noise = game->random + (uint32_t)game->ball_y * 7919u;\n"
         "    for (int i = 0; i < SIDE * SIDE; i++)\n"
         "        observation[i] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);\n")


def compile_game(folder, name, body):
    """examples/my_game.c with screens of bytes."""
    text = (SOURCE / "examples/my_game.c").read_text()
    for old, new in (('"catch"', f'"{name}"'), ("SIDE = 10", f"SIDE = {SIDE}"),
                     ("CHANNELS = 2", "CHANNELS = 1"), (".max = 1}", ".max = 255}"),
                     ("    memset(observation, 0, SIDE * SIDE * CHANNELS);\n",
                      "    memset(observation, 0, SIDE * SIDE);\n" + body)):
        assert old in text, old
        text = text.replace(old, new)
    (folder / f"{name}.c").write_text(text)
    subprocess.run(["cc", "-std=c17", "-shared", "-fPIC", f"-I{SOURCE / 'include'}", "-o",
                    folder / f"{name}.so", folder / f"{name}.c"], check=True)
    return folder / f"{name}.so"


@pytest.fixture(scope="module", autouse=True)
def games(tmp_path_factory):
    folder = tmp_path_factory.mktemp("games")
    plugins = [compile_game(folder, "empty", ""), compile_game(folder, "noise", NOISE)]
    os.environ["QGRAFT_PLUGINS"] = ":".join(map(str, plugins))
    yield plugins
    del os.environ["QGRAFT_PLUGINS"]


def qgraft(*arguments, code=0, **options):
    result = subprocess.run([QGRAFT, *map(str, arguments)], capture_output=True, text=True,
                            timeout=1200, **options)
    assert result.returncode == code, result.stderr
    return result


def refusal(*arguments, code=1, **options):
    error = qgraft(*arguments, code=code, **options).stderr
    assert error.startswith("qgraft: ") and error.count("\n") == 1, error
    return error


def train(out, game, *words, steps=2500, **options):
    return qgraft("train", game, "--steps", steps, *killing.words(SMALL), "--quiet", "--out", out,
                  *words, **options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Runs whose memory was kept, by game and form."""
    folder = tmp_path_factory.mktemp("kept")
    for game in ("empty", "noise", "minatar/breakout"):
        for form in ("zstd", "none"):
            train(folder / f"{game[:5]}-{form}", game, "--replay-compression", form,
                  "--keep-replay", *(["--set", "network=grid"] if "/" in game else []))
    return folder


def export(path, *words):
    out = path.parents[1] / "export.safetensors"
    qgraft("replay", path, "--export", out, *words)
    return load_file(out)


# ---- What is kept ----


@pytest.mark.parametrize("game", ["empty", "noise", "minat"])
def test_forms(kept, game):
    """However screens are kept: the same files, the same data set."""
    a, b = (killing.content(kept / f"{game}-{form}") for form in ("zstd", "none"))
    assert a.keys() == b.keys() and "replay.data" in a and "replay.bin" not in a
    assert killing.differences(a, b) in ([], ["replay.data"])
    first, second = (export(kept / f"{game}-{form}/replay.data") for form in ("zstd", "none"))
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert (first[name] == second[name]).all()
    assert not list(kept.glob("*tmp*"))


def test_study(tmp_path):
    """`replay_compression` of a study: the plan knows it, the runs are told, no result depends on it."""
    folders = {}
    for form in ("zstd", "none"):
        settings = ", ".join(f"{key}: {value}" for key, value in SMALL.items())
        file = tmp_path / "study.yaml"
        file.write_text(f"steps: 1200\nseeds: 1\nreplay_compression: {form}\n"
                        f"settings: {{{settings}}}\nruns:\n  - {{game: empty}}\n")
        plan = json.loads(qgraft("run", file, "--plan", "--json").stdout)
        folders[form] = tmp_path / form
        qgraft("run", file, "--out", folders[form], "--quiet")
        log = (folders[form] / "runs/empty/s1/log.txt").read_text()
        assert ("--replay-compression none" in log) == (form == "none")
        folders[form, "disk"] = plan["disk"]
        folders[form, "hash"] = plan["runs"][0]["tasks"][0]["hash"]
    assert folders["zstd", "hash"] == folders["none", "hash"]
    assert folders["none", "disk"] - folders["zstd", "disk"] > 0.5 * 1200 * SIDE * SIDE
    a, b = (killing.content(folders[form] / "runs/empty/s1") for form in ("zstd", "none"))
    assert set(killing.differences(a, b)) <= {"log.txt"}
    file.write_text(file.read_text().replace("none", "lz4"))
    assert "study.yaml:3: replay_compression: 'lz4' is not" in refusal("run", file, code=2)


def test_threads(kept, tmp_path):
    for threads in (2, 3):
        train(tmp_path / str(threads), "empty", "--threads", threads, "--keep-replay")
        assert not killing.differences(killing.content(kept / "empty-zstd"),
                                       killing.content(tmp_path / str(threads)))


def test_sizes(kept):
    """What shrinks is small; what does not is kept as it is, and a line is said."""
    info = {name: json.loads(qgraft("replay", kept / name / "replay.data", "--json").stdout)
            for name in ("empty-zstd", "noise-zstd", "empty-none", "minat-zstd")}
    assert info["empty-zstd"]["bytes_per_screen"] < 60
    assert info["noise-zstd"]["bytes_per_screen"] == SIDE * SIDE
    assert info["empty-none"]["bytes_per_screen"] == SIDE * SIDE
    assert info["minat-zstd"]["bytes_per_screen"] == 50  # bits
    about = info["empty-zstd"]["about"]
    assert about["domain"] == "empty" and about["action_names"] == "noop,left,right"
    assert about["seed"] == "1" and about["step"] == "2500" and about["history"] == "3"
    text = qgraft("replay", kept / "empty-zstd/replay.data").stdout
    assert "1500 of 48 x 48 x 1" in text and "empty" in text


def test_growth_is_said(tmp_path):
    result = qgraft("train", "noise", "--steps", 2500, *killing.words(SMALL), "--out", tmp_path)
    assert result.stderr.count("warning: the screens of noise shrink less") == 1
    assert not (tmp_path / "replay.data").exists() and not (tmp_path / "replay.bin").exists()


@pytest.mark.parametrize("game, channels", [("empty", 1), ("minat", 4)])
def test_export(kept, game, channels):
    data = export(kept / f"{game}-zstd/replay.data")
    shape = (1500, SIDE, SIDE) if channels == 1 else (1500, 10, 10, channels)
    assert data["observations"].shape == shape and data["observations"].dtype == np.uint8
    assert data["actions"].shape == (1500,) and data["actions"].dtype == np.int64
    assert data["rewards"].dtype == np.float32 and data["ends"].dtype == np.uint8
    assert 0 <= data["actions"].min() and data["actions"].max() <= 5
    ends = data["ends"].nonzero()[0]
    assert len(ends) > 0 and (np.diff(ends) > 1).all() and (data["actions"][ends] == 0).all()
    assert data["rewards"].sum() > 0
    last = export(kept / f"{game}-zstd/replay.data", "--last", 70)
    for name in data:
        assert (data[name][-70:] == last[name]).all() and len(last[name]) == 70
    with safe_open(kept / "export.safetensors", "np") as file:
        assert file.metadata()["format"] == "qgraft replay 1" and file.metadata()["seed"] == "1"


def read_format(path):
    """A second reader, from docs/files.md alone."""
    data = path.read_bytes()
    assert data[:16] == b"qgraft replay\n\0\0"
    height, width, channels, most, history, compressed = struct.unpack_from("<4iiI", data, 24)
    capacity, slack, first, count, size = struct.unpack_from("<4qQ", data, 48)
    dictionary, = struct.unpack_from("<I", data, 88)
    assert size == len(data)
    places = (-(-(capacity + slack) // 256) + 1) * 256
    blocks = places // 256
    frames = compressed and most > 1
    at = 4096 + (73728 if frames else 0)
    rewards = np.frombuffer(data, "<f4", places, at)
    actions = np.frombuffer(data, "u1", places, at + 4 * places)
    ends = np.frombuffer(data, "u1", places, at + 5 * places)
    index = at + 6 * places + 4 * (blocks + blocks % 2)
    screens = -(-(index + (8 * places if frames else 0)) // 4096) * 4096
    context = zstandard.ZstdCompressionDict(data[4096:4096 + dictionary]) if dictionary else None
    with_dictionary = zstandard.ZstdDecompressor(dict_data=context)
    without = zstandard.ZstdDecompressor()
    pixels = height * width * channels
    stride = pixels if most > 1 else (pixels + 7) // 8
    lessons = min(places // 4 + 1, 8192)
    observations = np.empty((count - first, pixels), np.uint8)
    for i in range(first, count):
        if frames:
            place, = struct.unpack_from("<Q", data, index + 8 * (i % places))
            begin, n = screens + (place >> 24), place & 0xffffff
        else:
            begin, n = screens + i % places * stride, stride
        stored = data[begin:begin + n]
        if n < pixels and most > 1:
            decoder = without if i < lessons else with_dictionary
            stored = decoder.decompress(stored, max_output_size=pixels)
        values = np.frombuffer(stored, np.uint8)
        observations[i - first] = values if most > 1 else np.unpackbits(
            values, bitorder="little")[:pixels]
    at = np.arange(first, count) % places
    return {"observations": observations, "actions": actions[at], "rewards": rewards[at],
            "ends": ends[at]}


@pytest.mark.parametrize("name", ["empty-zstd", "empty-none", "noise-zstd", "minat-zstd"])
def test_documented_format(kept, name):
    ours = export(kept / name / "replay.data")
    theirs = read_format(kept / name / "replay.data")
    for key in ours:
        assert (ours[key].reshape(len(ours[key]), -1) == theirs[key].reshape(1500, -1)).all(), key


# ---- What can go wrong ----


@pytest.mark.parametrize("name", ["empty-zstd", "noise-zstd", "empty-none", "minat-zstd"])
def test_damage(kept, tmp_path, name):
    """A bit anywhere in what counts, and every length."""
    data = bytearray((kept / name / "replay.data").read_bytes())
    path = tmp_path / "replay.data"
    rng = random.Random(name)
    at = [0, 17, 30, 44, 50, 70, 90, 100, 104, 110]  # the header
    columns = 4096 + (73728 if name in ("empty-zstd", "noise-zstd") else 0)
    at += [columns + 4 * rng.randrange(1100, 1800) for _ in range(5)]  # rewards
    if name in ("empty-none", "minat-zstd"):  # a screen
        capacity, slack = struct.unpack_from("<2q", data, 48)
        places = (-(-(capacity + slack) // 256) + 1) * 256
        stride = 50 if "minat" in name else SIDE * SIDE
        at += [len(data) - places * stride + 2300 % places * stride + 7]
    for byte in at:
        data[byte] ^= 4
        path.write_bytes(data)
        line = refusal("replay", path)
        assert "damaged" in line or "version" in line or "not ended" in line or "not a" in line
        data[byte] ^= 4
    for length in (0, 10, 2000, 5000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        refusal("replay", path)
    path.write_bytes(data)
    qgraft("replay", path)


def test_other_files(kept, tmp_path):
    network = kept / "empty-zstd/last.safetensors"
    assert "not a replay memory, but a safetensors file" in refusal("replay", network)
    assert "No such file" in refusal("replay", tmp_path / "none")
    assert "replay.data" in refusal("replay", tmp_path)
    line = refusal("inspect", kept / "empty-zstd/replay.data")
    assert "a replay memory of qgraft: 'qgraft replay' reads it" in line
    assert "--last" in refusal("replay", kept / "empty-zstd/replay.data", "--last", "0", code=2)
    assert "--last" in refusal("replay", kept / "empty-zstd/replay.data", "--last", "x", code=2)
    assert "No such file" in refusal("replay", kept / "empty-zstd/replay.data", "--export",
                                     tmp_path / "no/where")
    (tmp_path / "link").symlink_to(kept / "empty-zstd/replay.data")
    assert "is read" in refusal("replay", kept / "empty-zstd/replay.data", "--export",
                                tmp_path / "link", code=2)
    qgraft("replay", kept / "empty-zstd/replay.data")
    for arguments in (["replay"], ["replay", "a", "b"], ["distill", network, "--keep-replay"],
                      ["train", "empty", "--replay-compression", "lz4"]):
        assert subprocess.run([QGRAFT, *map(str, arguments)], capture_output=True).returncode == 2


def test_no_room_for_the_export(kept):
    line = refusal("replay", kept / "empty-none/replay.data", "--export",
                   kept / "empty-none/full", preexec_fn=limit(100_000))
    assert "--last" in line and not list((kept / "empty-none").glob("full*"))


def limit(size):
    def set_limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return set_limit


def test_no_room_to_grow(kept, tmp_path):
    """One line, and with room again the run goes on to the same files."""
    words = ["--keep-replay", "--resume", "--checkpoint-minutes", 0.001]
    result = train(tmp_path / "run", "noise", *words, code=1, preexec_fn=limit(2_000_000))
    assert result.stderr.count("\n") == 1 and "the replay memory needs" in result.stderr
    assert "make room or set a smaller 'replay'" in result.stderr
    path = tmp_path / "run/replay.bin"
    assert "has not ended, or was not kept" in refusal("replay", path)
    train(tmp_path / "run", "noise", *words)
    a, b = killing.content(kept / "noise-zstd"), killing.content(tmp_path / "run")
    assert killing.differences(a, b) in ([], ["replay.data"])
    first, second = (export(folder / "replay.data") for folder in (kept / "noise-zstd",
                                                                   tmp_path / "run"))
    assert all((first[name] == second[name]).all() for name in first)


def test_resume_in_another_form(kept, tmp_path):
    """It goes on as it began."""
    words = ["--resume", "--keep-replay", "--checkpoint-minutes", 0.001]
    train(tmp_path / "run", "noise", *words, code=1, preexec_fn=limit(2_000_000))
    train(tmp_path / "run", "noise", *words, "--replay-compression", "none")
    info = json.loads(qgraft("replay", tmp_path / "run/replay.data", "--json").stdout)
    assert info["screens"] == 1500
    first, second = (export(folder / "replay.data") for folder in (kept / "noise-none",
                                                                   tmp_path / "run"))
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("game", ["empty", "noise"])
def test_killed(game, tmp_path):
    """At any moment, also while the dictionary is trained and the file grows; and power cuts."""
    case = ["train", game, "--steps", "2500", *killing.words(SMALL)]
    whole = killing.Whole(case, tmp_path / "minatar-whole")
    kinds = killing.check(case, tmp_path / "run", whole, random.Random(game), 10)
    assert sum(kinds.values()) > 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_grows(tmp_path, when):
    case = ["train", "noise", "--steps", "2500", *killing.words(SMALL)]
    whole = killing.Whole(case, tmp_path / "whole")
    calls = 0
    for number in range(1, whole.calls + 1, max(1, whole.calls // 12)):
        result = killing.call(killing.command(case, tmp_path / "run"),
                              {"LD_PRELOAD": str(killing.SHIM), "KILL_AT": str(number),
                               "KILL_AT_WHEN": when})
        assert result.returncode in (0, -9), result.stderr
        calls += result.returncode == -9
    assert calls > 0
    assert killing.call(killing.command(case, tmp_path / "run")).returncode == 0
    assert not killing.differences(whole.files, killing.content(tmp_path / "run"))
