"""Statistics against rliable, scipy, statsmodels and numpy, through the tool tests/tools/statistics.c, which was
built beside the program QGRAFT, or in build/release."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

# rliable uses arch.bootstrap only; arch itself would load all of statsmodels for its other models.
sys.modules["arch"] = importlib.util.module_from_spec(importlib.util.find_spec("arch"))
from rliable import library, metrics
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind

ROOT = Path(__file__).parents[2]
TOOL = Path(os.environ.get("QGRAFT", ROOT / "build/release/src/cli/qgraft")).parents[2] / \
    "tests/statistics"
REPETITIONS = 4000  # of rliable's bootstrap: the ends of its intervals are good to about 1 % of
INTERVAL_ERROR = 0.05  # their width; this share of the width is allowed


def ask(question, **arguments):
    return ask_list(question, arguments)


def ask_list(question, values):
    result = subprocess.run([TOOL], input=json.dumps({question: values}), capture_output=True,
                            text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def tasks_of(scores):
    return [list(task) for task in numpy.transpose(scores)]  # rliable's are [run][task]


@pytest.fixture(params=[(5, 3), (3, 1), (10, 6)], ids=str)
def scores(request):
    runs, tasks = request.param
    random = numpy.random.default_rng(runs)
    numpy.random.seed(1)  # rliable draws from the global stream
    return random.normal(size=(runs, tasks)) + numpy.arange(tasks)


def assert_interval(interval, low, high):
    assert interval == pytest.approx([low, high], abs=INTERVAL_ERROR * (high - low) + 1e-9)


def rliable_interval(scores, function):
    _, intervals = library.get_interval_estimates({"x": scores}, function, reps=REPETITIONS)
    return intervals["x"]


def test_aggregates(scores):
    functions = [metrics.aggregate_iqm, metrics.aggregate_mean, metrics.aggregate_median]
    estimates = ask("aggregates", tasks=tasks_of(scores), seed=1)
    lows, highs = rliable_interval(scores, lambda x: numpy.array([f(x) for f in functions]))
    for estimate, function, low, high in zip(estimates, functions, lows, highs, strict=True):
        assert estimate[0] == pytest.approx(function(scores), abs=1e-9)
        assert_interval(estimate[1:], low, high)


def test_seed_of_the_bootstrap(scores):
    first, again, other = [ask("aggregates", tasks=tasks_of(scores), seed=seed)
                           for seed in (1, 1, 2)]
    assert first == again
    assert first != other or len(scores) == 3  # the ends are the smallest and the largest of three
    for (value, low, high), (other_value, *interval) in zip(first, other):
        assert value == other_value
        assert_interval(interval, low, high)


def fast_improvement(x, y):
    """rliable's takes milliseconds; test_improvement compares the two."""
    wins = (x[:, None] > y[None]).mean(axis=(0, 1)) + (x[:, None] == y[None]).mean(axis=(0, 1)) / 2
    return numpy.array([wins.mean()])


@pytest.mark.parametrize("digits", [0, 9], ids=["ties", "no ties"])
def test_improvement(scores, digits):
    random = numpy.random.default_rng(2)
    x = numpy.round(scores, digits)
    y = numpy.round(random.normal(size=(4, scores.shape[1])) + numpy.arange(scores.shape[1]) - 0.5,
                    digits)
    value, *interval = ask("improvement", x=tasks_of(x), y=tasks_of(y), seed=1)
    assert value == pytest.approx(metrics.probability_of_improvement(x, y), abs=1e-9)
    assert value == pytest.approx(fast_improvement(x, y)[0], abs=1e-9)
    low, high = rliable_interval([x, y], fast_improvement)[:, 0]
    # Ends can only be at certain shares: one of them beside is allowed.
    step = 1 / (x.size * len(y))
    assert interval == pytest.approx([low, high], abs=INTERVAL_ERROR * (high - low) + step)


def test_profile(scores):
    taus = numpy.linspace(-2, 6, 17)
    profile = numpy.array(ask("profile", tasks=tasks_of(scores), taus=list(taus), seed=1))
    values, intervals = library.create_performance_profile({"x": scores}, taus, reps=REPETITIONS)
    assert profile[:, 0] == pytest.approx(values["x"], abs=1e-9)
    assert abs(profile[:, 1:].T - intervals["x"]).max() <= 1 / scores.size + 1e-9


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_quantiles(confidence):
    degrees = [1, 1.3, 2, 3, 3.7, 4, 5, 9, 10, 29, 100.5, 999, 1000, 1e9]
    expected = scipy.stats.t.ppf((1 + confidence) / 2, degrees)
    assert ask("quantiles", degrees=degrees, confidence=confidence) == \
        pytest.approx(expected, rel=1e-10)


