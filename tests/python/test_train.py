"""Training from outside: the same bits for any number of threads, files that others read, clean
ends, and an agent that learns."""

import csv
import json
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

QGRAFT = os.environ.get("QGRAFT")
ATARI = os.environ.get("QGRAFT_ATARI")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

# A run of 20,000 steps in a few seconds, with several evaluations and a ring that comes round.
SMALL = {"learn_start": 2000, "replay": 6000, "update_every": 8, "minibatch": 16,
         "epsilon_steps": 8000, "target_every": 500, "eval_every": 7000, "eval_steps": 2000,
         "validation_size": 100, "noop_max": 3}


def command(*words, settings=None):
    sets = [w for k, v in (settings or {}).items() for w in ("--set", f"{k}={v}")]
    return [QGRAFT, *map(str, words), *sets]


def qgraft(*words, code=0, **options):
    result = subprocess.run(command(*words, **options), capture_output=True, text=True, timeout=1200)
    assert result.returncode == code, result.stderr
    return result


def train(domain, folder, *words, settings=None):
    result = qgraft("train", domain, "--out", folder, "--json", "--quiet", *words,
                    settings=settings)
    return json.loads(result.stdout)


def evaluate(network, *words):
    result = json.loads(qgraft("evaluate", network, "--json", *words).stdout)
    return {k: v for k, v in result.items() if k != "network"}


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def scalars(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]}


