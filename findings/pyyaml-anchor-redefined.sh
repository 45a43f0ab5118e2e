#!/bin/sh
# Package:   PyYAML 6.0.3 (Python)
# Behaviour: yaml.safe_load refuses a document in which an anchor is given a second time, with
#            "found duplicate anchor". YAML 1.1 and 1.2 (3.2.2.2, 7.1) allow it: "anchors need not be
#            unique", an alias means the nearest node before it. yaml.parse, the event parser of the
#            same package, takes it, and so does ruamel.yaml 0.18.16, with a warning.
# Seen:      PyYAML 6.0.3: events 9, ComposerError: found duplicate anchor 'a'
#            ruamel.yaml 0.18.16: [1, 2, 2]
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import warnings

import ruamel.yaml
import yaml

text = "[&a 1, &a 2, *a]"
try:
    seen = repr(yaml.safe_load(text))
except yaml.YAMLError as error:
    seen = f"{type(error).__name__}: {str(error).split(';')[0]}"
print(f"PyYAML {yaml.__version__}: events {len(list(yaml.parse(text)))}, {seen}")
warnings.simplefilter("ignore")
print(f"ruamel.yaml {ruamel.yaml.__version__}:", ruamel.yaml.YAML(typ="safe", pure=True).load(text))
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check PyYAML==6.0.3 ruamel.yaml==0.18.16
"$work/venv/bin/python" "$work/look.py" | tee "$work/seen"

if grep -q "^PyYAML 6.0.3: events [0-9]*, ComposerError: found duplicate anchor 'a'$" "$work/seen" &&
    grep -qFx 'ruamel.yaml 0.18.16: [1, 2, 2]' "$work/seen"; then
    echo 'as before: PyYAML refuses an anchor that is given a second time'
else
    echo 'changed: not what was seen before' >&2
    exit 1
fi
