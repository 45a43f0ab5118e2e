"""The installed package `qgraft`: layouts, networks, engines and errors, against a C compiler and
numpy in float64."""

import copy
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_update import CLOSE, NETWORKS, forward, make_batch, metadata, network, update

qgraft = pytest.importorskip("qgraft", reason="scripts/install-package.sh installs it")

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(qgraft.__file__).parent / "bin" / "qgraft"
KINDS = ["grid", "nature", "list"]


def make(kind, seed=1):
    """A Network of the reference's values."""
    text, _, shape, actions = NETWORKS[kind]
    made = qgraft.Network(text, input=shape[:3], input_max=shape[3], actions=actions)
    made.load_state_dict(network(kind, seed))
    return made


def close(ours, expected):
    assert ours.shape == expected.shape and ours.dtype == np.float32
    assert np.abs(ours - expected).max() <= CLOSE * np.abs(expected).max()


def test_dueling(tmp_path):
    """Tensors have the names that files give them, and q-values are those of the heads."""
    made = qgraft.Network([{"dueling": 7}], input=(3, 4, 5), input_max=1, actions=4)
    random = np.random.default_rng(1)
    state = {name: random.normal(0, 1, tensor.shape).astype(np.float32)
             for name, tensor in made.state_dict().items()}
    assert {name: tensor.shape for name, tensor in state.items()} == {
        "fc1.weight": (14, 60), "fc1.bias": (14,), "value.weight": (1, 7), "value.bias": (1,),
        "advantage.weight": (4, 7), "advantage.bias": (4,)}
    made.load_state_dict(state)
    made.save(tmp_path / "n")
    stored = load_file(tmp_path / "n")
    assert all((stored[name] == tensor).all() for name, tensor in state.items())
    x = random.integers(0, 2, (5, 3, 4, 5)).astype(np.uint8)
    hidden = np.maximum(x.reshape(5, -1) @ state["fc1.weight"].T + state["fc1.bias"], 0)
    value = hidden[:, :7] @ state["value.weight"].T + state["value.bias"]
    advantage = hidden[:, 7:] @ state["advantage.weight"].T + state["advantage.bias"]
    assert np.allclose(made.forward(x), value + advantage - advantage.mean(1, keepdims=True), atol=1e-4)


# ---- The package ----


def test_installed():
    """Not the modules of the source tree: what pip put into the environment."""
    home = pathlib.Path(qgraft.__file__).parent
    assert not home.is_relative_to(ROOT / "python")
    assert (home / "py.typed").exists() and (home / "libqgraft.so").exists()
    program = subprocess.run([home / "bin" / "qgraft", "--version"], capture_output=True, text=True)
    assert program.returncode == 0 and qgraft.__version__ in program.stdout


def test_console_script():
    script = pathlib.Path(sys.executable).parent / "qgraft"
    for command in ([script], [sys.executable, "-m", "qgraft"]):
        result = subprocess.run([*command, "games", "nothing-like-it"], capture_output=True, text=True)
        assert result.returncode == 2 and result.stderr.startswith("qgraft: ")


def test_import_is_light():
    """What a program that has no use for it does not pay."""
    words = ("import qgraft, sys; print([m for m in ('numpy', 'gymnasium', 'pandas', 'cffi', "
             "'_cffi_backend') if m in sys.modules])")
    assert subprocess.check_output([sys.executable, "-c", words], text=True).strip() == "[]"


def test_everything_that_is_promised_is_there():
    for name in qgraft.__all__:
        assert getattr(qgraft, name).__doc__, name
    with pytest.raises(AttributeError):
        qgraft.nothing


def test_layouts(tmp_path):
    """Sizes and offsets of every public struct, as the C compiler has them."""
    from qgraft._interface import ffi

    wanted = {}
    for name in (f"struct {tag}" for tag in ffi.list_types()[1] if tag.startswith("qg_")):
        try:
            wanted[f"sizeof({name})"] = ffi.sizeof(name)
        except (TypeError, ValueError, ffi.error):  # opaque
            continue
        for field, _ in ffi.typeof(name).fields:
            if field:  # no unnamed union
                wanted[f"offsetof({name}, {field})"] = ffi.offsetof(name, field)
    headers = "".join(f"#include <qgraft/{h.name}>\n" for h in (ROOT / "include/qgraft").glob("*.h"))
    lines = "".join(f'printf("%zu\\n", {word});\n' for word in wanted)
    source = f"#include <stdio.h>\n#include <stddef.h>\n{headers}int main(void) {{\n{lines}}}\n"
    (tmp_path / "probe.c").write_text(source)
    subprocess.run(["cc", f"-I{ROOT / 'include'}", "-o", tmp_path / "probe", tmp_path / "probe.c"],
                   check=True)
    found = subprocess.check_output([tmp_path / "probe"], text=True).split()
    assert len(wanted) > 300
    assert dict(zip(wanted, map(int, found))) == wanted


