"""Similarity against numpy and scipy: looks from rollout's screens, distances, CKA in doubles."""

import itertools
import json
import os
import pathlib
import subprocess
import xml.etree.ElementTree

import numpy
import pytest
from PIL import Image
from safetensors.numpy import load_file
from scipy.ndimage import find_objects, label
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from conftest import pixels
from networks import activations, padded
from test_cli import qgraft, refusal

COMPARE = pathlib.Path(os.environ["QGRAFT"]).resolve().parents[2] / "tests/compare"
FRAMES, SEED = 400, 5
GRIDS = ["minatar/asterix", "minatar/breakout", "minatar/freeway", "minatar/seaquest",
         "minatar/space_invaders"]
atari = pytest.mark.skipif(not os.environ.get("QGRAFT_ATARI"),
                           reason="QGRAFT_ATARI names no emulator")


def similarity(*arguments, frames=FRAMES):
    return json.loads(qgraft("similarity", *arguments, "--frames", frames, "--seed", SEED,
                             "--json").stdout)


def play(folder, game, *, raw=True):
    path = folder / "play.safetensors"
    qgraft("rollout", game, "--random", FRAMES, "--seed", SEED, "--out", path,
           *["--raw"] * raw)
    return load_file(path)


@pytest.fixture(scope="module")
def grids():
    return similarity(*GRIDS)


def distribution(values, weights=None):
    values, inverse = numpy.unique(numpy.round(values, 9), return_inverse=True)
    return values, numpy.bincount(inverse, weights)


def check_looks(profile, screens, ends):
    """`screens`: [frame][y][x], equal numbers where the colours are equal."""
    count, height, width = screens.shape
    colours = numpy.unique(screens)
    background = colours[numpy.argmax([(screens == c).sum(axis=0) for c in colours], axis=0)]
    areas, aspects = [], []
    for frame in screens:
        labels, _ = label(frame != background, structure=numpy.ones((3, 3)))
        areas += list(numpy.bincount(labels.ravel())[1:])
        for rows, columns in find_objects(labels):
            aspects.append((columns.stop - columns.start) * height /
                           ((rows.stop - rows.start) * width))
    assert profile["objects_per_frame"] == pytest.approx(len(areas) / count)
    for name, values in (("sizes", numpy.array(areas) / (height * width)), ("aspects", aspects)):
        expected = distribution(numpy.log(values))
        found = distribution(profile[name]["values"], profile[name]["weights"])
        assert numpy.allclose(found[0], expected[0], atol=1e-8)
        assert (found[1] == expected[1]).all()
    changed = (screens[1:] != screens[:-1]).mean(axis=(1, 2))
    assert profile["moving"] == pytest.approx(changed[ends[:-1] == 0].mean())


@pytest.mark.parametrize("game", GRIDS)
def test_looks_of_grids(tmp_path, grids, game):
    data = play(tmp_path, game)
    profile = grids["games"][GRIDS.index(game)]
    assert profile["game"] == game
    check_looks(profile, data["screens"], data["ends"])
    # Nothing is known of the palette here, but each bin is a union of colours of known shares.
    shares = numpy.bincount(data["screens"].ravel()) / data["screens"].size
    sums = {round(sum(part), 9) for n in range(1, len(shares) + 1)
            for part in itertools.combinations(shares, n)}
    assert all(round(share, 9) in sums for share in profile["colours"] if share)
    assert sum(profile["colours"]) == pytest.approx(1)


def check_pair(result, pair):
    games = [next(game for game in result["games"] if game["game"] == name)
             for name in pair["games"]]
    colours, sizes, aspects = ([game[key] for game in games]
                               for key in ("colours", "sizes", "aspects"))
    moving = sorted(game["moving"] for game in games)
    distances = [jensenshannon(*colours, base=2)]
    for a, b in (sizes, aspects):
        shift = wasserstein_distance(a["values"], b["values"], a["weights"], b["weights"])
        distances.append(1 - numpy.exp(-shift))
    distances.append(1 - moving[0] / moving[1])
    names = ["colour_distance", "size_distance", "aspect_distance", "motion_distance"]
    assert [pair[name] for name in names] == pytest.approx(distances, abs=1e-7)
    a, b = (set(game["actions"]) for game in games)
    assert pair["actions"] == pytest.approx(len(a & b) / len(a | b))
    assert pair["same_actions"] == (games[0]["actions"] == games[1]["actions"])
    assert pair["same_family"] == (games[0]["family"] == games[1]["family"])
    assert pair["visual"] == pytest.approx(1 - numpy.mean(distances), abs=1e-7)
    assert pair["grade"] == pytest.approx(
        numpy.mean([pair["actions"], pair["same_family"], pair["visual"]]))
    close = pair["same_family"] and pair["actions"] >= 0.5
    assert pair["class"] == ("close" if close else "far")


