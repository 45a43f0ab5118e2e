"""Run files: what a run.yaml describes is done again, of every kind, to the same bits."""

import json
import os
import re
import shutil
import subprocess

import numpy
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

SETTINGS = {"learn_start": 300, "validation_size": 100, "eval_every": 500, "eval_steps": 200}
SETS = [w for k, v in SETTINGS.items() for w in ("--set", f"{k}={v}")]
RUNS = {
    "train": ["train", "minatar/breakout", "--steps", 1000, "--snapshot", "0,500"],
    "graft": ["graft", "train/best.safetensors", "--to", "minatar/asterix", "--last", 1,
              "--steps", 800, "--seed", 2, "--reinit-seed", 5],
    "random": ["graft", "random", "--to", "minatar/asterix", "--layers", "1,3", "--freeze",
               "--steps", 600],
    "distill": ["distill", "train/best.safetensors", "graft/last.safetensors", "--samples", 500,
                "--temperature", "0.1:0.3:0.1", "--order", "sample", "--epsilon", 0.1],
}


def qgraft(folder, *words, code=0):
    result = subprocess.run([QGRAFT, *map(str, words)], cwd=folder, capture_output=True, text=True,
                            timeout=1200)
    assert result.returncode == code, result.stderr
    return result.stderr


def results(folder):
    kept = (".safetensors", ".csv")
    return {p.name: p.read_bytes() for p in folder.iterdir()
            if p.suffix in kept or p.name == "run.yaml"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name, words in RUNS.items():
        qgraft(folder, *words, *SETS, "--quiet", "--out", name)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_the_same_files_once_more(made, name):
    qgraft(made, "perform", f"{name}/run.yaml", "--quiet", "--out", f"again/{name}")
    assert results(made / "again" / name) == results(made / name)
    assert len(results(made / name)) > 4


@pytest.mark.parametrize("name,lines,said", [
    ("random-score", "domain: minatar/breakout\nseed: 1\nsteps: 1k\nsettings: {preset: grid}\n",
     r"random play scores 0\.\d+"),
    ("similarity", "domain: minatar/breakout\nother_domain: minatar/freeway\nseed: 1\nsteps: 100\n",
     r"grade 0\.\d+, far"),
])
def test_measurements(tmp_path, name, lines, said):
    (tmp_path / "odd.yaml").write_text(f"kind: {name}\n{lines}")
    assert re.search(said, qgraft(tmp_path, "perform", "odd.yaml", "--out", "a"))
    assert "complete already" in qgraft(tmp_path, "perform", "a/run.yaml", "--resume")
    qgraft(tmp_path, "perform", "a/run.yaml", "--out", "b", "--quiet")
    for file in ("run.yaml", f"{name}.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_in_its_own_folder(made):
    """A file's own folder holds its run: to be gone on with, or replaced."""
    before = results(made / "graft")
    assert "holds a run already" in qgraft(made, "perform", "graft/run.yaml", code=2)
    assert "complete already" in qgraft(made, "perform", "graft/run.yaml", "--resume")
    qgraft(made, "perform", "graft/run.yaml", "--overwrite", "--quiet")
    assert results(made / "graft") == before


def test_another_network(made, tmp_path):
    """Under the name of the parent: it has another SHA-256."""
    (tmp_path / "train").mkdir()
    network = (made / "train/last.safetensors").read_bytes()
    (tmp_path / "train/best.safetensors").write_bytes(network)
    said = qgraft(tmp_path, "perform", made / "graft/run.yaml", "--out", "x", code=2)
    assert "train/best.safetensors: is not the network that the run began from" in said
    assert not (tmp_path / "x").exists()
    (tmp_path / "train/best.safetensors").unlink()
    assert "No such file" in qgraft(tmp_path, "perform", made / "graft/run.yaml", "--out", "x",
                                    code=1)


def test_no_run_file(made):
    (made / "odd.yaml").write_text("domain: minatar/breakout\n")
    assert "odd.yaml:1: kind: " in qgraft(made, "perform", "odd.yaml", code=2)
    (made / "odd.yaml").write_text((made / "train/run.yaml").read_text().replace("steps", "stepps"))
    assert "did you mean 'steps'?" in qgraft(made, "perform", "odd.yaml", code=2)
    assert "name a run file" in qgraft(made, "perform", code=2)
    (made / "odd.yaml").write_text((made / "train/run.yaml").read_text() + "frozen: [conv1]\n")
    assert "is a graft of 'random'" in qgraft(made, "perform", "odd.yaml", code=2)


# ---- A network that was saved again ----


def save_again(path, change=0):
    """The same tensors and metadata by Python's safetensors, whose order is another each time."""
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}
        metadata = file.metadata()
    tensors["fc1.bias"][0] += numpy.float32(change)
    before = path.read_bytes()
    while path.read_bytes() == before:
        save_file(tensors, path, {**metadata, "note": os.urandom(4).hex()})


@pytest.fixture
def copy(made, tmp_path):
    for name in RUNS:
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name, parent", [("graft", "train/best.safetensors"),
                                          ("distill", "train/best.safetensors"),
                                          ("distill", "graft/last.safetensors")])
