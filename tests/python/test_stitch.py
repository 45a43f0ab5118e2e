"""qgraft stitch against numpy: the least-squares map on the game's random play, the network it makes."""

import hashlib
import json

import numpy
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from networks import activations, fixed_states
from test_cli import qgraft, refusal

GAME, STATES = "minatar/breakout", 2000
LAYERS = ["conv1", "conv2", "conv3", "fc1", "fc2"]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Two that have learned a little, from other seeds."""
    folder = tmp_path_factory.mktemp("stitch")
    for seed in (1, 2):
        qgraft("train", GAME, "--steps", 3000, "--seed", seed, "--quiet", "--out",
               folder / str(seed), "--set", "learn_start=500", "--set", "eval_steps=200", "--set",
               "layer_states=0", "--set", "learning_rate=0.002")
    return folder / "1/last.safetensors", folder / "2/last.safetensors"


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    return fixed_states(tmp_path_factory.mktemp("states"), GAME, STATES)


def stitch(target, source, at, *words):
    return json.loads(qgraft("stitch", target, "--source", source, "--at", at, "--steps", 400,
                             "--json", *words).stdout)


@pytest.fixture(scope="module")
def outputs(networks, states):
    return {path: activations(path, states) for path in networks}


def samples(outputs, path, at, chosen):
    """[states and places][units] of layer `at`."""
    units = len(load_file(path)[f"{LAYERS[at - 1]}.bias"])
    found = outputs[path][at - 1][chosen]
    return found.reshape(len(found), units, -1).transpose(0, 2, 1).reshape(-1, units)


@pytest.mark.parametrize("at", [1, 3, 4])
def test_against_numpy(networks, outputs, tmp_path, at):
    target, source = networks
    half = numpy.arange(STATES) // 50 % 2 == 0  # every second fifty: the map; the others test it
    x, y = (samples(outputs, path, at, half) for path in (source, target))
    square = x.T @ x
    ridge = 1e-6 * numpy.trace(square) / len(square) * numpy.eye(len(square))
    best = numpy.linalg.solve(square + ridge, x.T @ y)
    test_x, test_y = (samples(outputs, path, at, ~half) for path in (source, target))
    rest = ((test_y - test_x @ best) ** 2).sum()
    fit = 1 - rest / ((test_y - test_y.mean(axis=0)) ** 2).sum()
    out = tmp_path / "stitched.safetensors"
    answer = stitch(target, source, at, "--out", out)
    assert answer["fit"] == pytest.approx(fit, abs=1e-4) and answer["at"] == at
    with safe_open(out, "numpy") as file:  # nobody has seen it play, and it is not the target
        told = file.metadata()
    assert not {"score", "confirmed_score"} & set(told)
    assert told["parent_file"] == str(source) and told["copied"].startswith(f"stitched: first {at} layers")
    assert told["parent_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    made, above, below = load_file(out), load_file(target), load_file(source)
    for i, layer in enumerate(LAYERS):
        assert (made[f"{layer}.bias"] == (below if i < at else above)[f"{layer}.bias"]).all()
        if i != at:
            assert (made[f"{layer}.weight"] == (below if i < at else above)[f"{layer}.weight"]).all()
    weights = above[f"{LAYERS[at]}.weight"].astype(float)
    weights = weights.reshape(len(weights), len(best), -1)  # [out][in][places]
    expected = numpy.einsum("omi,cm->oci", weights, best)
    found = made[f"{LAYERS[at]}.weight"].reshape(expected.shape)
    assert numpy.abs(found - expected).max() < 1e-3 * numpy.abs(expected).max()


def test_playing(networks, tmp_path):
    """Each of the three is what qgraft evaluate says of it."""
    target, source = networks
    out = tmp_path / "stitched.safetensors"
    answer = stitch(target, source, 2, "--out", out)
    for name, path in (("target", target), ("mapped", out)):
        alone = json.loads(qgraft("evaluate", path, "--steps", 400, "--json").stdout)
        assert answer["played"][name] == {k: alone[k] for k in ("score", "deviation", "episodes")}
    score = {name: row["score"] for name, row in answer["played"].items()}
    assert answer["loss"] == pytest.approx(score["target"] - score["direct"])
    assert answer["co_adaptation"] + answer["specificity"] == pytest.approx(answer["loss"])
    error = {n: r["deviation"] / r["episodes"] ** 0.5 for n, r in answer["played"].items()}
    assert answer["loss_error"] == pytest.approx(numpy.hypot(error["target"], error["direct"]))
    text = qgraft("stitch", target, "--source", source, "--at", 2, "--steps", 400).stdout
    assert "co-adaptation" in text and "specificity" in text and len(text.splitlines()) == 7


def test_itself(networks):
    target, _ = networks
    answer = stitch(target, target, 3)
    assert answer["fit"] > 0.999 and answer["loss"] == 0


def test_too_few_episodes(networks):
    target, source = networks
    text = qgraft("stitch", target, "--source", source, "--at", 2, "--steps", 3).stdout
    assert "nan" not in text and text.count("+- ?") == 6 and text.count("too few episodes to tell") == 3
    assert "standard errors" not in text


def test_refuses(networks, tmp_path):
    target, source = networks
    stitching = ["stitch", target, "--source", source]
    assert "--at" in refusal(*stitching, "--at", 0) and "1 to 4" in refusal(*stitching, "--at", 5)
    assert "--source" in qgraft("stitch", target, "--at", 1, code=2).stderr
    assert "--at" in qgraft(*stitching, code=2).stderr
    assert "missing" in refusal("stitch", target, "--source", tmp_path / "missing", "--at", 1, code=1)
    for name, network in (("other", '[{"conv": 4, "kernel": 3}, {"linear": 8}]'),
                          ("split", "grid-split:16"), ("dueling", "grid-dueling")):
        qgraft("train", GAME, "--steps", 0, "--quiet", "--out", tmp_path / name, "--set",
               f"network={network}", "--set", "eval_steps=20")
    qgraft("train", GAME, "--steps", 0, "--quiet", "--out", tmp_path / "two", "--set", "history=2",
           "--set", "eval_steps=20")
    assert "sees 2 screens" in refusal("stitch", target, "--source", tmp_path / "two/last.safetensors", "--at", 1)
    other = tmp_path / "other/last.safetensors"
    assert "different states" in refusal("stitch", target, "--source", other, "--at", 1)
    split = tmp_path / "split/last.safetensors"
    assert "another shape" in refusal("stitch", target, "--source", split, "--at", 4)
    dueling = tmp_path / "dueling/last.safetensors"
    assert "heads" in refusal("stitch", dueling, "--source", dueling, "--at", 4)
    for name, value in (("silent", 0), ("endless", 3e38)):
        values = {k: numpy.full_like(v, value) for k, v in load_file(source).items()}
        with safe_open(source, "numpy") as file:
            save_file(values, tmp_path / name, file.metadata())
        assert "no map" in refusal("stitch", target, "--source", tmp_path / name, "--at", 1)
    assert "explains nothing of" in qgraft("stitch", tmp_path / "silent", "--source", source, "--at", 1,
                                           "--steps", 20).stdout
    assert refusal(*stitching, "--at", 1, "--out", tmp_path / "no/where", code=1)
