"""`qgraft graft` from outside: exactly the named layers are the source's, the rest the baseline's;
frozen ones stay, free ones move; rows by the meaning of actions; pedigrees."""

import csv
import hashlib
import json
import os
import subprocess

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_update import metadata, network

QGRAFT = os.environ.get("QGRAFT")
ATARI = os.environ.get("QGRAFT_ATARI")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

LAYERS = ["conv1", "conv2", "conv3", "fc1", "fc2"]
SOURCE, TARGET = "minatar/breakout", "minatar/space_invaders"
ACTIONS = {SOURCE: ["noop", "left", "right"], TARGET: ["noop", "left", "right", "fire"]}
# A training in well under a second in which every layer moves.
SMALL = {"learn_start": 300, "replay": 2000, "update_every": 8, "minibatch": 16,
         "epsilon_steps": 1000, "target_every": 200, "eval_every": 100000, "eval_steps": 300,
         "validation_size": 20}
CHOICES = [(way, n) for way in ("first", "last") for n in range(1, 6)]


def run(*words, settings=None, code=0, cwd=None):
    sets = [w for k, v in (settings or {}).items() for w in ("--set", f"{k}={v}")]
    result = subprocess.run([QGRAFT, *map(str, words), *sets], capture_output=True, text=True,
                            timeout=1200, cwd=cwd)
    assert result.returncode == code, result.stderr
    return result


def graft(source, target, folder, *words, **options):
    """The last network of a grafted run."""
    run("graft", source, "--to", target, "--out", folder, "--quiet", *words,
        **{"settings": {"eval_steps": 300}, **options})
    return load_file(folder / "last.safetensors")


def train(target, folder, *words, **options):
    run("train", target, "--out", folder, "--quiet", *words,
        **{"settings": {"eval_steps": 300}, **options})
    return load_file(folder / "last.safetensors")


def plan(source, target, *words, settings=None):
    return json.loads(run("graft", source, "--to", target, "--dry-run", "--json", *words,
                          settings=settings).stdout)


def refused(source, target, *words, code=2):
    result = run("graft", source, "--to", target, "--dry-run", *words, code=code)
    assert result.stderr.count("\n") == 1 or "--help" in result.stderr
    return result.stderr


def said(path):
    with safe_open(path, "numpy") as file:
        return file.metadata()


def named(way, n):
    return LAYERS[:n] if way == "first" else LAYERS[-n:]


def same(a, b, layer):
    return all(a[f"{layer}.{part}"].tobytes() == b[f"{layer}.{part}"].tobytes()
               for part in ("weight", "bias"))


def by_meaning(source, baseline, source_actions, target_actions):
    """The last layer of a graft."""
    layer = {part: baseline[f"fc2.{part}"].copy() for part in ("weight", "bias")}
    for row, action in enumerate(target_actions):
        if action in source_actions:
            for part in layer:
                layer[part][row] = source[f"fc2.{part}"][source_actions.index(action)]
    return {f"fc2.{part}": values for part, values in layer.items()}


def check_start(start, source, baseline, copied, source_actions, target_actions):
    last = by_meaning(source, baseline, source_actions, target_actions)
    for layer in LAYERS:
        if layer not in copied:
            assert same(start, baseline, layer), layer
        elif layer == "fc2":
            assert same(start, last, layer)
        else:
            assert same(start, source, layer) and not same(start, baseline, layer), layer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A source that has learned a little, and the baseline's beginning."""
    folder = tmp_path_factory.mktemp("graft")
    train(SOURCE, folder / "source", "--steps", 1500, "--seed", 7, settings=SMALL)
    train(TARGET, folder / "baseline", "--steps", 0, "--seed", 3)
    return folder


@pytest.fixture(scope="module")
def source(made):
    return made / "source" / "last.safetensors"


@pytest.fixture(scope="module")
def baseline(made):
    return load_file(made / "baseline" / "last.safetensors")


# ---- Which layers are copied, and what becomes of them ----


@pytest.mark.parametrize("way, n", CHOICES)
@pytest.mark.parametrize("freeze", [False, True], ids=["free", "frozen"])
def test_layers(made, source, baseline, way, n, freeze, tmp_path):
    words = [f"--{way}", n, "--seed", 3] + ["--freeze"] * freeze
    start = graft(source, TARGET, tmp_path / "start", "--steps", 0, *words)
    copied = named(way, n)
    check_start(start, load_file(source), baseline, copied, ACTIONS[SOURCE], ACTIONS[TARGET])
    end = graft(source, TARGET, tmp_path / "end", "--steps", 1500, *words, settings=SMALL)
    for layer in LAYERS:
        frozen = freeze and layer in copied
        assert same(start, end, layer) == frozen, layer
    text = (tmp_path / "end" / "run.yaml").read_text()
    assert (f"frozen: [{', '.join(copied)}]\n" in text) == freeze
    said_rows = "fc2(3 of 4 rows)" if "fc2" in copied else copied[-1]
    assert said(tmp_path / "end" / "last.safetensors")["copied"].endswith(said_rows)


