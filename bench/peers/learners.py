"""One update of qgraft's presets cleanrl and sb3 beside the libraries' own: learners.py QGRAFT.

Stable-Baselines3's is its DQN.train on a batch that its replay buffer is made to give. CleanRL's is a
program and no library: the lines of its update (cleanrl/dqn_atari.py) stand below as they are there. The
largest difference of a tensor's steps, over the largest step, is printed and checked. Adam's first steps are
of one size whatever the gradient's, so three updates are made, and tiny gradients are left out."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

# See torch_update.py.
sys.setdlopenflags(os.RTLD_LAZY)

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import stable_baselines3  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

QGRAFT = sys.argv[1]
ACTIONS, SIZE, UPDATES, CLOSE = 6, 32, 3, 2e-3
LAYERS = [f"{layer}.{part}" for layer in ("conv1", "conv2", "conv3", "fc1", "fc2")
          for part in ("weight", "bias")]
SETTINGS = {  # those of a preset that an update depends on
    "cleanrl": {"optimiser": "adam", "learning_rate": 1e-4, "loss": "mse", "clip_error": 0,
                "reduction": "mean"},
    "sb3": {"optimiser": "adam", "learning_rate": 1e-4, "loss": "huber", "clip_error": 1,
            "reduction": "mean", "max_grad_norm": 10},
}


def make_batch(seed):
    random = np.random.default_rng(seed)

    def screens():
        return random.integers(0, 256, (SIZE, 4, 84, 84), dtype=np.uint8)

    return {"states": screens(), "next_states": screens(),
            "actions": random.integers(0, ACTIONS, SIZE),
            "rewards": random.integers(-1, 2, SIZE).astype(np.float32),
            "terminals": (random.random(SIZE) < 0.2).astype(np.uint8)}


def nature():
    return nn.Sequential(nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(), nn.Conv2d(32, 64, 4, stride=2),
                         nn.ReLU(), nn.Conv2d(64, 64, 3, stride=1), nn.ReLU(), nn.Flatten(),
                         nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, ACTIONS))


def cleanrl(online, target, batches):
    """The parameters behind each update."""
    q_network, target_network = nature(), nature()
    for network, parameters in ((q_network, online), (target_network, target)):
        network.load_state_dict(dict(zip(network.state_dict(), map(torch.from_numpy, parameters))))
    optimizer = torch.optim.Adam(q_network.parameters(), lr=1e-4)
    for batch in batches:
        data = {key: torch.from_numpy(value) for key, value in batch.items()}
        with torch.no_grad():
            target_max, _ = target_network(data["next_states"] / 255.0).max(dim=1)
            td_target = data["rewards"] + 0.99 * target_max * (1 - data["terminals"].float())
        old_val = q_network(data["states"] / 255.0).gather(1, data["actions"][:, None]).squeeze()
        loss = F.mse_loss(td_target, old_val)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield [p.detach().numpy().copy() for p in q_network.parameters()]


class Screens(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(ACTIONS)


def sb3(online, target, batches):
    model = stable_baselines3.DQN("CnnPolicy", Screens(), buffer_size=10, device="cpu")
    model.set_logger(stable_baselines3.common.logger.Logger(None, []))
    for network, parameters in ((model.q_net, online), (model.q_net_target, target)):
        network.load_state_dict(dict(zip(network.state_dict(), map(torch.from_numpy, parameters))))
    for batch in batches:
        data = {key: torch.from_numpy(value) for key, value in batch.items()}
        drawn = SimpleNamespace(observations=data["states"], next_observations=data["next_states"],
                                actions=data["actions"][:, None], rewards=data["rewards"][:, None],
                                dones=data["terminals"].float()[:, None], discounts=None)
        model.replay_buffer.sample = lambda *_, **__: drawn
        model.train(1, SIZE)
        yield [p.detach().numpy().copy() for p in model.q_net.parameters()]


def ours(folder, online, target, batches, settings):
    metadata = {"format": "qgraft network 1", "architecture": "nature-pad0", "input": "4,84,84,255",
                "domain": "", "actions": "", "seed": "1", "step": "0"}
    kept = {}
    save_file(dict(zip(LAYERS, target)), folder / "target", metadata)
    for batch in batches:
        save_file(dict(zip(LAYERS, online)), folder / "online", metadata)
        save_file({**batch, **kept}, folder / "batch")
        words = [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]
        subprocess.run([QGRAFT, "update", *words, "--out", folder / "out",
                        *[w for name in ("online", "target", "batch")
                          for w in (f"--{name}", folder / name)]], check=True)
        out = load_file(folder / "out")
        online = [out[name] for name in LAYERS]
        kept = {k: v for k, v in out.items() if k.startswith("moment") or k == "steps"}
        yield online, [out[f"grad.{name}"] for name in LAYERS]


def main():
    torch.manual_seed(1)
    online, target = [[p.detach().numpy() for p in nature().parameters()] for _ in range(2)]
    batches = [make_batch(seed) for seed in range(UPDATES)]
    print(f"PyTorch {torch.__version__}, Stable-Baselines3 {stable_baselines3.__version__}")
    worst = 0
    for name, peer in (("cleanrl", cleanrl), ("sb3", sb3)):
        with tempfile.TemporaryDirectory() as folder:
            steps = zip(peer(online, target, batches),
                        ours(Path(folder), online, target, batches, SETTINGS[name]))
            before, sure = online, [True] * len(LAYERS)
            for update, (theirs, (mine, gradient)) in enumerate(steps):
                errors = []
                for i, d in enumerate(gradient):
                    sure[i] = sure[i] & (np.abs(d) > 1e-3 * np.abs(d).max())
                    step = np.abs(theirs[i] - before[i]).max()
                    errors.append((np.abs(mine[i] - theirs[i]) * sure[i]).max() / step)
                print(f"{name}, update {update + 1}: largest difference of a step {max(errors):.1e}")
                worst, before = max(worst, *errors), theirs
    return worst > CLOSE


if __name__ == "__main__":
    sys.exit(main())
