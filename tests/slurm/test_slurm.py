"""`qgraft submit` on a real Slurm: the results of the local executor bit for bit, whatever
interrupts the tasks; what fails takes down what depends on it and nothing else."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QGRAFT = os.environ["QGRAFT"]

# A second or two a task, but several for the sources: two of theirs are interrupted.
STUDY = """
study: small
preset: grid
steps: 12k
seeds: [1, 7, 20]
settings: {learn_start: 1000, replay: 6000, update_every: 8, minibatch: 16, epsilon_steps: 6000,
           target_every: 500, eval_every: 4000, eval_steps: 1000, validation_size: 100}
sources:
  b: {game: minatar/breakout, steps: 120k}
  f: {game: minatar/freeway, steps: 120k}
  early: {from: b, at: 4000}
  both: {distill: [b, f], samples: 3000}
runs:
  - {game: minatar/asterix}
  - {game: minatar/asterix, from: [b, early, both], first: 2, freeze: true}
"""

# Longer than Slurm takes to see that a limit of a minute draws near, which is up to half of it.
LONG = """
study: long
preset: grid
steps: 2M
seeds: [1]
settings: {learn_start: 1000, replay: 20000, update_every: 2, eval_every: 200k, eval_steps: 2000}
runs:
  - {game: minatar/asterix}
"""

# One process of all that play dies: the one that finds the marker.
CRASHING = """
study: crashing
preset: grid
steps: 4k
seeds: [1, 2, 3]
settings: {learn_start: 500, replay: 3000, update_every: 8, minibatch: 16, epsilon_steps: 2000,
           eval_every: 2000, eval_steps: 500, validation_size: 100}
sources:
  c: {game: catch}
runs:
  - {game: minatar/breakout}
  - {game: minatar/breakout, from: c, last: 1}
  - {game: minatar/breakout, from: c, first: 2, freeze: true}
"""


class Study:
    """A study file and its folder on the cluster, and what one types about them."""

    def __init__(self, slurm, folder, text, name="study", environment=None):
        self.slurm = slurm
        self.file = folder / "study.yaml"
        self.file.write_text(text)
        self.folder = folder / name
        self.environment = {**slurm.environment, **(environment or {})}
        self.requeued = {}  # since when

    def qgraft(self, *words, code=0):
        result = subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True,
                                timeout=1200, env=self.environment)
        assert result.returncode == code, result.stdout + result.stderr
        return result

    def submit(self, *words, code=0):
        return self.qgraft("submit", self.file, "--out", self.folder, "--partition", "main",
                           *words, code=code)

    def show(self, job):
        return self.slurm.output("scontrol", "--oneliner", "show", "job", job)

    def jobs(self):
        record = json.loads((self.folder / "slurm.json").read_text())
        return record["arrays"], record["report"]

    def queue(self):
        """Slurm's state and reason of each task, by array and index; of the report by its job."""
        arrays, report = self.jobs()
        jobs = ",".join(str(job) for job in [*arrays.values(), report] if job)
        lines = self.slurm.output("squeue", "--array", "--noheader", "--states=all",
                                  "--format=%F|%K|%T|%r", f"--jobs={jobs}").splitlines()
        rows = [line.split("|") for line in lines]
        return {(int(job), int(index) if index.isdigit() else None): (state, reason)
                for job, index, state, reason in rows}

    def wait(self, done, seconds=1200):
        end = time.monotonic() + seconds
        while not done(queue := self.queue()):
            assert time.monotonic() < end, f"{queue}\n{self.outputs()}"
            time.sleep(0.3)
        return queue

    def wait_for_step(self, task, seconds=1200):
        """Until it trains, so that a signal finds it with something to stop."""
        end = time.monotonic() + seconds
        while (state := self.states()[task])["state"] != "running" or not state["step"]:
            assert state["state"] != "finished" and time.monotonic() < end, state
            time.sleep(0.1)

    def hurry(self, queue):
        """Tasks that were requeued need not wait for Slurm's two minutes; but the end of their old
        process must have come through, or Slurm takes it for that of the new one."""
        now = time.monotonic()
        self.requeued = {key: self.requeued.get(key, now) for key, state in queue.items()
                         if state == ("PENDING", "BeginTime")}
        for (job, index), since in self.requeued.items():
            if now > since + 4:
                self.slurm.command("scontrol", "update", f"jobid={job}_{index}", "starttime=now",
                                   check=False)

    def finish(self):
        """Until nothing waits or runs."""
        def done(queue):
            self.hurry(queue)
            return all(state in ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT")
                       for state, _ in queue.values())
        return self.wait(done)

    def outputs(self):
        return "\n".join(f"== {p.name}\n{p.read_text(errors='replace')}"
                         for pattern in ("slurm/*.out", "runs/*/*/log.txt")
                         for p in sorted(self.folder.glob(pattern)))

    def states(self):
        """Ours of each task, by "ID:SEED"."""
        study = json.loads(self.qgraft("status", self.folder, "--json").stdout)
        return {f"{task['run']}:{task['seed']}": task for task in study["tasks"]}


