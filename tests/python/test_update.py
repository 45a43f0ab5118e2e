"""`qgraft update`, one step of learning, against numpy in float64 and against bad input.

"Close": the largest error of a tensor is at most 1e-5 of its largest value (float32 sums of up to
3136 products; measured: 9e-7 for q-values, 4e-6 for gradients).
"""

import ctypes
import json
import os
import struct
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

CLOSE = 1e-5
NATURE = [("conv", 32, 8, 4, 1), ("conv", 64, 4, 2, 0), ("conv", 64, 3, 1, 0), ("linear", 512)]
LIST = '[{"conv": 7, "kernel": 3, "stride": 2, "padding": 2}, {"linear": 21}, {"linear": 9}]'
# name: architecture, layers, input (channels, height, width, max), actions
NETWORKS = {
    "nature": ("nature", NATURE, (4, 84, 84, 255), 6),
    "nature-pad0": ("nature-pad0", [("conv", 32, 8, 4, 0), *NATURE[1:]], (4, 84, 84, 255), 18),
    "grid": ("grid", [("conv", 16, 3, 1, 0)] * 3 + [("linear", 128)], (10, 10, 10, 1), 6),
    "list": (LIST, [("conv", 7, 3, 2, 2), ("linear", 21), ("linear", 9)], (3, 11, 14, 255), 4),
}
SETTINGS = {"discount": 0.99, "clip_error": 1.0, "learning_rate": 0.00025, "rms_decay": 0.95,
            "rms_epsilon": 0.01, "loss": "clipped", "reduction": "sum", "double": False,
            "optimiser": "rmsprop", "adam_beta1": 0.9, "adam_beta2": 0.999,
            "adam_epsilon": 1e-8, "max_grad_norm": 0}  # dqn3


# ---- The reference ----


def weighted_layers(kind):
    """name, weight shape, (stride, padding) or None of every weighted layer."""
    _, layers, (channels, height, width, _), actions = NETWORKS[kind]
    out, convs, linears = [], 0, 0
    for layer in [*layers, ("linear", actions)]:
        if layer[0] == "conv":
            _, n, kernel, stride, padding = layer
            convs += 1
            out.append((f"conv{convs}", (n, channels, kernel, kernel), (stride, padding)))
            height = (height + 2 * padding - kernel) // stride + 1
            width = (width + 2 * padding - kernel) // stride + 1
            channels = n
        else:
            linears += 1
            out.append((f"fc{linears}", (layer[1], channels * height * width), None))
            channels, height, width = layer[1], 1, 1
    return out


def windows(x, kernel, stride):
    """[B, C, H, W] as a view [B, C, rows, columns, kernel, kernel]."""
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return view[:, :, ::stride, ::stride]


def forward(kind, parameters, states):
    """All layers' inputs, then the q-values."""
    layers = weighted_layers(kind)
    x = states.astype(np.float64) / NETWORKS[kind][2][3]
    inputs = []
    for i, (name, shape, conv) in enumerate(layers):
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        if conv:
            stride, padding = conv
            x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
            inputs.append(x)
            x = np.einsum("bcyxkl,nckl->bnyx", windows(x, shape[2], stride), weight, optimize=True)
            x += bias[:, None, None]
        else:
            x = x.reshape(len(x), -1)
            inputs.append(x)
            x = x @ weight.T + bias
        if i + 1 < len(layers):
            x = np.maximum(x, 0)
    return inputs, x


def backward(kind, parameters, inputs, delta):
    """Gradients of sum(delta * q) for all parameters."""
    layers = weighted_layers(kind)
    gradient = {}
    for i in reversed(range(len(layers))):
        name, shape, conv = layers[i]
        x, weight = inputs[i], parameters[f"{name}.weight"]
        if conv:
            stride, padding = conv
            rows, columns = (x.shape[2] - shape[2]) // stride + 1, (x.shape[3] - shape[2]) // stride + 1
            delta = delta.reshape(len(x), shape[0], rows, columns)
            gradient[f"{name}.weight"] = np.einsum(
                "bnyx,bcyxkl->nckl", delta, windows(x, shape[2], stride), optimize=True)
            gradient[f"{name}.bias"] = delta.sum((0, 2, 3))
            below = np.zeros_like(x)
            products = np.einsum("bnyx,nckl->bcyxkl", delta, weight, optimize=True)
            for k in range(shape[2]):
                for l in range(shape[2]):
                    below[:, :, k:k + stride * rows:stride, l:l + stride * columns:stride] += (
                        products[:, :, :, :, k, l])
            delta = np.where(x > 0, below, 0)  # the inputs of layer i > 0 went through a ReLU
            if padding:
                delta = delta[:, :, padding:-padding, padding:-padding]
        else:
            gradient[f"{name}.weight"] = delta.T @ x
            gradient[f"{name}.bias"] = delta.sum(0)
            delta = np.where(x > 0, delta @ weight, 0)
    return gradient


