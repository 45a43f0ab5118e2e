"""The files of qgraft against the programs that own the formats: safetensors and TensorBoard.

QGRAFT_WRITE_FORMATS names the tool tests/tools/write_formats.c; without it the one that was built
beside the program QGRAFT, or in build/release, is taken.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("QGRAFT", ROOT / "build/release/src/cli/qgraft")).parents[2]
TOOL = os.environ.get("QGRAFT_WRITE_FORMATS", BUILD / "tests/write_formats")
DTYPES = {"F32": np.float32, "U8": np.uint8, "I64": np.int64}
UNIT = 10**12  # the steps of the event files are 0, UNIT, 2 UNIT ...: beyond 32 bits


def tool(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)


def table(path):
    """What the C reader makes of a file: metadata, and arrays in its order."""
    result = tool("table", path)
    assert result.returncode == 0, result.stderr
    read = json.loads(result.stdout)
    arrays = {
        t["name"]: np.frombuffer(bytes(t["bytes"]), DTYPES[t["dtype"]]).reshape(t["shape"])
        for t in read["tensors"]
    }
    return read["metadata"], arrays


def assert_same(left, right):
    assert left.dtype == right.dtype and left.shape == right.shape
    assert left.tobytes() == right.tobytes()


EXPECTED = {
    "steps": np.array([-(2**63), -1, 2**63 - 1], np.int64).reshape(3, 1, 1),
    "scalar": np.array(0.1, np.float32),
    "conv.0/weight": np.array([[0.0, -0.0, 0.1], [1e-45, -3.4028235e38, 7]], np.float32),
    "empty": np.zeros((0, 4), np.float32),
    "board hé": np.array([0, 1, 127, 128, 255], np.uint8),
}


def test_safetensors_reads_what_we_write(tmp_path):
    path = tmp_path / "a.safetensors"
    assert tool("tensors", path).returncode == 0
    arrays = load_file(path)
    assert set(arrays) == set(EXPECTED)
    for name, array in arrays.items():
        assert_same(array, EXPECTED[name])
    with safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt", "text": '"quoted" \\ \n\t hé'}
        for name in file.keys():
            assert_same(file.get_tensor(name), EXPECTED[name])


def test_same_bytes_each_time(tmp_path):
    for name in "ab":
        assert tool("tensors", tmp_path / name).returncode == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("metadata", [None, {}, {"b": "2\n", "a": "hé"}])
def test_we_read_what_safetensors_writes(tmp_path, metadata):
    path = tmp_path / "a.safetensors"
    save_file(EXPECTED, path, metadata=metadata)
    read_metadata, arrays = table(path)
    assert read_metadata == (metadata or {})
    assert set(arrays) == set(EXPECTED)
    for name, array in arrays.items():
        assert_same(array, EXPECTED[name])


def test_we_read_many_random_tensors(tmp_path):
    random = np.random.default_rng(1)
    arrays = {}
    for n in range(200):
        shape = tuple(random.integers(0, 4, random.integers(0, 9)))
        dtype = list(DTYPES.values())[n % 3]
        arrays[f"tensor {n}"] = random.integers(0, 200, shape).astype(dtype)
    path = tmp_path / "a.safetensors"
    save_file(arrays, path)
    _, read = table(path)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert_same(read[name], array)


def write_zeros(path, dtype, size):
    """Eight values of a type, which numpy may not have: `size` bytes."""
    header = json.dumps({"x": {"dtype": dtype, "shape": [2, 4], "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


def test_every_dtype_of_safetensors(tmp_path):
    """The list is the one that the package itself names when it meets another."""
    path = tmp_path / "a.safetensors"
    write_zeros(path, "F17", 17)
    with pytest.raises(SafetensorError) as refused:
        safe_open(path, "np")
    dtypes = re.findall("`([A-Z][A-Z0-9_]*)`", str(refused.value).split("expected")[1])
    assert len(dtypes) >= 22 and "F8_E8M0" in dtypes
    ours = tool("table", path)
    assert ours.returncode == 1 and "'x' has the dtype 'F17'" in ours.stderr
    for dtype in dtypes:
        bits = int(re.search("[0-9]+", dtype)[0]) if dtype != "BOOL" else 8
        write_zeros(path, dtype, bits)
        with safe_open(path, "np") as file:
            assert file.get_slice("x").get_dtype() == dtype
        (tensor,) = json.loads(tool("table", path).stdout)["tensors"]
        assert (tensor["dtype"], tensor["shape"], len(tensor["bytes"])) == (dtype, [2, 4], bits)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "uint16", "int32", "uint32", "uint64",
                                   "float16", "float64", "complex64"])
def test_values_of_other_dtypes(dtype, tmp_path):
    array = np.arange(12).astype(dtype).reshape(3, 4)
    save_file({"before": np.zeros(3, np.uint8), "x": array}, tmp_path / "a.safetensors")
    tensors = json.loads(tool("table", tmp_path / "a.safetensors").stdout)["tensors"]
    assert next(bytes(t["bytes"]) for t in tensors if t["name"] == "x") == array.tobytes()


def test_tensorboard_reads_every_record(tmp_path):
    assert tool("events", tmp_path).returncode == 0
    files = sorted(tmp_path.iterdir())
    assert files[0].name.startswith("events.out.tfevents.1700000000.")
    assert files[1].name.startswith("events.out.tfevents.1700000100.")
    events = list(EventFileLoader(str(files[0])).Load())  # checks both checksums of each record
    assert events[0].file_version == "brain.Event:2"
    assert events[0].wall_time == 1700000000.25
    assert events[1].session_log.status == 1  # START
    assert len(events) == 2 + 2 * 5
    assert [e.step for e in events[2::2]] == [step * UNIT for step in range(5)]


def test_tensorboard_drops_what_a_resumed_run_writes_again(tmp_path):
    assert tool("events", tmp_path).returncode == 0
    board = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(board.Tags()["scalars"]) == ["evaluation/score", "loss"]
    loss = board.Scalars("loss")
    score = board.Scalars("evaluation/score")
    assert [(e.step, -e.value) for e in score] == [(e.step, e.value) for e in loss]
    assert [e.step for e in loss] == [step * UNIT for step in range(6)]
    values = [-0.1 * step - (step >= 2) for step in range(6)]
    np.testing.assert_allclose([e.value for e in loss], values, rtol=1e-6)
    assert [e.wall_time for e in loss[:3]] == [1700000000.25, 1700000001.25, 1700000102.5]


def test_tensorboard_skips_a_cut_record(tmp_path):
    assert tool("events", tmp_path).returncode == 0
    path = sorted(tmp_path.iterdir())[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert len(list(EventFileLoader(str(path)).Load())) == 11


def test_events_of_one_second_get_files_of_their_own(tmp_path):
    for _ in range(2):
        assert tool("events", tmp_path).returncode == 0
    assert len(list(tmp_path.iterdir())) == 4


def test_events_into_a_missing_folder(tmp_path):
    result = tool("events", tmp_path / "none")
    assert result.returncode == 1
    assert result.stderr.startswith(str(tmp_path / "none"))
