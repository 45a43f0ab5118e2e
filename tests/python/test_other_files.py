"""Files that are something else: each reader says in one line what it was given, where, and the line
of Python or git that makes the right file, if there is one."""

import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

import killing
from test_faults import SETTINGS, STUDY

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")
ATARI = Path(os.environ.get("QGRAFT_ATARI") or Path.home() / ".local/share/qgraft/atari")
PLAIN = "runs/base/s1/evaluations.csv"


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return file.getvalue()


def of_numpy(save, *arrays, **named):
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def pickled_by_torch():
    """As PyTorch wrote files before they were zip archives."""
    return b"".join(pickle.dumps(part, protocol=2)
                    for part in (0x1950a86a20f9469cfc6c, 1001, {"little_endian": True}))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 6746952\n"
PYTHON = "in Python"
DOWNLOAD, UNPACK, AGAIN = "download the file itself", "unpack it", "copy or make it again"

# name: bytes, what it is, how it is mended, how a safetensors file is made of it
KINDS = {
    "sb3": (zipped("data", "pytorch_variables.pth", "policy.pth", "policy.optimizer.pth"),
            "a zip file of Stable-Baselines3", None, 'DQN.load("FILE").policy.state_dict()'),
    "torch": (zipped("archive/data.pkl", "archive/byteorder", "archive/data/0"),
              "a zip file of PyTorch", None, 'torch.load("FILE", map_location="cpu")'),
    "legacy": (pickled_by_torch(), "a pickle of PyTorch", None, 'torch.load("FILE"'),
    "pickle": (pickle.dumps({"q": [1.0]}), "a pickle of Python", None, "docs/files.md"),
    "npz": (of_numpy(np.savez, a=np.zeros(3)), "a zip file of numpy", None, 'numpy.load("FILE")'),
    "npy": (of_numpy(np.save, np.zeros(3)), "an array of numpy", None, 'numpy.load("FILE")'),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(88), "an HDF5 file", None, "docs/files.md"),
    "torch7": (struct.pack("<iii", 3, 1, 5) + bytes(99), "a file of Torch7", None, "qgraft import"),
    "lfs": (LFS, "a Git LFS pointer", "git lfs pull", None),
    "html": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>\n", "a page of HTML", DOWNLOAD, None),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a page of HTML or XML",
            DOWNLOAD, None),
    "zip": (zipped("README.md", "breakout.bin"), "a zip archive", UNPACK, None),
    "gzip": (gzip.compress(b"x" * 999, mtime=0), "a compressed file", UNPACK, None),
    "xz": (lzma.compress(b"x" * 999), "a compressed file", UNPACK, None),
    "tar": (tarred(), "a compressed file or archive", UNPACK, None),
    "nul": (bytes(4096), "NUL bytes", AGAIN, None),
    "empty": (b"", "an empty file", AGAIN, None),
    "text": (b"hello world\n", "a text file", None, None),
    "bom": ("\ufeffhello: world\n".encode(), "a byte order mark", None, None),
    "utf16": ("hello: world\n".encode("utf-16"), "text in UTF-16", None, None),
    "safetensors": (save({"a": np.zeros(3)}), "a safetensors file", None, None),
    "checkpoint": (b"qgraft state\n\0\0\0" + bytes(64), "a checkpoint", "best.safetensors", None),
    "program": (b"\x7fELF\2\1\1" + bytes(57), "a program or library", None, None),
    "windows": (b"MZ\x90\0\3\0\0\0", "of Windows or macOS", None, None),
    "archive": (b"!<arch>\nx.o/\n", "a static library", None, None),
}
TEXT = {"text", "bom", "utf16"}


