"""CartPole with its gravity and its pole's length as keywords, which docs/tutorial.md uses. By itself: what an
agent has learned under 9.8 m/s^2 is copied to one under 20; from the folder above:
python -m examples.cartpole [STEPS] [SEEDS]"""

import sys

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv


class CartPole(CartPoleEnv):
    """length: half the pole's, in metres, as in Gymnasium."""

    def __init__(self, gravity=9.8, length=0.5, **options):
        super().__init__(**options)
        self.gravity, self.length = gravity, length
        self.polemass_length = self.masspole * length


gymnasium.register("CartPole-physics", CartPole, max_episode_steps=500)

if __name__ == "__main__":
    import qgraft

    steps, seeds = [int(word) for word in (sys.argv[1:] + ["20000", "6"][len(sys.argv) - 1:])]
    light = "gym:examples.cartpole:CartPole-physics"
    heavy, folder = light + "[gravity=20]", "runs/cartpole-gravity"
    source = qgraft.train(light, out=f"{folder}/source", steps=steps, overwrite=True)
    areas = {"fresh": [], "grafted": []}
    for seed in range(1, seeds + 1):
        more = {"steps": steps, "seed": seed, "overwrite": True}
        fresh = qgraft.train(heavy, out=f"{folder}/fresh{seed}", **more)
        grafted = qgraft.graft(source.folder / "best.safetensors", heavy, first=2,
                               out=f"{folder}/grafted{seed}", **more)
        for name, run in (("fresh", fresh), ("grafted", grafted)):
            e = run.evaluations
            measured = qgraft.statistics.measures(e["step"], [e["score"]])
            areas[name].append(measured["area"][0] / 500)  # of the best possible score
    verdict = qgraft.statistics.verdicts({"fresh": areas["fresh"]}, {"grafted": areas["grafted"]})
    print(areas)
    print(verdict["grafted"])
