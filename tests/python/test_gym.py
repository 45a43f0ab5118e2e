"""Environments of Gymnasium as domains: what comes of every kind of space, against Gymnasium itself;
runs that go on; environments that raise, hang, die or lie, and a worker that does."""

import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import gym_envs

_SPEC = importlib.util.spec_from_file_location("worker", Path(__file__).parents[2] / "python/qgraft/worker.py")
worker = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(worker)
worker.gymnasium, worker.numpy = gymnasium, np  # as its main imports them

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")
HERE = {**os.environ, "QGRAFT_PYTHON": sys.executable, "PYTHONPATH": str(Path(__file__).parent),
        "OPENBLAS_NUM_THREADS": "1"}  # numpy starts sooner
SMALL = [f"--set={setting}" for setting in (
    "learn_start=100", "replay=300", "minibatch=8", "epsilon_steps=200", "target_every=50",
    "eval_every=400", "eval_steps=60", "validation_size=20", "log_every=50")]


def qgraft(*words, code=0, **more):
    result = subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True, timeout=300,
                            env={**HERE, **more})
    assert result.returncode == code, result.stdout + result.stderr
    return result


def refusal(*words, code=2, **more):
    error = qgraft(*words, code=code, **more).stderr
    assert error.startswith("qgraft: ") and error.count("\n") == 1, error
    return error


def odd(**arguments):
    return "gym:gym_envs:Odd-v0" + (f"[{','.join(f'{k}={v}' for k, v in arguments.items())}]" if arguments else "")


