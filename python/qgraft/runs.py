"""Runs and studies: train, graft, distill, evaluate, run_study, write_report.

They do what the commands of those names do, with the same bits. All take `progress`: True writes a line
to stderr now and then, a function is called with a Moment or a Progress several times a second; what it
raises, and Ctrl-C, ends the run in order (a checkpoint is written; `resume=True` goes on).
"""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import warnings
from typing import NamedTuple, Tuple

from . import _settings
from ._arguments import real, seed_of, several, threads_of, truth, whole
from ._choice import choice_of
from ._library import Error, UsageError, Watch, call, ffi, lib, message_of, path_bytes, text
from ._program import PROGRAM
from .network import Network, struct_of
from .results import Run, Study


class Progress(NamedTuple):
    """What a training is doing: phase is "restoring", "training" or "evaluating"; seconds since it
    started; scores are NaN before the first."""

    phase: str
    step: int
    steps: int
    seconds: float
    epsilon: float
    last_score: float
    last_return: float


class Moment(NamedTuple):
    """What a distillation is doing: phase is "playing", "reading", "evaluating" or "learning", of
    which `done` of `total` samples or steps are done."""

    phase: str
    done: int
    total: int
    seconds: float
    temperature: float
    kl: float
    agreement: float


class TaskCounts(NamedTuple):
    """How many runs of a study are in each state, and a forecast of the seconds left."""

    waiting: int
    stale: int
    running: int
    stopped: int
    finished: int
    failed: int
    blocked: int
    seconds_left: float


class Evaluation(NamedTuple):
    """How a network played: score is the mean return of the complete episodes."""

    score: float
    deviation: float
    minimum: float
    maximum: float
    episodes: int
    steps: int


def _plugins():
    """The paths of the plugins that the environment names."""
    return [os.path.abspath(word) for word in os.environ.get("QGRAFT_PLUGINS", "").split(":") if word]


def load_plugin(path):
    """Adds the game of a plugin (docs/api.md) to the list, here and in the runs of studies."""
    absolute = os.path.abspath(os.fsdecode(path))
    if ":" in absolute:
        raise UsageError(f"{absolute}: a plugin's path must not have a ':' in it")
    call(lib.qg_plugin_load, path_bytes(path))
    os.environ["QGRAFT_PLUGINS"] = ":".join(dict.fromkeys([*_plugins(), absolute]))


class _Line:
    """progress=True: a line on stderr, over the one before where that is a terminal."""

    def __init__(self):
        self.last = -math.inf

    def __call__(self, now):
        every = 0.2 if sys.stderr.isatty() else 30
        if now.seconds - self.last < every:
            return
        self.last = now.seconds
        step, steps = (now.step, now.steps) if isinstance(now, Progress) else (now.done, now.total)
        line = f"{now.phase}: {step} of {steps}"
        if isinstance(now, Progress) and not math.isnan(now.last_score):
            line += f", score {now.last_score:.4g}"
        end = "\r" if sys.stderr.isatty() else "\n"
        print(line.ljust(60), end=end, file=sys.stderr, flush=True)


def _listener(progress, line=_Line):
    """What is called with each progress: given, or one that prints lines, or nothing."""
    if callable(progress):
        return progress
    return line() if progress is not None and truth("progress", progress) else lambda now: None


# ------------------------------------------------------------------------------ what runs are told


class _Options:
    """Fills the structs of one run; what they borrow is kept in `keep`."""

    def __init__(self):
        self.keep, self.watch = [], Watch()

    def string(self, value, name):
        self.keep.append(ffi.new("char[]", path_bytes(value, name)))
        return self.keep[-1]

    def run(self, run, out, seed, threads, isa, overwrite, resume, keep_replay):
        """A qg_run_options."""
        run.seed, run.folder = seed_of(seed), self.string(out, "out")
        if threads is not None:
            run.machine.threads = threads_of(threads)
        if isa is not None:
            run.machine.isa = self.string(isa, "isa")
        run.overwrite, run.resume = truth("overwrite", overwrite), truth("resume", resume)
        run.keep_replay = truth("keep_replay", keep_replay)
        run.stop = self.watch.stop

    def train(self, options, domain, steps, snapshots, also_evaluate, progress):
        """A qg_train_options, but for its settings and its qg_run_options."""
        options.domain = self.string(domain, "domain")
        if steps is not None:
            options.steps = steps
        rows = sorted(whole("snapshots", step, 0, 10**12) for step in several(snapshots))
        games = [self.string(game, "also_evaluate") for game in several(also_evaluate)]
        self.keep += [ffi.new("int64_t[]", rows), ffi.new("const char *[]", games)]
        options.snapshots, options.also_evaluate = self.keep[-2:]
        options.snapshot_count, options.also_evaluate_count = len(rows), len(games)
        options.progress = self.watch.callback("void (*)(void *, const qg_progress *)",
                                               _train_watcher(_listener(progress)))