# ---- Networks ----


@pytest.mark.parametrize("kind", KINDS)
def test_forward(kind):
    ours, batch = make(kind), make_batch(kind, 37, 3)
    parameters = {k: v.astype(np.float64) for k, v in ours.state_dict().items()}
    inputs, q = forward(kind, parameters, batch["states"])
    close(ours.forward(batch["states"]), q)
    for i, name in enumerate(list(ours)[:-1]):
        layer = ours.activations(batch["states"], name)
        assert layer.shape[1:] == ours[name].output_shape
        if layer[0].size == inputs[i + 1][0].size:  # no padding before the next one
            close(layer.reshape(37, -1), inputs[i + 1].reshape(37, -1))
    close(ours.activations(batch["states"], list(ours)[-1]), q)


def test_states_of_fewer_channels_and_other_memory():
    """A game with 4 of the 10 channels; views, whose memory is not in order; bits as bools."""
    ours, states = make("grid"), make_batch("grid", 6, 3)["states"]
    fewer = states.copy()
    fewer[:, 4:] = 0
    q = ours.forward(states[:, :4])
    assert q.tobytes() == ours.forward(fewer).tobytes()
    turned = np.asfortranarray(states[:, :4])
    assert q.tobytes() == ours.forward(turned).tobytes()
    assert q.tobytes() == ours.forward(states[:, :4] != 0).tobytes()
    assert q[::2].tobytes() == ours.forward(states[::2, :4]).tobytes()


def test_files(tmp_path):
    save_file(network("nature", 1), tmp_path / "theirs",
              {**metadata("nature"), "domain": "pong", "actions": "a,b,c,d,e,f", "history": "4",
               "seed": "7", "step": "99", "score": "-1.5"})
    ours = qgraft.Network.load(tmp_path / "theirs")
    assert (ours.architecture, ours.input, ours.input_max) == ("nature", (4, 84, 84), 255)
    assert (ours.domain, ours.actions, ours.history) == ("pong", list("abcdef"), 4)
    assert (ours.seed, ours.step, ours.score) == (7, 99, -1.5)
    ours["fc2"].bias[2] = 12
    ours.score = 3
    ours.save(tmp_path / "ours", notes={"why": "for a test"})
    back = load_file(tmp_path / "ours")
    for name, tensor in network("nature", 1).items():
        if name == "fc2.bias":
            tensor[2] = 12
        assert back[name].tobytes() == tensor.tobytes()
    with safe_open(tmp_path / "ours", "numpy") as file:
        said = file.metadata()
    assert said["why"] == "for a test" and float(said["score"]) == 3 and said["step"] == "99"
    assert qgraft.Network.load(tmp_path / "ours").sha256 == ours.sha256
    with pytest.raises(qgraft.Error, match="control characters"):
        ours.save(tmp_path / "ours", notes={"a\nb": "no line of a table"})


@pytest.mark.parametrize("key", ["format", "input", "architecture", "step", "score"])
def test_notes_say_nothing_in_place_of_the_file(tmp_path, key):
    network = qgraft.Network("grid", input=(10, 10, 10), input_max=1, actions=3)
    network.save(tmp_path / "a", notes={"mine": "x"})
    with pytest.raises(qgraft.UsageError, match=f"notes.*'{key}'"):
        network.save(tmp_path / "a", notes={key: "final"})
    qgraft.Network.load(tmp_path / "a")


def test_arrays_outlive_their_network():
    weight = make("grid")["conv1"].weight
    expected = network("grid", 1)["conv1.weight"]
    rooms = [qgraft.Network("grid", input=(10, 10, 10), input_max=1, actions=3) for _ in range(50)]
    assert weight.tobytes() == expected.tobytes() and len(rooms) == 50


