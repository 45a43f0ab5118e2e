"""What games have to do with each other by the transfer between them: the numbers against numpy's
least squares, eigenvectors and singular values, and against what is known."""

import csv
import itertools
import json
import re
import shutil
import subprocess
import sys

import numpy
import pytest

from test_cli import qgraft
from test_statistics import ROOT, ask, ask_list


def design(transfers, games):
    """Columns of ones for the mean and each kind, source and target."""
    kinds = 1 + max(kind for kind, _, _ in transfers)
    columns = numpy.zeros((len(transfers), 1 + kinds + 2 * games))
    for row, (kind, source, target) in zip(columns, transfers):
        row[[0, 1 + kind, 1 + kinds + source, 1 + kinds + games + target]] = 1
    return columns


def rest_of(transfers, values, games, fitted=None):
    """What is left of values by least squares over the fitted ones."""
    columns, fitted = design(transfers, games), slice(None) if fitted is None else fitted
    solution = numpy.linalg.lstsq(columns[fitted], values[fitted], rcond=None)[0]
    return values - columns @ solution


def grid(games, kinds=2):
    return [(kind, a, b) for kind in range(kinds) for a in range(games) for b in range(games)
            if a != b]


def random_case(games, seed, drop=0):
    random = numpy.random.default_rng(seed)
    transfers = grid(games)
    for _ in range(drop):
        transfers.pop(random.integers(len(transfers)))
    measure = random.uniform(size=(games, games))
    measure = [(measure + measure.T)[a, b] for _, a, b in transfers]
    return transfers, random.normal(size=len(transfers)), numpy.array(measure)


def games_of(transfers, effects, measure, games):
    answer = ask("games", transfers=transfers, effects=list(effects), measure=list(measure),
                 games=games)
    answer["affinities"] = numpy.array(answer["affinities"], float).reshape(games, games)
    return answer


@pytest.mark.parametrize("steps, games, spare", [((1, 2), 5, 1), ((1, 2, 3, 4), 5, 11), ((1,), 6, 0), ((2,), 6, 0)])
def test_spare_pairs(steps, games, spare):
    """Rings: each game to the next ones."""
    transfers = [(kind, a, (a + step) % games) for kind in range(2) for a in range(games) for step in steps]
    rank = numpy.linalg.matrix_rank(design([t for t in transfers if t[0] == 0], games))
    assert len(transfers) // 2 - rank == spare
    values = [0] * len(transfers)
    assert games_of(transfers, values, values, games)["spare"] == spare


@pytest.mark.parametrize("games, drop", [(5, 0), (6, 9), (12, 30)])
def test_against_least_squares(games, drop):
    transfers, effects, measure = random_case(games, games, drop)
    answer = games_of(transfers, effects, measure, games)
    rest = rest_of(transfers, effects, games)
    assert answer["rest"] == pytest.approx(rest, abs=1e-9)
    between = {pair: [i for i, (_, a, b) in enumerate(transfers) if {a, b} == set(pair)]
               for pair in itertools.combinations(range(games), 2)}
    for (a, b), rows in between.items():
        if rows:
            assert answer["affinities"][a, b] == pytest.approx(rest[rows].mean(), abs=1e-9)
            assert answer["affinities"][a, b] == answer["affinities"][b, a]
    # Each pair from the others alone.
    alone, with_measure = 0, 0
    for rows in filter(len, between.values()):
        others = [i for i in range(len(transfers)) if i not in rows]
        y, x = (rest_of(transfers, v, games, others) for v in (effects, measure))
        slope = (x[others] @ y[others]) / (x[others] @ x[others])
        alone += (y[rows] ** 2).sum()
        with_measure += ((y[rows] - slope * x[rows]) ** 2).sum()
    x = rest_of(transfers, measure, games)
    assert answer["alone"] == pytest.approx([0, (alone / len(transfers)) ** 0.5], rel=1e-7)
    assert answer["measure"] == pytest.approx(
        [x @ rest / (x @ x), (with_measure / len(transfers)) ** 0.5], rel=1e-7)


