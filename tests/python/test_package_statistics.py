"""The installed package's statistics: what tests/tools/statistics.c lets test_statistics.py check of the
library, called from Python, and what is refused before the library is asked."""

import pathlib
import re

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from test_statistics import behrens_fisher_sf

qgraft = pytest.importorskip("qgraft", reason="scripts/install-package.sh installs it")

from qgraft import statistics  # noqa: E402

MODULES = pathlib.Path(qgraft.__file__).parent


def test_names_of_the_library():
    """All that the modules call is there: a name is looked up when it is used."""
    from qgraft._library import lib

    words = {word for module in MODULES.glob("*.py")
             for word in re.findall(r"\blib\.([qQ]\w+)|\"(QG_[A-Z]\w+)\"", module.read_text())}
    names = {name or constant for name, constant in words}
    assert len(names) > 80
    assert [name for name in sorted(names) if not hasattr(lib, name)] == []


def test_mean():
    values = np.random.default_rng(1).normal(3, 2, 7)
    made = statistics.mean(values)
    low, high = scipy.stats.t.interval(0.95, 6, values.mean(), scipy.stats.sem(values))
    assert made == pytest.approx((values.mean(), low, high), rel=1e-9)
    assert statistics.mean([2]).value == 2 and np.isnan(statistics.mean([2])[1:]).all()


def test_visible_effect():
    """Of deviations of 1, from the t of two groups; scaled as they are."""
    one = statistics.visible_effect(1, 10)
    t = scipy.stats.t.isf(0.025, 18) + scipy.stats.t.isf(0.2, 18)
    assert one == pytest.approx(t * np.sqrt(0.2), rel=1e-6)
    assert statistics.visible_effect(7, 10.0, arms=np.int64(1)) == pytest.approx(7 * one)
    assert statistics.visible_effect(0, 10) == 0 and np.isinf(statistics.visible_effect(1, 1))
    assert statistics.visible_effect(1, 10, baseline_runs=40) < one
    # six variances are pooled, two are not
    t = sum(scipy.optimize.brentq(lambda t: behrens_fisher_sf(t, 0.5, 2 * 6, 2) - alpha, 0, 20) for alpha in (0.025, 0.2))
    assert statistics.visible_effect(1, 3, arms=6, baselines=2) == pytest.approx(t * np.sqrt(2 / 3), rel=1e-6)
    for arms in (3, 10):  # of numbers without end it is the normal distribution
        t = scipy.stats.norm.isf(0.025) + scipy.stats.norm.isf(0.2)
        assert statistics.visible_effect(1, 10**9, arms=arms, baselines=arms) == pytest.approx(t * np.sqrt(2e-9), rel=1e-5)
    assert (statistics.visible_effect(1, 3, arms=6, baselines=5, moderated=False)
            == statistics.visible_effect(1, 3))


@pytest.mark.parametrize("name, wrong", [
    ("deviation", -1), ("deviation", np.nan), ("deviation", np.inf), ("deviation", "1"), ("runs", -1),
    ("runs", 2.5), ("runs", True), ("baseline_runs", -3), ("arms", 0), ("baselines", 0), ("alpha", 0),
    ("alpha", 1), ("alpha", 5), ("alpha", np.nan)])
def test_designs_that_are_none(name, wrong):
    with pytest.raises(qgraft.UsageError, match=f"^{name}: "):
        statistics.visible_effect(**{"deviation": 1, "runs": 10, name: wrong})


@pytest.mark.parametrize("name, call", [
    ("seed", lambda: statistics.iqm([1, 2], seed=-1)), ("seed", lambda: statistics.iqm([1, 2], seed=1.5)),
    ("seed", lambda: statistics.permutation_p([1], [2], seed=2**64)),
    ("a", lambda: statistics.verdicts({"f": [1, 2]}, {"a": [1e200, -1e200]})),
    ("margin", lambda: statistics.verdicts({"f": [1, 2]}, {"a": [1, 3]}, margin=0)),
    ("margin", lambda: statistics.verdicts({"f": [1, 2]}, {"a": [1, 3]}, margin=np.inf))])
