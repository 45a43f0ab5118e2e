"""What the peers in Python share: compare.py's files and the conversation with it."""

import sys
import time
from pathlib import Path

from safetensors.numpy import load_file, save_file

FOLDER = Path(sys.argv[1])
DISCOUNT, RATE, DECAY, EPSILON = 0.99, 0.00025, 0.95, 0.01  # the preset dqn3


def network():
    """The largest value of a state; (outputs, kernel, stride, padding) of every layer."""
    first, *layers = (FOLDER / "network.txt").read_text().splitlines()
    return int(first.split()[-1]), [tuple(map(int, line.split())) for line in layers]


def load(name):
    return load_file(FOLDER / f"{name}.safetensors")


def names():
    """(weights, biases) of every layer."""
    convs = sum(kernel > 0 for _, kernel, _, _ in network()[1])
    layers = range(len(network()[1]))
    layer_names = [f"conv{i + 1}" if i < convs else f"fc{i - convs + 1}" for i in layers]
    return [(f"{name}.weight", f"{name}.bias") for name in layer_names]


def serve(name, update, parameters):
    """Writes the parameters after two updates, then times updates for as long as each line of the
    input says."""
    update()
    update()
    save_file(parameters(), FOLDER / f"{name}.safetensors")
    print("ready", flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while len(times) < 5 or time.perf_counter() < end:
            start = time.perf_counter()
            update()
            times.append(1e3 * (time.perf_counter() - start))
        print(min(times), sorted(times)[len(times) // 2], flush=True)