def assert_same_runs(a, b):
    """Every file of two runs, but how each went on this machine (process.yaml, wall times)."""
    kinds = []
    for folder in (a, b):
        names = {re.sub(r"tfevents.*", "tfevents", p.name) for p in folder.iterdir()}
        assert {"run.yaml", "evaluations.csv", "training.csv", "best.safetensors",
                "last.safetensors", "process.yaml", "events.out.tfevents"} <= names
        kinds.append(names)
    assert kinds[0] == kinds[1]
    compared = 0
    for path in sorted(a.iterdir()):
        if path.name in ("process.yaml", "lock") or "tfevents" in path.name:
            continue
        assert path.read_bytes() == (b / path.name).read_bytes(), path.name
        compared += 1
    assert compared >= 5
    assert scalars(a) == scalars(b)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One run with 1 thread and with 2."""
    folder = tmp_path_factory.mktemp("runs")
    results = [train("minatar/breakout", folder / str(k), "--steps", "20k", "--threads", threads,
                     settings=SMALL) for k, threads in enumerate((1, 2))]
    return folder, results


# ---- The same bits, and what is in the files ----


def test_threads_do_not_matter(runs):
    folder, results = runs
    assert_same_runs(folder / "0", folder / "1")
    same = [{k: v for k, v in r.items() if k in ("step", "best_score", "best_step", "last_score",
                                                    "confirmed_score")}
            for r in results]
    assert same[0] == same[1] and same[0]["step"] == 20000


def test_seeds_matter(runs, tmp_path):
    train("minatar/breakout", tmp_path / "other", "--steps", "3k", "--seed", "2", settings=SMALL)
    train("minatar/breakout", tmp_path / "same", "--steps", "3k", settings=SMALL)
    ours, other = (load_file(tmp_path / name / "last.safetensors") for name in ("same", "other"))
    assert all(np.any(ours[name] != other[name]) for name in ours)


def test_files(runs):
    folder, results = runs
    run, result = folder / "0", results[0]
    evaluations, training = rows(run / "evaluations.csv"), rows(run / "training.csv")
    assert [int(r["step"]) for r in evaluations] == [0, 7000, 14000, 20000]
    assert [int(r["step"]) for r in training] == list(range(1000, 20001, 1000))
    assert [r["validation_q"] != "" for r in evaluations] == [False, True, True, True]
    # updates at steps 2008, 2016, ... 19992
    assert int(training[-1]["updates"]) == (19992 - 2008) // 8 + 1
    assert float(training[1]["epsilon"]) == 1 and float(training[-1]["epsilon"]) == 0.1
    assert all(float(r["minimum"]) <= float(r["score"]) <= float(r["maximum"]) for r in evaluations)
    best = max(evaluations[1:], key=lambda r: float(r["score"]))  # the first of equals
    assert result["best_score"] == float(best["score"])
    assert result["best_step"] == int(best["step"])
    assert result["last_score"] == float(evaluations[-1]["score"])
    with safe_open(run / "best.safetensors", "np") as file:
        metadata = file.metadata()
    assert metadata["domain"] == "minatar/breakout" and metadata["seed"] == "1"
    assert int(metadata["step"]) == result["best_step"]
    assert float(metadata["score"]) == result["best_score"]
    # Played again: as many steps with other seeds, so a score near the first, and another one.
    assert float(metadata["confirmed_score"]) == result["confirmed_score"] != result["best_score"]
    again = evaluate(run / "best.safetensors", "--steps", "100k")
    error = again["deviation"] / (again["episodes"] / 50) ** 0.5
    assert abs(result["confirmed_score"] - again["score"]) < 4 * error
    with safe_open(run / "last.safetensors", "np") as file:
        assert "confirmed_score" not in file.metadata()
    board = scalars(run)
    assert board["evaluation/score"] == [(int(r["step"]), np.float32(r["score"]))
                                         for r in evaluations]
    assert [s for s, _ in board["training/td_error"]] == list(range(3000, 20001, 1000))
    assert not (run / "replay.bin").exists()
    assert "state: finished" in (run / "process.yaml").read_text()


def test_run_yaml_repeats_the_run(runs, tmp_path):
    """The settings that a run wrote down make the same run again."""
    text = (runs[0] / "0/run.yaml").read_text()
    settings = re.search(r"^settings:\n((?:  .*\n)+)", text, re.MULTILINE)[1]
    (tmp_path / "settings.yaml").write_text(re.sub("^  ", "", settings, flags=re.MULTILINE))
    short = ["minatar/breakout", "--steps", "2500", "--quiet"]
    qgraft("train", *short, "--out", tmp_path / "a", "--config", tmp_path / "settings.yaml")
    qgraft("train", *short, "--out", tmp_path / "b", settings=SMALL)
    assert_same_runs(tmp_path / "a", tmp_path / "b")


def test_evaluation(runs):
    network = runs[0] / "0/best.safetensors"
    first = evaluate(network, "--steps", "1k", "--seed", "5")
    assert first == evaluate(network, "--steps", "1k", "--seed", "5")
    assert first != evaluate(network, "--steps", "1k", "--seed", "6")
    assert first == evaluate(network, "--steps", "1k", "--seed", "5", "--isa", "portable")
    assert first["steps"] == 1000 and first["episodes"] > 0
    assert first["minimum"] <= first["score"] <= first["maximum"]


def test_no_steps(tmp_path):
    result = train("minatar/breakout", tmp_path / "run", "--steps", "0")
    assert result["step"] == 0 and result["best_score"] is None
    best, last = (load_file(tmp_path / f"run/{n}.safetensors") for n in ("best", "last"))
    assert all(best[name].tobytes() == last[name].tobytes() for name in best)
    assert rows(tmp_path / "run/evaluations.csv") == []


# ---- Ends ----


def start(folder, *words):
    """A run without end, once its training has begun."""
    process = subprocess.Popen(
        command("train", "minatar/breakout", "--steps", "100M", "--quiet", "--out", folder, *words,
                settings={**SMALL, "eval_every": 2000, "eval_steps": 200}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 1200
    training = Path(folder) / "training.csv"
    while not training.exists() or len(training.read_text().splitlines()) < 4:
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.02)
    return process


def end(process, number):
    process.send_signal(number)
    _, stderr = process.communicate(timeout=1200)
    return process.returncode, stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(tmp_path, number):
    folder = tmp_path / "run"
    code, stderr = end(start(folder), number)
    assert code == 130 and stderr.count("\n") == 1 and "--resume" in stderr, stderr
    assert (folder / "replay.bin").exists()  # to go on with
    assert "state: stopped" in (folder / "process.yaml").read_text()
    step = int(re.search(r"^step: (\d+)$", (folder / "process.yaml").read_text(), re.M)[1])
    training = rows(folder / "training.csv")
    assert [int(r["step"]) for r in training] == list(range(1000, step + 1, 1000))
    assert all(None not in r.values() for r in training)
    assert int(rows(folder / "evaluations.csv")[-1]["step"]) <= step
    assert "training/return" in scalars(folder)
    with safe_open(folder / "last.safetensors", "np") as file:
        assert int(file.metadata()["step"]) == step


def test_one_process_a_folder(tmp_path):
    folder = tmp_path / "run"
    process = start(folder)
    try:
        for more in ((), ("--overwrite",)):
            result = qgraft("train", "minatar/breakout", "--out", folder, "--steps", "10", *more,
                            code=1)
            assert str(process.pid) in result.stderr and result.stderr.count("\n") == 1
        assert (folder / "replay.bin").exists() and process.poll() is None
    finally:
        code, _ = end(process, signal.SIGINT)
    assert code == 130
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    result = qgraft("train", "minatar/breakout", "--out", folder, "--steps", "10", code=2)
    assert "--overwrite" in result.stderr and "--resume" in result.stderr
    assert result.stderr.count("\n") == 1
    after = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert {k: v for k, v in before.items() if k != "lock"} == {
        k: v for k, v in after.items() if k != "lock"}
    train("minatar/breakout", folder, "--steps", "0", "--overwrite")
    assert rows(folder / "training.csv") == []


def test_a_finished_run_stays_until_another_can_begin(tmp_path):
    folder = tmp_path / "run"
    train("minatar/breakout", folder, "--steps", "1000", settings=SMALL)
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "lock"}
    (folder / "replay.bin").mkdir()  # no memory can be made
    qgraft("train", "minatar/breakout", "--out", folder, "--steps", "10", "--overwrite", code=1)
    (folder / "replay.bin").rmdir()
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "lock"} == before
    assert "holds a run already" in qgraft("train", "minatar/breakout", "--out", folder, code=2).stderr
    train("minatar/breakout", folder, "--steps", "1200", "--overwrite", settings=SMALL)
    assert rows(folder / "training.csv")[-1]["step"] == "1000"


def test_a_memory_that_cannot_be_renamed_stays(tmp_path):
    (tmp_path / "run/replay.data").mkdir(parents=True)
    words = ["--steps", "1000", "--keep-replay", *[w for k, v in SMALL.items() for w in ("--set", f"{k}={v}")]]
    said = qgraft("train", "minatar/breakout", "--out", tmp_path / "run", *words).stderr
    assert "could not be renamed to replay.data: it is still replay.bin" in said
    assert "minatar/breakout" in qgraft("replay", tmp_path / "run/replay.bin").stdout


def test_killed(tmp_path):
    """A killed run leaves no lock: the next one takes its folder."""
    folder = tmp_path / "run"
    code, _ = end(start(folder), signal.SIGKILL)
    assert code == -signal.SIGKILL
    train("minatar/breakout", folder, "--steps", "3k", "--overwrite", settings=SMALL)
    train("minatar/breakout", tmp_path / "clean", "--steps", "3k", settings=SMALL)
    for name in ("run.yaml", "training.csv", "evaluations.csv", "last.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "clean" / name).read_bytes()
    assert scalars(folder)["training/epsilon"] == scalars(tmp_path / "clean")["training/epsilon"]
    assert not (folder / "replay.bin").exists()


@pytest.mark.parametrize("words, code, text", [
    (["minatar/pacman"], 2, "pacman"),
    (["minatar/breakout", "--steps", "-1"], 2, "--steps"),
    (["minatar/breakout", "--steps", "many"], 2, "--steps"),
    (["minatar/breakout", "--threads", "0"], 2, "--threads"),
    (["minatar/breakout", "--isa", "abacus"], 2, "abacus"),
    (["minatar/breakout", "--isa", "amx"], 2, "'amx' is not to be had on this machine in float32"),
    (["minatar/breakout", "--set", "precision=float16"], 2, "allowed: float32, bf16"),
    (["minatar/breakout", "--set", "gamma=1"], 2, "gamma"),
    (["minatar/breakout", "--set", "minibatch=100k"], 2, "minibatch"),
    (["minatar/breakout", "--set", 'network=[{"conv": 8, "kernel": 11}]'], 2, "kernel of 11"),
    (["minatar/breakout", "--out", "/dev/null/run"], 1, "/dev/null/run"),
])
def test_refusals(tmp_path, words, code, text):
    result = subprocess.run(command("train", *words), cwd=tmp_path, capture_output=True, text=True,
                            timeout=1200)
    assert result.returncode == code and text in result.stderr, result.stderr
    assert result.stderr.startswith("qgraft: ") and result.stderr.count("\n") == 1, result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("first, second", [("bf16", "float32"), ("float32", "bf16")])
def test_another_precision(tmp_path, first, second):
    """A run goes on in its precision only; its networks say what it was, and are played in it."""
    words = ["minatar/breakout", "--steps", "1500", "--set", "learn_start=500", "--set", "eval_every=500",
             "--set", "eval_steps=200", "--quiet", "--out", tmp_path / "run", "--set"]
    subprocess.run(command("train", *words, f"precision={first}"), check=True, timeout=1200)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    result = subprocess.run(command("train", *words, f"precision={second}", "--resume"),
                            capture_output=True, text=True, timeout=1200)
    assert result.returncode in (1, 2) and result.stderr.count("\n") == 1, result.stderr
    assert f"precision is {first} there, {second} here" in result.stderr
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    network = before["last.safetensors"]
    assert (b'"precision":"bf16"' in network.replace(b": ", b":")) == (first == "bf16")
    assert f"precision: {first}".encode() in before["run.yaml"]
    subprocess.run(command("evaluate", tmp_path / "run/last.safetensors", "--steps", "100"),
                   capture_output=True, check=True, timeout=1200)


def test_full_disk(tmp_path):
    """No room for the replay memory: one line, no file left."""
    # Not a full disk, but files that cannot grow; Python ignores the signal that comes with it.
    result = subprocess.run(
        command("train", "minatar/breakout", "--steps", "50k", "--quiet", "--out", tmp_path / "run"),
        capture_output=True, text=True, timeout=1200, restore_signals=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000)))
    assert result.returncode == 1 and "replay" in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run/replay.bin").exists()


# ---- Learning ----


def test_it_learns(tmp_path):
    """Random play scores 0.5 in MinAtar's Breakout; this run ended at 4."""
    settings = {"learn_start": 2000, "replay": 30000, "epsilon_steps": 20000, "eval_every": 60000,
                "eval_steps": 5000, "target_every": 500, "update_every": 6, "learning_rate": 0.002}
    result = train("minatar/breakout", tmp_path / "run", "--steps", "60k", settings=settings)
    start_score = float(rows(tmp_path / "run/evaluations.csv")[0]["score"])
    assert start_score < 1.5
    assert result["last_score"] > 2