def optimise(s, rate, step, w, d, m1, m2):
    """One step along d: centred RMSProp (Graves 2013), or Adam as torch.optim.Adam has it."""
    if s["optimiser"] == "rmsprop":
        m1 = s["rms_decay"] * m1 + (1 - s["rms_decay"]) * d
        m2 = s["rms_decay"] * m2 + (1 - s["rms_decay"]) * d * d
        return w + rate * d / np.sqrt(m2 - m1 * m1 + s["rms_epsilon"]), m1, m2
    beta1, beta2 = s["adam_beta1"], s["adam_beta2"]
    m1 = beta1 * m1 + (1 - beta1) * d
    m2 = beta2 * m2 + (1 - beta2) * d * d
    denominator = np.sqrt(m2) / np.sqrt(1 - beta2**step) + s["adam_epsilon"]
    return w + rate / (1 - beta1**step) * m1 / denominator, m1, m2


def update(kind, online, target, batch, settings, frozen=(), rates={}):
    s = {**SETTINGS, **settings}
    online = {k: v.astype(np.float64) for k, v in online.items()}
    target = {k: v.astype(np.float64) for k, v in target.items()}
    rows = np.arange(len(batch["actions"]))
    inputs, q = forward(kind, online, batch["states"])
    _, next_q = forward(kind, target, batch["next_states"])
    reward = np.clip(batch["rewards"].astype(np.float64), -1, 1)
    best = next_q.argmax(1)
    if s["double"]:  # van Hasselt, Guez & Silver 2016, equation 4
        best = forward(kind, online, batch["next_states"])[1].argmax(1)
    discount = batch.get("discounts", s["discount"])
    error = (reward + discount * next_q[rows, best] * (1 - batch["terminals"])
             - q[rows, batch["actions"]])
    if s["clip_error"] and s["loss"] != "mse":
        error = np.clip(error, -s["clip_error"], s["clip_error"])
    delta = np.zeros_like(q)
    delta[rows, batch["actions"]] = error * (2 if s["loss"] == "mse" else 1)
    delta[rows, batch["actions"]] *= batch.get("weights", 1)
    if s["reduction"] == "mean":
        delta /= len(rows)
    gradient = backward(kind, online, inputs, delta)
    free = [d for name, d in gradient.items() if name.split(".")[0] not in frozen]
    norm = np.sqrt(sum((d**2).sum() for d in free))
    if s["max_grad_norm"]:  # torch.nn.utils.clip_grad_norm_
        factor = min(1, s["max_grad_norm"] / (norm + 1e-6))
        gradient = {name: d * factor for name, d in gradient.items()}
    result = {"q": q, "td_error": error}
    step = int(batch.get("steps", [0])[0]) + 1
    if s["optimiser"] == "adam":
        result["steps"] = np.array([step])
    for name, d in gradient.items():
        m1 = batch.get(f"moment1.{name}", np.zeros_like(d)).astype(np.float64)
        m2 = batch.get(f"moment2.{name}", np.zeros_like(d)).astype(np.float64)
        w, rate = online[name], s["learning_rate"] * rates.get(name.split(".")[0], 1)
        if f"pull.{name}" in batch:
            pull, anchor = (batch[f"{k}.{name}"].astype(np.float64) for k in ("pull", "anchor"))
            d = d - pull * (w - anchor)
            result |= {f"pull.{name}": pull, f"anchor.{name}": anchor}
        if name.split(".")[0] in frozen:
            d = np.zeros_like(d)
        else:
            w, m1, m2 = optimise(s, rate, step, w, d, m1, m2)
        result |= {name: w, f"grad.{name}": d, f"moment1.{name}": m1, f"moment2.{name}": m2}
    return result