def test_copies_are_their_own():
    a = make("grid")
    for b in (a.copy(), copy.copy(a), copy.deepcopy(a)):
        before = a["fc1"].bias.copy()
        b["fc1"].bias[:] = 7
        b.actions = ["x"]
        assert a["fc1"].bias.tobytes() == before.tobytes() and a.actions == []


def test_what_is_assigned_is_the_networks():
    """Not a new array beside its parameters."""
    a, b = make("grid"), make("grid", 2)
    for name, layer in b.layers.items():
        a[name].weight = layer.weight.astype(np.float64)
        a[name].bias = list(layer.bias)
    assert a.sha256 == b.sha256
    a["fc2"].weight *= 2
    assert (a.state_dict()["fc2.weight"] == 2 * b["fc2"].weight).all()
    before = a.sha256
    for name, wrong in [("weight", b["fc1"].weight), ("weight", 0), ("bias", "x"), ("bias", [1, 2])]:
        with pytest.raises(qgraft.UsageError, match=f"^fc2.{name}: "):
            setattr(a["fc2"], name, wrong)
    for name in ("stride", "name", "weights"):
        with pytest.raises(AttributeError, match=name):
            setattr(a["fc2"], name, 1)
    assert a.sha256 == before


@pytest.mark.parametrize("kind", ["grid", "list", "dueling"])
def test_pickles(kind):
    a = (qgraft.Network([{"dueling": 7}], input=(3, 4, 5), input_max=1, actions=4, seed=1)
         if kind == "dueling" else make(kind))
    a.actions, a.domain, a.score, a.step = ["x"] * a.action_count, "minatar/breakout", 3.5, 7
    b = pickle.loads(pickle.dumps(a))
    assert (b.sha256, b.architecture, b.input, b.actions) == (a.sha256, a.architecture, a.input, a.actions)
    assert (b.domain, b.score, b.step, b.seed) == ("minatar/breakout", 3.5, 7, a.seed)
    b[list(b)[0]].bias[:] = 7
    assert b.sha256 != a.sha256


def test_initial_weights():
    """Uniform in +-1/sqrt(fan_in), of the seed alone."""
    a, b, c = (qgraft.Network("grid", input=(10, 10, 10), input_max=1, actions=4, seed=s)
               for s in (1, 1, 2))
    assert a.sha256 == b.sha256 != c.sha256
    bound = (10 * 9) ** -0.5
    assert 0.95 * bound < np.abs(a["conv1"].weight).max() <= bound
    listed = [{"conv": 5, "kernel": 3, "stride": 2}, {"linear": 8}]
    d = qgraft.Network(listed, input=(1, 12, 12), actions=["left", "right"])
    assert d["conv1"].weight.shape == (5, 1, 3, 3) and d["conv1"].stride == 2
    assert not d["fc2"].weight.any() and d.action_count == 2


def test_graft_in_memory():
    source = qgraft.Network("grid", input=(10, 10, 10), input_max=1,
                            actions=["noop", "left", "right"], seed=1)
    target = qgraft.Network("grid", input=(10, 10, 10), input_max=1,
                            actions=["right", "up", "noop"], seed=2)
    fresh = target.copy()
    assert target.graft(source, first=2) == {"conv1": ("conv1", 16), "conv2": ("conv2", 16)}
    assert (target["conv2"].weight == source["conv2"].weight).all()
    assert (target["conv3"].weight == fresh["conv3"].weight).all()
    assert target.graft(source, last=1) == {"fc2": ("fc2", 2)}
    assert (target["fc2"].weight[[2, 0]] == source["fc2"].weight[[0, 2]]).all()
    assert (target["fc2"].weight[1] == fresh["fc2"].weight[1]).all()
    assert target.graft(source, layers=[1, 4], match="index").keys() == {"conv1", "fc1"}
    with pytest.raises(qgraft.UsageError, match="one of"):
        target.graft(source, first=1, last=1)
    with pytest.raises(qgraft.UsageError):
        target.graft(source, first=9)
    other = qgraft.Network("grid", input=(10, 10, 10), input_max=1, actions=["fire"], seed=3)
    before = target.copy()
    with pytest.raises(qgraft.UsageError, match="no action of the target"):
        target.graft(other, first=5)  # nothing is copied, rather than all but the last layer
    assert all((target[name].weight == before[name].weight).all() for name in target)


