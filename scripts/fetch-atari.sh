#!/bin/sh
# Fetches the source of the Arcade Learning Environment (ALE) and its ROMs, one archive from PyPI
# pinned by hash, and builds the emulator of it and of src/domain/atari/shim: two to four minutes
# on two cores. Python is needed for the download alone. Does nothing when the folder is complete
# and the shim still the same.
#
# usage: fetch-atari.sh [FOLDER]
#   FOLDER is by default $QGRAFT_ATARI, else ${XDG_DATA_HOME:-~/.local/share}/qgraft/atari: where the
#   program looks. $CXX names the compiler (g++), $PYTHON the Python (python3).
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
shim=$root/src/domain/atari/shim
destination=${1:-${QGRAFT_ATARI:-${XDG_DATA_HOME:-$HOME/.local/share}/qgraft/atari}}
python=${PYTHON:-python3}
CXX=${CXX:-g++}

version=0.12.1
hash=sha256:c503d574c5983e1063b451201ccb779d935919c0f6bf116fb0f4f8aa4c86d249
rom_count=108

fail() {
    echo "fetch-atari: $*" >&2
    exit 1
}

# What the folder is made of: ALE's archive and our side of the library.
recipe=$({ echo "$hash" && cat "$shim"/* "$root/include/qgraft/error.h"; } | sha256sum)

# The last thing written is the list of what belongs here, with its checksums.
if [ -f "$destination/SHA256SUMS" ] && [ "$(cat "$destination/recipe" 2> /dev/null)" = "$recipe" ] &&
    (cd "$destination" && sha256sum --check --status SHA256SUMS 2> /dev/null); then
    echo "fetch-atari: $destination is complete"
    exit 0
fi

for need in "$python:python3" "$CXX:g++" cc:gcc make:make; do
    command -v "${need%:*}" > /dev/null || fail "${need%:*} not found: install ${need#*:}"
done
case $("$CXX" --version) in
*clang*) fail "$CXX is clang, whose profiles are of another kind: install g++ or set CXX" ;;
esac
mkdir -p "$(dirname "$destination")"
parent=$(cd "$(dirname "$destination")" && pwd)
destination=$parent/$(basename "$destination")
if [ -e "$destination" ] && [ ! -e "$destination/SHA256SUMS" ] && [ ! -e "$destination/roms" ] &&
    [ -n "$(ls -A "$destination")" ]; then
    fail "$destination holds other files: name another folder"
fi
work=$(mktemp -d "$parent/.qgraft-atari.XXXXXX")
links=
trap 'rm -rf "$work" ${links:+"$links"}' EXIT
trap 'exit 1' HUP INT TERM

if ! "$python" -m pip --version > /dev/null 2>&1; then
    "$python" -m venv "$work/venv" ||
        fail "$python has neither pip nor venv: install python3-pip"
    python=$work/venv/bin/python
fi

# Before it hands over a source archive, pip asks the package's build system for its metadata, for
# which it would install that system and 150 MB more. This stands in for it.
mkdir -p "$work/backend/scikit_build_core"
cat > "$work/backend/scikit_build_core/build.py" << EOF
import pathlib

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "ale_py-$version.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: ale-py\\nVersion: $version\\n")
    return info.name
EOF

echo "fetch-atari: the source of ALE $version and $rom_count ROMs (11 MB)"
echo "ale-py==$version --hash=$hash" > "$work/requirements.txt"
PYTHONPATH=$work/backend "$python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --require-hashes --no-build-isolation --no-binary=:all: --dest "$work" -r "$work/requirements.txt"
tar -xzf "$work/ale_py-$version.tar.gz" -C "$work"
source=$work/ale_py-$version

echo "fetch-atari: building with $CXX, two to four minutes on two cores"
links=$(mktemp -d /tmp/qgraft-atari.XXXXXX) # make knows no names with spaces
mkdir "$work/build"
ln -s "$shim" "$links/shim"
ln -s "$source" "$links/source"
ln -s "$work/build" "$links/build"
make --no-print-directory -j"$(nproc)" -f "$links/shim/build.mk" SOURCE="$links/source" \
    WORK="$links/build" CXX="$CXX" || fail "the emulator could not be built"

new=$work/new
mkdir -p "$new/roms" "$new/licenses"
mv "$work/build/libqgraft_ale.so" "$new/"
mv "$source"/src/ale/python/roms/*.bin "$new/roms/"
mv "$source/src/ale/python/roms/md5.json" "$new/"
mv "$source/LICENSE.md" "$new/licenses/ale-py-$version-LICENSE.md"
echo "$recipe" > "$new/recipe"
count=$(find "$new/roms" -name '*.bin' | wc -l)
[ "$count" -eq "$rom_count" ] || fail "$count ROMs in the archive, $rom_count expected"
(cd "$new" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > "$work/sums" &&
    mv "$work/sums" SHA256SUMS)
chmod 755 "$new"

# Two renames: readers see the old folder, none for an instant, or the whole new one.
[ ! -e "$destination" ] || mv "$destination" "$work/old"
mv "$new" "$destination"
echo "fetch-atari: the emulator (ALE $version) and $count ROMs are in $destination"
