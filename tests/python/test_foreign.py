"""`qgraft import` and `qgraft export`: networks of CleanRL and Stable-Baselines3, bit by bit.

The state dicts are written by PyPI's safetensors under the names that those programs give; that the
tensors mean the same there is checked with a forward pass in PyTorch's layout, in float64.
"""

import hashlib
import os
import subprocess

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_update import CLOSE, forward, make_batch, metadata, network

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

OURS = ["conv1", "conv2", "conv3", "fc1", "fc2"]
NAMES = {
    "cleanrl": [f"network.{i}" for i in (0, 2, 4, 7, 9)],
    "sb3": [*(f"q_net.features_extractor.cnn.{i}" for i in (0, 2, 4)),
            "q_net.features_extractor.linear.0", "q_net.q_net.0"],
}
FORMATS = sorted(NAMES)
ACTIONS = 18  # of the reference's nature-pad0: the full set, that of seaquest


def run(*words, code=0):
    result = subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True, timeout=1200)
    assert result.returncode == code, result.stderr
    assert code == 0 or result.stderr.count("\n") == 1 or "--help" in result.stderr
    return result


def rename(ours, kind):
    """From our names to a format's."""
    names = dict(zip(OURS, NAMES[kind]))
    return {f"{names[k.split('.')[0]]}.{k.split('.')[1]}": v for k, v in ours.items()}


def state_dict(kind, seed=1):
    """The online network, and for sb3 the target network, which differs from it."""
    tensors = rename(network("nature-pad0", seed), kind)
    if kind == "sb3":
        other = rename(network("nature-pad0", seed + 1), kind)
        tensors |= {k.replace("q_net.", "q_net_target.", 1): v for k, v in other.items()}
    return tensors


def equal(a, b):
    assert sorted(a) == sorted(b)
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].shape == b[name].shape, name
        assert a[name].tobytes() == b[name].tobytes(), name


def q_values(path, folder, batch):
    save_file(batch, folder / "batch")
    run("update", "--online", path, "--target", path, "--batch", folder / "batch", "--out",
        folder / "updated")
    return load_file(folder / "updated")["q"]


@pytest.mark.parametrize("kind", FORMATS)
def test_import(kind, tmp_path):
    save_file(state_dict(kind), tmp_path / "theirs")
    run("import", tmp_path / "theirs", "--out", tmp_path / "ours")
    ours = load_file(tmp_path / "ours")
    equal(ours, network("nature-pad0", 1))
    with safe_open(tmp_path / "ours", "numpy") as file:
        said = file.metadata()
    assert said["architecture"] == "nature-pad0" and said["input"] == "4,84,84,255"
    assert said["domain"] == "" and said["actions"] == "" and "score" not in said
    assert said["imported_format"] == kind
    assert said["imported_sha256"] == hashlib.sha256((tmp_path / "theirs").read_bytes()).hexdigest()
    batch = make_batch("nature-pad0", 4, 3)
    q = q_values(tmp_path / "ours", tmp_path, batch)
    _, expected = forward("nature-pad0", {k: v.astype(np.float64) for k, v in ours.items()},
                          batch["states"])
    assert np.abs(q - expected).max() <= CLOSE * np.abs(expected).max()


@pytest.mark.parametrize("kind", FORMATS)
def test_round_trip_from_there(kind, tmp_path):
    theirs = state_dict(kind)
    save_file(theirs, tmp_path / "theirs")
    run("import", tmp_path / "theirs", "--format", kind, "--out", tmp_path / "ours")
    run("export", tmp_path / "ours", "--format", kind, "--out", tmp_path / "back")
    expected = {k: v for k, v in theirs.items() if not k.startswith("q_net_target.")}
    if kind == "sb3":  # the target network is a copy
        expected |= {k.replace("q_net.", "q_net_target.", 1): v for k, v in expected.items()}
    equal(load_file(tmp_path / "back"), expected)
    with safe_open(tmp_path / "back", "numpy") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize("kind", FORMATS)
def test_round_trip_from_here(kind, tmp_path):
    ours = network("nature-pad0", 5)
    save_file(ours, tmp_path / "ours", metadata("nature-pad0"))
    run("export", tmp_path / "ours", "--format", kind, "--out", tmp_path / "theirs")
    run("import", tmp_path / "theirs", "--out", tmp_path / "back")
    equal(load_file(tmp_path / "back"), ours)


def test_domain(tmp_path):
    save_file(state_dict("cleanrl"), tmp_path / "theirs")
    run("import", tmp_path / "theirs", "--domain", "seaquest", "--seed", 3, "--step", "10M",
        "--score", "-1.5", "--out", tmp_path / "ours")
    with safe_open(tmp_path / "ours", "numpy") as file:
        said = file.metadata()
    assert (said["domain"], said["seed"], said["step"]) == ("seaquest", "3", "10000000")
    assert float(said["score"]) == -1.5
    assert said["emulator"].startswith("ale ")  # by whose numbers the modes are
    names = said["actions"].split(",")
    assert len(names) == ACTIONS and names[:3] == ["noop", "fire", "up"]


