"""What all tests have: pictures of pixels are drafts, but where a test looks at them."""

import contextlib
import os
from pathlib import Path

DRAFTS = f"{Path(__file__).resolve().parents[1]}/tools/drafts:"
if not os.environ["PATH"].startswith(DRAFTS):  # as it does in the processes that pytest-xdist starts
    os.environ["PATH"] = DRAFTS + os.environ["PATH"]


@contextlib.contextmanager
def pixels():
    """gnuplot draws them."""
    path = os.environ["PATH"]
    os.environ["PATH"] = path.removeprefix(DRAFTS)
    try:
        yield
    finally:
        os.environ["PATH"] = path
