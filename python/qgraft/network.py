"""Networks: an architecture and its parameters, in PyTorch's layout, as arrays of numpy."""

import functools
import math

import numpy as np

from ._arguments import real, seed_of, several, whole
from ._library import UsageError, call, ffi, lib, path_bytes, text
from ._states import pointer


def _tensor(name, value, shape):
    """float32 [shape]"""
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"{name}: numbers {list(shape)} are expected") from None
    if array.shape != shape:
        raise UsageError(f"{name}: {list(shape)} are expected, not {list(array.shape)}")
    return array


class Layer:
    """One weighted layer of a network; the arrays are views: what is written to them is the
    network's, as is what is assigned to `weight` or `bias` (to exchange two, copy one first). The rest
    cannot be changed.

    name: "conv1", ..., "fc1", ... or, of a dueling network, "heads"; kind: "conv" or "linear"; part: of
        a split network, else "".
    weight: float32 [outputs, in_channels, kernel, kernel] (conv) or [outputs, inputs] (linear, the
        inputs channel-major, as PyTorch flattens them).
    bias: float32 [outputs].
    kernel, stride, padding: of a conv; 0 for a linear layer. norm: layer normalisation behind it.
    output_shape: (channels, height, width) or (units,).
    """

    def __init__(self, row, weight, bias):
        conv = row.kind == lib.QG_CONV
        shape = (row.outputs, row.in_channels, row.kernel, row.kernel) if conv else (row.outputs, -1)
        vars(self).update(
            name=text(row.name), kind="conv" if conv else "linear", part=text(row.part),
            weight=weight.reshape(shape), bias=bias, kernel=row.kernel, stride=row.stride,
            padding=row.padding, norm=row.norm, output_shape=((row.outputs, row.out_height, row.out_width) if conv
                                               else (row.outputs,)))

    def __setattr__(self, name, value):
        if name not in ("weight", "bias"):
            raise AttributeError(f"{name!r} of a layer cannot be set, only its weight and its bias")
        own = getattr(self, name)
        own[...] = _tensor(f"{self.name}.{name}", value, own.shape)

    def __repr__(self):
        return f"<Layer {self.name}: {' x '.join(map(str, self.weight.shape))}>"


def struct_of(name, network):
    """The C struct of a parameter that must be a Network."""
    if not isinstance(network, Network):
        raise UsageError(f"{name}: a Network is expected, not {type(network).__name__} (Network.load "
                         "reads a file)")
    return network._struct


