"""Statistics against rliable, scipy and numpy, through the tool tests/tools/statistics.c, which was
built beside the program QGRAFT, or in build/release."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import scipy.stats

# rliable uses arch.bootstrap only; arch itself would load statsmodels for its other models.
sys.modules["arch"] = importlib.util.module_from_spec(importlib.util.find_spec("arch"))
from rliable import library, metrics

ROOT = Path(__file__).parents[2]
TOOL = Path(os.environ.get("QGRAFT", ROOT / "build/release/src/cli/qgraft")).parents[2] / \
    "tests/statistics"
REPETITIONS = 4000  # of rliable's bootstrap: the ends of its intervals are good to about 1 % of
INTERVAL_ERROR = 0.05  # their width; this share of the width is allowed


def ask(question, **arguments):
    result = subprocess.run([TOOL], input=json.dumps({question: arguments}), capture_output=True,
                            text=True, timeout=60)
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
    degrees = [1, 2, 3, 4, 5, 9, 10, 29, 100, 999, 1000]
    expected = scipy.stats.t.ppf((1 + confidence) / 2, degrees)
    assert ask("quantiles", degrees=degrees, confidence=confidence) == \
        pytest.approx(expected, rel=1e-10)


# ------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize("counts", [[2], [5], [5, 3, 10], [2, 2]], ids=str)
@pytest.mark.parametrize("effect", [0, -0.5, 3])
def test_verdict(counts, effect):
    random = numpy.random.default_rng(len(counts) + counts[0])
    tasks = [random.normal(effect, 1 + t, n) for t, n in enumerate(counts)]
    verdict = ask("verdict", tasks=[list(t) for t in tasks], seed=1)
    mean = numpy.mean([t.mean() for t in tasks])
    errors = numpy.array([t.var(ddof=1) / len(t) for t in tasks])
    degrees = errors.sum() ** 2 / (errors ** 2 / (numpy.array(counts) - 1)).sum()
    reach = scipy.stats.t.ppf(0.975, numpy.floor(degrees + 1e-9)) * \
        numpy.sqrt(errors.sum()) / len(tasks)
    assert verdict["student"] == pytest.approx([mean, mean - reach, mean + reach], abs=1e-9)
    drawn = numpy.mean([random.choice(t, (20000, len(t))).mean(axis=1) for t in tasks], axis=0)
    low, high = numpy.percentile(drawn, [2.5, 97.5])
    assert_interval(verdict["bootstrap"][1:], low, high)
    sides = {numpy.sign(a) if a * b > 0 else 0
             for a, b in (verdict["student"][1:], verdict["bootstrap"][1:])}
    assert verdict["decision"] == \
        {1: "positive", -1: "negative", 0: "not decided"}[sides.pop() if len(sides) == 1 else 0]


def test_one_task_is_the_paired_t_test():
    random = numpy.random.default_rng(3)
    baseline, transfer = random.normal(size=(2, 6))
    interval = scipy.stats.ttest_rel(transfer, baseline).confidence_interval(0.95)
    verdict = ask("verdict", tasks=[list(transfer - baseline)], seed=1)
    assert verdict["student"][1:] == pytest.approx([interval.low, interval.high])


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
        "beginning": at_least_one((share > 0) & (share <= 0.8)),
        "end": scores[share > 0.8].mean(),
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
