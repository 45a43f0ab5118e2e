"""`qgraft submit` where Slurm's commands talk: many sites wrap them and print banners and numbers around
what they say. (tests/slurm has the real one.)"""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

QGRAFT = os.environ["QGRAFT"]

STUDY = """
study: small
steps: 200k
seeds: 2
settings: {learn_start: 500, replay: 1000, eval_every: 100k, eval_steps: 100, validation_size: 50}
sources: {b: {game: minatar/breakout}}
runs:
  - {game: minatar/asterix}
  - {game: minatar/asterix, from: b, first: 1}
games: {minatar/asterix: {random: 0.5}}
"""

# sbatch, squeue, scontrol and scancel of a cluster whose jobs wait in a file. What sbatch answers is
# in ANSWER, BANNER is what the others say first.
FAKE = """
import json, os, signal, sys
from pathlib import Path

here, command, words = Path(sys.argv[0]).parent, Path(sys.argv[0]).name, sys.argv[1:]
state = here / "jobs.json"
jobs = json.loads(state.read_text())
options = dict(word.lstrip("-").split("=", 1) for word in words if "=" in word)
with open(here / "calls", "a") as calls:
    print(command, *words, file=calls)
if os.environ.get("FAILS") == command:
    print(f"{command}: error: first thing\\nhave a nice day\\n{command}: error: second", file=sys.stderr)
    sys.exit(1)
if command == "sbatch":
    (here / "start").write_text(os.environ["QGRAFT_START_FOLDER"])
    record = Path(options["output"]).parents[1] / "slurm.json"
    known = record.read_text() if record.exists() else "{}"
    with open(here / "records", "a") as records:
        print(json.dumps(json.loads(known)), file=records)
    job = 1000 + len(jobs)
    fate = os.environ.get("FATE", "taken") if len(jobs) == 1 else "taken"
    if fate != "refused":
        jobs[job] = {"name": options["job-name"], "state": "PENDING",
                     "output": options["output"].replace("%a", "0")}
        state.write_text(json.dumps(jobs))
    if fate == "killed":
        os.kill(os.getppid(), signal.SIGKILL)
    sys.stdin.read()
    print(os.environ.get("ANSWER", "{id}\\n").replace("{id}", str(job)), end="")
    print(os.environ.get("MESSAGES", ""), end="", file=sys.stderr)
    sys.exit(fate == "lost")
print(os.environ.get("BANNER", ""), end="")
if command == "squeue":
    asked = options.get("jobs", "").split(",")
    for job, facts in jobs.items():
        if (job in asked or "user" in options) and facts["state"] != "CANCELLED":
            print(f"{job}|0|{facts['state']}|{facts['name']}|None")
elif command == "scontrol" and "show" in words:
    job = words[-1].split("_")[0]
    print(f"JobId={job} JobName={jobs[job]['name']} JobState={jobs[job]['state']} Reason=None "
          f"StdOut={jobs[job]['output']} Power=")
elif command == "scancel":
    for job in words:
        jobs[job]["state"] = "CANCELLED"
    state.write_text(json.dumps(jobs))
"""


class Cluster:
    def __init__(self, folder):
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.folder = folder
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            path = self.bin / name
            path.write_text(f"#!{sys.executable} -IS\n{FAKE}")
            path.chmod(0o755)
        (self.bin / "jobs.json").write_text("{}")
        (folder / "study.yaml").write_text(STUDY)

    def qgraft(self, *words, code=0, **environment):
        result = subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True, timeout=1200,
                                cwd=self.folder, env=self.environment(environment))
        assert result.returncode == code, result.stdout + result.stderr
        return result

    def environment(self, more):
        return {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", **more}

    def submit(self, *words, code=0, out="out", **environment):
        return self.qgraft("submit", "study.yaml", "--out", out, *words, code=code, **environment)

    def refusal(self, *words, code=1, **environment):
        said = self.submit(*words, code=code, **environment).stderr
        assert said.startswith("qgraft: ") and said.count("\n") == 1, said
        return said

    def jobs(self, state="PENDING"):
        """The numbers of the jobs that are in that state, by name."""
        jobs = json.loads((self.bin / "jobs.json").read_text())
        return {facts["name"]: int(job) for job, facts in jobs.items() if facts["state"] == state}

    def recorded(self, out="out"):
        record = json.loads((self.folder / out / "slurm.json").read_text())
        return {f"small/{name}": job for name, job in
                [*record["arrays"].items(), ("report", record["report"])] if job}

    def calls(self, command):
        return [line.split() for line in (self.bin / "calls").read_text().splitlines()
                if line.split()[0] == command]


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path)


QUOTA = "Welcome to Alpha!\n  You have used 12 of 40 TB.\nJobs: 3\n2026\n----\n"