@pytest.mark.skipif(not ATARI, reason="QGRAFT_ATARI does not name the emulator")
def test_atari_threads_do_not_matter(tmp_path):
    settings = {"learn_start": 200, "update_every": 50, "validation_size": 50, "eval_every": 1500,
                "eval_steps": 150, "target_every": 400, "epsilon_steps": 1000, "log_every": 500}
    for threads in (1, 2):
        train("pong", tmp_path / str(threads), "--steps", "2k", "--threads", threads,
              settings=settings)
    assert_same_runs(tmp_path / "1", tmp_path / "2")
    assert len(rows(tmp_path / "1/evaluations.csv")) == 3


# ---- odd ends ----


DEEP = "network=[" + ",".join(['{"linear": 256}'] * 7) + "]"


def test_a_network_that_diverges(tmp_path):
    """The run goes to its end, says so once, keeps the best that still was one, and is complete."""
    words = ["train", "minatar/breakout", "--out", tmp_path / "run", "--steps", 1500, "--quiet"]
    for setting in ("learning_rate=10", "loss=mse", "optimiser=adam", "learn_start=500", "validation_size=100",
                    "eval_every=500", "eval_steps=100", "update_every=1", DEEP):
        words += ["--set", setting]
    first = qgraft(*words, "--json")
    said = first.stderr
    assert said.count("has diverged: at step 1000") == 1 and "state: finished" in (tmp_path / "run/process.yaml").read_text()
    qgraft("evaluate", tmp_path / "run/best.safetensors", "--steps", 100)
    assert "not a finite number" in qgraft("evaluate", tmp_path / "run/last.safetensors", code=1).stderr
    again = json.loads(qgraft(*words, "--resume", "--json").stdout)  # nothing is left to do
    for score in ("best_score", "last_score"):
        assert again[score] == json.loads(first.stdout)[score]