# ---- Networks and batches ----


def network(kind, seed):
    random = np.random.default_rng(seed)
    parameters = {}
    for name, shape, _ in weighted_layers(kind):
        bound = np.prod(shape[1:]) ** -0.5
        parameters[f"{name}.weight"] = random.uniform(-bound, bound, shape).astype(np.float32)
        parameters[f"{name}.bias"] = random.uniform(-bound, bound, shape[0]).astype(np.float32)
    return parameters


def metadata(kind):
    text, _, shape, _ = NETWORKS[kind]
    return {"format": "qgraft network 1", "architecture": text,
            "input": ",".join(map(str, shape)), "domain": "", "actions": "", "seed": "1",
            "step": "0"}


def make_batch(kind, size, seed, moments=False):
    random = np.random.default_rng(seed)
    _, _, (channels, height, width, most), actions = NETWORKS[kind]
    shape = (size, channels, height, width)

    def screens():
        full = random.integers(0, most + 1, shape)
        return np.where(random.random(shape) < 0.5, full, 0).astype(np.uint8)

    batch = {"states": screens(), "next_states": screens(),
             "actions": random.integers(0, actions, size),
             "rewards": random.normal(0, 1, size).astype(np.float32),
             "terminals": (random.random(size) < 0.2).astype(np.uint8)}
    if moments:
        for name, shape, _ in weighted_layers(kind):
            for part, s in (("weight", shape), ("bias", shape[:1])):
                m1 = random.normal(0, 0.1, s).astype(np.float32)
                batch[f"moment1.{name}.{part}"] = m1
                batch[f"moment2.{name}.{part}"] = m1**2 + random.random(s).astype(np.float32)
    return batch


class Files:
    """A folder with two networks and a batch."""

    def __init__(self, folder, kind, size=5, moments=False):
        self.folder, self.kind = folder, kind
        self.online, self.target = network(kind, 1), network(kind, 2)
        self.batch = make_batch(kind, size, 3, moments)
        save_file(self.online, folder / "online", metadata(kind))
        save_file(self.target, folder / "target", metadata(kind))
        self.save_batch(self.batch)

    def save_batch(self, batch):
        save_file(batch, self.folder / "batch")

    def run(self, *options, out="out"):
        names = {o: self.folder / o for o in ("online", "target", "batch")}
        command = [QGRAFT, "update", "--out", self.folder / out, *options]
        for name, path in names.items():
            command += [f"--{name}", path]
        return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=1200)

    def update(self, *options, out="out"):
        result = self.run(*options, out=out)
        assert result.returncode == 0, result.stderr
        return load_file(self.folder / out)

    def bytes(self, *options):
        self.update(*options, out="bytes")
        return (self.folder / "bytes").read_bytes()


@pytest.fixture
def files(tmp_path):
    return lambda *arguments, **options: Files(tmp_path, *arguments, **options)


def assert_close(ours, expected, before):
    assert set(ours) == set(expected)
    for name, value in expected.items():
        if name == "steps":
            assert ours[name].dtype == np.int64 and ours[name].tolist() == value.tolist()
            continue
        assert ours[name].dtype == np.float32 and ours[name].shape == value.shape, name
        scale = np.abs(value).max()
        assert np.abs(ours[name] - value).max() <= CLOSE * scale, name
        if name in before:  # the step itself, which the parameter would hide
            step, ours_step = value - before[name], ours[name] - before[name]
            rounding = np.spacing(np.float32(np.abs(before[name]).max() + np.abs(step).max()))
            assert np.abs(ours_step - step).max() <= 1e-4 * np.abs(step).max() + rounding, name


# ---- The tests ----


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("size", [5, 32])
def test_against_numpy(files, kind, size):
    f = files(kind, size)
    expected = update(kind, f.online, f.target, f.batch, {})
    assert_close(f.update("--threads", "2"), expected, f.online)
    for name in ("grad.conv1.weight", "grad.fc1.bias"):  # a check of the check
        assert np.abs(expected[name]).max() > 0


