#!/bin/sh
# Package:   dopamine-rl 4.0.9 (Python; jax 0.10.2, flax 0.12.8, numpy 2.4.6; gym 0.25.2, tensorflow-cpu 2.21.0 and
#            tensorflow-probability 0.25.0 to import it)
# Behaviour: NatureDQNNetwork is not the network of Mnih et al. 2015: its convolutions pad (SAME, the
#            default of flax's Conv), so that the last one has 11x11 places instead of 7x7, the linear
#            layer behind it 7,744 inputs instead of 3,136, and the network 2.4 times the parameters.
#            The published returns of Dopamine's agents are those of this network.
# Seen:      the first linear layer has 7744 inputs: 11 x 11 x 64
#            4046502 parameters with 6 actions; with 7 x 7 x 64 inputs there were 1687206
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, PyPI, and 3 GB of disk for a while.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import jax
import jax.numpy
from dopamine.jax.networks import NatureDQNNetwork

parameters = NatureDQNNetwork(num_actions=6).init(jax.random.PRNGKey(0), jax.numpy.zeros((84, 84, 4)))["params"]
inputs, units = parameters["Dense_0"]["kernel"].shape
channels = parameters["Conv_2"]["kernel"].shape[-1]
side = round((inputs / channels) ** 0.5)
assert side * side * channels == inputs
count = sum(leaf.size for leaf in jax.tree_util.tree_leaves(parameters))
print(f"the first linear layer has {inputs} inputs: {side} x {side} x {channels}")
print(f"{count} parameters with 6 actions; with 7 x 7 x {channels} inputs there were",
      count - (inputs - 7 * 7 * channels) * units)
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps dopamine-rl==4.0.9 gym==0.25.2 \
    gym-notices==0.1.0 tensorflow-probability==0.25.0
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 flax==0.12.8 numpy==2.4.6 \
    tensorflow-cpu==2.21.0 gin-config==0.5.0 opencv-python-headless==5.0.0.93 absl-py cloudpickle decorator dm-tree
"$work/venv/bin/python" "$work/look.py" 2> "$work/errors" | tee "$work/seen"

cat > "$work/expected" << 'END'
the first linear layer has 7744 inputs: 11 x 11 x 64
4046502 parameters with 6 actions; with 7 x 7 x 64 inputs there were 1687206
END
if cmp -s "$work/seen" "$work/expected"; then
    echo "as before: Dopamine's Nature network is another one"
else
    cat "$work/errors" >&2
    echo 'changed: not what was seen before' >&2
    exit 1
fi