@pytest.mark.parametrize("games", [5, 8, 12])
def test_against_eigenvectors(games):
    """Torgerson's scaling of c - affinity by numpy, c being Lingoes's."""
    transfers, effects, measure = random_case(games, 10 + games)
    answer = games_of(transfers, effects, measure, games)
    centring = numpy.eye(games) - 1 / games
    values = numpy.linalg.eigvalsh(centring @ answer["affinities"] @ centring)
    constant = -min(v for v in values if abs(v) > 1e-12)
    squares = constant - answer["affinities"]
    numpy.fill_diagonal(squares, 0)
    values, vectors = numpy.linalg.eigh(-centring @ squares @ centring / 2)
    assert values.min() > -1e-9  # there are such points
    expected = vectors[:, [-1, -2]] * numpy.sqrt(numpy.maximum(0, values[[-1, -2]]))
    points = numpy.array(answer["points"]).reshape(games, 2)
    for axis in (0, 1):
        sign = numpy.sign(expected[:, axis] @ points[:, axis])
        assert points[:, axis] == pytest.approx(sign * expected[:, axis], abs=1e-7)
    assert answer["share"] == pytest.approx(values[-2:].sum() / values.sum())


def test_points_that_are_known():
    """Games on a circle, whose transfer falls with the square of their distance: they are found, but
    for a common stretch, whatever each is as a source and as a target. (What is near to all others
    is a good source and target, which is taken out: of such places no more is found.)"""
    random = numpy.random.default_rng(3)
    games = 7
    angles = random.permutation(games) * 2 * numpy.pi / games
    places = numpy.stack([numpy.cos(angles), numpy.sin(angles)], axis=1)
    squares = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    source, target, kind = random.normal(size=(3, games))
    transfers = grid(games)
    effects = [kind[k] + source[a] + target[b] - squares[a, b] for k, a, b in transfers]
    measure = [squares[a, b] for _, a, b in transfers]
    answer = games_of(transfers, effects, measure, games)
    assert answer["measure"] == pytest.approx([-1, 0], abs=1e-9)
    assert answer["alone"][1] > 0.3
    points = numpy.array(answer["points"]).reshape(games, 2)
    u, _, v = numpy.linalg.svd(points.T @ places)
    turned = points @ u @ v
    assert turned / numpy.linalg.norm(turned) == pytest.approx(
        places / numpy.linalg.norm(places), abs=1e-7)
    assert answer["share"] > 0.5


def test_turned_as_by_singular_values():
    random = numpy.random.default_rng(5)
    for mirror in (1, -1):
        to = random.normal(size=(6, 2))
        to -= to.mean(axis=0)
        angle = random.uniform(0, 6)
        rotation = numpy.array([[numpy.cos(angle), -numpy.sin(angle)],
                                [numpy.sin(angle), numpy.cos(angle)]])
        points = (to * [1, mirror]) @ rotation + random.normal(size=(6, 2)) / 50
        points -= points.mean(axis=0)
        u, _, v = numpy.linalg.svd(points.T @ to)
        turned = numpy.array(ask_list("turn", {"to": to.tolist(), "points": points.tolist()}))
        assert turned.reshape(6, 2) == pytest.approx(points @ u @ v)


def test_a_measure_that_the_games_tell_has_no_say():
    """What is a sum of a source's and a target's part is taken out in full."""
    transfers, effects, _ = random_case(5, 1)
    measure = [a + 3.0 * b for _, a, b in transfers]
    answer = games_of(transfers, effects, measure, 5)
    assert answer["measure"] == pytest.approx([0, answer["alone"][1]])


# ---- A study of five games ----

