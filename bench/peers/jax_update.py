"""The update in JAX, one jitted function: jax_update.py FOLDER NAME."""

import sys

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from peer import DECAY, DISCOUNT, EPSILON, RATE, load, names, network, serve

largest, layers = network()
batch = load("batch")
batch["states"], batch["next_states"] = (
    batch[key].transpose(0, 2, 3, 1) for key in ("states", "next_states"))


def forward(parameters, x):
    """Channels last, as JAX is fastest on processors."""
    x = x.astype(jnp.float32) / largest
    for i, (pair, (_, kernel, stride, padding)) in enumerate(zip(names(), layers)):
        weight, bias = (parameters[key] for key in pair)
        if kernel:
            x = lax.conv_general_dilated(x, weight, (stride, stride), [(padding, padding)] * 2,
                                         dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias
        else:
            if x.ndim == 4:
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
            x = x @ weight + bias
        if i + 1 < len(layers):
            x = jax.nn.relu(x)
    return x


def step(online, target, moment1, moment2, batch):
    going_on = 1 - batch["terminals"].astype(jnp.float32)
    wanted = batch["rewards"] + DISCOUNT * going_on * forward(target, batch["next_states"]).max(1)
    rows = jnp.arange(len(batch["actions"]))
    taken, pull = jax.vjp(lambda p: forward(p, batch["states"])[rows, batch["actions"]], online)
    gradient, = pull(jnp.clip(wanted - taken, -1, 1))  # of the sum over the minibatch
    moment1 = {k: DECAY * moment1[k] + (1 - DECAY) * g for k, g in gradient.items()}
    moment2 = {k: DECAY * moment2[k] + (1 - DECAY) * g * g for k, g in gradient.items()}
    online = {k: online[k] + RATE * g / jnp.sqrt(moment2[k] - moment1[k] ** 2 + EPSILON)
              for k, g in gradient.items()}
    return online, moment1, moment2


def turned(parameters, conv, linear):
    turn = {4: lambda w: w.transpose(conv), 2: lambda w: w.transpose(linear), 1: lambda w: w}
    return {key: turn[w.ndim](w) for key, w in parameters.items()}


jitted = jax.jit(step, donate_argnums=(0, 2, 3))
batch = jax.device_put(batch)
online, target = (jax.device_put(turned(load(name), (2, 3, 1, 0), (1, 0)))
                  for name in ("online", "target"))
moment1, moment2 = (jax.tree.map(jnp.zeros_like, target) for _ in range(2))


def update():
    global online, moment1, moment2
    online, moment1, moment2 = jax.block_until_ready(
        jitted(online, target, moment1, moment2, batch))


def parameters():
    plain = turned(jax.device_get(online), (3, 2, 0, 1), (1, 0))
    return {key: np.ascontiguousarray(w) for key, w in plain.items()}


serve(sys.argv[2], update, parameters)
