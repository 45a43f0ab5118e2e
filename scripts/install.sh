#!/bin/bash
# Installs what is built: install.sh BUILD_FOLDER PREFIX (DESTDIR counts, too). The last line says how
# to find the program, if the shell would not.
set -euo pipefail
build=$1
prefix=$(realpath -ms "${2/#\~/$HOME}") # not every shell replaces the ~ of PREFIX=~/.local
[[ -z ${DESTDIR-} ]] || DESTDIR=$(realpath -ms "$DESTDIR")
export DESTDIR=${DESTDIR-}

folder=$DESTDIR$prefix # or the nearest one above it that is there already
until [[ -e $folder ]]; do folder=$(dirname "$folder"); done
if [[ ! -w $folder ]]; then
    echo "install: $folder cannot be written: as root, or 'make install PREFIX=~/.local'" >&2
    exit 1
fi

# The build folder may have been made for another place; only qgraft.pc depends on it.
if ! grep -qxF "prefix=$prefix" "$build/meson-private/qgraft.pc"; then
    meson configure "$build" -Dprefix="$prefix"
    ninja -C "$build" --quiet build.ninja >/dev/null
fi
meson install -C "$build" --no-rebuild --quiet --tags devel,runtime # not the Python package

echo "Installed: $DESTDIR$prefix/bin/qgraft"
if [[ -z $DESTDIR && :$PATH: != *":$prefix/bin:"* ]]; then
    echo "To put it on the PATH: export PATH=\"$prefix/bin:\$PATH\" (and into ~/.profile)"
fi
