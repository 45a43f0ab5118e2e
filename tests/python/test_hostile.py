"""What others leave in a folder or a file, and what a machine does to it: names and links that lead
elsewhere, folders that were copied or cannot be written, a clock that goes backwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import killing
from test_faults import GOING_ON, LESSONS, SETTINGS, SHIM, STUDY, study_files

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")


def qgraft(folder, *words, code=0, env=None, **options):
    result = subprocess.run([QGRAFT, *map(str, words)], cwd=folder, capture_output=True, text=True,
                            timeout=1200, env={**os.environ, **(env or {})}, **options)
    assert result.returncode == code, result.stdout + result.stderr
    if code:
        assert result.stderr.startswith("qgraft: ") and result.stderr.count("\n") == 1, result.stderr
    return result


def train(out, *words):
    return ["train", "minatar/breakout", "--steps", 500, "--out", out, *GOING_ON,
            *killing.words(SETTINGS), *words]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    qgraft(folder, *train("run"))
    return folder / "run"


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studied")
    (folder / "study.yaml").write_text(STUDY)
    qgraft(folder, "run", "study.yaml", "--out", "study", "--quiet")
    return folder / "study"


def everything(folder):
    """All paths below the folder with what they hold."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
            for p in folder.rglob("*")}


# ---------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["../x", "FOLDER/x", "..", ".", ".x", "-x", "a/../../x", "a\0b", "a\nb",
                                  "", "x" * 200])
@pytest.mark.parametrize("place", ["study", "sources", "name", "group"])
def test_names_stay_in_the_folder(place, name, tmp_path):
    quoted = json.dumps(name.replace("FOLDER", str(tmp_path)))
    text = (f"study: {quoted if place == 'study' else 'fine'}\nseeds: [1]\nsteps: 300\n"
            f"settings: {json.dumps(SETTINGS)}\n"
            f"sources: {{{quoted if place == 'sources' else 'br'}: {{game: minatar/breakout}}}}\n"
            f"runs: [{{game: minatar/breakout"
            f"{f', {place}: {quoted}' if place in ('name', 'group') else ''}}}]\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "study.yaml").write_text(text)
    before = everything(tmp_path)
    result = subprocess.run([QGRAFT, "run", "study.yaml", "--out", "out", "--quiet"], cwd=home,
                            capture_output=True, text=True, timeout=1200)
    assert result.returncode in (0, 2), result.stderr
    if place in ("study", "sources"):
        assert result.returncode == 2
    new = everything(tmp_path).keys() - before.keys()
    assert all(p == "home/out" or p.startswith("home/out/") for p in new), new


@pytest.mark.parametrize("domain", ["../../x", "/etc/passwd", "minatar/../../x", "a\nb", "a\0b",
                                    "x" * 5000])
def test_metadata_leads_nowhere(trained, domain, tmp_path):
    network = tmp_path / "network.safetensors"
    with safe_open(trained / "best.safetensors", "numpy") as file:
        metadata = file.metadata()
    save_file(load_file(trained / "best.safetensors"), network, {**metadata, "domain": domain})
    before = everything(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/study.yaml").write_text(
        f"study: fine\nseeds: [1]\nsteps: 300\nsettings: {json.dumps(SETTINGS)}\n"
        f"sources: {{a: {{file: {network}}}, b: {{distill: a, samples: 100}}}}\n"
        "runs: [{game: minatar/breakout, from: b, first: 1}]\n")
    for words in (["run", "study.yaml", "--out", "out", "--quiet"], ["evaluate", network],
                  ["distill", network, "--out", "out/d", "--samples", 100],
                  ["inspect", network, "--pedigree"]):
        result = subprocess.run([QGRAFT, *map(str, words)], cwd=tmp_path / "home", timeout=1200,
                                capture_output=True, text=True)
        assert result.returncode in (0, 1, 2) and "\x1b" not in result.stdout, result.stderr
    new = everything(tmp_path).keys() - before.keys()
    assert all(p in ("home", "home/study.yaml", "home/out") or p.startswith("home/out/")
               for p in new), new


# ---------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("link", ["runs/first", "runs/first/s1", "runs/first/s1/best.safetensors",
                                  "runs/first/s1/evaluations.csv", "runs/first/s1/log.txt"])
