"""A PyTorch model of a qgraft network, and back: python examples/torch_model.py NETWORK OUT

    qgraft train minatar/breakout --steps 200k --out runs/breakout
    python examples/torch_model.py runs/breakout/best.safetensors back.safetensors
"""

import sys

import numpy
import torch

import qgraft


def to_torch(network):
    """A module that takes what network.forward takes, as floats (of screens from 0 to 1); its
    parameters have the network's names (conv1.weight, ...)."""
    model, last = torch.nn.Sequential(), list(network)[-1]
    if last == "heads":
        sys.exit("torch_model.py: a dueling network is no sequence of layers")
    for name, layer in network.layers.items():
        outputs, inputs = layer.weight.shape[:2]
        if layer.kind == "conv":
            made = torch.nn.Conv2d(inputs, outputs, layer.kernel, layer.stride, layer.padding)
        else:
            made = torch.nn.Linear(inputs, outputs)
            if not any(isinstance(module, torch.nn.Flatten) for module in model):
                model.add_module("flatten", torch.nn.Flatten())
        model.add_module(name, made)
        if layer.norm:
            model.add_module(f"norm_{name}",
                             torch.nn.LayerNorm(layer.output_shape, elementwise_affine=False))
        if name != last:
            model.add_module(f"relu_{name}", torch.nn.ReLU())
    model.load_state_dict({name: torch.from_numpy(array.copy())
                           for name, array in network.state_dict().items()})
    return model


def to_qgraft(model, like):
    """A network as `like` with the parameters of the model."""
    network = like.copy()
    network.load_state_dict({name: tensor.detach().cpu().numpy()
                             for name, tensor in model.state_dict().items()})
    return network


if __name__ == "__main__":
    network = qgraft.Network.load(sys.argv[1])
    model = to_torch(network)
    random, largest = numpy.random.default_rng(1), network.input_max
    if largest:
        states = random.integers(0, largest + 1, (32, *network.input)).astype(numpy.uint8)
    else:  # vectors
        states = random.normal(size=(32, network.input[0])).astype(numpy.float32)
    ours = network.forward(states)
    with torch.no_grad():
        theirs = model(torch.from_numpy(states).float() / (largest or 1)).numpy()
    print(f"largest difference of {ours.size} Q-values: {numpy.abs(ours - theirs).max():.2g}")
    assert numpy.abs(ours - theirs).max() <= 1e-4 * max(1, numpy.abs(theirs).max())
    back = to_qgraft(model, network)
    assert back.sha256 == network.sha256
    back.save(sys.argv[2])
