"""`qgraft import` of binary Torch7 files, written here from the format's description (torch7's
doc/serialization.md and File.lua): weights bit by bit, outputs against a forward pass in float64.
"""

import hashlib
import os
import struct
import subprocess

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_update import CLOSE, NETWORKS, forward, make_batch, network, weighted_layers

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")


def run(*words, code=0):
    result = subprocess.run([QGRAFT, *map(str, words)], capture_output=True, text=True, timeout=600)
    assert result.returncode == code, result.stderr
    assert code == 0 or result.stderr.count("\n") == 1 or "--help" in result.stderr
    return result


# ---- A writer of Torch7 files ----


class Object:
    """Of a class, with the fields of its table."""

    def __init__(self, name, **fields):
        self.name, self.fields = name, fields


class Tensor:
    """An array, as a class of that name; `storage`: that of another tensor, from `offset` on."""

    def __init__(self, array, kind="Float", strides=None, storage=None, offset=0):
        self.array, self.kind, self.strides = np.asarray(array), kind, strides
        self.storage, self.offset = storage or Storage(self.array.ravel(), kind), offset


class Storage:
    def __init__(self, values, kind):
        self.values, self.kind = values, kind


class Function:
    pass


TYPES = {"Float": "<f4", "Double": "<f8", "Cuda": "<f4", "Byte": "<u1"}


class Writer:
    def __init__(self, long="q", version=True):
        self.out, self.long, self.version, self.indices = bytearray(), long, version, {}

    def ints(self, *values):
        self.out += struct.pack(f"<{len(values)}i", *values)

    def longs(self, *values):
        self.out += struct.pack(f"<{len(values)}{self.long}", *values)

    def text(self, text):
        self.ints(len(text))
        self.out += text.encode()

    def begin(self, kind, value):
        """The type and the index; whether what it holds is still to be written."""
        new = id(value) not in self.indices
        self.indices.setdefault(id(value), (len(self.indices) + 1, value))
        self.ints(kind, self.indices[id(value)][0])
        return new

    def write(self, value):
        if value is None:
            self.ints(0)
        elif isinstance(value, bool):
            self.ints(5, value)
        elif isinstance(value, (int, float)):
            self.ints(1)
            self.out += struct.pack("<d", value)
        elif isinstance(value, str):
            self.ints(2)
            self.text(value)
        elif isinstance(value, dict):
            if self.begin(3, value):
                self.table(value)
        elif isinstance(value, Function):
            if self.begin(8, value):
                self.text("\x1bLJ code")
                self.write({})
        elif self.begin(4, value):
            self.torch(value)
        return self

    def table(self, value):
        self.ints(len(value))
        for key, held in value.items():
            self.write(key)
            self.write(held)

    def torch(self, value):
        if self.version:
            self.text("V 1")
        if isinstance(value, Tensor):
            self.text(f"torch.{value.kind}Tensor")
            shape = value.array.shape
            strides = value.strides or [int(np.prod(shape[d + 1:])) for d in range(len(shape))]
            self.ints(len(shape))
            self.longs(*shape, *strides, value.offset + 1)
            self.write(value.storage)
        elif isinstance(value, Storage):
            self.text(f"torch.{value.kind}Storage")
            self.longs(len(value.values))
            if value.kind == "Long":
                self.longs(*value.values)
            else:
                self.out += np.asarray(value.values, TYPES[value.kind]).tobytes()
        else:
            self.text(value.name)
            self.write(value.fields)


def longs(*values):
    return Storage(values, "Long")