def call(folder, *words, env=None):
    return subprocess.run([QGRAFT, *map(str, words)], cwd=folder, capture_output=True, text=True,
                          timeout=1200, env={**os.environ, **(env or {})})


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A study, a sample set and the source of a network."""
    folder = tmp_path_factory.mktemp("ready")
    (folder / "study.yaml").write_text(STUDY)
    (folder / "set.yaml").write_text(json.dumps({"seed": 1}))
    for words in (["run", "study.yaml", "--out", "study", "--quiet"],
                  ["train", "minatar/breakout", "--steps", 300, "--out", "run", "--quiet",
                   *killing.words(SETTINGS)],
                  ["distill", "run/best.safetensors", "--samples", 200, "--set-file", "samples",
                   "--out", "distilled", "--quiet", *killing.words({"eval_steps": 50})]):
        result = call(folder, *words)
        assert result.returncode == 0, result.stderr
    return folder


def tensors(*words):
    """A reader of safetensors: it gives the line of Python."""
    def read(folder, ready, bad):
        network = ready / "run/best.safetensors"
        return call(folder, *(bad if w == "BAD" else network if w == "NETWORK" else w for w in words))
    return read


def study(folder, ready, bad):
    return call(folder, "run", bad, "--out", "out")


def settings(folder, ready, bad):
    return call(folder, "train", "minatar/breakout", "--config", bad, "--out", "out")


def table(folder, ready, bad):
    shutil.copytree(ready / "study", folder / "study")
    shutil.copy(bad, folder / "study" / PLAIN)
    return call(folder, "report", "study")


def record(folder, ready, bad):
    shutil.copytree(ready / "study", folder / "study")
    shutil.copy(bad, folder / "study/study.json")
    return call(folder, "status", "study")


def checkpoint(folder, ready, bad):
    shutil.copytree(ready / "run", folder / "run")
    process = folder / "run/process.yaml"
    process.write_text(process.read_text().replace("state: finished", "state: stopped"))
    shutil.copy(bad, folder / "run/checkpoint-B")
    return call(folder, "train", "minatar/breakout", "--steps", 300, "--out", "run", "--quiet",
                "--resume", *killing.words(SETTINGS))


def run_file(folder, ready, bad):
    shutil.copytree(ready / "run", folder / "run")
    shutil.copy(bad, folder / "run/run.yaml")
    return call(folder, "train", "minatar/breakout", "--steps", 300, "--out", "run", "--resume",
                *killing.words(SETTINGS))


def samples(folder, ready, bad):
    return call(folder, "distill", ready / "run/best.safetensors", "--samples", 200, "--set-file", bad,
                "--out", "out")


def actions(folder, ready, bad):
    return call(folder, "rollout", "minatar/breakout", "--actions", bad, "--seed", 1, "--out", "out")


def plugin(folder, ready, bad):
    return call(folder, "games", "--domain-plugin", bad)


def rom(folder, ready, bad):
    if not (ATARI / "libqgraft_ale.so").exists():
        pytest.skip("no Atari emulator")
    (folder / "roms").mkdir()
    (folder / "libqgraft_ale.so").symlink_to(ATARI / "libqgraft_ale.so")
    shutil.copy(bad, folder / "roms/pong.bin")
    return call(folder, "rollout", "pong", "--random", 5, "--seed", 1, "--out", "out",
                env={"QGRAFT_ATARI": str(folder)})


def emulator(folder, ready, bad):
    if not (ATARI / "roms").exists():
        pytest.skip("no Atari emulator")
    (folder / "roms").symlink_to(ATARI / "roms")
    shutil.copy(bad, folder / "libqgraft_ale.so")
    return call(folder, "rollout", "pong", "--random", 5, "--seed", 1, "--out", "out",
                env={"QGRAFT_ATARI": str(folder)})


# reader: kinds that it says something else of, for that is not what is wrong with them
READERS = {
    "inspect": (tensors("inspect", "BAD"), {"safetensors"}),
    "import": (tensors("import", "BAD", "--out", "out"), {"safetensors", "torch7"}),
    "study": (study, {"empty", *TEXT}),
    "settings": (settings, {"empty", *TEXT}),
    "table": (table, {"empty", "text"}),
    "record": (record, {"text", "bom", "utf16"}),
    "checkpoint": (checkpoint, {"checkpoint"}),
    "run": (run_file, {"empty", "text"}),
    "samples": (samples, set()),
    "actions": (actions, {"empty", "text"}),
    "plugin": (plugin, {"program"}),
    "rom": (rom, set()),
    "emulator": (emulator, {"program"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_each_reader_with_each_kind(reader, kind, ready, tmp_path):
    read, others = READERS[reader]
    data, name, mend, to_tensors = KINDS[kind]
    bad = tmp_path / "given"
    bad.write_bytes(data)
    result = read(tmp_path, ready, bad)
    if (reader, kind) == ("inspect", "safetensors"):
        assert result.returncode == 0
        return
    assert result.returncode in (1, 2), result
    said = result.stderr
    assert said.startswith("qgraft: ") and said.count("\n") == 1 and len(said) < 520, said
    assert not (tmp_path / "out").exists() or reader == "study"
    if kind in others:
        return
    assert name in said, said
    if reader in ("inspect", "import"):
        assert str(bad) in said and "not a safetensors file" in said
        assert (to_tensors or mend or "") in said
    else:
        assert (mend or "") in said and PYTHON not in said, said


@pytest.mark.parametrize("kind", ["sb3", "lfs", "nul"])
@pytest.mark.parametrize("words", [
    ("inspect", "--pedigree", "BAD"), ("evaluate", "BAD"), ("play", "BAD"),
    ("export", "BAD", "--format", "sb3", "--out", "out"), ("distill", "BAD", "--out", "out"),
    ("graft", "BAD", "--to", "minatar/asterix", "--first", 1, "--out", "out"),
    ("rollout", "minatar/breakout", "--actions", "BAD", "--seed", 1, "--out", "out"),
    ("update", "--online", "NETWORK", "--target", "NETWORK", "--batch", "BAD", "--out", "out"),
    ("similarity", "minatar/breakout", "minatar/asterix", "--networks", "NETWORK", "BAD"),
], ids=lambda words: words[0])
def test_all_commands_that_read_safetensors(words, kind, ready, tmp_path):
    data, name, mend, to_tensors = KINDS[kind]
    bad = tmp_path / "given.safetensors"
    bad.write_bytes(data)
    result = tensors(*words)(tmp_path, ready, bad)
    said = result.stderr
    assert result.returncode == 1 and said.startswith("qgraft: ") and said.count("\n") == 1, said
    assert f"{bad}: not a safetensors file, but {name}" in said and (to_tensors or mend) in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["torch", "lfs", "text"])
def test_a_large_file_where_a_small_one_is_read(kind, tmp_path):
    bad = tmp_path / "study.yaml"
    bad.write_bytes(KINDS[kind][0] + (b"#" * 2000000))
    said = call(tmp_path, "run", bad, "--out", "out").stderr
    assert "too large" in said and (kind == "text") == (KINDS[kind][1] not in said), said


def test_a_header_that_is_filled_up_with_nul_bytes(tmp_path):
    """And the line of Python that is given mends it."""
    path = tmp_path / "FILE"
    whole = save({"a": np.arange(3, dtype=np.float32)})
    size = struct.unpack("<Q", whole[:8])[0]
    header = whole[8:8 + size].rstrip()
    padded = header + bytes(64 - len(header) % 64)
    path.write_bytes(struct.pack("<Q", len(padded)) + padded + whole[8 + size:])
    said = call(tmp_path, "inspect", path).stderr
    assert f"filled up with {len(padded) - len(header)} NUL bytes" in said and said.count("\n") == 1
    subprocess.run([sys.executable, "-c", said.split("in Python: ")[1]], cwd=tmp_path, check=True)
    assert np.array_equal(load_file(path)["a"], np.arange(3))
    assert call(tmp_path, "inspect", path).returncode == 0


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_the_line_of_python_for_numpy(kind, tmp_path):
    (tmp_path / "FILE").write_bytes(KINDS[kind][0])
    said = call(tmp_path, "inspect", "FILE").stderr
    subprocess.run([sys.executable, "-c", said.split("in Python: ")[1]], cwd=tmp_path, check=True)
    assert [len(a) for a in load_file(tmp_path / "FILE.safetensors").values()] == [3]


def test_the_line_of_a_nul_byte(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"study: x\nseeds: 1\n" + bytes(100))
    said = call(tmp_path, "run", path, "--out", "out").stderr
    assert f"{path}:3: not YAML: a NUL byte" in said


def test_a_state_dict_is_no_network(tmp_path):
    (tmp_path / "theirs").write_bytes(save({"network.0.weight": np.zeros(3, np.float32)}))
    said = call(tmp_path, "evaluate", "theirs").stderr
    assert "not a qgraft network" in said and "qgraft import" in said
