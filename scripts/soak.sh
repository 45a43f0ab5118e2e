#!/bin/bash
# Kills runs at random moments for a while, resumes them and compares every file with runs that
# nobody killed: soak.sh BUILD_FOLDER PYTHON [SECONDS [SEED]]; the table counts the kills. Then lets
# the calls of the commands fail one after the other, makes all golden runs, plays every Atari game
# against ale-py and from saved games, goes through the tutorial in a fresh clone, lets the kernels
# sum as much as in training, runs them and the engines with every instruction set under the address
# sanitizer, and looks for leaks.
set -euo pipefail
cd "$(dirname "$0")/.."
export QGRAFT=$PWD/$1/src/cli/qgraft
nice "$2" tests/python/killing.py "${3:-600}" "${4:-1}"
QGRAFT_FAULTS=all nice "$2" -m pytest -q -s tests/python/test_faults.py
QGRAFT_GOLDEN=all nice "$2" -m pytest -q tests/python/test_golden.py
QGRAFT_TEST_ALL_GAMES=1 nice "$2" -m pytest -q tests/python/test_atari.py tests/python/test_saved_games.py
QGRAFT_TUTORIAL=all nice "$2" -m pytest -q tests/python/test_tutorial.py
export QGRAFT_THOROUGH=1
nice "$1/tests/test_kernels"
nice "$1/tests/test_replay"
watched=$(dirname "$1")/asan-all
[[ -f $watched/build.ninja ]] ||
    meson setup "$watched" --buildtype=debugoptimized -Doptimization=1 -Dwatch_all=true \
        "-Dc_args=-fno-sanitize-recover=all -g1" -Db_sanitize=address,undefined
for test in kernels engine bf16; do
    nice ninja -C "$watched" --quiet "tests/test_$test"
    nice "$watched/tests/test_$test"
done
nice scripts/valgrind.sh "$1"