def _train_watcher(listener):
    def called(context, p):
        phase = "restoring" if p.restoring else "evaluating" if p.evaluating else "training"
        listener(Progress(phase, p.step, p.steps, p.seconds, p.epsilon, p.last_score,
                          p.last_return))

    return called


def _warn(result):
    if result.warning[0] != b"\0":
        warnings.warn(message_of(result.warning), stacklevel=4)


def _steps(steps):
    return None if steps is None else whole("steps", steps, 0, 10**12)


def _usual(domain, options, steps, preset, network, config, settings):
    """The domain's own defaults, then preset, the source's network, file, single settings."""
    call(lib.qg_train_options_for, path_bytes(domain, "domain"), options)
    _settings.fill(ffi.addressof(options.settings), preset, config, settings, network)
    lib.qg_settings_shorten_evaluations(ffi.addressof(options.settings),
                                        options.steps if steps is None else steps)


# ----------------------------------------------------------------------------------------- runs


@contextlib.contextmanager
def _todays_domains():
    """No process of an environment that an earlier call has left resting plays, with the code of
    then, and none of this call rests on."""
    lib.qg_domains_release()
    try:
        yield
    finally:
        lib.qg_domains_release()


@_todays_domains()
def train(domain, *, out, steps=None, seed=1, preset=None, settings=None, config=None, snapshots=(),
          also_evaluate=(), initial=None, frozen=(), threads=None, isa=None, overwrite=False,
          resume=False, keep_replay=False, progress=None) -> Run:
    """Trains an agent: `qgraft train`.

    out: the folder. steps: agent steps; None, as threads, preset: the domain's own.
    settings: a mapping ({"learning_rate": 0.001}; qgraft.settings() names all) over those of the
    YAML file `config`, over those of `preset`. snapshots: steps whose networks are kept.
    also_evaluate: other games that every evaluation plays, too (other_evaluations.csv).
    initial: a Network to begin with; frozen: names of its layers that do not learn.
    """
    options, o, steps = ffi.new("qg_train_options *"), _Options(), _steps(steps)
    _usual(domain, options, steps, preset, None, config, settings)
    o.run(options.run, out, seed, threads, isa, overwrite, resume, keep_replay)
    o.train(options, domain, steps, snapshots, also_evaluate, progress)
    if initial is not None:
        options.initial = struct_of("initial", initial)
    for name in several(frozen):
        if initial is None or name not in initial.layers:
            raise UsageError(f"frozen: {name!r} is no layer of `initial`")
        options.frozen[list(initial).index(name)] = True
    result = ffi.new("qg_run_result *")
    o.watch.run(lib.qg_train, options, result)
    _warn(result)
    return Run(out)