def behrens_fisher_sf(t, share, a, b):
    """P(sqrt(share) A + sqrt(1 - share) B > t) of two Student's, by convolution: over the second's
    hyperbolic arc sine, in which both densities fall off as exponentials."""
    x = numpy.linspace(-30, 30, 48001)
    y = numpy.sinh(x)
    density = scipy.stats.t.pdf(y, b) * numpy.cosh(x) * (x[1] - x[0])
    return (density * scipy.stats.t.sf((t - (1 - share) ** 0.5 * y) / share ** 0.5, a)).sum()


@pytest.mark.parametrize("share, a, b", [
    (0.5, 2, 2), (0.1, 3.06, 17.3), (0.9, 3.06, 17.3), (0.01, 2, 9), (0.2, 4.5, 2), (0.3, 150, 27),
    (0.5, 1.5, 300), (0.9999, 4, 4)])
def test_behrens_fisher(share, a, b):
    t, alpha = [0.3, 2, 5, 20], 0.05 / 147
    found = ask("behrens_fisher", share=share, degrees=[a, b], t=t, alpha=alpha)
    assert found["above"] == pytest.approx([behrens_fisher_sf(x, share, a, b) for x in t], rel=1e-9, abs=1e-15)
    assert 2 * behrens_fisher_sf(found["reach"], share, a, b) == pytest.approx(alpha, rel=1e-8)


def test_behrens_fisher_of_one_degree_each():
    """Of two of Cauchy's it is Cauchy's again, sqrt(2) times as wide."""
    found = ask("behrens_fisher", share=0.5, degrees=[1, 1], t=[0.3, 20], alpha=1e-3)
    assert found["above"] == pytest.approx(scipy.stats.cauchy.sf([0.3, 20], scale=2 ** 0.5), rel=1e-9)
    assert found["reach"] == pytest.approx(scipy.stats.cauchy.isf(5e-4, scale=2 ** 0.5), rel=1e-9)


@pytest.mark.parametrize("share", [0, 1])
def test_behrens_fisher_of_one_part(share):
    found = ask("behrens_fisher", share=share, degrees=[3, 8], t=[1, 4], alpha=0.01)
    df = 3 if share else 8
    assert found["above"] == pytest.approx(scipy.stats.t.sf([1, 4], df), rel=1e-10)
    assert found["reach"] == pytest.approx(scipy.stats.t.isf(0.005, df), rel=1e-10)


def newcombe(theta, n, m):
    """The ends of Newcombe's method 5 (2006)."""
    def excess(t):
        middle = (n + m) / 2 - 1
        variance = t * (1 - t) * (1 + middle * ((1 - t) / (2 - t) + t / (1 + t))) / (n * m)
        return (t - theta) ** 2 - scipy.stats.norm.ppf(0.975) ** 2 * variance
    low = scipy.optimize.brentq(excess, 0, theta - 1e-9) if theta > 1e-9 else 0
    high = scipy.optimize.brentq(excess, theta + 1e-9, 1) if theta < 1 - 1e-9 else 1
    return low, high


@pytest.mark.parametrize("x,y", [([1, 2, 3], [4, 5, 6]), ([4, 5, 6, 7], [1, 2]), ([1, 2, 2], [2, 3]),
                                 (list(range(0, 20, 2)), list(range(1, 31, 3)))], ids=str)
def test_improvement_of_one_task(x, y):
    value, low, high = ask("improvement_of_one", x=x, y=y)
    assert value == scipy.stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert [low, high] == pytest.approx(newcombe(value, len(x), len(y)), abs=1e-7)
    assert low < high
    assert ask("improvement_of_one", x=x[:1], y=y)[1:] == [None, None]


