"""Studies run on this machine: every run once, in any number of processes and after any end the same
bits, failures that stay where they are, and folders that survive."""

import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from test_api import compile_game

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

SETTINGS = ("{learn_start: 300, validation_size: 100, epsilon_steps: 500, replay: 5000, "
            "minibatch: 8, update_every: 8, eval_every: 1000, eval_steps: 200}")
# Two seeds of a source, a baseline and two grafts: eight runs of a fraction of a second, and what
# their report needs to know of the games.
SMALL = f"""
study: small
steps: 2000
seeds: [1, 2]
settings: {SETTINGS}
sources:
  br: {{game: minatar/breakout}}
runs:
  - {{name: base, game: minatar/asterix}}
  - {{name: first, game: minatar/asterix, from: br, first: 2, freeze: true}}
  - {{name: last, game: minatar/asterix, from: br, last: 1}}
"""
TRAINED = [f"{run}:{seed}" for run in ("br", "base", "first", "last") for seed in (1, 2)]
MEASURED = ["random-score-minatar-asterix:1", "similarity-minatar-asterix-minatar-breakout:1"]
TASKS = TRAINED + MEASURED
# A short source and two runs of a few seconds, to be disturbed.
MIDDLE = f"""
study: middle
steps: 60000
seeds: [1]
settings: {SETTINGS}
sources:
  br: {{game: minatar/breakout, steps: 1000}}
runs:
  - {{name: base, game: minatar/freeway}}
  - {{name: graft, game: minatar/freeway, from: br, first: 2}}
"""
LONG = f"""
study: long
steps: 300000
seeds: [1]
settings: {SETTINGS}
runs:
  - {{name: long, game: minatar/breakout}}
"""


def write(folder, text=SMALL, name="study.yaml"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def command(*words):
    return [QGRAFT, *map(str, words)]


def qgraft(folder, *words, code=0, timeout=1200, **options):
    """A command that is typed in `folder`, so that paths in results are the same for all."""
    result = subprocess.run(command(*words), cwd=folder, capture_output=True, text=True,
                            timeout=timeout, **options)
    assert code in (None, result.returncode), result.stdout + result.stderr
    return result


def run(folder, *words, **options):
    return qgraft(folder, "run", "study.yaml", "--out", "out", *words, **options)


def start(folder, *words, **options):
    return subprocess.Popen(command("run", "study.yaml", "--out", "out", *words), cwd=folder,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            **options)


def look(folder):
    """The state of the tasks by name."""
    status = json.loads(qgraft(folder, "status", "out", "--json").stdout)
    return {f"{t['run']}:{t['seed']}": t for t in status["tasks"]}


def states(folder):
    return {name: task["state"] for name, task in look(folder).items()}


def wait_until(what, seconds=1200):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def is_begun(folder, counts=("finished", "running")):
    """Whether there are tasks in each of these states, the running ones in the middle."""
    if not (folder / "out/study.yaml").exists():  # the second file of a study
        return False
    now = look(folder).values()
    return all(any(t["state"] == state and (state == "finished" or 0 < t["step"] < t["steps"])
                   for t in now) for state in counts)


def interrupt(folder, how):
    """Ends a study in the middle of a run; a busy machine may be too late for that: then again."""
    for _ in range(20):
        shutil.rmtree(folder / "out", ignore_errors=True)
        process = start(folder, "--jobs", 2, "--quiet")
        wait_until(lambda: is_begun(folder) or process.poll() is not None)
        process.send_signal(how)
        process.communicate(timeout=1200)
        wait_until(lambda: how != signal.SIGKILL or not processes(folder))
        if "stopped" in states(folder).values():
            return process
    raise AssertionError("it was never in time")


def processes(folder):
    """Runs of the study in folder/out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if os.readlink(process / "cwd") == str(folder / "out") and b"--progress-file" in words:
                found.append(int(process.name))
        except OSError:
            pass
    return found


def results(folder):
    """What the runs made, without what tells of the process that did it."""
    kept = {"run.yaml", "evaluations.csv", "training.csv", "distillation.csv", "held_out.csv",
            "random-score.json", "similarity.json"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("runs/*/s*/*"))
            if p.name in kept or p.suffix == ".safetensors"}


def times(folder):
    """When the files of finished runs were written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("runs/*/s*/*")
            if p.name not in ("lock",)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("undisturbed").resolve())
    run(folder, "--jobs", 1)
    return folder


