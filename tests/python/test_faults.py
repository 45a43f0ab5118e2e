"""One call fails, as memory, disks and signals do: no command dies of it, each says so in one line,
nothing half written has a final name, and the same command then makes what it would have made.

Of the hundreds of calls of every command a sample fails; with QGRAFT_FAULTS=all (make soak) each in
turn."""

import itertools
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import killing

QGRAFT = os.environ.get("QGRAFT")
SHIM = Path(QGRAFT or "").resolve().parents[2] / "tests/faults.so" if QGRAFT else None
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

ALL = os.environ.get("QGRAFT_FAULTS") == "all"
KINDS = ("ENOSPC", "EIO", "EINTR", "short")  # of calls on files

SETTINGS = {"network": '[{"conv": 2, "kernel": 3}, {"linear": 8}]', "learn_start": 100,
            "replay": 300, "update_every": 8, "minibatch": 8, "epsilon_steps": 200,
            "target_every": 50, "eval_every": 200, "eval_steps": 60, "log_every": 100,
            "validation_size": 20}
LESSONS = {"minibatch": 8, "log_every": 100, "eval_every": 200, "eval_steps": 60}
STUDY = f"""
study: small
seeds: [1]
steps: 400
settings: {json.dumps(SETTINGS)}
sources:
  br: {{game: minatar/breakout}}
runs:
  - {{name: base, game: minatar/asterix}}
  - {{name: first, game: minatar/asterix, from: br, first: 1}}
"""
SIMILARITY = """kind: similarity
domain: minatar/breakout
other_domain: minatar/freeway
seed: 1
steps: 50
"""
GOING_ON = ["--quiet", "--resume", "--checkpoint-minutes", "0.00001"]


class Command:
    """A command of qgraft on a folder, the command of it that meets the faults (its name or first
    argument), how many are tried and what it leaves."""

    def __init__(self, words, leaves, meets=None, tries=10, before=None):
        self.words, self.leaves, self.before = words, leaves, before
        self.tries = 1000000 if ALL else tries
        self.meets = meets or words[0]

    def run(self, folder, **environment):
        folder.mkdir(exist_ok=True)
        return subprocess.run([QGRAFT, *map(str, self.words)], capture_output=True, text=True,
                              timeout=1200, cwd=folder,
                              env={**os.environ, **{k: str(v) for k, v in environment.items()}})

    def run_with(self, folder, fault, at, **more):
        return self.run(folder, LD_PRELOAD=SHIM, FAULT=fault, FAULT_AT=at, FAULT_IN=self.meets,
                        **more)


def run_files(folder):
    return killing.content(folder / "run")


def study_files(folder):
    kept = {"run.yaml", "evaluations.csv", "training.csv", "random-score.json", "similarity.json"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("runs/*/s*/*")
            if p.name in kept or p.suffix == ".safetensors"}


def report_files(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*.csv")
            if p.name in {"metrics.csv", "claims.csv"}}


def measured_files(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("run/*.json")}


