#!/bin/sh
# Fetches the Atari 2600 emulator and the ROMs: two wheels from PyPI, pinned by hash, of which only
# the emulator's shared library, the ROMs, their MD5 list and the licences are kept. Python is
# needed here and never again. Does nothing when the folder is complete.
#
# usage: fetch-atari.sh [FOLDER]
#   FOLDER is by default $QGRAFT_ATARI, else ${XDG_DATA_HOME:-~/.local/share}/qgraft/atari: where the
#   program looks.
set -eu

destination=${1:-${QGRAFT_ATARI:-${XDG_DATA_HOME:-$HOME/.local/share}/qgraft/atari}}
python=${PYTHON:-python3}

emulator='multi-agent-ale-py==0.1.12
  --hash=sha256:cad0c5afa4f9ab077556d6e39cc83de9002d3a3024ced806029dc4e17cae21c2'
roms='ale-py==0.12.1
  --hash=sha256:ba7429074ba6ffc1555f9a41bf00bee5d427b5080253101a8fe00412ca481033'
rom_count=108

# The last thing written is the list of what belongs here, with its checksums.
if [ -f "$destination/SHA256SUMS" ] &&
    (cd "$destination" && sha256sum --check --status SHA256SUMS 2> /dev/null); then
    echo "fetch-atari: $destination is complete"
    exit 0
fi

command -v "$python" > /dev/null || { echo "fetch-atari: $python not found" >&2; exit 1; }
mkdir -p "$(dirname "$destination")"
parent=$(cd "$(dirname "$destination")" && pwd)
destination=$parent/$(basename "$destination")
if [ -e "$destination" ] && [ ! -e "$destination/libale_c.so" ] && [ ! -e "$destination/roms" ] &&
    [ -n "$(ls -A "$destination")" ]; then
    echo "fetch-atari: $destination holds other files: name another folder" >&2
    exit 1
fi
work=$(mktemp -d "$parent/.qgraft-atari.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if ! "$python" -m pip --version > /dev/null 2>&1; then
    "$python" -m venv "$work/venv" || {
        echo "fetch-atari: $python has neither pip nor venv: install python3-pip" >&2; exit 1; }
    python=$work/venv/bin/python
fi

# The wheels carry a CPython tag, but nothing that is kept depends on it: the tag is named, so that
# any Python downloads them.
printf '%s\n%s\n' "$emulator" "$roms" | sed -e '/==/s/$/ \\/' > "$work/requirements.txt"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
    --platform manylinux_2_28_x86_64 --dest "$work/wheels" -r "$work/requirements.txt"

for wheel in "$work"/wheels/*.whl; do
    "$python" -m zipfile -e "$wheel" "$work/unpacked"
done
new=$work/new
mkdir -p "$new/roms" "$new/licenses"
mv "$work/unpacked/multi_agent_ale_py/libale_c.so" "$new/"
mv "$work"/unpacked/ale_py/roms/*.bin "$new/roms/"
mv "$work/unpacked/ale_py/roms/md5.json" "$new/"
for info in "$work"/unpacked/*.dist-info; do
    name=$(basename "$info" .dist-info)
    find "$info" -type f -name 'LICENSE*' -exec cp {} "$new/licenses/$name-LICENSE.md" \;
done
count=$(find "$new/roms" -name '*.bin' | wc -l)
if [ "$count" -ne "$rom_count" ]; then
    echo "fetch-atari: $count ROMs in the wheel, $rom_count expected" >&2
    exit 1
fi
(cd "$new" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > "$work/sums" &&
    mv "$work/sums" SHA256SUMS)
chmod 755 "$new"

# Two renames: readers see the old folder, none for an instant, or the whole new one.
[ ! -e "$destination" ] || mv "$destination" "$work/old"
mv "$new" "$destination"
echo "fetch-atari: the emulator and $count ROMs are in $destination"