# ---- Engines ----


@pytest.mark.parametrize("kind", ["grid", "list"])
def test_update(kind):
    online, target, batch = make(kind, 1), make(kind, 2), make_batch(kind, 32, 3)
    engine = qgraft.Engine(online, preset="dqn3", settings={"minibatch": 40}, threads=2)
    engine.write(target, target=True)
    rewards = np.clip(batch["rewards"], -1, 1)
    first = list(online)[0]
    engine.freeze(first)
    done = engine.update(batch["states"], batch["actions"], rewards, batch["next_states"],
                         batch["terminals"], keep_gradient=True)
    expected = update(kind, online.state_dict(), target.state_dict(), batch, {}, frozen=[first])
    close(done.q_values, expected["q"])
    assert np.abs(done.td_errors - expected["td_error"]).max() < 1e-5
    after, gradient = engine.network.state_dict(), engine.gradient.state_dict()
    for name, before in online.state_dict().items():
        if name.startswith(first + "."):
            assert after[name].tobytes() == before.tobytes() and not gradient[name].any()
        else:
            close(gradient[name], expected[f"grad.{name}"])
            assert np.abs(after[name] - expected[name]).max() < 1e-6
    assert engine.target.sha256 == target.sha256
    engine.mix_into_target(0.25)
    mixed = target["fc1"].weight + np.float32(0.25) * (engine.network["fc1"].weight
                                                       - target["fc1"].weight)
    assert np.abs(engine.target["fc1"].weight - mixed).max() < 1e-6
    engine.copy_to_target()
    assert engine.target.sha256 == engine.network.sha256
    q = engine.forward(batch["states"], target=True)
    assert q.tobytes() == engine.network.forward(batch["states"]).tobytes()


def test_weights_and_discounts():
    """Of one: what the update is without them. A weight of 0 leaves a transition out."""
    batch, after = make_batch("grid", 8, 3), []
    one, none = np.ones(8), np.array([1, 1, 1, 1, 0, 0, 0, 0])
    few = {k: v[:4] for k, v in batch.items()}
    for given, more in [(batch, {}), (batch, {"weights": one, "discounts": one * 0.99}),
                        (batch, {"weights": none}), (few, {}), (few, {"discounts": one[:4] * 0})]:
        engine = qgraft.Engine(make("grid"))
        done = engine.update(**given, **more)
        after.append(engine.network.state_dict())
    for name in after[0]:
        assert (after[0][name] == after[1][name]).all()
        assert np.abs(after[2][name] - after[3][name]).max() < 1e-7
    chosen = done.q_values[np.arange(4), few["actions"]]
    assert np.abs(done.td_errors - np.clip(few["rewards"] - chosen, -1, 1)).max() < 1e-6


def test_threads_change_no_bit():
    batch, after = make_batch("grid", 32, 3), []
    for threads in (1, 3):
        engine = qgraft.Engine(make("grid"), threads=threads)
        for _ in range(5):
            engine.update(batch["states"], batch["actions"], batch["rewards"],
                          batch["next_states"], batch["terminals"])
        after.append(engine.network.sha256)
    assert after[0] == after[1]


def test_layers_change_places():
    """The arrays of state_dict are the network's own."""
    network = qgraft.Network("grid", input=(4, 10, 10), input_max=1, actions=3, seed=1)
    own = {name: array.copy() for name, array in network.state_dict().items()}
    state = network.state_dict()
    pairs = [(a, b) for a in state for b in state if a < b and state[a].shape == state[b].shape]
    assert pairs
    a, b = pairs[0]
    network.load_state_dict({**state, a: state[b], b: state[a]})
    now = network.state_dict()
    assert (now[a] == own[b]).all() and (now[b] == own[a]).all() and (own[a] != own[b]).any()


def test_what_has_learned_has_no_score_yet():
    network = qgraft.Network("vector", input=(4, 1, 1), input_max=0, actions=2, seed=1)
    network.score, network.confirmed_score, network.step, network.domain = 7.0, 6.0, 100, "gym:CartPole-v1"
    engine = qgraft.Engine(network, preset="vector")
    assert (engine.network.score, engine.network.step) == (7.0, 100)
    states = np.zeros((2, 4), np.float32)
    engine.update(states, [0, 1], [1.0, 0.0], states, [True, False])
    learned = engine.network
    assert np.isnan([learned.score, learned.confirmed_score]).all()
    assert (learned.step, learned.domain) == (0, "gym:CartPole-v1")
    assert network.score == 7.0


