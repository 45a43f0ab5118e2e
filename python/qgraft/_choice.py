"""Which layers are copied, and how they learn."""

from ._library import UsageError, call, ffi, lib, path_bytes


def choice_of(first, last, layers, part, freeze, match, learning=None):
    """A qg_graft_choice. learning: thaw, kickstart and the like, None where they are not given."""
    ways = {"first": first, "last": last, "layers": layers, "part": part}
    given = {key: value for key, value in ways.items() if value is not None}
    taken = {key: value for key, value in (learning or {}).items() if value is not None}
    reused = {"kickstart", "warm_replay", "policy_reuse"} & taken.keys()
    if len(given) > 1 or not given and not reused:
        raise UsageError("one of `first`, `last`, `layers` and `part` is needed, or `kickstart`, "
                         "`warm_replay` or `policy_reuse`")
    choice = ffi.new("qg_graft_choice *")
    if layers is not None and not isinstance(layers, str):
        given = {"layers": ",".join(str(int(layer)) for layer in layers)}
    given["match"] = match
    given |= taken
    if isinstance(given.get("lr_scale"), dict):
        given["lr_scale"] = ",".join(f"{layer}:{rate}" for layer, rate in given["lr_scale"].items())
    for key, value in given.items():
        call(lib.qg_graft_choice_set, choice, key.encode(), path_bytes(str(value)))
    choice.frozen = freeze
    return choice