@pytest.mark.parametrize("kind", ["grid", "list"])
def test_settings_and_moments(files, kind):
    f = files(kind, 9, moments=True)
    settings = {"discount": 0.5, "clip_error": 0.0, "learning_rate": 0.125, "rms_decay": 0.75,
                "rms_epsilon": 0.5}
    options = [o for k, v in settings.items() for o in ("--set", f"{k}={v}")]
    expected = update(kind, f.online, f.target, f.batch, settings)
    assert_close(f.update(*options), expected, f.online)


CLEANRL = {"loss": "mse", "reduction": "mean", "optimiser": "adam", "learning_rate": 1e-4}
SB3 = {**CLEANRL, "loss": "huber", "max_grad_norm": 10}
LEARNERS = {
    "double": {"double": True},
    "huber": {"loss": "huber", "clip_error": 0.25},
    "mse": {"loss": "mse"},
    "mean": {"reduction": "mean"},
    "adam": {"optimiser": "adam", "learning_rate": 0.01},
    "adam's own": {"optimiser": "adam", "adam_beta1": 0.5, "adam_beta2": 0.75,
                   "adam_epsilon": 0.125},
    "norm": {"max_grad_norm": 0.125},
    "large norm": {"max_grad_norm": 1000},
    "cleanrl": CLEANRL,
    "sb3": SB3,
    "double sb3": {**SB3, "double": True},
}


def as_options(settings):
    text = {k: str(v).lower() for k, v in settings.items()}
    return [o for k, v in text.items() for o in ("--set", f"{k}={v}")]


@pytest.mark.parametrize("learner, steps", [
    (name, steps) for name, settings in LEARNERS.items() for steps in (None, 0, 5, 100000)
    if not steps or settings.get("optimiser") == "adam"])
def test_learners(files, learner, steps):
    """Each against the formula; with moments of an earlier life and without."""
    settings = LEARNERS[learner]
    f = files("list", 9, moments=steps is not None)
    if steps is not None and settings.get("optimiser") == "adam":
        f.batch["steps"] = np.array([steps])
        f.save_batch(f.batch)
    expected = update("list", f.online, f.target, f.batch, settings)
    if steps is None and settings.get("optimiser") == "adam":
        # The first step of Adam is +-learning_rate, whatever the gradient's size: where that is
        # the rest of a cancelled sum, its sign is chance.
        ours = f.update(*as_options(settings))
        for name in f.online:
            d = expected[f"grad.{name}"]
            unsure = np.abs(d) < 1e-4 * np.abs(d).max()
            expected[name] = np.where(unsure, ours[name], expected[name])
    assert_close(f.update(*as_options(settings)), expected, f.online)
    assert f.bytes(*as_options(settings)) == f.bytes(*as_options(settings), "--isa", "portable",
                                                     "--threads", "3")


def test_discounts_and_weights(files):
    """Of several steps, and of importance."""
    f = files("list", 9, moments=True)
    random = np.random.default_rng(9)
    f.batch["discounts"] = random.random(9).astype(np.float32)
    f.batch["weights"] = random.random(9).astype(np.float32)
    f.save_batch(f.batch)
    for settings in ({}, CLEANRL | {"optimiser": "rmsprop", "double": True}):
        expected = update("list", f.online, f.target, f.batch, settings)
        assert_close(f.update(*as_options(settings)), expected, f.online)
    for name in ("discounts", "weights"):
        spoilt = {**f.batch, name: f.batch[name][:4].copy()}
        f.save_batch(spoilt)
        refused(f, text=name)


def test_norm_of_free_layers(files):
    """What is frozen is no part of it; the weight decay comes behind it."""
    f = files("grid", 9, moments=True)
    settings = {"max_grad_norm": 0.25, "loss": "mse"}
    frozen = ["conv1", "conv2"]
    expected = update("grid", f.online, f.target, f.batch, settings, frozen)
    free = [d for name, d in expected.items() if name.startswith("grad.")]
    assert abs(np.sqrt(sum((d**2).sum() for d in free)) - 0.25) < 1e-5
    options = [*as_options(settings), "--freeze-first", "2"]
    ours = f.update(*options)
    for name, value in expected.items():
        assert np.abs(ours[name] - value).max() <= CLOSE * np.abs(value).max(), name
    decayed = f.update(*options, "--set", "l2=0.5")
    assert np.allclose(decayed["grad.fc1.weight"],
                       expected["grad.fc1.weight"] - 0.5 * f.online["fc1.weight"], atol=1e-6)
    for threads in ("2", "5"):
        assert f.bytes(*options) == f.bytes(*options, "--threads", threads)