@pytest.mark.skipif(not ATARI, reason="QGRAFT_ATARI does not name the emulator and the ROMs")
@pytest.mark.parametrize("way, n", CHOICES)
def test_layers_of_nature(way, n, tmp_path):
    source = network("nature", 1)  # six actions
    actions = ["noop", "fire", "right", "left", "rightfire", "leftfire"]  # of space_invaders
    source_actions = ["fire", "up", "left", "noop", "down", "rightfire"]
    save_file(source, tmp_path / "source",
              {**metadata("nature"), "actions": ",".join(source_actions)})
    small = {"learn_start": 40, "replay": 200, "minibatch": 2, "eval_every": 1000,
             "eval_steps": 20, "validation_size": 10}
    baseline = train("space_invaders", tmp_path / "baseline", "--steps", 0)
    for freeze in ([], ["--freeze"]):
        words = [f"--{way}", n, *freeze]
        start = graft(tmp_path / "source", "space_invaders", tmp_path / f"start{len(freeze)}",
                      "--steps", 0, *words)
        check_start(start, source, baseline, named(way, n), source_actions, actions)
    if n != 2:  # the training is the same for all n: two of them on these large networks
        return
    end = graft(tmp_path / "source", "space_invaders", tmp_path / "end", "--steps", 80, *words,
                settings=small)
    for layer in LAYERS:
        assert same(start, end, layer) == (layer in named(way, n)), layer


def test_single_layers(source, baseline, tmp_path):
    start = graft(source, TARGET, tmp_path / "start", "--steps", 0, "--seed", 3, "--layers", "1,3")
    check_start(start, load_file(source), baseline, ["conv1", "conv3"], ACTIONS[SOURCE],
                ACTIONS[TARGET])


def test_part(tmp_path):
    split = {"network": "grid-split:16"}
    source = train(SOURCE, tmp_path / "source", "--steps", 0, "--seed", 7, settings=split)
    fresh = train(TARGET, tmp_path / "fresh", "--steps", 0, settings=split)
    parts = {"perception": ["conv1", "conv2", "conv3", "fc1"], "decision": ["fc2", "fc3"]}
    for part, copied in parts.items():
        start = graft(tmp_path / "source" / "last.safetensors", TARGET, tmp_path / part, "--steps",
                      0, "--part", part)
        for layer in LAYERS:  # fc3 goes by meaning
            assert same(start, source if layer in copied else fresh, layer), layer
        assert start["fc3.bias"][:3].tobytes() == (
            source if part == "decision" else fresh)["fc3.bias"][:3].tobytes()
        assert start["fc3.bias"][3] == fresh["fc3.bias"][3]


def test_random_control(baseline, tmp_path):
    words = ("--first", 3, "--freeze", "--seed", 3)
    start = graft("random", TARGET, tmp_path / "start", "--steps", 0, *words)
    assert all(same(start, baseline, layer) for layer in LAYERS)
    end = graft("random", TARGET, tmp_path / "end", "--steps", 1500, *words, settings=SMALL)
    assert [same(start, end, layer) for layer in LAYERS] == [True, True, True, False, False]
    notes = said(tmp_path / "end" / "last.safetensors")
    assert notes["parent_file"] == "random" and "parent_sha256" not in notes
    assert "'random' without --freeze" in refused("random", TARGET, "--first", "1")


def test_reinit_seed(source, tmp_path):
    fresh = train(TARGET, tmp_path / "fresh", "--steps", 0, "--seed", 11)
    start = graft(source, TARGET, tmp_path / "start", "--steps", 0, "--seed", 3, "--reinit-seed",
                  11, "--first", 2)
    check_start(start, load_file(source), fresh, LAYERS[:2], ACTIONS[SOURCE], ACTIONS[TARGET])
    assert said(tmp_path / "start" / "last.safetensors")["reinit_seed"] == "11"


# ---- Rows ----


def test_rows_by_meaning(source, baseline, tmp_path):
    start, ours = (graft(source, TARGET, tmp_path / "a", "--steps", 0, "--seed", 3, "--last", 1),
                   load_file(source))
    for row in range(3):  # noop, left, right
        assert start["fc2.weight"][row].tobytes() == ours["fc2.weight"][row].tobytes()
        assert start["fc2.bias"][row] == ours["fc2.bias"][row]
    assert start["fc2.weight"][3].tobytes() == baseline["fc2.weight"][3].tobytes()  # fire
    assert start["fc2.bias"][3] == baseline["fc2.bias"][3]
    # asterix: noop, left, up, right, down
    other = graft(source, "minatar/asterix", tmp_path / "b", "--steps", 0, "--last", 1)
    assert other["fc2.weight"][3].tobytes() == ours["fc2.weight"][2].tobytes()