@pytest.fixture(scope="module")
def undisturbed_middle(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("undisturbed").resolve(), MIDDLE)
    run(folder, "--quiet")
    return folder


@pytest.fixture(scope="module")
def bad_game(tmp_path_factory):
    """The example's game, which aborts or exits at once, or hangs after a second of work, as BAD
    says."""
    return compile_game(
        tmp_path_factory.mktemp("bad"), ("#include <stdio.h>", "#include <stdio.h>\n#include <time.h>"),
        ("    game->paddle += (action == 2) - (action == 1);",
         '    const char *bad = getenv("BAD");\n'
         "    if (bad && *bad == 'a') abort();\n"
         "    if (bad && *bad == 'e') exit(0);\n"
         "    if (bad && *bad == 'h' && clock() > CLOCKS_PER_SEC) {\n"
         '        if (getenv("HUNG")) fclose(fopen(getenv("HUNG"), "w"));\n'
         "        for (;;) {\n        }\n    }\n"
         "    game->paddle += (action == 2) - (action == 1);"))


# ---------------------------------------------------------------------------------- the whole


def test_everything_is_run_once(undisturbed):
    assert states(undisturbed) == dict.fromkeys(TASKS, "finished")
    for name, task in look(undisturbed).items():
        folder = undisturbed / "out" / task["folder"]
        result = {"evaluations.csv", "best.safetensors", "last.safetensors"}
        steps = 2000
        if name in MEASURED:
            result = {name.split("-minatar")[0] + ".json"}
            steps = 4000 if "similarity" in name else 20000
        assert result | {"run.yaml", "task.json", "task.yaml", "progress.json",
                         "log.txt"} <= {p.name for p in folder.iterdir()}
        assert (task["step"], task["steps"], task["message"]) == (steps, steps, "")
        assert (task["score"] is None) == ("similarity" in name) and task["seconds"] > 0
        assert (folder / "progress.json").stat().st_size == 512
        assert not (folder / "replay.bin").exists()
    before = times(undisturbed / "out")
    again = run(undisturbed)
    assert times(undisturbed / "out") == before
    assert "10 finished" in again.stderr and "started" not in again.stderr
    # The folder is the study as well as its file.
    assert "10 finished" in qgraft(undisturbed, "run", "out").stderr


def test_plain_lines(tmp_path):
    lines = run(write(tmp_path)).stderr.splitlines()
    assert {f"{name} started" for name in TASKS} <= set(lines)
    for name in TASKS:
        score = "" if "similarity" in name else r"score \S+, "
        assert any(re.fullmatch(rf"{name} finished: {score}\d+:\d\d", line) for line in lines)
    assert lines[-1] == "out: 10 finished; next: qgraft report out"
    # What is measured comes first; a graft starts when its source is finished.
    assert {line.split()[0] for line in lines if line.endswith("started")} == set(TASKS)
    assert lines.index("br:1 started") > lines.index(MEASURED[0] + " started")
    assert lines.index("first:1 started") > next(
        i for i, line in enumerate(lines) if line.startswith("br:1 finished"))


def test_two_at_once_give_the_same_bits(undisturbed, tmp_path):
    folder = write(tmp_path)
    run(folder, "--jobs", 3, "--quiet")
    made = results(folder / "out")
    assert len(made) == 8 * 5 + 2 * 2
    assert made == results(undisturbed / "out")