def results(folder):
    """Every file of the runs but how each went on its machine."""
    own = {"task.json", "progress.json", "log.txt", "process.yaml", "lock"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob("runs/*/*/*"))
            if p.name not in own and "tfevents" not in p.name}


def assert_equal_to_local(study):
    """Runs the study again without Slurm, in the same place, as networks name their parents'."""
    ours = results(study.folder)
    study.folder.rename(study.folder.parent / "from-slurm")
    study.qgraft("run", study.file, "--out", study.folder, "--jobs", 2)
    theirs = results(study.folder)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    for ending in ("/last.safetensors", "/evaluations.csv"):
        assert any(name.endswith(ending) for name in ours)


def test_results_are_those_of_the_local_executor(slurm, tmp_path):
    """Sources, an early one, a distillation of two and their grafts; one task is stopped as before
    a time limit, another is requeued by the administrator. The folder's name needs quoting."""
    study = Study(slurm, tmp_path, STUDY, "it's 100 %a $HOME \"x\"")
    answer = study.submit("--array-limit", 2, "--time", 5)
    arrays, report = study.jobs()
    measured = {"random-score-minatar-asterix", "similarity-minatar-asterix-minatar-breakout"}
    assert len(arrays) == 7 + 2 and measured < arrays.keys()  # `early` is no run of its own
    assert {arrays[run] for run in measured} == set(sorted(arrays.values())[:2])
    assert all(str(job) in answer.stdout for job in [*arrays.values(), report])

    refused = study.submit(code=1).stderr
    assert refused.count("\n") == 1 and re.search(rf"scancel .*\b{arrays['b']}\b", refused)

    stopped, requeued = (arrays["b"], 0), (arrays["f"], 1)
    study.wait_for_step("b:1")
    slurm.command("scancel", "--batch", "--signal=TERM", "%d_%d" % stopped)
    study.wait_for_step("f:7")
    slurm.command("scontrol", "requeue", "%d_%d" % requeued)
    queue = study.finish()
    assert set(queue.values()) == {("COMPLETED", "None")}, study.outputs()
    assert len(queue) == 7 * 3 + 2 + 1
    for task, folder in ((stopped, "runs/b/s1"), (requeued, "runs/f/s7")):
        assert "Restarts=1 " in study.show("%d_%d" % task)
        assert "qgraft: stopped " in (study.folder / folder / "log.txt").read_text()

    tasks = study.states()
    assert len(tasks) == 7 * 3 + 2 and all(task["state"] == "finished" for task in tasks.values())
    assert tasks["b:1"]["slurm"] == {"job": "%d_0" % arrays["b"], "state": "COMPLETED", "why": ""}
    assert "COMPLETED" in study.qgraft("status", study.folder).stdout
    assert "nothing to submit" in study.submit().stdout
    assert (study.folder / "report.html").stat().st_size > 0, study.outputs()
    assert_equal_to_local(study)


