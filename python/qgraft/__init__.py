"""qgraft: deep Q-networks, and the transfer of their layers between games.

`Network` and `Engine` compute with networks; `train`, `graft`, `distill` and `run_study` do what the
commands of those names do; `Run` and `Study` read what they wrote; `statistics` judges it. The games
are environments of Gymnasium: `gymnasium.make("qgraft/minatar-breakout-v0")`.

Everything is imported when it is first used: `import qgraft` loads neither numpy nor the library.
"""

import importlib
from typing import TYPE_CHECKING

from . import _gymnasium_hook

if TYPE_CHECKING:
    from . import envs, statistics
    from ._library import (BusyError, DataError, Error, FileError, OutOfMemoryError, Stopped,
                           UsageError, version)
    from ._settings import settings
    from .engine import Engine, Update
    from .network import Layer, Network
    from .results import Run, Study
    from .runs import (Evaluation, Moment, Progress, TaskCounts, distill, evaluate, graft,
                       load_plugin, run_study, train, write_report)

_HOMES = {
    "_library": ["BusyError", "DataError", "Error", "FileError", "OutOfMemoryError", "Stopped",
                 "UsageError", "version"],
    "_settings": ["settings"],
    "engine": ["Engine", "Update"],
    "network": ["Layer", "Network"],
    "results": ["Run", "Study"],
    "runs": ["Evaluation", "Moment", "Progress", "TaskCounts", "distill", "evaluate", "graft",
             "load_plugin", "run_study", "train", "write_report"],
}
_MODULES = ["envs", "statistics"]
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, *_MODULES])


def __getattr__(name):
    if name == "__version__":
        return __getattr__("version")()
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qgraft' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])


_gymnasium_hook.install()
