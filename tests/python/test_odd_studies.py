"""Studies that are finished and yet seldom of this form: links of chains, seeds that nobody shares, only
controls, games whose best is below the file's reference, names that meet."""

import json
import re

import numpy
import pytest

from test_cli import qgraft
from test_report import STEPS, read_metrics, read_table, trained, write_curve


SETTINGS = {"eval_every": 500, "eval_steps": 20, "learn_start": 990, "validation_size": 50, "replay": 1000}


def run_short(folder, study, seeds=2, **settings):
    (folder / "study.yaml").write_text(
        f"steps: 1k\nseeds: {seeds}\nsettings: {json.dumps({**SETTINGS, **settings})}\n{study}")
    qgraft("run", folder / "study.yaml", "--out", folder / "out", "--quiet")
    return folder / "out"


def rising(level):
    return level * (1 - numpy.exp(-STEPS / 300))


def report(out, level, *words):
    """The page, where run `name` with seed s rises to level(name, s)."""
    for run, seed in trained(out):
        write_curve(seed, rising(level(run.name, int(seed.name[1:]))))
    said = qgraft("report", out, *words).stdout
    return said, (out / "report.html").read_text()


def drawn(out, figure):
    return re.findall(r"<text[^>]*>(?:<[^>]*>)*([^<]+)", (out / "figures" / figure).read_text())


def test_a_claim_is_not_of_a_chains_links(tmp_path):
    out = run_short(tmp_path, """
sources:
  a: {game: minatar/breakout}
  b: {game: minatar/asterix, from: a, first: 1}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: [a, b], first: 1}
games: {minatar/freeway: {random: 0, reference: 10}}
claims: [{says: They help, expect: positive, of: {first: 1}}]
""")
    report(out, lambda name, s: 10 + s / 10 + 2 * ("from" in name) + s * len(name) / 1000)
    claim, = read_table(out / "claims.csv")
    assert claim["lacking"] == "0" and claim["experiments"] == "2" and claim["p"]
    assert claim["finding"] == "holds"


def test_little_of_one_seed(tmp_path):
    """Has no p and no interval; and an effect of exactly 0 goes neither way."""
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: [1, 2]}
games: {minatar/freeway: {random: 0, reference: 10}}
claims: [{says: They do little, expect: little, of: {from: a}}]
""", seeds=1)
    page = report(out, lambda name, s: 10 + name.endswith("2"))[1]
    claim, = read_table(out / "claims.csv")
    assert claim["p"] == "" and claim["finding"] == "not decided" and "one seed" in claim["reason"]
    assert (claim["free_up"], claim["free_down"]) == ("1", "0") and "free 1 up, 0 down" in page


def test_no_seed_in_common(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: 1, seeds: [1, 2]}
  - {game: minatar/freeway, from: a, last: 1, seeds: [3, 4]}
games: {minatar/freeway: {random: 0, reference: 10}}
claims: [{says: The last is better, expect: better, of: {last: 1}, than: {first: 1}}]
""", seeds=4)
    said, page = report(out, lambda name, s: 10 + s / 10 + ("from" in name))
    assert "nan" not in said.lower() and "They have no seed in common" in said
    assert not re.search(r"[-+ ]nan\b", page) and "They have no seed in common" in page
    assert not [r for r in read_metrics(out) if "nan" in r.values()]
    claim, = read_table(out / "claims.csv")
    assert claim["finding"] == "not decided" and claim["reason"] == "its runs have no seed in common"


def test_grafts_of_seeds_that_the_baseline_lacks(tmp_path):
    """They begin from the same sources, seed by seed: the baseline is no part of their difference."""
    out = run_short(tmp_path, """
baseline_seeds: [11, 12]
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: 1, freeze: [false, true]}
games: {minatar/freeway: {random: 0, reference: 10}}
claims: [{says: Freezing is worse, expect: worse, of: {freeze: true}, than: {freeze: false}}]
""", seeds=3)
    report(out, lambda name, s: 10 - 5 * ("frozen" in name) + s / 10 + ("frozen" in name) * s / 50)
    claim, = read_table(out / "claims.csv")
    areas = {(r["run"], r["seed"]): float(r["area"]) / 10 for r in read_metrics(out) if r["row"] == "seed"}
    graft = "minatar-freeway-from-a-first1"
    expected = [areas[graft + "-frozen", str(s)] - areas[graft, str(s)] for s in (1, 2, 3)]
    assert claim["seeds"] == "3" and claim["finding"] == "holds"
    assert float(claim["effect"]) == pytest.approx(numpy.mean(expected), rel=1e-12)