@_todays_domains()
def graft(source, domain, *, out, first=None, last=None, layers=None, part=None, freeze=False,
          match="meaning", thaw=None, thaw_every=None, lr_scale=None, l2_sp=None, ewc=None,
          ewc_samples=None, kickstart=None, distill_weight=None, distill_tau=None,
          warm_replay=None, qdagger=None, policy_reuse=None, policy_reuse_decay=None,
          reinit_seed=None, steps=None, seed=1, preset=None, settings=None,
          config=None, snapshots=(), also_evaluate=(), threads=None, isa=None, overwrite=False,
          resume=False, keep_replay=False, progress=None) -> Run:
    """Copies layers of a network file into a new network and trains that: `qgraft graft`.

    source: the file, or "random" with freeze=True: fresh layers, frozen, as a control. One of first,
    last (how many layers), layers (numbers, from 1, or names) and part (a name) says which; freeze: they
    do not learn; match: rows of the last layer go by the "meaning" of their actions or by their
    "index". thaw: the step from which frozen layers learn, thaw_every: one after the other;
    lr_scale: factors of the learning rate, {number or name: factor}; l2_sp, ewc: how strongly copied layers
    are pulled back to what they were, ewc_samples: states of the source's play for it.

    Rivals to copying, beside layers or instead of them: kickstart: steps over which the weight of a
    distillation of the source's policy falls from distill_weight to 0, at the temperature
    distill_tau; warm_replay: the first steps, played by the source; qdagger: updates behind them,
    before the steps go on; policy_reuse: probability of the source's action at an episode's first
    step, policy_reuse_decay: its factor from step to step. Otherwise as `train`; the network's
    layers are the source's unless set.
    """
    options, o, steps = ffi.new("qg_graft_options *"), _Options(), _steps(steps)
    network = None
    if isinstance(source, Network):
        raise UsageError("source: a file is expected, which the run names as its parent: save the network")
    if source != "random":
        options.source = o.string(source, "source")
        network = _look(options.source)
    train = options.train
    usual = ffi.new("qg_train_options *")
    _usual(domain, usual, steps, preset, network, config, settings)
    options.train = usual[0]
    o.train(train, domain, steps, snapshots, also_evaluate, progress)
    learning = {"thaw": thaw, "thaw_every": thaw_every, "lr_scale": lr_scale, "l2_sp": l2_sp,
                "ewc": ewc, "ewc_samples": ewc_samples, "kickstart": kickstart,
                "distill_weight": distill_weight, "distill_tau": distill_tau,
                "warm_replay": warm_replay, "qdagger": qdagger, "policy_reuse": policy_reuse,
                "policy_reuse_decay": policy_reuse_decay}
    options.choice = choice_of(
        first, last, layers, part, freeze, match, learning,
        names=lambda: _layer_names(train.domain, ffi.addressof(train.settings)))[0]
    if reinit_seed is not None:
        options.reinit, options.reinit_seed = True, seed_of(reinit_seed, "reinit_seed")
    o.run(train.run, out, seed, threads, isa, overwrite, resume, keep_replay)
    result = ffi.new("qg_run_result *")
    o.watch.run(lib.qg_graft_run, options, result)
    _warn(result)
    return Run(out)


def _look(source):
    """The architecture's text of a network file, with a warning where there is one to give."""
    architecture, info = ffi.new("qg_architecture *"), ffi.new("qg_network_info *")
    call(lib.qg_network_look, source, architecture, info)
    caution = ffi.new("char[256]")
    if lib.qg_network_caution(info, caution):
        warnings.warn(text(caution), stacklevel=4)
    return ffi.string(architecture.text)


def _layer_names(domain, settings):
    """Of the network that a run in the domain makes."""
    opened, architecture = ffi.new("qg_domain **"), ffi.new("qg_architecture *")
    call(lib.qg_domain_open, domain, ffi.new("qg_domain_options *", {"sticky": -1}), opened)
    try:
        call(lib.qg_architecture_for, settings, opened[0], architecture)
    finally:
        lib.qg_domain_close(opened[0])
    return [text(architecture.layers[i].name) for i in range(architecture.layer_count)]


_PHASES = {"QG_PHASE_PLAYING": "playing", "QG_PHASE_READING": "reading",
           "QG_PHASE_EVALUATING": "evaluating", "QG_PHASE_LEARNING": "learning"}


def _distill_watcher(listener):
    names = {getattr(lib, key): name for key, name in _PHASES.items()}

    def called(context, p):
        listener(Moment(names[p.phase], p.done, p.total, p.seconds, p.temperature, p.kl,
                        p.agreement))

    return called