def test_a_folder_may_move(undisturbed_middle, tmp_path):
    folder = write(tmp_path, MIDDLE)
    interrupt(folder, signal.SIGINT)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (folder / "out").rename(moved / "out")
    subprocess.run(command("run", "out", "--quiet"), cwd=moved, check=True)
    assert results(moved / "out") == results(undisturbed_middle / "out")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_goes_on_where_it_was_ended(undisturbed_middle, tmp_path, how):
    folder = write(tmp_path.resolve(), MIDDLE)
    process = interrupt(folder, how)
    assert process.returncode == (-how if how == signal.SIGKILL else 130)
    assert not processes(folder)
    found = set(states(folder).values())
    assert {"finished", "stopped"} <= found <= {"finished", "stopped", "waiting"}
    before = {p: t for p, t in times(folder / "out").items()
              if json.loads((p.parent / "task.json").read_text())["state"] == "finished"}
    assert "goes on" in run(folder).stderr
    after = times(folder / "out")
    assert before and all(after[p] == t for p, t in before.items())
    assert results(folder / "out") == results(undisturbed_middle / "out")


def test_second_ctrl_c_kills(tmp_path, bad_game):
    text = LONG.replace("minatar/breakout", "catch")
    folder = write(tmp_path.resolve(), text)
    process = start(folder, "--quiet", "--domain-plugin", bad_game,
                    env={**os.environ, "BAD": "h", "HUNG": str(tmp_path / "hung")})
    wait_until((tmp_path / "hung").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # it does not end, however long
    assert process.poll() is None and processes(folder)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=1200)[1]
    assert process.returncode == 130 and not processes(folder), said
    assert json.loads((folder / "out/runs/long/s1/task.json").read_text())["state"] == "stopped"


def test_another_name_is_no_other_run(tmp_path):
    """A list beside it makes the name of a run longer, a listed run takes that of a source."""
    text = SMALL.replace("{name: base, game: minatar/asterix}", "{game: minatar/asterix}")
    folder = write(tmp_path, text)
    run(folder, "--quiet")
    made, before = results(folder / "out"), {p.stat().st_ino for p in times(folder / "out")}
    more = (text.replace("{game: minatar/asterix}", "{game: minatar/asterix, steps: [2000, 3000]}")
            + "  - {game: minatar/breakout}\n")
    write(folder, more)
    plan = json.loads(run(folder, "--plan", "--json").stdout)
    found = {r["run"]: {(t["state"], t["comes_back"]) for t in r["tasks"]} for r in plan["runs"]}
    assert {run for run, how in found.items() if how == {("waiting", "finished")}} == {
        "minatar-asterix-steps2000", "minatar-breakout"}
    run(folder, "--quiet")
    names = {"minatar-asterix": "minatar-asterix-steps2000", "br": "minatar-breakout"}
    after = results(folder / "out")
    assert before <= {p.stat().st_ino for p in times(folder / "out")}
    for path, content in made.items():
        id = path.split("/")[1]
        assert after[path.replace(f"/{id}/", f"/{names.get(id, id)}/")] == content, path
    assert not any((folder / "out/runs" / name).exists() for name in names)


def test_what_begins_from_a_run_with_another_name_goes_on(undisturbed_middle, tmp_path):
    """Its network is the same, wherever it lies now."""
    folder = write(tmp_path, MIDDLE)
    interrupt(folder, signal.SIGINT)
    graft = folder / "out/runs/graft/s1"
    if look(folder)["graft:1"]["state"] == "waiting":
        pytest.skip("a busy machine")
    assert 'parent_file: "runs/br/s1/' in (graft / "run.yaml").read_text()
    write(folder, MIDDLE + "  - {game: minatar/breakout, steps: 1000}\n")
    run(folder, "--quiet")
    assert set(states(folder).values()) == {"finished"}
    name = "runs/graft/s1/best.safetensors"
    before, after = (load_file(f / "out" / name) for f in (undisturbed_middle, folder))
    assert all((before[k] == after[k]).all() for k in before)