def test_runs_that_all_score_the_same_decide_no_claim(tmp_path):
    """Three arms against one: the mean of three equal scores is that score."""
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: [1, 2, 3, 4]}
games: {minatar/freeway: {random: -20.7, reference: 9.3}}
claims:
  - {says: More is worse, expect: worse, of: {first: [2, 3, 4]}, than: {first: 1}}
  - {says: They hurt, expect: negative, of: {from: a}}
""")
    for run, seed in trained(out):
        write_curve(seed, numpy.full(len(STEPS), -21.0))
    qgraft("report", out)
    for claim in read_table(out / "claims.csv"):
        assert (claim["finding"], float(claim["effect"])) == ("not decided", 0), claim


def test_many_claims_of_few_seeds_can_be_decided(tmp_path):
    """Six pairs have no p by permutation below 1/32, which is the guard's and not Holm's."""
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: 1, freeze: [false, true]}
games: {minatar/freeway: {random: 0, reference: 10}}
claims:
  - {says: Freezing is worse, expect: worse, of: {freeze: true}, than: {freeze: false}}
  - {says: Free is better, expect: better, of: {freeze: false}, than: {freeze: true}}
  - {says: It hurts, expect: negative, of: {freeze: true}}
  - {says: It helps, expect: positive, of: {freeze: true}}
""", seeds=6)
    report(out, lambda name, seed: (2 if "frozen" in name else 8) + seed / 10)
    claims = read_table(out / "claims.csv")
    assert [claim["finding"] for claim in claims] == ["holds", "holds", "holds", "does not hold"]
    assert float(claims[0]["p_permutation"]) == 1 / 32 and float(claims[0]["p_adjusted"]) < 0.01


def test_the_iqm_is_of_seeds_that_all_have(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/asterix}}
runs:
  - {game: minatar/breakout, seeds: [2]}
  - {game: minatar/breakout, from: a, first: 1}
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: 1}
games: {minatar/freeway: {random: 0, reference: 10}, minatar/breakout: {random: 0, reference: 10}}
""", seeds=3)
    page = report(out, lambda name, s: 10 + s * ("from" in name) * (1 + 3 * ("breakout" in name)))[1]
    both = [float(r["area_difference"]) for r in read_metrics(out) if r["row"] == "seed" and r["seed"] == "2" and r["baseline"]]
    assert len(both) == 2 and both[0] != both[1]
    said = re.search(r"interquartile mean over all pairs of shared seeds, bootstrap over seeds.*?([-+]\d\.\d+)", page, re.S)[1]
    assert float(said) == pytest.approx(numpy.mean(both), abs=6e-4)


def test_the_reference_is_of_the_baseline_that_runs_lists_first(tmp_path):
    """Not of the source that is a baseline, too, and stands before it in the file."""
    out = run_short(tmp_path, """
sources: {b: {game: minatar/freeway, steps: 500}}
runs:
  - {game: minatar/freeway, steps: [1k, 500]}
  - {game: minatar/freeway, from: b, first: 1, steps: [1k, 500]}
