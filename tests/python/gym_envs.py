"""Environments for test_gym.py, registered when the worker imports this module."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import gymnasium
import numpy as np
from gymnasium import spaces

SPACES = {
    "float": (spaces.Box(-1, 1, (3,), np.float32), lambda r: r.uniform(-1, 1, 3).astype(np.float32)),
    "double": (spaces.Box(-1, 1, (2, 2), np.float64), lambda r: r.uniform(-1, 1, (2, 2))),
    "whole": (spaces.Box(0, 1 << 30, (2,), np.int64), lambda r: r.integers(0, 1 << 24, 2)),
    "toowhole": (spaces.Box(0, 1 << 30, (2,), np.int64), lambda r: np.array([1, (1 << 24) + 1])),
    "bytes": (spaces.Box(0, 255, (128,), np.uint8), lambda r: r.integers(0, 256, 128, np.uint8)),
    "image": (spaces.Box(0, 255, (20, 30, 3), np.uint8), lambda r: r.integers(0, 256, (20, 30, 3), np.uint8)),
    "flatimage": (spaces.Box(0, 255, (40, 40), np.uint8), lambda r: r.integers(0, 256, (40, 40), np.uint8)),
    "stack": (spaces.Box(0, 255, (4, 36, 36), np.uint8), lambda r: r.integers(0, 256, (4, 36, 36), np.uint8)),
    "bitimage": (spaces.Box(0, 1, (8, 8, 2), np.uint8), lambda r: r.integers(0, 2, (8, 8, 2), np.uint8)),
    "one": (spaces.Discrete(5, start=-2), lambda r: np.int64(r.integers(-2, 3))),
    "bits": (spaces.MultiBinary(6), lambda r: r.integers(0, 2, 6, np.int8)),
    "dict": (spaces.Dict(a=spaces.Box(0, 1, (2,), np.float32), b=spaces.Discrete(3)),
             lambda r: {"a": r.random(2, np.float32), "b": np.int64(r.integers(3))}),
    "tuple": (spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(2))),
              lambda r: (np.int64(r.integers(2)), r.integers(0, 2, 2, np.int8))),
    "graph": (spaces.Graph(spaces.Box(0, 1, (2,)), None), lambda r: None),
    "sequence": (spaces.Sequence(spaces.Discrete(2)), lambda r: ()),
    "huge": (spaces.Box(0, 1, (100, 100), np.float32), lambda r: np.zeros((100, 100), np.float32)),
}
ACTIONS = {
    "two": spaces.Discrete(2),
    "start": spaces.Discrete(3, start=5),
    "multi": spaces.MultiDiscrete([3, 4]),
    "many": spaces.MultiDiscrete([16, 17]),
    "most": spaces.Discrete(256),
    "box": spaces.Box(-1, 1, (1,)),
}


def log(**told):
    if "GYM_LOG" in os.environ:
        with open(os.environ["GYM_LOG"], "a") as file:
            file.write(json.dumps(told) + "\n")


class Odd(gymnasium.Env):
    """Draws observations of a space from its episode's generator; `trouble` comes at step `at`."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}

    def __init__(self, space="float", actions="two", trouble="", at=7, length=20, render_mode=None):
        self.observation_space, self.draw = SPACES[space]
        self.action_space = ACTIONS[actions]
        self.trouble, self.at, self.length, self.render_mode = trouble, at, length, render_mode
        if trouble == "meanings":
            self.get_action_meanings = lambda: ["NOOP", "Go On"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        log(seed=seed, pid=os.getpid())
        self.count = 0
        if self.trouble == "chance":
            self.np_random = np.random.default_rng()
        self.last = self.draw(self.np_random)
        self.resets = getattr(self, "resets", 0) + 1
        if self.trouble == "reset" and self.resets == 2:
            raise RuntimeError("no more")
        return self.last, {}

    def step(self, action):
        log(action=np.asarray(action).tolist())
        self.count += 1
        self.last = self.draw(self.np_random)
        result = [self.last, float(self.count % 3), False, self.count >= self.length, {}]
        if self.trouble == "hash":
            result[1] = float(hash("wheel") % 1000)
        trouble = self.trouble if self.count == self.at else ""
        if self.trouble == "once" and os.path.exists(os.environ.get("GYM_ONCE", "")):
            os.remove(os.environ["GYM_ONCE"])
            raise ValueError("not again")
        if trouble == "raise":
            raise ValueError("the `wheel`\nfell off")
        if trouble == "long":
            raise ValueError("wheel " * 1000)
        if trouble == "orphan":
            if os.fork() == 0:
                time.sleep(1000)
            os.kill(os.getpid(), 9)
        if trouble == "spawn":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                result[1] = float(pool.apply(abs, (-70,)))
        if trouble == "nap":
            log(nap=os.getpid())
            time.sleep(3)
        if trouble == "exit":
            print("about to leave", file=sys.stderr)
            sys.stderr.flush()
            os._exit(7)
        if trouble == "systemexit":
            sys.exit(3)
        if trouble == "crash":
            os.kill(os.getpid(), 11)
        if trouble == "child":
            log(child=subprocess.Popen(["sleep", "1000"]).pid)
        if trouble == "deaf":
            os.close(1)
            os.close(2)
        while trouble == "babble":
            print("still here", flush=True)
            time.sleep(0.001)
        if trouble in ("hang", "child", "deaf"):
            time.sleep(1000)
        if trouble == "nan":
            result[0] = self.last * np.float32("nan")
        if trouble == "inf":
            result[0] = np.full(self.last.shape, 1e300)
        if trouble == "reward":
            result[1] = float("nan")
        if trouble == "type":
            result[0] = self.last.astype(np.float64)
        if trouble == "shape":
            result[0] = np.append(self.last, self.last)
        if trouble == "four":
            return tuple(result[:3]) + ({},)
        if trouble == "autoreset":
            result[3:] = True, {"final_obs": self.last}
        if trouble == "terminated":
            result[2] = True
        if self.trouble == "print":
            print("x" * 50000)
        if self.trouble == "middle" and self.count % 5 == 0:
            result[0], result[2] = self.reset()[0], True
        return tuple(result)

    def render(self):
        if self.trouble == "render" or self.trouble == "lastrender" and self.count == self.at:
            raise RuntimeError("no screen")
        height = 96 if self.trouble == "grow" and self.count >= self.at else 48
        width = 128 if self.trouble == "wide" else 64
        return np.full((height, width, 3), (self.count * 10, 255, 0), np.uint8)


class Plain(Odd):
    """Lists a render mode, and takes none."""

    def __init__(self, length=20):
        super().__init__(length=length)


class Broken(gymnasium.Env):
    def __init__(self):
        raise OSError("no such robot")


gymnasium.register("Odd-v0", Odd)
gymnasium.register("Plain-v0", Plain)
gymnasium.register("Broken-v0", Broken)
