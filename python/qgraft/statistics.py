"""Statistics of transfers on arrays: what docs/statistics.md describes.

Scores of runs are floats [runs]; those of several tasks a list of such arrays, one a task. Every
bootstrap and permutation draws from `seed`: the same seed, the same bits.
"""

from typing import Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from ._arguments import real, seed_of, several, whole
from ._library import UsageError, call, ffi, lib, text
from ._states import pointer


class Estimate(NamedTuple):
    """A value and the ends of its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


class Verdict(NamedTuple):
    """What can be said of an arm against its baseline.

    decision: "positive", "negative", "no effect" (within the margin) or "not decided"; reason: why,
    in words. effect: arm - baseline, in the scores' unit, with its standard error and the degrees of
    freedom with which Student's 95 % interval is the raw one. p is raw, family_p Dunnett's among the
    arms of the baseline, q Benjamini and Hochberg's over all, permutation_p raw and NaN below six
    runs, margin_p of the test that the effect is within the margin. raw and adjusted: the effect's
    intervals.
    """

    decision: str
    reason: str
    runs: int
    baseline_runs: int
    effect: float
    error: float
    degrees: float
    p: float
    family_p: float
    q: float
    permutation_p: float
    margin_p: float
    raw: Estimate
    adjusted: Estimate


_MOST = 1e100  # of what is squared


def _numbers(values, name, kind=np.float64):
    """An array as C reads it, of anything that numpy takes without loss."""
    try:
        with np.errstate(invalid="ignore"):
            array, made = (np.asarray(values, k, order="C") for k in (np.float64, kind))
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{name}: one is no number") from None
    if kind is not np.float64 and (made != array).any():
        raise UsageError(f"{name}: one is no whole number")
    return made


def _values(values, name="values"):
    array = _numbers(values, name)
    if array.ndim != 1 or len(array) == 0:
        raise UsageError(f"{name}: numbers [runs] are expected, not {list(array.shape)}")
    if not (np.abs(array) <= _MOST).all():
        raise UsageError(f"{name}: one is NaN, or not within {-_MOST:g} and {_MOST:g}")
    return array


def _by_name(values, name):
    """A dict, of a mapping, a Series by its index, a DataFrame by its columns."""
    try:
        return dict(values)
    except (TypeError, ValueError):
        raise UsageError(f"{name}: a mapping of names is expected") from None


def _check_names(name, given, known):
    for word in given:
        if word not in known:
            raise UsageError(f"{name}: {word!r} is none of {', '.join(map(str, known))}")


def _doubles(array):
    return pointer("const double *", array)


def _estimate(e):
    return Estimate(e.value, e.low, e.high)


class _Tasks:
    """A qg_tasks, and the arrays that it borrows."""

    def __init__(self, tasks, name="tasks"):
        rows = list(tasks) if np.iterable(tasks) else []
        if rows and np.iterable(rows[0]):
            self.rows = [_values(row, f"{name}[{i}]") for i, row in enumerate(rows)]
        else:
            self.rows = [_values(tasks, name)]
        self.counts = ffi.new("size_t[]", [len(row) for row in self.rows])
        self.pointers = ffi.new("double *[]", [pointer("double *", row) for row in self.rows])
        self.struct = ffi.new("qg_tasks *", {"task_count": len(self.rows), "counts": self.counts,
                                             "values": self.pointers})


class _Curves:
    """A qg_curves of steps int64 [points] and scores float64 [runs, points], and what it borrows."""

    def __init__(self, steps, scores):
        self.steps = _numbers(steps, "steps", np.int64)
        self.scores = _numbers(scores, "scores")
        if (self.scores.ndim != 2 or self.steps.shape != self.scores.shape[1:]
                or len(self.scores) == 0):
            raise UsageError(f"scores [runs, points] go with steps [points], not "
                             f"{list(self.scores.shape)} with {list(self.steps.shape)}")
        self.seeds = np.arange(len(self.scores), dtype=np.uint64)
        self.rows = ffi.new("double *[]", [pointer("double *", row) for row in self.scores])
        self.struct = ffi.new("qg_curves *", {
            "seed_count": len(self.scores), "point_count": len(self.steps),
            "seeds": pointer("const uint64_t *", self.seeds),
            "steps": pointer("const int64_t *", self.steps), "scores": self.rows})


def mean(values) -> Estimate:
    """The mean of runs and Student's interval; NaN ends of a single run."""
    curves, made = _Curves([0], _values(values)[:, None]), ffi.new("qg_estimate *")
    call(lib.qg_curve_of, curves.struct, made)
    return _estimate(made)


_AGGREGATES = {"iqm": "QG_IQM", "mean": "QG_MEAN", "median": "QG_MEDIAN"}


