"""Kills runs of qgraft, resumes them until they are done, and compares what they leave with a run
that nobody killed. Used by test_resume.py; as a program it is the long version (make soak):

    python tests/python/killing.py SECONDS [SEED]

QGRAFT names the program, QGRAFT_ATARI the emulator (optional)."""

import collections
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QGRAFT = os.environ.get("QGRAFT")
ATARI = os.environ.get("QGRAFT_ATARI")
TOOLS = Path(QGRAFT or "").resolve().parents[2] / "tests"
SHIM = TOOLS / "kill_at.so"

# Short runs in which everything happens: evaluations, rows, a ring that comes round, targets.
SMALL = {"learn_start": 1000, "replay": 3000, "update_every": 8, "minibatch": 16,
         "epsilon_steps": 4000, "target_every": 500, "eval_every": 3000, "eval_steps": 600,
         "log_every": 500, "validation_size": 50, "noop_max": 3}
ATARI_SMALL = {"learn_start": 150, "replay": 400, "update_every": 20, "epsilon_steps": 300,
               "target_every": 90, "eval_every": 250, "eval_steps": 60, "log_every": 50,
               "validation_size": 20}
LESSONS = {"log_every": 2000, "eval_every": 4000, "eval_steps": 300}
STUDY = {"study": "small", "seeds": 2, "steps": 3000,
         "settings": {**SMALL, "eval_every": 1000, "eval_steps": 300},
         "sources": {"breakout": {"game": "minatar/breakout"},
                     "early": {"from": "breakout", "at": 1000},
                     "student": {"distill": "breakout", "samples": 1000, "settings":
                                 {"log_every": 500, "eval_every": 1000, "eval_steps": 200}}},
         "runs": [{"game": "minatar/asterix"},
                  {"game": "minatar/asterix", "from": ["early", "student"], "first": 2}]}


def words(settings):
    return [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]


