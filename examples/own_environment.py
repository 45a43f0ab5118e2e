"""An environment of one's own, and an agent for it; from the folder above: python -m examples.own_environment"""

import gymnasium
import numpy


class Corridor(gymnasium.Env):
    """Six cells in a row; the reward lies in the last one."""

    observation_space = gymnasium.spaces.Box(0, 1, (6,), numpy.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def look(self):
        return numpy.eye(6, dtype=numpy.float32)[self.cell]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return self.look(), {}

    def step(self, action):
        self.cell = max(self.cell + (1 if action == 1 else -1), 0)
        return self.look(), float(self.cell == 5), self.cell == 5, False, {}


gymnasium.register("Corridor-v0", Corridor, max_episode_steps=50)

if __name__ == "__main__":
    import qgraft

    run = qgraft.train("gym:examples.own_environment:Corridor-v0", out="runs/corridor", steps=5000,
                       overwrite=True, settings={"eval_every": 1000, "eval_steps": 500})
    print(run.evaluations[["step", "score"]])
