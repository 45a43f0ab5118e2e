#!/bin/bash
# Kills runs at random moments for a while, resumes them and compares every file with runs that
# nobody killed: soak.sh BUILD_FOLDER PYTHON [SECONDS [SEED]]. The table at the end counts the kills.
set -euo pipefail
cd "$(dirname "$0")/.."
QGRAFT=$PWD/$1/src/cli/qgraft exec nice "$2" tests/python/killing.py "${3:-600}" "${4:-1}"