def test_an_overwritten_run_leaves_no_table(tmp_path):
    words = ["train", "minatar/breakout", "--out", tmp_path / "run", "--steps", 1000, "--quiet", "--set", "eval_every=500",
             "--set", "eval_steps=100"]
    qgraft(*words, "--also-evaluate", "minatar/freeway")
    assert (tmp_path / "run/layers.csv").exists() and (tmp_path / "run/other_evaluations.csv").exists()
    qgraft(*words, "--overwrite", "--set", "layer_states=0")
    assert not list((tmp_path / "run").glob("*layers.csv")) + list((tmp_path / "run").glob("other*"))


def test_no_memory_to_keep(tmp_path):
    words = ["train", "minatar/breakout", "--out", tmp_path / "run", "--quiet", "--steps"]
    assert "makes no step" in qgraft(*words, 0, "--keep-replay").stderr
    tiny = ["--set", "eval_every=500", "--set", "eval_steps=100", "--overwrite"]
    qgraft(*words, 1000, *tiny)
    assert "complete already has none" in qgraft(*words, 1000, *tiny[:-1], "--resume", "--keep-replay").stderr
    assert qgraft(*words, 1000, *tiny, "--keep-replay").stderr == ""
    assert qgraft(*words, 1000, *tiny[:-1], "--resume", "--keep-replay").stderr == ""