games: {minatar/freeway: {random: 0}}
""", eval_every=100, learn_start=490)
    for run, seed in trained(out):
        write_curve(seed, rising(12 if "1k" in run.name else 6))
        if "500" in run.name or run.name == "b":
            path = seed / "evaluations.csv"
            path.write_text("".join(path.read_text().splitlines(True)[:7]))  # up to step 500
    qgraft("report", out)
    rows = [r for r in read_metrics(out) if r["row"] == "pooled"]
    levels = {run: numpy.mean([float(r["asymptote"]) for r in read_metrics(out) if r["row"] == "seed" and r["run"] == run])
              for run in ("minatar-freeway-steps500", "minatar-freeway-steps1k")}
    assert len(rows) == 2 and levels["minatar-freeway-steps500"] != levels["minatar-freeway-steps1k"]
    assert [float(r["reference"]) for r in rows] == 2 * [pytest.approx(levels["minatar-freeway-steps1k"])]


def test_a_curve_without_its_last_evaluation_is_no_finished_one(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs: [{game: minatar/freeway}, {game: minatar/freeway, from: a, first: 1}]
games: {minatar/freeway: {random: 0, reference: 1}}
""", eval_every=600) # it is evaluated after 0, 600 and 1,000 steps
    path = out / "runs/minatar-freeway-from-a-first1/s2/evaluations.csv"
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))
    assert "ends at step 600 of 1000" in qgraft("report", out, code=1).stderr
    qgraft("report", out, "--partial")
    row, = [r for r in read_metrics(out) if r["row"] == "pooled"]
    assert row["verdict"] == "not decided" and row["reason"] == "its runs are not finished"


def test_a_policy_without_layers_is_no_copy_of_layers(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: 1}
  - {game: minatar/freeway, from: a, warm_replay: 100}
games: {minatar/freeway: {random: 0, reference: 10}}
claims: [{says: It helps, expect: positive, of: {from: a}}]
""")
    page = report(out, lambda name, s: 10 + s / 10 + 5 * ("from" in name))[1]
    assert re.search("Free layers of another game</strong> help in 1 of 1 experiments", page)
    assert re.search("Without layers, another game&#39;s policy</strong> help|another game's policy</strong> help", page)
    claim, = read_table(out / "claims.csv")
    assert (claim["experiments"], claim["free_up"], claim["frozen_up"]) == ("2", "1", "0")


def test_only_controls(tmp_path):
    """And the matrices of each kind have the colours of the one of all."""
    out = run_short(tmp_path, """
sources: {a: {game: minatar/freeway}, b: {game: minatar/breakout}}
runs:
  - {game: [minatar/freeway, minatar/breakout]}
  - {game: minatar/freeway, from: a, first: [1, 2]}
games: {minatar/freeway: {random: 0, reference: 10}}
""")
    page = report(out, lambda name, s: 10 + s / 10)[1]
    assert "All of them together." in page and "without controls" not in page


def test_random_layers_alone(tmp_path):
    out = run_short(tmp_path, """
runs: [{game: minatar/freeway}, {game: minatar/freeway, from: random, first: 2, freeze: true}]
games: {minatar/freeway: {random: 0, reference: 10}}
""")
    said = report(out, lambda name, s: 10 + s / 100 - 5 * ("random" in name))[0]
    assert "\n1 experiment over 2 seeds: 0 positive, 1 negative" in said and "Nothing is decided" not in said


def test_a_claims_list_names_what_the_study_has(tmp_path):
    study = """
steps: 1k
seeds: 1
sources: {a: {game: minatar/breakout}, b: {game: minatar/asterix}}
runs:
  - {game: [minatar/freeway, minatar/seaquest]}
  - {game: [minatar/freeway, minatar/seaquest], from: [a, b], first: 1}
claims: [{says: It helps, expect: positive, of: {%s}}]
"""
    for wrong in ("from: [a, bb]", "game: [minatar/freeway, minatar/sequest]", "first: [1, 2]", "group: [none]", "first: 2",
                  "game: gym:NoSuch-v0", "from: [[a], b]"):
        said = plan(tmp_path, study % wrong, code=2)
        assert ("fits no graft of this study" in said or "a list of values is needed" in said) and said.count("\n") == 1
    assert plan(tmp_path, study % "game: [minatar/freeway, 'minatar/seaquest:level=1'], from: [b, a]")


def test_matrices_share_their_colours(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/freeway}, b: {game: minatar/breakout}}
runs:
  - {game: [minatar/freeway, minatar/breakout]}
  - {game: [minatar/freeway, minatar/breakout], from: [a, b, random], first: [1, 2], freeze: true}
games: {minatar/freeway: {random: 0, reference: 10}, minatar/breakout: {random: 0, reference: 10}}
""")
    report(out, lambda name, s: 10 + s / 10 + ("from" in name) / 10 - 5 * ("random" in name))
    assert "+0.35" in drawn(out, "matrix.svg") and "+0.35" in drawn(out, "matrix-first-1-frozen.svg")