def aggregate(tasks, kind="iqm", seed=1) -> Estimate:
    """Of runs [runs] of one task or a list of such arrays: "iqm" (the mean of the middle half of
    all), "mean" or "median" (of the tasks' means), with a stratified bootstrap's interval."""
    if kind not in _AGGREGATES:
        raise UsageError(f"kind: {kind!r} is none of {', '.join(_AGGREGATES)}")
    given, made = _Tasks(tasks), ffi.new("qg_estimate *")
    call(lib.qg_aggregate_of, given.struct, getattr(lib, _AGGREGATES[kind]), seed_of(seed), made)
    return _estimate(made)


def iqm(tasks, seed=1) -> Estimate:
    """The interquartile mean: aggregate(tasks, "iqm")."""
    return aggregate(tasks, "iqm", seed)


def probability_of_improvement(x, y, seed=1) -> Estimate:
    """The mean over tasks of P(X > Y) + P(X = Y) / 2; x and y as of `aggregate`, with the same
    tasks. Of one task Newcombe's interval is better: `improvement`."""
    x, y, made = _Tasks(x, "x"), _Tasks(y, "y"), ffi.new("qg_estimate *")
    if len(x.rows) != len(y.rows):
        raise UsageError(f"x has {len(x.rows)} tasks, y {len(y.rows)}")
    call(lib.qg_probability_of_improvement, x.struct, y.struct, seed_of(seed), made)
    return _estimate(made)


def improvement(x, y) -> Estimate:
    """P(X > Y) + P(X = Y) / 2 of the runs x [n] and y [m] of one task, with Newcombe's interval."""
    x, y = _values(x, "x"), _values(y, "y")
    return _estimate(lib.qg_improvement_of(_doubles(x), len(x), _doubles(y), len(y)))


def performance_profile(tasks, taus, seed=1):
    """The share of all runs above each tau: float64 [taus, 3], each row value, low, high."""
    given, taus = _Tasks(tasks), _values(taus, "taus")
    made = np.empty((len(taus), 3))
    if np.any(np.diff(taus) < 0):
        raise UsageError("taus: they must rise")
    call(lib.qg_performance_profile, given.struct, _doubles(taus), len(taus), seed_of(seed),
         pointer("qg_estimate *", made))
    return made


def permutation_p(x, y, seed=1) -> float:
    """That the runs x [n] and y [m] are of one kind: two-sided, by permutation of the studentised
    difference."""
    x, y, p = _values(x, "x"), _values(y, "y"), ffi.new("double *")
    call(lib.qg_permutation_p, _doubles(x), len(x), _doubles(y), len(y), seed_of(seed), p)
    return p[0]


def _adjust(function, p):
    p = _numbers(p, "p")
    made = np.empty_like(p)
    if p.ndim != 1 or not np.all(np.isnan(p) | ((p >= 0) & (p <= 1))):
        raise UsageError("p: probabilities [comparisons] are expected")
    call(function, _doubles(p), len(p), pointer("double *", made))
    return made


def adjust_rate(p):
    """p [n] adjusted by Benjamini and Hochberg for the false discovery rate; NaN stays and counts."""
    return _adjust(lib.qg_adjust_rate, p)


def adjust_any(p):
    """p [n] adjusted by Holm for any error; NaN stays and counts."""
    return _adjust(lib.qg_adjust_any, p)


# ---------------------------------------------------------------------------------------- verdicts

_COMPARE = {"moderated": "QG_COMPARE_MODERATED", "welch": "QG_COMPARE_WELCH",
            "paired": "QG_COMPARE_PAIRED"}
_ADJUST = {"bh": "QG_ADJUST_BH", "dunnett": "QG_ADJUST_DUNNETT", "none": "QG_ADJUST_NONE"}


def _fill_group(group, values, seeds, stratum, name, keep):
    values = _values(values, name)
    seeds = (range(1, len(values) + 1) if seeds is None
             else [whole(f"seeds of {name}", seed, 0, 2**64 - 1) for seed in several(seeds)])
    if len(seeds) != len(values) or len(set(seeds)) != len(values):
        raise UsageError(f"{name}: {len(values)} values need as many different seeds")
    seeds = np.array(seeds, np.uint64)
    keep += [values, seeds]
    group.values, group.seeds = _doubles(values), pointer("const uint64_t *", seeds)
    group.count, group.stratum = len(values), stratum


def _choose(table, what, word):
    if word not in table:
        raise UsageError(f"{what}: {word!r} is none of {', '.join(table)}")
    return getattr(lib, table[word])


def _verdict(v):
    return Verdict(text(lib.qg_decision_name(v.decision)), text(lib.qg_reason_text(v.reason)),
                   v.seeds, v.baseline_seeds, v.effect.value, v.effect.error,
                   lib.qg_effect_degrees(ffi.addressof(v, "effect"), 0.05), v.p, v.family_p, v.q,
                   v.permutation_p, v.margin_p, _estimate(v.raw), _estimate(v.adjusted))