def test_links_are_not_written_through(studied, link, tmp_path):
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    shutil.copytree(studied, study)
    elsewhere.mkdir()
    (elsewhere / "file").write_text("mine")
    path, note = study / link, study / "runs/first/s1/task.json"
    if path.suffix:  # in a folder that is the task's
        note.write_text(note.read_text().replace("finished", "stopped"))
        path.unlink()
    else:
        shutil.rmtree(study / "runs/first")
        path.parent.mkdir(exist_ok=True)
    path.symlink_to(elsewhere / "file" if path.suffix else elsewhere)
    result = qgraft(tmp_path, "run", "study", "--quiet", code=1)
    assert everything(elsewhere) == {"file": b"mine"}
    assert "link" in result.stderr or "link" in qgraft(tmp_path, "status", "study").stdout


@pytest.mark.parametrize("link", ["lock", "study.json", "study.yaml", "report.html", "metrics.csv",
                                  "figures", "figures/curves.svg", "slurm", "runs/stale"])
def test_links_in_a_study_folder(studied, link, tmp_path):
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    shutil.copytree(studied, study)
    elsewhere.mkdir()
    (elsewhere / "matrix.png").write_text("mine")
    place = study / link
    place.parent.mkdir(exist_ok=True)
    target = elsewhere / "matrix.png" if place.suffix or link == "lock" else elsewhere
    if place.exists():
        target.write_bytes(place.read_bytes())  # what it leads to looks right
        place.unlink()
    before = everything(elsewhere)
    place.symlink_to(target)
    changed = tmp_path / "changed.yaml"
    changed.write_text(STUDY.replace("steps: 400", "steps: 300"))
    for words in (["run", study], ["run", changed, "--out", study], ["report", study]):
        if link == "runs/stale" and words[1] == study:
            continue  # nothing is moved there
        assert "link" in qgraft(tmp_path, *words, "--quiet", code=1).stderr
    assert everything(elsewhere) == before


def test_a_link_that_would_come_back(studied, tmp_path):
    """From runs/stale, to the place of a run."""
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    shutil.copytree(studied, study)
    run = study / "runs/first/s1"
    name = f"first-s1-{json.loads((run / 'task.json').read_text())['hash'][:16]}"
    shutil.move(run, elsewhere)
    (elsewhere / "best.safetensors").unlink()
    before = everything(elsewhere)
    (study / "runs/stale").mkdir()
    (study / "runs/stale" / name).symlink_to(elsewhere)
    assert "link" in qgraft(tmp_path, "run", study, "--quiet", code=1).stderr
    assert everything(elsewhere) == before


def test_runs_may_lie_on_another_disk(studied, tmp_path):
    """And come back from runs/stale there."""
    study = tmp_path / "study"
    shutil.copytree(studied, study)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        shutil.move(study / "runs", disk)
        (study / "runs").symlink_to(Path(disk) / "runs")
        for text in (STUDY.replace("steps: 400", "steps: 300"), STUDY):
            (tmp_path / "study.yaml").write_text(text)
            qgraft(tmp_path, "run", "study.yaml", "--out", study, "--quiet")
        assert len(os.listdir(study / "runs/stale")) == 3
        shutil.copytree(study / "runs", tmp_path / "back/runs")
        shutil.rmtree(tmp_path / "back/runs/stale")
        assert study_files(tmp_path / "back") == study_files(studied)


def test_a_base_is_no_option(studied, tmp_path):
    """A source's path below it becomes an argument of a run that begins in the study's folder."""
    study = tmp_path / "study"
    shutil.copytree(studied, study)
    head = json.loads((study / "study.json").read_text())
    for change in ({"base": "--domain-plugin=x"}, {"base": ""}, {"base": "relative"},
                   {"study": "small\x1b[31m"}, {"study": "a/b"}, {"study": ""}):
        (study / "study.json").write_text(json.dumps({**head, **change}))
        for command in ("run", "status", "report"):
            assert "study.json" in qgraft(study, command, ".", code=1).stderr