def test_changed_setting(tmp_path):
    folder = write(tmp_path)
    run(folder, "--quiet")
    made, before = results(folder / "out"), times(folder / "out")
    changed = SMALL.replace("last: 1", "last: 2")
    write(folder, changed)
    plan = json.loads(run(folder, "--plan", "--json").stdout)
    stale = {r["run"]: {t["state"] for t in r["tasks"]} for r in plan["runs"]}
    assert stale == {**{name.split(":")[0]: {"finished"} for name in TASKS}, "last": {"stale"}}
    run(folder, "--quiet")
    after = times(folder / "out")
    assert all(after[p] == t for p, t in before.items() if "/last/" not in str(p))
    new = results(folder / "out")
    assert new["runs/last/s1/best.safetensors"] != made["runs/last/s1/best.safetensors"]
    # A source's change makes the grafts stale.
    write(folder, changed.replace("game: minatar/breakout", "game: minatar/breakout, steps: 1000"))
    plan = json.loads(run(folder, "--plan", "--json").stdout)
    assert [r["run"] for r in plan["runs"] for t in r["tasks"] if t["state"] == "stale"] == [
        "br", "br", "first", "first", "last", "last"]
    # Set back, the old results are found, and the plan says so: nothing is left to run.
    write(folder)
    plan = json.loads(run(folder, "--plan", "--json").stdout)
    back = {r["run"]: [(t["state"], t["comes_back"]) for t in r["tasks"]] for r in plan["runs"]}
    assert back.pop("last") == 2 * [("stale", "finished")]
    assert set(sum(back.values(), [])) == {("finished", None)} and plan["seconds"] == 0
    lines = run(folder, "--plan").stdout.splitlines()
    assert lines[0].split()[:6] == ["run", "what", "seeds", "finished", "stale", "back"]
    assert any(re.match(r"last .* 2 +0 +2 +2 +br ", line) for line in lines)
    assert "stale: 2 were run with other settings" in "\n".join(lines)
    assert "back: 2 were run with these settings before, 2 of them to their end" in "\n".join(lines)
    assert "finished" in run(folder).stderr
    assert results(folder / "out") == made
    assert times(folder / "out") == before


def test_missing_network_is_made_again(undisturbed, tmp_path):
    folder = write(tmp_path)
    run(folder, "--quiet")
    (folder / "out/runs/br/s1/best.safetensors").unlink()
    (folder / "out/runs/first/s1/task.json").unlink()
    plan = json.loads(run(folder, "--plan", "--json").stdout)
    seconds = {r["run"]: r["seconds"] for r in plan["runs"]}
    assert seconds["br"] > 0 and seconds["last"] == 0  # a lost network costs time, too
    assert plan["seconds"] > seconds["br"]
    lines = run(folder).stderr.splitlines()
    assert {line.split()[0] for line in lines if line.endswith("started")} == {"br:1", "first:1"}
    assert results(folder / "out") == results(undisturbed / "out")


def test_distillation(tmp_path):
    folder = write(tmp_path, f"""
study: distilled
steps: 1000
seeds: [1]
settings: {SETTINGS}
sources:
  br: {{game: minatar/breakout}}
  fixed: {{distill: br, temperature: 0.1, samples: 2000}}
runs:
  - {{name: base, game: minatar/asterix}}
  - {{name: graft, game: minatar/asterix, from: fixed, first: 1}}
""")
    run(folder, "--quiet")
    tasks = look(folder)
    assert {t["state"] for t in tasks.values()} == {"finished"}
    assert tasks["fixed:1"]["step"] == tasks["fixed:1"]["steps"] == 2000


# ----------------------------------------------------------------------------------- failures

FAILING = f"""
study: failing
steps: 1000
seeds: [1]
settings: {SETTINGS}
sources:
  c: {{game: catch}}
runs:
  - {{name: graft, game: minatar/asterix, from: c, first: 1}}
  - {{name: base, game: minatar/asterix}}
"""


