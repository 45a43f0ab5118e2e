#!/bin/bash
# Kills runs at random moments for a while, resumes them and compares every file with runs that
# nobody killed: soak.sh BUILD_FOLDER PYTHON [SECONDS [SEED]]; the table counts the kills. Then lets
# the calls of the commands fail one after the other, makes all golden runs, plays every Atari game
# against ale-py and from saved games, goes through the tutorial in a fresh clone, lets the kernels
# sum as much as in training, and looks for leaks.
set -euo pipefail
cd "$(dirname "$0")/.."
export QGRAFT=$PWD/$1/src/cli/qgraft
nice "$2" tests/python/killing.py "${3:-600}" "${4:-1}"
QGRAFT_FAULTS=all nice "$2" -m pytest -q -s tests/python/test_faults.py
QGRAFT_GOLDEN=all nice "$2" -m pytest -q tests/python/test_golden.py
QGRAFT_TEST_ALL_GAMES=1 nice "$2" -m pytest -q tests/python/test_atari.py tests/python/test_saved_games.py
QGRAFT_TUTORIAL=all nice "$2" -m pytest -q tests/python/test_tutorial.py
QGRAFT_KERNELS=all nice "$1/tests/test_kernels"
nice scripts/valgrind.sh "$1"