@_todays_domains()
def distill(teachers, *, out, temperature="0.1", order="pass", loss="kl", samples=None,
            epsilon=None, network=None, set_files=None, seed=1, preset=None, settings=None,
            config=None, threads=None, isa=None, overwrite=False, resume=False, progress=None) -> Run:
    """A fresh student learns to act as trained teachers do: `qgraft distill`.

    teachers: one or more network files. temperature: a number, or "0.1:0.5:0.1" (first, last,
    step); order: "pass" or "sample"; loss: "kl", "kl-both", "mse" or "nll". samples: of each
    teacher; epsilon: share of its actions that are random; None: the usual. network: the student's
    architecture, otherwise the first teacher's. set_files: where the sample sets are kept, one a
    teacher. Otherwise as `train`.
    """
    teachers = [teachers] if isinstance(teachers, Network) else several(teachers)
    if any(isinstance(teacher, Network) for teacher in teachers):
        raise UsageError("teachers: files are expected, which the run names as its parents: save the "
                         "networks")
    if not 1 <= len(teachers) <= lib.QG_MAX_TEACHERS:
        raise UsageError(f"teachers: {len(teachers)}; 1 to {lib.QG_MAX_TEACHERS} are possible")
    options, o = ffi.new("qg_distillation_options *"), _Options()
    files = ffi.new("char *[]", [o.string(t, "teachers") for t in teachers])
    first, info = ffi.new("qg_architecture *"), ffi.new("qg_network_info *")
    call(lib.qg_network_look, files[0], first, info)
    domain = text(info.domain)
    if not domain:
        raise UsageError(f"{teachers[0]}: does not say its game, so it cannot play")
    call(lib.qg_distillation_options_for, path_bytes(domain), options)
    call(lib.qg_temperatures_parse, path_bytes(str(temperature)),
         ffi.addressof(options.temperatures))
    orders = {"pass": lib.QG_ORDER_PASS, "sample": lib.QG_ORDER_SAMPLE}
    if order not in orders:
        raise UsageError(f"order: {order!r} is none of pass, sample")
    options.order = orders[order]
    chosen = ffi.new("qg_distillation_loss *")
    call(lib.qg_distillation_loss_parse, path_bytes(loss, "loss"), chosen)
    options.loss = chosen[0]
    if samples is not None:
        options.samples = whole("samples", samples, 1, 10**9)
    if epsilon is not None:
        options.epsilon = real("epsilon", epsilon, 0, 1)
    usual = ffi.new("qg_train_options *")
    _usual(domain, usual, None, preset, ffi.string(first.text), config, settings)
    if network:
        call(lib.qg_settings_set_value, ffi.addressof(usual.settings), b"network",
             path_bytes(_settings._as_text(network)))
    options.settings, options.run = usual.settings, usual.run
    lib.qg_settings_shorten_evaluations(
        ffi.addressof(options.settings),
        options.samples * options.temperatures.count * len(teachers))
    options.teachers, options.teacher_count = files, len(teachers)
    if set_files is not None:
        set_files = several(set_files)
        if len(set_files) != len(teachers):
            raise UsageError(f"set_files: {len(set_files)} for {len(teachers)} teachers")
        o.keep.append(ffi.new("char *[]", [o.string(f, "set_files") for f in set_files]))
        options.set_files = o.keep[-1]
    o.run(options.run, out, seed, threads, isa, overwrite, resume, False)
    options.progress = o.watch.callback("void (*)(void *, const qg_distillation_progress *)",
                                        _distill_watcher(_listener(progress)))
    result = ffi.new("qg_distillation_result *")
    o.watch.run(lib.qg_distill, options, result)
    _warn(result.run)
    return Run(out)


# --------------------------------------------------------------------------------------- evaluate