def test_time_limit_requeues_and_scancel_does_not(slurm, tmp_path):
    study = Study(slurm, tmp_path, LONG)
    study.submit("--time", 1)
    arrays, _ = study.jobs()
    task, run = (arrays["minatar-asterix"], 0), "minatar-asterix:1"
    name = "%d_%d" % task

    study.wait(lambda queue: queue[task] == ("PENDING", "BeginTime"))
    stopped = study.states()[run]
    assert stopped["state"] == "stopped" and stopped["step"] > 0, study.outputs()
    study.wait(lambda queue: study.hurry(queue) or queue[task] == ("RUNNING", "None"))
    end = time.monotonic() + 600
    while (running := study.states()[run])["step"] <= stopped["step"]:
        assert time.monotonic() < end, running
        time.sleep(0.5)
    assert "Restarts=1 " in study.show(name)

    slurm.command("scancel", name)
    study.wait(lambda queue: queue[task][0] == "CANCELLED")
    time.sleep(2)  # it stays so, however long
    assert "JobState=CANCELLED" in study.show(name) and "Restarts=1 " in study.show(name)
    cancelled = study.states()[run]
    assert cancelled["state"] == "stopped" and cancelled["slurm"]["state"] == "CANCELLED"
    assert cancelled["step"] >= running["step"]


@pytest.fixture
def crashing_plugin(tmp_path):
    """The example's game, but a process that finds the file `marker` after 3000 steps (more than are
    measured) removes it and dies."""
    marker = tmp_path / "marker"
    source = (ROOT / "examples" / "my_game.c").read_text()
    head = "static qg_status play(void *self, int action, qg_step *frame, qg_error *error)\n{\n"
    assert head in source
    source = source.replace(head, head + "    static int steps;\n"
                            f'    if (++steps > 3000 && unlink("{marker}") == 0) abort();\n')
    (tmp_path / "game.c").write_text("#include <unistd.h>\n" + source)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", "game.so", "game.c",
                    f"-I{ROOT / 'include'}"], check=True, cwd=tmp_path)
    marker.touch()
    return {"QGRAFT_PLUGINS": str(tmp_path / "game.so")}


def test_failed_task_takes_its_dependents_along(slurm, tmp_path, crashing_plugin):
    study = Study(slurm, tmp_path, CRASHING, environment=crashing_plugin)
    study.submit("--array-limit", 1)
    queue = study.finish()
    arrays, report = study.jobs()
    assert len(arrays) == 4 + 2
    grafts = [run for run in arrays if "-from-c-" in run]
    failed = [key for key, (state, _) in queue.items() if state == "FAILED"]
    assert failed == [(arrays["c"], 0)], study.outputs()  # the first that trained
    cancelled = [(arrays[run], 0) for run in grafts]
    assert len(grafts) == 2
    for key, (state, why) in queue.items():
        if key in cancelled:
            assert (state, why) == ("CANCELLED", "DependencyNeverSatisfied")
        elif key not in failed:
            assert state == "COMPLETED", key
    tasks = study.states()
    assert tasks["c:1"]["state"] == "failed" and "SIGABRT" in tasks["c:1"]["message"]
    for run in grafts:
        assert tasks[f"{run}:1"]["state"] == "blocked" and tasks[f"{run}:2"]["state"] == "finished"
    assert (study.folder / "report.html").exists(), study.outputs()

    # The second time nobody dies. What is finished altogether has no array; what is finished in
    # part has, and its finished tasks end at once.
    study.submit()
    again, _ = study.jobs()
    assert again.keys() == {"c", *grafts} and min(again.values()) > report
    assert {state for state, _ in study.finish().values()} == {"COMPLETED"}, study.outputs()
    assert_equal_to_local(study)


@pytest.mark.parametrize("words, code, message", [
    (["--partition", "nowhere"], 1, "nowhere"),
    (["--array-limit", "0"], 2, "--array-limit"),
    (["--threads", "0"], 2, "--threads"),
    (["--sbatch-option", "mem=3"], 2, "--sbatch-option"),
    (["--sbatch-option", "--mem=1T"], 1, "sbatch"),
])
def test_bad_options(slurm, tmp_path, words, code, message):
    study = Study(slurm, tmp_path, STUDY)
    said = study.submit(*words, code=code).stderr
    assert message in said and (said.count("\n") == 1 or "--help" in said)
    assert not (study.folder / "slurm.json").exists()
    assert slurm.output("squeue", "--noheader", "--name=small/b") == ""


