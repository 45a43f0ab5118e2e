"""The program from outside: help, names, exit codes, one line per error, rollout and inspect."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load_file, save_file

QGRAFT = os.environ["QGRAFT"]


def qgraft(*arguments, code=0, **options):
    result = subprocess.run([QGRAFT, *map(str, arguments)], capture_output=True, text=True,
                            timeout=1200, **options)
    assert result.returncode == code, result.stderr
    return result


def refusal(*arguments, code=2):
    """The error of a command that must fail with exactly one line."""
    result = qgraft(*arguments, code=code)
    assert result.stderr.startswith("qgraft: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def rollout(folder, *arguments):
    path = folder / "rollout.safetensors"
    qgraft("rollout", *arguments, "--out", path)
    return load_file(path)


def test_help_and_version():
    assert "rollout" in qgraft("--help").stdout
    assert qgraft("--version").stdout.startswith("qgraft ")
    assert "Usage: qgraft" in qgraft(code=2).stderr
    commands = re.findall(r"^  (\w+) {2,}", qgraft("--help").stdout, re.MULTILINE)
    assert set(commands) - {"help"} == set(COMMANDS)
    for command in commands:
        text = qgraft(command, "--help").stdout
        assert f"qgraft {command}" in text and "Examples:" in text
        assert qgraft("help", command).stdout == text


def test_unknown_words():
    assert "did you mean 'games'" in refusal("gamse") and "did you mean 'games'" in refusal("help", "gamse")
    assert "'qgraft --help' lists all" in refusal("xyzzy")
    assert "zzz" in refusal("games", "zzz") and "zzz" in refusal("games", "zzz", "--json")
    assert "that --json cannot write" in refusal("inspect", os.fsdecode(b"\xff.safetensors"), "--json")
    assert "that --json cannot write" in refusal("inspect", os.fsdecode(b"\xff.safetensors"), "-j")
    assert "--nix" in qgraft("games", "--nix", code=2).stderr
    assert "\x1b" not in refusal("\x1b[31m")


def test_the_library_names_no_options():
    """It says what is wrong in its own words, and the command puts its options in their place."""
    source = Path(__file__).parents[2] / "src"
    calls = [(path.name, call) for path in source.rglob("*.c") if "cli" not in path.parts
             for call in re.findall(r"fail\w*\((?:[^;\"]|\"(?:[^\"\\\\]|\\\\.)*\")*\);", path.read_text())]
    assert len(calls) > 300
    named = [(file, call) for file, call in calls if re.search(r"--[a-z]|'qgraft ", call)]
    assert not named, named


def test_the_command_names_its_options(tmp_path):
    assert refusal("train", "pong2").endswith("unknown game 'pong2': did you mean 'pong'? "
                                              "'qgraft games' lists all\n")
    assert "('qgraft train --settings' lists all)" in refusal("train", "minatar/breakout", "--set",
                                                              "xyzzy=1")
    assert "(--preset, or the first key" in refusal("train", "minatar/breakout", "--set",
                                                    "preset=grid")
    assert "('qgraft run' makes one)" in refusal("status", tmp_path)
    assert refusal("train", "`overwrite `run` it").startswith("qgraft: unknown game '`overwrite ")
    for code, more in ((0, ()), (2, ())):
        result = qgraft("train", "minatar/breakout", "--steps", 0, "--out", tmp_path / "run", *more,
                        "--quiet", code=code)
    assert result.stderr.endswith(
        "run: holds a run already: choose another --out or add --overwrite\n")


@pytest.mark.parametrize("words, answer", [
    ("train --game pong", "a word by itself, 'qgraft train DOMAIN'"),
    ("train --env=ALE/Pong-v5", "a word by itself, 'qgraft train DOMAIN'"),
    ("graft x --env pong", "here it is --to "),
    ("train pong --total-timesteps 1e6", "here it is --steps "),
    ("train pong --total_timesteps=1e6", "here it is --steps "),
    ("evaluate --model x", "'qgraft evaluate NETWORK [DOMAIN]'"),
    ("play --model x", "'qgraft play NETWORK [DOMAIN]'"),
    ("run x --num-workers 3", "here it is --jobs "),
    ("train pong --learning-rate 1", "--set learning_rate=VALUE"),
    ("train pong --gamma 1", "--set discount=VALUE"),
    ("train pong --set clip_error=1e-46", "clip_error: '1e-46' is nearer to 0 than any float but 0"),
    ("train pong --set gamma=1", "did you mean 'discount'?"),
    ("train pong --stesp 1", "did you mean --steps?"),
    ("evaluate x --gamma 1", "there is no option --gamma ("),
    ("enjoy x", "did you mean 'play'?"),
    ("train", "name a domain ('qgraft games') ('qgraft train --help' says how)"),
    ("train pong --steps", "--steps needs a value: --steps=N ("),
    ("train pong -qs", "-s needs a value: S ("),
    ("train pong -Z", "there is no option -Z ("),
    ("train pong --resume=3", "--resume takes no value ("),
    ("report x --p", "--p is too short for --partial ("),
    ("train pong --re", "--re may be --resume or --replay-compression ("),
    ("play --random minatar/breakout --steps 0", "--steps: '0' is not"),
    ("play --random minatar/breakout --sticky 2", "--sticky: '2' is not"),
    ("evaluate {0} --epsilon x minatar/breakout", "--epsilon: 'x' is not"),
    ("graft {0} --first 1 --to minatar/breakout --epsilon-start 2", "--epsilon-start: '2' is not"),
    ("distill {0} --eval-steps 0", "--eval-steps: '0' is not"),
    ("distill {0} --epsilon 2", "--epsilon: '2' is not"),
    ("status {1}", "study.yaml: a file: the folder that 'qgraft run' made of it"),
    ("report {1}", "study.yaml: a file: the folder that 'qgraft run' made of it"),
])
def test_what_people_type_is_answered(folder, words, answer):
    words = words.format(folder / NETWORK, folder / "study.yaml")
    assert answer in refusal(*words.split())


def test_words_that_look_like_options_are_values(folder):
    """The value of an option may begin with '--', and a name may be cut off."""
    words = ["submit", "study.yaml", "--dry-run", "--sbatch-option", "--constraint=avx2"]
    assert "--constraint=avx2" in qgraft(*words, "--part", "any", cwd=folder).stdout
    assert "--foo" in refusal("train", "pong", "-qn", "--foo")


def test_every_game_by_its_name_in_gymnasium():
    games = {game["name"] for game in json.loads(qgraft("games", "--json").stdout)}
    for game in games:
        grid, name = game.startswith("minatar/"), game.split("/")[-1].title().replace("_", "")
        forms = ["MinAtar/{}-v1", "{}-MinAtar"] if grid else ["ALE/{}-v5", "{}NoFrameskip-v4"]
        for form in forms:
            found = json.loads(qgraft("games", form.format(name), "--json").stdout)
            assert [g["name"] for g in found] == [game]


def test_short_runs_evaluate_in_proportion(tmp_path):
    """And say so; what was set stays."""
    words = ["train", "minatar/breakout", "--steps", "5k", "--set", "learn_start=5k", "--overwrite",
             "--out", tmp_path / "run"]
    said = qgraft(*words).stderr
    assert "each evaluation plays 2500 steps (--set eval_steps)" in said
    assert "nothing will be learned in 5000 steps: learn_start is 5000" in said
    more = qgraft(*words[:2], "--steps", 5004, *words[4:]).stderr  # the next update would be the 5004th step's
    assert "nothing will be learned in 5004 steps" in more
    assert "nothing will" not in qgraft(*words[:2], "--steps", 5005, *words[4:]).stderr
    assert "eval_steps: 250" in (tmp_path / "run/run.yaml").read_text()
    said = qgraft(*words, "--set", "eval_steps=6k").stderr
    assert "plays 6000 steps, more than the run's 5000" in said
    assert "evaluation" not in qgraft(*words, "--quiet").stderr
    qgraft("perform", tmp_path / "run/run.yaml", "--out", tmp_path / "again", "--quiet")
    text = (tmp_path / "run/run.yaml").read_text()
    assert (tmp_path / "again/run.yaml").read_text() == text
    short = tmp_path / "short.yaml"
    short.write_text(re.sub("  eval_steps:.*\n", "", text))
    qgraft("perform", short, "--out", tmp_path / "short", "--quiet")
    assert (tmp_path / "short/run.yaml").read_text() == text


ODD = ["", "-1", "nan", "9" * 30, "x" * 5000, b"\xff\xfe", "%s%n", "/"]
TINY = ["--set", "learn_start=50", "--set", "replay=200", "--set", "eval_every=50", "--set",
        "eval_steps=30", "--set", "validation_size=10", "--quiet", "--overwrite", "--out", "out"]
NETWORK = "network/best.safetensors"
COMMANDS = {
    "games": [], "status": ["study"], "inspect": [NETWORK], "report": ["study", "--quiet"],
    "similarity": ["minatar/breakout", "minatar/asterix", "--frames", 20],
    "train": ["minatar/breakout", "--steps", 60, *TINY],
    "graft": [NETWORK, "--to", "minatar/breakout", "--first", 1, "--steps", 60, *TINY],
    "perform": ["network/run.yaml", "--quiet", "--overwrite", "--out", "out"],
    "distill": [NETWORK, "--samples", 60, "--quiet", "--overwrite", "--out", "out"],
    "evaluate": [NETWORK, "--steps", 20], "play": [NETWORK, "--steps", 20, "--no-draw"],
    "run": ["study.yaml", "--out", "study", "--quiet"],
    "submit": ["study.yaml", "--out", "study", "--dry-run", "--partition", "any"],
    "bench": ["act", "--seconds", 0.01],
    "rollout": ["minatar/breakout", "--random", 5, "--seed", 1, "--out", "x.safetensors"],
    "update": ["--online", NETWORK, "--target", NETWORK, "--batch", NETWORK, "--out", "y"],
    "diagnose": ["network"], "stitch": [NETWORK, "--source", NETWORK, "--at", 1, "--steps", 20],
    "import": [NETWORK, "--out", "z"], "export": [NETWORK, "--format", "cleanrl", "--out", "z"],
    "replay": ["network/replay.data"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network and a study."""
    folder = tmp_path_factory.mktemp("odd")
    qgraft("train", "minatar/breakout", "--steps", 60, "--keep-replay", *TINY[:-1], "network", cwd=folder)
    (folder / "study.yaml").write_text(json.dumps(
        {"study": "a", "seeds": [1], "steps": 60, "runs": [{"game": "minatar/breakout"}],
         "settings": dict(w.split("=") for w in TINY[1:10:2])}))
    qgraft("run", "study.yaml", "--out", "study", "--quiet", cwd=folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_odd_words(folder, command):
    """No option and no argument ends a command by a signal or leaves it without a message."""
    words = [command, *map(str, COMMANDS[command])]
    options = re.findall(r" (--[a-z-]+)(?:=[A-Z]|,)", qgraft(command, "--help").stdout)
    assert options or command in ("games", "status", "report")
    for odd in ODD:
        for line in [[*words, option, odd] for option in options] + [[*words, odd], [command, odd]]:
            result = subprocess.run([QGRAFT, *line], cwd=folder, capture_output=True, timeout=1200)
            assert result.returncode in (0, 1, 2), (line, result)
            assert result.returncode == 0 or result.stderr.startswith(b"qgraft"), (line, result)
            assert result.returncode != 2 or result.stderr.count(b"\n") == 1, (line, result)


def test_output_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        result = subprocess.run([QGRAFT, "games"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "No space left" in result.stderr


def test_games():
    games = {game["name"]: game for game in json.loads(qgraft("games", "--json").stdout)}
    assert games["minatar/breakout"]["actions"] == ["noop", "left", "right"]
    assert len([name for name in games if name.startswith("minatar/")]) == 5
    table = qgraft("games").stdout.splitlines()
    assert len(table) == len(games) + 1
    assert "0 noop, 1 left, 2 right" in qgraft("games", "minatar/breakout").stdout


def test_rollout_shapes_and_ends(tmp_path):
    data = rollout(tmp_path, "minatar/breakout", "--random", "2k", "--seed", 7)
    assert data["actions"].dtype == numpy.int64 and data["actions"].shape == (2000,)
    assert data["observations"].dtype == numpy.uint8
    assert data["observations"].shape == (2000, 10, 10, 4)
    assert data["rewards"].dtype == numpy.float32 and data["rewards"].shape == (2000,)
    assert data["ends"].dtype == numpy.uint8 and 0 < data["ends"].sum() < 2000
    assert set(numpy.unique(data["actions"])) == {0, 1, 2}


def test_rollout_is_a_function_of_its_seed(tmp_path):
    first, again, other = (rollout(tmp_path, "minatar/freeway", "--random", 500, "--seed", seed)
                           for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert not (first["actions"] == other["actions"]).all()


def test_rollout_plays_files(tmp_path):
    numbers, names, tensor = (tmp_path / name for name in ("a.txt", "b.txt", "c.safetensors"))
    numbers.write_text("# left, left, right\n1\n\n 1 # again\r\n2")
    names.write_text("left\nLEFT\nright\n")
    save_file({"actions": numpy.array([1, 1, 2])}, tensor)
    results = [rollout(tmp_path, "minatar/breakout", "--actions", path, "--seed", 3)
               for path in (numbers, names, tensor)]
    for result in results:
        assert result["actions"].tolist() == [1, 1, 2]
        assert (result["observations"] == results[0]["observations"]).all()


def test_rollout_sticky(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("left\n" + "noop\n" * 5)
    free, stuck = (rollout(tmp_path, "minatar/breakout", "--actions", path, "--seed", 3, "--set",
                           f"sticky={sticky}")["observations"] for sticky in (0, 1))
    paddle = [board[9, :, 0].argmax() for board in (free[5], stuck[5])]
    assert paddle == [3, 4]  # with sticky = 1 the first action, too, repeats "noop"


@pytest.mark.parametrize("text, message", [
    ("0\n1\n3\n", ":3: '3' is not an action"),
    ("0\n-1\n", ":2: '-1' is not an action"),
    ("fire\n", ":1: 'fire' is not an action"),
    ("1.5\n", ":1: '1.5' is not an action"),
    ("99999999999999999999\n", "is not an action"),
    ("1\0\n", ":1: "),
    ("", "no actions in it"),
    ("# nothing\n\n", "no actions in it"),
])
def test_rollout_refuses_actions(tmp_path, text, message):
    path, out = tmp_path / "a.txt", tmp_path / "out.safetensors"
    path.write_text(text)
    assert message in refusal("rollout", "minatar/breakout", "--actions", path, "--seed", 1,
                              "--out", out, code=1)
    assert not out.exists()


@pytest.mark.parametrize("tensors, message", [
    ({"actions": numpy.array([0, 3])}, "actions[1] is 3"),
    ({"actions": numpy.array([-1])}, "actions[0] is -1"),
    ({"actions": numpy.array([], dtype=numpy.int64)}, "no actions"),
    ({"actions": numpy.array([1.0], dtype=numpy.float32)}, "actions"),
    ({"actions": numpy.array([[1]])}, "actions"),
    ({"other": numpy.array([1])}, "actions"),
])
def test_rollout_refuses_tensors(tmp_path, tensors, message):
    path, out = tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    save_file(tensors, path)
    assert message in refusal("rollout", "minatar/breakout", "--actions", path, "--seed", 1,
                              "--out", out, code=1)
    assert not out.exists()


@pytest.mark.parametrize("arguments, message", [
    ([], "DOMAIN is missing"),
    (["minatar/breakout", "--seed", 1, "--out", "x"], "--actions FILE or --random N"),
    (["minatar/breakout", "--random", 5, "--actions", "y", "--seed", 1, "--out", "x"],
     "--actions FILE or --random N"),
    (["minatar/breakout", "--random", 5, "--out", "x"], "--seed S is missing"),
    (["minatar/breakout", "--random", 5, "--seed", 1], "--out FILE is missing"),
    (["minatar/breakout", "--random", 0, "--seed", 1, "--out", "x"], "--random: '0'"),
    (["minatar/breakout", "--random", "1e11", "--seed", 1, "--out", "x"], "do not fit"),
    (["minatar/breakout", "--random", 5, "--seed", -1, "--out", "x"], "--seed: '-1'"),
    (["minatar/breakout", "--random", 5, "--seed", 2**32, "--out", "x"], "--seed"),
    (["minatar/breakuot", "--random", 5, "--seed", 1, "--out", "x"], "minatar/breakuot"),
    (["minatar/breakout", "--random", 5, "--seed", 1, "--out", "x", "--set", "sticky=2"],
     "sticky: '2'"),
    (["minatar/breakout", "--random", 5, "--seed", 1, "--out", "x", "--set", "replay=5"],
     "no effect"),
])
def test_rollout_refuses_options(tmp_path, arguments, message):
    if "x" in arguments:
        arguments = [tmp_path / "x" if word == "x" else word for word in arguments]
    assert message in refusal("rollout", *arguments)
    assert not (tmp_path / "x").exists()


def test_inspect(tmp_path):
    path = tmp_path / "n.safetensors"
    save_file({"a": numpy.zeros((2, 3), numpy.float32), "b": numpy.zeros(4, numpy.uint8)}, path,
              metadata={"key": "value\x1b[31m"})
    text = qgraft("inspect", path).stdout
    assert "2 x 3" in text and "60.0 %" in text and "key: value" in text and "\x1b" not in text
    data = json.loads(qgraft("inspect", "--json", path).stdout)
    assert {"name": "a", "dtype": "F32", "shape": [2, 3], "values": 6} in data["tensors"]
    assert data["metadata"]["key"] == "value\x1b[31m"


def test_inspect_shows_the_layers_of_a_network(tmp_path):
    qgraft("train", "minatar/breakout", "--steps", 0, "--out", tmp_path / "run", "--quiet")
    path = tmp_path / "run" / "last.safetensors"
    tensors = load_file(path)
    lines = qgraft("inspect", path).stdout.splitlines()
    assert lines[1].split()[:2] == ["conv1", "conv"] and "10 x 10 x 10" in lines[1]
    assert lines[5].split()[:5] == ["fc2", "linear", "-", "-", "-"]
    assert f"{sum(t.size for t in tensors.values())} parameters" in lines[6]
    assert "domain: minatar/breakout" in lines
    data = json.loads(qgraft("inspect", "--json", path).stdout)
    assert [layer["name"] for layer in data["layers"]] == ["conv1", "conv2", "conv3", "fc1", "fc2"]
    assert data["layers"][0]["kernel"] == 3 and data["layers"][0]["output"] == [16, 8, 8]
    for layer in data["layers"]:
        weights = tensors[layer["name"] + ".weight"].astype(numpy.float64)
        assert layer["parameters"] == weights.size + tensors[layer["name"] + ".bias"].size
        assert layer["minimum"] == weights.min() and layer["maximum"] == weights.max()
        assert layer["rms"] == pytest.approx(numpy.sqrt((weights**2).mean()))


@pytest.mark.parametrize("dtype,name", [("int8", "I8"), ("int64", "I64"), ("uint64", "U64"),
                                        ("float16", "F16"), ("float64", "F64"), ("bool", "BOOL")])
def test_inspect_lists_tensors_of_any_dtype(dtype, name, tmp_path):
    path = tmp_path / "n.safetensors"
    save_file({"w": numpy.zeros((2, 3), numpy.float32), "x": numpy.ones(2, dtype)}, path)
    rows = [line.split() for line in qgraft("inspect", path).stdout.splitlines()]
    assert ["x", name, "2", "2", "25.0", "%"] in rows
    data = json.loads(qgraft("inspect", "--json", path).stdout)
    assert {"name": "x", "dtype": name, "shape": [2], "values": 2} in data["tensors"]


def test_inspect_shows_and_refuses_a_broken_network(tmp_path):
    path = tmp_path / "n.safetensors"
    save_file({"a": numpy.zeros(2, numpy.float16)}, path, {"format": "qgraft network 1"})
    for words in ([], ["--json"]):
        result = qgraft("inspect", path, *words, code=1)
        assert "n.safetensors" in result.stderr and result.stderr.count("\n") == 1
        assert "F16" in result.stdout and "qgraft network 1" in result.stdout
    assert "layers" not in json.loads(result.stdout)


def test_inspect_refuses(tmp_path):
    assert "FILE" in qgraft("inspect", code=2).stderr
    assert "missing.safetensors" in refusal("inspect", tmp_path / "missing.safetensors", code=1)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 7)
    assert "broken.safetensors" in refusal("inspect", broken, code=1)
    assert refusal("inspect", tmp_path, code=1)


@pytest.mark.skipif(not os.environ.get("QGRAFT_ATARI"), reason="QGRAFT_ATARI names no emulator")
def test_rollout_atari(tmp_path):
    data = rollout(tmp_path, "breakout", "--random", 200, "--seed", 1, "--raw")
    shapes = {name: (array.dtype.name, array.shape) for name, array in data.items()}
    assert shapes == {
        "actions": ("int64", (200,)), "observations": ("uint8", (200, 84, 84)),
        "rewards": ("float32", (200,)), "ends": ("uint8", (200,)), "truncations": ("uint8", (200,)),
        "screens": ("uint8", (200, 210, 160)), "ram": ("uint8", (200, 128))}
    assert "screens" not in rollout(tmp_path, "breakout", "--random", 5, "--seed", 1)
    missing = dict(os.environ, QGRAFT_ATARI=str(tmp_path / "nowhere"))
    result = qgraft("rollout", "breakout", "--random", 5, "--seed", 1, "--out", tmp_path / "x",
                    code=1, env=missing)
    assert "make atari" in result.stderr and result.stderr.count("\n") == 1
