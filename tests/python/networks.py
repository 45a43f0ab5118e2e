"""Networks in numpy, on the states of the built-in games."""

import numpy
from safetensors.numpy import load_file

from test_cli import qgraft


def padded(screens):
    """States [N, 10, 10, 10] of screens [N, 10, 10, channels], as networks of the grid games take them."""
    states = numpy.zeros((len(screens), 10, 10, 10))
    states[..., :screens.shape[-1]] = screens
    return states.transpose(0, 3, 1, 2)


def fixed_states(folder, game, count):
    """As docs/diagnostics.md says: every tenth state of random play of seed 1."""
    path = folder / "play.safetensors"
    qgraft("rollout", game, "--random", 10 * count, "--seed", 1, "--out", path)
    return padded(load_file(path)["observations"][::10][:count])


def activations(network, states):
    """The outputs of every layer of a file, or of its tensors, float64, flattened as PyTorch does."""
    tensors = network if isinstance(network, dict) else load_file(network)
    x = states.astype(float)
    weights = [name for name in tensors if name.endswith(".weight")]
    weights.sort(key=lambda name: (name.startswith("fc"), name))
    outputs = []
    for name in weights:
        w, b = (tensors[name.replace("weight", kind)].astype(float) for kind in ("weight", "bias"))
        if w.ndim == 4:
            windows = numpy.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
            x = numpy.einsum("ncyxhw,ochw->noyx", windows, w, optimize=True) + b[:, None, None]
        else:
            x = x.reshape(len(x), -1) @ w.T + b
        if name != weights[-1]:
            x = numpy.maximum(x, 0)
        outputs.append(x.reshape(len(x), -1))
    return outputs