def rollout(domain, folder, steps=60, **more):
    """What qgraft saw, and what the environment logged: [[seed, actions], ...]."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    qgraft("rollout", domain, "--random", steps, "--seed", 3, "--out", folder / "r", GYM_LOG=str(log), **more)
    episodes = []
    for line in map(json.loads, log.read_text().splitlines()):
        if "seed" in line:
            episodes.append([line["seed"], []])
        else:
            episodes[-1][1].append(line["action"])
    return load_file(folder / "r"), episodes


def played(env, episodes, steps):
    """The same by Gymnasium alone: observations behind each step."""
    seen = []
    for seed, actions in episodes:
        env.reset(seed=seed)
        seen += [env.step(action)[0] for action in actions]
    assert len(seen) == steps
    return seen


@pytest.mark.parametrize("space, form", [
    ("float", None), ("double", None), ("whole", None), ("bytes", (1, 1, 128)), ("image", (20, 30, 3)),
    ("flatimage", (40, 40)), ("stack", (36, 36, 4)), ("bitimage", (8, 8, 2)), ("one", (1, 1, 5)),
    ("bits", (1, 1, 6)), ("dict", None), ("tuple", (1, 1, 4))])
def test_observations_are_the_environments_own(space, form, tmp_path):
    seen, episodes = rollout(odd(space=space), tmp_path)
    assert [len(actions) for _, actions in episodes] == [20, 20, 20]
    assert len({seed for seed, _ in episodes}) == 3
    env = gym_envs.Odd(space)
    own = played(env, episodes, 60)
    got = seen["observations"]
    if space == "one":
        own = [np.eye(5, dtype=np.uint8)[o + 2].reshape(form) for o in own]
    elif space == "stack":
        own = [np.moveaxis(o, 0, 2) for o in own]
    elif space in ("dict", "tuple"):
        own = [gymnasium.spaces.flatten(env.observation_space, o) for o in own]
    own = [np.asarray(o).reshape(form or -1) for o in own]
    assert got.dtype == (np.uint8 if form else np.float32)
    assert got.shape == (60, *own[0].shape)
    assert (got == np.stack(own).astype(got.dtype)).all()
    assert not seen["ends"].any()  # all three are truncated
    assert np.flatnonzero(seen["truncations"]).tolist() == [19, 39, 59]


def test_cartpole_is_gymnasiums(tmp_path):
    """The rewards and ends, too; of the seeds that qgraft gave, found by their first observations."""
    qgraft("rollout", "gym:CartPole-v1", "--random", 200, "--seed", 1, "--out", tmp_path / "a")
    qgraft("rollout", "gym:CartPole-v1", "--random", 200, "--seed", 1, "--out", tmp_path / "b")
    qgraft("rollout", "gym:CartPole-v1", "--random", 200, "--seed", 2, "--out", tmp_path / "c")
    a, b, c = (load_file(tmp_path / name) for name in "abc")
    assert all((a[k] == b[k]).all() for k in a) and (a["observations"] != c["observations"]).any()
    env = gymnasium.make("CartPole-v1").unwrapped
    env.reset()
    for i in range(199):  # from every state the next one
        if a["ends"][i]:
            continue
        env.state = tuple(np.float64(v) for v in a["observations"][i])
        env.steps_beyond_terminated = None
        after, reward, terminated = env.step(int(a["actions"][i + 1]))[:3]
        assert np.allclose(after, a["observations"][i + 1], rtol=1e-5, atol=1e-6)
        assert reward == a["rewards"][i + 1]
        if abs(abs(after[0]) - 2.4) > 1e-4 and abs(abs(after[2]) - 0.2094395) > 1e-4:
            assert terminated == a["ends"][i + 1]


def test_grey_and_size(tmp_path):
    seen, episodes = rollout(odd(space="image") + ":grey=1,size=10x12", tmp_path, 20)
    own = played(gym_envs.Odd("image"), episodes, 20)
    for got, image in zip(seen["observations"], own):
        grey = np.floor(image @ np.array([299, 587, 114]) / 1000 + 0.5).astype(int)
        fine = grey.repeat(2, 1).repeat(1, 0)  # 20 x 60: every target pixel is 2 x 5 of it
        means = fine.reshape(10, 2, 12, 5).sum((1, 3)) / 10
        assert (got == np.floor(means + 0.5)).all()


@pytest.mark.parametrize("actions, values", [
    ("start", [5, 6, 7]), ("multi", [[i, j] for i in range(3) for j in range(4)]),
    ("most", list(range(256)))])
def test_actions(actions, values, tmp_path):
    seen, episodes = rollout(odd(actions=actions), tmp_path, 600 if actions == "most" else 60)
    told = [a for _, episode in episodes for a in episode]
    assert told == [values[i] for i in seen["actions"]]
    assert len(set(seen["actions"].tolist())) > 0.8 * len(values)


def test_names_of_actions(tmp_path):
    def names(domain):
        qgraft("train", domain, "--steps", 0, "--out", tmp_path / "n", "--overwrite", "--quiet")
        return json.loads(qgraft("inspect", tmp_path / "n" / "last.safetensors", "--json").stdout)["metadata"]["actions"]
    assert names(odd(trouble="meanings")) == "noop,go_on"
    assert names(odd(actions="start")) == "action_0,action_1,action_2"
    assert names(odd() + ":actions=left+right") == "left,right"
    assert names(odd(actions="most")).endswith(",action_255")
    assert "3 names for 2 actions" in refusal("train", odd() + ":actions=a+b+c", "--out", tmp_path / "x")


def test_keyword_arguments_have_one_order(tmp_path):
    for written in ("[length=9,space=bits]", "[space=bits,length=9]"):
        qgraft("rollout", "gym:gym_envs:Odd-v0" + written, "--random", 30, "--seed", 1, "--out", tmp_path / written)
    a, b = (tmp_path / name for name in ("[length=9,space=bits]", "[space=bits,length=9]"))
    assert a.read_bytes() == b.read_bytes()
    assert b"gym:gym_envs:Odd-v0[length=9,space=bits]" in a.read_bytes()


REFUSED = [
    ("gym:", "not the name of an environment"), ("gym:CartPole-v1[", "not the name"),
    ("gym:CartPole-v1[a]", "keyword arguments"), ("gym:CartPole-v1[a=1,a=2]", "keyword arguments"),
    ("gym:CartPole-v1:size=0", "no setting 'size=0'"), ("gym:CartPole-v1:speed=1", "no setting 'speed=1'"),
    ("gym:CartPole-v1:actions=A+b", "no setting"), ("gym:Cart Pole", "not the name"),
    ("gym:CartPol-v1", "NameNotFound: .*CartPole"), ("gym:CartPole-v9", "v9"),
    ("gym:no_module:X-v0", "ModuleNotFoundError: No module named 'no_module'"),
    ("gym:gym_envs:Broken-v0", "OSError: no such robot .gym_envs.py:"),
    ("gym:CartPole-v1[wings=2]", "TypeError: .*wings"),
    ("gym:Pendulum-v1", r"Box\(-2.0, 2.0.*Discrete and MultiDiscrete"),
    (odd(actions="many"), "272 actions; 1 to 256"), (odd(space="graph"), "Graph"),
    (odd() + ":observe=a", "observe=a: "),
    ("gym:" + "x" * 100, "the name of a game has at most 95"),
]


@pytest.mark.parametrize("domain, message", REFUSED)
def test_refused(domain, message, tmp_path):
    assert re.search(message, refusal("train", domain, "--out", tmp_path / "x"))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("space, settings, message", [
    ("graph", {}, "Graph"), ("sequence", {}, "Sequence"), ("huge", {}, "10000 values"),
    ("float", {"grey": True}, "grey and size are of images"), ("dict", {"observe": "c"}, "observe=c: ")])
def test_spaces_of_observations_that_are_refused(space, settings, message):
    with pytest.raises(worker.Refusal, match=message):
        worker.read_observations(gym_envs.SPACES[space][0], settings)


@pytest.mark.parametrize("actions, message", [("many", "272 actions"), ("box", "its actions are Box")])
def test_spaces_of_actions_that_are_refused(actions, message):
    with pytest.raises(worker.Refusal, match=message):
        worker.read_actions(gym_envs.ACTIONS[actions])


def test_no_python(tmp_path):
    out = ("--out", tmp_path / "x")
    assert "no Python '/no/python'" in refusal("train", "gym:CartPole-v1", *out, "--python", "/no/python", code=1)
    (tmp_path / "gymnasium.py").write_text("raise ImportError('broken')")
    assert re.search("cannot import gymnasium: ImportError: broken.* name another by QGRAFT_PYTHON", refusal(
        "train", "gym:CartPole-v1", *out, code=1, PYTHONPATH=str(tmp_path)))
    assert "name the interpreter's file" in refusal("train", "gym:CartPole-v1", "--python")


TROUBLES = {
    "raise": "step 7 of episode [0-9]+: ValueError: the 'wheel' fell off .gym_envs.py:[0-9]+",
    "long": r"step 7 .*ValueError: (wheel )+.*\.\.\. \(gym_envs.py:[0-9]+\)$",
    "orphan": "its process was ended by signal 9",
    "exit": "its process ended by itself with exit code 7; it said last: about to leave",
    "systemexit": "SystemExit: 3",
    "crash": "its process was ended by signal 11 .Segmentation fault",
    "hang": "step 7 of episode 1: no answer for 4 seconds",
    "nan": r"step 7 of episode 1: observation\[0\] is NaN",
    "inf": "step 7 of episode 1: an observation is float64",
    "babble": "step 7 of episode 1: no answer for 4 seconds",
    "deaf": "step 7 of episode 1: no answer for 4 seconds",
    "reward": "step 7 of episode 1: the reward is NaN",
    "type": r"step 7 .*an observation is float64 \(3,\), its space says float32 \(3,\)",
    "shape": r"an observation is float32 \(6,\), its space says float32 \(3,\)",
    "four": r"step\(\) gave 4 values",
    "autoreset": "resets itself",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_environment_in_trouble_ends_its_run(trouble, tmp_path):
    domain = odd(trouble=trouble)
    more = {"QGRAFT_PYTHON_TIMEOUT": "4"} if "for 4" in TROUBLES[trouble] else {}
    error = refusal("train", domain, "--steps", 300, "--out", tmp_path / "run", "--quiet", *SMALL, code=1, **more)
    assert re.search(TROUBLES[trouble], error), error
    assert domain in error and "`" not in error
    assert "state: failed" in (tmp_path / "run" / "process.yaml").read_text()


SPACES = gymnasium.spaces
WRONG_PARTS = [
    (SPACES.Dict(a=SPACES.Box(-1, 1, (2,), np.float32)), {"a": np.zeros(2)}, r"\[a\] is float64 \(2,\)"),
    (SPACES.Dict(a=SPACES.Box(-1, 1, (2,), np.float32)), {"a": np.zeros((1, 2), np.float32)}, r"\[a\] is float32 \(1, 2\)"),
    (SPACES.Dict(a=SPACES.Box(0, 9, (2,), np.int8)), {"a": np.array([300, 1])}, r"\[a\] is int64"),
    (SPACES.Dict(a=SPACES.Box(0, 1 << 62, (1,), np.int64)), {"a": np.array([(1 << 60) + 1])}, "no float32"),
    (SPACES.Dict(a=SPACES.Box(0, np.inf, (1,), np.float64), b=SPACES.Box(0, 1 << 30, (1,), np.int64)),
     {"a": np.ones(1), "b": np.array([(1 << 24) + 1])}, "no float32"),
    (SPACES.Dict(a=SPACES.Discrete(3), b=SPACES.Discrete(3)), {"a": 1}, "has no b"),
    (SPACES.Dict(a=SPACES.Dict(b=SPACES.Discrete(3))), {"a": {"b": -1}}, r"\[a\]\[b\] is -1, .*Discrete\(3\)"),
    (SPACES.Dict(a=SPACES.Discrete(3)), [1], r"is \[1\]"),
    (SPACES.Tuple((SPACES.Discrete(3), SPACES.MultiBinary(2))), (1, np.array([0, 3])), r"\[1\] is \[0 3\]"),
    (SPACES.Tuple((SPACES.Discrete(3),)), (1, 2), r"is \(1, 2\)"),
    (SPACES.Tuple((SPACES.Discrete(3),)), (1.5,), r"\[0\] is 1.5"),
    (SPACES.MultiDiscrete([2, 3]), np.array([0, -1]), r"is \[ 0 -1\]"),
]


@pytest.mark.parametrize("space, observation, message", WRONG_PARTS)
def test_parts_that_are_not_of_their_space(space, observation, message):
    """flatten takes each of them, and cuts off, wraps or rounds, or names no part."""
    reader = worker.read_observations(space, {})
    out = np.zeros(reader.shape, np.float32)
    with pytest.raises(worker.Misbehaviour, match=message):
        reader.write(observation, out)


@pytest.mark.parametrize("value", [0, 5, -(1 << 24), 3 << 50, -(1 << 63), (1 << 24) - 1])
def test_whole_numbers_that_a_float_holds(value):
    least = np.iinfo(np.int64)
    reader = worker.read_observations(SPACES.Dict(a=SPACES.Box(least.min, least.max, (1,), np.int64)), {})
    out = np.zeros(reader.shape, np.float32)
    reader.write({"a": np.array([value])}, out)
    assert int(out[0, 0, 0]) == value


@pytest.mark.parametrize("dtype, value", [
    (np.uint64, (1 << 64) - 1), (np.int64, (1 << 63) - 1), (np.int64, (1 << 53) + 1), (np.int64, -(1 << 24) - 1)])
def test_whole_numbers_that_no_float_holds(dtype, value):
    assert not worker.fits_float32(np.array([value], dtype))


def test_a_number_that_no_float_holds(tmp_path):
    assert "no float32 can hold" in refusal("rollout", odd(space="toowhole"), "--random", 3, "--seed", 1,
                                            "--out", tmp_path / "r", code=1)


@pytest.mark.parametrize("trouble", ["print", "middle", "spawn", "hash"])
def test_harmless(trouble, tmp_path):
    seen, episodes = rollout(odd(trouble=trouble), tmp_path)
    assert len(seen["actions"]) == 60
    if trouble == "spawn":  # by a process that knows nothing of the worker's own file
        assert seen["rewards"].max() == 70
    if trouble == "hash":  # of strings: the same in all processes
        again, _ = rollout(odd(trouble=trouble), tmp_path)
        assert (seen["rewards"] == again["rewards"]).all()
    assert seen["ends"].sum() == (12 if trouble == "middle" else 0)


def files(folder):
    """All results: what neither the clock nor the machine is in."""
    return {p.name: p.read_bytes() for p in folder.iterdir()
            if p.suffix in (".csv", ".safetensors") or p.name == "run.yaml"}


def test_truncation_and_termination_in_the_replay(tmp_path):
    def ends(**arguments):
        qgraft("train", odd(length=10, **arguments), "--steps", 200, "--out", tmp_path / "t", "--overwrite",
               "--quiet", "--keep-replay", *SMALL)
        qgraft("replay", tmp_path / "t" / "replay.data", "--export", tmp_path / "e")
        return load_file(tmp_path / "e")
    cut, ended = ends(), ends(trouble="terminated", at=10)
    assert set(cut["ends"].tolist()) == {0, 2} and set(ended["ends"].tolist()) == {0, 1}
    assert cut["observations"].dtype == np.float32 and cut["observations"].shape == (200, 3)
    assert (cut["observations"] == ended["observations"]).all()


def interrupt(folder, *words, rows=3):
    """Starts a training and ends it when training.csv has so many rows; again where that was too late."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        process = subprocess.Popen([QGRAFT, *map(str, words)], stderr=subprocess.PIPE, text=True, env=HERE)
        table = folder / "training.csv"
        while process.poll() is None and (not table.exists() or table.read_text().count("\n") <= rows):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        if process.returncode != 0:
            break
    return process.returncode