@pytest.mark.parametrize("answer", [
    "{id}\n", "{id};alpha\n", "{id}", "\n\n{id}\n\n", "  {id}  \r\n",
    "Welcome to Alpha!\nYou have used 12 of 40 TB.\n{id}\n",
    "{id};alpha\n*** 3 jobs of yours wait ***\n",
    "\x1b[1mChecking quota\x1b[0m ... 42 % ok\n{id}\nGood bye, 7 days left.\n",
    QUOTA + "{id}\n", "{id}\n" + QUOTA, QUOTA + "{id};alpha\n17\n",
    "Submitted batch job {id}\n", "quota 3\nSubmitted batch job {id} on cluster alpha\n",
    "99999999999999999999\n{id}\n", "0\n{id}\n", "1234.5\n-7\n{id}\n",
    "Thank you.\n", "", "job={id}, queued\n", QUOTA.replace("2026\n", ""),
])
def test_the_number_is_found_wherever_it_stands(cluster, answer):
    """A line of the form that --parsable has; the queue is asked where there is none, or several."""
    cluster.submit(ANSWER=answer, BANNER=QUOTA)
    assert cluster.recorded() == cluster.jobs() and len(cluster.jobs()) == 5
    records = [json.loads(line) for line in (cluster.bin / "records").read_text().splitlines()]
    assert [len(r.get("arrays", {})) for r in records] == [0, 1, 2, 3, 4]  # before each call all others
    assert (cluster.bin / "start").read_text() == str(cluster.folder)
    dependency = [word for word in cluster.calls("sbatch")[-1] if "dependency" in word][0]
    assert dependency.split(":")[1:] == [str(job) for job in list(cluster.jobs().values())[:-1]]
    said = cluster.refusal(ANSWER=answer, BANNER=QUOTA)
    assert "still in the queue" in said and "scancel 1000" in said


@pytest.mark.parametrize("words", [(), ("--until-decided", "--max-seeds", "8")])
def test_a_refused_submission_leaves_the_study_that_the_jobs_read(cluster, words):
    cluster.submit()
    before = (cluster.folder / "out/study.yaml").read_text()
    (cluster.folder / "study.yaml").write_text(STUDY.replace("replay: 1000", "replay: 2000"))
    assert "still in the queue" in cluster.refusal(*words)
    assert (cluster.folder / "out/study.yaml").read_text() == before
    assert not (cluster.folder / "out/looks.json").exists()
    assert len(cluster.jobs()) == 5


def test_jobs_of_runs_that_left_the_file_are_still_the_studys(cluster):
    cluster.submit()
    jobs = cluster.jobs()
    gone = [name for name in jobs if "-first1" in name]
    subprocess.run([cluster.bin / "scancel", *(str(job) for name, job in jobs.items() if name not in gone)],
                   check=True)
    (cluster.folder / "study.yaml").write_text(STUDY.replace("  - {game: minatar/asterix, from: b, first: 1}\n", ""))
    assert cluster.refusal().endswith(f"scancel {jobs[gone[0]]}\n") and len(gone) == 1
    assert cluster.jobs() == {name: jobs[name] for name in gone}


@pytest.mark.parametrize("answer, messages", [
    ("Thank you.\nYour job waits for approval.\n", ""), ("", "quota: 12 of 40\n"),
    ("x" * 3000 + "\n", "and more\n"), ("\x1b[31mno\n", "")])
def test_no_number_and_no_job(cluster, answer, messages):
    said = cluster.refusal(ANSWER=answer, MESSAGES=messages, FATE="refused")
    assert "sbatch answered '" in said and "no job 'small/" in said and "\x1b" not in said
    assert "Thank you. Your job waits for approval." in said or not answer.startswith("Thank")
    kept = cluster.folder / "out/slurm/sbatch-answer.txt"
    assert kept.read_text() == answer + messages and str(kept) in said
    assert len(cluster.jobs()) == 0 and len(cluster.jobs("CANCELLED")) == 1
    cluster.submit()
    assert cluster.recorded() == cluster.jobs()


def test_taken_although_it_failed(cluster):
    """As where the controller's answer was lost: what it took is cancelled with the others."""
    said = cluster.refusal(FATE="lost", MESSAGES="Hi!\nsbatch: error: Socket timed out\n")
    assert said == "qgraft: sbatch: Socket timed out\n"
    assert len(cluster.jobs()) == 0 and len(cluster.jobs("CANCELLED")) == 2
    cluster.submit()
    assert cluster.recorded() == cluster.jobs()


def test_killed_before_it_could_record(cluster):
    result = subprocess.run([QGRAFT, "submit", "study.yaml", "--out", "out"], cwd=cluster.folder,
                            env=cluster.environment({"FATE": "killed"}), capture_output=True)
    assert result.returncode == -signal.SIGKILL
    name, unrecorded = list(cluster.jobs().items())[1]
    assert len(cluster.jobs()) == 2 and name not in cluster.recorded()
    assert "scancel 1000" in cluster.refusal()
    subprocess.run([cluster.bin / "scancel", "1000"], check=True)
    assert f"scancel {unrecorded}\n" in cluster.refusal()
    subprocess.run([cluster.bin / "scancel", str(unrecorded)], check=True)
    cluster.submit()


