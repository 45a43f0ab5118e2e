"""Golden runs: a fixed list of commands, the SHA-256 of whose result files stands in golden.json. A
change inside the program that is not meant to change a result must leave every one as it is.

As a program this writes golden.json anew (QGRAFT names the program, QGRAFT_ATARI the emulator, which
it then needs):

    python tests/python/test_golden.py --record

A hash that changes is a result that changes: the commit that records it says why. The hashes do not
depend on the instruction set, the number of threads, the folder or a stop in between, which is tested
here too. They do depend on the C library's exp and log in the tables of a distillation, whose last
digit is another one on a processor without FMA.

Every command is short, but learns: it explores less and less, has updates, several copies to the
target, evaluations and episodes. With QGRAFT_GOLDEN=all (make soak) studies/demo.yaml is run, too."""

import csv
import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import test_update

QGRAFT = os.environ.get("QGRAFT")
EMULATOR = os.environ.get("QGRAFT_ATARI")
ALL = os.environ.get("QGRAFT_GOLDEN") == "all"
HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden.json"
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

GRID = {"learn_start": 500, "replay": 2000, "update_every": 4, "minibatch": 16,
        "epsilon_steps": 2000, "target_every": 300, "eval_every": 1000, "eval_steps": 800,
        "log_every": 250, "validation_size": 50}
ATARI = {"learn_start": 300, "replay": 1000, "update_every": 8, "minibatch": 8,
         "epsilon_steps": 800, "target_every": 200, "eval_every": 600, "eval_steps": 400,
         "log_every": 100, "validation_size": 20, "eval_epsilon": 0.3, "learning_rate": 0.001}
LESSONS = {"log_every": 500, "eval_every": 1500, "eval_steps": 500}