def test_resume_is_exact(tmp_path):
    words = ["train", odd(length=33), "--steps", 1000, "--quiet", *SMALL]
    qgraft(*words, "--out", tmp_path / "whole")
    cut = tmp_path / "cut"
    assert interrupt(cut, *words, "--out", cut) == 130
    qgraft(*words, "--out", cut, "--resume")
    assert files(cut) == files(tmp_path / "whole")
    assert "inexact" not in (cut / "process.yaml").read_text()


@pytest.mark.parametrize("trouble", ["chance", "once"])
def test_resume_of_what_cannot_be_repeated(trouble, tmp_path):
    """It draws from elsewhere, or raises while it is played again and no more after that."""
    words = ["train", odd(length=33, trouble=trouble), "--steps", 1000, "--out", tmp_path / "run", *SMALL]
    assert interrupt(tmp_path / "run", *words) == 130
    (tmp_path / "once").touch()
    said = qgraft(*words, "--resume", GYM_ONCE=str(tmp_path / "once")).stderr
    assert "does not do the same when it is played again: the run went on from a fresh episode" in said
    assert "inexact_resumes: 1 " in (tmp_path / "run" / "process.yaml").read_text()


def test_resume_between_two_episodes(tmp_path):
    """An episode that was lost before its first step has no end: the memory is a valid data set."""
    words = ["train", odd(length=1, trouble="chance"), "--steps", 600, "--keep-replay", "--out", tmp_path / "run",
             *SMALL, "--set=replay=1000"]
    for _ in range(4):  # half of the stops come there
        assert interrupt(tmp_path / "run", *words) == 130
        qgraft(*words, "--resume")
        qgraft("replay", tmp_path / "run" / "replay.data")