def test_norm_in_bf16(files):
    """The same bits with tiles and without."""
    f = files("grid", 33, moments=True)
    options = ["--set", "precision=bf16", "--set", "max_grad_norm=0.25"]
    first = f.bytes(*options)
    for isa in ("portable", "avx2", "avx512", "amx"):
        (f.folder / "out").unlink(missing_ok=True)
        result = f.run(*options, "--isa", isa)
        if result.returncode == 2:
            assert isa != "portable" and "not to be had" in result.stderr
        else:
            assert result.returncode == 0 and (f.folder / "out").read_bytes() == first


def test_huber_is_clipped(files):
    """The slope of the Huber loss is the clipped TD error: the same bits."""
    f = files("grid", 32, moments=True)
    assert f.bytes("--set", "loss=huber") == f.bytes()
    assert f.bytes("--set", "loss=mse") != f.bytes()


def test_what_is_read_is_not_overwritten(files):
    f = files("list", 5)
    for name in ("online", "target", "batch"):
        before = (f.folder / name).read_bytes()
        refused(f, "--out", f.folder / name, code=2, text="is read, and would be lost")
        assert (f.folder / name).read_bytes() == before


def test_adam_needs_its_steps(files):
    f = files("list", 5, moments=True)
    refused(f, "--set", "optimiser=adam", text="'steps'")
    f.batch["steps"] = np.array([-1])
    f.save_batch(f.batch)
    refused(f, "--set", "optimiser=adam", text="steps")
def anchored(f, pull):
    """The batch with anchors, and what pulls to them: pull(name) of every parameter."""
    random = np.random.default_rng(5)
    for name, value in f.online.items():
        f.batch[f"anchor.{name}"] = (value + random.normal(0, 0.1, value.shape)).astype(np.float32)
        f.batch[f"pull.{name}"] = pull(name, value).astype(np.float32)
    f.save_batch(f.batch)


@pytest.mark.parametrize("kind", ["grid", "list"])
def test_pull_and_layer_rates(files, kind):
    """L2-SP: one strength for what was copied, 0 elsewhere. EWC: one of its own each."""
    f = files(kind, 9, moments=True)
    random = np.random.default_rng(6)
    plain = f.update()
    for pull in (lambda name, w: np.full(w.shape, 3.0 if "conv" in name else 0),
                 lambda name, w: 100 * random.random(w.shape) ** 4):
        anchored(f, pull)
        ours = f.update("--lr-scale", "1:0.25,2:3", "--threads", "2")
        names = [name for name, _, _ in weighted_layers(kind)]
        expected = update(kind, f.online, f.target, f.batch, {},
                          rates={names[0]: 0.25, names[1]: 3})
        assert_close(ours, expected, f.online)
        assert np.abs(ours["grad.conv1.weight"] - plain["grad.conv1.weight"]).max() > 0.01
        first = f.bytes("--lr-scale", "1:0.25,2:3")
        assert f.bytes("--lr-scale", "1:0.25,2:3", "--isa", "portable", "--threads", "3") == first
        assert f.bytes() != first
    refused(f, "--lr-scale", f"{len(names) + 1}:2", code=2, text="--lr-scale: layer")
    f.batch.pop("anchor.conv1.bias")
    f.save_batch(f.batch)
    refused(f, text="anchor.conv1.bias")


def test_rewards_are_clipped_as_set(files):
    f = files("list", 9)
    f.batch["rewards"] *= 5
    f.save_batch(f.batch)
    clipped = f.update("--set", "clip_error=0")
    expected = update("list", f.online, f.target, f.batch, {"clip_error": 0})
    assert_close(clipped, expected, f.online)
    assert np.abs(f.update("--set", "clip_error=0", "--set", "clip_reward=false")["td_error"]
                  - clipped["td_error"]).max() > 1