class Network:
    """A deep Q-network: convolutions and linear layers with a ReLU behind each but the last.

    architecture: "nature", "nature-pad0", "grid", "vector", one of these with "-dueling", "-norm" or
        "-split:WIDTH" behind it, or a list of layers as JSON or as Python's lists and dicts ([{"conv":
        16, "kernel": 3}, {"linear": 64}]).
    input: (channels, height, width): screens per state times channels of a screen; (values, 1, 1) of
        vectors.
    input_max: inputs are bytes / input_max: 255 for grey values, 1 for bits; 0: floats, of vectors.
    actions: their names in the order of the outputs, or how many there are.
    seed: of the initial weights (Torch7's: uniform in +-1/sqrt(fan_in)); None: all zero.
    """

    def __init__(self, architecture="nature", *, input=(4, 84, 84), input_max=255, actions,
                 seed=None):
        from ._settings import _as_text

        counted = not isinstance(actions, str) and not np.iterable(actions)
        names = [] if counted else [str(name) for name in several(actions)]
        count = whole("actions", actions, 1, 2**31 - 1) if counted else len(names)
        sizes = [whole("input", size, 1, 2**31 - 1) for size in several(input)]
        if len(sizes) != 3:
            raise UsageError(f"input: {input!r} is not (channels, height, width)")
        made = ffi.new("qg_architecture *")
        call(lib.qg_architecture_make, path_bytes(_as_text(architecture), "architecture"), *sizes,
             whole("input_max", input_max, 0, 255), count, made)
        self._take(made)
        self.actions = names
        self.domain, self.precision, self.emulator = "", "", ""
        self.history, self.seed, self.step = 0, 0 if seed is None else seed_of(seed), 0
        self.score = self.confirmed_score = math.nan
        if seed is not None:
            lib.qg_network_initialise(self._struct, self.seed)

    def _take(self, architecture):
        """Arrays of a network of this architecture, all zero; the struct's pointers lie in them."""
        self._struct = ffi.new("qg_network *", {"architecture": architecture[0]})
        a = self._struct.architecture
        self._parameters = np.zeros(lib.qg_architecture_parameters(ffi.addressof(a)), np.float32)
        self._struct.parameters = pointer("float *", self._parameters)
        self._layers, at = {}, 0
        for i in range(a.layer_count):
            row = a.layers[i]
            weights = lib.qg_layer_weights(ffi.addressof(row))
            ends = at + weights, at + weights + row.outputs
            layer = Layer(row, self._parameters[at:ends[0]], self._parameters[ends[0]:ends[1]])
            self._struct.weights[i] = pointer("float *", layer.weight)
            self._struct.biases[i] = pointer("float *", layer.bias)
            self._layers[layer.name] = layer
            at = ends[1]

    @classmethod
    def load(cls, path):
        """Reads a network file. DataError, FileError."""
        read, info = ffi.new("qg_network *"), ffi.new("qg_network_info *")
        call(lib.qg_network_load, path_bytes(path), read, info)
        try:
            self = cls.__new__(cls)
            self._take(ffi.addressof(read.architecture))
            size = self._parameters.nbytes
            ffi.memmove(self._struct.parameters, read.parameters, size)
        finally:
            lib.qg_network_free(read)
        names = text(info.actions)
        self.actions = names.split(",") if names else []
        self.domain, self.precision = text(info.domain), text(info.precision)
        self.emulator = text(info.emulator)
        self.history, self.seed, self.step = info.history, info.seed, info.step
        self.score, self.confirmed_score = info.score, info.confirmed_score
        return self

    def save(self, path, notes=None):
        """Writes a network file, complete or not at all. notes: more of its metadata, a mapping of
        str to str. FileError."""
        info = ffi.new("qg_network_info *")
        for name in ("domain", "precision", "emulator"):
            self._set_text(info, name, getattr(self, name))
        for name in self.actions:
            if "," in name:
                raise UsageError(f"actions: {name!r} has a comma, which parts names in a file")
        self._set_text(info, "actions", ",".join(self.actions))
        if self.actions and len(self.actions) != self.action_count:
            raise UsageError(f"actions: {len(self.actions)} names for {self.action_count} outputs")
        info.history, info.seed = whole("history", self.history, 0, 2**31 - 1), seed_of(self.seed)
        info.step = whole("step", self.step, 0, 2**63 - 1)
        for name in ("score", "confirmed_score"):
            score = getattr(self, name)  # NaN: not known
            setattr(info, name, score if score != score else real(name, score, -math.inf, math.inf))
        keep = [tuple(ffi.new("char[]", path_bytes(word, "notes")) for word in pair)
                for pair in (notes or {}).items()]
        rows = ffi.new("qg_note[]", [{"key": k, "value": v} for k, v in keep])
        info.notes, info.note_count = rows, len(keep)
        call(lib.qg_network_save, path_bytes(path), self._struct, info)

    @staticmethod
    def _set_text(info, name, value):
        encoded, room = path_bytes(value, name), len(getattr(info, name))
        if len(encoded) >= room:
            raise UsageError(f"{name}: {len(encoded)} bytes; at most {room - 1} can be written")
        setattr(info, name, encoded)

    def copy(self):
        """A network of its own with the same values."""
        other = type(self).__new__(type(self))
        other._take(ffi.addressof(self._struct.architecture))
        other.__setstate__((self._parameters, self._facts()))
        return other

    __copy__ = copy

    def __deepcopy__(self, memo):
        return self.copy()

    def _facts(self):
        """What a file says of it besides, by attribute."""
        names = ("domain", "precision", "emulator", "history", "seed", "step", "score",
                 "confirmed_score")
        return {"actions": list(self.actions), **{name: getattr(self, name) for name in names}}

    def __reduce__(self):
        made = {"input": self.input, "input_max": self.input_max, "actions": self.action_count}
        return (functools.partial(type(self), self.architecture, **made), (),
                (self._parameters, self._facts()))

    def __setstate__(self, state):
        self._parameters[:] = state[0]
        vars(self).update(state[1])

    # ------------------------------------------------------------------------------- what it is

    @property
    def architecture(self):
        """The preset's name or the list of layers that it was made from."""
        return text(self._struct.architecture.text)

    @property
    def input(self):
        """(channels, height, width)"""
        a = self._struct.architecture
        return a.channels, a.height, a.width

    @property
    def input_max(self):
        return self._struct.architecture.input_max

    @property
    def action_count(self):
        return self._struct.architecture.actions

    @property
    def layers(self):
        """The weighted layers by name, from the input on: a dict of Layer."""
        return dict(self._layers)

    @property
    def sha256(self):
        """Of what it is: input, layers and parameters, whatever its file says besides."""
        room = ffi.new("char[65]")
        lib.qg_network_sha256(self._struct, room)
        return text(room)

    def __getitem__(self, name):
        return self._layers[name]

    def __iter__(self):
        return iter(self._layers)

    def __len__(self):
        return len(self._layers)

    def __repr__(self):
        shape = "x".join(map(str, self.input))
        return f"<Network {self.architecture}, {shape} to {self.action_count} actions>"

    def state_dict(self):
        """Views of all parameters by PyTorch's names, as files have them: "conv1.weight",
        "conv1.bias", ...; of a dueling network's heads "value.weight", "advantage.weight", ..."""
        state = {}
        for name, layer in self._layers.items():
            heads = {"value": slice(0, 1), "advantage": slice(1, None)}
            for part, rows in (heads if name == "heads" else {name: slice(None)}).items():
                state |= {f"{part}.weight": layer.weight[rows], f"{part}.bias": layer.bias[rows]}
        return state

    def load_state_dict(self, tensors):
        """Takes all parameters, of these names and shapes; anything that numpy.asarray takes."""
        own = self.state_dict()
        if set(own) != set(tensors):
            different = sorted(set(own) ^ set(tensors))
            raise UsageError(f"tensors: {', '.join(own)} are expected; {different[0]} is not in both")
        arrays = {name: _tensor(name, tensor, own[name].shape).copy()  # may be our own layers
                  for name, tensor in tensors.items()}
        for name, array in arrays.items():
            own[name][...] = array

    # -------------------------------------------------------------------------------- what it does

    def forward(self, states):
        """Q-values float32 [n, actions] of states: uint8 (or bool) [n, channels, height, width], of
        vectors float32 [n, values].

        For many calls an Engine is faster: this one takes the parameters anew each time.
        """
        return self._engine().forward(states)

    def activations(self, states, layer):
        """What the layer of that name gives (behind its ReLU, where it has one): float32 [n,
        channels, height, width] (conv) or [n, units] (linear)."""
        return self._engine().activations(states, layer)

    def _engine(self):
        from .engine import Engine

        return Engine(self, learns=False)

    def graft(self, source, *, first=None, last=None, layers=None, part=None, match="meaning"):
        """Copies layers of another network into this one, which keeps the others.

        One of: first, last (how many layers), layers (numbers, from 1, or names), part (a name).
        match: whether rows of the last layer are paired by the "meaning" of their actions or by
        their "index". Returns, by layer, how many of its outputs were copied, and from which layer
        of the source: {"conv1": ("conv1", 16), ...}. UsageError: a shape that does not fit.
        """
        from ._choice import choice_of

        grafted = ffi.new("qg_grafted_layer[]", lib.QG_MAX_LAYERS)
        theirs = struct_of("source", source)
        chosen = choice_of(first, last, layers, part, False, match, names=lambda: list(self))
        call(lib.qg_graft, theirs, path_bytes(",".join(source.actions)), self._struct,
             path_bytes(",".join(self.actions)), chosen, grafted)
        sources = list(source)
        return {name: (sources[grafted[i].source], grafted[i].rows)
                for i, name in enumerate(self) if grafted[i].source >= 0}