def verdicts(baselines: Mapping[str, Sequence[float]], arms: Mapping[str, Sequence[float]],
             baseline_of: Optional[Mapping[str, str]] = None, *, frozen: Sequence[str] = (),
             seeds: Optional[Mapping[str, Sequence[int]]] = None, compare="moderated", adjust="bh",
             margin=0.1, seed=1) -> Dict[str, Verdict]:
    """Judges all arms of a study together, each against its baseline.

    baselines, arms: values [runs] by name (of normalised areas, say, whose margin is 0.1): mappings, or
    what is one in pandas.
    baseline_of: the baseline's name of each arm; not needed where there is one.
    frozen: names of arms with frozen layers, which scatter less than free ones.
    seeds: of the runs by the name of a baseline or an arm; without them 1, 2, ...: "paired" goes by
    them. compare: "moderated", "welch" or "paired"; adjust: "bh", "dunnett" or "none".
    """
    baselines, arms = _by_name(baselines, "baselines"), _by_name(arms, "arms")
    seeds, keep = _by_name({} if seeds is None else seeds, "seeds"), []
    names, frozen = list(baselines), several(frozen)
    _check_names("seeds", seeds, [*baselines, *arms])
    _check_names("frozen", frozen, arms)
    if baseline_of is None:
        if len(names) != 1:
            raise UsageError("baseline_of: which of several baselines each arm has")
        baseline_of = dict.fromkeys(arms, names[0])
    baseline_of = _by_name(baseline_of, "baseline_of")
    _check_names("baseline_of", baseline_of, arms)
    groups = ffi.new("qg_group[]", len(names))
    for group, name in zip(groups, names):
        _fill_group(group, baselines[name], seeds.get(name), lib.QG_BASELINES, name, keep)
    rows = ffi.new("qg_arm[]", len(arms))
    for row, name in zip(rows, arms):
        if baseline_of.get(name) not in names:
            raise UsageError(f"baseline_of: {name!r} has no baseline among {', '.join(map(str, names))}")
        stratum = lib.QG_FROZEN if name in frozen else lib.QG_FREE
        _fill_group(row.runs, arms[name], seeds.get(name), stratum, name, keep)
        row.baseline = names.index(baseline_of[name])
    if not real("margin", margin, 0, _MOST) > 0:
        raise UsageError(f"margin: {margin!r} is not above 0")
    rule = ffi.new("qg_rule *", {"compare": _choose(_COMPARE, "compare", compare),
                                 "adjust": _choose(_ADJUST, "adjust", adjust), "margin": margin})
    made = ffi.new("qg_verdict[]", len(arms))
    call(lib.qg_verdicts_of, groups, len(names), rows, len(arms), rule, seed_of(seed), made)
    return {name: _verdict(made[i]) for i, name in enumerate(arms)}


# ---------------------------------------------------------------------------------------- measures


def measures(steps, scores) -> Dict[str, np.ndarray]:
    """What each run reached: steps [points] rising, scores [runs, points]; by the name of the
    measure ("area", "jumpstart", "asymptote", ...) float64 [runs], in the game's points."""
    curves = _Curves(steps, scores)
    made = np.empty((len(curves.scores), lib.QG_MEASURES))
    call(lib.qg_levels_measure, curves.struct, ffi.cast(f"double (*)[{lib.QG_MEASURES}]", made.ctypes.data))
    return {text(lib.qg_measure_name(m)): made[:, m].copy() for m in range(lib.QG_MEASURES)}


def visible_effect(deviation, runs, *, baseline_runs=None, arms=1, baselines=1, moderated=True, alpha=0.05) -> float:
    """The smallest effect that such a comparison decides with 80 % probability, p being held against
    alpha: deviation of single runs, runs of an arm and of its baseline, how many arms and baselines
    the study has, whether their variances are moderated. Infinite for fewer than two runs."""
    runs, deviation = whole("runs", runs, 0, 10**9), real("deviation", deviation, 0, _MOST)
    if not 0 < real("alpha", alpha, 0, 1) < 1:
        raise UsageError(f"alpha: {alpha!r} is not between 0 and 1")
    design = ffi.new("qg_design *", {
        "deviation": deviation, "baseline_deviation": deviation, "seeds": runs,
        "baseline_seeds": (runs if baseline_runs is None
                           else whole("baseline_runs", baseline_runs, 0, 10**9)),
        "arms": whole("arms", arms, 1, 10**9), "baselines": whole("baselines", baselines, 1, 10**9),
        "compare": lib.QG_COMPARE_MODERATED if moderated else lib.QG_COMPARE_WELCH})
    return lib.qg_visible_effect(design, alpha)