def test_a_progress_file_that_is_something_else(tmp_path):
    words = ["train", "minatar/breakout", "--steps", 0, "--quiet"]
    qgraft(*words, "--out", tmp_path / "source")
    network = tmp_path / "source/last.safetensors"
    before = network.read_bytes()
    said = qgraft(*words, "--out", tmp_path / "run", "--progress-file", network).stderr
    assert "holds something else" in said and network.read_bytes() == before
    for _ in range(2):  # a record is replaced
        assert qgraft(*words, "--out", tmp_path / "run", "--overwrite", "--progress-file", tmp_path / "p").stderr == ""
    assert json.loads((tmp_path / "p").read_text())["phase"] == "finished"


def test_the_smallest_memory(tmp_path):
    """Whose only transition may be none: an end."""
    for more in ([], ["--set", "prioritised=true"]):
        words = ["--steps", 400, "--quiet", "--overwrite", "--set", "eval_every=1", "--set", "eval_steps=1", *more]
        for setting in ("replay=2", "learn_start=1", "minibatch=1", "validation_size=1", "layer_states=8"):
            words += ["--set", setting]
        qgraft("train", "minatar/breakout", "--out", tmp_path / "run", *words)


def test_tidied_event_files_keep_no_run_from_going_on(tmp_path):
    words = ["train", "minatar/breakout", "--out", tmp_path / "run", "--steps", "2M", "--checkpoint-minutes", "0.001"]
    process = subprocess.Popen([QGRAFT, *map(str, words)], stderr=subprocess.DEVNULL)
    while not (tmp_path / "run/checkpoint-A").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=600) == 130
    for path in (tmp_path / "run").glob("events.*"):
        path.unlink()
    process = subprocess.Popen([QGRAFT, *map(str, words), "--resume"], stderr=subprocess.DEVNULL)
    while not list((tmp_path / "run").glob("events.*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=600) == 130


def test_the_width_of_a_split_is_a_number(tmp_path):
    """However it is written."""
    for text, width in (("0" * 3000 + "32", 32), ("1k", 1000), ("1e2", 100)):
        qgraft("train", "minatar/breakout", "--steps", 0, "--quiet", "--overwrite", "--out", tmp_path / "run", "--set",
               f"network=grid-split:{text}")
        assert f"network: grid-split:{width}\n" in (tmp_path / "run/run.yaml").read_text()