def test_a_parent_that_was_saved_again_is_the_same_network(copy, name, parent):
    save_again(copy / parent)
    qgraft(copy, "perform", f"{name}/run.yaml", "--quiet", "--out", "again")
    tables = [p.name for p in (copy / name).glob("*.csv") if p.name != "teachers.csv"]
    assert len(tables) >= 2
    for table in tables:
        assert (copy / "again" / table).read_bytes() == (copy / name / table).read_bytes()
    qgraft(copy, *RUNS[name], *SETS, "--quiet", "--out", name, "--resume")  # complete
    save_again(copy / parent, change=1)
    said = qgraft(copy, "perform", f"{name}/run.yaml", "--quiet", "--out", "other", code=2)
    assert "is not the network that the run began from" in said
    assert "holds another run" in qgraft(copy, *RUNS[name], *SETS, "--quiet", "--out", name, "--resume",
                                         code=2)


def test_samples_of_a_teacher_that_was_saved_again(copy):
    words = ["distill", "train/best.safetensors", "--samples", 500, *SETS, "--set-file", "set", "--quiet"]
    qgraft(copy, *words, "--out", "one")
    content = (copy / "set").read_bytes()
    save_again(copy / "train/best.safetensors")
    qgraft(copy, *words, "--out", "two")
    assert (copy / "set").read_bytes() == content
    assert (copy / "one/held_out.csv").read_bytes() == (copy / "two/held_out.csv").read_bytes()
    save_again(copy / "train/best.safetensors", change=1)
    assert "of another teacher" in qgraft(copy, *words, "--out", "three", code=2)


def test_samples_that_are_kept(copy):
    """And the sample sets of two teachers are two files."""
    words = ["distill", "train/best.safetensors", "--samples", 500, *SETS, "--quiet"]
    qgraft(copy, *words, "--set-file", "set", "--out", "one")
    qgraft(copy, "perform", "one/run.yaml", "--set-file", "set", "--quiet", "--out", "two")
    assert (copy / "one/held_out.csv").read_bytes() == (copy / "two/held_out.csv").read_bytes()
    teachers = (copy / "two/teachers.csv").read_text()
    assert teachers == (copy / "one/teachers.csv").read_text() and (copy / "set").exists()
    said = qgraft(copy, "perform", "train/run.yaml", "--set-file", "set", "--out", "no", code=2)
    assert "has 0 teachers for 1 --set-file" in said
    before = sorted(copy.iterdir())
    (copy / "link").symlink_to(".")
    for other in ("same", "./same", "link/same"):
        said = qgraft(copy, "distill", "train/best.safetensors", "train/best.safetensors", "--samples", 200,
                      "--set-file", "same", "--set-file", other, "--out", "no", code=2)
        assert f"{other}: is the sample set of two teachers" in said and said.count("\n") == 1
    (copy / "link").unlink()
    assert sorted(copy.iterdir()) == before


def test_a_study_of_a_file_that_was_saved_again(copy):
    study = {"steps": 600, "seeds": 1, "settings": SETTINGS, "sources": {
                 "t": {"file": "train/best.safetensors"}, "d": {"distill": "t", "samples": 300}},
             "runs": [{"game": "minatar/breakout"},
                      {"game": "minatar/breakout", "from": ["t", "d"], "first": 2}],
             "games": {"minatar/breakout": {"random": 0.5}}}
    (copy / "study.yaml").write_text(json.dumps(study))

    def states():
        text = subprocess.run([QGRAFT, "status", "out", "--json"], cwd=copy, check=True,
                              capture_output=True, text=True).stdout
        return [task["state"] for task in json.loads(text)["tasks"]]
    qgraft(copy, "run", "study.yaml", "--out", "out", "--quiet")
    assert states() == ["finished"] * 4
    files = {p: p.read_bytes() for p in (copy / "out/runs").rglob("*.csv")}
    save_again(copy / "train/best.safetensors")
    assert states() == ["finished"] * 4
    qgraft(copy, "run", "study.yaml", "--out", "out", "--quiet")
    assert files == {p: p.read_bytes() for p in (copy / "out/runs").rglob("*.csv")}
    assert not (copy / "out/runs/stale").exists()
    save_again(copy / "train/best.safetensors", change=1)
    assert sorted(states()) == ["finished", "stale", "stale", "stale"]