def modules(kind, seed=1, element="Float", conv="SpatialConvolution", relu="Rectifier",
            flatten="Reshape", old_padding=False):
    """The list of modules of a network of test_update, as DQN 3.0's convnet.lua makes them."""
    tensors, shape = network(kind, seed), NETWORKS[kind][2]
    listed = [Object(f"nn.{flatten}", size=longs(*shape[:3]), nelement=int(np.prod(shape[:3])))]
    layers, flat = weighted_layers(kind), False
    for i, (name, size, convolution) in enumerate(layers):
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if convolution:
            stride, padding = convolution
            if conv == "SpatialConvolutionMM":
                weight = weight.reshape(len(weight), -1)
            pad = {"padding": padding} if old_padding else {"padW": padding, "padH": padding}
            module = Object(f"nn.{conv}", nInputPlane=size[1], nOutputPlane=size[0], kW=size[2],
                            kH=size[2], dW=stride, dH=stride, **pad)
        else:
            if not flat:
                listed.append(Object(f"nn.{flatten}", size=longs(size[1])))
                flat = True
            module = Object("nn.Linear")
        module.fields |= {"weight": Tensor(weight, element), "bias": Tensor(bias, element),
                          "gradWeight": Tensor(np.zeros((1,)), element), "train": False}
        listed.append(module)
        if i + 1 < len(layers):
            fields = {} if relu == "Rectifier" else {"threshold": 0, "val": 0, "inplace": False}
            listed.append(Object(f"nn.{relu}", **fields))
    return listed


def sequential(listed):
    return Object("nn.Sequential", modules={i + 1: m for i, m in enumerate(listed)}, train=True)


def save(path, value, **options):
    path.write_bytes(Writer(**options).write(value).out)
    return path


def imported(path, folder, *words):
    run("import", path, *words, "--out", folder / "ours")
    with safe_open(folder / "ours", "numpy") as file:
        return load_file(folder / "ours"), file.metadata()


def equal(ours, kind, seed=1):
    expected = network(kind, seed)
    assert sorted(ours) == sorted(expected)
    for name, tensor in expected.items():
        assert ours[name].tobytes() == tensor.tobytes() and ours[name].shape == tensor.shape, name


# ---- What is read ----


@pytest.mark.parametrize("kind,options,words", [
    ("nature", {}, {}), ("nature", {"long": "i"}, {}), ("nature", {"version": False}, {}),
    ("nature-pad0", {}, {"conv": "SpatialConvolutionMM", "relu": "ReLU", "flatten": "View"}),
    ("nature", {}, {"relu": "Threshold", "old_padding": True}),
    ("nature", {"long": "i"}, {"element": "Double"}), ("nature", {}, {"element": "Cuda"}),
    ("list", {}, {})])
