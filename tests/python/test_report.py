"""The report of a study whose curves were written by hand, so that every verdict is known: numbers
against numpy and scipy, damaged files, and the page in a browser."""

import base64
import csv
import hashlib
import json
import math
import os
import re
import shutil
import xml.etree.ElementTree

import numpy
import pytest
import scipy.stats
from PIL import Image

import browser
from conftest import pixels
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from statsmodels.stats.multitest import multipletests
from test_cli import qgraft, refusal
from test_statistics import behrens_fisher_sf, limma

STUDY = """
study: known-effects
question: "Does <script>alert('x')</script> & copying help?"
steps: 1k
seeds: 3
settings: {eval_every: 100, eval_steps: 20, learn_start: 1k, validation_size: 100, replay: 1k}
sources:
  b: {game: minatar/breakout}
  f: {game: minatar/freeway}
runs:
  - {game: [minatar/breakout, minatar/freeway]}
  - {game: [minatar/breakout, minatar/freeway], from: [b, f], first: [1, 2]}
  - {game: minatar/freeway, from: b, last: 1, freeze: true}
  - {game: minatar/freeway, from: b, first: 3, seeds: [2]}
  - {game: minatar/freeway, from: random, first: 2, freeze: true}
games:
  minatar/freeway: {random: 0, reference: 20, threshold: 6}
claims:
  - {says: The first <b>layer</b> helps, source: a paper, expect: positive, of: {first: 1}}
  - {says: The second layer helps, expect: positive, of: {first: 2}}
  - {says: More layers are worse, expect: worse, of: {first: 2}, than: {first: 1}}
  - {says: The last layer does little, expect: little, margin: 0.2, of: {last: 1}}
  - {says: The last layer helps, expect: positive, of: {last: 1}}
"""
TOO_SMALL = 3  # warnings: it ends before it learns, has windows of one evaluation, and few seeds
HEADER = "step,score,episodes,deviation,minimum,maximum,validation_q,validation_td_error\n"
EFFECTS = {"first1": 2, "first2": -2, "last1": 0, "first3": 5, "random": -4}
STEPS = numpy.arange(0, 1001, 100)
MEASURES = ["zero_shot", "jumpstart", "early", "late", "asymptote", "maximum", "area"]


def run_short(folder, study, **settings):
    """Runs what `study` says, two seeds of a thousand steps; the folder of it."""
    few = {"eval_every": 500, "eval_steps": 20, "learn_start": 990, "validation_size": 50, "replay": 1000}
    (folder / "study.yaml").write_text(
        f"steps: 1k\nseeds: 2\nsettings: {json.dumps({**few, **settings})}\n{study}")
    qgraft("run", folder / "study.yaml", "--out", folder / "out", "--quiet")
    return folder / "out"


def synthetic(run, seed):
    """A rising curve; transfers are shifted by the effect of their kind, by seed a bit more or less."""
    effect = next((value for kind, value in EFFECTS.items() if "random" in run or kind in run), 0)
    effect = EFFECTS["random"] if "random" in run else effect
    spread = [-0.3, 0.2, 0.1][seed - 1] if "from" in run else 0
    wave = numpy.sin(STEPS / 37 + seed + len(run)) / 5
    luck = ([2, 3, 1][seed - 1] if "from" in run else seed) / 4  # pairing by seed would not pay
    return 10 * (1 - numpy.exp(-STEPS / 300)) + effect + spread + wave + luck


def write_curve(folder, scores, episodes=9):
    rows = [f"{step},{score!r},{episodes},1,0,3,," for step, score in zip(STEPS, map(float, scores))]
    (folder / "evaluations.csv").write_text(HEADER + "\n".join(rows) + "\n")


def confirm(folder, score):
    """Says in the best network what it scored when it was played again; None: nothing."""
    path = folder / "best.safetensors"
    with safe_open(path, "np") as file:
        notes = {k: v for k, v in file.metadata().items() if k != "confirmed_score"}
    if score is not None:
        notes["confirmed_score"] = repr(float(score))
    save_file(load_file(path), path, notes)