def call(arguments, env=None, **options):
    return subprocess.run([QGRAFT, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, timeout=1200, **options)


def cases(networks):
    """Name: command without --out. `networks`: two trained ones, of breakout and asterix."""
    breakout, asterix = networks
    study = breakout.parents[1] / "small.yaml"
    study.write_text(json.dumps(STUDY))  # JSON is YAML
    result = {
        "train": ["train", "minatar/breakout", "--steps", "10k", "--snapshot", "0,3000,4321",
                  "--keep-replay", *words(SMALL)],
        "graft": ["graft", breakout, "--to", "minatar/asterix", "--first", "2",
                  "--freeze", "--steps", "7k", "--seed", "5", *words({**SMALL, "dropout_linear": 0.1})],
        "thaw": ["graft", breakout, "--to", "minatar/asterix", "--first", "3", "--freeze",
                 "--thaw", "2k", "--thaw-every", "1500", "--lr-scale", "1:0.1,5:2", "--l2-sp", "0.01",
                 "--ewc", "50", "--ewc-samples", "20", "--also-evaluate", "minatar/breakout", "--steps", "7k",
                 *words({**SMALL, "optimiser": "adam"})],
        "rivals": ["graft", breakout, "--to", "minatar/asterix", "--warm-replay", "2k", "--qdagger",
                   "900", "--kickstart", "4k", "--policy-reuse", "0.9", "--steps", "7k",
                   *words({**SMALL, "prioritised": True, "priority_beta_steps": 5000})],
        "distill": ["distill", breakout, asterix, "--samples", "3000", "--temperature",
                    "0.1:0.3:0.1", *words(LESSONS)],
        "distill-kept": ["distill", breakout, "--samples", "4000", "--order", "sample",
                         "--set-file", "FOLDER.samples", *words(LESSONS)],
        "study": ["run", study],
    }
    if ATARI:
        result["atari"] = ["train", "breakout", "--steps", "600", "--threads", "1",
                           *words(ATARI_SMALL)]
        # The ring has 2,816 places and comes round; half its slack of 2,375 forces checkpoints.
        result["atari-round"] = ["train", "pong", "--steps", "4500", "--threads", "1", "--keep-replay",
                                 *words({**ATARI_SMALL, "replay": 100, "learn_start": 4000,
                                         "eval_every": 100000, "update_every": 50})]
    return result


def make_networks(folder):
    """What is grafted and distilled."""
    networks = []
    for game in ("breakout", "asterix"):
        out = folder / f"source-{game}"
        result = call(["train", f"minatar/{game}", "--steps", "4k", "--quiet", "--out", out,
                       *words(SMALL)])
        assert result.returncode == 0, result.stderr
        networks.append(out / "last.safetensors")
    return networks


def command(case, folder):
    if case[0] == "run":
        return ["run", str(case[1]), "--quiet", "--out", str(folder)]
    minutes = "0.002" if "minatar" in str(case) or case[0] == "distill" else "0.02"
    return [str(w).replace("FOLDER", str(folder)) for w in case] + [
        "--quiet", "--out", str(folder), "--resume", "--checkpoint-minutes", minutes]


# ---- What a run leaves ----


def records(path):
    """The records of an event file but for their wall times."""
    data, at, result = path.read_bytes(), 0, []
    while at < len(data):
        size, = struct.unpack_from("<Q", data, at)
        assert at + 16 + size <= len(data), "half a record"
        message = data[at + 12:at + 12 + size]
        assert message[0] == 0x09  # field 1, the wall time
        result.append(message[9:])
        at += 16 + size
    return result


def content(folder):
    """Every file of a run, or of a study's runs, but what tells of the machine: name -> content."""
    if (folder / "runs").exists():
        assert not (folder / "runs/stale").exists()
        return {f"{run.parent.name}/{run.name}/{name}": data
                for run in folder.glob("runs/*/s*") for name, data in content(run).items()}
    files = {}
    for path in folder.iterdir():
        if path.name in ("process.yaml", "lock", "task.json", "progress.json", "log.txt"):
            continue
        if path.name.startswith("events.out"):
            assert "events" not in files, "two event files"
            files["events"] = records(path)
        else:
            files[path.name] = path.read_bytes()
    kept = folder.with_name(folder.name + ".samples")
    if kept.exists():
        files["kept samples"] = kept.read_bytes()
    assert "state: finished" in (folder / "process.yaml").read_text()
    return files


def differences(a, b):
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


# ---- Killing ----


class Whole:
    """A run that nobody killed: its files, its time, its calls that change files."""

    def __init__(self, case, folder):
        count = folder.with_name(folder.name + ".calls")
        begin = time.monotonic()
        result = call(command(case, folder), {"LD_PRELOAD": str(SHIM), "KILL_AT_COUNT": str(count)})
        assert result.returncode == 0, result.stderr
        self.seconds = time.monotonic() - begin
        self.files = content(folder)
        self.calls = int(count.read_text())


def kill_once(case, folder, whole, rng):
    """Runs until a random moment; the moment's kind, or None when the run ended before it."""
    if rng.random() < 0.5:
        process = subprocess.Popen([QGRAFT, *command(case, folder)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            process.wait(0.6 * rng.random() ** 2 * whole.seconds)
        except subprocess.TimeoutExpired:
            if rng.random() < 0.5:
                process.kill()
            else:  # a study's runs too, at once
                os.killpg(process.pid, signal.SIGKILL)
        kind, code, stderr = "at a time", process.wait(), process.communicate()[1]
    else:
        kind = rng.choice(("before", "middle", "after"))
        number = 1 + int(0.6 * rng.random() ** 2 * whole.calls)
        result = call(command(case, folder), {"LD_PRELOAD": str(SHIM), "KILL_AT": str(number),
                                              "KILL_AT_WHEN": kind})
        code, stderr = result.returncode, result.stderr
        if case[0] == "run" and code == 1:  # the call was one of a run, which failed
            code = -9
    assert code in (0, -9), stderr
    assert "damaged" not in stderr, stderr
    return None if code == 0 else kind


def cut_power(case, folder, whole, rng):
    """Runs until a random call, and takes from the folder what a loss of power may: what was written
    or renamed, but not synced. True, or None when the run ended before."""
    folder.mkdir(exist_ok=True)
    number = 1 + int(0.6 * rng.random() ** 2 * whole.calls)
    with tempfile.TemporaryDirectory(prefix="qgraft-disk-") as name:
        result = call(command(case, folder), {
            "LD_PRELOAD": f"{SHIM}:{TOOLS / 'power_cut.so'}", "KILL_AT": str(number),
            "KILL_AT_WHEN": rng.choice(("before", "middle", "after")),
            "POWER_DISK": name, "POWER_FOLDER": str(folder)})
        assert result.returncode in (0, -9) and "damaged" not in result.stderr, result.stderr
        if result.returncode == -9:
            lose(folder, Path(name), rng)
    return result.returncode == -9 or None


def lose(folder, disk, rng):
    """Leaves the entries that were synced, or those after one of the changes since, each with what was
    synced of it, or, of files that are written in place, for a random half of their pages what was
    written."""
    state = rng.choice(sorted(disk.glob("folder-*")))
    entries = dict(reversed(line.split(" ", 1)) for line in state.read_text().splitlines())
    pages = rng.random() < 0.5
    files = {}
    for name, key in entries.items():
        path, synced = folder / name, disk / key
        files[name] = synced.read_bytes() if synced.exists() else b""
        in_place = path.suffix in (".csv", ".bin") or name.startswith(("events.out", "samples"))
        if pages and in_place and path.exists() and path.stat().st_ino == int(key.split("-")[0]):
            files[name] = mix(files[name], path.read_bytes(), rng)
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def mix(synced, written, rng):
    """The size is that of either."""
    size = rng.choice((len(synced), len(written)))
    parts = [rng.choice((synced, written))[at:at + 4096].ljust(4096, b"\0")
             for at in range(0, size, 4096)]
    return b"".join(parts)[:size]


def check(case, folder, whole, rng, most):
    """Kills the case up to `most` times, lets it end, compares. The kinds of kills, counted."""
    kinds = collections.Counter()
    loses = case[0] != "run" and "FOLDER.samples" not in case  # all lies in the run's folder
    for _ in range(most):
        if loses and rng.random() < 0.3:
            kind = cut_power(case, folder, whole, rng) and "power"
        else:
            kind = kill_once(case, folder, whole, rng)
        if not kind and kinds:
            break
        if not kind:  # it was quicker than the run whose calls were counted: from the beginning
            remove(folder)
            continue
        kinds[kind] += 1
    result = call(command(case, folder))
    assert result.returncode == 0, result.stderr
    wrong = differences(whole.files, content(folder))
    assert not wrong, f"{folder}: {wrong} differ after {dict(kinds)}"
    return kinds


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
    for path in folder.parent.glob(folder.name + ".samples*"):
        path.unlink()


def soak(seconds, seed):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="qgraft-soak-") as name:
        root = Path(name)
        todo = cases(make_networks(root))
        whole = {n: Whole(case, root / f"whole-{n}") for n, case in todo.items()}
        kills, runs = collections.defaultdict(collections.Counter), collections.Counter()
        spent, end = dict.fromkeys(todo, 0.0), time.monotonic() + seconds
        while time.monotonic() < end:
            n = min(spent, key=spent.get)  # each case gets its share of the time
            begin = time.monotonic()
            kills[n] += check(todo[n], root / n, whole[n], rng, 20)
            runs[n] += 1
            remove(root / n)
            spent[n] += time.monotonic() - begin
    print(f"{'what':14}{'runs':>6}{'kills':>7}  of them at a time, before, in, after a call, power cuts")
    for n in todo:
        k = kills[n]
        print(f"{n:14}{runs[n]:6}{sum(k.values()):7}  " +
              ", ".join(str(k[w]) for w in ("at a time", "before", "middle", "after", "power")))
    print(f"{'all':14}{sum(runs.values()):6}{sum(sum(k.values()) for k in kills.values()):7}  "
          "every file as without a kill")


if __name__ == "__main__":
    soak(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