def test_a_worker_never_outlives_its_run(tmp_path):
    """Nor does what the environment has started."""
    log = tmp_path / "log"
    process = subprocess.Popen([QGRAFT, "train", odd(trouble="child"), "--steps", "300", "--out", tmp_path / "run",
                                "--quiet", *SMALL], env={**HERE, "GYM_LOG": str(log)})
    while not log.exists() or '"child"' not in log.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    workers = {line[key] for line in told for key in ("pid", "child") if key in line}
    assert len(workers) > 1
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_time_in_which_all_stood_still_is_no_silence(tmp_path):
    """As where a job is suspended."""
    log = tmp_path / "log"
    process = subprocess.Popen([QGRAFT, "rollout", odd(trouble="nap"), "--random", "20", "--seed", "1", "--out", tmp_path / "r"],
                               env={**HERE, "GYM_LOG": str(log), "QGRAFT_PYTHON_TIMEOUT": "7"})
    while not log.exists() or '"nap"' not in log.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    worker_pid = next(line["nap"] for line in map(json.loads, log.read_text().splitlines()) if "nap" in line)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(process.pid, number)
        os.kill(worker_pid, number)
        time.sleep(9 if number == signal.SIGSTOP else 0)
    assert process.wait(timeout=60) == 0


def test_an_environment_that_takes_no_render_mode(tmp_path):
    qgraft("rollout", "gym:gym_envs:Plain-v0", "--random", 20, "--seed", 1, "--out", tmp_path / "r")
    qgraft("rollout", "gym:gym_envs:Plain-v0[render_mode=none]", "--random", 20, "--seed", 1, "--out", tmp_path / "r")
    assert "render_mode" in refusal("rollout", "gym:gym_envs:Plain-v0[render_mode=ansi]", "--random", 20, "--seed", 1,
                                    "--out", tmp_path / "r")