def test_cells_that_disagree_have_no_star(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/freeway}, b: {game: minatar/breakout}}
runs:
  - {game: minatar/breakout}
  - {game: minatar/freeway, settings: {discount: [0.99, 0.5]}}
  - {game: minatar/freeway, from: b, first: 1, settings: {discount: [0.99, 0.5]}}
  - {game: minatar/freeway, from: b, first: 2}
  - {game: minatar/breakout, from: a, first: [1, 2]}
games: {minatar/freeway: {random: 0, reference: 10}, minatar/breakout: {random: 0, reference: 10}}
""")
    sign = lambda name: ("from" in name) * (-1 if "0.5" in name else 1)
    report(out, lambda name, s: 10 + s / 100 + 4 * sign(name))
    cells = {(r["row"], r["column"]): r for r in read_table(out / "figures/matrix.csv")}
    mixed, agreed = (cells["b to freeway", f"first {n} free"] for n in (1, 2))
    assert mixed["experiments"] == "2" and mixed["decided"] == "false"
    assert agreed["experiments"] == "1" and agreed["decided"] == "true"


@pytest.mark.parametrize("share, warned", [(0.8, False), (-1.5, True)])
def test_pairing_that_may_pay_is_not_talked_down(tmp_path, share, warned):
    """Seeds that go together by +0.6 with a wide interval; and against each other."""
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway}
  - {game: minatar/freeway, from: a, first: [1, 2, 3]}
verdicts: {compare: paired}
games: {minatar/freeway: {random: 0, reference: 10}}
""", seeds=5)
    random = numpy.random.default_rng(16)
    luck = dict(enumerate(random.normal(size=5), 1))
    own = {(n, s): random.normal() for n in "123" for s in luck}
    page = report(out, lambda name, s: 10 + luck[s] if "from" not in name
                  else 10 + share * luck[s] + own[name[-1], s])[1]
    assert ("pairing costs more than it gives" in page) == warned
    assert "rather say `compare: paired`" not in page


def test_reference_of_the_file_below_random_play(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout}}
runs: [{game: minatar/freeway}, {game: minatar/freeway, from: a, first: 1}]
games: {minatar/freeway: {reference: 0.01}} # it has 0.2 to 0.4
""")
    page = report(out, lambda name, s: 10 + s)[1]
    assert "correct it in the study file" in page and "train for longer" not in page


def test_axes_in_two_units_are_both_named(tmp_path):
    out = run_short(tmp_path, """
sources: {a: {game: minatar/breakout, steps: 20k}, b: {game: minatar/freeway, steps: 1k}}
runs: [{game: minatar/asterix}, {game: minatar/asterix, from: [a, b], first: 1}]
""", eval_every=10000)
    qgraft("report", out)
    assert "below: thousand agent steps or agent steps" in " ".join(drawn(out, "sources.svg"))


def plan(tmp_path, study, code=0):
    (tmp_path / "study.yaml").write_text(study)
    words = ("run", tmp_path / "study.yaml", "--plan", "--json", "--out", tmp_path / "out")
    result = qgraft(*words, code=code)
    return result.stderr if code else json.loads(result.stdout)["runs"]


def test_names_that_meet_are_refused(tmp_path):
    said = plan(tmp_path, """
steps: 1k
seeds: 1
sources:
  one: {game: minatar/breakout}
  minatar-breakout: {game: minatar/freeway}
runs: [{game: minatar/breakout}, {game: minatar/asterix}, {game: minatar/asterix, from: [one, minatar-breakout], first: 1}]
""", code=2)
    assert "'minatar-breakout' is also what the run of line 6 is called" in said


def test_a_listed_training_serves_as_long_baseline(tmp_path):
    runs = plan(tmp_path, """
steps: 1M
seeds: 2
long_baseline: true
sources: {a: {game: minatar/breakout}}
runs:
  - {game: minatar/freeway, steps: [1M, 2M]}
  - {game: minatar/freeway, from: a, first: 1, name: arm}
""")
    assert [(r["run"], r["steps"]) for r in runs if r["game"] == "minatar/freeway" and r["run"][:4] == "mina"] == [
        ("minatar-freeway-steps1M", 10 ** 6), ("minatar-freeway-steps2M", 2 * 10 ** 6)]
