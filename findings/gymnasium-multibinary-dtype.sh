#!/bin/sh
# Package:   gymnasium 1.4.0 (Python, numpy 2.4.6)
# Behaviour: an environment whose observation space is MultiBinary may return floats of 0 and 1: the
#            space contains them (it asks for shape and values, not for the dtype that it says), and
#            check_env and the checker of make let them pass without a word. Vectorised, the same
#            environment raises a TypeError at its first reset. Box and MultiDiscrete do not contain
#            them.
# Seen:      MultiBinary int8 contains float64: True, bool: True
#            Box int8 contains float64: False; MultiDiscrete: False
#            check_env: 0 warnings; make: a step of float64
#            SyncVectorEnv: TypeError: Cannot cast array data from dtype('float64') to dtype('int8')
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import warnings

import gymnasium
import numpy
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

BITS = spaces.MultiBinary(3)


class Floats(gymnasium.Env):
    observation_space, action_space = BITS, spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return numpy.array([0.0, 1.0, 1.0]), {}

    def step(self, action):
        return numpy.array([1.0, 0.0, 1.0]), 0.0, False, False, {}


bits = numpy.array([0.0, 1.0, 1.0])
print(f"MultiBinary {BITS.dtype} contains float64: {BITS.contains(bits)}, bool: {BITS.contains(bits == 1)}")
print(f"Box int8 contains float64: {spaces.Box(0, 1, (3,), numpy.int8).contains(bits)};",
      f"MultiDiscrete: {spaces.MultiDiscrete([2, 2, 2]).contains(bits)}")
gymnasium.register("Floats-v0", Floats)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    check_env(Floats(), skip_render_check=True)
    env = gymnasium.make("Floats-v0")
    env.reset(seed=1)
    print(f"check_env: {len(said)} warnings; make: a step of {env.step(0)[0].dtype}")
try:
    gymnasium.vector.SyncVectorEnv([Floats, Floats]).reset(seed=1)
    print("SyncVectorEnv: resets")
except TypeError as error:
    print("SyncVectorEnv: TypeError:", str(error).split(" according")[0])
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gymnasium==1.4.0 numpy==2.4.6
"$work/venv/bin/python" "$work/look.py" | tee "$work/seen"

cat > "$work/expected" << 'END'
MultiBinary int8 contains float64: True, bool: True
Box int8 contains float64: False; MultiDiscrete: False
check_env: 0 warnings; make: a step of float64
SyncVectorEnv: TypeError: Cannot cast array data from dtype('float64') to dtype('int8')
END
if cmp -s "$work/seen" "$work/expected"; then
    echo 'as before: MultiBinary says a dtype and does not ask for it'
else
    echo 'changed: not what was seen before' >&2
    exit 1
fi
