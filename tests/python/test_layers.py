"""What evaluations see of the layers (layers.csv), against numpy: drift, CKA, dormant units, ranks from
the networks that the run keeps and from the game's random play. That it changes nothing: test_resume.py
and test_golden.py compare all files."""

import csv
import json
import shutil

import numpy
import pytest
from safetensors.numpy import load_file, save

import test_similarity
from networks import activations, fixed_states
from test_cli import qgraft, refusal
from test_similarity import debiased_cka

STATES = 40
SETTINGS = {"learn_start": 300, "replay": 1500, "update_every": 4, "minibatch": 16,
            "target_every": 300, "eval_every": 700, "eval_steps": 100, "log_every": 500,
            "validation_size": 50, "clip_error": 0.02, "learning_rate": 0.002,
            "layer_states": STATES}
STEPS = 1400
SNAPSHOTS = (0, 700, 1400)


def command(*words, **settings):
    sets = [w for k, v in {**SETTINGS, **settings}.items() for w in ("--set", f"{k}={v}")]
    return qgraft(*words, *sets, "--steps", STEPS, "--quiet", "--snapshot",
                  ",".join(map(str, SNAPSHOTS)))


def rows(folder):
    with open(folder / "layers.csv", newline="") as file:
        return {(int(row.pop("step")), row.pop("layer")):
                {k: float(v) if v else numpy.nan for k, v in row.items()}
                for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A source, a free graft of its first three layers and a frozen one of its last two."""
    folder = tmp_path_factory.mktemp("layers")
    command("train", "minatar/breakout", "--out", folder / "source")
    source = folder / "source/last.safetensors"
    command("graft", source, "--to", "minatar/asterix", "--first", 3, "--out", folder / "free")
    command("graft", source, "--to", "minatar/asterix", "--last", 2, "--freeze", "--seed", 2,
            "--out", folder / "frozen")
    return folder


def parameters(path, layer):
    tensors = load_file(path)
    return numpy.concatenate([tensors[f"{layer}.weight"].ravel(),
                              tensors[f"{layer}.bias"]]).astype(float)


def drift(now, reference):
    norm = numpy.linalg.norm
    return norm(now - reference) / norm(reference), now @ reference / (norm(now) * norm(reference))


def ranks(features):
    singular = numpy.linalg.svd(features.astype(float), compute_uv=False)
    shares = singular / singular.sum()
    positive = shares[shares > 0]
    return (numpy.exp(-(positive * numpy.log(positive)).sum()),
            int((numpy.cumsum(shares) < 0.99).sum()) + 1)


def dormancy(features, units):
    scores = numpy.abs(features).reshape(len(features), units, -1).mean(axis=(0, 2))
    scores = scores / scores.mean()
    return (scores <= 0.025).mean(), (scores == 0).mean()


def check_features(found, features, layer, units):
    rank, srank = ranks(features)
    assert found["effective_rank"] == pytest.approx(rank, rel=1e-5)
    assert found["srank"] == srank
    if layer == "fc2":
        assert numpy.isnan(found["dormant"]) and numpy.isnan(found["dead"])
    else:
        assert (found["dormant"], found["dead"]) == dormancy(features, units)


@pytest.mark.parametrize("name", ["source", "free", "frozen"])
def test_against_numpy(runs, tmp_path, name):
    table = rows(runs / name)
    states = fixed_states(tmp_path, "minatar/breakout" if name == "source" else "minatar/asterix", STATES)
    source = runs / "source/last.safetensors"
    copied = {"source": (), "free": ("conv1", "conv2", "conv3"), "frozen": ("fc1",)}[name]
    layers = ("conv1", "conv2", "conv3", "fc1", "fc2")
    assert set(table) == {(step, layer) for step in SNAPSHOTS for layer in layers}
    others = activations(source, states)
    for step in SNAPSHOTS:
        network = runs / name / f"step-{step}.safetensors"
        for layer, features, other in zip(layers, activations(network, states), others):
            found = table[step, layer]
            now, start = parameters(network, layer), parameters(
                runs / name / "step-0.safetensors", layer)
            assert [found["start_distance"], found["start_cosine"]] == pytest.approx(
                drift(now, start), abs=1e-12)
            if layer in copied:
                assert [found["source_distance"], found["source_cosine"]] == pytest.approx(
                    drift(now, parameters(source, layer)), abs=1e-12)
            elif layer != "fc2" or name != "frozen":  # of whose rows some were copied
                assert numpy.isnan(found["source_distance"])
            if name != "source":
                assert found["source_cka"] == pytest.approx(debiased_cka(features, other), abs=1e-5)
            check_features(found, features, layer, len(load_file(network)[f"{layer}.bias"]))


def test_copied_rows(runs):
    """Of a last layer whose rows go by the meaning of actions, the copied ones are compared."""
    first = rows(runs / "frozen")
    for step in SNAPSHOTS:
        assert first[step, "fc2"]["source_distance"] == 0
        assert first[step, "fc1"]["source_distance"] == first[step, "fc1"]["start_distance"] == 0
    assert first[1400, "conv1"]["start_distance"] > 0


def test_learning(runs):
    for name in ("source", "free", "frozen"):
        table = rows(runs / name)
        for (step, layer), row in table.items():
            found = [row[k] for k in ("update_size", "gradient_noise", "clipped_errors")]
            if step == 0:  # nothing has been learned
                assert numpy.isnan(found).all()
            elif name == "frozen" and layer in ("fc1", "fc2"):
                assert row["update_size"] == 0 and numpy.isnan(row["gradient_noise"])
            else:
                assert 0 < row["update_size"] < 1 and 0 <= row["gradient_noise"] <= 8 / 7
                assert row["clipped_errors"] == table[step, "conv1"]["clipped_errors"]
        assert any(0 < row["clipped_errors"] < 1 for row in table.values())



def test_nothing_changes(tmp_path):
    """With and without, with more threads and on other instructions."""
    small = {"network": '[{"conv": 4, "kernel": 3}, {"linear": 8}]', "update_every": 32}
    command("train", "minatar/breakout", "--out", tmp_path / "run", **small)
    command("train", "minatar/breakout", "--out", tmp_path / "without", **small, layer_states=0)
    command("train", "minatar/breakout", "--out", tmp_path / "other", "--threads", 2, "--isa",
            "portable", **small)
    for file in ("last.safetensors", "best.safetensors", "evaluations.csv", "training.csv"):
        assert (tmp_path / "without" / file).read_bytes() == (tmp_path / "run" / file).read_bytes()
    assert not (tmp_path / "without/layers.csv").exists()
    assert "layer_states: 0" in (tmp_path / "without/run.yaml").read_text()
    assert (tmp_path / "other/layers.csv").read_bytes() == (tmp_path / "run/layers.csv").read_bytes()


def test_bf16_priorities_and_pulls(runs, tmp_path):
    """The kinds of state that the second learner takes over."""
    command("graft", runs / "source/last.safetensors", "--to", "minatar/asterix", "--first", 2,
            "--l2-sp", 0.01, "--out", tmp_path / "run", precision="bf16", prioritised="true",
            optimiser="adam", n_step=2, network="grid", max_grad_norm=5)
    table = rows(tmp_path / "run")
    assert table[1400, "conv1"]["update_size"] > 0 and table[0, "conv1"]["source_cka"] == 1
    assert table[1400, "conv1"]["source_distance"] > 0


def test_other_sources(runs, tmp_path):
    """A source of other depth is compared where it was copied, one that sees less nowhere."""
    command("train", "minatar/breakout", "--out", tmp_path / "deep",
            network='[{"conv": 16, "kernel": 3}, {"linear": 24}, {"linear": 12}]')
    command("graft", tmp_path / "deep/last.safetensors", "--to", "minatar/asterix", "--first", 1,
            "--set", "network=[{\"conv\": 16, \"kernel\": 3}, {\"linear\": 24}]", "--out",
            tmp_path / "run")
    table = rows(tmp_path / "run")
    assert table[0, "conv1"]["source_cka"] == pytest.approx(1)
    assert numpy.isnan(table[0, "fc1"]["source_cka"])
    assert numpy.isnan(table[0, "fc1"]["source_distance"])


# ---- qgraft diagnose ----


def diagnose(*words, code=0):
    result = qgraft("diagnose", *words, "--json", code=code)
    return json.loads(result.stdout), result.stderr


def test_diagnose_says_what_evaluations_saw(runs):
    folders = [runs / name for name in ("source", "free", "frozen")]
    answer, errors = diagnose(*folders)
    assert not errors and [run["run"] for run in answer] == list(map(str, folders))
    for run, folder in zip(answer, folders):
        seen = rows(folder)
        assert [n["network"] for n in run["networks"]] == [f"step-{s}" for s in SNAPSHOTS] + [
            "best", "last"]
        for network in run["networks"]:
            for row in network["layers"]:
                expected = seen[network["step"], row.pop("layer")]
                assert row.pop("baseline_cka") is None
                assert set(expected) - set(row) == {"update_size", "gradient_noise",
                                                    "clipped_errors"}
                for key, value in row.items():
                    numpy.testing.assert_equal(numpy.nan if value is None else value,
                                               expected[key])
    table = qgraft("diagnose", folders[0]).stdout.splitlines()
    assert table[0] == str(folders[0]) and len(table) == 2 + 5 * 5


def test_diagnose_against_a_baseline(runs, tmp_path):
    baseline = runs / "frozen/last.safetensors"
    text = qgraft("diagnose", runs / "free", "--baseline", baseline, "--csv").stdout
    table = list(csv.DictReader(text.splitlines()))
    states = fixed_states(tmp_path, "minatar/asterix", STATES)
    own = activations(runs / "free/last.safetensors", states)
    for row, x, y in zip(table[-5:], own, activations(baseline, states)):
        assert float(row["baseline_cka"]) == pytest.approx(debiased_cka(x, y), abs=1e-5)
        assert row["run"] == str(runs / "free") and row["network"] == "last"


def test_diagnose_what_is_left(runs, tmp_path):
    """What cannot be told is said in a line, the rest told."""
    run = tmp_path / "run"
    shutil.copytree(runs / "free", run)
    for name in ("step-700", "best"):
        (run / f"{name}.safetensors").write_bytes(b"no network")
    for name in ("step-0700", "step-99999999999999999999", "step-x"):  # no names of snapshots
        shutil.copy(run / "last.safetensors", run / f"{name}.safetensors")
    text = (run / "run.yaml").read_text().replace("source/last.safetensors", "source/lost")
    (run / "run.yaml").write_text(text)
    answer, errors = diagnose(run, "--baseline", tmp_path / "missing")
    lines = errors.splitlines()
    assert len(lines) == 4 and all(line.startswith("qgraft: warning: ") for line in lines)
    assert "nothing is compared with its source" in errors and "missing" in errors
    networks = answer[0]["networks"]
    assert [n["network"] for n in networks] == ["step-0", "step-1400", "last"]
    found = networks[-1]["layers"][0]
    assert found["source_distance"] is None and found["source_cka"] is None
    assert found["start_distance"] == rows(run)[1400, "conv1"]["start_distance"]  # by step-0
    command("train", "minatar/breakout", "--out", tmp_path / "deep",
            network='[{"conv": 4, "kernel": 3}, {"linear": 8}]')
    (tmp_path / "dict").write_bytes(save({"a": numpy.zeros(1, numpy.float32)}))
    answer, errors = diagnose(runs / "free", "--baseline", tmp_path / "dict")
    assert "'qgraft import' makes one" in errors and errors.count("\n") == 1
    answer, errors = diagnose(runs / "free", "--baseline", tmp_path / "deep/last.safetensors")
    assert "3 layers" in errors and errors.count("\n") == 1
    assert answer[0]["networks"][-1]["layers"][0]["baseline_cka"] is None


def test_of_a_study(tmp_path):
    """Its runs name their sources from its folder, and the sources are found from any other: diagnose,
    inspect; where another network has that name here, too."""
    (tmp_path / "study.yaml").write_text("""
study: small
steps: 400
seeds: [1]
settings: {learn_start: 100, validation_size: 20, replay: 500, minibatch: 8, update_every: 8,
           eval_every: 200, eval_steps: 50, layer_states: 8, network: '[{"linear": 8}]'}
sources: {br: {game: minatar/breakout}}
runs:
  - {name: base, game: minatar/asterix}
  - {name: first, game: minatar/asterix, from: br, first: 1}
""")
    study, other = tmp_path / "study", tmp_path / "other"
    qgraft("run", tmp_path / "study.yaml", "--out", study, "--quiet")
    run = study / "runs/first/s1"
    named = "runs/br/s1/best.safetensors"
    (other / named).parent.mkdir(parents=True)
    shutil.copy(run / "best.safetensors", other / named)
    seen = rows(run)[400, "fc1"]
    for folder, called in ((study, "runs/first/s1"), (tmp_path, run), (run, "."), (other, run)):
        result = qgraft("diagnose", called, "--json", cwd=folder)
        found = json.loads(result.stdout)[0]["networks"][-1]["layers"][0]
        assert not result.stderr and found["source_distance"] == seen["source_distance"] > 0
        assert found["source_cka"] == seen["source_cka"]
        parent = json.loads(qgraft("inspect", run / "best.safetensors", "--pedigree", "--json",
                                   cwd=folder).stdout)["pedigree"][1]
        assert (folder / parent["file"]).resolve() == study / named
    shutil.copy(run / "best.safetensors", study / named)
    answer, errors = diagnose(run)
    assert "is not the network" in errors and errors.count("\n") == 1
    assert answer[0]["networks"][-1]["layers"][0]["source_distance"] is None


def test_a_source_that_sees_another_number_of_screens(runs, tmp_path):
    """Its ten channels have room for two screens of four, which it has not learned to see."""
    source = runs / "source/last.safetensors"
    command("graft", source, "--to", "minatar/breakout", "--last", 2, "--out", tmp_path / "two", history=2)
    command("graft", source, "--to", "minatar/breakout", "--last", 2, "--out", tmp_path / "one")
    for name in ("one", "two"):
        told = [row["source_cka"] for row in rows(tmp_path / name).values()]
        assert numpy.isnan(told).all() == (name == "two")
        found = [layer["source_cka"] for network in diagnose(tmp_path / name)[0][0]["networks"]
                 for layer in network["layers"]]
        assert (set(found) == {None}) == (name == "two")


BEFORE = """
import gymnasium, numpy
class Changed(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(0, 9, (2,)), gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}
    def step(self, action):
        return self.observation_space.sample(), 1.0, False, False, {}
gymnasium.register("Changed-v0", Changed)
"""


def test_diagnose_an_environment_that_has_changed(tmp_path, monkeypatch):
    """Its networks cannot see the observations of today."""
    pytest.importorskip("gymnasium")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "changed.py").write_text(BEFORE)
    command("train", "gym:changed:Changed-v0", "--out", tmp_path / "run")
    assert diagnose(tmp_path / "run")[0]
    for size in (3, 4000):
        (tmp_path / "changed.py").write_text(BEFORE.replace("(2,)", f"({size},)"))
        assert f"shows 1x1 with {size} " in refusal("diagnose", tmp_path / "run")


def test_diagnose_refuses(runs, tmp_path):
    empty = tmp_path / "empty"
    shutil.copytree(runs / "source", empty, ignore=shutil.ignore_patterns("*.safetensors"))
    answer, errors = diagnose(empty, runs / "source", code=2)
    assert len(answer) == 1 and "none of its networks" in errors
    assert "run.yaml" in refusal("diagnose", tmp_path / "nowhere", code=1)
    assert "two things" in qgraft("diagnose", empty, "--csv", "--json", code=2).stderr
    assert "name the folder" in qgraft("diagnose", code=2).stderr
    qgraft("distill", runs / "source/last.safetensors", "--samples", 200, "--quiet", "--out",
           tmp_path / "student", "--set", "eval_steps=50")
    assert "of the kind distill" in refusal("diagnose", tmp_path / "student")


def test_refuses(tmp_path):
    for number in (-1, 2001, "x"):
        assert "layer_states" in refusal("train", "minatar/breakout", "--set",
                                         f"layer_states={number}", "--out", tmp_path / "run")


@test_similarity.atari
def test_atari(tmp_path):
    """Stacked screens, the network of DQN."""
    settings = {**SETTINGS, "replay": 500, "learn_start": 100, "eval_every": 200, "minibatch": 4}
    qgraft("train", "pong", "--steps", 200, "--quiet", "--out", tmp_path / "run", *[
        w for k, v in settings.items() for w in ("--set", f"{k}={v}")])
    table = rows(tmp_path / "run")
    assert len(table) == 10
    for (step, layer), row in table.items():
        assert 1 <= row["effective_rank"] <= row["srank"] * 3 and row["srank"] <= STATES
        assert numpy.isnan(row["dormant"]) == (layer == "fc2")
        assert (row["start_distance"] > 0) == (step == 200)