def test_a_forked_child_makes_its_own_engine():
    """It would wait for threads that it does not have."""
    states = make_batch("grid", 8, 3)["states"]
    engine, alone = qgraft.Engine(make("grid"), threads=2), qgraft.Engine(make("grid"))
    expected = engine.forward(states)
    child = os.fork()
    if child == 0:
        try:
            code = (alone.forward(states) != expected).any()
            engine.forward(states)
            code = 1
        except qgraft.UsageError:
            engine = qgraft.Engine(make("grid"), threads=2)
            code |= (engine.forward(states) != expected).any()
        finally:
            os._exit(int(code))
    assert os.waitpid(child, 0)[1] == 0
    assert (engine.forward(states) == expected).all()


def test_loss_of_ones_own():
    """Half a squared error of all outputs, against the gradient of numpy."""
    online, batch = make("grid"), make_batch("grid", 8, 3)
    wanted = np.random.default_rng(5).normal(0, 1, (8, 6)).astype(np.float32)
    engine = qgraft.Engine(online)
    engine.descend(batch["states"], lambda q: wanted - q, keep_gradient=True)
    from test_update import backward

    parameters = {k: v.astype(np.float64) for k, v in online.state_dict().items()}
    inputs, q = forward("grid", parameters, batch["states"])
    expected = backward("grid", parameters, inputs, wanted - q)
    for name, d in engine.gradient.state_dict().items():
        close(d, expected[name])
    for bad in (lambda q: q[:1], lambda q: q * np.nan, lambda q: 1 / 0):
        with pytest.raises((qgraft.UsageError, ZeroDivisionError)):
            engine.descend(batch["states"], bad)


@pytest.mark.parametrize("use", [
    lambda e, b: e.forward(b["states"]), lambda e, b: e.forward(b["states"], target=True),
    lambda e, b: e.activations(b["states"], "fc1"), lambda e, b: e.update(**b),
    lambda e, b: e.descend(b["states"], lambda q: q), lambda e, b: e.write(make("grid")),
    lambda e, b: e.network, lambda e, b: e.target, lambda e, b: e.gradient,
    lambda e, b: e.copy_to_target(), lambda e, b: e.mix_into_target(0.5),
    lambda e, b: e.freeze("conv1")])
def test_a_loss_must_not_use_its_engine(use):
    """Refused, and where the loss goes on without it, the step is that of a loss which never tried."""
    batch, other, after = make_batch("grid", 8, 3), qgraft.Engine(make("grid", 2)), []
    for tries in (True, False):
        engine = qgraft.Engine(make("grid"))

        def loss(q):
            other.forward(batch["states"])  # another one may be used
            if tries:
                with pytest.raises(qgraft.UsageError, match="another Engine"):
                    use(engine, batch)
            return 1 - q

        engine.descend(batch["states"], loss)
        after.append(engine.network.sha256)
        use(engine, batch)
    assert after[0] == after[1] != make("grid").sha256
    with pytest.raises(qgraft.UsageError, match="`descend`"):
        engine.descend(batch["states"], lambda q: engine.forward(batch["states"]))
    engine.forward(batch["states"])


