"""The process in which a Gymnasium environment runs: `qgraft` starts it, and speaks to it over a
socket and a file in memory. src/domain/gym/gym_worker.h has the protocol; the program holds this
file's text and runs it with the interpreter that `--python` or QGRAFT_PYTHON names.

What the environment prints goes to qgraft, which keeps the last line of it for when it dies. Every
observation is passed on as it is or is an error; what was converted by its space's rule stands in the
description's `note`.
"""

import importlib
import importlib.util
import inspect
import json
import mmap
import os
import random
import re
import struct
import sys
import time

REQUEST = struct.Struct("=ii")  # what, argument
REPLY = struct.Struct("=iIdII")  # status, bytes of text behind it, reward, flags, nanoseconds
MAKE, RESET, STEP, PICTURE, CLOSE = range(1, 6)
OK, FAILED, REFUSED = range(3)  # status; REFUSED: a mistake of who names the environment
END, TRUNCATED = 1, 2
NO_STEP = 0.0, 0, 0  # reward, flags, nanoseconds
MOST_TOLD = 250  # characters of an exception's text: its place and a hint have room behind it
OWN = __file__
MOST_ACTIONS, MOST_VALUES, MOST_SIDE, MOST_TEXT = 256, 8192, 1024, 4000


class Refusal(Exception):
    """The environment cannot be a domain; the text says why."""


class Misbehaviour(Exception):
    """What the environment gave is not what its spaces or Gymnasium say."""


def one_line(text):
    return " ".join(str(text).split())


def place_of(error):
    """File and line where it was raised; "" where it was not."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    return (place.tb_frame.f_code.co_filename, place.tb_lineno) if place else ("", 0)


def describe_error(error):
    """Python's last line of a traceback, and where it was raised."""
    if isinstance(error, (Refusal, Misbehaviour)):
        return one_line(error)
    text = one_line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    if len(text) > MOST_TOLD:
        text = text[:MOST_TOLD - 3] + "..."
    file, line = place_of(error)
    # gymnasium.make raises what an environment has raised again, in a function of its own
    if os.path.basename(file) == "registration.py" and error.__cause__:
        file, line = place_of(error.__cause__)
    return text if file in ("", OWN) else f"{text} ({os.path.basename(file)}:{line})"


# ------------------------------------------------------------------------------ observations


class Vector:
    """Values side by side: bits (`maximum` 1), bytes (255) or floats (0)."""

    def __init__(self, count, maximum):
        if not 1 <= count <= MOST_VALUES:
            raise Refusal(f"{count} values; vectors of 1 to {MOST_VALUES} are possible")
        self.shape, self.maximum, self.picked, self.note = (1, 1, count), maximum, None, None


class Floats(Vector):
    def __init__(self, space):
        super().__init__(int(numpy.prod(space.shape)), 0)
        self.space_shape, self.dtype = space.shape, space.dtype
        if self.dtype.itemsize > 4 and self.dtype.kind == "f":
            self.note = f"observations of {self.dtype} are kept as float32"

    def write(self, observation, out):
        values = check(observation, self.space_shape, self.dtype)
        out[0, 0] = values.reshape(-1)
        if not fits_float32(values):
            raise Misbehaviour(f"an observation of {self.dtype} has a value that no float32 can hold")


class Flat(Vector):
    """By gymnasium's flatten; parts that are text are left out."""

    def __init__(self, space):
        self.space, left_out = without_text(space)
        try:
            flat = gymnasium.spaces.flatten_space(self.space)
        except NotImplementedError as error:
            raise Refusal(f"its observations cannot be flattened: {error}") from None
        if not isinstance(flat, gymnasium.spaces.Box):
            raise Refusal("its observations cannot be flattened to a vector")
        bits = flat.dtype.kind in "iub" and flat.low.min() >= 0 and flat.high.max() <= 1
        super().__init__(int(numpy.prod(flat.shape)), 1 if bits else 0)
        self.dtype = flat.dtype
        notes = [f"left out of its observations: {', '.join(left_out)} (text)"] if left_out else []
        if self.dtype == numpy.float64 and not bits:
            notes.append("observations of float64 are kept as float32")
        self.note = "; ".join(notes) or None

    def write(self, observation, out):
        check_parts(self.space, observation)
        try:
            values = gymnasium.spaces.flatten(self.space, observation)
        except Exception as error:
            raise Misbehaviour(f"an observation is not of its space: {describe_error(error)}") from None
        if values.shape != self.shape[2:]:
            raise Misbehaviour(f"an observation has {values.size} values, its space says {self.shape[2]}")
        out[0, 0] = values