GAMES = ["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
STUDY = f"""
study: five
steps: 1k
seeds: 6
settings: {{eval_every: 100, eval_steps: 20, learn_start: 990, validation_size: 50, replay: 1k}}
sources: {{{", ".join(f"{g}: {{game: minatar/{g}}}" for g in GAMES)}}}
runs:
  - {{game: [{", ".join("minatar/" + g for g in GAMES)}], from: [{", ".join(GAMES)}], first: [1, 2]}}
games: {{{", ".join(f"minatar/{g}: {{random: 0, reference: 10}}" for g in GAMES)}}}
"""
HEADER = "step,score,episodes,deviation,minimum,maximum,validation_q,validation_td_error\n"


def level(run, game, seed):
    """What a run scores, always; copies from another game shift it."""
    random = numpy.random.default_rng([seed, *map(ord, run)])
    effect = 0
    if "-from-" in run:
        source, kind = run.split("-from-")[1].rsplit("-", 1)
        a, b = GAMES.index(source), GAMES.index(game.split("/")[1])
        effect = a - b / 2 + (kind == "first2") + [0, 2, -1, 1, 0.5][(a * b + a + b) % 5]
    return 8 + effect / 4 + random.normal() / 10


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """As if it had run: only how alike games are is measured."""
    folder = tmp_path_factory.mktemp("games")
    (folder / "study.yaml").write_text(STUDY)
    plan = json.loads(qgraft("run", folder / "study.yaml", "--out", folder / "out", "--plan",
                             "--json").stdout)
    for run in plan["runs"]:
        for task in run["tasks"]:
            if "similarity" in run["run"]:
                continue
            place = folder / "out" / task["folder"]
            place.mkdir(parents=True)
            (place / "task.json").write_text(json.dumps({"hash": task["hash"], "state": "finished"}))
            (place / "run.yaml").write_text("qgraft: 0.1.0\n")
            (place / "process.yaml").write_text("state: finished\n")
            (place / "training.csv").write_text("")
            score = level(run["run"], run["game"], task["seed"])
            (place / "evaluations.csv").write_text(HEADER + "".join(
                f"{step},{score!r},9,1,0,9,,\n" for step in range(0, 1001, 100)))
    (folder / "out/study.json").write_text(json.dumps(
        {"format": 1, "study": "five", "scale": 1.0, "base": str(folder)}))
    (folder / "out/study.yaml").write_text(STUDY)
    qgraft("run", folder / "out", "--quiet")
    return folder / "out"


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def report(study, *words):
    answer = json.loads(qgraft("report", study, "--json", *words).stdout)
    page = (study / "report.html").read_text()
    return answer, page, page[page.index('id="games"'):page.index('id="experiments"')]


def experiments(study):
    """Of the copies from another game: kind, source, target, and their effect in metrics.csv."""
    rows = [row for row in read(study / "metrics.csv") if row["row"] == "pooled"
            and row["source_game"] != row["game"]]
    place = {"minatar/" + game: i for i, game in enumerate(GAMES)}
    return ([(int(row["copied"][-1]) - 1, place[row["source_game"]], place[row["game"]])
             for row in rows], numpy.array([float(row["area_difference"]) for row in rows]))


def test_a_study_of_five_games(study):
    (study / "measures.csv").write_text("game,other,own\n" + "".join(
        f"minatar/{a},minatar/{b},{i}\n" for i, (a, b) in
        enumerate(itertools.combinations(GAMES, 2))))
    answer, page, section = report(study)
    transfers, effects = experiments(study)
    assert len(transfers) == 40
    rest = rest_of(transfers, effects, 5)
    table = read(study / "figures/games.csv")
    pairs = [row for row in table if row["row"] == "pair"]
    assert len(pairs) == 10 and sum(row["row"] == "draw" for row in table) == 5 * 150
    own = {frozenset(("minatar/" + a, "minatar/" + b)): i for i, (a, b) in
           enumerate(itertools.combinations(GAMES, 2))}
    measured = {name: numpy.zeros((5, 5)) for name in ("actions", "family", "looks", "grade", "own")}
    for row in pairs:
        a, b = (GAMES.index(row[key].split("/")[1]) for key in ("game", "other"))
        between = [i for i, (_, s, t) in enumerate(transfers) if {s, t} == {a, b}]
        assert float(row["affinity"]) == pytest.approx(rest[between].mean(), abs=1e-9)
        assert float(row["low"]) < float(row["affinity"]) < float(row["high"])
        assert int(row["own"]) == own[frozenset((row["game"], row["other"]))]
        for name in measured:
            measured[name][a, b] = measured[name][b, a] = float(row[name])
    found = dict(re.findall(r"<tr><td>(\w+)</td><td class=\"number\">([\d.]+)</td>", section))
    assert re.search(r"<tr><td>family</td><td[^>]*>&ndash;</td>", section)  # the same for all pairs
    del measured["family"]
    for name, measure in measured.items():
        expected = games_of(transfers, effects, [measure[a, b] for _, a, b in transfers], 5)
        assert float(found[name]) == pytest.approx(expected["measure"][1], abs=6e-5)
        assert float(found["none"]) == pytest.approx(expected["alone"][1], abs=6e-5)
    best = min(measured, key=lambda name: float(found[name]))
    assert best in section[:section.index("<figure>")]
    points = numpy.array([[float(row["x"]), float(row["y"])] for row in table if row["row"] == "game"])
    order = [GAMES.index(row["game"].split("/")[1]) for row in table if row["row"] == "game"]
    expected = numpy.array(expected["points"]).reshape(5, 2)[order]
    u, _, v = numpy.linalg.svd(points.T @ expected)
    assert points @ u @ v == pytest.approx(expected, abs=1e-7)
    assert 'figures/games.svg"' in page and "Too few seeds" not in section


def test_measures_that_cannot_be_read(study):
    for text, problem in (("game,other\n", ":1: is not"), ("a,b,c\n", ":1: is not"),
                          ("game,other,x\nminatar/asterix,minatar/freeway\n", ":2: is not"),
                          ("game,other,x\n\nminatar/asterix,minatar/freeway,high\n", ":3: is not"),
                          ("game,other,x\na,b,1,2\n", ":2: is not"),
                          ("game,other,a|b\n", ":1: is not")):
        (study / "measures.csv").write_text(text)
        answer, page, section = report(study)
        assert f"measures.csv{problem}" in page and "it was left out" in page
        assert section.count("<tr><td>grade</td>") == 1
    # Unknown games are passed over, what is not there for all pairs has no error.
    (study / "measures.csv").write_text('game,other,x\n"minatar/asterix",minatar/freeway,2\nno,such,1\n')
    assert re.search(r"<tr><td>x</td><td[^>]*>&ndash;", report(study)[2])
    (study / "measures.csv").unlink()


def test_networks_are_measured(study, tmp_path):
    """examples/network_similarity.py: what `similarity` says of the sources' networks."""
    copy = shutil.copytree(study, tmp_path / "out")
    for game in GAMES:
        for seed in range(1, 7):
            qgraft("train", f"minatar/{game}", "--steps", 0, "--seed", seed, "--out",
                   tmp_path / "network", "--overwrite", "--quiet", "--set", "eval_steps=20")
            shutil.copy(tmp_path / "network/best.safetensors", copy / f"runs/{game}/s{seed}")
    subprocess.run([sys.executable, ROOT / "examples/network_similarity.py", copy,
                    "--frames", "100"], check=True)
    rows = read(copy / "measures.csv")
    assert list(rows[0]) == ["game", "other", *(f"cka {n}" for n in
                                                ("conv1", "conv2", "conv3", "fc1", "fc2"))]
    assert len(rows) == 10
    a, b = (rows[3][key] for key in ("game", "other"))
    values = []
    for seed in range(1, 7):
        files = [copy / f"runs/{game.split('/')[1]}/s{seed}/best.safetensors" for game in (a, b)]
        values += json.loads(qgraft("similarity", a, b, "--frames", 100, "--networks",
                                    *files, "--json").stdout)[
            "representation"]["debiased_cka"][4]["on"]
    assert float(rows[3]["cka fc2"]) == pytest.approx(numpy.mean(values))
    section = report(copy)[2]
    assert re.search(r"<tr><td>cka fc2</td><td class=\"number\">[\d.]+</td>", section)
    assert re.search(r"<tr><td>cka fc1</td><td[^>]*>&ndash;", section)  # fresh ones are the same


def test_a_pair_that_is_missing(study, tmp_path):
    """No map, but all that the other pairs say."""
    copy = shutil.copytree(study, tmp_path / "out")
    for name in ("asterix-from-freeway", "freeway-from-asterix"):
        for run in (copy / "runs").glob(f"minatar-{name}-*"):
            shutil.rmtree(run)
    _, page, section = report(copy, "--partial")
    assert "No map of the games: nothing is known of layers of" in section
    assert section.count("<tr><td>minatar/") == 9 and "figures/games" not in page
    assert not (copy / "figures/games.svg").exists()