def test_other_threads_run_meanwhile():
    """The GIL is free in long calls: a thread counts while the network computes."""
    ours, states = make("nature"), make_batch("nature", 256, 3)["states"]
    count, stop = [0], threading.Event()

    def tick():
        while not stop.is_set():
            count[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before = count[0]
        ours.forward(states)
        assert count[0] - before >= 3
    finally:
        stop.set()
        thread.join()


# ---- Bad input ----


def test_errors_are_the_librarys_lines(tmp_path):
    (tmp_path / "text").write_text("no network")
    for error, also, words, call in [
        (qgraft.FileError, OSError, "/nowhere: ", lambda: qgraft.Network.load("/nowhere")),
        (qgraft.DataError, ValueError, "text: ", lambda: qgraft.Network.load(tmp_path / "text")),
        (qgraft.FileError, OSError, "folder", lambda: make("grid").save(tmp_path / "no" / "folder")),
        (qgraft.UsageError, ValueError, "nautre", lambda: qgraft.Network("nautre", actions=3)),
        (qgraft.UsageError, ValueError, "action", lambda: qgraft.Network("nature", actions=0)),
        (qgraft.UsageError, ValueError, "learning_rat",
         lambda: qgraft.Engine(make("grid"), settings={"learning_rat": 1})),
        (qgraft.UsageError, ValueError, "preset", lambda: qgraft.settings("dqn4")),
        (qgraft.UsageError, ValueError, "NUL", lambda: qgraft.Network.load("a\0b")),
    ]:
        with pytest.raises(error, match=words) as caught:
            call()
        assert isinstance(caught.value, also) and "\n" not in str(caught.value)


@pytest.mark.parametrize("states", [
    np.zeros((10, 10, 10), np.uint8), np.zeros((1, 11, 10, 10), np.uint8),
    np.zeros((1, 10, 10, 9), np.uint8), np.zeros((0, 10, 10, 10), np.uint8),
    np.zeros((1, 0, 10, 10), np.uint8), np.zeros((1, 10, 10, 10), np.float32), [[1, 2]], "states"])
def test_wrong_states(states):
    with pytest.raises(qgraft.UsageError, match=r"uint8 \[n, 10, 10, 10\]"):
        make("grid").forward(states)


@pytest.mark.parametrize("change", [
    {"actions": [6] * 4}, {"actions": [-1] * 4}, {"actions": [2**32] * 4}, {"rewards": [1e300] * 4}, {"actions": [1.0] * 4}, {"weights": [1]},
    {"discounts": ["x"] * 4}, {"actions": None}, {"rewards": [None] * 4}, {"actions": [1] * 3}, {"rewards": [np.nan] * 4},
    {"rewards": [[1.0]] * 4}, {"terminals": [1] * 5}, {"next_states": np.zeros((3, 10, 10, 10), "u1")},
    {"next_states": np.zeros((4, 9, 10, 10), "u1")}])
def test_wrong_batches(change):
    batch = {**make_batch("grid", 4, 3), **change}
    engine = qgraft.Engine(make("grid"))
    before = engine.network.sha256
    with pytest.raises(qgraft.UsageError):
        engine.update(**batch)
    big = make_batch("grid", 33, 3)
    with pytest.raises(qgraft.UsageError, match="minibatch"):
        engine.update(**big)
    assert engine.network.sha256 == before


def test_natural_arguments():
    """Numbers of numpy, whole floats, one where several may be, layers by name."""
    shape = {"input": np.array([10, 10, 10]), "input_max": 1.0}
    a = qgraft.Network("grid", actions=np.int64(3), seed=np.int64(1), **shape)
    assert a.action_count == 3 and a.seed == 1
    b = qgraft.Network([{"conv": np.int64(16), "kernel": np.int32(3)}, {"linear": 8}], actions="fire", **shape)
    assert b.actions == ["fire"] and b["conv1"].output_shape[0] == 16
    for layers in (2, "conv2", ["conv2"], np.array([2]), "2"):
        fresh = qgraft.Network("grid", actions=3, **shape)
        assert list(fresh.graft(a, layers=layers)) == ["conv2"]
    assert list(fresh.graft(a, layers="conv1, 4", match="index")) == ["conv1", "fc1"]
    assert qgraft.settings("grid", replay=np.float64(1e5), clip_reward=np.bool_(True))["replay"] == 100_000
    engine = qgraft.Engine(a, threads=np.int64(2))
    batch = make_batch("grid", 4, 3)
    engine.update(**{**batch, "actions": [0, 1, 2, 0]}, keep_gradient=np.True_)
    assert engine.gradient.sha256


@pytest.mark.parametrize("name, call", [
    ("input", lambda: qgraft.Network("grid", input=(10, 10), actions=3)),
    ("input", lambda: qgraft.Network("grid", input=10, actions=3)),
    ("input", lambda: qgraft.Network("grid", input=(10, 10, "x"), actions=3)),
    ("input_max", lambda: qgraft.Network("grid", input=(10, 10, 10), input_max=0.5, actions=3)),
    ("actions", lambda: qgraft.Network("grid", actions=2.5)), ("seed", lambda: qgraft.Network(actions=2, seed=-1)),
    ("layers", lambda: make("grid").graft(make("grid"), layers=["conv9"])),
    ("layers", lambda: make("grid").graft(make("grid"), layers=[1.5])),
    ("source", lambda: make("grid").graft("file", first=1)), ("network", lambda: qgraft.Engine("file")),
    ("network", lambda: qgraft.Engine(make("grid")).write("file")), ("preset", lambda: qgraft.settings(3)),
    ("isa", lambda: qgraft.Engine(make("grid"), isa=5)),
    ("frozen", lambda: qgraft.Engine(make("grid")).freeze("conv1", frozen="no"))])
def test_arguments_that_are_none(name, call):
    with pytest.raises(qgraft.UsageError, match=rf"\b{name}\b") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_wrong_uses():
    engine, actor = qgraft.Engine(make("grid")), qgraft.Engine(make("grid"), learns=False)
    batch = make_batch("grid", 4, 3)
    for call in [lambda: engine.write(make("list")), lambda: engine.freeze("conv9"),
                 lambda: engine.activations(batch["states"], "fc9"), lambda: actor.update(**batch),
                 actor.copy_to_target, lambda: actor.target,
                 lambda: actor.forward(batch["states"], target=True),
                 lambda: make("grid").load_state_dict({}),
                 lambda: qgraft.Network(input=(4, 84, 84), actions=["a,b", "c"]).save("/nowhere"),
                 lambda: make("grid").load_state_dict({**network("grid", 1), "fc2.bias": [1, 2]}),
                 lambda: qgraft.Engine(make("grid"), isa="abacus"),
                 lambda: qgraft.Engine(make("grid"), threads=-1),
                 lambda: qgraft.Engine(make("grid"), threads=257, learns=False),
                 lambda: qgraft.Engine(make("grid"), threads=1.5), lambda: engine.mix_into_target(np.nan),
                 lambda: qgraft.Engine(make("grid"), settings={"precision": "float8"})]:
        with pytest.raises(qgraft.UsageError) as caught:
            call()
        assert "\n" not in str(caught.value)


# ---- The wheel ----


def test_wheel():
    """What lies in it, and that nothing of this machine does."""
    wheels = sorted((ROOT / "build/wheel").glob("*.whl"))
    if not wheels:
        pytest.skip("scripts/install-package.sh makes it")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        names = wheel.namelist()
        for name in ("libqgraft.so", "bin/qgraft", "py.typed", "_interface.py", "envs.py"):
            assert f"qgraft/{name}" in names
        assert not [n for n in names if n.endswith((".a", ".h", ".pyc"))]
        for name in ("qgraft/libqgraft.so", "qgraft/bin/qgraft"):
            assert wheel.getinfo(name).external_attr >> 16 & 0o111
    audit = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheels[-1]],
                           capture_output=True, text=True)
    assert "manylinux_2" in audit.stdout, audit.stdout + audit.stderr