def check_parts(space, observation, where="an observation"):
    """flatten converts, wraps and cuts off what is not of its space: that is looked for before."""
    spaces = gymnasium.spaces
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        named = isinstance(space, spaces.Dict)
        kinds, parts = (dict, space.spaces.items()) if named else ((tuple, list), enumerate(space.spaces))
        if not isinstance(observation, kinds) or not named and len(observation) != len(space.spaces):
            raise not_of(space, observation, where)
        for key, part in parts:
            if named and key not in observation:
                raise Misbehaviour(f"{where} has no {key}")
            check_parts(part, observation[key], f"{where}[{key}]")
    elif isinstance(space, spaces.Box):
        values = check(observation, space.shape, space.dtype, where)
        if not fits_float32(values):
            raise Misbehaviour(f"{where} has a value of {values.dtype} that no float32 can hold")
    elif not space.contains(observation):
        raise not_of(space, observation, where)


def not_of(space, observation, where):
    return Misbehaviour(f"{where} is {one_line(observation)[:200]}, "
                        f"its space says {one_line(space)[:200]}")


def fits_float32(values):
    """Whole numbers of 24 bits and zeros behind them; other numbers are rounded, as the note says."""
    if values.dtype.kind not in "iu":
        return True
    size = values.astype(numpy.uint64)
    size = numpy.where(values < 0, numpy.negative(size), size)
    lowest_bit = numpy.maximum(size & numpy.negative(size), numpy.uint64(1))
    return bool((size // lowest_bit < 1 << 24).all())


def without_text(space):
    """The space without the parts of a Dict whose samples are text and which cannot be flattened."""
    if not isinstance(space, gymnasium.spaces.Dict):
        return space, []
    kept, left_out = {}, []
    for key, part in space.spaces.items():
        try:
            gymnasium.spaces.flatten_space(part)
            kept[key] = part
        except NotImplementedError:
            if not isinstance(part.sample(), str):
                raise Refusal(f"its observations cannot be flattened: {key} is {part}") from None
            left_out.append(key)
    if not kept or not left_out:
        return space, []
    return gymnasium.spaces.Dict(kept), left_out


class Bits(Vector):
    """Discrete as one value of many, MultiBinary, and Boxes of 0 and 1."""

    def __init__(self, space):
        discrete = isinstance(space, gymnasium.spaces.Discrete)
        super().__init__(int(space.n) if discrete else int(numpy.prod(space.shape)), 1)
        self.space = space
        self.start = int(space.start) if discrete else None

    def write(self, observation, out):
        if self.start is None:
            values = numpy.asarray(observation)
            if values.shape != self.space.shape:
                raise Misbehaviour(f"an observation is {values.dtype} {values.shape}, its space says "
                                   f"{self.space.dtype} {self.space.shape}")
            if not ((values == 0) | (values == 1)).all():
                raise Misbehaviour("an observation of bits has a value that is neither 0 nor 1")
            out[0, 0] = values.reshape(-1)
            return
        if isinstance(observation, float) or not self.space.contains(observation):
            raise Misbehaviour(f"the observation {one_line(repr(observation))[:60]} is not in {self.space}")
        out[0, 0] = 0
        out[0, 0, int(observation) - self.start] = 1


class Image:
    """Bytes [height][width][channels], as they are, grey, or of another size (means of areas)."""

    def __init__(self, space, grey, size):
        self.space_shape, self.dtype, self.note = space.shape, space.dtype, None
        shape = space.shape + (1,) * (3 - len(space.shape))
        self.first = len(space.shape) == 3 and shape[0] <= 4 < shape[2]  # channels, as stacks have them
        height, width, channels = (shape[1], shape[2], shape[0]) if self.first else shape
        if grey and channels != 3:
            raise Refusal(f"grey: the image has {channels} channels, not 3")
        self.grey = grey
        self.rows = size and overlaps(height, size[0])
        self.columns = size and overlaps(width, size[1])
        self.area = height * width
        if size:
            height, width = size
        self.shape = (height, width, 1 if grey else channels)
        self.maximum = 1 if space.high.max() <= 1 and not grey and not size else 255
        if min(self.shape) < 1 or max(self.shape) > MOST_SIDE or height * width * self.shape[2] > 1 << 22:
            raise Refusal(f"images of {space.shape}: sides of 1 to {MOST_SIDE} are possible (set size=HxW)")

    def write(self, observation, out):
        image = check(observation, self.space_shape, self.dtype)
        if image.ndim == 2:
            image = image[:, :, None]
        if self.first:
            image = numpy.moveaxis(image, 0, 2)
        if self.grey:  # ITU-R BT.601, rounded
            image = ((image @ numpy.array((299, 587, 114)) + 500) // 1000)[:, :, None]
        if self.rows is not None:  # products of whole numbers, exact in doubles
            sums = numpy.stack([self.rows @ image[:, :, c].astype(float) @ self.columns.T
                                for c in range(image.shape[2])], 2).astype(numpy.int64)
            image = (2 * sums + self.area) // (2 * self.area)
        out[...] = image


def overlaps(source, target):
    """[target][source]: how much of each source pixel lies in each target pixel; rows sum to source."""
    low = numpy.arange(target)[:, None] * source, numpy.arange(source)[None, :] * target
    both = numpy.minimum(low[0] + source, low[1] + target) - numpy.maximum(*low)
    return numpy.maximum(both, 0).astype(float)


def check(observation, shape, dtype, where="an observation"):
    if type(observation) is numpy.ndarray and observation.shape == shape and observation.dtype == dtype:
        return observation
    values = numpy.asarray(observation)
    if values.shape == shape and values.dtype == dtype:
        return values
    raise Misbehaviour(f"{where} is {values.dtype} {values.shape}, its space says {dtype} {shape}")


def read_observations(space, settings):
    key = settings.get("observe")
    if key is not None:
        if not isinstance(space, gymnasium.spaces.Dict) or key not in space.spaces:
            raise Refusal(f"observe={key}: its observations are {one_line(space)[:300]}")
        reader = read_observations(space[key], {k: v for k, v in settings.items() if k != "observe"})
        reader.picked = key
        return reader
    spaces = gymnasium.spaces
    box = isinstance(space, spaces.Box)
    grey, size = settings.get("grey", False), settings.get("size")
    if box and space.dtype == numpy.uint8 and len(space.shape) in (2, 3):
        reader = Image(space, grey, size)
    elif grey or size:
        raise Refusal(f"grey and size are of images; its observations are {one_line(space)[:300]}")
    elif box and space.dtype.kind in "iub" and space.low.min() >= 0 and space.high.max() <= 1:
        reader = Bits(space)
    elif box and space.dtype == numpy.uint8:
        reader = Bytes(space)
    elif box:
        reader = Floats(space)
    elif isinstance(space, (spaces.Discrete, spaces.MultiBinary)):
        reader = Bits(space)
    elif isinstance(space, (spaces.Dict, spaces.Tuple, spaces.MultiDiscrete)):
        reader = Flat(space)
    else:
        raise Refusal(f"its observations are {one_line(space)[:300]}; possible are Box, Discrete, "
                      "MultiBinary, MultiDiscrete, Dict and Tuple")
    reader.picked = None
    return reader


class Bytes(Vector):
    """A row of bytes, such as a machine's memory."""

    def __init__(self, space):
        super().__init__(int(numpy.prod(space.shape)), 255)
        self.space_shape, self.dtype = space.shape, space.dtype

    def write(self, observation, out):
        out[0, 0] = check(observation, self.space_shape, self.dtype).reshape(-1)


# ----------------------------------------------------------------------------------- actions


def read_actions(space):
    """What each action index is to the environment."""
    spaces = gymnasium.spaces
    if isinstance(space, spaces.Discrete):
        count = int(space.n)
    elif isinstance(space, spaces.MultiDiscrete):
        count = int(numpy.prod(space.nvec.astype(float)))
    else:
        raise Refusal(f"its actions are {one_line(space)[:300]}; possible are Discrete and MultiDiscrete: "
                      "a deep Q-network has an output for each action")
    if not 1 <= count <= MOST_ACTIONS:
        raise Refusal(f"it has {count} actions; 1 to {MOST_ACTIONS} are possible")
    if isinstance(space, spaces.Discrete):
        return [space.dtype.type(int(space.start) + i) for i in range(count)]
    start = getattr(space, "start", 0)
    values = numpy.stack(numpy.unravel_index(numpy.arange(count), space.nvec.reshape(-1)), 1)
    return [(v.reshape(space.nvec.shape) + start).astype(space.dtype) for v in values]


def name_actions(env, count, given):
    """Names of a-z, 0-9 and _: those given, those of get_action_meanings, else action_N."""
    names = given
    if names is None:
        meanings = getattr(env.unwrapped, "get_action_meanings", None)
        names = list(meanings()) if callable(meanings) else []
        names = ["".join(c if c.isascii() and c.isalnum() else "_" for c in str(n).lower())[:23]
                 for n in names]
        sound = len(names) == count and len(set(names)) == count and all(n and n[0].isalpha() for n in names)
        names = names if sound else [f"action_{i}" for i in range(count)]
    if len(names) != count:
        raise Refusal(f"actions: {len(names)} names for {count} actions")
    return names


# -------------------------------------------------------------------------------- the worker


def find_spec(module, name):
    """Of an environment whose package has been imported, or is called as its name begins:
    MiniGrid-Empty-8x8-v0 is registered by minigrid."""
    if module:
        importlib.import_module(module)
    try:
        return gymnasium.spec(name)
    except gymnasium.error.UnregisteredEnv:
        word = re.match("[A-Za-z]*", name)[0].lower()
        package = {"ale": "ale_py", "babyai": "minigrid"}.get(word, word)
        if module or not package or not importlib.util.find_spec(package):
            raise
    importlib.import_module(package)
    return gymnasium.spec(name)


def takes(creator, name):
    """Whether an environment can be made with this argument; also where nobody can tell."""
    try:
        parameters = inspect.signature(creator).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.name == name or p.kind == p.VAR_KEYWORD for p in parameters)


class Worker:
    def __init__(self, control, memory):
        self.control, self.memory = control, memory
        self.map, self.out, self.env = None, None, None

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = os.read(self.control, size - len(data))
            if not piece:
                sys.exit(0)  # qgraft has ended
            data += piece
        return data

    def make(self, length):
        wanted = json.loads(self.read(length))
        self.close()
        settings, arguments = wanted["settings"], dict(wanted["arguments"])
        module, _, name = wanted["id"].rpartition(":")
        spec = find_spec(module, name)
        creator = spec.entry_point
        if isinstance(creator, str):
            creator = gymnasium.envs.registration.load_env_creator(creator)
        if "rgb_array" in ((getattr(creator, "metadata", None) or {}).get("render_modes") or []):
            arguments.setdefault("render_mode", "rgb_array")
        if not takes(creator, "render_mode") and arguments.get("render_mode") in (None, "rgb_array"):
            arguments.pop("render_mode", None)
        self.env = env = gymnasium.make(name, disable_env_checker=True, **arguments)
        self.reader = read_observations(env.observation_space, settings)
        self.actions = read_actions(env.action_space)
        shape, maximum = self.reader.shape, self.reader.maximum
        self.form = (shape, numpy.dtype(numpy.uint8 if maximum else numpy.float32))
        self.unmap()
        return {
            "shape": shape,
            "max": maximum,
            "actions": name_actions(env, len(self.actions), wanted["settings"].get("actions")),
            "picture": arguments.get("render_mode") == "rgb_array",
            "fps": float((env.metadata or {}).get("render_fps") or 30),
            "note": self.reader.note or "",
        }

    def unmap(self):
        self.out = None
        if self.map:
            self.map.close()
        self.map = None

    def observe(self, observation):
        if self.out is None:
            shape, dtype = self.form
            size = int(numpy.prod(shape)) * dtype.itemsize
            self.map = mmap.mmap(self.memory, size)
            self.out = numpy.frombuffer(self.map, dtype, size // dtype.itemsize).reshape(shape)
        if self.reader.picked is not None:
            observation = observation[self.reader.picked]
        self.reader.write(observation, self.out)

    def reset(self, seed):
        random.seed(seed)
        numpy.random.seed(seed)
        self.env.action_space.seed(seed)
        result = self.env.reset(seed=seed)
        if type(result) is not tuple or len(result) != 2 or not isinstance(result[1], dict):
            raise Misbehaviour("reset() gave no pair of an observation and a dict, as Gymnasium's does")
        self.observe(result[0])

    def step(self, action):
        action = self.actions[action]
        action = action.copy()
        begin = time.perf_counter_ns()
        result = self.env.step(action)
        took = time.perf_counter_ns() - begin
        if type(result) is not tuple or len(result) != 5:
            count = len(result) if isinstance(result, (tuple, list)) else "no"
            raise Misbehaviour(f"step() gave {count} values; Gymnasium's gives five: observation, reward, "
                               "terminated, truncated, info")
        observation, reward, terminated, truncated, info = result
        if truncated and ("final_obs" in info or "final_observation" in info):
            raise Misbehaviour("the environment resets itself at an episode's end: make it without autoreset")
        self.observe(observation)
        flags = (END if terminated else 0) | (TRUNCATED if truncated else 0)
        return float(reward), flags, min(took, 0xFFFFFFFF)

    def picture(self):
        """u8 [height][width][3] behind the observation; the text says the size."""
        image = numpy.asarray(self.env.render())
        if image.dtype != numpy.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise Misbehaviour(f"render() gave {image.dtype} {image.shape}, no rgb_array")
        if not 1 <= min(image.shape) or max(image.shape) > 4096:
            raise Misbehaviour(f"render() gave {image.shape[:2]} pixels; sides of 1 to 4096 are possible")
        begin = -(-int(numpy.prod(self.form[0])) * self.form[1].itemsize // 4096) * 4096
        os.ftruncate(self.memory, max(os.fstat(self.memory).st_size, begin + image.size))
        with mmap.mmap(self.memory, image.size, offset=begin) as part:
            part[:] = image.tobytes()
        return {"height": image.shape[0], "width": image.shape[1]}

    def close(self):
        env, self.env = self.env, None
        if env is not None:
            env.close()

    def answer(self, what, argument):
        if what == STEP:
            return self.step(argument), None
        if what == RESET:
            return NO_STEP, self.reset(argument)
        if what == MAKE:
            return NO_STEP, self.make(argument)
        if what == PICTURE:
            return NO_STEP, self.picture()
        return NO_STEP, self.close()

    def reply(self, status, brought, text):
        data = REPLY.pack(status, len(text), *brought) + text
        while data:
            data = data[os.write(self.control, data):]

    def leave(self):
        """In a child, whose own children have nothing to close."""
        if self.control >= 0:
            os.close(self.control)
            self.control = -1

    def serve(self):
        while True:
            what, argument = REQUEST.unpack(self.read(REQUEST.size))
            try:
                brought, told = self.answer(what, argument)
                self.reply(OK, brought, json.dumps(told).encode() if told else b"")
            except BaseException as error:
                text = describe_error(error)[:MOST_TEXT].encode("utf-8", "replace")
                self.reply(REFUSED if what == MAKE else FAILED, NO_STEP, text)


def main():
    worker = Worker(int(sys.argv[1]), int(sys.argv[2]))
    for descriptor in worker.control, worker.memory:
        os.set_inheritable(descriptor, False)  # what the environment starts has no part in them
    # Nor what it forks, or our end would stay open when this process has died; and processes that
    # multiprocessing starts anew look for no main module, which is a file of ours alone.
    os.register_at_fork(after_in_child=worker.leave)
    del sys.modules["__main__"].__file__
    sys.path[0] = os.getcwd()
    try:
        global gymnasium, numpy
        import gymnasium
        import numpy
    except Exception as error:
        what, length = REQUEST.unpack(worker.read(REQUEST.size))
        worker.read(length)
        text = (f"{sys.executable} cannot import gymnasium: {describe_error(error)} (install it for this "
                "Python, or name another by QGRAFT_PYTHON)")
        worker.reply(FAILED, NO_STEP, text.encode())
        sys.exit(0)
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    worker.serve()


if __name__ == "__main__":
    main()
