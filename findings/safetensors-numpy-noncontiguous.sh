#!/bin/sh
# Package:   safetensors 0.8.0 (Python, numpy 2.4.6); upstream issue 825 of safetensors/safetensors
# Behaviour: safetensors.numpy.save and save_file write the memory of an array that is not
#            C-contiguous as it lies there, without a word: the file has the shape that was asked for
#            and other values. Of views with negative or zero strides it even reads behind the array.
#            0.7.0 writes the right values. (The docstring of both asks for contiguous arrays; the
#            PyTorch side refuses others.)
# Seen:      0.7.0 transposed right, fortran right, every-second right
#            0.8.0 transposed wrong, fortran wrong, every-second wrong
#            0.8.0 transposed: [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]] came back as
#            [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import numpy
import safetensors
from safetensors.numpy import load, save

a = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
views = {
    "transposed": a.T,
    "fortran": numpy.asfortranarray(a),
    "every-second": a[:, ::2],
}
found = []
for name, view in views.items():
    back = load(save({name: view}))[name]
    assert back.shape == view.shape
    found.append(name + (" right" if numpy.array_equal(back, view) else " wrong"))
    whole = load(save({name: numpy.ascontiguousarray(view)}))[name]
    assert numpy.array_equal(whole, view)
print(safetensors.__version__, ", ".join(found))
if found[0].endswith("wrong"):
    print(safetensors.__version__, "transposed:", a.T.tolist(), "came back as",
          load(save({"x": a.T}))["x"].tolist())
END

for version in 0.7.0 0.8.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check \
        "safetensors==$version" numpy==2.4.6
    "$work/$version/bin/python" "$work/look.py"
done | tee "$work/seen"

right='transposed right, fortran right, every-second right'
wrong='transposed wrong, fortran wrong, every-second wrong'
if grep -qx "0.7.0 $right" "$work/seen" && grep -qx "0.8.0 $wrong" "$work/seen"; then
    echo 'as before: 0.8.0 writes other values for arrays that are not contiguous'
else
    echo 'changed: not what was seen before' >&2
    exit 1
fi