def trained(study):
    """The folders of all runs but those that measure games, and of their seeds."""
    return [(run, seed) for run in sorted((study / "runs").iterdir())
            for seed in sorted(run.iterdir()) if (seed / "evaluations.csv").exists()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was run, with curves of known effects instead of its own."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(STUDY)
    qgraft("run", folder / "study.yaml", "--out", folder / "out", "--quiet")
    for run, seed in trained(folder / "out"):
        scores = synthetic(run.name, int(seed.name[1:]))
        write_curve(seed, scores)
        confirm(seed, max(scores) - 0.5)
    return folder / "out"


@pytest.fixture(scope="module")
def reported(finished):
    with pixels():
        answer = json.loads(qgraft("report", finished, "--json").stdout)
    assert answer["report"] == str(finished / "report.html")
    return finished, answer, (finished / "report.html").read_text()


@pytest.fixture
def study(finished, tmp_path):
    """A copy to damage."""
    return shutil.copytree(finished, tmp_path / "out")


def read_metrics(folder):
    return read_table(folder / "metrics.csv")


def read_table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else math.nan


def measures(scores):
    trained, steps = scores[1:], STEPS[1:]
    area = sum((scores[i] + scores[i + 1]) / 2 for i in range(len(scores) - 1)) / (len(scores) - 1)
    return {"zero_shot": scores[0], "jumpstart": trained[steps <= 100].mean(),
            "early": trained[steps <= 800].mean(), "late": trained[steps > 800].mean(),
            "asymptote": trained[steps > 900].mean(), "maximum": trained.max(), "area": area}


def first_above(scores, threshold):
    smooth = [scores[max(0, i - 2):i + 1].mean() for i in range(len(scores))]
    return next((int(STEPS[i]) for i in range(2, len(scores)) if smooth[i] >= threshold), None)


def scale(row):
    """What the study gives for one game; for the other what the report should find out."""
    if row["game"] == "minatar/freeway":
        return 0, 20
    last = [synthetic("minatar-breakout", seed)[STEPS > 900].mean() for seed in (1, 2, 3)]
    return number(row["random"]), numpy.mean(last)


def differences(row, seeds):
    random, reference = scale(row)
    baseline = "minatar-" + row["game"].split("/")[1]
    pairs = [(measures(synthetic(row["run"], s)), measures(synthetic(baseline, s))) for s in seeds]
    return {m: numpy.array([(t[m] - b[m]) / (reference - random) for t, b in pairs])
            for m in MEASURES}


def test_every_seed_against_numpy(reported):
    rows = [row for row in read_metrics(reported[0]) if row["row"] == "seed"]
    assert len(rows) == 6 + 24 + 3 + 1 + 3
    for row in rows:
        scores = synthetic(row["run"], int(row["seed"]))
        for name, value in measures(scores).items():
            assert number(row[name]) == pytest.approx(value, rel=1e-12), (row["run"], name)
        if "from" not in row["run"]:
            assert row["baseline"] == row["area_difference"] == row["verdict"] == ""
            continue
        random, reference = scale(row)
        assert number(row["reference"]) == pytest.approx(reference)
        for name, value in differences(row, [int(row["seed"])]).items():
            assert number(row[name + "_difference"]) == pytest.approx(value[0], abs=1e-12)
        baseline = synthetic(row["baseline"], int(row["seed"]))
        assert row["threshold_step"] == str(first_above(scores, number(row["threshold"])) or "")
        assert row["threshold_step_baseline"] == str(
            first_above(baseline, number(row["threshold"])) or "")
        if row["game"] == "minatar/freeway":
            area = measures(baseline)["area"] / 20
            assert number(row["area_ratio"]) == pytest.approx(
                number(row["area_difference"]) / area)
    assert {number(row["threshold"]) for row in rows if row["group"] and "freeway" in row["game"]} \
        == {6}


def levels(run, game_row, seeds, measure):
    """What each seed of a run reached, normalised."""
    random, reference = scale(game_row)
    return numpy.array([(measures(synthetic(run, s))[measure] - random) / (reference - random)
                        for s in seeds])


def judged(rows):
    """The effects of all experiments on the area by numpy, with their standard errors and what gives p of
    so many of them: Smyth's variances in the three strata, and Behrens' and Fisher's distribution where one
    is moderated, else Welch's t."""
    groups, strata = [], []
    for row in rows:
        seeds = [2] if "first3" in row["run"] else [1, 2, 3]
        groups.append(levels(row["run"], row, seeds, "area"))
        strata.append("frozen" if row["frozen"] == "true" else "free")
    games = sorted({row["baseline"] for row in rows})
    for game in games:
        row = next(row for row in rows if row["baseline"] == game)
        groups.append(levels(game, row, [1, 2, 3], "area"))
        strata.append("baseline")
    variance = [g.var(ddof=1) if len(g) > 1 else math.nan for g in groups]
    degrees = [len(g) - 1 for g in groups]
    moderated = set()
    for stratum in set(strata):
        of = [i for i, s in enumerate(strata) if s == stratum and degrees[i] > 0]
        if len(of) >= 3:
            moderated |= {*of}
            for i, v, d in zip(of, *limma([variance[i] for i in of], [degrees[i] for i in of])):
                variance[i], degrees[i] = v, d
    effects = []
    for i, row in enumerate(rows):
        b = len(rows) + games.index(row["baseline"])
        errors = [variance[k] / len(groups[k]) for k in (i, b)]
        def p_of(t, share=errors[0] / sum(errors), df=(degrees[i], degrees[b]), apart=bool({i, b} & moderated)):
            welch = 1 / (share ** 2 / df[0] + (1 - share) ** 2 / df[1])
            return 2 * (behrens_fisher_sf(t, share, *df) if apart else scipy.stats.t.sf(t, welch))

        effects.append((groups[i].mean() - groups[b].mean(), sum(errors) ** 0.5, p_of))
    return effects


def test_pooled_rows_and_verdicts(reported):
    rows = [row for row in read_metrics(reported[0]) if row["row"] == "pooled"]
    assert len(rows) == 11
    p, apart = {False: [], True: []}, []
    for row, (effect, error, p_of) in zip(rows, judged(rows)):
        single = "first3" in row["run"]
        assert (row["seeds"], row["seeds_baseline"]) == ("1" if single else "3", "3")
        assert number(row["area_difference"]) == pytest.approx(effect)
        for name in MEASURES:
            seeds = [2] if single else [1, 2, 3]
            assert number(row[name + "_difference"]) == pytest.approx(
                levels(row["run"], row, seeds, name).mean()
                - levels(row["baseline"], row, [1, 2, 3], name).mean(), abs=1e-12)
        control = row["source_game"] in ("", row["game"])
        if single:
            assert row["area_low"] == row["p"] == row["p_rate"] == "" and "one seed" in row["reason"]
            assert row["copied"] == "first 3"
            p[control].append((row, 1, None))
            continue
        assert number(row["area_error"]) == pytest.approx(error)
        p[control].append((row, p_of(abs(effect / error)), p_of))
        assert number(row["p"]) == pytest.approx(p[control][-1][1])
        reach = (number(row["area_high"]) - effect) / error
        assert p_of(reach) == pytest.approx(0.05)
        assert 2 * scipy.stats.t.sf(reach, number(row["area_degrees"])) == pytest.approx(0.05)
        told = [row[name] for name in ("area_share", "arm_degrees", "baseline_degrees")]
        apart.append(told != ["", "", ""])
        if apart[-1]:
            assert p_of(reach) == pytest.approx(2 * behrens_fisher_sf(reach, *map(float, told)))
        assert number(row["p"]) <= number(row["p_family"]) <= 1
    assert {*apart} == {False, True}
    for control in (False, True):
        adjusted = scipy.stats.false_discovery_control([one[1] for one in p[control]])
        selected = max(1, sum(adjusted <= 0.05))
        for (row, _, p_of), q in zip(p[control], adjusted):
            if row["p"] == "":
                continue
            assert number(row["p_rate"]) == pytest.approx(q)
            decided = row["verdict"] in ("positive", "negative")
            assert decided == (q <= 0.05)
            reach = (number(row["area_difference"]) - number(row["area_adjusted_low"])) / number(row["area_error"])
            assert p_of(reach) == pytest.approx(0.05 * selected / len(adjusted))
    kinds = {"first1": "positive", "first2": "negative", "last1": "no effect", "random": "negative"}
    for row in rows:
        kind = next((k for k in ("random", *kinds) if k in row["run"]), None)
        assert row["verdict"] == kinds.get(kind, "not decided"), row["run"]


def test_counts_by_kind_of_copy(reported):
    """The table under the forest plot: of all compared experiments."""
    page = reported[2][reported[2].index('id="effects"'):reported[2].index('id="claims"')]
    found = [re.sub("<[^>]*>", "|", row).strip("|").split("||") for row in
             re.findall(r"<tr>(<td>.*?)</tr>", page)]
    rows = [row for row in read_metrics(reported[0]) if row["row"] == "pooled"]
    for name, count, mean, *decided in found:
        of = [row for row in rows if (row["source"] == "random") == ("random" in name)
              and ("random" in name or (row["frozen"] == "true") == ("frozen" in name))
              and ("random" in name or (row["source_game"] == row["game"]) == ("same" in name))]
        assert int(count) == len(of)
        assert float(mean) == pytest.approx(
            numpy.mean([number(row["area_difference"]) for row in of]), abs=6e-4)
        assert [int(n) for n in decided] == [
            sum(row["verdict"] == verdict for row in of)
            for verdict in ("positive", "negative", "no effect", "not decided")]
    assert sum(int(row[1]) for row in found) == 11 and len(found) == 4


def test_runs_that_never_learned(study):
    """Those that end below a quarter of the way from random play to the reference."""
    for seed in (1, 3):
        write_curve(study / RUN / f"s{seed}", [0] * 10 + [4.9])
    write_curve(study / RUN / "s2", [0] * 10 + [5.1])
    qgraft("report", study)
    row = next(row for row in read_metrics(study) if row["run"] == RUN.split("/")[1] and
               row["row"] == "pooled")
    assert (row["learned"], row["learned_baseline"]) == ("1", "3")
    assert "1 of 3 runs, 3 of 3 of the baseline" in (study / "report.html").read_text()


def seed_means(rows, side, seeds=(1, 2, 3)):
    """For each seed the mean over the experiments of their area, normalised."""
    return numpy.mean([levels(row["run"] if side == "transfer" else row["baseline"], row, seeds,
                              "area") for row in rows], axis=0)


def test_summary_and_claims(reported):
    _, answer, page = reported
    assert "own game) and without the 1 that have fewer seeds than most." in page
    assert (answer["positive"], answer["negative"], answer["no_effect"],
            answer["not_decided"]) == (2, 2, 1, 1)
    assert answer["experiments"] == 6  # random layers, and the source's own game, are controls
    assert answer["summary"].startswith("6 experiments (and 5 controls) over 1 to 3 seeds: ")
    assert " In the mean of 5 of them, over 3 seeds and 3 of the baselines, the " in answer["summary"]
    rows = [row for row in read_metrics(reported[0]) if row["row"] == "pooled" and
            row["source_game"] not in ("", row["game"]) and "first3" not in row["run"]]
    result = scipy.stats.ttest_ind(seed_means(rows, "transfer"), seed_means(rows, "baseline"),
                                   equal_var=False)
    interval = result.confidence_interval(0.95)
    assert (answer["low"], answer["high"]) == pytest.approx((interval.low, interval.high))
    assert (answer["claims"], answer["claims_hold"], answer["claims_fail"]) == (5, 3, 1)
    assert answer["summary"] in page and answer["summary"].count(". ") == 1
    table = page[page.index('id="claims"'):page.index('id="overview"')]
    found = re.findall(r'badge \w+">([\w ]+)<', table)
    assert found == ["holds", "does not hold", "holds", "holds", "not decided"]
    with open(reported[0] / "claims.csv", newline="") as file:
        claims = list(csv.DictReader(file))
    assert [row["finding"] for row in claims] == found
    assert claims[0]["says"] == "The first <b>layer</b> helps" and claims[0]["source"] == "a paper"
    assert [row["margin"] for row in claims] == ["", "", "", "0.2", ""]
    assert claims[2]["expect"] == "worse" and claims[2]["metric"] == "area"
    check_claims(claims, read_metrics(reported[0]))
    assert answer["warnings"] == TOO_SMALL


def test_what_a_claim_rests_on(tmp_path):
    """All that it speaks of, over the seeds that all of them have; of two sides the games of both."""
    out = run_short(tmp_path, """
sources: {a: {game: minatar/asterix, seeds: 4}, b: {game: minatar/breakout}, f: {game: minatar/freeway}}
runs:
  - {game: minatar/breakout, from: a, first: [1, 2]}
  - {game: minatar/breakout, from: a, last: 1, seeds: 4}
  - {game: minatar/asterix, from: b, first: 1}
  - {game: [minatar/asterix, minatar/breakout], from: f, first: 1}
games: {minatar/asterix: {random: 0, reference: 1}, minatar/breakout: {random: 0, reference: 1}}
claims:
  - {says: more seeds, expect: positive, of: {from: a}}
  - {says: a game in common, expect: better, of: {from: f}, than: {from: b}}
  - {says: none in common, expect: better, of: {from: a}, than: {from: b}}
""")
    answer = json.loads(qgraft("report", out, "--json").stdout)
    rests = [(row["experiments"], row["lacking"], row["seeds"]) for row in read_table(out / "claims.csv")]
    assert rests == [("3", "0", "2"), ("2", "0", "2"), ("4", "0", "2")]
    assert "6 experiments over 2 to 4 seeds: " in answer["summary"]
    assert " In the mean, over 2 seeds and 2 of the baselines, the " in answer["summary"]


def check_claims(claims, rows):
    rows = [row for row in rows if row["row"] == "pooled"]
    of = {kind: [row for row in rows if row["copied"] == kind and row["source"] != "random"]
          for kind in ("first 1", "first 2", "last 1")}
    expected = [scipy.stats.ttest_ind(seed_means(of[kind], "transfer"),
                                      seed_means(of[kind], "baseline"), equal_var=False)
                for kind in ("first 1", "first 2")]
    both = [row for row in rows if row["copied"] == "first 2"]  # the random ones, too
    expected[1] = scipy.stats.ttest_ind(seed_means(both, "transfer"), seed_means(both, "baseline"),
                                        equal_var=False)
    per_game = []
    for game in ("minatar/breakout", "minatar/freeway"):
        more, fewer = [[row for row in group if row["game"] == game]
                       for group in (both, of["first 1"])]
        per_game.append(seed_means(more, "transfer") - seed_means(fewer, "transfer"))
    expected.append(scipy.stats.ttest_1samp(numpy.mean(per_game, axis=0), 0))
    last = of["last 1"]
    transfer, baseline = seed_means(last, "transfer"), seed_means(last, "baseline")
    welch = scipy.stats.ttest_ind(transfer, baseline, equal_var=False)
    error = (transfer.var(ddof=1) / 3 + baseline.var(ddof=1) / 3) ** 0.5
    within = scipy.stats.t.sf((0.2 - abs(transfer.mean() - baseline.mean())) / error, welch.df)
    p = [*(e.pvalue for e in expected), min(1, 2 * min(within, 1 - within)), welch.pvalue]
    assert [number(row["p"]) for row in claims] == pytest.approx(p)
    holm = multipletests(p, method="holm")[1]
    assert [number(row["p_adjusted"]) for row in claims] == pytest.approx(holm)
    for row, q in zip(claims, holm):
        assert (row["finding"] != "not decided") == (q <= 0.05)
        low, high = number(row["adjusted_low"]), number(row["adjusted_high"])
        margin = number(row["margin"]) if row["margin"] else 0
        assert (q <= 0.05) == (low > margin or high < -margin or (low > -margin and high < margin))
        assert row["lacking"] == "0"
    assert (claims[0]["free_up"], claims[0]["free_down"], claims[0]["frozen_up"]) == ("4", "0", "0")
    assert [claims[1][k] for k in ("free_down", "frozen_down", "experiments")] == ["4", "1", "5"]
    assert number(claims[1]["frozen_effect"]) == pytest.approx(
        number(next(row for row in rows if row["source"] == "random")["area_difference"]))
    assert [row["seeds_baseline"] for row in claims] == ["3", "3", "", "3", "3"]  # "": paired


def test_rank_correlation(reported, tmp_path):
    """One point a pair of games, of either direction; a single pair is too few."""
    assert "1 pair of games: too few, or too alike, for a rank correlation" in reported[2]
    games = ["asterix", "breakout", "freeway", "seaquest"]
    out = run_short(tmp_path, f"""
sources: {{{", ".join(f"{g}: {{game: minatar/{g}}}" for g in games)}}}
runs: [{{game: [{", ".join("minatar/" + g for g in games)}], from: [{", ".join(games)}], last: 1}}]
games: {{{", ".join(f"minatar/{g}: {{random: 0, reference: 1}}" for g in games)}}}
""")
    qgraft("report", out)
    page = (out / "report.html").read_text()
    assert "own game)." in page and "that have fewer seeds" not in page
    rho, count = re.search(r"is (-?[\d.]+) over (\d+) pairs of games", page).groups()
    effects = {}
    for row in read_metrics(out):
        if row["row"] == "pooled" and row["game"] != row["source_game"]:
            pair = effects.setdefault(frozenset((row["game"], row["source_game"])), [])
            pair.append((number(row["similarity"]), number(row["area_difference"])))
    assert int(count) == len(effects) == 6 and {len(pair) for pair in effects.values()} == {2}
    points = [numpy.mean(pair, axis=0) for pair in effects.values()]
    assert float(rho) == pytest.approx(scipy.stats.spearmanr(points).statistic, abs=5e-4)


def test_nothing_from_a_file_is_markup(reported):
    _, _, page = reported
    assert page.count("<script") == 1 and "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
    assert "The first &lt;b&gt;layer&lt;/b&gt; helps" in page
    script = re.search("<script>(.*?)</script>", page, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "'unsafe-inline'" in page  # of styles
    assert not re.search(r'(src|href)="(?!data:|#|figures/|runs/[-.\w]+/s\d+/"|(metrics|claims)\.csv)', page)


def test_figures(reported):
    folder, _, page = reported
    names = {path.stem for path in (folder / "figures").iterdir()}
    forest = (folder / "figures/effects.svg").read_text()
    assert page.index('id="effects"') < page.index('id="claims"')
    assert all(kind in forest for kind in (
        "-- free, from another game --", "-- frozen, from another game --",
        "-- control: free, same game --", "-- control: random layers --", "b to freeway, first 1 free"))
    assert {"effects", "matrix", "matrix-first-1-free", "matrix-first-2-free", "similarity",
            "curves-minatar-breakout-to-minatar-freeway"} <= names
    assert "matrix-last-1-frozen" not in names  # one source, one target
    for name in names:
        assert f'figures/{name}.svg"' in page and f'figures/{name}.png"' in page
        xml.etree.ElementTree.parse(folder / f"figures/{name}.svg")
        with Image.open(folder / f"figures/{name}.png") as picture:
            assert picture.width == 1950 and round(picture.info["dpi"][0]) == 300
        assert f'figures/{name}.csv"' in page and read_table(folder / f"figures/{name}.csv")
    curves = (folder / "figures/curves-minatar-breakout-to-minatar-freeway.svg").read_text()
    assert "threshold" in curves and "epochs" in curves and "baseline" in curves
    for svg in (folder / "figures").glob("*.svg"):  # letters of 11 pixels and more
        assert min(map(float, re.findall(r'font-size="([\d.]+)"', svg.read_text()))) >= 11


def test_the_data_of_the_figures(reported):
    """The baseline in every panel, each seed, the mean and its band; and what the others show."""
    figures, rows = reported[0] / "figures", read_metrics(reported[0])
    curves = read_table(figures / "curves-minatar-breakout-to-minatar-freeway.csv")
    panels = {row["panel"] for row in curves}
    assert panels == {"first 1 free", "first 2 free", "first 3 free", "last 1 frozen"}
    for panel in panels:
        runs = {row["run"] for row in curves if row["panel"] == panel}
        assert len(runs) == 2 and "minatar-freeway" in runs
        for run in runs:
            mine = [row for row in curves if (row["panel"], row["run"]) == (panel, run)]
            seeds = sorted({row["seed"] for row in mine if row["row"] == "seed"})
            scores = numpy.array([[number(row["score"]) for row in mine if row["seed"] == seed]
                                  for seed in seeds])
            assert scores == pytest.approx(numpy.array([synthetic(run, int(s)) for s in seeds]))
            means = [row for row in mine if row["row"] == "mean"]
            assert [number(row["score"]) for row in means] == pytest.approx(scores.mean(0))
            if len(seeds) > 1:
                reach = scipy.stats.t.ppf(0.975, len(seeds) - 1) * scipy.stats.sem(scores)
                assert [number(row["high"]) for row in means] == pytest.approx(scores.mean(0) + reach)
    pooled = {row["run"]: row for row in rows if row["row"] == "pooled"}
    effects = read_table(figures / "effects.csv")
    assert {row["run"] for row in effects} == set(pooled)
    for row in effects:
        assert row["verdict"] == pooled[row["run"]]["verdict"]
        assert row["adjusted_low"] == pooled[row["run"]]["area_adjusted_low"]
    cells = {(row["row"], row["column"]): row for row in read_table(figures / "matrix.csv")}
    assert cells["b to breakout", "first 1 free"]["control"] == "true"
    assert cells["b to freeway", "first 1 free"]["control"] == "false"
    assert cells["b to freeway", "last 1 frozen"]["effect"] == next(
        row["area_difference"] for run, row in pooled.items() if "last1" in run)
    sources = read_table(figures / "sources.csv")
    assert {(row["panel"], row["run"]) for row in sources} == {
        ("b", "minatar-breakout"), ("f", "minatar-freeway")}


def test_bands_stay_where_scores_are(study):
    """With few seeds the interval goes below every score; the band is cut off there."""
    for run, seed in trained(study):
        write_curve(seed, [0, 9, 1][int(seed.name[1:]) - 1] * numpy.linspace(0, 1, len(STEPS)))
    qgraft("report", study)
    table = read_table(study / "figures/curves-minatar-breakout-to-minatar-freeway.csv")
    assert min(number(row["low"]) for row in table if row["low"]) < -3
    svg = (study / "figures/curves-minatar-breakout-to-minatar-freeway.svg").read_text()
    heights = [[float(y) for points in re.findall(pattern, svg)
                for y in re.findall(r"[\d.]+,([\d.]+)", points)]
               for pattern in (r"<polygon[^>]*fill-opacity = '0.15[^>]*points = '([^']*)'",
                               r"opacity='0.37'  d='([^']*)'")]
    top = min(heights[1])  # of the first row of panels
    first_row = [[y for y in ys if y < top + 150] for ys in heights]
    assert len(first_row[0]) > 50 and min(first_row[0]) > top - 0.1
    assert max(first_row[0]) < max(first_row[1]) + 0.1


def test_students_have_curves(tmp_path):
    """Scores, divergence and agreement over samples, as the runs wrote them."""
    out = run_short(
        tmp_path, "sources:\n  b: {game: minatar/breakout}\n"
        "  s: {distill: b, temperature: '0.1:0.3:0.2', samples: 2k}\n"
        "runs:\n  - {game: minatar/breakout}\n  - {game: minatar/breakout, from: s, last: 1}\n"
        "games: {minatar/breakout: {random: 0, reference: 9}}\n")
    qgraft("report", out)
    table = read_table(out / "figures/sources.csv")
    lessons = read_table(out / "runs/s/s2/distillation.csv")
    student = [row for row in table if row["run"] == "s" and row["seed"] == "2"]
    values = [(row["step"], number(row["score"])) for row in student]
    for column in ("kl", "agreement"):
        for row in lessons:
            assert (row["samples"], pytest.approx(number(row[column]))) in values
    assert len(student) == 2 * len(lessons) + len(
        read_table(out / "runs/s/s2/evaluations.csv"))


STUDENT = "samples,task,temperature,loss,kl,teacher_entropy,agreement,advantage_scale," \
          "value_correlation,score,teacher_score\n"


def students(page):
    """The rows of the table of students."""
    table = page[page.index("Students, means over seeds"):].split("</table>")[0]
    return [re.findall(r"<td[^>]*>([^<]*)", row) for row in table.split("<tr>")[2:]]


def test_students_beside_their_teachers(tmp_path):
    out = run_short(
        tmp_path, "sources:\n  b: {game: minatar/breakout}\n  f: {game: minatar/freeway}\n"
        "  s: {distill: b, samples: 2k, loss: mse}\n  s-last: {from: s, take: last}\n"
        "  two: {distill: [b, f], samples: 500}\n"
        "runs:\n  - {game: minatar/breakout}\n"
        "  - {game: minatar/breakout, from: [s, s-last], last: 1}\n"
        "  - {game: minatar/breakout, from: [s, two], first: 1}\n"
        "games: {minatar/breakout: {random: 0, reference: 9}}\n", eval_every=1000)
    qgraft("report", out)
    rows = students((out / "report.html").read_text())
    assert [row[:3] for row in rows] == [["s", "b", "mse"], ["s-last", "b", "mse"], ["two", "b", "kl"],
                                         ["two", "f", "kl"]]
    assert all(len(row) == 9 for row in rows)
    table = read_table(out / "runs/s/s1/student.csv")
    assert list(table[0]) == STUDENT.strip().split(",") and len(table) == 3

    # The network that is taken: the best one is the second row's, of both seeds.
    def write(seed, scale, run="s"):
        (out / f"runs/{run}/s{seed}/student.csv").write_text(
            STUDENT + f"0,1,0.1,9,9,1,0.1,9,-1,99,10\n1000,1,0.1,1,{seed},1,0.5,{scale},0.5,{seed},10\n"
            f"2000,1,0.1,1,3,1,0.75,1,0.25,0,10\n1999,1,0.")

    def warnings():
        qgraft("report", out)
        return (out / "report.html").read_text()
    write(1, 4), write(2, 5)
    page = warnings()
    assert students(page)[0][3:] == ["1.5", "10", "0.500", "1.5", "4.5", "0.500"]
    assert students(page)[1][3:] == ["0", "10", "0.750", "3", "1", "0.250"]
    assert page.count("advantages 4.5 times its teacher&#39;s: what copies its last layer "
                      "(minatar-breakout-from-s-last1)") == 1
    assert "the student s-last has" not in page and "the student two has" not in page
    write(1, 0.1), write(2, 0.3)
    assert "the student s has advantages 0.2 times" in warnings()
    # What is not known is left out, in one line, and the rest is there.
    (out / "runs/s/s1/student.csv").unlink()
    page = warnings()
    assert page.count("the student s was made before runs wrote student.csv") == 1
    assert students(page)[0][7:] == ["&ndash;", "&ndash;"] and float(students(page)[0][5]) <= 1
    (out / "runs/s/s1/teachers.csv").unlink()
    page = warnings()
    assert re.search(r"how a student of s follows its teacher is not known: [^<]*teachers.csv", page)
    assert students(page)[0][3:6] == ["2", "10", "0.500"]
    for text in ("", "other\n", STUDENT + "x\n", STUDENT + "1,9,1,1,1,1,1,1,1,1,1\n"):
        (out / "runs/s/s1/student.csv").write_text(text)
        assert "is not known: runs/s/s1/student.csv:" in warnings().replace(str(out) + "/", "")


def test_a_student_without_its_teacher(tmp_path):
    made = tmp_path / "made"
    qgraft("train", "minatar/breakout", "--steps", 0, "--set", "eval_steps=20", "--out", made,
           "--quiet")
    qgraft("distill", made / "last.safetensors", "--samples", 200, "--eval-steps", 20, "--out",
           tmp_path / "student", "--quiet")
    out = run_short(
        tmp_path, "sources:\n  s: {file: student/last.safetensors}\n  t: {file: made/last.safetensors}\n"
        "runs:\n  - {game: minatar/breakout}\n"
        "  - {game: minatar/breakout, from: [s, t], last: 1}\n"
        "games: {minatar/breakout: {random: 0, reference: 9}}\n", eval_every=1000)
    qgraft("report", out)
    page = (out / "report.html").read_text()
    assert page.count("the source s is a student without its teacher (distilled: temperature 0.1, "
                      "made elsewhere)") == 1
    assert "the source t is" not in page and "Students, means" not in page


def test_a_game_that_nobody_has_learned(study):
    for run in (study / "runs").glob("minatar-breakout*"):
        for seed in run.iterdir():
            scores = [0.5] * len(STEPS)
            scores[4] = 9
            write_curve(seed, scores)
    answer = json.loads(qgraft("report", study, "--json").stdout)
    page = (study / "report.html").read_text()
    assert answer["warnings"] == TOO_SMALL + 1
    assert re.search(r"minatar/breakout: the baseline.*, 0\.5 in the mean, .*evaluation \(9\)", page)


def test_evaluations_without_an_episode(study):
    for run, seed in trained(study):
        write_curve(seed, synthetic(run.name, int(seed.name[1:])), int("freeway" in str(seed)))
    answer = json.loads(qgraft("report", study, "--json").stdout)
    page = (study / "report.html").read_text()
    assert answer["warnings"] == TOO_SMALL + 1  # of those onto Freeway all have one
    assert "minatar/breakout: an evaluation holds 0 complete episodes" in page


def test_older_figures_are_removed(study):
    (study / "figures").mkdir(exist_ok=True)
    for name in ("curves-renamed.svg", "curves-renamed.png", "curves-renamed.csv", "matrix-old.svg",
                 "mine.png"):
        (study / "figures" / name).touch()
    qgraft("report", study)
    names = {path.name for path in (study / "figures").iterdir()}
    assert not [name for name in names if "renamed" in name or "old" in name]
    assert {"mine.png", "matrix.svg", "matrix.png"} <= names


SCORE = "runs/random-score-minatar-breakout/s1"  # that of the other game is given
SIMILARITY = "runs/similarity-minatar-breakout-minatar-freeway/s1"


def test_measurements_are_read(study):
    assert {path.name for path in (study / "runs").glob("[rs][ai]*-*")} == {
        SCORE.split("/")[1], SIMILARITY.split("/")[1]}
    for name, key, value, column in ((SCORE + "/random-score.json", "score", 0.125, "random"),
                                     (SIMILARITY + "/similarity.json", "grade", 0.75, "similarity")):
        measured = json.loads((study / name).read_text())
        assert 0.2 < measured[key] < 0.8
        (study / name).write_text(json.dumps({**measured, key: value}))
        qgraft("report", study)
        found = {number(row[column]) for row in read_metrics(study) if row["row"] == "pooled" and
                 (row["game"] == "minatar/breakout" if key == "score" else
                  row["source_game"] not in ("", row["game"]))}
        assert found == {value}


def test_measurements_that_are_missing(study):
    """A study of an older version: its report does without, and `qgraft run` makes them."""
    qgraft("report", study)
    before = (study / "metrics.csv").read_bytes()
    shutil.rmtree(study / SCORE)
    shutil.rmtree(study / SIMILARITY)
    answer = json.loads(qgraft("report", study, "--json").stdout)
    page = (study / "report.html").read_text()
    assert answer["warnings"] == TOO_SMALL + 1 and "2 of 2 measurements of games" in page
    assert "not compared: what random play of the game scores has not been measured" in page
    assert "Similarity and transfer" not in page
    pooled = [row for row in read_metrics(study) if row["row"] == "pooled"]
    assert {row["game"] for row in pooled} == {"minatar/freeway"}
    assert {row["similarity"] for row in pooled} == {"", "1"}  # a game is known to be like itself
    qgraft("run", study, "--quiet")
    qgraft("report", study)
    assert (study / "metrics.csv").read_bytes() == before


@pytest.mark.parametrize("name,text,message,without", [
    (SCORE + "/random-score.json", "{ damaged", "random-score.json", "the score of random play"),
    (SCORE + "/random-score.json", '{"score": "1"}', "there is no score", "the score of random play"),
    (SIMILARITY + "/similarity.json", "{}", "'grade' is not what", "the similarity"),
])
def test_a_damaged_measurement(study, name, text, message, without):
    (study / name).write_text(text)
    assert message in refusal("report", study, code=1)
    qgraft("report", study, "--partial")
    assert f"; {without} was left out" in (study / "report.html").read_text()


RUN = "runs/minatar-freeway-from-b-first1"


def test_a_line_that_is_cut_off(study):
    path = study / RUN / "s3/evaluations.csv"
    path.write_bytes(path.read_bytes()[:-9])
    assert "s3/evaluations.csv: ends at step 900 of 1000: --partial" in refusal("report", study,
                                                                                code=1)
    answer = json.loads(qgraft("report", study, "--partial", "--json").stdout)
    page = (study / "report.html").read_text()
    assert answer["warnings"] == TOO_SMALL + 2 and "s3/evaluations.csv: line 12 is cut off" in page
    assert "shown up to step 900 of 1000" in page
    rows = [row for row in read_metrics(study) if row["run"] == RUN.split("/")[1]]
    assert len(rows) == 4 and {row["last_step"] for row in rows} == {"900"}


def test_a_claim_that_lacks_runs_has_no_verdict(study):
    """And neither has an experiment that goes on; both count among the comparisons."""
    before = {row["run"]: row for row in read_metrics_of(study) if row["row"] == "pooled"}
    path = study / RUN / "s3/evaluations.csv"
    path.write_text("".join(path.read_text().splitlines(True)[:-2]))
    qgraft("report", study, "--partial")
    with open(study / "claims.csv", newline="") as file:
        claims = list(csv.DictReader(file))
    assert [row["finding"] for row in claims] == ["not decided", "does not hold", "not decided",
                                                  "holds", "not decided"]
    assert [row["lacking"] for row in claims] == ["1", "0", "1", "0", "0"]
    assert "missing, not finished" in claims[0]["reason"] and claims[0]["p"] == ""
    after = {row["run"]: row for row in read_metrics(study) if row["row"] == "pooled"}
    run = RUN.split("/")[1]
    assert before[run]["verdict"] == "positive" and after[run]["verdict"] == "not decided"
    assert "not finished" in after[run]["reason"] and after[run]["p"] and not after[run]["p_rate"]


def read_metrics_of(study):
    qgraft("report", study)
    return read_metrics(study)


@pytest.mark.parametrize("line,text,message", [
    (5, "300,nan,9,1,0,3,,", ":5: 'nan' is not a number"),
    (5, "300,,9,1,0,3,,", ":5: there is no score"),
    (5, "200,1,9,1,0,3,,", ":5: the step does not follow"),
    (5, "2.5,1,9,1,0,3,,", ":5: the step does not follow"),
    (5, "300,1,9", ":5: the row has not 8 cells"),
    (5, "300,1,9,1,0,3,,,", ":5: the row has not 8 cells"),
    (5, "300,1e999,9,1,0,3,,", ":5: '1e999' is not a number"),
    (5, "\0", "NUL byte"),
    (1, "step,reward", ":1: the columns are not"),
])
def test_a_damaged_file(study, line, text, message):
    path = study / RUN / "s1/evaluations.csv"
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")
    error = refusal("report", study, code=1)
    assert "s1/evaluations.csv" in error and message in error


def test_files_that_are_empty_missing_or_huge(study):
    """And what --partial makes of a file that is of no use."""
    path = study / RUN / "s1/evaluations.csv"
    path.write_text("")
    assert "0 evaluations" in refusal("report", study, code=1)
    path.unlink()
    assert "s1/evaluations.csv" in refusal("report", study, code=1)
    with open(path, "wb") as file:
        file.truncate(65 << 20)
    assert "evaluations.csv" in refusal("report", study, code=1)
    qgraft("report", study, "--partial")
    assert "the seed was left out" in (study / "report.html").read_text()
    rows = [row for row in read_metrics(study) if row["run"] == RUN.split("/")[1]]
    assert [row["seed"] for row in rows] == ["2", "3", ""]


def test_a_run_that_is_missing(study):
    shutil.rmtree(study / RUN)
    error = refusal("report", study)
    assert "3 of 37 runs are not finished" in error and RUN in error and "--partial" in error
    qgraft("report", study, "--partial")
    page = (study / "report.html").read_text()
    assert "1 of 13 runs have not begun with any seed" in page
    assert "not compared: there is no curve of it yet" in page
    # Three cells of the matrix and a gap; the scale's steps are polygons too, but narrow.
    matrix = (study / "figures/matrix-first-1-free.svg").read_text()
    shapes = [[tuple(map(float, point.split(","))) for point in points.split()]
              for points in re.findall(r"<polygon fill = '[^']*' points = '([^']*)'", matrix)]
    cells = [shape for shape in shapes if max(x for x, _ in shape) - min(x for x, _ in shape) > 50]
    assert len(cells) == 3
    assert all(len({x for x, _ in cell}) == len({y for _, y in cell}) == 2 for cell in cells)


def test_versions_that_are_mixed_and_runs_that_went_on_otherwise(study):
    path = study / RUN / "s2/run.yaml"
    path.write_text(re.sub("qgraft: .*", "qgraft: 0.0.9", path.read_text(), count=1))
    process = study / RUN / "s1/process.yaml"
    process.write_text(process.read_text() + "inexact_resumes: 2\n")
    qgraft("report", study)
    page = (study / "report.html").read_text()
    assert re.search(r"runs of qgraft [\d.]+ and 0.0.9 are mixed", page)
    assert "inexact_resumes in process.yaml of 1 runs" in page


def test_scores_of_sources(study):
    """The best evaluation's, whose network is taken; one near random play is named."""
    for seed in (1, 2, 3):
        write_curve(study / f"runs/minatar-breakout/s{seed}", [0.5] * 5 + [1 + seed] + [6] * 5)
        confirm(study / f"runs/minatar-breakout/s{seed}", 4.5 + seed / 4)
    qgraft("report", study)
    page = (study / "report.html").read_text()
    table = page[page.index("<h3>Sources</h3>"):]
    row = r"<td>b</td><td>minatar-breakout</td><td>of its best evaluation</td><td[^>]*>6</td>"
    assert re.search(row + "<td[^>]*>5</td>", table)
    assert "near random play" not in page
    named = "the source f scores {} on minatar/freeway, near random play (0)"
    for seed in (1, 2, 3):
        write_curve(study / f"runs/minatar-freeway/s{seed}", [0] * 5 + [1 + seed] + [0] * 5)
        confirm(study / f"runs/minatar-freeway/s{seed}", seed)
    qgraft("report", study)
    assert named.format(2) in (study / "report.html").read_text()
    # Runs of before: one that does not say it, and the mean is not known.
    confirm(study / "runs/minatar-freeway/s2", None)
    confirm(study / "runs/minatar-breakout/s2", None)
    qgraft("report", study)
    page = (study / "report.html").read_text()
    assert named.format(3) in page and re.search(row + "<td[^>]*>&ndash;</td>", page)


def test_a_study_file_that_was_edited(study):
    """The report is of the folder's copy, and says so."""
    head = json.loads((study / "study.json").read_text())
    assert head["file"] == "study.yaml"
    (study.parent / "study.yaml").write_text(STUDY + "\n# edited\n")
    (study / "study.json").write_text(json.dumps({**head, "base": str(study.parent)}))
    answer = json.loads(qgraft("report", study, "--json").stdout)
    page = (study / "report.html").read_text()
    assert answer["warnings"] == TOO_SMALL + 1
    assert "Verdicts: compare moderated, adjust bh, margin 0.1." in page
    assert "study.yaml differs from" in page and "from the file again takes it" in page
    (study.parent / "study.yaml").write_text(STUDY)
    assert json.loads(qgraft("report", study, "--json").stdout)["warnings"] == TOO_SMALL


def test_no_study_and_no_gnuplot(study, tmp_path):
    assert "holds no study" in refusal("report", tmp_path)
    (study / "report.html").write_text("the old one")
    result = qgraft("report", study, code=1, env={**os.environ, "PATH": str(tmp_path)})
    assert "gnuplot is not installed" in result.stderr or "gnuplot-nox" in result.stderr
    assert (study / "report.html").read_text() == "the old one"


def test_plan_says_what_the_study_can_see(reported, tmp_path):
    """From a pilot, from the study's own runs, from what the file states, or in deviations."""
    folder = reported[0]
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    plain = qgraft("run", file, "--plan", "--out", tmp_path / "out").stdout
    assert "too small: " in plain and "fewer than six seeds" in plain
    assert "in deviations of a run" in plain and " deviations of a run alone" in plain
    assert "3 seeds beside 3 of the baseline" in plain and "inf" not in plain
    pilot = qgraft("run", file, "--plan", "--out", tmp_path / "out", "--pilot", folder).stdout
    own = qgraft("run", folder, "--plan").stdout
    power = pilot[pilot.index("power of 80 %"):]
    assert power == own[own.index("power of 80 %"):]
    rows = [row for row in read_metrics(folder) if row["row"] == "pooled"]
    free = [levels(row["run"], row, [1, 2, 3], "area") for row in rows
            if row["frozen"] == "false" and row["seeds"] == "3"]
    deviation = numpy.mean([x.var(ddof=1) for x in free]) ** 0.5
    found = re.search(r"([\d.]+) \(baselines\), ([\d.]+) \(free\)", power)
    assert float(found[2]) == pytest.approx(deviation, abs=6e-4)
    file.write_text(STUDY + "verdicts: {deviation: 0.25}\n")
    stated = qgraft("run", file, "--plan", "--out", tmp_path / "out").stdout
    assert "0.250 (baselines), 0.250 (free), 0.250 (frozen)" in stated
    assert "--pilot goes with --plan" in refusal("run", file, "--pilot", folder)
    assert "--pilot goes with" in refusal("run", file, "--plan", "--json", "--pilot", folder)
    assert "holds no study" in refusal("run", file, "--plan", "--pilot", tmp_path)


@pytest.mark.skipif(not browser.PROGRAM, reason="there is no chromium")
def test_in_a_browser(reported, tmp_path):
    """Wide and narrow, light and dark: nothing sticks out, nothing is missing, nobody complains."""
    folder = reported[0]
    with browser.chromium(tmp_path / "profile") as page:
        for width, dark in ((1280, False), (400, False), (1280, True), (400, True)):
            page.open(folder / "report.html", width, dark)
            page.ask("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.ask("innerWidth") == width
            assert page.ask("document.scrollingElement.scrollWidth") <= width
            assert page.ask("""[...document.querySelectorAll('body *')].filter(e =>
                !e.closest('.scroll, pre') && e.getBoundingClientRect().right > innerWidth + 1)
                .map(e => e.outerHTML.slice(0, 80))""") == []
            if width == 400:  # tables fold: nothing is to be scrolled to, each cell says what it is
                assert page.ask("""[...document.querySelectorAll('.scroll')].filter(e =>
                    e.querySelector('table') && e.scrollWidth > e.clientWidth + 1).length""") == 0
                assert page.ask("""getComputedStyle(document.querySelector('#overview tbody td'),
                    '::before').content""") == '"source"'
            assert page.ask("document.images.length") >= 8
            assert page.ask("""[...document.images].every(i => i.complete && i.naturalWidth > 300 &&
                i.alt.length > 20)""")
            assert page.ask("""[...document.querySelectorAll('a[href^="#"]')].every(a =>
                document.getElementById(a.getAttribute('href').slice(1)))""")
            assert page.ask("""document.querySelectorAll('h1').length == 1 &&
                document.querySelectorAll('h2').length >= 5""")
            column = page.ask("""(() => { const t = document.querySelector('#overview table');
                const h = [...t.querySelectorAll('th')].find(h => h.innerText == 'difference');
                h.click(); const values = () => [...t.tBodies[0].rows].map(
                    r => parseFloat(r.cells[h.cellIndex].innerText));
                const up = values(); h.click(); return [up, values()]; })()""")
            assert column[0] == sorted(column[0]) and column[1] == column[0][::-1]
            assert len(set(column[0])) > 5
            back = page.ask("getComputedStyle(document.body).backgroundColor")
            assert back == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
            shot = tmp_path / f"report-{width}-{'dark' if dark else 'light'}.png"
            page.screenshot(shot, whole=False)
            with Image.open(shot) as picture:
                assert picture.size == (width, 900)
                assert len(picture.convert("L").getcolors()) > 20  # something is drawn
        assert page.complaints == []


@pytest.mark.skipif(not os.environ.get("QGRAFT_ATARI"), reason="QGRAFT_ATARI names no emulator")
def test_human_normalised_scores(tmp_path):
    """Of Atari games in their usual mode, in the report and by `evaluate`."""
    out = run_short(
        tmp_path, "runs: [{game: [breakout, 'breakout:mode=4', phoenix]}]\n"
        "games: {breakout: {random: 1}, 'breakout:mode=4': {random: 1}, phoenix: {random: 1}}\n",
        layer_states=0)
    for run, seed in trained(out):
        score = {"s1": 90.0, "s2": 110.0}[seed.name]
        write_curve(seed, numpy.full(len(STEPS), score))
        confirm(seed, score - 20 if run.name == "breakout" else None)
    qgraft("report", out)
    text = (out / "report.html").read_text()
    table = text[text.index("Human-normalised scores"):]
    rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in
            table[:table.index("</table>")].split("<tr>") if "<td>" in row]
    assert rows == [
        ["breakout", "100", "80", "1.7, Mnih et al. 2015", f"{78.3 / .301:.1f} % of 31.8",
         f"{78.3 / .288:.1f} % of 30.5"],
        ["phoenix", "100", "&ndash;", "761.4, Wang et al. 2016", "not among its games",
         f"{100 * (100 - 761.4) / (7242.6 - 761.4):.1f} % of 7242.6"]]
    network = out / "runs/breakout/s1/last.safetensors"
    words = ["evaluate", network, "--steps", 2000, "--epsilon", 1]
    data = json.loads(qgraft(*words, "--json").stdout)
    known = data["human_normalised"]
    assert known == {
        "mnih_2015": pytest.approx((data["score"] - 1.7) / 30.1), "random": 1.7,
        "wang_2016": pytest.approx((data["score"] - 1.7) / 28.8),
        "random_source": "Mnih et al. 2015", "human_mnih_2015": 31.8, "human_wang_2016": 30.5}
    assert (f"human-normalised: {100 * known['mnih_2015']:.1f} % of Mnih et al. 2015 (31.8), "
            f"{100 * known['wang_2016']:.1f} % of Wang et al. 2016 (30.5); random 1.7 (Mnih et al. 2015)"
            ) in qgraft(*words).stdout
    words.insert(2, "breakout:mode=4")
    assert "human_normalised" not in json.loads(qgraft(*words, "--json").stdout)
    assert "human-normalised:" not in qgraft(*words).stdout


# ---- Copied layers ----

LAYERS = "step,layer,start_distance,start_cosine,source_distance,source_cosine,source_cka,dormant," \
         "dead,effective_rank,srank,update_size,gradient_noise,clipped_errors\n"


def write_layers(folder, layers, steps=STEPS):
    """`layers`: of each name three curves: distance from the source (None: not copied), CKA with it,
    dormant share."""
    def cell(values, i):
        return "" if values is None or math.isnan(values[i]) else repr(float(values[i]))
    rows = [f"{step},{name},1,0.5,{cell(d, i)},0.9,{cell(c, i)},{cell(x, i)},0,9,9,,,"
            for i, step in enumerate(steps) for name, (d, c, x) in layers.items()]
    (folder / "layers.csv").write_text(LAYERS + "\n".join(rows) + "\n")


def layer_rows(page, run):
    """The rows of the run in the table of copied layers, without its name."""
    table = page[page.index('id="layers"'):].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(?:<a[^>]*>)?([^<]*)", row) for row in table.split("<tr>")[2:]]
    return [row[1:] for row in rows if row[0] == run]


def layers_page(study):
    qgraft("report", study)
    return (study / "report.html").read_text()


def test_copied_layers(study):
    """Means over seeds, their bands and the sentence, against numpy."""
    run, random = "minatar-freeway-from-b-first2", numpy.random.default_rng(3)
    curves = random.uniform(0.1, 0.3, (3, 2, 3, len(STEPS)))
    curves[:, :, 1] += 0.6  # CKA
    curves[:, 1, 2] = math.nan  # no dormant share, as of a last layer
    curves[1, 0, 1, 4] = math.nan  # a seed that does not tell, once
    for seed, (one, two) in enumerate(curves, 1):
        count = len(STEPS) - (seed == 3)  # one has not come so far
        write_layers(study / f"runs/{run}/s{seed}",
                     {"conv1": one, "conv2": two, "fc1": (None, two[1], two[2])}, STEPS[:count])
    page, last = layers_page(study), len(STEPS) - 2
    mean, first = curves[..., last].mean(0), curves[..., 0].mean(0)
    assert layer_rows(page, run) == [
        ["conv1", "3", f"{mean[0][0]:.3f}", f"{first[0][1]:.3f}", f"{mean[0][1]:.3f}",
         f"{first[0][2]:.3f}", f"{mean[0][2]:.3f}", "stayed"],
        ["conv2", "3", f"{mean[1][0]:.3f}", f"{first[1][1]:.3f}", f"{mean[1][1]:.3f}", "&ndash;",
         "&ndash;", "stayed"]]
    assert (f"<p>Copied layers at step {STEPS[last]}, mean over 3 seeds: conv1 (source distance "
            f"{mean[0][0]:.2f}, CKA {mean[0][1]:.2f}, {100 * mean[0][2]:.0f} % dormant), conv2 "
            f"({mean[1][0]:.2f}, CKA {mean[1][1]:.2f}) stayed.</p>") in page
    assert page.index("layers-minatar-breakout-to-minatar-freeway.svg") > page.index(
        "curves-minatar-breakout-to-minatar-freeway.svg")

    table = read_table(study / "figures/layers-minatar-breakout-to-minatar-freeway.csv")
    table = [row for row in table if row["run"] == run]
    panels = ["source distance", "source CKA", "dormant share"]
    assert {row["panel"] for row in table} == {
        f"{layer}: {panel}" for layer in ("conv1", "conv2") for panel in panels} - {
        "conv2: dormant share"}
    for layer in range(2):
        for m, panel in enumerate(panels[:3 - layer]):
            rows = [row for row in table if row["panel"] == f"conv{layer + 1}: {panel}"]
            expected = curves[:, layer, m, :last + 1]
            for seed in (1, 2, 3):
                assert [number(row["score"]) for row in rows if row["seed"] == str(seed)] == \
                    pytest.approx(expected[seed - 1], nan_ok=True)
            means = [row for row in rows if row["row"] == "mean"]
            reach = scipy.stats.t.ppf(0.975, 2) * scipy.stats.sem(expected)
            for column, value in (("score", 0), ("low", -reach), ("high", reach)):
                assert [number(row[column]) for row in means] == pytest.approx(
                    expected.mean(0) + value, nan_ok=True)
    # The controls copy no source's layers.
    assert not layer_rows(page, "minatar-freeway-from-random-first2-frozen")


def test_what_became_of_layers_at_the_thresholds(study):
    def curves(distance, cka, dormant):
        return [numpy.linspace(a, b, len(STEPS)) for a, b in ((0, distance), cka, dormant)]
    cases = [(0.5, (1, 0.8), (0, 0), "stayed"), (0.501, (1, 1), (0, 0), "drifted away from the source"),
             (0.1, (1, 0.799), (0, 0), "drifted away from the source"),
             (0.1, (0.3, 0.2), (0, 0), "stayed"),  # above fresh layers it begins low
             (0.1, (math.nan, math.nan), (math.nan, math.nan), "stayed"),
             (0.1, (1, 1), (0, 0.5), "died"), (0.1, (1, 1), (0, 0.499), "stayed"),
             (0.9, (1, 0), (0.5, 0.75), "died"), (0.1, (1, 1), (0.6, 0.6), "stayed"),
             (0.1, (1, math.nan), (1, 1), "stayed"), (0, (1, 1), (0, 1), "died")]
    layers = {f"conv{i}": curves(*case[:3]) for i, case in enumerate(cases, 1)}
    for seed in (1, 2, 3):
        write_layers(study / f"runs/minatar-freeway-from-b-first2/s{seed}", layers)
        write_layers(study / f"runs/minatar-freeway-from-b-last1-frozen/s{seed}",
                     {"fc1": curves(0, (1, 0.1), (0, 1)), "fc2": curves(0.1, (1, 1), (0, 0))})
    page = layers_page(study)
    assert [row[-1] for row in layer_rows(page, "minatar-freeway-from-b-first2")] == [
        case[3] for case in cases]
    assert [row[-1] for row in layer_rows(page, "minatar-freeway-from-b-last1-frozen")] == [
        "frozen", "stayed"]  # the second has thawed
    sentence = re.search("<p>Copied layers at step 1000, mean over 3 seeds: .*conv11 .*", page)[0]
    order = [sentence.index(word) for word in (
        "conv1 (source distance 0.50, CKA 0.80, 0 % dormant), conv4 (", ") stayed; conv2 (",
        ") drifted away from the source; conv6 (", "conv11 (0.00, CKA 1.00, 100 % dormant) died.</p>")]
    assert order == sorted(order)


def test_layers_that_are_missing_or_damaged(study):
    """In one line; the rest is reported."""
    run = study / "runs/minatar-freeway-from-b-first2"
    row = "0,conv1,0,1,0,1,1,0,0,9,9,,,\n"
    damages = [
        ("", "layers.csv: no evaluation yet"), ("other\n", "layers.csv:1: the columns are not"),
        (LAYERS, "layers.csv: no evaluation yet"), (LAYERS + "1\n", "layers.csv:2: names no layer"),
        (LAYERS + row.replace("conv1", "a-name-too-long"), "layers.csv:2: names no layer"),
        (LAYERS + row.replace("9,9", "9"), "layers.csv:2: the row has not 14 cells"),
        (LAYERS + row.replace("9,9", "x,9"), "layers.csv:2: &#39;x&#39; is not a number"),
        (LAYERS + row.replace("9,9", "nan,9"), "layers.csv:2: &#39;nan&#39; is not a number"),
        (LAYERS + row.replace("9,9", "1e200,9"), "layers.csv:2: 1e+200 is no measure of a layer"),
        (LAYERS + 2 * row, "layers.csv:3: the row does not follow"),
        (LAYERS + row + row.replace("0,conv1", "5,fc1"), "layers.csv:3: the row does not follow"),
        (LAYERS + row.replace("0,conv1", "-1,conv1"), "layers.csv:2: the row does not follow"),
        (LAYERS + "".join(row.replace("conv1", f"l{i}") for i in range(17)),
         "layers.csv:18: the row does not follow"),
        (LAYERS + row.replace("conv1", "fc1"), "layers.csv: other layers, or other steps, than the other seeds"),
        (LAYERS + row + row.replace("0,conv1,0,1,0", "100,conv1,0,1,"),
         "layers.csv: other layers, or other steps, than the other seeds"),
        (LAYERS + row + "\0", "layers.csv:3: holds a NUL byte")]
    folders = [seed for path in sorted(study.glob("runs/*-from-?-first[12]"))
               for seed in (path / "s2", path / "s3")][:len(damages)]
    for folder, (text, _) in zip(folders, damages, strict=True):
        (folder / "layers.csv").write_text(text)
    page = layers_page(study).replace(f"{study}/", "")
    for folder, (_, message) in zip(folders, damages):
        name = folder.relative_to(study)
        assert f"<li>what became of the layers of {name} is not known: {name}/{message}" in page
        assert {row[1] for row in layer_rows(page, folder.parent.name)} == {"1"}
    shutil.copy(run / "s1/layers.csv", run / "s2")
    shutil.copy(run / "s1/layers.csv", run / "s3")
    # A process that was killed: what is whole counts.
    whole = (run / "s2/layers.csv").read_text()
    for cut in (whole[:-20], whole[:whole.rindex("\n1000,fc1") + 1]):
        (run / "s3/layers.csv").write_text(cut)
        assert "at step 900, mean over 3 seeds: conv1" in layers_page(study)
    (run / "s1/layers.csv").unlink()
    page = layers_page(study)
    assert re.search(r"<li>1 of \d+ runs with copied layers have no layers.csv", page)
    assert [row[:2] for row in layer_rows(page, run.name)] == [["conv1", "2"], ["conv2", "2"]]
    for file in study.glob("runs/*/*/layers.csv"):
        file.unlink()
    page = layers_page(study)
    assert 'id="layers"' not in page and not list((study / "figures").glob("layers*"))