def test_rows_by_index(source, tmp_path):
    """freeway has three actions, too: noop, up, down."""
    ours = load_file(source)
    words = ("--steps", 0, "--last", 1)
    by_index = graft(source, "minatar/freeway", tmp_path / "index", *words, "--match", "index")
    assert same(by_index, ours, "fc2")
    meaning = graft(source, "minatar/freeway", tmp_path / "meaning", *words)
    assert meaning["fc2.bias"][0] == ours["fc2.bias"][0]
    assert np.all(meaning["fc2.bias"][1:] != ours["fc2.bias"][1:])
    assert "numbers of actions differ" in refused(source, TARGET, "--last", 1, "--match", "index")
    assert "'meaning' or 'index'" in refused(source, TARGET, "--last", 1, "--match", "name")


def test_another_history(source):
    """Both fit into a grid's ten channels; only layers above the first do not care."""
    asterix, two = "minatar/asterix", ["--set", "history=2"]
    assert "conv1 of the source sees 1 screens at a time, the run 2" in refused(source, asterix, "--first", 1, *two)
    plan(source, asterix, "--layers", "2,3", *two)


# ---- Plans and refusals ----


def test_dry_run(source, tmp_path):
    layers = plan(source, TARGET, "--last", 2, "--freeze", "--seed", 3)["layers"]
    assert [l["copied_from"] for l in layers] == [None, None, None, "fc1", "fc2"]
    assert [l["frozen"] for l in layers] == [False, False, False, True, True]
    assert [l["rows_copied"] for l in layers] == [0, 0, 0, 128, 3]
    assert sum(l["parameters"] for l in layers) == sum(v.size for v in load_file(source).values()) + 129
    text = run("graft", source, "--to", TARGET, "--first", 1, "--dry-run", cwd=tmp_path).stdout
    assert "copied: conv1" in text and "fresh" in text and "free" in text
    assert not list(tmp_path.iterdir())
    everything = run("graft", source, "--to", TARGET, "--first", 5, "--freeze", "--dry-run").stdout
    assert "every layer is frozen: nothing will be learned" in everything


def test_settings_of_a_graft(source):
    """Those of training, the source's network, and the two options for the grafted agent."""
    text = run("graft", source, "--to", TARGET, "--first", 1, "--epsilon-start", "0.3",
               "--learn-start", "2k", "--settings").stdout
    values = dict(line.split("#")[0].split(": ", 1) for line in text.splitlines())
    assert (values["epsilon_start"].strip(), values["learn_start"].strip()) == ("0.3", "2000")
    assert values["network"].strip() == "grid"


def test_refusals(source, tmp_path):
    for words in (["--first", 6], ["--last", 6]):
        assert "1 to 5 can be copied" in refused(source, TARGET, *words)
    assert "--layers 9" in refused(source, TARGET, "--layers", "1,9")
    assert "--first" in refused(source, TARGET, "--first", 0)
    assert "--layers" in refused(source, TARGET, "--layers", "one")
    assert "no part 'perception'" in refused(source, TARGET, "--part", "perception")
    assert "one of --first" in refused(source, TARGET)
    assert "one of --first" in refused(source, TARGET, "--first", 1, "--last", 1)
    other = 'network=[{"conv": 16, "kernel": 3}, {"conv": 8, "kernel": 3}, {"linear": 128}]'
    message = refused(source, TARGET, "--first", 2, "--set", other)  # six channels, not ten
    for word in ("conv1 of the source (conv 16x10x3x3)", "conv1 of the target (conv 16x6x3x3)"):
        assert word in message
    refused(tmp_path / "absent", TARGET, "--first", 1, code=1)
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "other")
    assert "not a qgraft network" in refused(tmp_path / "other", TARGET, "--first", 1, code=1)
    save_file(network("nature", 1), tmp_path / "nature", metadata("nature"))
    message = refused(tmp_path / "nature", TARGET, "--first", 1)
    assert f"the source's architecture 'nature' does not fit {TARGET}" in message


# ---- Zero-shot, pedigree ----


def test_zero_shot(source, tmp_path):
    """The copied network plays before it learns."""
    graft(source, SOURCE, tmp_path / "run", "--first", 5, "--freeze", "--steps", 1000,
          settings=SMALL)
    with open(tmp_path / "run" / "evaluations.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", "1000"]
    run("graft", "random", "--to", SOURCE, "--out", tmp_path / "random", "--quiet", "--first", 5, "--freeze", "--steps",
        1000, settings=SMALL)
    with open(tmp_path / "random" / "evaluations.csv", newline="") as file:
        assert next(csv.DictReader(file))["score"] != rows[0]["score"]  # that of other layers