def test_import(kind, options, words, tmp_path):
    path = save(tmp_path / "net.t7", sequential(modules(kind, **words)), **options)
    ours, said = imported(path, tmp_path)
    equal(ours, kind)
    text, _, shape, _ = NETWORKS[kind]
    assert said["input"] == ",".join(map(str, shape)) and said["imported_format"] == "torch7"
    assert said["architecture"] == text or kind == "list"
    assert said["imported_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "imported_part" not in said


@pytest.mark.parametrize("kind", ["nature", "list"])
def test_outputs(kind, tmp_path):
    imported(save(tmp_path / "net.t7", sequential(modules(kind))), tmp_path)
    batch = make_batch(kind, 4, 3)
    save_file(batch, tmp_path / "batch")
    run("update", "--online", tmp_path / "ours", "--target", tmp_path / "ours", "--batch",
        tmp_path / "batch", "--out", tmp_path / "updated")
    q = load_file(tmp_path / "updated")["q"]
    parameters = {k: v.astype(np.float64) for k, v in network(kind, 1).items()}
    _, expected = forward(kind, parameters, batch["states"])
    assert np.abs(q - expected).max() <= CLOSE * np.abs(expected).max()


@pytest.mark.parametrize("long", ["q", "i"])
def test_agents(long, tmp_path):
    """The table of train_agent.lua: the best network, shared objects, functions, other classes; then
    what is in its place where it is not there."""
    best, last = sequential(modules("nature", 1)), sequential(modules("nature", 2))
    agent = Object("dqn.NeuralQLearner", network=last, best_network=best, preproc=Function(),
                   rmsprop=True, args={1: "a", "deep": {"deeper": {"list": {1: 2.5}}}},
                   transitions=Object("dqn.TransitionTable", sizes={1: 5}), none=None,
                   screens=Tensor(np.zeros((2, 3)), "Byte"))
    agent.fields["self"] = agent.fields  # a circle
    whole = {"agent": agent, "model": last, "best_model": best, "reward_history": {1: 1.5}}
    seen = []
    for part, seed, gone in [("best_model", 1, []), ("model", 2, ["best_model"]),
                             ("agent.best_network", 1, ["best_model", "model"])]:
        value = {k: v for k, v in whole.items() if k not in gone}
        ours, said = imported(save(tmp_path / "agent.t7", value, long=long), tmp_path)
        equal(ours, "nature", seed)
        seen.append(said["imported_part"])
        assert said["imported_part"] == part


def test_views_of_a_shared_storage(tmp_path):
    """getParameters() puts all tensors into one storage; transposed ones have other strides."""
    listed = modules("nature")
    tensors = [m.fields[k] for m in listed for k in ("weight", "bias") if k in m.fields]
    everything = Storage(np.concatenate([t.array.ravel() for t in tensors]), "Float")
    at = 0
    for t in tensors:
        t.storage, t.offset = everything, at
        at += t.array.size
    last = tensors[-2]  # the weight of the last layer, stored [inputs][outputs]
    last.storage, last.offset = Storage(last.array.T.ravel(), "Float"), 0
    last.strides = [1, last.array.shape[0]]
    equal(imported(save(tmp_path / "net.t7", sequential(listed)), tmp_path)[0], "nature")


def test_doubles_are_rounded_and_said(tmp_path):
    listed = modules("nature", element="Double")
    listed[1].fields["bias"].storage.values = np.full(32, 1 / 3)
    result = run("import", save(tmp_path / "net.t7", sequential(listed)), "--out", tmp_path / "ours")
    assert "32 of" in result.stderr
    assert (load_file(tmp_path / "ours")["conv1.bias"] == np.float32(1 / 3)).all()


def test_domain_and_use(tmp_path):
    path = save(tmp_path / "net.t7", sequential(modules("nature")))
    _, said = imported(path, tmp_path, "--domain", "pong", "--step", "50M", "--format", "torch7")
    assert said["domain"] == "pong" and len(said["actions"].split(",")) == 6
    plan = run("graft", tmp_path / "ours", "--to", "pong", "--first", 3, "--dry-run").stdout
    assert "copied: conv3" in plan
    assert "'qgraft import'" in run("inspect", path, code=1).stderr


# ---- What is refused ----


def change(listed, i, **fields):
    listed[i].fields |= fields
    return listed


@pytest.mark.parametrize("words,make", [
    ("no nn.Sequential", lambda: {"weights": {1: 2}}),
    ("no nn.Sequential", lambda: Object("nn.Linear")),
    ("nn.SpatialMaxPooling", lambda: sequential([*modules("nature")[:2],
                                                 Object("nn.SpatialMaxPooling")])),
    ("nn.Sequential", lambda: sequential([sequential(modules("nature"))])),
    ("last layer", lambda: sequential([])), ("last layer", lambda: Object("nn.Sequential")),
    ("last layer", lambda: sequential(modules("nature")[:-1])),
    ("no rectifier", lambda: sequential([m for m in modules("nature") if "Rect" not in m.name])),
    ("no layer stands", lambda: sequential(modules("nature")[2:])),
    ("square", lambda: sequential(change(modules("nature"), 1, kH=7))),
    ("square", lambda: sequential(change(modules("nature"), 1, dW=3))),
    ("size of it", lambda: sequential(change(modules("nature"), 1, kW=None))),
    ("size of it", lambda: sequential(change(modules("nature"), 1, nOutputPlane=-3))),
    ("size of it", lambda: sequential(change(modules("nature"), 1, nOutputPlane=1e300))),
    ("size of it", lambda: sequential(change(modules("nature"), 1, nOutputPlane=float("nan")))),
    ("size of it", lambda: sequential(change(modules("nature"), 1, nOutputPlane=2.5))),
    ("size of it", lambda: sequential(change(modules("nature"), 0, size=longs(4, -84, 84)))),
    ("conv1", lambda: sequential(change(modules("nature"), 1, nOutputPlane=31))),
    ("conv1", lambda: sequential(change(modules("nature"), 1, weight=Tensor(np.ones((32, 4)))))),
    ("weight of conv1", lambda: sequential(change(modules("nature"), 1, weight=None))),
    ("bias of conv1", lambda: sequential(change(modules("nature"), 1, bias=Tensor(np.ones(31))))),
    ("bias of conv1", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.ones(32), strides=[2])))),
    ("bias of conv1", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.ones(32), strides=[-1], offset=31)))),
    ("bias of conv1", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.ones(32), strides=[0], storage=Storage([1.0], "Float"))))),
    ("bias of conv1", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.ones(32), strides=[2**62])))),
    ("bias of conv1", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.ones(32), offset=-5)))),
    ("bias of conv1", lambda: sequential(change(modules("nature"), 1, bias=Tensor(np.ones(32), "Byte")))),
    ("not finite", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.full(32, np.inf))))),
    ("not finite", lambda: sequential(change(
        modules("nature"), 1, bias=Tensor(np.full(32, 1e200), "Double")))),
    ("fc1", lambda: sequential(change(modules("nature"), 0, size=longs(4, 90, 90)))),
])
def test_wrong_networks(words, make, tmp_path):
    path = save(tmp_path / "net.t7", make())
    said = run("import", path, "--format=torch7", "--out", tmp_path / "ours", code=1).stderr
    assert words in said and str(path) in said and not (tmp_path / "ours").exists()