def test_pictures(tmp_path):
    qgraft("play", "--random", odd(length=12), "--gif", tmp_path / "p.gif", "--no-draw")
    gif = Image.open(tmp_path / "p.gif")
    assert gif.n_frames == 13 and gif.size == (16 * 64, 16 * 48)
    gif.seek(12)
    red, green, blue = gif.convert("RGB").getpixel((5, 5))
    assert abs(red - 120) < 20 and green == 255 and blue == 0
    qgraft("play", "--random", odd(trouble="wide"), "--gif", tmp_path / "w.gif", "--no-draw", "--steps", 3)
    assert Image.open(tmp_path / "w.gif").size == (128, 48)  # its pixels are square
    raw = ["--random", 7, "--seed", 1, "--raw", "--out", tmp_path / "raw"]
    assert "picture is 96 x 64 pixels after step 7" in refusal("rollout", odd(trouble="grow"), *raw, code=1)
    assert "no screen" in refusal("rollout", odd(trouble="render"), *raw, code=1)
    assert "no screen" in refusal("rollout", odd(trouble="lastrender"), *raw, code=1)
    assert "no screen" in refusal("play", "--random", odd(trouble="lastrender", length=7), "--gif", tmp_path / "q.gif",
                                  "--no-draw", code=1)
    assert "RuntimeError: no screen" in refusal("play", "--random", odd(trouble="render"), "--gif",
                                                tmp_path / "q.gif", "--no-draw", code=1)
    assert "no pictures" in refusal("play", "--random", odd(render_mode="none"), "--gif", tmp_path / "q.gif")