def test_notes(made, source, tmp_path):
    graft(source, TARGET, tmp_path / "run", "--first", 2, "--freeze", "--steps", 0)
    notes, parent = said(tmp_path / "run" / "last.safetensors"), said(source)
    assert notes["parent_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert notes["parent_file"] == str(source)
    assert notes["parent_domain"] == SOURCE == parent["domain"]
    assert notes["parent_step"] == "1500" == parent["step"]
    assert float(notes["parent_score"]) == float(parent["score"])
    assert (notes["copied"], notes["copied_layers_are"]) == ("conv1,conv2", "frozen")
    text = (tmp_path / "run" / "run.yaml").read_text()
    assert f'parent_sha256: "{notes["parent_sha256"]}"' in text
    assert f'parent_network_sha256: "{notes["parent_network_sha256"]}"' in text
    assert not any(name.startswith("parent") for name in parent)


def pedigree(path, *words, cwd=None):
    result = json.loads(run("inspect", path, "--pedigree", "--json", *words, cwd=cwd).stdout)
    return result["pedigree"], result


def test_pedigree(source, tmp_path):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    first.write_bytes(source.read_bytes())
    graft(first, TARGET, second, "--first", 2, "--freeze", "--steps", 0)
    graft("second/last.safetensors", "minatar/asterix", third, "--last", 1, "--steps", 0,
          cwd=tmp_path)
    generations, _ = pedigree("third/last.safetensors", cwd=tmp_path)
    assert [g["generation"] for g in generations] == [0, 1, 2]
    assert [g["domain"] for g in generations] == ["minatar/asterix", TARGET, SOURCE]
    assert [g["file"] for g in generations] == ["third/last.safetensors",
                                                "second/last.safetensors", str(first)]
    assert [g["copied"] for g in generations] == ["fc2(3 of 5 rows)", "conv1,conv2", None]
    assert [g["copied_layers_are"] for g in generations] == ["free", "frozen", None]
    assert [g["step"] for g in generations] == [0, 0, 1500]
    assert generations[2]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    # from elsewhere, and after a move
    empty = tmp_path / "empty"
    empty.mkdir()
    generations, _ = pedigree(third / "last.safetensors", cwd=empty)
    assert [bool(g["file"]) for g in generations] == [True, False]
    generations, _ = pedigree(third / "last.safetensors", "--search", tmp_path, cwd=empty)
    assert len(generations) == 3 and all(g["file"] for g in generations)
    (empty / "deep").mkdir()
    first.rename(empty / "deep" / "moved.safetensors")
    generations, _ = pedigree(third / "last.safetensors", "--search", tmp_path)
    assert generations[2]["file"] == str(empty / "deep" / "moved.safetensors")
    # gone: what the child says of it
    (empty / "deep" / "moved.safetensors").unlink()
    (empty / "link.safetensors").symlink_to(source)  # not followed
    generations, _ = pedigree(third / "last.safetensors", "--search", tmp_path)
    assert generations[2]["file"] is None and generations[2]["domain"] == SOURCE
    assert generations[2]["step"] == 1500
    text = run("inspect", third / "last.safetensors", "--pedigree", "--search", tmp_path).stdout
    assert "not found" in text and generations[2]["sha256"] in text


def write_child(path, parents, copied=""):
    """A file that passes for a network with these parents."""
    notes = {"format": "qgraft network 1", "domain": path.name, "copied": copied}
    for k, parent in enumerate(parents):
        prefix = "parent_" if k == 0 else f"parent_{k + 1}_"
        notes[prefix + "sha256"] = hashlib.sha256(parent.read_bytes()).hexdigest()
        notes[prefix + "file"] = parent.name  # found beside the child
    save_file({"x": np.zeros(1, np.float32)}, path, notes)


LINES = {"grid": "conv 16 3 1 0\nconv 16 3 1 0\nconv 16 3 1 0\nlinear 128\n"}


def network_sha256(path):
    """As docs/transfer.md has it."""
    notes, tensors = said(path), load_file(path)
    digest = hashlib.sha256(f"input {notes['input'].replace(',', ' ')}\n".encode())
    digest.update(LINES[notes["architecture"]].encode())
    digest.update(f"linear {len(tensors['fc2.bias'])}\n".encode())
    for name in LAYERS:
        digest.update(tensors[f"{name}.weight"].tobytes() + tensors[f"{name}.bias"].tobytes())
    return digest.hexdigest()


def save_again(path, to, **changed):
    """Another file of the same network: the order of Python's metadata is another each time."""
    to.parent.mkdir(exist_ok=True)
    save_file(load_file(path), to, {**said(path), "saved by": "another program", **changed})
    assert to.read_bytes() != path.read_bytes()


def test_a_parent_that_was_saved_again(source, tmp_path):
    first, middle, last, others = (tmp_path / name for name in ("first", "middle", "last", "others"))
    first.write_bytes(source.read_bytes())
    graft(first, TARGET, middle, "--first", 2, "--steps", 0)
    graft(middle / "last.safetensors", "minatar/asterix", last, "--first", 1, "--steps", 0)
    assert said(middle / "last.safetensors")["parent_network_sha256"] == network_sha256(first)
    known = [network_sha256(path) for path in (last / "last.safetensors", middle / "last.safetensors",
                                               first)]
    save_again(middle / "last.safetensors", others / "x.safetensors")
    save_again(first, others / "y.safetensors", architecture=json.dumps(
        [{"conv": 16, "kernel": 3}] * 3 + [{"linear": 128}]))  # what grid is, in other words
    first.unlink()
    (middle / "last.safetensors").unlink()
    generations, _ = pedigree(last / "last.safetensors", "--search", others)
    assert [g["file"] for g in generations][1:] == [str(others / "x.safetensors"),
                                                    str(others / "y.safetensors")]
    assert [g["saved_again"] for g in generations] == [False, True, True]
    assert [g["network_sha256"] for g in generations] == known
    text = run("inspect", last / "last.safetensors", "--pedigree", "--search", others).stdout
    assert f"saved again, with the same network: {others / 'x.safetensors'}\n" in text
    # The recorded name leads to another file of the same network.
    save_again(source, first)
    generations, _ = pedigree(others / "x.safetensors", cwd=middle)
    assert generations[1]["file"] == str(first) and generations[1]["saved_again"]
    # Another network is not it, whatever it is called.
    tensors = load_file(source)
    tensors["conv1.bias"][0] += 1
    save_file(tensors, first, said(source))
    generations, _ = pedigree(others / "x.safetensors", cwd=middle)
    assert generations[1]["file"] is None and not generations[1]["saved_again"]


@pytest.mark.parametrize("sum", ["-", "", "x" * 64, "0" * 65])
def test_sums_that_are_none(sum, tmp_path):
    """What could not be read has no sum, and nothing is found by that."""
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "no-network.safetensors")
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "child", {
        "format": "qgraft network 1", "parent_sha256": sum, "parent_network_sha256": sum,
        "parent_file": "gone.safetensors"})
    generations, _ = pedigree(tmp_path / "child", "--search", tmp_path)
    assert [g["file"] for g in generations][1:] == [None] * (len(generations) - 1)