def test_another_folder_of_the_same_name_does_not_matter(cluster):
    cluster.submit(out="one")
    first = cluster.recorded("one")
    cluster.submit(out="two", ANSWER="Thank you.\n")
    second = cluster.recorded("two")
    assert second.keys() == first.keys() and set(second.values()) & set(first.values()) == set()


@pytest.mark.parametrize("command, answer, message", [
    ("scancel", "hi\n", "; the jobs before it are still there: scancel 1000"),
    ("scontrol", "hi\n", "no job 'small/"),
    ("squeue", "hi\n", "squeue: first thing; second"),
])
def test_commands_that_fail(cluster, command, answer, message):
    assert message in cluster.refusal(FAILS=command, FATE="refused", ANSWER=answer)


def test_the_queue_fails_only_when_it_is_asked_for_a_job(cluster):
    squeue = cluster.bin / "squeue"
    squeue.write_text(squeue.read_text().replace(
        "if os.environ.get(\"FAILS\") == command:",
        "if command == 'squeue' and len(jobs) == 2:"))
    said = cluster.refusal(ANSWER="hi\n")
    assert "whether 'small/" in said and "squeue: first thing; second" in said
    assert "look there before you submit again" in said


def test_status_among_chatter(cluster):
    cluster.submit()
    banner = "Welcome|a|b|c|d\n|||||\nJobs: 3\n1000\n"
    tasks = json.loads(cluster.qgraft("status", "out", "--json", BANNER=banner).stdout)["tasks"]
    slurm = {t["run"]: t["slurm"] for t in tasks if t["seed"] == 1}
    assert slurm["b"]["state"] == "PENDING" and slurm["b"]["job"] == f"{cluster.jobs()['small/b']}_0"


def test_a_task_is_requeued_among_chatter(cluster):
    """Only one that runs: a cancelled one gets the same signal."""
    cluster.submit()
    state = cluster.bin / "jobs.json"
    job = cluster.jobs()["small/b"]
    for named, requeued in (("RUNNING", True), ("CANCELLED", False)):
        jobs = json.loads(state.read_text())
        jobs[str(job)]["state"] = named
        state.write_text(json.dumps(jobs))
        (cluster.bin / "calls").write_text("")
        process = subprocess.Popen(
            [QGRAFT, "run", "out", "--only", "b:1", "--requeue", "--quiet"], cwd=cluster.folder,
            env=cluster.environment({"SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_ID": "0",
                                     "BANNER": "JobState=NONE\nWelcome!\n"}))
        progress = cluster.folder / "out/runs/b/s1/progress.json"
        while not progress.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.wait(1200)
        assert bool([c for c in cluster.calls("scontrol") if c[1:] == ["requeue", f"{job}_0"]]) \
            == requeued
        progress.unlink()


def test_until_decided(cluster):
    """The same command again looks, when all has finished, and submits the seeds of the next look:
    with the same looks as on one machine."""
    until = ("--until-decided", "--max-seeds", "3")
    text = STUDY.replace("steps: 200k", "steps: 600").replace("eval_every: 100k", "eval_every: 300")
    text = text.replace("0.5}", "0, reference: 0.1}")
    (cluster.folder / "study.yaml").write_text(text)
    assert "goes with --until-decided" in cluster.refusal("--max-seeds", "3", code=2)
    assert "without --dry-run" in cluster.refusal(*until, "--dry-run", code=2)
    assert "needs --max-seeds N" in cluster.refusal("--until-decided", code=2)
    cluster.submit(*until)
    assert not json.loads((cluster.folder / "out/looks.json").read_text())["looks"]

    def finish():  # what the cluster would do
        cluster.qgraft("run", "out", "--quiet")
        (cluster.bin / "jobs.json").write_text("{}")

    finish()
    second = cluster.submit(*until)
    assert second.stderr.startswith("look 1, 2 seeds, ")
    calls = re.findall("--job-name=small/([^ ]*).*--array=([^ ]*)",
                       (cluster.bin / "calls").read_text())
    assert {name: seeds for name, seeds in calls[-3:]} == {  # what is finished ends at once
        "b": "0,1,2", "minatar-asterix": "0,1,2", "minatar-asterix-from-b-first1": "0,1,2"}
    finish()
    third = cluster.submit(*until)
    assert third.stderr.startswith("look 2, 3 seeds, ")
    assert third.stdout == ("every run is finished: nothing to submit, and no look is left; "
                            "next: qgraft report\n")
    assert cluster.submit("--until-decided").stderr == ""
    assert "was begun with --max-seeds 3" in cluster.refusal("--until-decided", "--max-seeds", "4",
                                                            code=2)
    cluster.qgraft("run", "study.yaml", "--out", "here", "--quiet", *until)
    assert (cluster.folder / "here/looks.json").read_text() == \
        (cluster.folder / "out/looks.json").read_text()