def output(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.safetensors")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network, and a study that is done."""
    folder = tmp_path_factory.mktemp("made")
    Command(["train", "minatar/breakout", "--steps", 400, "--quiet", "--out", "run", "--keep-replay",
             *killing.words(SETTINGS)], None).run(folder).check_returncode()
    (folder / "study.yaml").write_text(STUDY)
    Command(["run", "study.yaml", "--out", "study", "--quiet"],
            None).run(folder).check_returncode()
    return folder


NAMES = ["inspect", "evaluate", "train", "graft", "distill", "measure", "study", "study's run",
         "status", "report", "rollout", "diagnose", "stitch", "replay"]


def make_command(name, made):
    network = made / "run/last.safetensors"
    out = ["--out", "run", *GOING_ON]

    def copy_study(folder):
        shutil.copytree(made / "study", folder / "study", dirs_exist_ok=True)

    def write_study(folder):
        (folder / "study.yaml").write_text(STUDY)

    def write_similarity(folder):
        (folder / "similarity.yaml").write_text(SIMILARITY)

    run_study = ["run", "study.yaml", "--out", "study", "--quiet"]
    return {
        "inspect": lambda: Command(["inspect", network, "--pedigree"], output),
        "evaluate": lambda: Command(["evaluate", network, "--steps", 100], output),
        "train": lambda: Command(["train", "minatar/breakout", "--steps", 500, *out,
                                  *killing.words(SETTINGS)], run_files, tries=20),
        "graft": lambda: Command(["graft", network, "--to", "minatar/asterix", "--first", 1,
                                  "--freeze", "--steps", 300, *out, *killing.words(SETTINGS)],
                                 run_files),
        "distill": lambda: Command(["distill", network, "--samples", 300, *out,
                                    *killing.words(LESSONS)], run_files),
        "measure": lambda: Command(["perform", "similarity.yaml", *out], measured_files,
                                   before=write_similarity),
        "study": lambda: Command(run_study, study_files, before=write_study, tries=3),
        "study's run": lambda: Command(run_study, study_files, "runs/first/s1/task.yaml", 2,
                                       write_study),
        "status": lambda: Command(["status", "study", "--json"], output, before=copy_study),
        "report": lambda: Command(["report", "study"], report_files, before=copy_study,
                                  tries=3),
        "rollout": lambda: Command(["rollout", "minatar/breakout", "--random", 50, "--seed", 1,
                                    "--out", "play.safetensors"], output),
        "diagnose": lambda: Command(["diagnose", made / "run"], output),
        "stitch": lambda: Command(["stitch", network, "--source", network, "--at", 1, "--steps", 60,
                                   "--out", "stitched.safetensors"], output),
        "replay": lambda: Command(["replay", made / "run/replay.data", "--export",
                                   "memory.safetensors"], output),
    }[name]()


def spread(calls, tries):
    """Numbers of calls, with equal steps between them."""
    if calls <= tries:
        return list(range(1, calls + 1))
    return sorted({1 + i * (calls - 1) // (tries - 1) for i in range(tries)})


def find_half(folder):
    """A file with a final name that is not whole, or one without that is left."""
    for path in folder.rglob("*"):
        if path.is_dir() or not path.stat().st_size:
            continue
        content, end = path.read_bytes(), None
        if path.suffix == ".safetensors":
            header, = struct.unpack("<Q", content[:8])
            try:
                tensors = json.loads(content[8:8 + header])
            except ValueError:
                return path
            end = 8 + header + max(t["data_offsets"][1] for k, t in tensors.items()
                                   if k != "__metadata__")
        if (".tmp-" in path.name or (end and len(content) != end) or
                (path.suffix in (".csv", ".yaml") and not content.endswith(b"\n"))):
            return path
    return None


def find_problem(command, result, folder, whole, said):
    """What is wrong with how a command met its fault; None: nothing. Without faults it leaves `whole` and
    has `said` something."""
    if result.returncode not in (0, 1):
        return "its end"
    lines = [line for line in result.stderr.splitlines()
             if not line.startswith("qgraft: warning: ")]
    if result.returncode == 1 and command.meets == command.words[0] and (
            len(lines) != 1 or not lines[0].startswith("qgraft: ")):
        return "its words"
    if half := find_half(folder):
        return f"{half} is left"
    if result.returncode == 0:
        if different := killing.differences(whole, command.leaves(folder)):
            return f"it says nothing, and {different} differ"
        if command.leaves is output and result.stdout != said and "warning: " not in result.stderr:
            return "it says nothing, and prints something else"
    after = command.run(folder)
    if after.returncode != 0:
        return f"cannot go on: {after.stderr}"
    different = killing.differences(whole, command.leaves(folder))
    return f"{different} differ" if different else None


@pytest.mark.parametrize("name", NAMES)
def test_every_call_may_fail(name, made, tmp_path):
    if name == "report" and not shutil.which("gnuplot"):
        pytest.skip("gnuplot is missing")
    command, count = make_command(name, made), tmp_path / "count"

    def begin(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if command.before:
            command.before(folder)

    begin(tmp_path / "at peace")
    peace = command.run_with(tmp_path / "at peace", "none", 0, FAULT_COUNT=count)
    assert peace.returncode == 0, peace.stderr
    whole = command.leaves(tmp_path / "at peace")
    memory, files = map(int, count.read_text().split())
    assert memory > 0 and files > 0
    cases = [("memory", n) for n in spread(memory, command.tries)]
    kinds = itertools.cycle(KINDS)
    for n in spread(files, command.tries):
        cases += [(kind, n) for kind in (KINDS if ALL else (next(kinds),))]
    wrong = []
    for i, (fault, at) in enumerate(cases):
        begin(tmp_path / "faulty")
        lasting = {"FAULT_LASTS": 1} if fault == "ENOSPC" and i % 2 else {}
        result = command.run_with(tmp_path / "faulty", fault, at, **lasting)
        problem = find_problem(command, result, tmp_path / "faulty", whole, peace.stdout)
        if problem:
            wrong.append(f"{fault} at {at}: {result.returncode} {result.stderr}: {problem}")
    print(f"{name}: {len(cases)} of {memory} calls for memory and {files} on files")
    assert not wrong, "\n".join(wrong)
