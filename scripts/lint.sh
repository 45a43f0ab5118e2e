#!/bin/bash
# Looks, includes and static analysis of all C files and scripts: lint.sh BUILD_FOLDER (for its
# compile_commands.json). Runs every check, then fails if one did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
build=$1
failed=()

check() { # NAME COMMAND...
    echo "lint: $1"
    "${@:2}" || failed+=("$1")
}

mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.c' '*.h')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
((${#sources[@]} > 0)) || { echo "lint: git lists no files here" >&2; exit 1; }
# What the build compiles; kernels are compiled once per instruction set and analysed once.
mapfile -t compiled < <(git ls-files --cached --others --exclude-standard 'src/*.c' |
    while read -r file; do grep -q "/$file\"" "$build/compile_commands.json" && echo "$file"; done)

# Clang does not know all that GCC is told.
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT
sed 's/ -fcse-follow-jumps//' "$build/compile_commands.json" >"$commands/compile_commands.json"

tidy() {
    printf '%s\n' "${compiled[@]}" |
        xargs -P "$(nproc)" -n 4 clang-tidy -p "$commands" --quiet \
            --extra-arg=-Wno-ignored-optimization-argument 2> >(grep -v 'warnings\? generated' >&2)
}

cpp() {
    # Not analysed: unused functions, since each room is checked on its own.
    cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -j "$(nproc)" \
        -I include -I src -I "$build/src" --enable=warning,performance,portability --suppress=missingIncludeSystem \
        --suppress=normalCheckLevelMaxBranches -D__linux__ src include
}

check clang-format clang-format --dry-run -Werror "${sources[@]}"
check includes tests/check-includes.sh
check shellcheck shellcheck "${scripts[@]}"
check cppcheck cpp
check clang-tidy tidy

if ((${#failed[@]} > 0)); then
    echo "lint: failed: ${failed[*]}" >&2
    exit 1
fi
echo "lint: all clean (${#sources[@]} C files, ${#scripts[@]} scripts)"
