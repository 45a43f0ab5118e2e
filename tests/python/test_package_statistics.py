"""The installed package's statistics: what tests/tools/statistics.c lets test_statistics.py check of the
library, called from Python, and what is refused before the library is asked."""

import pathlib
import re

import numpy as np
import pytest
import scipy.stats

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
