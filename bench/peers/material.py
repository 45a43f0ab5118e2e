"""What one update is made of, as qgraft and its peers read it: networks and a minibatch.

In a folder: online, target and batch as `qgraft update` reads them; for oneDNN also as raw arrays;
and network.txt (batch, channels, height, width, largest value; then outputs, kernel, stride and
padding of every layer, kernel 0 a linear one).
"""

import subprocess

import numpy as np
from safetensors.numpy import load_file, save_file

BATCH = 32
# channels, height, width, largest value; layers: the last has as many outputs as there are actions
NETWORKS = {
    "nature": ((4, 84, 84, 255), [(32, 8, 4, 1), (64, 4, 2, 0), (64, 3, 1, 0), (512, 0, 1, 0),
                                  (4, 0, 1, 0)]),
    "grid": ((10, 10, 10, 1), [(16, 3, 1, 0)] * 3 + [(128, 0, 1, 0), (6, 0, 1, 0)]),
}


def make_network(preset, random):
    (channels, height, width, _), layers = NETWORKS[preset]
    parameters, linears = {}, 0
    for i, (outputs, kernel, stride, padding) in enumerate(layers):
        if kernel:
            name, shape = f"conv{i + 1}", (outputs, channels, kernel, kernel)
            height, width = ((n + 2 * padding - kernel) // stride + 1 for n in (height, width))
        else:
            linears += 1
            name, shape = f"fc{linears}", (outputs, channels * height * width)
            height = width = 1
        bound = np.prod(shape[1:]) ** -0.5
        parameters[f"{name}.weight"] = random.uniform(-bound, bound, shape).astype(np.float32)
        parameters[f"{name}.bias"] = random.uniform(-bound, bound, outputs).astype(np.float32)
        channels = outputs
    return parameters


def make_batch(preset, random):
    """Half the values of a state are zero, as in `qgraft bench`."""
    (*shape, largest), layers = NETWORKS[preset]
    values = random.integers(1, largest, (2, BATCH, *shape), np.uint8, endpoint=True)
    values *= random.integers(0, 2, values.shape, np.uint8)
    return {"states": values[0], "next_states": values[1],
            "actions": random.integers(0, layers[-1][0], BATCH),
            "rewards": random.integers(-1, 2, BATCH).astype(np.float32),
            "terminals": (random.random(BATCH) < 0.05).astype(np.uint8)}


def save_network(folder, preset, name, parameters):
    shape = ",".join(map(str, NETWORKS[preset][0]))
    save_file(parameters, folder / f"{name}.safetensors", {
        "format": "qgraft network 1", "architecture": preset, "input": shape, "domain": "",
        "actions": "", "seed": "1", "step": "0"})
    np.concatenate([p.ravel() for p in parameters.values()]).tofile(folder / f"{name}.f32")


def save_batch(folder, batch):
    save_file(batch, folder / "batch.safetensors")
    ending = {"states": "u8", "next_states": "u8", "actions": "i64", "rewards": "f32",
              "terminals": "u8"}
    for key, values in batch.items():
        values.tofile(folder / f"{key}.{ending[key]}")


def prepare(folder, preset, seed):
    """Fills the folder; returns the learner and the minibatch."""
    random = np.random.default_rng(seed)
    online, target = make_network(preset, random), make_network(preset, random)
    batch = make_batch(preset, random)
    save_network(folder, preset, "online", online)
    save_network(folder, preset, "target", target)
    save_batch(folder, batch)
    shape, layers = NETWORKS[preset]
    lines = [(BATCH, *shape), *layers]
    (folder / "network.txt").write_text("".join(" ".join(map(str, l)) + "\n" for l in lines))
    return online, batch


def qgraft_updates(qgraft, folder, precision, preset, online, batch):
    """The parameters after two updates."""
    moments = {}
    for name in ("first", "second"):
        save_network(folder, preset, name, online)
        save_file(batch | moments, folder / "batch2.safetensors")
        subprocess.run([qgraft, "update", "--online", folder / f"{name}.safetensors", "--target",
                        folder / "target.safetensors", "--batch", folder / "batch2.safetensors",
                        "--set", f"precision={precision}", "--out", folder / "out.safetensors"], check=True)
        out = load_file(folder / "out.safetensors")
        online = {key: out[key] for key in online}
        moments = {key: value for key, value in out.items() if key.startswith("moment")}
    return online
