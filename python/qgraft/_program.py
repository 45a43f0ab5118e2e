"""The program `qgraft` that lies in the package: what the console script runs."""

import os
import pathlib
import sys

PROGRAM = pathlib.Path(__file__).parent / "bin" / "qgraft"


def main():
    """Becomes the program. It plays Gymnasium's environments in this Python, unless told another."""
    os.environ.setdefault("QGRAFT_PYTHON", sys.executable)
    os.execv(PROGRAM, ["qgraft", *sys.argv[1:]])