def test_settings():
    """As the program prints them, of every type."""
    ours = qgraft.settings("grid", learning_rate=0.5, clip_reward=True)
    lines = subprocess.check_output([PROGRAM, "train", "--preset=grid", "--settings",
                                     "--set=learning_rate=0.5", "--set=clip_reward=true"], text=True)
    theirs = dict(line.split(" #")[0].strip().split(": ", 1) for line in lines.splitlines())
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        word = str(value).lower() if isinstance(value, bool) else str(value)
        assert word == theirs[name] or float(word) == float(theirs[name]), name
    assert ours["clip_reward"] is True and isinstance(ours["minibatch"], int)


def test_networks_of_vectors():
    ours = qgraft.Network([{"linear": 8}], input=(4, 1, 1), input_max=0, actions=2, seed=1)
    states = np.random.default_rng(1).normal(0, 3, (6, 4)).astype(np.float32)
    hidden = np.maximum(states @ ours["fc1"].weight.T + ours["fc1"].bias, 0)
    close(ours.forward(states), (hidden @ ours["fc2"].weight.T + ours["fc2"].bias).astype(float))
    engine = qgraft.Engine(ours)
    engine.update(states, [0, 1] * 3, [1.0] * 6, states[::-1], [0] * 6)
    assert engine.network.sha256 != ours.sha256
    for wrong in (states.astype(np.float64), states[:, :0], states * np.nan, states > 0):
        with pytest.raises(qgraft.UsageError):
            ours.forward(wrong)