def test_long_and_branching_pedigrees(tmp_path):
    files = [tmp_path / f"{k}.safetensors" for k in range(105)]
    for k, path in enumerate(files):
        write_child(path, files[k - 1:k])
    generations, whole = pedigree(files[-1], "--search", tmp_path)
    assert len(generations) == 101 and not whole["complete"]
    assert generations[100]["domain"] == "4.safetensors"
    assert "the pedigree goes on" in run("inspect", files[-1], "--pedigree", "--search",
                                         tmp_path).stdout
    write_child(tmp_path / "student", [files[0], files[1]], "distilled")
    generations, whole = pedigree(tmp_path / "student", "--search", tmp_path)
    assert [(g["generation"], g["child"], g["domain"]) for g in generations] == [
        (0, None, "student"), (1, 0, "0.safetensors"), (1, 0, "1.safetensors"),
        (2, 2, "0.safetensors")]
    assert whole["complete"]


def test_no_pedigree(source, tmp_path):
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "other")
    message = run("inspect", tmp_path / "other", "--pedigree", code=1).stderr
    assert "not a qgraft network" in message
    assert "--search needs --pedigree" in run("inspect", source, "--search", ".", code=2).stderr
    run("inspect", tmp_path / "absent", "--pedigree", code=1)
    generations, _ = pedigree(source)
    assert len(generations) == 1 and generations[0]["copied"] is None


# ---- Between free and frozen ----


def move(a, b, layer):
    return sum(np.abs(a[f"{layer}.{part}"] - b[f"{layer}.{part}"]).sum() for part in ("weight", "bias"))


def snapshots(folder, steps):
    return [load_file(folder / f"step-{step}.safetensors") for step in steps]


def test_thaw(made, source, tmp_path):
    """Frozen until then, to the bit; then it learns."""
    steps = (0, 700, 900, 1500)
    words = ["--first", 2, "--freeze", "--seed", 3, "--snapshot", ",".join(map(str, steps)), "--steps",
             1500]
    graft(source, TARGET, tmp_path / "run", *words, "--thaw", 700, settings=SMALL)
    begin, before, after, end = snapshots(tmp_path / "run", steps)
    for layer in LAYERS:
        assert same(begin, before, layer) == (layer in LAYERS[:2])
        assert not same(before, after, layer) and not same(after, end, layer)
    frozen = graft(source, TARGET, tmp_path / "frozen", *words, settings=SMALL)
    assert all(same(*both, layer) for layer in LAYERS  # until then it is the frozen run
               for both in [(before, snapshots(tmp_path / "frozen", [700])[0])])
    assert same(begin, frozen, "conv1")
    text = (tmp_path / "run" / "run.yaml").read_text()
    assert "choice: first 2 frozen thaw=700\n" in text and "frozen_unchanged" not in text
    assert said(tmp_path / "run" / "last.safetensors")["copied_layers_are"] == "frozen (thaw=700)"
    run("perform", tmp_path / "run" / "run.yaml", "--out", tmp_path / "again", "--quiet")
    assert ((tmp_path / "run" / "last.safetensors").read_bytes()
            == (tmp_path / "again" / "last.safetensors").read_bytes())


