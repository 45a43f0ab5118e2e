"""The C library: its functions, and its errors as exceptions.

`ffi` knows every public type and function (from the headers, see make_interface.py), `lib` calls
them. cffi releases the GIL in every call.
"""

import contextlib
import ctypes
import locale
import os
import pathlib
import re
import signal
import sys
import threading

from ._interface import ffi

_PATH = pathlib.Path(__file__).with_name("libqgraft.so")


class Error(Exception):
    """A failure, in one line: what, where, how to mend it. A word in backquotes in it is the name of
    a parameter or a function."""


class UsageError(Error, ValueError):
    """A setting, a name or an argument that the caller can correct."""


class DataError(Error, ValueError):
    """A file whose content is not what it should be."""


class FileError(Error, OSError):
    """The operating system refused: open, read, write, map."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class BusyError(Error):
    """Another process holds the folder."""


class Stopped(Error):
    """It was asked to stop, and has ended in order."""


def _open():
    try:
        return ffi.dlopen(str(_PATH))
    except OSError as error:
        raise ImportError(f"qgraft's library cannot be loaded: {error}") from None


# Games of Gymnasium are played in this Python, unless another is named.
os.environ.setdefault("QGRAFT_PYTHON", sys.executable)
lib = _open()

_ERRORS = {
    lib.QG_ERROR_USAGE: UsageError,
    lib.QG_ERROR_DATA: DataError,
    lib.QG_ERROR_IO: FileError,
    lib.QG_ERROR_MEMORY: OutOfMemoryError,
    lib.QG_ERROR_BUSY: BusyError,
    lib.QG_STOPPED: Stopped,
}


# What the library calls otherwise than the package.
_WORDS = {"folder": "`out`", "run": "`run_study`", "games": "'python -m qgraft games'",
          "import": "'python -m qgraft import'", "replay": "'python -m qgraft replay'"}


def message_of(pointer):
    """A message of the library, with the package's names in it."""
    return re.sub("`([a-z]+)`", lambda m: _WORDS.get(m[1], m[0]), text(pointer))


def error_of(status, error):
    """The exception of a status that is not QG_OK."""
    return _ERRORS[status](message_of(error.message) or "stopped")


_libc = ctypes.CDLL(None)
for _name, _result, _parameters in (
        ("nl_langinfo", ctypes.c_char_p, [ctypes.c_int]),
        ("uselocale", ctypes.c_void_p, [ctypes.c_void_p]),
        ("duplocale", ctypes.c_void_p, [ctypes.c_void_p]),
        ("newlocale", ctypes.c_void_p, [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]),
        ("freelocale", None, [ctypes.c_void_p])):
    getattr(_libc, _name).restype, getattr(_libc, _name).argtypes = _result, _parameters


def with_points(function, *arguments):
    """Calls a function that reads or writes numbers, whose decimal point is one: toolkits of windows
    set the whole process to the user's language, where it may be a comma."""
    if _libc.nl_langinfo(locale.RADIXCHAR) == b".":
        return function(*arguments)
    ours = _libc.newlocale(1 << locale.LC_NUMERIC, b"C", _libc.duplocale(_libc.uselocale(None)))
    if not ours:
        raise OutOfMemoryError("not enough memory for a locale")
    theirs = _libc.uselocale(ours)  # of this thread alone, callbacks included
    try:
        return function(*arguments)
    finally:
        _libc.uselocale(theirs)
        _libc.freelocale(ours)


def call(function, *arguments):
    """Calls a function whose last parameter is a qg_error."""
    error = ffi.new("qg_error *")
    status = with_points(function, *arguments, error)
    if status:
        raise error_of(status, error)


def text(pointer):
    """A C string as str; NULL is None."""
    return ffi.string(pointer).decode(errors="replace") if pointer else None


def path_bytes(path, name="a name"):
    """A path, or another string, for C; `name` is the parameter's."""
    try:
        encoded = os.fsencode(path)
    except TypeError:
        raise UsageError(f"{name}: a text or a path is expected, not {type(path).__name__}") from None
    except UnicodeEncodeError:
        raise UsageError(f"{name}: {path!a} is no text that can be written") from None
    if b"\0" in encoded:
        raise UsageError(f"{name}: {os.fsdecode(encoded)!r} has a NUL byte in it")
    return encoded


def version():
    """qgraft's version."""
    import importlib.metadata

    return importlib.metadata.version("qgraft")


class Watch:
    """What a long call is watched by: its callbacks, and the flag that ends it.

    An exception in a callback sets the flag, and so does Ctrl-C; the call then ends in order, and `run`
    raises the exception, or KeyboardInterrupt.
    """

    def __init__(self):
        self.stop = ffi.new("sig_atomic_t *")
        self._raised = None
        self._keep = []

    def callback(self, signature, function, failed=None):
        """`failed`: what C gets where `function` has raised."""
        made = ffi.callback(signature, function, error=failed, onerror=self._note)
        self._keep.append(made)
        return made

    def _note(self, kind, exception, traceback):
        if self._raised is None:
            self._raised = exception.with_traceback(traceback)
        self.stop[0] = self.stop[0] or 1  # whoever raises again has no less patience; Ctrl-C has

    def _interrupt(self, number, frame):
        self._raised = self._raised or KeyboardInterrupt()
        self.stop[0] += 1

    @contextlib.contextmanager
    def _interruptible(self):
        """Ctrl-C raises nothing between the callbacks' lines, where it could be lost. A handler of the
        user's own stays, and other threads are never interrupted."""
        before = (signal.getsignal(signal.SIGINT)
                  if threading.current_thread() is threading.main_thread() else None)
        if before is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def run(self, function, *arguments):
        error = ffi.new("qg_error *")
        with self._interruptible():
            status = with_points(function, *arguments, error)
        if self._raised is not None:
            raise self._raised
        if status:
            raise error_of(status, error)
