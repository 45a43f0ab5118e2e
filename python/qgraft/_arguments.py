"""Numbers as Python gives them: checked before C sees them, where a wrong one would be a programming
error."""

import numbers
import operator
import os

import numpy as np

from ._library import UsageError


def whole(name, value, least, most):
    """An int within `least` and `most`, of a whole float (1e6) or numpy's number, too."""
    number = value
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        number = int(value) if value == value // 1 else None  # NaN and infinity equal nothing
    try:
        number = None if isinstance(value, bool) else operator.index(number)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise UsageError(f"{name}: {value!r} is not a whole number from {least} to {most}")
    return number


def real(name, value, least, most):
    """A float within `least` and `most`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not least <= value <= most:
        raise UsageError(f"{name}: {value!r} is not a number from {least:g} to {most:g}")
    return float(value)


def truth(name, value):
    """A bool, of 0 or 1 and numpy's, too."""
    if not isinstance(value, (bool, np.bool_, numbers.Integral)) or value not in (0, 1):
        raise UsageError(f"{name}: {value!r} is neither True nor False")
    return bool(value)


def several(values):
    """A list, of a single text, path or number, too."""
    if isinstance(values, (str, bytes, os.PathLike)) or not np.iterable(values):
        return [values]
    return list(values)


def seed_of(value, name="seed"):
    return whole(name, value, 0, 2**63 - 1)


def threads_of(value):
    return whole("threads", value, 1, 256)