def _call_program(words):
    """What the program prints as JSON; its failure is an exception with its line."""
    process = subprocess.Popen([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    try:
        out, err = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    hint = re.compile(r" \('qgraft \w+ --help' .*\)$")  # there is help() for that
    lines = [re.sub("--([a-z]+(?:-[a-z]+)*)", lambda m: f"`{m[1].replace('-', '_')}`",
                    hint.sub("", line.removeprefix("qgraft: "))) for line in err.splitlines()]
    if process.returncode:
        kind = UsageError if process.returncode == 2 else Error
        raise kind(lines[-1] if lines else f"qgraft {words[0]} ended with {process.returncode}")
    for line in lines:
        warnings.warn(line, stacklevel=4)
    return json.loads(out)


def evaluate(network, domain=None, *, steps=None, epsilon=None, seed=1, preset=None, noop_max=None,
             sticky=None, max_episode_frames=None, frame_skip=None) -> Evaluation:
    """Measures how well a network (a file or a Network) plays: `qgraft evaluate`, with its bits.

    domain: its own, unless given. What is None is as in the trainings of the domain.
    """
    options = {"steps": steps, "epsilon": epsilon, "seed": seed, "preset": preset,
               "noop-max": noop_max, "sticky": sticky, "max-episode-frames": max_episode_frames,
               "frame-skip": frame_skip}
    words = [f"--{key}={os.fsdecode(path_bytes(str(value), key.replace('-', '_')))}"
             for key, value in options.items() if value is not None]
    words += ["--json", "--"]
    domain = None if domain is None else os.fsdecode(path_bytes(domain, "domain"))
    if not isinstance(network, Network):
        path = os.fsdecode(path_bytes(network, "network"))
        call(lib.qg_network_look, path_bytes(path), ffi.new("qg_architecture *"),
             ffi.new("qg_network_info *"))  # its errors are of their kinds
        return _evaluation(["evaluate", *words, path, *([domain] if domain else [])])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.safetensors")
        network.save(path)
        return _evaluation(["evaluate", *words, path, *([domain] if domain else [])])


def _evaluation(words):
    said = _call_program(words)
    return Evaluation(*(said[name] for name in Evaluation._fields))


# ---------------------------------------------------------------------------------------- studies


def _folder_of(study):
    """The path of a study's file, or that of a study or of its folder."""
    return os.fsdecode(path_bytes(study.folder if isinstance(study, Study) else study, "study"))


def _open_study(study, scale):
    made = ffi.new("qg_study **")
    if os.path.isdir(study):
        if scale != 1:
            raise UsageError("scale: it goes with a study file, not with a study's folder")
        call(lib.qg_study_open, path_bytes(study), made)
    else:
        call(lib.qg_study_load, path_bytes(study), real("scale", scale, 0, 1), made)
    return ffi.gc(made[0], lib.qg_study_free)


class _Tally:
    """progress=True: a line on stderr when a run of the study has begun or ended."""

    def __init__(self):
        self.last = None

    def __call__(self, now):
        if now[:-1] != self.last:
            self.last = now[:-1]
            parts = [f"{count} {name}" for name, count in zip(now._fields, self.last) if count]
            print(", ".join(parts), file=sys.stderr, flush=True)


def _counts(now) -> Tuple[int, ...]:
    counts = [0] * 7
    for i in range(now.study.task_count):
        counts[now.statuses[i].state] += 1
    return tuple(counts)


@_todays_domains()
def run_study(study, *, out=None, scale=1.0, jobs=0, threads=None, only=None, progress=None) -> Study:
    """Runs a study, each of its runs in a process, as many at once as fit: `qgraft run`.

    study: a study file, or a Study or its folder, which goes on. out: the folder, otherwise runs/NAME.
    scale: shrinks every budget. jobs: runs at once; 0: what the machine allows. only: "ID:SEED".
    progress: called about once a second with TaskCounts. Runs that failed are no exception:
    Study.tasks tells.
    """
    study = _folder_of(study)
    opened = _open_study(study, scale)
    if os.path.isdir(study) and out is not None:
        raise UsageError(f"out: {study} is a study's folder, which says where it lies")
    folder = study if os.path.isdir(study) else out or os.path.join("runs", text(opened.name))
    if not os.path.isdir(study):
        call(lib.qg_study_take_looks, opened, path_bytes(folder, "out"))
    if threads is not None:
        opened.threads = threads_of(threads)
    options, watch = ffi.new("qg_study_options *"), Watch()
    program = ffi.new("char[]", path_bytes(PROGRAM))
    options.program, options.jobs, options.stop = program, whole("jobs", jobs, 0, 4096), watch.stop
    chosen = ffi.new("char[]", path_bytes(only, "only")) if only else ffi.NULL
    options.only = chosen
    listener = _listener(progress, _Tally)
    options.watch = watch.callback(
        "void (*)(void *, const qg_study_moment *, int)",
        lambda context, now, task: listener(TaskCounts(*_counts(now), now.seconds_left)))
    _make_absolute()
    result = ffi.new("qg_study_result *")
    watch.run(lib.qg_study_execute, opened, path_bytes(folder, "out"), options, result)
    return Study(folder)


def _make_absolute():
    """Runs start in the study's folder: what the environment names must be found from there."""
    if os.environ.get("QGRAFT_ATARI"):
        os.environ["QGRAFT_ATARI"] = os.path.abspath(os.environ["QGRAFT_ATARI"])
    if _plugins():
        os.environ["QGRAFT_PLUGINS"] = ":".join(_plugins())


@_todays_domains()
def write_report(study, *, partial=False) -> str:
    """Writes the report of a study's folder, and returns the path of report.html: `qgraft report`.

    study: a Study or its folder. partial: of one that is not finished.
    """
    folder = _folder_of(study)
    options, watch, made = ffi.new("qg_report_options *"), Watch(), ffi.new("qg_report *")
    options.partial, options.stop = truth("partial", partial), watch.stop
    options.progress = watch.callback("void (*)(void *, const char *)", lambda context, what: None)
    watch.run(lib.qg_report_write, path_bytes(folder), options, made)
    return os.fsdecode(ffi.string(made.path))
