#!/bin/sh
# The study of precision, and what it says: run.sh [FOLDER] [SCALE]. Goes on where it was stopped.
# QGRAFT is the program, PYTHON a Python with numpy and scipy. WITH_ATARI=1: two Atari games as well.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-runs-bf16}
for study in study asterix ${WITH_ATARI:+atari}; do
    "${QGRAFT:-qgraft}" run "$here/$study.yaml" --out "$folder/$study" --scale "${2:-1}"
    "${PYTHON:-python3}" "$here/compare.py" "$folder/$study"
done