def test_failed_run(tmp_path, bad_game):
    folder = write(tmp_path, FAILING.replace(
        "{name: base", "{name: again, game: minatar/asterix, from: c, last: 1}\n"
        "  - {name: base"))
    bad = {**os.environ, "BAD": "abort"}
    result = run(folder, "--domain-plugin", bad_game, code=1, env=bad)
    assert "c:1 failed: killed by SIGABRT: see log.txt" in result.stderr
    plugin = {**os.environ, "QGRAFT_PLUGINS": os.path.relpath(bad_game, folder)}
    status = json.loads(qgraft(folder, "status", "out", "--json", env=plugin).stdout)
    tasks = {t["run"]: t for t in status["tasks"]}
    assert {name: t["state"] for name, t in tasks.items()} == {
        "c": "failed", "graft": "blocked", "again": "blocked", "base": "finished",
        "random-score-minatar-asterix": "finished", "similarity-catch-minatar-asterix": "failed"}
    assert tasks["c"]["message"] == "killed by SIGABRT: see log.txt"
    assert "runs/c/s1" in tasks["graft"]["message"]
    assert "$ qgraft perform runs/c/s1/task.yaml" in (folder / "out/runs/c/s1/log.txt").read_text()
    # The same command tries again.
    run(folder, "--quiet", env=plugin)
    status = json.loads(qgraft(folder, "status", "out", "--json", env=plugin).stdout)
    assert status["counts"]["finished"] == 6


def test_exit_inside_a_run(tmp_path, bad_game):
    """With 0, but nothing is done."""
    folder = write(tmp_path, FAILING)
    result = run(folder, "--domain-plugin", bad_game, code=1, env={**os.environ, "BAD": "exit"})
    assert "c:1 failed: ended with exit code 0 before it was done" in result.stderr
    assert "base:1 finished" in result.stderr and "1 blocked" in result.stderr


def test_suspended_time_is_no_silence(tmp_path):
    """As `scontrol suspend` does it: all are stopped, and who watches may be the first to go on."""
    folder = write(tmp_path.resolve(), LONG)
    process = start(folder, "--quiet", "--stall", 10)
    wait_until(lambda: process.poll() is not None or is_begun(folder, ("running",)))
    everyone = [process.pid, *processes(folder)]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(12)
    for pid in everyone:
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)
    time.sleep(1)
    assert states(folder)["long:1"] in ("running", "finished")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=1200)
    assert states(folder)["long:1"] in ("stopped", "finished")


def test_stalled_run_is_ended(tmp_path, bad_game):
    folder = write(tmp_path.resolve(), FAILING.replace("game: catch", "game: catch, steps: 300000"))
    plugin = {**os.environ, "QGRAFT_PLUGINS": str(bad_game), "BAD": "hang"}
    result = run(folder, "--stall", "8s", code=1, env=plugin)
    assert "c:1 failed: ended: no progress for 8 s" in result.stderr
    assert "base:1 finished" in result.stderr and "1 blocked" in result.stderr
    assert not processes(folder)


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


def test_full_disk(undisturbed, tmp_path):
    """Files cannot grow beyond 100 kB: no network can be written."""
    folder = write(tmp_path)
    result = run(folder, code=1, preexec_fn=limit_files)
    assert re.search(r"br:1 failed: .*: File too large", result.stderr), result.stderr
    assert "4 failed, 4 blocked" in result.stderr
    run(folder, "--quiet")
    assert results(folder / "out") == results(undisturbed / "out")