def test_thaw_every(source, tmp_path):
    """The topmost frozen layer first; one that is not thawed by the end is checked."""
    steps = (0, 500, 900, 1300, 1500)
    graft(source, TARGET, tmp_path / "run", "--first", 4, "--freeze", "--thaw", 500, "--thaw-every",
          400, "--snapshot", ",".join(map(str, steps)), "--steps", 1500, settings=SMALL)
    parts = snapshots(tmp_path / "run", steps)
    for i, layer in enumerate(["fc2", "fc1", "conv3", "conv2", "conv1"]):
        moved = [not same(a, b, layer) for a, b in zip(parts, parts[1:])]
        assert moved == [k >= i for k in range(4)], layer
    assert "frozen_unchanged: true" in (tmp_path / "run" / "run.yaml").read_text()
    layers = plan(source, TARGET, "--first", 4, "--freeze", "--thaw-every", 400, settings=SMALL)["layers"]
    assert [l["thaw"] for l in layers] == [1600, 1200, 800, 400, None]
    table = run("graft", source, "--to", TARGET, "--dry-run", "--first", 1, "--freeze", "--thaw", 5005,
                "--lr-scale", "1:0.5").stdout
    assert "frozen until 5005, rate x 0.5" in table
    # What would thaw behind the end is frozen, and has no rate.
    refused = run("graft", source, "--to", TARGET, "--dry-run", "--first", 2, "--freeze", "--steps", "1M", "--thaw",
                  "900k", "--thaw-every", "200k", "--lr-scale", "1:0.5", code=2).stderr
    assert "layer 1 is frozen to the end and has no learning rate" in refused
    layers = plan(source, TARGET, "--first", 2, "--freeze", "--steps", "1M", "--thaw", "900k", "--thaw-every", "200k")
    assert [l["thaw"] for l in layers["layers"][:2]] == [None, 900000]


def test_learn_start_is_the_setting(source):
    run("graft", source, "--to", TARGET, "--dry-run", "--first", 2, "--learn-start", 6000,
        settings={"validation_size": 6000})


def test_layer_rates(source, tmp_path):
    words = ["--first", 2, "--steps", 1500]
    plain = graft(source, TARGET, tmp_path / "plain", *words, settings=SMALL)
    ones = graft(source, TARGET, tmp_path / "ones", *words, "--lr-scale", "1:1,5:1", settings=SMALL)
    slow = graft(source, TARGET, tmp_path / "slow", *words, "--lr-scale", "1:0.001", settings=SMALL)
    begin = graft(source, TARGET, tmp_path / "begin", "--first", 2, "--steps", 0)
    assert all(same(plain, ones, layer) for layer in LAYERS)
    assert 0 < move(begin, slow, "conv1") < 0.01 * move(begin, plain, "conv1")
    assert move(begin, slow, "conv2") > 0.3 * move(begin, plain, "conv2")


def test_pulls(source, tmp_path):
    """What is pulled stays nearer, only what was copied is, and the same bits for any threads."""
    begin = graft(source, TARGET, tmp_path / "begin", "--last", 2, "--steps", 0)
    words = ["--last", 2, "--steps", 1500]
    plain = graft(source, TARGET, tmp_path / "plain", *words, settings=SMALL)
    for name, pull in {"l2_sp": ["--l2-sp", 30], "ewc": ["--ewc", 30, "--ewc-samples", 30]}.items():
        pulled = graft(source, TARGET, tmp_path / name, *words, *pull, settings=SMALL)
        # Breakout has no fire, so nothing pulls row 3; a bias has the Fisher information 1.
        of_pulled, of_plain = (np.abs(x["fc2.bias"] - begin["fc2.bias"]) for x in (pulled, plain))
        assert of_pulled[:3].sum() < 0.5 * of_plain[:3].sum() and of_pulled[3] > 0.2 * of_plain[3]
        graft(source, TARGET, tmp_path / f"{name}-2", *words, *pull, "--threads", 2, settings=SMALL)
        assert ((tmp_path / name / "last.safetensors").read_bytes()
                == (tmp_path / f"{name}-2" / "last.safetensors").read_bytes())
    notes = said(tmp_path / "ewc" / "last.safetensors")
    assert notes["copied_layers_are"] == "free (ewc=30 ewc_samples=30)"


