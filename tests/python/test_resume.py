"""Going on after a kill: bit for bit the files of a run that nobody killed; and everything around
it that can be wrong. The long version is `make soak`."""

import json
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from safetensors import safe_open

import killing
from killing import QGRAFT, call, check, command, content, differences

pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

KILLS = {"train": 8, "graft": 5, "thaw": 5, "rivals": 3, "distill": 8, "distill-kept": 6, "study": 6, "atari": 2}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return killing.cases(killing.make_networks(tmp_path_factory.mktemp("sources")))


@pytest.fixture(scope="module")
def whole(cases, tmp_path_factory):
    """The runs that nobody killed, made when they are asked for."""
    root, made = tmp_path_factory.mktemp("whole"), {}

    def get(name):
        if name not in made:
            made[name] = killing.Whole(cases[name], root / name)
        return made[name]
    return get


@pytest.mark.parametrize("name", KILLS)
def test_killed(name, cases, whole, tmp_path):
    if name not in cases:
        pytest.skip("QGRAFT_ATARI does not name the emulator")
    kinds = check(cases[name], tmp_path / "run", whole(name), random.Random(name), KILLS[name])
    assert sum(kinds.values()) > 0


def stop(case, folder, rows, number):
    """Sends a signal when training.csv has some rows; the exit code and stderr. A busy machine may be too
    late: again."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        process = subprocess.Popen([QGRAFT, *command(case, folder)], stderr=subprocess.PIPE, text=True)
        table, deadline = folder / "training.csv", time.monotonic() + 1200
        while process.poll() is None and (not table.exists() or len(table.read_text().splitlines()) < rows):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(number)
        stderr = process.communicate(timeout=1200)[1]
        if process.returncode != 0:
            break
    return process.returncode, stderr


def resume(case, folder, *words):
    result = call([*command(case, folder), "--json", *words])
    return result.returncode, result.stderr, result.stdout and json.loads(result.stdout)


def test_stopped(cases, whole, tmp_path):
    """SIGTERM loses nothing."""
    folder = tmp_path / "run"
    code, stderr = stop(cases["train"], folder, 5, signal.SIGTERM)
    assert code == 130 and "--resume" in stderr
    step = int(re.search(r"step: (\d+)", (folder / "process.yaml").read_text())[1])
    assert 2000 <= step < 10000
    code, stderr, result = resume(cases["train"], folder)
    assert code == 0 and result["begun_at"] == step and result["step"] == 10000, stderr
    assert not differences(whole("train").files, content(folder))


def test_another_instruction_set(tmp_path):
    """It goes on to the same bits."""
    settings = {**killing.SMALL, "update_every": 64, "minibatch": 4, "eval_steps": 200,
                "network": '[{"conv": 4, "kernel": 3}, {"linear": 8}]'}
    case = ["train", "minatar/breakout", "--steps", "6k", *killing.words(settings)]
    assert call(command(case, tmp_path / "whole")).returncode == 0
    code, _ = stop(case, tmp_path / "run", 5, signal.SIGINT)
    assert code == 130
    code, stderr, result = resume(case, tmp_path / "run", "--isa", "portable")
    assert code == 0 and result["begun_at"] > 0, stderr
    assert "instruction_set: portable" in (tmp_path / "run" / "process.yaml").read_text()
    assert not differences(content(tmp_path / "whole"), content(tmp_path / "run"))


def test_complete(cases, whole, tmp_path):
    """A run that is complete is left as it is, and gives its result again."""
    for name in ("train", "distill"):
        folder = tmp_path / name
        code, _, first = resume(cases[name], folder)
        assert code == 0
        before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()
                  if p.name != "lock"}
        (folder / "checkpoint-A").write_bytes(b"left by a kill at the end")
        arguments = [w for w in command(cases[name], folder) if w != "--quiet"]
        again = call([*arguments, "--json"])
        assert again.returncode == 0 and "complete" in again.stderr
        result = json.loads(again.stdout)
        for key in ("seconds", "learning_steps_per_second"):
            first.pop(key, None), result.pop(key, None)
        assert result == first
        assert before == {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()
                          if p.name != "lock"}


def step_of(path):
    return int.from_bytes(path.read_bytes()[24:32], "little") if path.exists() else -1


@pytest.fixture
def killed(cases, tmp_path):
    """A training killed when both checkpoints are there, with steps behind them."""
    folder = tmp_path / "run"
    for _ in range(20):  # a busy machine may be too late
        shutil.rmtree(folder, ignore_errors=True)
        process = subprocess.Popen([QGRAFT, *command(cases["train"], folder)])
        while process.poll() is None and not all(step_of(folder / f"checkpoint-{c}") > 0 for c in "AB"):
            time.sleep(0.005)
        process.kill()
        if process.wait() == -signal.SIGKILL:
            return folder
    raise AssertionError("it was never in time")


def newest(folder):
    """The checkpoint files, the newest first."""
    files = [folder / f"checkpoint-{c}" for c in "AB"]
    return sorted(files, key=step_of, reverse=True)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("at", [3, 25, 41, 50, 5000, -1])
def test_damaged(killed, cases, whole, at):
    """A damaged checkpoint is told, and the one before is gone on from."""
    flip(newest(killed)[0] if at != 25 and at != 3 else killed / "checkpoint-A", at)
    code, stderr, _ = resume(cases["train"], killed)
    assert code == 0 and "warning" in stderr and "damaged" in stderr, stderr
    assert stderr.count("\n") == 1
    assert not differences(whole("train").files, content(killed))


def test_cut_off(killed, cases, whole):
    first = newest(killed)[0]
    first.write_bytes(first.read_bytes()[:30])
    code, stderr, _ = resume(cases["train"], killed)
    assert code == 0 and "warning" in stderr
    assert not differences(whole("train").files, content(killed))


@pytest.mark.parametrize("what", ["both", "ring", "no ring", "rows"])
def test_lost(killed, cases, whole, what):
    """What cannot be gone on with is refused in one line, and nothing is touched."""
    if what == "both":
        for path in newest(killed):
            flip(path, 1000)
    elif what == "ring":
        for path in newest(killed):  # the last entry of each; 50 bytes a screen
            flip(killed / "replay.bin", (step_of(path) - 1) * 50)
    elif what == "no ring":
        (killed / "replay.bin").unlink()
    else:
        (killed / "evaluations.csv").write_text("step,score\n")
    before = {p.name: p.read_bytes() for p in killed.iterdir() if p.name != "lock"}
    code, stderr, _ = resume(cases["train"], killed)
    assert code == 1 and "--overwrite" in stderr and stderr.count("\n") == 1, stderr
    after = {p.name: p.read_bytes() for p in killed.iterdir() if p.name != "lock"}
    assert {n for n in before if before[n] != after.get(n)} <= {
        n for n in before if n.endswith(".csv") or ".tmp-" in n}
    arguments = [w for w in command(cases["train"], killed) if w != "--resume"]
    assert call([*arguments, "--overwrite"]).returncode == 0
    assert not differences(whole("train").files, content(killed))


@pytest.mark.parametrize("words, text", [
    (["--seed", "2"], "seed is 1 there, 2 here"),
    (["--steps", "11k"], "steps is 10000 there, 11000 here"),
    (["--set", "discount=0.5"], "discount is 0.99 there, 0.5 here"),
    (["--overwrite"], "overwrite"),
])
def test_another_run(killed, cases, words, text):
    code, stderr, _ = resume(cases["train"], killed, *words)
    assert code == 2 and text in stderr and stderr.count("\n") == 1, stderr
    other = ["train", "minatar/asterix", *cases["train"][2:]]
    code, stderr, _ = resume(other, killed)
    assert code == 2 and 'domain is "minatar/breakout" there' in stderr


def test_another_graft(cases, tmp_path):
    folder, graft = tmp_path / "run", list(cases["graft"])
    stop(graft, folder, 4, signal.SIGKILL)
    code, stderr, _ = resume([w for w in graft if w != "--freeze"], folder)
    assert code == 2 and "choice is first 2 frozen there, first 2 here" in stderr, stderr


def test_snapshots(whole, tmp_path):
    """The snapshots of a run are what it would have ended with at those steps."""
    case = ["train", "minatar/breakout", "--steps", "4321", *killing.words(killing.SMALL)]
    assert call(command(case, tmp_path / "short")).returncode == 0
    files = whole("train").files
    assert {"step-0.safetensors", "step-3000.safetensors", "step-4321.safetensors"} <= set(files)
    short = content(tmp_path / "short")
    path = tmp_path / "snapshot.safetensors"
    scores = []
    for name in ("step-0", "step-3000", "step-4321"):
        path.write_bytes(files[name + ".safetensors"])
        with safe_open(path, "np") as file:
            scores.append(file.metadata().get("score"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    assert scores[0] is not None and scores[1] is not None and scores[2] is None
    path.write_bytes(short["last.safetensors"])
    with safe_open(path, "np") as file:
        assert all((file.get_tensor(key) == tensors[key]).all() for key in tensors)
    for words, text in ((["--snapshot", "5k"], "5000"), (["--snapshot", "1,x"], "x"),
                        (["--snapshot", ""], "--snapshot"), (["--checkpoint-minutes", "0"], "0")):
        result = call([*command(case, tmp_path / "never"), *words])
        assert result.returncode == 2 and text in result.stderr, result.stderr
        assert not (tmp_path / "never").exists()


def test_late_snapshot(killed, cases):
    code, stderr, _ = resume(cases["train"], killed, "--snapshot", "1")
    assert code == 2 and "past step 1" in stderr, stderr
