"""Which layers are copied, and how they learn."""

from ._arguments import several, truth, whole
from ._library import UsageError, call, ffi, lib, path_bytes


def choice_of(first, last, layers, part, freeze, match, learning=None, *, names):
    """A qg_graft_choice. learning: thaw, kickstart and the like, None where they are not given; names():
    those of the layers of the network that is copied into."""
    ways = {"first": first, "last": last, "layers": layers, "part": part}
    given = {key: value for key, value in ways.items() if value is not None}
    taken = {key: value for key, value in (learning or {}).items() if value is not None}
    reused = {"kickstart", "warm_replay", "policy_reuse"} & taken.keys()
    if len(given) > 1 or not given and not reused:
        raise UsageError("one of `first`, `last`, `layers` and `part` is needed, or `kickstart`, "
                         "`warm_replay` or `policy_reuse`")
    choice = ffi.new("qg_graft_choice *")
    if layers is not None:
        layers = layers.split(",") if isinstance(layers, str) else several(layers)
        given = {"layers": ",".join(_number(layer, "layers", names) for layer in layers)}
    given["match"] = match
    given |= taken
    if isinstance(given.get("lr_scale"), dict):
        given["lr_scale"] = ",".join(f"{_number(layer, 'lr_scale', names)}:{rate}"
                                     for layer, rate in given["lr_scale"].items())
    for key, value in given.items():
        call(lib.qg_graft_choice_set, choice, key.encode(), path_bytes(str(value)))
    choice.frozen = truth("freeze", freeze)
    return choice


def _number(layer, name, names):
    """Of a layer that is called by its name or its number, as text; C sees to the range."""
    if not isinstance(layer, str):
        return str(whole(name, layer, 1, lib.QG_MAX_LAYERS))
    if layer.strip().isdigit():
        return layer
    known = names()
    if layer.strip() not in known:
        raise UsageError(f"{name}: there is no layer {layer!r}: {', '.join(known)}")
    return str(known.index(layer.strip()) + 1)
