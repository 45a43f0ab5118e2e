#!/bin/sh
# Package:   safetensors 0.8.0 (Python, numpy 2.4.6, ml_dtypes 0.6.0)
# Behaviour: safetensors.numpy.save takes arrays of bfloat16 (ml_dtypes'), and load of the bytes that it
#            made raises KeyError: 'BF16'. The same bytes as a file come back right: by load_file, and by
#            safe_open.
# Seen:      float16: load right, load_file right
#            bfloat16: load KeyError: 'BF16', load_file right
#            safe_open: bfloat16
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import os
import sys

import ml_dtypes
import numpy
import safetensors
from safetensors.numpy import load, load_file, save

path = os.path.join(sys.argv[1], "a.safetensors")


def tried(read, source, array):
    try:
        got = read(source)["a"]
        return "right" if got.dtype == array.dtype and (got == array).all() else "wrong"
    except KeyError as error:
        return f"KeyError: {error}"


for name, kind in (("float16", numpy.float16), ("bfloat16", ml_dtypes.bfloat16)):
    array = numpy.array([[1, 2, 3], [4, 5, 6]], kind)
    saved = save({"a": array})
    with open(path, "wb") as file:
        file.write(saved)
    print(f"{name}: load {tried(load, saved, array)}, load_file {tried(load_file, path, array)}")
with safetensors.safe_open(path, "numpy") as file:
    print("safe_open:", file.get_tensor("a").dtype)
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0
"$work/venv/bin/python" "$work/look.py" "$work" | tee "$work/seen"

cat > "$work/expected" << 'END'
float16: load right, load_file right
bfloat16: load KeyError: 'BF16', load_file right
safe_open: bfloat16
END
if cmp -s "$work/seen" "$work/expected"; then
    echo 'as before: what save makes of bfloat16, load cannot read'
else
    echo 'changed: not what was seen before' >&2
    exit 1
fi