@pytest.fixture(params=["4m"])
def disk(tmp_path, request):
    """A small one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", disk],
                           capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_too_little_room(disk):
    """What fits is run; what does not is not even started."""
    folder = write(disk)
    plan = json.loads(run(folder, "--plan", "--json").stdout)
    assert max(r["disk"] for r in plan["runs"]) < 4e6
    (disk / "ballast").write_bytes(bytes(3_000_000))
    result = run(folder, code=2)
    assert re.search(r"needs \S+ [kM]B of disk, there are \S+ [kM]B: .*--scale", result.stderr)
    (disk / "ballast").unlink()
    (disk / "ballast").write_bytes(bytes(1_000_000))
    result = run(folder, code=1)
    assert re.search(r"the disk has \S+ [kM]B left, \S+ needs \S+ [kM]B: make room", result.stderr)
    assert "finished" in set(states(folder).values())


@pytest.mark.parametrize("disk", ["40m"], indirect=True)
def test_runs_that_were_begun_need_no_room_again(disk):
    """Their memories of screens fill the disk until they are finished, and nothing else finds room."""
    folder = write(disk, MIDDLE + "  - {name: other, game: minatar/freeway, from: br, last: 1}\n")
    interrupt(folder, signal.SIGINT)
    stopped = [name for name, state in states(folder).items() if state == "stopped"]
    need = max(r["disk"] for r in json.loads(run(folder, "--plan", "--json").stdout)["runs"])
    room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    assert room > need  # or the ballast would be none
    (disk / "ballast").write_bytes(bytes(int(room - 0.9 * need)))
    said = run(folder, "--jobs", 1, code=None).stderr
    after = states(folder)
    assert all(after[name] == "finished" for name in stopped), said


@pytest.mark.parametrize("disk", ["16m"], indirect=True)
def test_room_is_that_of_the_runs(disk, tmp_path):
    """`runs` may be a link to a disk that is larger than the study's own."""
    folder = write(disk)
    run(folder, "--quiet")
    shutil.move(folder / "out/runs", tmp_path / "runs")
    (folder / "out/runs").symlink_to(tmp_path / "runs")
    (disk / "ballast").write_bytes(bytes(int(0.95 * os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize)))
    write(folder, SMALL.replace("last: 1", "last: 2"))
    run(folder, "--quiet")
    assert set(states(folder).values()) == {"finished"}


def test_cut_off_files(undisturbed, tmp_path):
    folder = write(tmp_path)
    run(folder, "--quiet")
    for name in ("br/s1/task.json", "base/s2/task.json", "last/s1/progress.json"):
        path = folder / "out/runs" / name
        path.write_bytes(path.read_bytes()[:40])
    (folder / "out/runs/first/s1/progress.json").write_bytes(b"")
    found = states(folder)
    assert found["br:1"] != "finished" and found["base:2"] != "finished"
    assert found["last:1"] == found["first:1"] == "finished"
    run(folder, "--quiet")
    assert results(folder / "out") == results(undisturbed / "out")


# ------------------------------------------------------------------------ one task, one folder


def test_only(undisturbed, tmp_path):
    folder = write(tmp_path)
    subprocess.run(command("run", "study.yaml", "--out", "out"), cwd=folder, check=False,
                   capture_output=True, timeout=1200, preexec_fn=limit_files)  # only made
    only = lambda task, **o: qgraft(folder, "run", "out", "--only", task, **o)
    assert "first:2 begins from br:2, which is not finished" in only("first:2", code=2).stderr
    # Two at the same task: one waits for the other.
    twins = [subprocess.Popen(command("run", "out", "--only", "br:2", "--quiet"), cwd=folder)
             for _ in range(2)]
    assert [t.wait(timeout=1200) for t in twins] == [0, 0]
    only("first:2")
    made = [name for name, state in states(folder).items() if state == "finished"]
    assert made == ["br:2", "first:2", *MEASURED]
    ours, theirs = results(folder / "out"), results(undisturbed / "out")
    for name in ("runs/br/s2/last.safetensors", "runs/first/s2/last.safetensors"):
        assert ours[name] == theirs[name]
    before = times(folder / "out/runs/br/s2")
    only("br:2")
    assert times(folder / "out/runs/br/s2") == before


def test_only_looks_once_at_the_others(undisturbed, tmp_path):
    """Hundreds of them, on a cluster, would not leave the others' folders alone."""
    out = shutil.copytree(undisturbed / "out", tmp_path / "out")
    shutil.rmtree(out / "runs/first/s2")
    process = subprocess.Popen(command("run", "out", "--only", "first:2", "--quiet"), cwd=tmp_path)
    while not (out / "runs/first/s2/task.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    note = out / "runs/br/s1/task.json"  # one that cannot be read, from now on
    note.unlink()
    note.mkdir()
    assert process.wait(timeout=600) == 0 and (out / "runs/first/s2/last.safetensors").exists()
    assert "br/s1/task.json" in qgraft(tmp_path, "run", "out", code=1).stderr
    note.rmdir()
    assert "goes without --plan" in qgraft(tmp_path, "run", "out", "--only", "first:2", "--plan", code=2).stderr


def test_second_executor_is_refused(tmp_path):
    folder = write(tmp_path.resolve(), LONG)
    first = start(folder)
    wait_until(lambda: processes(folder))
    result = run(folder, code=1)
    assert f"in use by process {first.pid}" in result.stderr
    assert look(folder)["long:1"]["state"] == "running"
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=1200) == 130
    first.stderr.close()
    assert look(folder)["long:1"]["state"] == "stopped"