@pytest.mark.parametrize("words, text", [
    (["--thaw", 100], "--thaw: the copied layers learn from the beginning: it is for those that --freeze"),
    (["--thaw-every", 100], "--thaw-every: the copied layers learn"),
    (["--freeze", "--thaw", 100], "--thaw: step 100 is not within the 100 steps of the run"),
    (["--freeze", "--thaw", 99], "--thaw: at step 99 nothing has learned yet, so that"),
    (["--freeze", "--thaw", 0], "--thaw: '0' is not a whole number from 1"),
    (["--freeze", "--l2-sp", 1], "--l2-sp: frozen layers need no pull"),
    (["--freeze", "--ewc", 1], "--ewc: frozen layers need no pull"),
    (["--l2-sp", -1], "--l2-sp: '-1' is not a number above 0"),
    (["--ewc-samples", 5], "--ewc-samples: means nothing without --ewc"),
    (["--lr-scale", "6:2"], "--lr-scale: layer 6 of a network that has 5"),
    (["--lr-scale", "1:2,1:3"], "--lr-scale: '1:2,1:3' is not of the form"),
    (["--freeze", "--lr-scale", "2:2"], "--lr-scale: layer 2 is frozen to the end and has no learning rate"),
])
def test_combinations_without_sense(source, words, text):
    assert text in refused(source, TARGET, "--first", 2, "--steps", 100, *words)


def test_ewc_without_data(source, tmp_path):
    network = load_file(source)
    save_file(network, tmp_path / "nobody", {**said(source), "domain": ""})
    text = refused(tmp_path / "nobody", TARGET, "--first", 2, "--ewc", 1)
    assert "--ewc: the source does not say its game" in text
    text = refused("random", TARGET, "--first", 2, "--freeze", "--thaw", 9000, "--ewc", 1)
    assert "--ewc: random layers have no game" in text
    save_file(network, tmp_path / "other", {**said(source), "domain": "minatar/chess"})
    assert "chess" in refused(tmp_path / "other", TARGET, "--first", 2, "--ewc", 1)


# ---- Other games, chains ----


def test_also_evaluate(source, tmp_path):
    """Nothing else changes by it; the network's own games are the source's again."""
    words = ["--first", 5, "--freeze", "--steps", 1500]
    small = {**SMALL, "eval_every": 500}
    graft(source, TARGET, tmp_path / "plain", *words, settings=small)
    graft(source, TARGET, tmp_path / "also", *words, "--also-evaluate", SOURCE,
          "--also-evaluate", "minatar/asterix", settings=small)
    for name in ("evaluations.csv", "training.csv", "last.safetensors", "best.safetensors"):
        assert ((tmp_path / "plain" / name).read_bytes() == (tmp_path / "also" / name).read_bytes())
    with open(tmp_path / "also" / "other_evaluations.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["step"], r["game"]) for r in rows] == [
        (str(step), game) for step in (0, 500, 1000, 1500)
        for game in ("minatar/breakout", "minatar/asterix")]
    assert all(int(r["episodes"]) > 0 and float(r["minimum"]) <= float(r["score"])
               <= float(r["maximum"]) for r in rows)
    text = (tmp_path / "also" / "run.yaml").read_text()
    assert 'also_evaluate: ["minatar/breakout", "minatar/asterix"]\n' in text
    run("perform", tmp_path / "also" / "run.yaml", "--out", tmp_path / "again", "--quiet")
    assert ((tmp_path / "also" / "other_evaluations.csv").read_bytes()
            == (tmp_path / "again" / "other_evaluations.csv").read_bytes())
    for words, text in (([TARGET], "is the game that is trained"),
                        ([SOURCE, "--also-evaluate", SOURCE], "twice"),
                        (["chess"], "chess")):
        result = run("graft", source, "--to", TARGET, "--first", 1, "--out", tmp_path / "none",
                     "--also-evaluate", *words, code=2)
        assert text in result.stderr and result.stderr.count("\n") == 1