@pytest.mark.parametrize("seeds", [3, 6])
def test_iqm_draws_seeds_for_all_experiments_together(seeds):
    random = numpy.random.default_rng(seeds)
    scores = random.normal(size=(4, seeds)) + random.normal(size=seeds)
    value, low, high = ask("iqm", tasks=scores.tolist(), seed=1)
    assert value == pytest.approx(scipy.stats.trim_mean(scores, 0.25, axis=None))
    if seeds < 6:
        assert low is None and high is None
        return
    drawn = [scipy.stats.trim_mean(scores[:, random.integers(seeds, size=seeds)], 0.25, axis=None)
             for _ in range(REPETITIONS)]
    assert_interval([low, high], *numpy.percentile(drawn, [2.5, 97.5]))


# -------------------------------------------------------------------------------- effects

MODERATED, WELCH, PAIRED = range(3)
BH, DUNNETT, NONE = range(3)


def group(values, **more):
    return {"values": list(map(float, values)), **more}


def judge(baselines, arms, compare=WELCH, adjust=NONE, margin=0.1):
    return ask("verdicts", baselines=baselines, arms=arms, compare=compare, adjust=adjust,
               margin=margin, seed=1)


@pytest.mark.parametrize("n,m", [(2, 3), (3, 3), (7, 4), (30, 8)])
def test_welch(n, m):
    random = numpy.random.default_rng(n)
    x, y = random.normal(0.4, 1, n), random.normal(0, 3, m)
    verdict, = judge([group(y)], [group(x)])
    expected = scipy.stats.ttest_ind(x, y, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert verdict["p"] == pytest.approx(expected.pvalue, rel=1e-10)
    assert verdict["effect"][2] == pytest.approx(expected.df)
    assert verdict["raw"] == pytest.approx([x.mean() - y.mean(), interval.low, interval.high])
    assert verdict["q"] == verdict["p"]  # one comparison
    assert verdict["family_p"] == pytest.approx(verdict["p"], abs=1e-6)
    p, *_ = ttost_ind(x, y, -0.1, 0.1, usevar="unequal")
    assert verdict["margin_p"] == pytest.approx(p, rel=1e-8)


def test_paired():
    random = numpy.random.default_rng(3)
    baseline, transfer = random.normal(size=(2, 6))
    interval = scipy.stats.ttest_rel(transfer, baseline).confidence_interval(0.95)
    seeds = [5, 3, 1, 2, 4, 9]
    verdict, = judge([group([99, *baseline], seeds=[7, *seeds])], [group(transfer, seeds=seeds)],
                     compare=PAIRED)
    assert verdict["raw"][1:] == pytest.approx([interval.low, interval.high])


def limma(variances, degrees):
    """Smyth 2004, as R's limma has it (fitFDist, squeezeVar)."""
    variances, degrees = numpy.array(variances), numpy.array(degrees)
    floored = numpy.maximum(variances, 1e-5 * numpy.median(variances))
    e = numpy.log(floored) - scipy.special.digamma(degrees / 2) + numpy.log(degrees / 2)
    excess = e.var(ddof=1) - scipy.special.polygamma(1, degrees / 2).mean()
    if excess <= 0:
        return numpy.full(len(e), numpy.average(floored, weights=degrees)), \
            numpy.full(len(e), degrees.sum())
    half = scipy.optimize.brentq(lambda x: scipy.special.polygamma(1, x) - excess, 1e-6, 1e9)
    prior = numpy.exp(e.mean() + scipy.special.digamma(half) - numpy.log(half))
    return (2 * half * prior + degrees * variances) / (2 * half + degrees), \
        numpy.minimum(2 * half + degrees, degrees.sum())


@pytest.mark.parametrize("scatter", [0, 0.3, 2])
def test_moderated_variances(scatter):
    random = numpy.random.default_rng(5)
    counts = [3, 3, 4, 8, 2, 3, 5]
    groups = [random.normal(0, numpy.exp(scatter * random.normal()), n) for n in counts]
    expected = limma([g.var(ddof=1) for g in groups], [n - 1 for n in counts])
    found = ask_list("variances", [list(g) for g in groups])
    assert [v for v, _ in found] == pytest.approx(expected[0], rel=1e-8)
    assert [d for _, d in found] == pytest.approx(expected[1], rel=1e-6)


def test_variances_that_are_not_moderated():
    random = numpy.random.default_rng(6)
    two = [list(random.normal(size=4)) for _ in range(2)]  # groups with a spread: too few
    found = ask_list("variances", [*two, [1.0]])
    assert [v for v, _ in found] == pytest.approx([*(numpy.var(g, ddof=1) for g in two), None])
    alike = [[2.0, 2.0], [1.0, 1.0], [1.0, 3.0]]  # more than half of them have none
    assert [v for v, _ in ask_list("variances", alike)] == [0, 0, 2]


def moderated_p(baselines, arms, strata):
    """p of every arm, by numpy."""
    groups = [*baselines, *arms]
    variance, degrees = [g.var(ddof=1) for g in groups], [len(g) - 1 for g in groups]
    kinds = ["baseline"] * len(baselines) + strata
    for kind in set(kinds):
        of = [i for i, k in enumerate(kinds) if k == kind]
        if len(of) >= 3:
            for i, v, d in zip(of, *limma([variance[i] for i in of], [degrees[i] for i in of])):
                variance[i], degrees[i] = v, d
    result = []
    for i, arm in enumerate(arms, len(baselines)):
        errors = variance[0] / len(baselines[0]), variance[i] / len(arm)
        t = (arm.mean() - baselines[0].mean()) / sum(errors) ** 0.5
        if kinds.count(kinds[i]) >= 3:
            result.append(2 * behrens_fisher_sf(abs(t), errors[1] / sum(errors), degrees[i], degrees[0]))
        else:  # neither is moderated
            df = sum(errors) ** 2 / (errors[0] ** 2 / degrees[0] + errors[1] ** 2 / degrees[i])
            result.append(2 * scipy.stats.t.sf(abs(t), df))
    return result


def test_moderated_effects():
    random = numpy.random.default_rng(8)
    strata = ["free"] * 4 + ["frozen"] * 2
    baseline, arms = random.normal(size=9), [random.normal(i / 3, 1, 3) for i in range(6)]
    verdicts = judge([group(baseline)], [group(a, stratum=s) for a, s in zip(arms, strata)],
                     compare=MODERATED)
    assert [v["p"] for v in verdicts] == pytest.approx(moderated_p([baseline], arms, strata))


# --------------------------------------------------------------------------- many comparisons


def test_adjusted_p():
    p = list(numpy.random.default_rng(1).uniform(size=20) ** 3) + [0.5, 0.5, 1, 0]
    found = ask("adjusted", p=p)
    assert found["rate"] == pytest.approx(scipy.stats.false_discovery_control(p))
    assert found["rate"] == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert found["any"] == pytest.approx(multipletests(p, method="holm")[1])
    missing = ask("adjusted", p=[0.01, None, 0.04])  # counts as one that is not below anything
    assert missing["rate"] == pytest.approx([0.03, None, 0.06])
    assert missing["any"] == pytest.approx([0.03, None, 0.08])


def test_dunnett_against_scipy():
    random = numpy.random.default_rng(2)
    arms, baseline = random.normal(0.5, 1, (5, 4)), random.normal(size=9)
    expected = scipy.stats.dunnett(*arms, control=baseline, rng=random)
    degrees = 5 * 3 + 8
    found = ask("largest_t", shares=[(1 / 9 / (1 / 9 + 1 / 4)) ** 0.5] * 5,
                t=list(abs(expected.statistic)), degrees=degrees)
    assert found["two_sided"] == pytest.approx(expected.pvalue, abs=1e-4)  # scipy's is drawn


@pytest.mark.parametrize("degrees", [2, 3.5, 10, 200])
def test_largest_t_with_unequal_shares(degrees):
    shares = numpy.array([0.3, 0.7, 0.9, 0.5])
    correlation = numpy.outer(shares, shares)
    numpy.fill_diagonal(correlation, 1)
    t = [0.5, 2, 4]
    found = ask("largest_t", shares=list(shares), t=t, degrees=degrees)
    for i, x in enumerate(t):
        distribution = scipy.stats.multivariate_t(shape=correlation, df=degrees)
        assert found["two_sided"][i] == pytest.approx(
            1 - distribution.cdf([x] * 4, lower_limit=[-x] * 4, maxpts=200000, random_state=1), abs=2e-5)
    again = ask("largest_t", shares=list(shares), t=[found["reach"]], degrees=degrees)
    assert again["two_sided"] == pytest.approx([0.05])


def test_largest_of_one_t():
    for degrees in (1, 1.5, 7, 1e5, 1e9):
        found = ask("largest_t", shares=[0.6], t=[0.01, 1, 3, 6], degrees=degrees)
        assert found["two_sided"] == pytest.approx(2 * scipy.stats.t.sf([0.01, 1, 3, 6], degrees),
                                                   abs=1e-6)


@pytest.mark.parametrize("n,m", [(6, 6), (7, 6), (10, 12)])
def test_permutation(n, m):
    random = numpy.random.default_rng(n)
    x, y = random.normal(0.8, 1, n), random.normal(0, 2, m)

    def t(a, b, axis):
        return abs(scipy.stats.ttest_ind(a, b, equal_var=False, axis=axis).statistic)

    exact = n + m < 15
    expected = scipy.stats.permutation_test(
        (x, y), t, n_resamples=numpy.inf if exact else 20000, alternative="greater",
        vectorized=True, rng=random).pvalue
    assert ask("permutation", x=list(x), y=list(y), seed=1) == \
        pytest.approx(expected, abs=1e-9 if exact else 0.01)


@pytest.mark.parametrize("n", [6, 11, 20])
def test_sign_flips(n):
    random = numpy.random.default_rng(n)
    x = random.normal(0.4, 1, n)

    def t(a, axis):
        return abs(scipy.stats.ttest_1samp(a, 0, axis=axis).statistic)

    expected = scipy.stats.permutation_test(
        (x,), t, permutation_type="samples", alternative="greater", vectorized=True, rng=random,
        n_resamples=numpy.inf if n < 15 else 20000).pvalue
    assert ask("permutation", x=list(x), seed=1) == \
        pytest.approx(expected, abs=1e-9 if n < 15 else 0.01)


# ------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize("adjust", [BH, DUNNETT, NONE])
def test_intervals_and_verdicts_agree(adjust):
    """Of thirty arms, controls apart: the adjusted interval excludes zero where p says so."""
    random = numpy.random.default_rng(4)
    effects = [0] * 15 + [2] * 8 + [-4] * 7
    baselines = [group(random.normal(size=4)) for _ in range(3)]
    arms = [group(random.normal(e, 1, 4), baseline=i % 3, control=i % 5 == 0,
                  stratum="frozen" if i % 2 else "free") for i, e in enumerate(effects)]
    verdicts = judge(baselines, arms, MODERATED, adjust, margin=3)
    decided = [v["decision"] in ("positive", "negative") for v in verdicts]
    assert decided == [v["adjusted"][1] > 0 or v["adjusted"][2] < 0 for v in verdicts]
    assert decided == [v[["q", "family_p", "p"][adjust]] <= 0.05 for v in verdicts]
    assert 5 < sum(decided) < 20
    for control in (False, True):
        of = [v for v, a in zip(verdicts, arms) if a["control"] == control]
        assert [v["q"] for v in of] == pytest.approx(
            multipletests([v["p"] for v in of], method="fdr_bh")[1])
    for v, yes in zip(verdicts, decided):
        assert v["family_p"] >= v["p"] - 1e-9 and v["q"] >= v["p"] - 1e-12
        small = v["margin_p"] <= 0.05
        assert (v["decision"] == "no effect") == (small and not yes)
        assert v["decision"] != "positive" or v["effect"][0] > 0


def test_dunnett_of_the_margin():
    """Of three arms, each of which may be beyond either margin."""
    random = numpy.random.default_rng(9)
    baseline, arms = random.normal(0, 0.1, 8), random.normal(0, 0.1, (3, 8))
    verdicts = judge([group(baseline)], [group(a) for a in arms], WELCH, DUNNETT, margin=0.3)
    for verdict in verdicts:
        alone = judge([group(baseline)], [group(arms[verdicts.index(verdict)])], margin=0.3)[0]
        assert alone["margin_p"] < verdict["margin_p"] <= 3 * alone["margin_p"]
    assert {v["decision"] for v in verdicts} <= {"no effect", "not decided"}


@pytest.mark.parametrize("compare", [MODERATED, WELCH, PAIRED])
def test_what_does_not_scatter_decides_nothing(compare):
    """Of differences that are all the same no test can say how others would be."""
    values = [1.0, 1.0, 1.0]
    same, other, known = judge([group(values), group([1.0, 2.0, 3.5])], [
        group(values), group([4.0, 4.0, 4.0]), group([4.0, 5.5, 6.0], baseline=1)], compare, BH)
    for verdict, effect in ((same, 0), (other, 3)):
        assert (verdict["decision"], verdict["effect"][:2]) == ("not decided", [effect, None])
        assert "nothing scatters" in verdict["reason"]
        assert {verdict[name] for name in ("p", "family_p", "q", "margin_p")} == {None}
        assert verdict["raw"][1:] == verdict["adjusted"][1:] == [None, None]
    assert known["q"] == pytest.approx(3 * known["p"])
    moved, = judge([group([1.0, 2.0, 4.0])], [group([2.0, 3.0, 5.0])], PAIRED)
    assert "nothing scatters" in moved["reason"]


def test_what_is_not_decided():
    values = [0.0, 0.1, 0.2]
    one, none, unfinished = judge(
        [group(values)], [group([9]), group([]), group([8, 9, 9.5], unfinished=True)])
    assert one["reason"] == "one seed decides nothing" and one["p"] is None
    assert none["reason"] == "there is nothing to compare"
    assert unfinished["decision"] == "not decided" and unfinished["p"] < 0.05
    assert "not finished" in unfinished["reason"] and unfinished["q"] is None
    # It counts among the comparisons.
    first, _ = judge([group(values)], [group([1, 1.1, 1.2]), group([], unfinished=True)], adjust=BH)
    assert first["q"] == pytest.approx(2 * first["p"])


def test_permutation_has_a_say_from_six_seeds_on():
    """A t test is sure of it; among 924 arrangements many are as extreme."""
    baseline = [0, 0, 0, 0, 0, 1]
    arm = [1.2, 1.2, 1.2, 1.2, 1.2, 0.5]
    verdict, = judge([group(baseline)], [group(arm)])
    assert verdict["p"] < 0.01
    assert verdict["permutation_p"] == pytest.approx(scipy.stats.permutation_test(
        (arm, baseline), lambda a, b, axis: abs(scipy.stats.ttest_ind(
            a, b, equal_var=False, axis=axis).statistic), alternative="greater",
        n_resamples=numpy.inf, vectorized=True).pvalue, abs=1e-9)
    few, = judge([group(baseline[1:])], [group(arm)])
    assert few["permutation_p"] is None


def test_pairing():
    random = numpy.random.default_rng(7)
    common = random.normal(size=10)
    alone = {"values": list(random.normal(size=10)), "seeds": list(range(10))}
    for share, answer in ((0, (False, False)), (3, (True, False)), (-3, (False, True))):
        baseline = group(share * common + random.normal(size=10))
        arms = [group(abs(share) * common + random.normal(size=10)) for _ in range(4)]
        found = ask("pairing", baselines=[baseline, alone], arms=arms)
        centred = [numpy.array(a["values"]) - numpy.mean(a["values"]) for a in arms]
        other = numpy.tile(numpy.array(baseline["values"]) - numpy.mean(baseline["values"]), 4)
        r = numpy.concatenate(centred) @ other / numpy.sqrt(
            (numpy.concatenate(centred) ** 2).sum() * (other ** 2).sum())
        value, low, high = found["correlation"]
        assert value == pytest.approx(r)
        reach = scipy.stats.norm.ppf(0.975) / numpy.sqrt(4 * 9 - 2)
        assert [low, high] == pytest.approx(numpy.tanh(numpy.arctanh(r) + [-reach, reach]))
        assert (found["warranted"], found["refuted"]) == answer


def test_pairing_is_weighed_against_the_rule_in_force():
    """With three seeds it beats Welch's intervals at this correlation, but not those of variances that
    twelve arms share and a baseline of ten seeds (docs/statistics.md has the numbers)."""
    random = numpy.random.default_rng(5)
    common = random.normal(size=(4, 10))
    baselines = [group(c + 0.35 * random.normal(size=10)) for c in common]
    arms = [group((common[i % 4] + 0.35 * random.normal(size=10))[:3], baseline=i % 4) for i in range(12)]
    fewer = [group(b["values"][:3]) for b in baselines]
    against = [ask("pairing", baselines=fewer, arms=arms, compare=WELCH),
               ask("pairing", baselines=baselines, arms=arms, compare=MODERATED)]
    assert against[0]["correlation"] == against[1]["correlation"]
    assert [found["warranted"] for found in against] == [True, False]


# ------------------------------------------------------------------------------- measures


def measures(steps, scores):
    """Of one run, from docs/statistics.md."""
    share = steps / steps[-1]
    trained = scores[steps > 0]

    def at_least_one(window):
        window[numpy.argmax(steps > 0)] |= not window.any()
        return scores[window].mean()

    return {
        "zero_shot": scores[0] if steps[0] == 0 else None,
        "jumpstart": at_least_one((share > 0) & (share <= 0.1)),
        "early": at_least_one((share > 0) & (share <= 0.8)),
        "late": scores[share > 0.8].mean(),
        "asymptote": scores[share > 0.9].mean(),
        "maximum": trained.max(),
        "area": numpy.trapezoid(scores, steps) / (steps[-1] - steps[0]),
    }


def smooth(steps, scores):
    width = min(3, len(steps))
    return steps[width - 1:], numpy.convolve(scores, numpy.ones(width) / width, "valid")


def threshold_time(steps, scores, threshold):
    at, means = smooth(steps, scores)
    return int(at[means >= threshold][0]) if (means >= threshold).any() else -1


def check_pair(pair, steps, baseline, transfer, random, reference, threshold):
    expected = measures(steps, baseline), measures(steps, transfer)
    assert pair["baseline"] == pytest.approx(expected[0])
    assert pair["transfer"] == pytest.approx(expected[1])
    span = reference - random
    for name, difference in pair["difference"].items():
        if expected[0][name] is None:
            assert difference is None
        else:
            assert difference == pytest.approx((expected[1][name] - expected[0][name]) / span)
    areas = [numpy.trapezoid((scores - random) / span, steps) for scores in (baseline, transfer)]
    if areas[0] > 0:
        assert pair["area_ratio"] == pytest.approx((areas[1] - areas[0]) / areas[0])
    else:
        assert pair["area_ratio"] is None
    assert pair["baseline_threshold"] == threshold_time(steps, baseline, threshold)
    assert pair["transfer_threshold"] == threshold_time(steps, transfer, threshold)
    at, means = smooth(steps, transfer - baseline)
    assert pair["crossover"] == (int(at[means > 0][-1]) if (means > 0).any() else -1)


@pytest.mark.parametrize("begin", [0, 250000], ids=["zero-shot", "none"])
@pytest.mark.parametrize("points", [2, 3, 10, 30, 101])
def test_pairs(points, begin):
    random = numpy.random.default_rng(points)
    steps = begin + 250000 * numpy.arange(points)
    if points == 30:
        steps = numpy.sort(random.choice(10**12, points, replace=False)) * (begin > 0)
        steps = steps if begin else numpy.arange(points)
    curves = {"baseline": random.normal(100, 60, (5, points)),
              "transfer": random.normal(100, 80, (4, points))}
    seeds = {"baseline": [11, 12, 13, 14, 15], "transfer": [14, 99, 12, 13]}
    scale = [90, 300, 140]
    answer = ask("pairs", scale=scale, **{
        name: {"steps": steps.tolist(), "seeds": seeds[name], "scores": curves[name].tolist()}
        for name in curves})
    assert [pair["seed"] for pair in answer["pairs"]] == [14, 12, 13]
    for pair in answer["pairs"]:
        baseline, transfer = [curves[name][seeds[name].index(pair["seed"])] for name in curves]
        check_pair(pair, steps, baseline, transfer, *scale)
    check_times(answer)


def check_times(answer):
    times = numpy.array([[pair["baseline_threshold"], pair["transfer_threshold"]]
                         for pair in answer["pairs"]])
    reached = times >= 0
    both = reached.all(axis=1)
    assert answer["times"]["reached"] == [*reached.sum(axis=0), both.sum()]
    medians = numpy.median(numpy.where(reached, times, numpy.inf), axis=0)
    for name, median in zip(("baseline", "transfer"), medians):
        assert answer["times"][name] == (None if numpy.isinf(median) else median)
    assert answer["times"]["difference"] == \
        (numpy.median(times[both, 1] - times[both, 0]) if both.any() else None)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_curve(seeds):
    scores = numpy.random.default_rng(seeds).normal(size=(seeds, 7))
    curve = ask("curve", steps=list(range(7)), seeds=list(range(seeds)), scores=scores.tolist())
    means = scores.mean(axis=0)
    assert [point[0] for point in curve] == pytest.approx(means)
    if seeds == 1:
        assert all(point[1:] == [None, None] for point in curve)
    else:
        low, high = scipy.stats.t.interval(0.95, seeds - 1, means, scipy.stats.sem(scores))
        assert numpy.array(curve)[:, 1:] == pytest.approx(numpy.transpose([low, high]))