def test_distances(grids):
    assert len(grids["pairs"]) == 10
    for pair in grids["pairs"]:
        check_pair(grids, pair)
    grades = numpy.array(grids["grades"])
    assert (grades == grades.T).all() and (grades.diagonal() == 1).all()


def test_symmetric_and_nothing_to_itself():
    there = similarity("minatar/asterix", "minatar/seaquest")["pairs"][0]
    back = similarity("minatar/seaquest", "minatar/asterix")["pairs"][0]
    assert {**there, "games": 0} == {**back, "games": 0}
    own = similarity("minatar/asterix", "minatar/asterix")["pairs"][0]
    assert own["grade"] == 1 and own["class"] == "in-domain"
    assert not any(value for name, value in own.items() if name.endswith("distance"))
    other = similarity("minatar/asterix", "minatar/asterix:level=5")["pairs"][0]
    assert other["class"] == "in-domain" and 0.7 < other["grade"] < 1


# ---- representation ----

def train(folder, game, seed):
    qgraft("train", game, "--steps", 0, "--seed", seed, "--out", folder, "--quiet", "--set", "eval_steps=20")
    return folder / "last.safetensors"


def hsic(k, l):
    """The unbiased estimator of Song et al. 2007, as it stands there."""
    n = len(k)
    k, l = k - numpy.diag(numpy.diag(k)), l - numpy.diag(numpy.diag(l))
    ones = numpy.ones(n)
    return (numpy.trace(k @ l) + k.sum() * l.sum() / ((n - 1) * (n - 2))
            - 2 / (n - 2) * ones @ k @ l @ ones) / (n * (n - 3))


def debiased_cka(x, y):
    k, l = ((features - features.mean(axis=0)) @ (features - features.mean(axis=0)).T
            for features in (x.astype(float), y.astype(float)))
    return hsic(k, l) / numpy.sqrt(hsic(k, k) * hsic(l, l))


def biased_cka(x, y):
    """Kornblith et al. 2019: Gretton's HSIC."""
    k, l = ((features - features.mean(axis=0)) @ (features - features.mean(axis=0)).T
            for features in (x, y))
    return (k * l).sum() / (numpy.linalg.norm(k) * numpy.linalg.norm(l))


def cka_of(x, y):
    sizes = [*map(str, x.shape), str(y.shape[1])]
    text = numpy.concatenate([x.ravel(), y.ravel()]).astype("<f4").tobytes()
    return float(subprocess.run([COMPARE, "cka", *sizes], input=text, check=True,
                                stdout=subprocess.PIPE).stdout)


def test_cka_of_random_features():
    random = numpy.random.default_rng(1)
    n, found, biased = 64, [], []
    for _ in range(40):
        x, y = (random.normal(random.normal(), 1, (n, width)).astype("f") for width in (300, 500))
        found.append(cka_of(x, y))
        biased.append(biased_cka(x, y))
        assert found[-1] == pytest.approx(debiased_cka(x, y), abs=1e-9)
        shared = numpy.concatenate([x[:, :100], y], axis=1)
        assert cka_of(x, shared) == pytest.approx(debiased_cka(x, shared), abs=1e-9)
    # Independent: 0 within its error, and the biased one is not.
    error = numpy.std(found, ddof=1) / numpy.sqrt(len(found))
    assert abs(numpy.mean(found)) < 3 * error and error < 0.01
    assert min(biased) > 0.8
    assert numpy.isnan(cka_of(x, numpy.full((n, 2), 0.3)))


