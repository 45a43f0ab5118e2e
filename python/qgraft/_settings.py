"""Settings of the agent: from a preset, a file and keywords to the library's struct."""

import json
from collections.abc import Mapping

from ._library import UsageError, call, ffi, lib, path_bytes, text, with_points


def _table():
    count = ffi.new("size_t *")
    table = lib.qg_settings_table(count)
    return [table[i] for i in range(count[0])]


def _plain(value):
    """What numpy's numbers and arrays are without numpy."""
    if not hasattr(value, "tolist"):
        raise UsageError(f"{value!r} is neither a number nor a text, a list or a mapping of such")
    return value.tolist()


def _as_text(value):
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, default=_plain)
    return str(value)


def fill(struct, preset=None, config=None, values=None, network=None):
    """Changes a qg_settings as the program does: preset, the source's network, file, single ones."""
    if preset is not None:
        call(lib.qg_settings_preset, struct, path_bytes(preset, "preset"))
    if network is not None:
        call(lib.qg_settings_set_value, struct, b"network", network)
    if config is not None:
        call(lib.qg_settings_load_yaml, struct, path_bytes(config, "config"))
    if values is not None and not isinstance(values, Mapping):
        raise UsageError(f"settings: a mapping is expected, not {type(values).__name__}")
    for key, value in (values or {}).items():
        call(lib.qg_settings_set_value, struct, path_bytes(key, "settings"), path_bytes(_as_text(value)))


def _value(struct, row):
    room = ffi.new("char[]", 2048)
    with_points(lib.qg_setting_format, struct, ffi.addressof(row), room, 2048)
    word = text(room)
    if row.type == lib.QG_SETTING_BOOLEAN:
        return word == "true"
    if row.type in (lib.QG_SETTING_INT, lib.QG_SETTING_COUNT):
        return int(word)
    if row.type == lib.QG_SETTING_REAL:
        return float(word)
    return word


def as_dict(struct):
    return {text(row.name): _value(struct, row) for row in _table()}


def settings(preset="dqn3", **values):
    """All settings of a preset ("dqn3", "grid", "vector", ...), with `values` changed, by name.

    docs: `qgraft train --settings` explains each.
    """
    struct = ffi.new("qg_settings *")
    fill(struct, preset, None, values)
    call(lib.qg_settings_check, struct)
    return as_dict(struct)