def test_a_link_in_a_run_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/training.csv").symlink_to(tmp_path / "mine")
    assert "a link" in qgraft(tmp_path, *train("run"), code=1).stderr
    assert not (tmp_path / "mine").exists()


def test_hash_of_a_note_is_no_path(studied, tmp_path):
    study = tmp_path / "home/study"
    shutil.copytree(studied, study)
    note = study / "runs/first/s1/task.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "hash": "/../../../../x"}))
    (study / "runs/stale/first-s1-").mkdir(parents=True)
    qgraft(tmp_path, "run", study, "--quiet")
    assert os.listdir(tmp_path) == ["home"] and os.listdir(tmp_path / "home") == ["study"]
    assert (study / "runs/stale/first-s1-unknown").is_dir()


# -------------------------------------------------------------------------------------- numbers


def test_nothing_that_is_read_is_lost(trained, tmp_path):
    """A run does not begin from what it overwrites, and no command writes over what it reads, by
    whatever name."""
    folder, given = tmp_path / "run", tmp_path / "given"
    shutil.copytree(trained, folder)
    given.mkdir()
    for name in ("best", "step-5", "mine"):  # in a folder where there is no run
        shutil.copy(trained / "best.safetensors", given / f"{name}.safetensors")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "again").symlink_to(given / "mine.safetensors")
    (tmp_path / "moves.txt").write_text("0\n1\n")
    before = everything(tmp_path)
    graft = ["--to", "minatar/asterix", "--first", 1, "--steps", 0, "--set", "eval_steps=20"]
    for source, out in (("run/best", "run"), ("link/last", "run"), ("run/best", "link"),
                        ("given/best", "given"), ("given/step-5", "given/../given")):
        source = f"{source}.safetensors"
        for words in (["graft", source, *graft], ["distill", source, "--samples", 100]):
            result = qgraft(tmp_path, *words, "--out", out, "--overwrite", code=2)
            assert source in result.stderr and "--out" in result.stderr
    mine = "given/mine.safetensors"
    for words in (["export", mine, "--format", "sb3", "--out", "again"],
                  ["import", mine, "--domain", "breakout", "--out", mine],
                  ["stitch", mine, "--source", "run/best.safetensors", "--at", 1, "--out", "again"],
                  ["stitch", "run/best.safetensors", "--source", mine, "--at", 1, "--out", mine],
                  ["play", mine, "--steps", 5, "--no-draw", "--gif", mine],
                  ["rollout", "minatar/breakout", "--seed", 1, "--actions", "moves.txt", "--out",
                   "moves.txt"]):
        assert "is read" in qgraft(tmp_path, *words, code=2).stderr
    assert everything(tmp_path) == before
    qgraft(tmp_path, "graft", mine, *graft, "--out", "given", "--quiet")  # of no name of a run's file
    assert (tmp_path / mine).read_bytes() == before[mine]


@pytest.mark.parametrize("seeds, rates", [(10000, 20), (1, 2000)])
def test_a_study_of_billions(seeds, rates, tmp_path):
    settings = {"learning_rate": [i / 1e4 for i in range(1, rates + 1)]}
    games = ("breakout", "asterix", "freeway")
    (tmp_path / "study.yaml").write_text(json.dumps(
        {"study": "a", "seeds": seeds, "steps": 300,
         "runs": [{"game": f"minatar/{game}", "settings": settings} for game in games]}))
    assert "more than" in qgraft(tmp_path, "run", "study.yaml", "--plan", code=2).stderr


@pytest.mark.parametrize("length, problem", [(900, "generations"), (9000, "more than 1000")])
def test_a_long_chain_of_sources(length, problem, tmp_path):
    text = "".join(f"  s{i}: {{from: s{i + 1}}}\n" for i in range(length))
    (tmp_path / "study.yaml").write_text(f"study: a\nsources:\n{text}"
                                         "runs: [{game: minatar/breakout}]\n")
    assert problem in qgraft(tmp_path, "run", "study.yaml", "--plan", code=2).stderr