CHAIN = {"study": "chain", "seeds": 1, "steps": 600, "also_evaluate": [SOURCE, "minatar/asterix"],
         "settings": {**SMALL, "eval_every": 300},
         "sources": {"a": {"game": SOURCE},
                     "ab": {"game": TARGET, "from": "a", "first": 3, "take": "last"},
                     "aba": {"game": SOURCE, "from": "ab", "last": 2, "freeze": True},
                     "early": {"from": "ab", "at": 300}},
         "runs": [{"game": SOURCE}, {"game": "minatar/asterix"},
                  {"game": SOURCE, "from": "ab", "first": 3},
                  {"game": "minatar/asterix", "from": ["aba", "early"], "first": 2}]}


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def check_continual(folder):
    """The report's measures of continual learning, computed a second time."""
    run("report", folder)

    def own(name, step=None):  # the best one behind the first, the last, or that of a step
        rows = table(folder / "runs" / name / "s1" / "evaluations.csv")
        if step == "best":
            return max(rows[1:], key=lambda r: float(r["score"]))  # the first of equal ones
        return rows[-1] if step is None else next(r for r in rows if r["step"] == str(step))

    def other(name, game, step=None):
        rows = [r for r in table(folder / "runs" / name / "s1" / "other_evaluations.csv")
                if r["game"] == game]
        return float((rows[-1] if step is None
                      else next(r for r in rows if r["step"] == str(step)))["score"])

    found = {(r["run"], r["transfer"], r["game"]): r for r in table(folder / "continual.csv")}
    first, asterix = "minatar-breakout", "minatar/asterix"
    learned = float(own(first, "best")["score"])  # a is the listed run's network
    expected = {("ab", "backward", SOURCE): (learned, other("ab", SOURCE), learned)}
    ab, aba = other("ab", SOURCE), own("aba", "best")
    # The last link that learned the game counts: back to A, it is learned anew.
    end = "minatar-asterix-from-aba-first2"
    taken = float(aba["score"])
    expected[end, "backward", SOURCE] = (taken, other(end, SOURCE), taken)
    end = "minatar-asterix-from-early-first2"
    expected[end, "backward", SOURCE] = (
        learned, other(end, SOURCE), max(learned, other("ab", SOURCE, 300)))
    for key, (before, after, highest) in expected.items():
        row = found.pop(key)
        assert (float(row["before"]), float(row["after"])) == (before, after), key
        assert float(row["difference"]) == pytest.approx(after - before)
        assert float(row["forgetting"]) == pytest.approx(highest - after)
    fresh = float(own("minatar-asterix", 0)["score"])
    for parent, step in (("aba", aba["step"]), ("early", 300)):
        row = found.pop((f"minatar-asterix-from-{parent}-first2", "forward", asterix))
        assert (float(row["before"]), float(row["after"])) == (
            fresh, other("ab" if parent == "early" else parent, asterix, step))
        assert row["forgetting"] == ""
    for end in (f"{first}-from-ab-first3", "aba"):
        assert float(found.pop((end, "forward", SOURCE))["after"]) == ab
    assert not found
    assert 'id="chains"' in (folder / "report.html").read_text()


def test_chains(tmp_path):
    """A graft is a source: A -> B -> A -> C."""
    (tmp_path / "chain.yaml").write_text(json.dumps(CHAIN))
    run("run", tmp_path / "chain.yaml", "--out", tmp_path / "chain", "--quiet")
    runs = tmp_path / "chain" / "runs"
    last = runs / "minatar-asterix-from-aba-first2" / "s1" / "last.safetensors"
    shown = json.loads(run("inspect", "--pedigree", "--json", last, cwd=tmp_path / "chain").stdout)
    assert ([g["domain"] for g in shown["pedigree"]]
            == ["minatar/asterix", SOURCE, TARGET, SOURCE])
    assert said(last)["parent_sha256"] == hashlib.sha256(
        (runs / "aba" / "s1" / "best.safetensors").read_bytes()).hexdigest()
    early = said(runs / "minatar-asterix-from-early-first2" / "s1" / "last.safetensors")
    assert early["parent_file"] == "runs/ab/s1/step-300.safetensors"
    games = {path.parent.parent.name: {row["game"] for row in csv.DictReader(open(path))}
             for path in runs.glob("*/s1/other_evaluations.csv")}
    assert games["ab"] == {SOURCE, "minatar/asterix"} and games["aba"] == {"minatar/asterix"}
    check_continual(tmp_path / "chain")
    (runs / "ab" / "s1" / "other_evaluations.csv").unlink()
    assert "other_evaluations.csv" in run("report", tmp_path / "chain", code=1).stderr
    run("report", tmp_path / "chain", "--partial")
    assert "what it shows of its chain was left out" in (tmp_path / "chain" / "report.html").read_text()
    kept = {row["run"] for row in table(tmp_path / "chain" / "continual.csv")}
    assert "ab" not in kept and "minatar-asterix-from-aba-first2" in kept
    for change, text in (({"from": "ab2"}, "there is no 'ab2'"), ({"from": "ab"}, "is made of itself"),
                         ({"first": 9}, "--first 9: the networks have 5"), ({"also_evaluate": "chess"}, "chess"),
                         ({"thaw": 5}, "--thaw: the copied layers learn"),
                         ({"group": "x"}, "no key 'group'")):
        study = json.loads(json.dumps(CHAIN))
        study["sources"]["ab"] |= change
        (tmp_path / "bad.yaml").write_text(json.dumps(study))
        result = run("run", tmp_path / "bad.yaml", "--plan", code=2)
        assert text in result.stderr and result.stderr.count("\n") == 1, result.stderr