@pytest.mark.parametrize("option, frozen", [
    (["--freeze-first", "2"], ["conv1", "conv2"]),
    (["--freeze-last", "1"], ["fc2"]),
    (["--freeze-first", "1", "--freeze-last", "2"], ["conv1", "fc1", "fc2"]),
    (["--freeze-first", "5"], ["conv1", "conv2", "conv3", "fc1", "fc2"]),
    (["--freeze-first", "0"], []),
])
def test_frozen(files, option, frozen):
    f = files("grid", moments=True)
    ours = f.update(*option)
    expected = update("grid", f.online, f.target, f.batch, {}, frozen)
    for name, value in f.online.items():
        still = name.split(".")[0] in frozen
        for key, before in ((name, value), (f"moment1.{name}", f.batch[f"moment1.{name}"]),
                            (f"moment2.{name}", f.batch[f"moment2.{name}"])):
            assert (ours[key].tobytes() == before.tobytes()) == still, key
        assert np.any(ours[f"grad.{name}"]) != still
    assert set(ours) == set(expected)
    for name, value in expected.items():
        assert np.abs(ours[name] - value).max() <= CLOSE * np.abs(value).max(), name


@pytest.mark.parametrize("kind", ["grid", "list"])
def test_same_bytes(files, kind):
    f = files(kind, 32, moments=True)
    first = f.bytes()
    assert f.bytes("--threads", "2") == first
    assert f.bytes("--threads", "7") == first
    assert f.bytes("--isa", "portable") == first
    f.batch["rewards"][3] += 0.25
    f.save_batch(f.batch)
    assert f.bytes() != first


# ---- bf16: its sums with glibc's fmaf ----

fmaf = ctypes.CDLL("libm.so.6").fmaf
fmaf.restype, fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3


