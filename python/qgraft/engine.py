"""An engine: a network that acts and learns, with its target network and optimiser."""

import math
import os
from typing import NamedTuple

import numpy as np

from ._arguments import real, threads_of, truth
from ._library import UsageError, Watch, call, ffi, lib, path_bytes
from ._settings import fill
from ._states import pointer, states_of
from .network import Network, struct_of


class Update(NamedTuple):
    """What an update was made of: q_values float32 [n, actions] of the states before it, td_errors
    float32 [n]."""

    q_values: np.ndarray
    td_errors: np.ndarray


class Engine:
    """Computes with a network's parameters, which it copies; nothing that it does changes `network`.

    settings: of learning (learning_rate, discount, clip_error, minibatch, precision, ...; see
        qgraft.settings), over those of `preset` ("dqn3" for grey values, "grid" for bits, "vector"
        for vectors). minibatch is the most transitions of an update.
    threads, isa: how it uses the machine; they change no bit of a result.
    learns: False makes one that only acts, without target network and optimiser.

    The networks that it gives have the domain and the facts of `network`, but no score and step as soon as they
    have learned or were written.

    One thread at a time may use it. One of several threads does not go with os.fork: make it in the
    child.
    """

    def __init__(self, network, *, preset=None, settings=None, threads=1, isa=None, learns=True):
        struct_of("network", network)
        self._settings = ffi.new("qg_settings *")
        fill(self._settings, preset or {1: "grid", 0: "vector"}.get(network.input_max, "dqn3"), None,
             settings)
        self._isa = ffi.new("char[]", path_bytes(isa, "isa")) if isa else ffi.NULL
        machine = ffi.new("qg_machine *", {"threads": threads_of(threads), "isa": self._isa})
        self._like = network.copy()
        self._descending = False
        self._process = os.getpid() if machine.threads > 1 else None
        if learns:
            self._make_learner(machine)
        else:
            self._make_actor(machine)
        self._draws = 0
        call(lib.qg_engine_write, self._made, lib.QG_ONLINE, network._struct)
        if learns:
            self.copy_to_target()

    def _make_learner(self, machine):
        learner = ffi.new("qg_td_learner *")
        architecture = ffi.addressof(self._like._struct.architecture)
        call(lib.qg_td_learner_create, architecture, self._settings, False, machine, learner)
        self._learner = ffi.gc(learner, lib.qg_td_learner_free)
        self._made = learner.engine

    def _make_actor(self, machine):
        options = ffi.new("qg_engine_options *")
        options.architecture = ffi.addressof(self._like._struct.architecture)
        options.precision = self._settings.precision
        options.max_batch = self._settings.minibatch
        options.machine = machine[0]
        made = ffi.new("qg_engine **")
        call(lib.qg_engine_create, options, made)
        self._learner = None
        self._made = ffi.gc(made[0], lib.qg_engine_destroy)

    @property
    def _engine(self):
        """For all calls but that of `descend`, whose pass another one would write over."""
        if self._descending:
            raise UsageError("this engine is in the middle of `descend`: compute this before, or in "
                             "another Engine")
        self._check_process()
        return self._made

    def _check_process(self):
        """A forked child has only one of the threads, which would wait for the others for ever."""
        if self._process not in (None, os.getpid()):
            raise UsageError("this engine was made with several threads before the process was "
                             "forked: make it in the child, or with threads=1")

    def _learning(self, what):
        if self._learner is None:
            raise UsageError(f"{what}: this engine only acts (learns=False)")

    # ------------------------------------------------------------------------------- parameters

    def write(self, network, target=False):
        """Takes the parameters of a network of the same architecture as its own."""
        ours, theirs = self._like._struct, struct_of("network", network)
        if not lib.qg_architecture_equal(ffi.addressof(ours.architecture),
                                         ffi.addressof(theirs.architecture)):
            raise UsageError(f"this engine computes {self._like}, not {network}")
        if target:
            self._learning("write")
        self._change()
        call(lib.qg_engine_write, self._engine, lib.QG_TARGET if target else lib.QG_ONLINE, theirs)

    def _change(self):
        """What was known of the network's play is known no more."""
        self._like.score = self._like.confirmed_score = math.nan
        self._like.step = 0

    def _read(self, which):
        network = self._like.copy()
        call(lib.qg_engine_read, self._engine, which, network._struct)
        return network

    @property
    def network(self):
        """A Network with the parameters of now."""
        return self._read(lib.QG_ONLINE)

    @property
    def target(self):
        """A Network with those of the target network."""
        self._learning("target")
        return self._read(lib.QG_TARGET)

    @property
    def gradient(self):
        """Of the last update with keep_gradient: a Network of d = sum over the minibatch of
        -dL/dq * dq/dw; zeros for frozen layers."""
        self._learning("gradient")
        return self._read(lib.QG_GRADIENT)

    def copy_to_target(self):
        """Makes the target network what the online network is."""
        self._learning("copy_to_target")
        call(lib.qg_engine_copy_to_target, self._engine)

    def mix_into_target(self, tau):
        """target += tau (online - target), tau from 0 to 1."""
        self._learning("mix_into_target")
        call(lib.qg_engine_mix_into_target, self._engine, real("tau", tau, 0, 1))

    def freeze(self, *layers, frozen=True):
        """The layers of these names learn no more (frozen=False: learn again)."""
        names = list(self._like)
        for layer in layers:
            if layer not in names:
                raise UsageError(f"there is no layer {layer!r}: {', '.join(names)}")
        for layer in layers:
            lib.qg_engine_freeze(self._engine, names.index(layer), truth("frozen", frozen))

    # ------------------------------------------------------------------------------------ acting

    def forward(self, states, target=False):
        """Q-values float32 [n, actions] of states: uint8 (or bool) [n, channels, height, width], of
        vectors float32 [n, values]; of the online or the target network."""
        if target:
            self._learning("forward")
        a = self._like._struct.architecture
        given, keep = states_of(states, a)
        out = np.empty((given.size, a.actions), np.float32)
        call(lib.qg_engine_forward, self._engine, lib.QG_TARGET if target else lib.QG_ONLINE, given,
             pointer("float *", out))
        return out

    def activations(self, states, layer):
        """What the layer of that name gives: float32 [n, channels, height, width] or [n, units]."""
        names = list(self._like)
        if layer not in names:
            raise UsageError(f"there is no layer {layer!r}: {', '.join(names)}")
        given, keep = states_of(states, self._like._struct.architecture)
        out = np.empty((given.size, *self._like[layer].output_shape), np.float32)
        call(lib.qg_engine_activations, self._engine, lib.QG_ONLINE, given, names.index(layer),
             pointer("float *", out))
        return out

    # ---------------------------------------------------------------------------------- learning

    def update(self, states, actions, rewards, next_states, terminals, *, weights=None,
               discounts=None, keep_gradient=False):
        """One step of DQN down the TD error of n transitions (at most `minibatch`).

        states, next_states: as of forward; actions: ints [n]; rewards: floats [n], as they are to
        be learned; terminals: bools [n]: nothing is to be had behind next_states. weights: floats
        [n] of the slopes of the loss; discounts: floats [n] of the next states' values, where they
        are not the setting `discount`.
        """
        self._learning("update")
        a = self._like._struct.architecture
        before, keep_before = states_of(states, a)
        after, keep_after = states_of(next_states, a)
        n = before.size
        self._check_size(n)
        if after.parts != before.parts or after.size != n:
            raise UsageError(f"next_states: {n} states of the same shape are expected")
        given = {
            "actions": self._column("actions", actions, np.int32, n),
            "rewards": self._column("rewards", rewards, np.float32, n),
            "terminals": self._column("terminals", terminals, np.bool_, n),
            "weights": self._column("weights", weights, np.float32, n),
            "discounts": self._column("discounts", discounts, np.float32, n)}
        most = self._like.action_count
        if given["actions"].min() < 0 or given["actions"].max() >= most:
            raise UsageError(f"actions are 0 to {most - 1}")
        batch = ffi.new("qg_batch *", {"states": before[0], "next_states": after[0]})
        for name, column in given.items():
            if column is not None:
                setattr(batch, name, ffi.cast(ffi.typeof(getattr(batch, name)), column.ctypes.data))
        traced = Update(np.empty((n, a.actions), np.float32), np.empty(n, np.float32))
        trace = ffi.new("qg_td_trace *", {
            "q_values": pointer("float *", traced.q_values),
            "td_errors": pointer("float *", traced.td_errors),
            "keep_gradient": truth("keep_gradient", keep_gradient)})
        self._check_process()
        self._change()
        call(lib.qg_td_learner_update, self._learner, batch, self._next_draw(), trace)
        return traced

    @staticmethod
    def _column(name, values, kind, n):
        """Values [n] of a batch as C reads them; None: not given."""
        if values is None and name in ("weights", "discounts"):
            return None
        try:
            array = np.asarray(values)
        except ValueError:
            raise UsageError(f"{name}: numbers [{n}] are expected") from None
        fits = array.shape == (n,) and array.dtype.kind in ("iub" if kind is np.int32 else "iubf")
        if fits:  # after the cast, too
            with np.errstate(over="ignore"):
                column = np.ascontiguousarray(array, kind)
            fits = (column == array).all() if kind is np.int32 else np.isfinite(column).all()
        if not fits:
            raise UsageError(f"{name}: {'whole' if kind is np.int32 else 'finite'} numbers [{n}] "
                             f"are expected, not {array.dtype} {list(array.shape)}")
        return column

    def _next_draw(self):
        self._draws += 1
        return self._draws - 1

    def _check_size(self, n):
        if n > self._engine.max_batch:
            raise UsageError(f"{n} states; at most {self._engine.max_batch} (the setting "
                             "`minibatch`) are learned from at once")

    def descend(self, states, loss, *, keep_gradient=False):
        """One step down a loss of your own.

        loss: called once with the Q-values float32 [n, actions]; returns the direction in which
        they shall move, -dL/dq, floats [n, actions]. Where it raises, the step was one of zeros.
        It must not use this engine, which raises UsageError until the step is done: what else the
        loss needs is computed before, or in another Engine.
        """
        self._learning("descend")
        a = self._like._struct.architecture
        given, keep = states_of(states, a)
        self._check_size(given.size)
        watch = Watch()

        def called(context, size, q_values, gradient):
            bytes_of = 4 * size * a.actions
            values = np.frombuffer(ffi.buffer(q_values, bytes_of), np.float32)
            wanted = np.asarray(loss(values.reshape(size, -1).copy()), np.float32)
            if wanted.shape != (size, a.actions) or not np.isfinite(wanted).all():
                raise UsageError(f"loss: finite numbers [{size}, {a.actions}] are expected")
            np.frombuffer(ffi.buffer(gradient, bytes_of), np.float32)[:] = wanted.ravel()

        descent = ffi.new("qg_descent *")
        descent.learning = ffi.addressof(self._learner.learning)
        descent.states = given[0]
        descent.loss = watch.callback("void (*)(void *, int, const float *, float *)", called)
        descent.keep_gradient = truth("keep_gradient", keep_gradient)
        descent.draw = self._next_draw()
        engine, self._descending = self._engine, True
        self._change()
        try:
            watch.run(lib.qg_engine_descend, engine, descent)
        finally:
            self._descending = False
