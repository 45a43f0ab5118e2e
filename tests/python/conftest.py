"""What all tests have: pictures of pixels are drafts, but where a test looks at them; the longest files
come first."""

import contextlib
import os
from pathlib import Path

DRAFTS = f"{Path(__file__).resolve().parents[1]}/tools/drafts:"
if not os.environ["PATH"].startswith(DRAFTS):  # as it does in the processes that pytest-xdist starts
    os.environ["PATH"] = DRAFTS + os.environ["PATH"]

# So that none of them begins when the others are done (pytest-xdist, --no-loadscope-reorder).
LONGEST = ["report", "hostile", "study_run", "resume", "atari", "golden", "replay", "similarity", "faults",
           "games", "distill", "train", "statistics", "cli", "submit"]


def pytest_collection_modifyitems(items):
    files = [f"test_{name}" for name in LONGEST]
    items.sort(key=lambda item: files.index(item.path.stem) if item.path.stem in files else len(files))


@contextlib.contextmanager
def pixels():
    """gnuplot draws them."""
    path = os.environ["PATH"]
    os.environ["PATH"] = path.removeprefix(DRAFTS)
    try:
        yield
    finally:
        os.environ["PATH"] = path
