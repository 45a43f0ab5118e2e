"""The update in PyTorch, channels last: torch_update.py FOLDER NAME [--compile] [--bf16] (autocast)."""

import os
import sys

# The wheel wants libraries of CUDA that run.sh replaces by empty ones: nothing of them is bound.
sys.setdlopenflags(os.RTLD_LAZY)

import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

from peer import DECAY, DISCOUNT, EPSILON, RATE, load, names, network, serve  # noqa: E402

fast = torch.compile if "--compile" in sys.argv else lambda function: function
bf16 = "--bf16" in sys.argv
largest, layers = network()


def tensors(name):
    """Weights and biases in turns."""
    file = load(name)
    out = [torch.from_numpy(file[key]) for pair in names() for key in pair]
    return [t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in out]


online, target = [t.requires_grad_() for t in tensors("online")], tensors("target")
moment1, moment2 = [[torch.zeros_like(t) for t in target] for _ in range(2)]
batch = {key: torch.from_numpy(value) for key, value in load("batch").items()}
states, next_states = (batch[key].contiguous(memory_format=torch.channels_last)
                       for key in ("states", "next_states"))
going_on = 1 - batch["terminals"].float()


def forward(parameters, x):
    x = x.float() / largest
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return layer_by_layer(parameters, x).float()


def layer_by_layer(parameters, x):
    for i, (_, kernel, stride, padding) in enumerate(layers):
        weight, bias = parameters[2 * i], parameters[2 * i + 1]
        x = (functional.conv2d(x, weight, bias, stride, padding) if kernel
             else functional.linear(x.flatten(1), weight, bias))
        if i + 1 < len(layers):
            x = functional.relu(x)
    return x


@fast
def find_errors(online, target):
    with torch.no_grad():
        wanted = batch["rewards"] + DISCOUNT * going_on * forward(target, next_states).max(1)[0]
    taken = forward(online, states).gather(1, batch["actions"][:, None])[:, 0]
    return taken, (wanted - taken.detach()).clamp(-1, 1)


@fast
def rmsprop(online, gradient, moment1, moment2):
    torch._foreach_lerp_(moment1, gradient, 1 - DECAY)
    torch._foreach_mul_(moment2, DECAY)
    torch._foreach_addcmul_(moment2, gradient, gradient, 1 - DECAY)
    root = torch._foreach_addcmul(moment2, moment1, moment1, -1)
    torch._foreach_add_(root, EPSILON)
    torch._foreach_sqrt_(root)
    torch._foreach_addcdiv_(online, gradient, root, RATE)


def update():
    taken, error = find_errors(online, target)
    gradient = torch.autograd.grad(taken, online, error)  # of the sum over the minibatch
    with torch.no_grad():
        rmsprop(online, gradient, moment1, moment2)


def parameters():
    keys = [key for pair in names() for key in pair]
    return {key: t.detach().contiguous().numpy() for key, t in zip(keys, online)}


serve(sys.argv[2], update, parameters)