def rounded(x):
    """To bf16, nearest even, by float64: 8 bits of mantissa."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8).astype(np.float32)


def chains(x, weight):
    """sum(x * weight), in rows of chunks of 32: two chains each, one of the even and one of the odd."""
    total = np.float32(0)
    for row_x, row_weight in zip(x, weight):
        for first in range(0, len(row_x), 32):
            pair = [0.0, 0.0]
            for k in range(first, min(first + 32, len(row_x))):
                pair[k % 2] = fmaf(row_x[k], row_weight[k], pair[k % 2])
            total = total + (np.float32(pair[0]) + np.float32(pair[1]))
    return total


def in_eights(x, axis):
    """Hidden channels are stored in eights, whose rest is zeros."""
    width = [(0, 0)] * x.ndim
    width[axis] = (0, -x.shape[axis] % 8)
    return np.pad(x, width)


def bf16_q(kind, parameters, state):
    layers = weighted_layers(kind)
    most = NETWORKS[kind][2][3]
    x = state.astype(np.float32).transpose(1, 2, 0)  # [y][x][channel]
    for i, (name, shape, conv) in enumerate(layers):
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        if i + 1 == len(layers):  # float32: one chain that begins at the bias
            q = []
            for n in range(shape[0]):
                q.append(bias[n])
                for k in range(shape[1]):
                    q[-1] = fmaf(x.reshape(-1)[k], weight[n, k], q[-1])
            return np.array(q, np.float32)
        weight, scale = rounded(weight), np.float32(1 / np.float32(most)) if i == 0 else np.float32(1)
        if conv:
            stride, padding = conv
            x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
            weight = weight.transpose(0, 2, 3, 1)
            if i:
                x, weight = in_eights(x, 2), in_eights(weight, 3)
            size = shape[2]
            spots = [[x[y:y + size, z:z + size].reshape(size, -1)
                      for z in range(0, x.shape[1] - size + 1, stride)]
                     for y in range(0, x.shape[0] - size + 1, stride)]
        else:
            height, width, channels = x.shape
            weight = weight.reshape(shape[0], channels, height, width).transpose(0, 2, 3, 1)
            if i:
                x, weight = in_eights(x, 2), in_eights(weight, 3)
            spots, size = [[x.reshape(1, -1)]], 1
        weight = weight.reshape(shape[0], size, -1)
        x = np.array([[[fmaf(chains(spot, weight[n]), scale, bias[n]) for n in range(shape[0])]
                       for spot in row] for row in spots], np.float32)
        x = np.maximum(x, 0)
        if i + 2 < len(layers):
            x = rounded(x)


@pytest.mark.parametrize("kind", ["list", "grid"])
def test_bf16_sums(files, kind):
    f = files(kind, 2)
    ours = f.update("--set", "precision=bf16")
    for i in range(2):
        expected = bf16_q(kind, f.online, f.batch["states"][i])
        assert ours["q"][i].tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", NETWORKS)
def test_bf16_against_numpy(files, kind):
    f = files(kind, 32, moments=True)
    options = ["--set", "precision=bf16"]
    first = f.bytes(*options)
    for others in (["--threads", "2"], ["--threads", "5", "--isa", "portable"]):
        if kind in ("grid", "list") or "portable" not in others:
            assert f.bytes(*options, *others) == first
    assert f.bytes() != first
    ours, expected = f.update(*options), update(kind, f.online, f.target, f.batch, {})
    for name in ("q", "td_error"):
        assert np.abs(ours[name] - expected[name]).max() <= 2e-2 * np.abs(expected[name]).max(), name
    for name in f.online:  # ReLUs near zero fall on the other side: in norm
        d, e = ours[f"grad.{name}"], expected[f"grad.{name}"]
        assert np.linalg.norm(d - e) <= 0.15 * np.linalg.norm(e), name


def test_a_network_that_was_trained_from_here(tmp_path, files):
    """`train --steps 0` writes what `update` reads, in the layout that PyTorch has."""
    f = files("grid")
    out = subprocess.run([QGRAFT, "train", "minatar/space_invaders", "--steps", "0", "--seed", "7",
                          "--quiet", "--out", tmp_path / "run"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    f.online = load_file(tmp_path / "run/last.safetensors")
    (tmp_path / "online").write_bytes((tmp_path / "run/last.safetensors").read_bytes())
    actions = len(f.online["fc2.bias"])
    if actions != NETWORKS["grid"][3]:  # the reference's has 6
        f.batch["actions"] %= actions
        f.target["fc2.weight"], f.target["fc2.bias"] = (
            f.target["fc2.weight"][:actions].copy(), f.target["fc2.bias"][:actions].copy())
        save_file(f.target, tmp_path / "target", metadata("grid"))
        f.save_batch(f.batch)
    for name, shape, _ in weighted_layers("grid")[:-1]:
        assert f.online[f"{name}.weight"].shape == shape
    old = NETWORKS["grid"]
    NETWORKS["grid"] = (*old[:3], actions)
    try:
        expected = update("grid", f.online, f.target, f.batch, {})
    finally:
        NETWORKS["grid"] = old
    assert_close(f.update(), expected, f.online)


# ---- Bad input ----


def refused(f, *options, code=1, text=""):
    """One line, and the file that was there is untouched."""
    (f.folder / "out").write_text("old")
    result = f.run(*options)
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("qgraft: "), result.stderr
    assert text in result.stderr
    assert (f.folder / "out").read_text() == "old"
    assert not list(f.folder.glob("out.tmp*"))


def spoil_shape(batch, name, shape):
    batch[name] = np.zeros(shape, batch[name].dtype)


SPOILED = {
    "action too large": (lambda b: b["actions"].__setitem__(2, 4), "actions[2] is 4"),
    "action negative": (lambda b: b["actions"].__setitem__(0, -1), "actions[0] is -1"),
    "action huge": (lambda b: b["actions"].__setitem__(1, 2**32), "actions[1] is 4294967296"),
    "actions as I32": (lambda b: b.update(actions=b["actions"].astype(np.int32)), "I32"),
    "states as F32": (lambda b: b.update(states=b["states"].astype(np.float32)), "'states' is F32"),
    "rewards as F64": (lambda b: b.update(rewards=b["rewards"].astype(np.float64)), "F64"),
    "no terminals": (lambda b: b.pop("terminals"), "'terminals'"),
    "terminal of 2": (lambda b: b["terminals"].__setitem__(4, 2), "terminals[4] is 2"),
    "NaN reward": (lambda b: b["rewards"].__setitem__(1, np.nan), "'rewards'"),
    "infinite reward": (lambda b: b["rewards"].__setitem__(1, -np.inf), "'rewards'"),
    "flat states": (lambda b: spoil_shape(b, "states", (5, 462)), "[5, 462]"),
    "other channels": (lambda b: spoil_shape(b, "states", (5, 4, 11, 14)), "[5, 4, 11, 14]"),
    "fewer next states": (lambda b: spoil_shape(b, "next_states", (4, 3, 11, 14)), "next_states"),
    "fewer rewards": (lambda b: spoil_shape(b, "rewards", (4,)), "rewards"),
    "empty": (lambda b: [spoil_shape(b, k, (0, *b[k].shape[1:])) for k in list(b)], "0 states"),
    "half a moment": (lambda b: b.update({"moment1.conv1.weight": np.zeros((7, 3, 3, 3),
                                                                           np.float32)}), "moment"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_bad_batches(files, what):
    f = files("list")
    spoil, text = SPOILED[what]
    spoil(f.batch)
    f.save_batch({k: np.ascontiguousarray(v) for k, v in f.batch.items()})
    refused(f, text=text)


def test_grid_states_are_bits(files):
    f = files("grid")
    f.batch["states"][1, 2, 3, 4] = 2
    f.save_batch(f.batch)
    refused(f, text="value 2")


@pytest.mark.parametrize("name", ["batch", "online", "target"])
def test_damaged_files(files, name):
    f = files("list")
    path = f.folder / name
    whole = path.read_bytes()
    for cut in (0, 5, 8, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        refused(f, text=name)
    for header in (2**63, 10**12, 100_000_001, len(whole)):
        path.write_bytes(struct.pack("<Q", header) + whole[8:])
        refused(f, text=name)
    path.write_bytes(whole[:8] + b"}" + whole[9:])
    refused(f, text=name)
    path.unlink()
    refused(f, text=name)
    path.mkdir()
    refused(f, text=name)


def test_networks_that_do_not_fit(files):
    f = files("list")
    save_file(network("grid", 1), f.folder / "target", metadata("grid"))
    refused(f, text="different architectures")
    save_file(f.target, f.folder / "target")
    refused(f, text="not a qgraft network")
    f.target["fc1.bias"][3] = np.nan
    save_file(f.target, f.folder / "target", metadata("list"))
    refused(f, text="fc1.bias")
    header = {"__metadata__": {**metadata("list"), "input": "3,11,14,255\n\x1b[31m"}}
    text = json.dumps(header).encode()
    (f.folder / "target").write_bytes(struct.pack("<Q", len(text)) + text)
    refused(f)


@pytest.mark.parametrize("options, text", [
    (["--threads", "0"], "--threads"),
    (["--threads", "x"], "--threads"),
    (["--freeze-first", "5"], "--freeze-first"),
    (["--freeze-last", "-1"], "--freeze-last"),
    (["--isa", "abacus"], "abacus"),
])
def test_bad_options(files, options, text):
    refused(files("list"), *options, code=2, text=text)


def test_a_setting_that_an_update_does_not_depend_on(files):
    """Each is used or refused; --help names those that are used."""
    f = files("list")
    text = subprocess.run([QGRAFT, "update", "--help"], capture_output=True, text=True).stdout
    text = " ".join(text.split())
    used = text[text.index("Settings used"):].split(": ")[1].split(".")[0].split(", ")
    assert {"discount", "l2", "precision"} <= set(used)
    every = subprocess.run([QGRAFT, "train", "breakout", "--settings"], capture_output=True,
                           text=True).stdout
    for line in every.splitlines():
        name, value = line.split(" #")[0].strip().split(": ", 1)
        result = f.run("--set", f"{name}={value}")
        if name in used:
            assert result.returncode == 0, result.stderr
        elif name != "preset":
            assert result.returncode == 2 and f"'{name}'" in result.stderr
            assert all(other in result.stderr for other in used)


def test_a_setting_that_is_none(files):
    f = files("list")
    for setting in ("gamma=1", "discount=2", "discount"):
        result = f.run("--set", setting)
        assert result.returncode == 2 and setting.split("=")[0] in result.stderr


def test_out_that_cannot_be_written(files):
    f = files("list")
    result = f.run(out="absent/out")
    assert result.returncode == 1 and "absent/out" in result.stderr
    assert result.stderr.count("\n") == 1
