"""Registers the games when Gymnasium is imported, before or after qgraft.

To import Gymnasium here would take longer than all else that `import qgraft` does.
"""

import importlib.util
import pathlib
import sys

_LIBRARY = pathlib.Path(__file__).with_name("libqgraft.so")


class _Hook:
    """Finds the module gymnasium, and has the games registered once it is executed."""

    def find_spec(self, name, path=None, target=None):
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)  # so that the others are asked
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register(module)

            spec.loader.exec_module = execute_and_register
        return spec


def _listed_games():
    """All games, as `qgraft games` lists them."""
    from ._library import lib, text

    index = 0
    while lib.qg_game_at(index):
        yield text(lib.qg_game_at(index).name)
        index += 1


def _register(gymnasium):
    """ "minatar/breakout" is "qgraft/minatar-breakout-v0"."""
    for game in _listed_games():
        gymnasium.register(f"qgraft/{game.replace('/', '-')}-v0", entry_point="qgraft.envs:Game",
                           vector_entry_point="qgraft.envs:Games", kwargs={"game": game})


def install():
    if not _LIBRARY.exists():  # the modules alone, as in the source tree
        return
    if "gymnasium" in sys.modules:
        _register(sys.modules["gymnasium"])
    else:
        sys.meta_path.insert(0, _Hook())