def test_cka(tmp_path):
    games = ["minatar/breakout", "minatar/seaquest"]
    networks = [train(tmp_path / str(i), game, i) for i, game in enumerate(games)]
    states = []
    for game in games:
        screens = play(tmp_path, game, raw=False)["observations"]
        states.append(padded(screens[numpy.arange(256) * FRAMES // 256]))
    states = numpy.concatenate(states)
    result = similarity(*games, "--networks", *networks)["representation"]
    assert result["states"] == [256, 256]
    layers = list(zip(*(activations(path, states) for path in networks)))
    assert len(result["debiased_cka"]) == len(layers) == 5
    for found, (x, y) in zip(result["debiased_cka"], layers):
        expected = [debiased_cka(x[part], y[part])
                    for part in (slice(None), slice(256), slice(256, None))]
        assert [found["both"], *found["on"]] == pytest.approx(expected, abs=1e-5)
    text = qgraft("similarity", *games, "--networks", *networks, "--frames", 20).stdout
    assert "20 + 20 states" in text and "conv3" in text


# ---- figures and refusals ----

def test_figures(tmp_path):
    for name, games in (("two", GRIDS[:2]), ("many", GRIDS[:4])):
        picture, drawing = tmp_path / f"{name}.png", tmp_path / f"it's {name}.SVG"
        with pixels():
            qgraft("similarity", *games, "--frames", 20, "--figure", picture)
        qgraft("similarity", *games, "--frames", 20, "--figure", drawing)
        with Image.open(picture) as image:
            assert image.width > 400 and len(image.convert("RGB").getcolors(10 ** 6)) > 4
        texts = " ".join(xml.etree.ElementTree.parse(drawing).getroot().itertext())
        assert ("grade" if name == "two" else games[3]) in texts


def refused_figure(folder, path):
    """The error of a figure with this PATH."""
    result = qgraft("similarity", *GRIDS[:2], "--frames", 5, "--figure", folder / "a.png", code=1,
                    env={**os.environ, "PATH": path})
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_refuses(tmp_path):
    pair = GRIDS[:2]
    assert "two games" in refusal("similarity", GRIDS[0])
    assert "did you mean" in refusal("similarity", GRIDS[0], "minatar/breakuot")
    for frames in (0, 1, -5, 10001, "1e30", "x"):
        assert "--frames" in refusal("similarity", *pair, f"--frames={frames}")
    assert "--seed" in refusal("similarity", *pair, "--seed", 2 ** 32)
    assert ".png or .svg" in refusal("similarity", *pair, "--figure", tmp_path / "a.jpg")
    few = [*pair, "--frames", 5]
    assert "nowhere" in refusal("similarity", *few, "--figure", tmp_path / "nowhere" / "a.png",
                                code=1)
    (tmp_path / "folder.svg").mkdir()
    assert "folder.svg" in refusal("similarity", *few, "--figure", tmp_path / "folder.svg", code=1)
    message = refused_figure(tmp_path, str(tmp_path))
    assert "gnuplot-nox" in message and not (tmp_path / "a.png").exists()
    (tmp_path / "gnuplot").write_text("#!/bin/sh\necho 'line 3: no such terminal' >&2\nexit 1\n")
    (tmp_path / "gnuplot").chmod(0o755)
    message = refused_figure(tmp_path, f"{tmp_path}:{os.environ['PATH']}")
    assert "no such terminal" in message and not (tmp_path / "a.png").exists()


def test_refuses_networks(tmp_path):
    pair = GRIDS[1:3]
    a, b = (train(tmp_path / game[-1], game, 1) for game in pair)
    assert "missing" in refusal("similarity", *pair, "--frames", 5, "--networks", a,
                                tmp_path / "missing", code=1)
    assert "3 actions" in refusal("similarity", pair[0], GRIDS[3], "--frames", 5, "--networks", a, b)
    assert "two games" in refusal("similarity", *GRIDS, "--networks", a, b)
    assert "two files" in qgraft("similarity", *pair, "--networks", a, code=2).stderr


# ---- Atari ----

@atari
def test_looks_of_atari(tmp_path):
    ale_py = pytest.importorskip("ale_py")
    data = play(tmp_path, "qbert")
    ale = ale_py.ALEInterface()
    ale.loadROM(os.path.join(os.environ["QGRAFT_ATARI"], "roms", "qbert.bin"))
    palette = numpy.zeros((256, 3), int)
    actions = ale.getMinimalActionSet()
    for frame in range(3000):
        palette[ale.getScreen()] = ale.getScreenRGB()
        ale.act(actions[frame // 40 % len(actions)])
        if ale.game_over():
            ale.reset_game()
    screens = data["screens"]
    result = similarity("qbert", "qbert:level=2")
    profile = result["games"][0]
    rgb = palette[screens]
    bins = numpy.bincount((rgb // 64 @ [16, 4, 1]).ravel(), minlength=64) / screens.size
    assert numpy.allclose(profile["colours"], bins, atol=1e-12)
    check_looks(profile, screens, data["ends"])
    assert result["pairs"][0]["class"] == "in-domain"


@atari
def test_orders_as_a_person_would():
    games = ["breakout", "qbert", "qbert:level=2", "beam_rider", "space_invaders", "demon_attack"]
    result = similarity(*games, frames=500)
    grade = {frozenset(pair["games"]): pair["grade"] for pair in result["pairs"]}
    classes = {frozenset(pair["games"]): pair["class"] for pair in result["pairs"]}

    def of(table, a, b):
        return table[frozenset([a, b])]

    # the paper's classes
    assert of(classes, "breakout", "qbert") == "far"
    assert of(classes, "beam_rider", "space_invaders") == "close"
    assert of(classes, "space_invaders", "demon_attack") == "close"
    assert of(classes, "qbert", "qbert:level=2") == "in-domain"
    assert of(grade, "space_invaders", "demon_attack") > of(grade, "space_invaders", "qbert")
    assert of(grade, "space_invaders", "beam_rider") > of(grade, "space_invaders", "breakout")
    by_class = {name: [grade[pair] for pair in grade if classes[pair] == name]
                for name in ("far", "close", "in-domain")}
    assert max(by_class["far"]) < min(by_class["close"])
    assert max(by_class["close"]) < min(by_class["in-domain"])