def test_numbers_out_of_range(name, call):
    with pytest.raises(qgraft.UsageError, match=f"^{name}: "):
        call()


# ---- What is given ----


def test_frames():
    """What Run and Study give, filtered: indexes that do not begin at 0, groups, columns."""
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(1)
    frame = pandas.DataFrame({
        "run": ["fresh"] * 6 + ["a"] * 6 + ["b"] * 6, "seed": [3.0, 1, 2, 5, 4, 6] * 3,
        "score": random.normal(0, 1, 18) + np.repeat([0, 3, 0], 6)})
    scores = {name: frame[frame["run"] == name]["score"] for name in ("fresh", "a", "b")}
    lists = {name: list(values) for name, values in scores.items()}
    assert statistics.iqm(scores["a"]) == statistics.iqm(lists["a"])
    assert statistics.iqm([scores["a"], scores["b"]]) == statistics.iqm([lists["a"], lists["b"]])
    both = frame[frame["run"] != "fresh"].groupby("run")["score"]
    assert statistics.iqm(both.apply(list)) == statistics.iqm([lists["a"], lists["b"]])
    assert statistics.mean(scores["b"]) == statistics.mean(lists["b"])
    seeds = {name: frame[frame["run"] == name]["seed"] for name in scores}
    arms = {"a": lists["a"], "b": lists["b"]}
    expected = statistics.verdicts({"fresh": lists["fresh"]}, arms, seeds={
        name: [3, 1, 2, 5, 4, 6] for name in scores}, frozen=["b"], compare="paired")
    columns = pandas.DataFrame({"a": lists["a"], "b": lists["b"]})
    for given in (both.apply(list), columns, dict(list(both))):
        assert statistics.verdicts({"fresh": scores["fresh"]}, given, seeds=seeds, frozen="b",
                                   compare="paired") == expected


FRESH, ARMS = {"fresh": [1, 2, 4]}, {"first 2": [2, 3, 5], "first 2 frozen": [2, 3, 4]}


@pytest.mark.parametrize("name, more", [
    ("seeds of fresh", {"seeds": {"fresh": [1.2, 2.3, 3.4]}}), ("seeds", {"seeds": {"frehs": [1, 2, 3]}}),
    ("seeds of fresh", {"seeds": {"fresh": [1, 2, -3]}}), ("fresh", {"seeds": {"fresh": [1, 1, 2]}}),
    ("fresh", {"seeds": {"fresh": 1}}), ("seeds", {"seeds": [1, 2, 3]}), ("frozen", {"frozen": ["first 3"]}),
    ("frozen", {"frozen": "first"}), ("baseline_of", {"baseline_of": {**dict.fromkeys(ARMS, "fresh"), "x": "fresh"}}),
    ("baseline_of", {"baseline_of": {"first 2": "fresh"}}), ("compare", {"compare": "paird"})])
def test_names_that_are_none(name, more):
    with pytest.raises(qgraft.UsageError, match=f"^{name}: ") as caught:
        statistics.verdicts(FRESH, ARMS, **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, call", [
    ("tasks", lambda: statistics.iqm([])), ("tasks", lambda: statistics.iqm(3)), (r"tasks\[0\]", lambda: statistics.iqm(["abc"])),
    (r"tasks\[1\]", lambda: statistics.iqm([[1], []])), ("values", lambda: statistics.mean([1, None])),
    (r"y\[1\]", lambda: statistics.probability_of_improvement([[1], [2]], [[1], [np.nan]])),
    ("steps", lambda: statistics.measures([0, 1.5], [[1, 2]])), ("scores", lambda: statistics.measures([0, 1], ["a"])),
    ("p", lambda: statistics.adjust_any(["x"])), ("p", lambda: statistics.adjust_rate([2])),
    ("arms", lambda: statistics.verdicts(FRESH, [1, 2]))])
def test_values_that_are_none(name, call):
    with pytest.raises(qgraft.UsageError, match=f"^{name}: ") as caught:
        call()
    assert "\n" not in str(caught.value)
