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
""", seeds=4)
    said, page = report(out, lambda name, s: 10 + s / 10 + ("from" in name))
    assert "nan" not in said.lower() and "They have no seed in common" in said
    assert "nan in the mean" not in page and "They have no seed in common" in page
    assert not [r for r in read_metrics(out) if "nan" in r.values()]


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