def test_no_study(slurm, tmp_path):
    study = Study(slurm, tmp_path, STUDY)
    for words in (["nowhere.yaml"], [tmp_path], []):
        said = study.qgraft("submit", *words, code=2 if words != ["nowhere.yaml"] else 1).stderr
        assert said.count("\n") == 1 or "--help" in said
    said = study.qgraft("submit", study.file, "--out", tmp_path / "a\\b", code=2).stderr
    assert "backslash" in said and said.count("\n") == 1


def test_without_slurm(slurm, tmp_path):
    study = Study(slurm, tmp_path, STUDY, environment={"PATH": str(tmp_path)})
    said = study.submit(code=1).stderr
    assert "a command of Slurm, is not installed" in said and said.count("\n") == 1


def test_submission_that_fails_halfway_leaves_nothing_in_the_queue(slurm, tmp_path):
    real = slurm.output("which", "sbatch")
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho >>{tmp_path}/calls\n"
                    f"[ $(wc -l <{tmp_path}/calls) -lt 3 ] && exec {real} \"$@\"\n"
                    "echo sbatch: error: first thing >&2\necho sbatch: error: second >&2\nexit 1\n")
    fake.chmod(0o755)
    study = Study(slurm, tmp_path, STUDY,
                  environment={"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    said = study.submit("--sbatch-option=--hold", code=1).stderr
    assert said == "qgraft: sbatch: first thing; second\n"
    assert {state for state, _ in study.queue().values()} == {"CANCELLED"}

    fake.write_text("#!/bin/sh\necho Your job waits for approval.\n")
    said = study.submit(code=1).stderr
    assert "sbatch answered 'Your job waits for approval.'" in said and said.count("\n") == 1
    assert "no job 'small/" in said

    fake.unlink()
    study.submit("--sbatch-option=--hold")
    arrays, report = study.jobs()
    slurm.command("scancel", report, *arrays.values())
    study.environment["PATH"] = str(tmp_path)  # a machine without Slurm that sees the folder
    said = study.qgraft("status", study.folder)
    assert "squeue" in said.stderr and "waiting" in said.stdout


@pytest.mark.parametrize("wrapper", [
    'echo "Welcome! 12 of 40 TB used"; {real} "$@"; echo "*** 3 jobs wait ***"',
    'echo 2026; {real} "$@"; echo 7',
    'shift; {real} "$@"',  # without --parsable
    '{real} "$@" >/dev/null; echo Thank you.',
    'echo "sbatch: note: be patient" >&2; {real} "$@" | tr "\\n" " "'])
def test_wrapped_commands(slurm, tmp_path, wrapper):
    """The numbers are those of the queue, whatever stands around them."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "scancel"):
        real = slurm.output("which", name)
        line = wrapper if name == "sbatch" else 'echo "Jobs: 3"; {real} "$@"'
        (commands / name).write_text("#!/bin/sh\n" + line.replace("{real}", real) + "\n")
        (commands / name).chmod(0o755)
    study = Study(slurm, tmp_path, STUDY, "it's 100 %a",
                  environment={"PATH": f"{commands}:{os.environ['PATH']}"})
    study.submit("--sbatch-option=--hold")
    arrays, report = study.jobs()
    lines = slurm.output("squeue", "--noheader", "--format=%F|%j").splitlines()
    names = {int(job): name for job, name in (line.split("|") for line in lines)}
    expected = {**{run: job for run, job in arrays.items()}, "report": report}
    assert {run: names[job] for run, job in expected.items()} == {r: f"small/{r}" for r in expected}
    assert "PENDING" in study.qgraft("status", study.folder).stdout
    (study.folder / "slurm.json").unlink()  # as if none had been recorded
    said = study.submit(code=1).stderr
    assert re.search(rf"scancel .*\b{arrays['b']}\b", said) and said.count("\n") == 1
    slurm.command("scancel", report, *arrays.values())


def test_dry_run_prints_what_a_shell_would_submit(slurm, tmp_path):
    study = Study(slurm, tmp_path, STUDY, "it's %a")
    said = study.submit("--dry-run", "--threads", 2, "--array-limit", 4).stdout
    assert not study.folder.exists()
    assert "--array=0,1,2%4" in said and "'--dependency=aftercorr:<small/b>:<small/f>'" in said
    assert said.count("<<'END'") == said.count("--kill-on-invalid-dep=yes") == 10
    assert said.count("--cpus-per-task=2") == said.count("--threads 2 --requeue") == 9