def test_waits_for_a_run_of_another(tmp_path):
    folder = write(tmp_path.resolve(), LONG.replace("300000", "2000"))
    (folder / "out/runs/long/s1").mkdir(parents=True)
    with open(folder / "out/runs/long/s1/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        qgraft(folder, "run", "study.yaml", "--out", "new", "--quiet")
        for name in ("study.yaml", "study.json"):
            (folder / "new" / name).rename(folder / "out" / name)
        process = start(folder, "--quiet")
        time.sleep(2)  # it waits, however long
        assert process.poll() is None and not processes(folder)
    assert process.wait(timeout=1200) == 0
    process.stderr.close()
    assert states(folder) == {"long:1": "finished", "random-score-minatar-breakout:1": "finished"}


def test_folder_of_another_study(undisturbed, tmp_path):
    folder = write(tmp_path, LONG)
    (folder / "other").mkdir()
    (folder / "other/notes.txt").write_text("mine")
    result = qgraft(folder, "run", "study.yaml", "--out", "other", code=2)
    assert "holds no study" in result.stderr
    assert [p.name for p in (folder / "other").iterdir()] == ["notes.txt"]
    result = qgraft(folder, "run", "study.yaml", "--out", undisturbed / "out", code=2)
    assert "holds the study 'small', not 'long'" in result.stderr
    assert states(undisturbed) == dict.fromkeys(TASKS, "finished")


# ---------------------------------------------------------------------------- plan and options


def test_plan(tmp_path):
    folder = write(tmp_path)
    plan = json.loads(run(folder, "--plan", "--json", "--jobs", 2, "--scale", 0.5).stdout)
    assert not (folder / "out").exists()
    assert (plan["study"], plan["scale"], plan["jobs"], plan["threads"]) == ("small", 0.5, 2, 1)
    assert 0 < plan["seconds"] < 60 and 1e6 < plan["memory"] < 1e9 and 1e5 < plan["disk"] < 1e9
    assert [r["run"] for r in plan["runs"]] == ["br", "base", "first", "last", *(
        name.split(":")[0] for name in MEASURED)]
    for r in plan["runs"][4:]:
        task, = r["tasks"]
        kind = re.match("(.*)-minatar", r["run"].removesuffix("-minatar-breakout")).group(1)
        assert f"kind: {kind}\n" in task["run_file"] and task["after"] == []
        assert 0 < r["seconds"] < 5
    for r in plan["runs"][:4]:
        assert r["steps"] == 1000 and [t["seed"] for t in r["tasks"]] == [1, 2]
        assert r["seconds"] > 0 and r["memory"] > 1e6 and r["disk"] > 1e5
        for t in r["tasks"]:
            assert t["state"] == "waiting"
            kind = "train" if r["run"] in ("br", "base") else "graft"
            assert f"kind: {kind}\n" in t["run_file"] and f"seed: {t['seed']}\n" in t["run_file"]
            assert t["after"] == ([] if r["run"] in ("br", "base") else [f"br:{t['seed']}"])
    table = run(folder, "--plan").stdout
    assert "train minatar/breakout" in table and "first 2 of br" in table
    assert not (folder / "out").exists()


def test_what_cannot_fit_is_refused(tmp_path):
    huge = SMALL.replace("replay: 5000", "replay: 1000M").replace("steps: 2000", "steps: 100000M")
    folder = write(tmp_path, huge)
    result = run(folder, code=2)
    assert re.search(r"br: a run of it needs \S+ GB of memory, there are \S+ GB: .*--scale.*replay",
                     result.stderr)
    assert not (folder / "out").exists()


@pytest.mark.parametrize("words", [
    [], ["study.yaml", "more.yaml"], ["nothing.yaml"], ["study.yaml", "--jobs", "0"],
    ["study.yaml", "--jobs", "x"], ["study.yaml", "--threads", "0"], ["study.yaml", "--scale", "0"],
    ["study.yaml", "--scale", "-1"], ["study.yaml", "--scale", "2"],
    ["study.yaml", "--scale", "nan"], ["study.yaml", "--stall", "0"],
    ["study.yaml", "--stall", "5 apples"], ["study.yaml", "--stall", ""],
    ["study.yaml", "--stall", "m"], ["study.yaml", "--only", "br:1"], ["study.yaml", "--nonsense"],
    [".", ], [".", "--only", "br:1"]])
def test_odd_options(tmp_path, words):
    folder = write(tmp_path)
    code = 1 if words == ["nothing.yaml"] else 2
    result = qgraft(folder, "run", *words, code=code)
    assert result.stderr.startswith("qgraft") and not result.stdout
    assert [p.name for p in folder.iterdir()] == ["study.yaml"]


def test_odd_options_of_a_folder(undisturbed):
    for words in (["--only", "br:3"], ["--only", "br"], ["--only", "x:1"], ["--only", ""],
                  ["--scale", "0.5"], ["--out", "elsewhere"]):
        qgraft(undisturbed, "run", "out", *words, code=2)
    qgraft(undisturbed, "status", ".", code=2)
    qgraft(undisturbed, "status", "nowhere", code=2)
    qgraft(undisturbed, "status", code=2)


def test_json_result(undisturbed):
    result = json.loads(run(undisturbed, "--json").stdout)
    assert result["counts"] == {"waiting": 0, "stale": 0, "running": 0, "stopped": 0,
                                "finished": 10, "failed": 0, "blocked": 0}


def test_status_table(undisturbed):
    lines = qgraft(undisturbed, "status", "out").stdout.splitlines()
    assert lines[-1] == "small: 10 finished"
    assert re.match(r"br:1 +finished +100 %", lines[1])


def test_status_of_many_runs(tmp_path):
    """What needs nobody's attention is a number, unless it is asked for."""
    folder = write(tmp_path, LONG.replace("seeds: [1]", "seeds: 41"))
    process = subprocess.Popen(command("run", "study.yaml", "--out", "out", "--jobs", "1"),
                               cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_until((folder / "out/runs/long/s1/checkpoint-A").exists)
    process.send_signal(signal.SIGINT)
    assert process.wait(1200) == 130
    lines = qgraft(folder, "status", "out").stdout.splitlines()
    assert re.match(r"long:1 +stopped +\d", lines[1])
    assert lines[2:] == ["41 more wait or are finished: --all lists them",
                         "long: 1 finished, 40 waiting, 1 stopped"]
    assert len(qgraft(folder, "status", "out", "--all").stdout.splitlines()) == 1 + 42 + 1


def test_live_table(tmp_path):
    """On a terminal of 60 columns and 10 lines nothing is longer or higher."""
    folder = write(tmp_path)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    process = subprocess.Popen(command("run", "study.yaml", "--out", "out"), cwd=folder,
                               stderr=slave, stdout=subprocess.DEVNULL)
    os.close(slave)
    output = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(master)
    assert process.wait(timeout=1200) == 0
    text = output.decode()
    frames = text.split("\033[J")
    assert len(frames) > 8
    for frame in frames[:-1]:
        lines = re.sub(r"\033\[[0-9]*[A-Z]|\r", "", frame).split("\n")
        assert len(lines) <= 9 and all(len(line) < 60 for line in lines), frame
    assert "br:1" in text and "running" in text and "steps/s" in text
    assert frames[-1].strip().startswith("out: 10 finished")
