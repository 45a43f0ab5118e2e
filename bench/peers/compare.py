"""Times one DQN update in qgraft and in its peers, in turns: compare.py QGRAFT ONEDNN PRESET PRECISION.

A peer is given a folder (see material.py). It makes two updates, writes its parameters and says
"ready"; then it reads numbers of seconds, makes updates for that long and answers with the least
and the median time of one in ms. Its parameters are compared with those after two `qgraft update`s.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from safetensors.numpy import load_file

from material import BATCH, prepare, qgraft_updates

ROUNDS, SECONDS = 5, 0.6
HERE = Path(__file__).parent
QGRAFT, ONEDNN, PRESET, PRECISION = sys.argv[1:]
TORCH = [sys.executable, HERE / "torch_update.py"]
PEERS = {
    "onednn": ("oneDNN", [ONEDNN]),
    "compiled": ("PyTorch, compiled", [*TORCH, "--compile"]),
    "eager": ("PyTorch, eager", TORCH),
    "jax": ("JAX, jit", [sys.executable, HERE / "jax_update.py"]),
}
# How far the changes of two updates may be from qgraft's, and the parameters: see check. PyTorch rounds
# every layer's outputs to bf16, qgraft what the layers multiply, and not in the last one.
NEAR = (1e-2, 1e-3)
if PRECISION == "bf16":
    PEERS = {"compiled": ("PyTorch, compiled", [*TORCH, "--compile", "--bf16"]),
             "eager": ("PyTorch, eager", [*TORCH, "--bf16"])}
    NEAR = (0.1, 0.03)


def start(folder, key, threads):
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NPROC": str(threads)}
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    program, *rest = PEERS[key][1]
    place = [folder] if key == "onednn" else [rest[0], folder, key, *rest[1:]]
    log = folder / f"{key}.log"
    peer = subprocess.Popen([program, *place], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=log.open("w"), text=True, env=environment)
    if peer.stdout.readline() != "ready\n":
        sys.exit(f"compare.py: {PEERS[key][0]} did not start:\n{log.read_text()[-2000:]}")
    return peer


def load_result(folder, key, online):
    if key != "onednn":
        return load_file(folder / f"{key}.safetensors")
    flat = np.fromfile(folder / "onednn.f32", np.float32)
    parts = np.split(flat, np.cumsum([p.size for p in online.values()])[:-1])
    return {name: part.reshape(online[name].shape) for name, part in zip(online, parts)}


def check(folder, key, online, expected):
    """The change that two updates made to each tensor against qgraft's: the norm of the difference
    over the norm, the largest. Most of it is from ReLUs whose inputs round to the other side of 0.
    And the parameters' own difference, over a tensor's largest."""
    result = load_result(folder, key, online)
    norm = np.linalg.norm
    off = max(norm(result[n] - expected[n]) / norm(expected[n] - online[n]) for n in online)
    far = max(np.abs(result[n] - expected[n]).max() / np.abs(expected[n]).max() for n in online)
    if not (off < NEAR[0] and far < NEAR[1]):
        sys.exit(f"compare.py: {PEERS[key][0]} makes another update than qgraft: {off:.1e} of the "
                 f"changes, {far:.1e} of the parameters")
    return off


def time_qgraft(threads):
    out = subprocess.run([QGRAFT, "bench", "update", "--preset", PRESET, "--json", "--precision",
                          PRECISION, "--threads", str(threads), "--seconds", str(SECONDS)],
                         check=True, capture_output=True, text=True).stdout
    figures = {f["name"]: f["value"] for f in json.loads(out)["figures"]
               if ", dense, batch" in f["what"]}
    return figures["minimum"], figures["median"]


def time_peer(peer):
    peer.stdin.write(f"{SECONDS}\n")
    peer.stdin.flush()
    return tuple(map(float, peer.stdout.readline().split()))


def compare(threads):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        online, batch = prepare(folder, PRESET, seed=1)
        expected = qgraft_updates(QGRAFT, folder, PRECISION, PRESET, online, batch)
        peers = {key: start(folder, key, threads) for key in PEERS}
        errors = {key: check(folder, key, online, expected) for key in PEERS}
        times = {key: [] for key in ("qgraft", *PEERS)}
        for _ in range(ROUNDS):
            times["qgraft"].append(time_qgraft(threads))
            for key, peer in peers.items():
                times[key].append(time_peer(peer))
        for peer in peers.values():
            peer.stdin.close()
            peer.wait()
    print(f"\n{PRESET}, {PRECISION}, batch {BATCH}, threads {threads}, load {os.getloadavg()[0]:.1f}"
          f" on {os.cpu_count()} cores")
    print(f"{'':20}{'least':>9}{'median':>9} ms   / qgraft's       changes checked: differ by")
    summary = {key: (min(least for least, _ in rounds), median(middle for _, middle in rounds))
               for key, rounds in times.items()}
    for key, (least, middle) in summary.items():
        name = PEERS[key][0] if key in PEERS else key
        ratios = (mine / ours for mine, ours in zip(summary[key], summary["qgraft"]))
        checked = f"{errors[key]:.1e}" if key in errors else ""
        print(f"{name:20}{least:9.3f}{middle:9.3f}", *(f"{ratio:7.2f}" for ratio in ratios),
              f"     {checked}", flush=True)


for threads in (1, 2):
    compare(threads)