def test_a_network_of_floats_against_numpy(tmp_path):
    """Q-values and TD errors of 'update' on float states, in doubles."""
    qgraft("train", odd(), "--steps", 0, "--out", tmp_path / "n", "--quiet")
    network = tmp_path / "n" / "last.safetensors"
    random, n = np.random.default_rng(1), 40
    states, after = (random.normal(0, 3, (n, 3, 1, 1)).astype(np.float32) for _ in range(2))
    batch = {"states": states, "next_states": after, "actions": random.integers(0, 2, n),
             "rewards": random.normal(size=n).astype(np.float32), "terminals": (np.arange(n) % 3 == 0).astype(np.uint8)}
    save_file(batch, tmp_path / "b")

    def forward(x):
        w = {k: v.astype(float) for k, v in load_file(network).items()}
        x = x.reshape(n, 3).astype(float)
        for layer in ("fc1", "fc2"):
            x = np.maximum(x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"], 0)
        return x @ w["fc3.weight"].T + w["fc3.bias"]
    qgraft("update", "--online", network, "--target", network, "--batch", tmp_path / "b", "--out", tmp_path / "u",
           "--set=clip_error=0", "--set=discount=0.9")
    made, q = load_file(tmp_path / "u"), forward(states)
    assert np.allclose(made["q"], q, rtol=1e-5, atol=1e-5)
    target = batch["rewards"].clip(-1, 1) + 0.9 * (batch["terminals"] == 0) * forward(after).max(1)
    assert np.allclose(made["td_error"], target - q[np.arange(n), batch["actions"]], rtol=1e-4, atol=1e-5)
    batch["states"][3] = np.nan
    save_file(batch, tmp_path / "b")
    assert "not a finite number" in refusal("update", "--online", network, "--target", network, "--batch", tmp_path / "b",
                                  "--out", tmp_path / "v", code=1)


def test_cartpole_is_learned(tmp_path):
    """A fraction of the way (docs/domains.md has the whole): random play holds the pole for 9 to 22 steps."""
    qgraft("train", "gym:CartPole-v1", "--steps", "4k", "--out", tmp_path / "r", "--quiet",
           "--set=eval_every=2k", "--set=eval_steps=1k", "--set=epsilon_steps=2k")
    scores = [float(row.split(",")[1]) for row in (tmp_path / "r" / "evaluations.csv").read_text().splitlines()[1:]]
    assert max(scores) > 80


def test_graft_evaluate_similarity(tmp_path):
    source, target = odd(length=15), odd(length=25)
    qgraft("train", source, "--steps", 200, "--out", tmp_path / "a", "--quiet", *SMALL)
    network = tmp_path / "a" / "last.safetensors"
    qgraft("graft", network, "--to", target, "--first", 2, "--freeze", "--steps", 300, "--out", tmp_path / "b",
           "--quiet", *SMALL)
    assert "frozen_unchanged: true" in (tmp_path / "b" / "run.yaml").read_text()
    one = json.loads(qgraft("evaluate", network, "--steps", 100, "--json").stdout)
    assert one["episodes"] == 6 and one["score"] == 15  # of the rewards 1, 2, 0, ...
    alike = json.loads(qgraft("similarity", source, target, "--frames", 60, "--json").stdout)
    assert "close" in json.dumps(alike)
    assert "bf16 is for screens" in refusal("train", source, "--out", tmp_path / "c", "--set=precision=bf16")


def write_study(path, source, target, more=""):
    path.write_text(f"""
study: gym
question: Does it run?
steps: 300
seeds: 1
settings: {{learn_start: 100, replay: 300, minibatch: 8, validation_size: 20, eval_every: 300, eval_steps: 60}}
sources:
  source: {{game: {source!r}}}
runs:
  - {{game: {target!r}}}
  - {{game: {target!r}, from: source, first: 1{more}}}
""")


def test_a_study(tmp_path):
    """Of an environment that only the folder of the start has, by an interpreter named from there; runs
    have folders of their own. A name with quotes is a cell that Python's csv reads, and the report finds
    the game again."""
    shutil.copy(Path(__file__).parent / "gym_envs.py", tmp_path)
    environment = {**HERE, "QGRAFT_PYTHON": os.path.relpath(sys.executable, tmp_path.resolve())}
    del environment["PYTHONPATH"]
    source, target = odd(length=15, space='"float"'), odd(length=25)
    write_study(tmp_path / "s.yaml", source, target, f", also_evaluate: [{source!r}]")
    subprocess.run([QGRAFT, "run", "s.yaml", "--out", "out", "--quiet"], cwd=tmp_path, env=environment, check=True)
    finished = [p.read_text() for p in (tmp_path / "out").rglob("process.yaml")]
    assert len(finished) >= 5 and all("state: finished" in text for text in finished)
    with open(next((tmp_path / "out").rglob("other_evaluations.csv")), newline="") as file:
        assert [row["game"] for row in csv.DictReader(file)] == [source, source]
    qgraft("report", tmp_path / "out")
    with open(tmp_path / "out" / "continual.csv", newline="") as file:
        assert [(row["transfer"], row["game"]) for row in csv.DictReader(file)] == [("backward", source)]


def test_a_study_of_games_without_pictures(tmp_path):
    """They cannot be compared: that is a result, and the report says it."""
    source, target = odd(render_mode="none"), odd(length=25, trouble="render")
    write_study(tmp_path / "s.yaml", source, target)
    qgraft("run", tmp_path / "s.yaml", "--out", tmp_path / "out", "--quiet")
    result, = (tmp_path / "out").rglob("similarity.json")
    told = json.loads(result.read_text())
    assert told["games"] == sorted([source, target]) and "no screen" in told["not_compared"]
    qgraft("report", tmp_path / "out")
    assert "the games were not compared" in (tmp_path / "out/report.html").read_text()
    folder, again = result.parent, tmp_path / "again"
    qgraft("perform", folder / "task.yaml", "--out", again)
    assert (again / "similarity.json").read_text() == result.read_text()
    answer = json.loads(qgraft("perform", folder / "task.yaml", "--out", again, "--overwrite", "--json").stdout)
    assert answer["grade"] is None and "no screen" in answer["not_compared"]


LIES = {
    "no json": "b'{'", "no object": "b'[]'", "no shape": "made(shape=[1, 1])", "big": "made(shape=[1, 1, 1 << 40])",
    "image of floats": "made(shape=[8, 8, 1])", "negative": "made(shape=[1, 1, -4])", "max": "made(max=7)",
    "no actions": "made(actions=[])", "many actions": "made(actions=['a'] * 257)", "odd action": "made(actions=['A,b'])",
    "long text": "None", "silence": "b''", "gone": "sys.exit(0)",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies(lie, tmp_path):
    """Another program in the place of the interpreter: all that it says is checked."""
    fake = tmp_path / "python"
    fake.write_text(f"""#!{sys.executable}
import json, os, struct, sys
def made(**other):
    told = {{"shape": [1, 1, 4], "max": 0, "actions": ["a", "b"], "picture": False, "fps": 30, "note": ""}}
    return json.dumps({{**told, **other}}).encode()
control = int(sys.argv[2])
what, size = struct.unpack("=ii", os.read(control, 8))
os.read(control, size)
text = {LIES[lie]}
os.write(control, struct.pack("=iIdII", 0, 1 << 31 if text is None else len(text), 0, 0, 0) + (text or b""))
os.read(control, 8)
""")
    fake.chmod(0o755)
    error = refusal("train", "gym:X-v0", "--out", tmp_path / "x", code=1, QGRAFT_PYTHON=str(fake))
    assert re.search("impossible|does not speak|ended by itself|description", error), error