def test_damaged_files(tmp_path):
    """Cut at many places; single bytes changed: read, or refused in one line."""
    whole = bytes(Writer().write({"best_model": sequential(modules("list"))}).out)
    random, path, refused = np.random.default_rng(1), tmp_path / "net.t7", 0
    for i in range(60):
        data = bytearray(whole)
        if i < 30:
            data = data[: int(random.integers(len(data)))]
        else:
            data[int(random.integers(2000))] ^= int(random.integers(1, 256))
        path.write_bytes(data)
        result = subprocess.run([QGRAFT, "import", path, "--format=torch7", "--out",
                                 tmp_path / "ours"], capture_output=True, text=True, timeout=60)
        assert result.returncode in (0, 1) and (result.returncode == 0
                                                or result.stderr.count("\n") == 1)
        refused += result.returncode
        assert i >= 30 or result.returncode == 1
    assert refused >= 40


@pytest.mark.parametrize("data,words", [
    (b"", "ends"), (struct.pack("<i", 99), "type"), (struct.pack("<ii", 3, 0), "number"),
    (struct.pack("<iii", 3, 1, -1), "table"), (struct.pack("<iii", 3, 1, 2**30), "table"),
    (struct.pack("<ii", 2, -5), "text"), (struct.pack("<id", 1, 1) + b"x", "more follows"),
    (b"".join(struct.pack("<iiiid", 3, i, 1, 1, 1) for i in range(1, 5000)), "deep"),
    (struct.pack("<iii3si19s", 4, 1, 3, b"V 1", 18, b"torch.FloatStorage"), "ends"),
])
def test_hostile_files(data, words, tmp_path):
    (tmp_path / "net.t7").write_bytes(data)
    said = run("import", tmp_path / "net.t7", "--format=torch7", "--out", tmp_path / "ours", code=1)
    assert words in said.stderr
