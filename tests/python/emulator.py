"""libqgraft_ale.so from Python: its table of functions (src/domain/atari/shim/ale_shim.h) by ctypes, for
comparisons with ale-py. As a program it plays a game in a process of its own:

    emulator.py LIBRARY ROM SEED FRAMES     prints the checksum of all that was seen
"""

import ctypes
import sys
import zlib

import numpy as np

DEFAULT = -1


class Start(ctypes.Structure):
    _fields_ = [("seed", ctypes.c_uint32), ("mode", ctypes.c_int), ("difficulty", ctypes.c_int)]


class Facts(ctypes.Structure):
    _fields_ = [("height", ctypes.c_int), ("width", ctypes.c_int)] + [
        field
        for name in ("modes", "difficulties", "minimal", "legal")
        for field in ((name, ctypes.POINTER(ctypes.c_int)), (name + "_count", ctypes.c_int))
    ] + [("palette", ctypes.POINTER(ctypes.c_uint8))]


class Frame(ctypes.Structure):
    _fields_ = [("reward", ctypes.c_int), ("lives", ctypes.c_int), ("over", ctypes.c_bool),
                ("episode_frames", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]


def function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


MACHINE, ERROR = ctypes.c_void_p, ctypes.POINTER(Error)
BYTES = ctypes.POINTER(ctypes.c_uint8)


class Table(ctypes.Structure):
    _fields_ = [
        ("interface", ctypes.c_int),
        ("version", ctypes.c_char_p),
        ("create", function(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(Start),
                            ctypes.POINTER(MACHINE), ERROR)),
        ("destroy", function(None, MACHINE)),
        ("facts", function(ctypes.POINTER(Facts), MACHINE)),
        ("restart", function(ctypes.c_int, MACHINE, ctypes.c_uint32, ERROR)),
        ("reset", function(ctypes.c_int, MACHINE, ERROR)),
        ("act", function(ctypes.c_int, MACHINE, ctypes.c_int, ctypes.POINTER(Frame), ERROR)),
        ("look", function(None, MACHINE, ctypes.POINTER(Frame))),
        ("screen", function(BYTES, MACHINE)),
        ("ram", function(BYTES, MACHINE)),
        ("poke", function(ctypes.c_int, MACHINE, ctypes.c_size_t, ctypes.c_uint8, ERROR)),
    ]


class Refused(Exception):
    pass


class Emulator:
    """One machine; raises Refused with the library's words."""

    def __init__(self, library, rom, seed=1, mode=DEFAULT, difficulty=DEFAULT):
        opened = ctypes.CDLL(str(library))
        opened.qg_ale_table.restype = ctypes.POINTER(Table)
        self.table = opened.qg_ale_table().contents
        self.error, self.frame, self.machine = Error(), Frame(), MACHINE()
        self.check(self.table.create(str(rom).encode(), Start(seed, mode, difficulty),
                                     self.machine, self.error))
        facts = self.table.facts(self.machine).contents
        self.size = (facts.height, facts.width)
        for name in ("modes", "difficulties", "minimal", "legal"):
            setattr(self, name, getattr(facts, name)[: getattr(facts, name + "_count")])
        self.palette = np.ctypeslib.as_array(facts.palette, (256, 3))
        self.look()

    def check(self, status):
        if status:
            raise Refused(self.error.message.decode())

    def look(self):
        self.table.look(self.machine, self.frame)

    def act(self, action):
        self.check(self.table.act(self.machine, action, self.frame, self.error))
        return self.frame.reward

    def reset(self):
        self.check(self.table.reset(self.machine, self.error))

    def restart(self, seed):
        self.check(self.table.restart(self.machine, seed, self.error))

    def screen(self):
        return ctypes.string_at(self.table.screen(self.machine), self.size[0] * self.size[1])

    def ram(self):
        return ctypes.string_at(self.table.ram(self.machine), 128)

    def close(self):
        self.table.destroy(self.machine)


def play(emulator, actions):
    """The checksum of all that was seen; a game that ends is followed by the next one."""
    seen = 0
    for action in actions:
        reward = emulator.act(action)
        frame = emulator.frame
        seen = zlib.crc32(emulator.screen(), zlib.crc32(emulator.ram(), seen))
        seen = zlib.crc32(repr((reward, frame.lives, frame.over)).encode(), seen)
        if frame.over:
            emulator.reset()
    return seen


def draw_actions(seed, frames):
    """Of all eighteen, each for four frames."""
    return np.random.RandomState(seed).randint(18, size=(frames + 3) // 4).repeat(4)[:frames].tolist()


if __name__ == "__main__":
    machine = Emulator(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(play(machine, draw_actions(1, int(sys.argv[4]))))
