"""States of a network: from an array of numpy to the library's list of screens."""

import numpy as np

from ._library import UsageError, ffi


def states_of(array, architecture):
    """A qg_states of uint8 or bool [n, channels, height, width], oldest screen first, and what it
    borrows; channels may be fewer than the network's: the others are zeros. Of networks of vectors
    (input_max 0) float32 [n, channels]."""
    try:
        array, a = np.asarray(array), architecture
    except ValueError:
        raise UsageError("states: they are not of one shape") from None
    vectors = a.input_max == 0
    if vectors and array.ndim == 2:
        array = array[:, :, None, None]
    kinds = (np.float32,) if vectors else (np.uint8, np.bool_)
    fits = (array.ndim == 4 and array.dtype in kinds and len(array) > 0
            and 1 <= array.shape[1] <= a.channels and array.shape[2:] == (a.height, a.width))
    if not fits:
        wanted = (f"float32 [n, {a.channels}]" if vectors
                  else f"uint8 [n, {a.channels}, {a.height}, {a.width}]")
        raise UsageError(f"states are {wanted} for this network, not {array.dtype} "
                         f"{list(array.shape)}")
    if vectors and not np.isfinite(array).all():
        raise UsageError("states: one is not finite")
    array = np.ascontiguousarray(array)
    size, channels = array.shape[:2]
    screens = np.arange(size * channels, dtype=np.uintp) * np.uintp(a.height * a.width * array.itemsize)
    screens += np.uintp(array.ctypes.data)
    pointers = ffi.cast("const uint8_t *const *", screens.ctypes.data)
    states = ffi.new("qg_states *", {"size": size, "parts": channels, "part_channels": 1,
                                     "screens": pointers})
    return states, (array, screens)


def pointer(kind, array):
    """The memory of a contiguous array, "float *" or so; the caller keeps the array."""
    return ffi.cast(kind, array.ctypes.data)