# Name: command, without its settings and --out. A case reads another one's file as NAME/FILE.
CASES = {
    # ---- Training ----
    "breakout": "train minatar/breakout --steps 4k --snapshot 0,2500",
    "asterix": "train minatar/asterix --steps 4k --seed 2",
    "freeway": "train minatar/freeway --steps 6k --set eval_epsilon=0.3 --set eval_steps=2600",
    "space_invaders": "train minatar/space_invaders --steps 4k --seed 4",
    "seaquest": "train minatar/seaquest --steps 4k --seed 5",
    "regularised": "train minatar/asterix --steps 4k --set l2=0.001 --set dropout_conv=0.05 "
                   "--set dropout_linear=0.1",
    "otherwise": "train minatar/space_invaders --steps 3k --set history=2 --set noop_max=5 "
                 "--set sticky=0.2 --set frame_skip=2 --set clip_reward=true --set clip_error=0 "
                 "--set discount=0.9 --set epsilon_end=0.2",
    "list": "train minatar/seaquest --steps 3k --set 'network=[{\"conv\": 7, \"kernel\": 3, "
            "\"stride\": 2, \"padding\": 1}, {\"linear\": 21}, {\"linear\": 9}]'",
    "tiny": "train minatar/breakout --steps 1500 --set 'network=[{\"conv\": 2, \"kernel\": 3}, "
            "{\"linear\": 8}]' --set minibatch=8 --set eval_every=500 --set eval_steps=300",
    "split": "train minatar/breakout --steps 3k --set network=grid-split:16",
    "learners": "train minatar/breakout --steps 4k --set double=true --set optimiser=adam "
                "--set learning_rate=0.001 --set loss=mse --set reduction=mean "
                "--set target_update=soft --set target_every=4 --set tau=0.05 --set n_step=3",
    "prioritised": "train minatar/space_invaders --steps 4k --set prioritised=true "
                   "--set loss=huber --set clip_error=0.5 --set n_step=2 --set history=2",
    "dueling": "train minatar/breakout --steps 4k --set network=grid-dueling --set double=true",
    "norm": "train minatar/breakout --steps 4k --set network=grid-norm --set dropout_linear=0.1",
    # ---- Grafts ----
    "first-free": "graft breakout/best.safetensors --to minatar/space_invaders --first 2",
    "first-frozen": "graft breakout/last.safetensors --to minatar/space_invaders --first 3 --freeze",
    "last-free": "graft breakout/last.safetensors --to minatar/asterix --last 1 --seed 2",
    "last-frozen": "graft space_invaders/last.safetensors --to minatar/seaquest --last 2 --freeze",
    "last-self": "graft asterix/last.safetensors --to minatar/asterix --last 2 --freeze --seed 3",
    "first-self": "graft breakout/step-2500.safetensors --to minatar/breakout --first 3",
    "every-layer": "graft breakout/last.safetensors --to minatar/breakout --first 5 --freeze",
    "layers": "graft regularised/last.safetensors --to minatar/freeway --layers 2,4 --freeze "
              "--set eval_steps=2600",
    "index": "graft breakout/best.safetensors --to minatar/freeway --last 1 --match index "
             "--set eval_steps=2600",
    "norm-frozen": "graft norm/last.safetensors --to minatar/asterix --first 2 --freeze "
                   "--set precision=bf16",
    "heads": "graft dueling/last.safetensors --to minatar/asterix --last 2 --freeze "
             "--set network=grid-dueling --set precision=bf16",
    "perception": "graft split/last.safetensors --to minatar/asterix --part perception --freeze",
    "decision": "graft split/last.safetensors --to minatar/space_invaders --part decision",
    "random": "graft random --to minatar/space_invaders --first 3 --freeze --seed 4",
    "reinit": "graft breakout/best.safetensors --to minatar/asterix --first 1 --reinit-seed 9 "
              "--epsilon-start 0.5 --learn-start 300 --set l2=0.001 --set dropout_linear=0.1",
    # ---- Distillation ----
    "distill-fixed": "distill breakout/best.safetensors --samples 5k --epsilon 0.2",
    "distill-pass": "distill asterix/best.safetensors --samples 2k --temperature 0.1:0.5:0.2",
    "distill-sample": "distill asterix/last.safetensors --samples 2k --temperature 0.1:0.5:0.2 "
                      "--order sample --seed 2",
    "distill-two": "distill breakout/best.safetensors seaquest/last.safetensors --samples 2k "
                   "--temperature 0.1:0.2:0.1",
    "distill-other": "distill space_invaders/last.safetensors --samples 3k --network "
                     "'[{\"conv\": 8, \"kernel\": 3}, {\"linear\": 32}]' --set l2=0.0001 "
                     "--set dropout_linear=0.1",
    "distill-tiny": "distill tiny/last.safetensors --samples 1k --set minibatch=8 "
                    "--set eval_every=500 --set eval_steps=200",
    "distill-dueling": "distill breakout/best.safetensors asterix/last.safetensors --samples 2k "
                       "--network grid-dueling --set optimiser=adam --set learning_rate=0.001",
    "from-distilled": "graft distill-two/last.safetensors --to minatar/seaquest --last 2 --freeze",
    # ---- Studies ----
    "study": "run small.yaml",
    "demo": "run demo.yaml",
    # ---- Questions ----
    "evaluate": "evaluate first-free/best.safetensors --steps 3k --seed 6",
    "evaluate-noop": "evaluate seaquest/last.safetensors --steps 3k --epsilon 0.3 --noop-max 9 "
                     "--sticky 0",
    "similarity": "similarity minatar/breakout minatar/space_invaders --frames 500 --networks "
                  "breakout/best.safetensors first-free/best.safetensors",
    "similarity-all": "similarity minatar/breakout minatar/asterix minatar/freeway "
                      "minatar/space_invaders minatar/seaquest --frames 300 --seed 2",
    "rollout": "rollout minatar/asterix --random 2000 --seed 1",
    "rollout-levels": "rollout minatar/seaquest:level=3 --random 2000 --seed 2 --raw "
                      "--set sticky=0.3 --set frame_skip=2",
    "update": "update --online grid-online --target grid-target --batch grid-batch --set l2=0.01",
    "update-frozen": "update --online grid-online --target grid-target --batch grid-batch "
                     "--freeze-first 2 --freeze-last 1",
    "update-nature": "update --online nature-online --target nature-target --batch nature-batch",
    # ---- Atari ----
    "atari-breakout": "train breakout --steps 1200 --threads 1 --snapshot 800",
    "atari-invaders": "train space_invaders --steps 1200 --threads 1 --seed 2 --set eval_steps=600",
    "atari-last-frozen": "graft atari-breakout/last.safetensors --to space_invaders --last 1 "
                         "--freeze --steps 700 --threads 1 --set eval_steps=400",
    "atari-first-free": "graft atari-invaders/best.safetensors --to breakout --first 2 --steps 700 "
                        "--threads 2",
    "atari-distill": "distill atari-invaders/best.safetensors --samples 400 --threads 1 "
                     "--temperature 0.002 --set log_every=50 --set eval_every=200 "
                     "--set eval_steps=300 --set minibatch=8 --set eval_epsilon=0.3",
    "atari-evaluate": "evaluate atari-invaders/best.safetensors --steps 700 --epsilon 0.3",
    "atari-rollout": "rollout pong --random 400 --seed 3 --raw",
}