@pytest.mark.parametrize("score", ["1e80", "1e308", "-1e308", "1e-100", "1e-308"])
def test_scores_that_have_no_square(score, studied, tmp_path):
    study = tmp_path / "study"
    text = STUDY.replace("seeds: [1]", "seeds: [1, 2]")
    (tmp_path / "study.yaml").write_text(text)
    qgraft(tmp_path, "run", "study.yaml", "--out", study, "--quiet")
    for seed, value in ((1, score), (2, "0")):
        table = study / f"runs/base/s{seed}/evaluations.csv"
        head, *rows = table.read_text().splitlines()
        rows = [",".join([row.split(",")[0], value, *row.split(",")[2:]]) for row in rows]
        table.write_text("\n".join([head, *rows]) + "\n")
    large = "e308" in score
    result = qgraft(tmp_path, "report", study, "--quiet", code=large)
    assert ("evaluations.csv:2: " in result.stderr) == large


def test_metadata_of_many_keys(tmp_path):
    path = tmp_path / "many.safetensors"
    save_file({}, path, {f"key {i}": "x" for i in range(100000)})
    text = subprocess.run([QGRAFT, "inspect", path], capture_output=True, timeout=1200, check=True)
    assert text.stdout.count(b"\n") > 100000
    subprocess.run([QGRAFT, "inspect", path, "--json"], capture_output=True, timeout=1200, check=True)


def test_metadata_that_json_does_not_hold(trained, tmp_path):
    path = tmp_path / "network.safetensors"
    with safe_open(trained / "best.safetensors", "numpy") as file:
        metadata = file.metadata()
    save_file(load_file(trained / "best.safetensors"), path,
              {**metadata, "score": "1e999", "copied": "é" * 400, "copied_layers_are": "é" * 10})
    json.loads(qgraft(tmp_path, "inspect", path, "--pedigree", "--json").stdout)
    json.loads(qgraft(tmp_path, "inspect", path, "--json").stdout)


def test_steps_that_no_integer_holds(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY.replace(
        "  br: {game: minatar/breakout}", "  br: {game: minatar/breakout}\n"
        "  early: {from: br, at: 9223372036854775807}"))
    assert "study.yaml:" in qgraft(tmp_path, "run", "study.yaml", "--plan", code=2).stderr


# ---------------------------------------------------------------------------------------- words


def test_a_failure_in_half_a_character(trained, tmp_path):
    """The message of a run is cut to what task.json holds, and that is JSON."""
    with safe_open(trained / "best.safetensors", "numpy") as file:
        metadata = file.metadata()
    for name in ("even", "odd"):  # one of them is cut in the middle
        network = tmp_path / f"{name}.safetensors"
        save_file(load_file(trained / "best.safetensors"), network,
                  {**metadata, "actions": "é" * 200 if name == "even" else "x" + "é" * 200})
        (tmp_path / f"{name}.yaml").write_text(
            f"study: {name}\nseeds: [1]\nsteps: 300\nsettings: {json.dumps(SETTINGS)}\n"
            f"sources: {{a: {{file: {network}}}}}\n"
            "runs: [{game: minatar/breakout, from: a, last: 1}, {game: minatar/breakout}]\n")
        result = subprocess.run([QGRAFT, "run", f"{name}.yaml", "--out", name, "--quiet"],
                                cwd=tmp_path, capture_output=True, text=True, timeout=1200)
        assert result.returncode == 1 and not result.stderr, result.stderr
        tasks = json.loads(qgraft(tmp_path, "status", name, "--json").stdout)["tasks"]
        assert [t["state"] for t in tasks[:2]] == ["failed", "finished"]
        assert "é" * 50 in tasks[0]["message"], tasks