def wrapped(tensors, how):
    """The names that torch.compile and DataParallel make of them."""
    return {how(name): array for name, array in tensors.items()}


WRAPPERS = {
    "compiled": lambda name: "_orig_mod." + name,
    "parallel": lambda name: "module." + name,
    "compiled, parallel": lambda name: "_orig_mod.module." + name,
    "parallel, compiled": lambda name: "module._orig_mod." + name,
    "twice": lambda name: "module.module._orig_mod." + name,
    "the network alone": lambda name: name.replace(".", "._orig_mod.", 1),
    "a layer": lambda name: ".module.".join(name.rsplit(".", 1)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("kind", FORMATS)
def test_wrapped_networks(kind, wrapper, tmp_path):
    save_file(wrapped(state_dict(kind), WRAPPERS[wrapper]), tmp_path / "theirs")
    run("import", tmp_path / "theirs", "--out", tmp_path / "ours")
    equal(load_file(tmp_path / "ours"), network("nature-pad0", 1))
    with safe_open(tmp_path / "ours", "numpy") as file:
        assert file.metadata()["imported_format"] == kind
    run("import", tmp_path / "theirs", "--format", kind, "--out", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "ours").read_bytes()


@pytest.mark.parametrize("wrapper", [None, "compiled", "parallel, compiled"])
@pytest.mark.parametrize("kind,prefix", [("sb3", "q_net."), ("cleanrl", "network.")])
def test_a_network_alone(kind, prefix, wrapper, tmp_path):
    """model.q_net.state_dict(), q_network.network.state_dict()"""
    alone = {name[len(prefix):]: array for name, array in state_dict(kind).items()
             if name.startswith(prefix)}
    save_file(wrapped(alone, WRAPPERS[wrapper]) if wrapper else alone, tmp_path / "theirs")
    run("import", tmp_path / "theirs", "--out", tmp_path / "ours")
    equal(load_file(tmp_path / "ours"), network("nature-pad0", 1))
    other = FORMATS[1 - FORMATS.index(kind)]
    assert f"of format {other}" in refused(tmp_path, alone, "--format", other)


def test_two_networks_under_one_name(tmp_path):
    good = state_dict("cleanrl")
    message = refused(tmp_path, good | wrapped(good, WRAPPERS["compiled"]))
    assert "'_orig_mod.network." in message and "'network." in message and "are both" in message
    assert "'module.extra' is none of" in refused(
        tmp_path, good | {"module.extra": np.zeros(3, np.float32)})


def with_values(values):
    """A state dict whose largest tensor begins with these values, in their type; the rest are 0."""
    good = state_dict("cleanrl")
    weights = np.zeros(good["network.7.weight"].size, values.dtype)
    weights[:len(values)] = values
    return good | {"network.7.weight": weights.reshape(good["network.7.weight"].shape)}


def imported_values(folder, count):
    result = run("import", folder / "theirs", "--out", folder / "ours")
    return result.stderr, load_file(folder / "ours")["fc1.weight"].ravel()[:count]


def test_every_finite_f16(tmp_path):
    values = np.arange(65536, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)]
    save_file(with_values(values), tmp_path / "theirs")
    said, ours = imported_values(tmp_path, len(values))
    assert len(values) == 63488 and ours.dtype == np.float32 and said == ""
    assert ours.tobytes() == values.astype(np.float32).tobytes()


def test_every_finite_bf16(tmp_path):
    """A BF16 is the upper half of a float32. numpy has no such type: its name is put in."""
    bits = np.arange(65536, dtype=np.uint16)
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    bits, expected = bits[np.isfinite(expected)], expected[np.isfinite(expected)]
    assert len(bits) == 65536 - 256
    save_file(with_values(bits), tmp_path / "theirs")
    whole = (tmp_path / "theirs").read_bytes()
    assert whole.count(b'"U16"') == 1
    whole = whole.replace(b'"U16"', b'"BF16"')
    size = int.from_bytes(whole[:8], "little") + 1
    (tmp_path / "theirs").write_bytes(size.to_bytes(8, "little") + whole[8:])
    _, ours = imported_values(tmp_path, len(bits))
    assert ours.tobytes() == expected.tobytes()


def test_f64_is_rounded(tmp_path):
    random = np.random.default_rng(7)
    values = np.concatenate([random.standard_normal(5000) * 10.0 ** random.integers(-30, 30, 5000),
                             [1 + 2.0**-24, 1 + 3 * 2.0**-24, -0.0, 0.5]])
    save_file(with_values(values), tmp_path / "theirs")
    said, ours = imported_values(tmp_path, len(values))
    assert ours.tobytes() == values.astype(np.float32).tobytes()
    changed = int((values.astype(np.float32) != values).sum())
    assert said == (f"qgraft: F64 values were rounded to the nearest float32: {changed} of "
                    f"{512 * 3136} changed\n")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_all_tensors_of_another_dtype(dtype, tmp_path):
    theirs = {name: array.astype(dtype) for name, array in state_dict("sb3").items()}
    save_file(theirs, tmp_path / "theirs")
    result = run("import", tmp_path / "theirs", "--out", tmp_path / "ours")
    ours = rename(load_file(tmp_path / "ours"), "sb3")
    equal(ours, {name: theirs[name].astype(np.float32) for name in ours})
    assert (dtype == np.float64) == (": 0 of " in result.stderr)


@pytest.mark.parametrize("value,dtype,message", [
    (np.inf, np.float16, "is inf, not a finite number"), (np.nan, np.float64, "not a finite number"),
    (1e39, np.float64, "is 1e+39, too large for float32"), (0, np.int32, "is I32 [512, 3136]"),
])
def test_values_that_cannot_be_imported(value, dtype, message, tmp_path):
    assert message in refused(tmp_path, with_values(np.array([0, value], dtype)))


def test_bytes_that_are_no_weights(tmp_path):
    """As safetensors.numpy 0.8.0 reads them behind an array that is not contiguous."""
    save_file(with_values(np.array([0.5, 1e-45, 3e-41], np.float32)), tmp_path / "theirs")
    said, ours = imported_values(tmp_path, 3)
    assert said.startswith("qgraft: warning: fc1 has the value 1.4013e-45") and "files.md" in said
    assert ours[1] > 0
    save_file(with_values(np.array([0.5, 1.2e-38, 0.0], np.float32)), tmp_path / "theirs")
    assert imported_values(tmp_path, 3)[0] == ""


def refused(folder, tensors, *words, code=1):
    save_file(tensors, folder / "bad")
    result = run("import", folder / "bad", "--out", folder / "never", *words, code=code)
    assert not (folder / "never").exists()
    return result.stderr


def test_bad_state_dicts(tmp_path):
    good = state_dict("cleanrl")
    assert "neither" in refused(tmp_path, {"model.0.weight": good["network.0.weight"]})
    assert "'network.11.bias' is none of" in refused(
        tmp_path, good | {"network.11.bias": np.zeros(3, np.float32)})
    missing = {k: v for k, v in good.items() if k != "network.4.bias"}
    assert "network.4.bias" in refused(tmp_path, missing)
    shape = refused(tmp_path, good | {"network.0.weight": np.zeros((32, 1, 8, 8), np.float32)})
    assert "network.0.weight" in shape and "32" in shape and "4" in shape
    padded = good | {"network.7.weight": np.zeros((512, 4096), np.float32)}
    assert "network.7.weight" in refused(tmp_path, padded)
    assert "network.9.weight" in refused(
        tmp_path, good | {"network.9.bias": np.zeros(6, np.float32)})
    assert "0 actions" in refused(
        tmp_path, good | {"network.9.bias": np.zeros(0, np.float32)})
    assert "finite" in refused(
        tmp_path, good | {"network.2.bias": np.full(64, np.nan, np.float32)})
    assert "I64" in refused(
        tmp_path, good | {"network.2.bias": np.zeros(64, np.int64)})
    # another format than the one it is said to be
    assert "of format sb3" in refused(tmp_path, good, "--format", "sb3")


def test_bad_options(tmp_path):
    good = state_dict("sb3")
    five = {k: v[:5] if v.shape[0] == 18 else v for k, v in good.items()}
    few = refused(tmp_path, five, "--domain", "breakout", code=2)
    assert "breakout has 4 actions, the network 5" in few
    assert "grids" in refused(tmp_path, good, "--domain", "minatar/breakout", code=2)
    assert "breakoutt" in refused(tmp_path, good, "--domain", "breakoutt", code=2)
    assert "--score" in refused(tmp_path, good, "--score", "good", code=2)
    assert "--step" in refused(tmp_path, good, "--step", "-1", code=2)
    assert "dopamine" in refused(tmp_path, good, "--format", "dopamine", code=2)
    run("import", tmp_path / "absent", "--out", tmp_path / "never", code=1)


@pytest.mark.parametrize("kind", ["nature", "grid"])
def test_export_of_another_architecture(kind, tmp_path):
    save_file(network(kind, 1), tmp_path / "ours", metadata(kind))
    for name in FORMATS:
        message = run("export", tmp_path / "ours", "--format", name, "--out", tmp_path / "never",
                      code=2).stderr
        assert "nature-pad0" in message and f"'{kind}'" in message
    assert not (tmp_path / "never").exists()
    run("export", tmp_path / "ours", "--out", tmp_path / "never", code=2)