STUDY = {
    "study": "small", "seeds": 2, "steps": 2000,
    "settings": {**GRID, "eval_every": 500},
    "sources": {"breakout": {"game": "minatar/breakout", "take": "last"},
                "early": {"from": "breakout", "at": 1000},
                "student": {"distill": "breakout", "samples": 2000, "temperature": "0.1:0.2:0.1",
                            "settings": LESSONS}},
    "runs": [{"game": "minatar/asterix"},
             {"game": "minatar/asterix", "from": ["breakout", "early", "student"], "first": 2,
              "freeze": [False, True]},
             {"game": "minatar/asterix", "from": "random", "first": 2, "freeze": True},
             {"game": "minatar/breakout", "from": "breakout", "last": [1, 2]}],
    "games": {"minatar/breakout": {"random": 0, "reference": 1, "threshold": 0.5}},
    "claims": [{"says": "Copied layers help", "expect": "positive", "of": {"self": False}},
               {"says": "Freezing makes it worse", "expect": "worse", "of": {"freeze": True},
                "than": {"freeze": False, "first": 2}, "metric": "late"},
               {"says": "A last layer does little", "expect": "little", "margin": 0.3,
                "of": {"last": [1, 2], "self": True}}],
}


# ---- Running a case ----


def is_atari(name):
    return name.startswith("atari")


def command(name, out):
    verb, *words = shlex.split(CASES[name])
    settings = {"distill": LESSONS, "train": ATARI if is_atari(name) else GRID}
    settings["graft"] = settings["train"]
    steps = ["--steps", "3k"] if verb == "graft" and "--steps" not in words else []
    sets = [w for k, v in settings.get(verb, {}).items() for w in ("--set", f"{k}={v}")]
    if verb in ("evaluate", "similarity"):
        ending = ["--json"]
    elif verb in ("rollout", "update"):
        ending = ["--out", f"{out}/result.safetensors"]
    else:
        ending = ["--quiet", "--out", out]
    return [verb, *steps, *sets, *words, *ending]  # a case's own settings are the last, and win