def test_terminal_commands_in_a_message(studied, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(studied, study)
    note = study / "runs/first/s1/task.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "state": "failed",
                                "message": "a\x9b31m\x1b[31m\x7fé"}))
    text = qgraft(tmp_path, "status", study).stdout
    assert "a??31m?[31m?é" in text
    for message in ("é" * 1000, "x" + "é" * 1000):
        note.write_text(json.dumps({**json.loads(note.read_text()), "message": message,
                                    "host": message}))
        tasks = json.loads(qgraft(tmp_path, "status", study, "--json").stdout)["tasks"]
        assert len(tasks) == 5 and "é" * 100 in tasks[2]["message"] + tasks[1]["message"]


# -------------------------------------------------------------------------------------- parents


def test_closed_descriptors(tmp_path):
    """A table must not get the words that are meant for stderr."""
    line = [QGRAFT, "train", "minatar/breakout", "--steps", "100M", "--out", "run",
            *killing.words(SETTINGS)]
    process = subprocess.Popen(["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *line],
                               cwd=tmp_path)
    while process.poll() is None and not (tmp_path / "run/training.csv").exists():
        time.sleep(0.05)
    files = [os.readlink(f"/proc/{process.pid}/fd/{i}") for i in range(3)]
    process.kill()
    process.wait()
    assert files == ["/dev/null"] * 3


def test_children_that_a_parent_ignores(studied, tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    code = ("import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
            "os.execv(sys.argv[1], sys.argv[1:])")
    subprocess.run([sys.executable, "-c", code, QGRAFT, "run", "study.yaml", "--out", "study",
                    "--quiet"], cwd=tmp_path, check=True, timeout=1200)
    assert study_files(tmp_path / "study") == study_files(studied)


# -------------------------------------------------------------------------------------- folders


def test_a_lost_network_is_submitted(studied, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(studied, study)
    shutil.rmtree(study / "runs/first")
    words = "submit", study, "--dry-run", "--partition", "any"
    assert "/br" not in qgraft(tmp_path, *words).stdout
    (study / "runs/br/s1/best.safetensors").unlink()
    assert "/br" in qgraft(tmp_path, *words).stdout
    only = qgraft(tmp_path, "run", study, "--only", "first:1", code=2).stderr
    assert "whose network is lost" in only
    qgraft(tmp_path, "run", study, "--only", "br:1", "--quiet")
    qgraft(tmp_path, "run", study, "--only", "first:1", "--quiet")
    assert study_files(study) == study_files(studied)


def test_a_step_that_is_needed_later(tmp_path):
    """Of a run that is stopped behind it: it begins anew."""
    before = STUDY.replace("{game: minatar/breakout}", "{game: minatar/breakout, steps: 30000}")
    after = before.replace("steps: 30000}\n", "steps: 30000}\n  early: {from: br, at: 300}\n") + (
        "  - {name: early, game: minatar/asterix, from: early, first: 1}\n")
    (tmp_path / "study.yaml").write_text(before)
    words = [QGRAFT, "run", "study.yaml", "--out", "study", "--quiet", "--jobs", "1"]
    process = subprocess.Popen(words, cwd=tmp_path)
    rows = tmp_path / "study/runs/br/s1/evaluations.csv"
    while process.poll() is None and not (rows.exists() and rows.read_text().count("\n") > 4):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(1200) == 130
    (tmp_path / "study.yaml").write_text(after)
    qgraft(tmp_path, *words[1:])
    assert (tmp_path / "study/runs/br/s1/step-300.safetensors").exists()


@pytest.mark.parametrize("call", range(10, 24, 2))
def test_a_lost_network_is_made_again_after_a_kill(call, studied, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(studied, study)
    (study / "runs/br/s1/best.safetensors").unlink()
    shutil.rmtree(study / "runs/first")
    killed = subprocess.run([QGRAFT, "run", study, "--quiet"], capture_output=True, timeout=1200,
                            env={**os.environ, "LD_PRELOAD": str(killing.SHIM), "KILL_AT": str(call),
                                 "KILL_AT_WHEN": "before"})
    assert killed.returncode != 0
    qgraft(tmp_path, "run", study, "--quiet")
    assert study_files(study) == study_files(studied)


@pytest.mark.parametrize("kind", ["train", "distill"])
def test_a_copied_folder_goes_on(kind, trained, tmp_path):
    def words(out):
        if kind == "train":
            return train(out)
        return ["distill", trained / "best.safetensors", "--samples", 300, "--out", out, *GOING_ON,
                *killing.words(LESSONS)]
    qgraft(tmp_path, *words("whole"), env={"LD_PRELOAD": str(killing.SHIM),
                                           "KILL_AT_COUNT": str(tmp_path / "count")})
    half = int((tmp_path / "count").read_text()) // 2
    killed = subprocess.run([QGRAFT, *map(str, words("killed"))], cwd=tmp_path, timeout=1200,
                            env={**os.environ, "LD_PRELOAD": str(killing.SHIM),
                                 "KILL_AT": str(half), "KILL_AT_WHEN": "before"})
    assert killed.returncode == -9
    shutil.copytree(tmp_path / "killed", tmp_path / "elsewhere/copy")
    shutil.rmtree(tmp_path / "killed")
    qgraft(tmp_path, *words("elsewhere/copy"))
    assert not killing.differences(killing.content(tmp_path / "whole"),
                                   killing.content(tmp_path / "elsewhere/copy"))


def test_a_copied_study_goes_on(studied, tmp_path):
    study = tmp_path / "deep/copy"
    shutil.copytree(studied, study)
    shutil.rmtree(study / "runs/first")
    qgraft(tmp_path, "run", study, "--quiet")
    assert study_files(study) == study_files(studied)


def test_a_folder_that_cannot_be_written(studied):
    """As nobody, where the test is root, whom no permission stops."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)
        study = Path(name) / "study"
        shutil.copytree(studied, study)
        program = Path(name) / "qgraft"
        shutil.copy(QGRAFT, program)
        for path in [study, *study.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = everything(study)
        user = {"user": 65534} if os.geteuid() == 0 else {}
        for words in (train(study / "new"), train(study / "runs/first/s1"),
                      ["run", study, "--quiet"], ["report", study],
                      ["rollout", "minatar/breakout", "--random", 5, "--seed", 1, "--out",
                       study / "x.safetensors"]):
            result = subprocess.run([program, *map(str, words)], capture_output=True, text=True,
                                    timeout=1200, cwd="/", **user)
            assert result.returncode == 1 and result.stderr.count("\n") == 1, (words, result)
            assert result.stderr.startswith("qgraft: ") and "ermission denied" in result.stderr
        status = subprocess.run([program, "status", study], capture_output=True, text=True, **user)
        assert status.returncode == 0, status.stderr
        assert everything(study) == before
        for path in [study, *study.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def test_a_mapped_file_that_is_cut_off(tmp_path):
    """As a disk that fails or a full one that copies what it overwrites does it: no call says so."""
    words = ["train", "minatar/breakout", "--steps", "100M", "--out", "run", "--quiet",
             *killing.words(SETTINGS)]
    process = subprocess.Popen([QGRAFT, *map(str, words)], cwd=tmp_path, stderr=subprocess.PIPE,
                               text=True)
    rows, replay = tmp_path / "run/training.csv", tmp_path / "run/replay.bin"
    while process.poll() is None and not (rows.exists() and rows.read_text().count("\n") > 3):
        time.sleep(0.05)
    os.truncate(replay, 0)
    _, error = process.communicate(timeout=1200)
    assert process.returncode == 1 and error.count("\n") == 1, error
    assert error.startswith("qgraft: ") and "replay memory" in error and "--resume" in error


# ---------------------------------------------------------------------------------------- clock


def test_a_clock_that_goes_backwards(trained, studied, tmp_path):
    back = {"LD_PRELOAD": str(SHIM), "FAULT": "clock"}
    qgraft(tmp_path, *train("run"), env=back)
    assert not killing.differences(killing.content(trained), killing.content(tmp_path / "run"))
    (tmp_path / "study.yaml").write_text(STUDY)
    qgraft(tmp_path, "run", "study.yaml", "--out", "study", "--quiet", env=back)
    assert study_files(tmp_path / "study") == study_files(studied)