def call(root, words):
    """The standard output. All paths are relative: nothing may depend on where the folder lies."""
    result = subprocess.run([QGRAFT, *words], cwd=root, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    return result.stdout


def hashes(root, folder):
    """Result files of a case, in its folder; run.yaml and the like may change their form, and
    what looks on (layers.csv, its figure) is tested in test_layers.py and test_report.py."""
    return {path.relative_to(root / folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((root / folder).rglob("*"))
            if path.suffix in (".safetensors", ".csv") and not path.name.startswith("layers")
            or path.name == "output.json"}


@functools.cache
def made(root, name):
    """The hashes of a case, which is run when it is first asked for, after those that it reads."""
    words = command(name, name)
    for word in words:
        other = word.split("/")[0]
        if other in CASES and other not in (word, name):
            made(root, other)
    if words[0] in ("evaluate", "similarity", "rollout", "update"):
        (root / name).mkdir()
    output = call(root, words)
    if words[0] in ("evaluate", "similarity"):
        # What is only a table's is none of a run's results.
        output = re.sub(r',\n  "human_normalised": \{[^}]*\}', "", output)
        (root / name / "output.json").write_text(output)
    if words[0] == "run":
        call(root, ["report", name])
    return hashes(root, name)


def prepare(root):
    """The inputs of the cases that no case makes."""
    (root / "small.yaml").write_text(json.dumps(STUDY))  # JSON is YAML
    shutil.copy(HERE.parents[1] / "studies/demo.yaml", root)
    for kind in ("grid", "nature"):
        test_update.Files(root, kind, 9, moments=True)
        for file in ("online", "target", "batch"):
            (root / file).rename(root / f"{kind}-{file}")


def golden(name):
    return {key.split("/", 1)[1]: value for key, value in json.loads(GOLDEN.read_text()).items()
            if key.split("/", 1)[0] == name}


# ---- The tests ----


def marks(name):
    if is_atari(name):
        return pytest.mark.skipif(not EMULATOR, reason="QGRAFT_ATARI does not name the emulator")
    return pytest.mark.skipif(name == "demo" and not ALL, reason="minutes long: make soak")


def cases(names):
    return [pytest.param(name, marks=marks(name)) for name in names]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    prepare(folder)
    return folder


@pytest.mark.parametrize("name", cases(CASES))
def test_golden(root, name):
    assert made(root, name) == golden(name)


def test_nothing_else_is_recorded():
    assert {key.split("/")[0] for key in json.loads(GOLDEN.read_text())} == set(CASES)


@pytest.mark.parametrize("name", cases(n for n, c in CASES.items() if c.split()[0] == "train"))
def test_it_learns(root, name):
    """A run in which nothing happens would stay equal, whatever was broken."""
    made(root, name)
    with open(root / name / "training.csv") as file:
        rows = list(csv.DictReader(file))
    with open(root / name / "evaluations.csv") as file:
        evaluations = list(csv.DictReader(file))
    games = 1 if name.startswith("atari-") else 2  # of Atari's, lives end episodes, too
    assert int(rows[-1]["updates"]) >= 100 and int(rows[-1]["episodes"]) >= games
    assert len({row["epsilon"] for row in rows}) >= 5
    assert len(evaluations) >= 3 and sum(int(row["episodes"]) for row in evaluations) >= 2
    assert len({row["score"] for row in evaluations}) >= 2
    assert len({row["validation_q"] for row in evaluations}) >= 3


@pytest.mark.parametrize("name", ["breakout", "distill-fixed"])
def test_another_seed_is_seen(root, name):
    """The hashes tell runs apart."""
    made(root, name)
    call(root, [*command(name, f"{name}-seed"), "--seed", "77"])
    other, recorded = hashes(root, f"{name}-seed"), golden(name)
    assert other.keys() == recorded.keys()
    assert {file for file in other if other[file] == recorded[file]} <= {"teachers.csv"}


@pytest.mark.parametrize("name, words", [
    ("regularised", "--threads 2"), ("first-frozen", "--threads 2"), ("distill-two", "--threads 2"),
    ("learners", "--threads 2"), ("prioritised", "--threads 2"), ("learners", "--isa avx2"),
    ("norm", "--threads 2"), ("norm-frozen", "--isa avx2"), ("heads", "--threads 3"),
    ("prioritised", "--isa avx2"), ("regularised", "--isa avx2"), ("tiny", "--isa portable"), ("distill-tiny", "--isa portable"),
])
def test_another_way(root, name, words):
    """More threads and another instruction set give the same bits. (The portable one is slow.)"""
    if "avx2" in words and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("no AVX2 here")
    made(root, name)
    out = name + words.replace(" ", "")
    call(root, [*command(name, out), *words.split()])
    assert hashes(root, out) == golden(name)


def stop(root, words, table):
    """Runs a command until its table has two rows, and stops it. A busy machine may be too late
    for that: then again."""
    for _ in range(20):
        shutil.rmtree(table.parent, ignore_errors=True)
        process = subprocess.Popen([QGRAFT, *words], cwd=root, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and (not table.exists() or table.read_bytes().count(b"\n") < 3):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=1200)[1]
        if process.returncode != 0:
            break
    assert process.returncode == 130 and "--resume" in stderr, stderr


@pytest.mark.parametrize("name, table", [("breakout", "training.csv"),
                                         ("last-frozen", "training.csv"),
                                         ("learners", "training.csv"),
                                         ("prioritised", "training.csv"),
                                         ("distill-two", "distillation.csv")])
def test_stopped_and_resumed(root, name, table):
    """Stopped in the middle, and gone on with, a run ends as if nobody had stopped it."""
    made(root, name)
    folder = f"{name}-stopped"
    words = command(name, folder)
    stop(root, words, root / folder / table)
    step = int(re.search(r"step: (\d+)", (root / folder / "process.yaml").read_text())[1])
    assert json.loads(call(root, [*words, "--resume", "--json"]))["begun_at"] == step > 0
    assert hashes(root, folder) == golden(name)


# ---- Recording ----


def record():
    with tempfile.TemporaryDirectory(prefix="qgraft-golden-") as folder:
        root = Path(folder)
        prepare(root)
        found = {f"{name}/{file}": digest for name in CASES
                 for file, digest in made(root, name).items()}
    GOLDEN.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
    print(f"{GOLDEN}: {len(found)} files of {len(CASES)} cases")


if __name__ == "__main__":
    if sys.argv[1:] != ["--record"] or not QGRAFT or not EMULATOR:
        sys.exit(__doc__)
    record()
