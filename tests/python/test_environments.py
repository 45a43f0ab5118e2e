"""qgraft's games as environments of Gymnasium, from the installed package: against Gymnasium's own
checker, the MinAtar package and ALE, one by one and many together."""

import gc
import os
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
qgraft = pytest.importorskip("qgraft", reason="scripts/install-package.sh installs it")

from gymnasium.utils.env_checker import check_env  # noqa: E402

ATARI = pathlib.Path(os.environ.get("QGRAFT_ATARI", ""), "SHA256SUMS")
GAMES = ["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
needs_atari = pytest.mark.skipif(not os.environ.get("QGRAFT_ATARI") or not ATARI.exists(),
                                 reason="QGRAFT_ATARI names no emulator")


def make(game, **options):
    return gymnasium.make(f"qgraft/{game}-v0", **options)


def domain_seed(seed):
    """The seed of the game that an environment opens at reset(seed=seed)."""
    return int(gymnasium.utils.seeding.np_random(seed)[0].integers(2**32))


# ---- One game ----


def check(game, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(game, render_mode="rgb_array", **options).unwrapped)


@pytest.mark.parametrize("game", GAMES)
def test_checker(game):
    check(f"minatar-{game}")


def test_a_forked_child_makes_its_own_environment():
    """With that of its parent it would share a process, and take its answers."""
    game = qgraft.envs.Game("gym:CartPole-v1")
    game.reset(seed=1)
    child = os.fork()
    if child == 0:
        try:
            game.reset()
            os._exit(1)
        except qgraft.DataError as error:
            os._exit(0 if "forked: make it in this one" in str(error) else 2)
        finally:
            os._exit(3)
    assert os.waitpid(child, 0)[1] == 0
    assert game.step(0)[0].shape == (4,)
    game.close()


WRONG = """
import gymnasium, numpy
class Wrong(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(0, 9, (2,)), gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return self.observation_space.low, {}
    def step(self, action):
        return numpy.full(2, numpy.nan, numpy.float32), 0.0, True, False, {}
gymnasium.register("Wrong-v0", Wrong)
"""


def test_behind_a_step_that_failed_the_game_is_reset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.py").write_text(WRONG)
    game = qgraft.envs.Game("gym:wrong:Wrong-v0")
    game.reset(seed=1)
    with pytest.raises(qgraft.DataError):
        game.step(0)
    with pytest.raises(qgraft.UsageError, match="reset it"):
        game.step(0)
    game.reset()
    game.close()


def test_a_game_that_is_played_stays_what_it_was(tmp_path, monkeypatch):
    """Its arrays have room for no other observations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    text = WRONG.replace("Wrong", "Grown").replace("numpy.nan", "1")
    (tmp_path / "grown.py").write_text(text)
    game = qgraft.envs.Game("gym:grown:Grown-v0")
    game.reset(seed=1)
    (tmp_path / "grown.py").write_text(text.replace("(2,)", "(2000,)").replace("full(2,", "full(2000,"))
    with pytest.raises(qgraft.Error):  # which asks all environments anew
        qgraft.envs.Game("minatar/none")
    with pytest.raises(qgraft.DataError, match="spaces or actions are others"):
        game.reset(seed=2)
    game.close()
    del game
    gc.collect()
    with pytest.raises(qgraft.Error):
        qgraft.envs.Game("minatar/none")
    assert qgraft.envs.Game("gym:grown:Grown-v0").observation_space.shape == (2000,)


@needs_atari
def test_checker_atari():
    check("pong")


@pytest.mark.parametrize("words", ["import gymnasium, qgraft", "import qgraft, gymnasium"])
def test_registered(words):
    code = f"{words}\nprint(len([i for i in gymnasium.registry if i.startswith('qgraft/')]))"
    assert int(subprocess.check_output([sys.executable, "-c", code])) > 100


@pytest.mark.parametrize("game", GAMES)
def test_plays_as_minatar(game):
    """The same observations, rewards and ends as the package's environment of the same seed."""
    from minatar import Environment

    env = make(f"minatar-{game}", actions="full").unwrapped
    theirs = Environment(game)
    theirs.seed(domain_seed(5))
    codes = [["n", "l", "u", "r", "d", "f"].index(name[0]) for name in env.action_names]
    seen, _ = env.reset(seed=5)
    theirs.reset()
    random, ended = np.random.default_rng(1), 0
    for _ in range(1500):
        assert (seen == theirs.state()).all()
        action = int(random.integers(env.action_space.n))
        seen, reward, end, truncated, _ = env.step(action)
        their_reward, their_end = theirs.act(codes[action])
        assert (reward, end, truncated) == (their_reward, their_end, False)
        if end:
            ended += 1
            seen, _ = env.reset()
            theirs.reset()
    assert ended or game == "freeway"


def test_seeds():
    def play(env, seed):
        seen = [env.reset(seed=seed)[0]]
        for i in range(300):
            step = env.step(i % 3)
            seen.append(step[0] if not step[2] else env.reset()[0])
        return np.array(seen)

    env = make("minatar-breakout")
    first = play(env, 1)
    assert (first == play(env, 1)).all() and (first == play(make("minatar-breakout"), 1)).all()
    assert (first != play(env, 2)).any()


def test_reset_in_the_middle():
    env = make("minatar-breakout")
    beginning = env.reset(seed=1)[0]
    for _ in range(3):
        later = env.step(0)[0]
    assert (later != beginning).any()
    bricks = env.reset()[0][:, :, 3].sum()
    assert bricks == 30


def test_limits_and_levels():
    env = make("minatar-breakout", max_episode_frames=5, sticky=0.0).unwrapped
    env.reset(seed=1)
    ends = [env.step(0)[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(False, True)]
    with pytest.raises(qgraft.UsageError, match="reset"):
        env.step(0)
    first, third = (make("minatar-asterix", level=level).unwrapped for level in (1, 3))
    assert first._domain.name != third._domain.name


def test_no_ops():
    """A paddle that does not move while the ball falls: 1 to noop_max frames later."""
    env, plain = make("minatar-breakout", noop_max=4), make("minatar-breakout")
    begun = set()
    for seed in range(30):
        seen = env.reset(seed=seed)[0]
        frames = [plain.reset(seed=seed)[0]] + [plain.step(0)[0] for _ in range(4)]
        begun |= {i for i, frame in enumerate(frames) if (frame == seen).all()}
    assert begun == {1, 2, 3, 4}


def test_none_is_the_default():
    """Of every keyword."""
    words = ("mode", "difficulty", "level", "frame_skip", "sticky", "max_episode_frames", "actions", "noop_max")
    for make_one in (qgraft.envs.Game, qgraft.envs.Games):
        plain, none = (make_one("minatar/breakout", **more) for more in ({}, dict.fromkeys(words)))
        assert (plain.reset(seed=1)[0] == none.reset(seed=1)[0]).all()
        assert plain.action_space == none.action_space
    limited = make("minatar-breakout", max_episode_frames="xitari", frame_skip=2.0, noop_max=np.int64(3))
    limited.reset(seed=1)


def test_pictures():
    env = make("minatar-breakout", render_mode="rgb_array")
    env.reset(seed=1)
    picture = env.render()
    assert picture.shape == (10, 10, 3) and picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) >= 3  # bricks, ball and paddle, black


@needs_atari
def test_atari():
    env = make("pong", frame_skip=2, actions="full", render_mode="rgb_array").unwrapped
    assert env.observation_space.shape == (84, 84, 1) and env.action_space.n == 18
    seen, _ = env.reset(seed=1)
    total = 0
    for _ in range(600):
        seen, reward, end, _, info = env.step(0)
        total += reward
    assert total < 0 and seen.max() > 100 and not end
    assert env.render().shape == (210, 160, 3)


# ---- Many ----


@pytest.mark.parametrize("options", [{}, {"max_episode_frames": 9}])
def test_together_as_alone(options):
    games = gymnasium.make_vec("qgraft/minatar-breakout-v0", num_envs=5, **options)
    alone = gymnasium.vector.SyncVectorEnv(
        [lambda: make("minatar-breakout", disable_env_checker=True, **options)] * 5)
    a, b = games.reset(seed=3)[0], alone.reset(seed=3)[0]
    random = np.random.default_rng(1)
    ended = 0
    for _ in range(400):
        actions = random.integers(0, 3, 5)
        one = games.step(actions)
        two = alone.step(actions)
        for mine, theirs in zip(one[:4], two[:4]):
            assert mine.dtype == theirs.dtype or mine.dtype == np.float32
            assert (mine == theirs).all()
        ended += (one[2] | one[3]).sum()
    assert ended > 20 and (a == b).all()
    assert games.observation_space.contains(one[0])


def test_no_ops_together():
    """Their numbers are drawn for all games together; what they lead to is each game's own."""
    games, plain = gymnasium.make_vec("qgraft/minatar-breakout-v0", num_envs=5, noop_max=3), make("minatar-breakout")
    begun = set()
    for seed in range(8):
        for i, board in enumerate(games.reset(seed=seed)[0]):
            frames = [plain.reset(seed=seed + i)[0]] + [plain.step(0)[0] for _ in range(3)]
            begun.add([(frame == board).all() for frame in frames].index(True))
    assert begun == {1, 2, 3}


def test_seeds_of_some():
    """None: drawn by the environment; those that are given are those of single games."""
    games = gymnasium.make_vec("qgraft/minatar-breakout-v0", num_envs=3)
    begun = games.reset(seed=[4, None, 6.0])[0]
    for i, seed in ((0, 4), (2, 6)):
        assert (begun[i] == make("minatar-breakout").reset(seed=seed)[0]).all()
    games.reset(seed=[None, 3, None])
    assert (games.reset(seed=np.arange(3))[0] == games.reset(seed=0)[0]).all()


def test_results_are_kept():
    """What a step gave is not written over by the next one."""
    games = gymnasium.make_vec("qgraft/minatar-breakout-v0", num_envs=3)
    games.reset(seed=1)
    first = games.step(np.zeros(3, int))
    copies = [np.array(x) for x in first[:4]]
    for _ in range(50):
        games.step(np.ones(3, int))
    assert all((x == y).all() for x, y in zip(first[:4], copies))


def steps_per_second(step, size, seconds):
    """The best of many short measurements."""
    best, until = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        for _ in range(50):
            step()
        best = min(best, time.perf_counter() - begin)
    return 50 * size / best


def test_speed():
    """64 copies on one core, beside MinAtar's own in the same run: 3 million steps a second on a quiet one."""
    from minatar import Environment

    games = gymnasium.make_vec("qgraft/minatar-breakout-v0", num_envs=64)
    games.reset(seed=1)
    actions = np.random.default_rng(1).integers(0, 3, 64)
    ours = steps_per_second(lambda: games.step(actions), 64, 1)
    theirs = Environment("breakout")
    theirs.seed(1)
    theirs.reset()

    def step():
        if theirs.act(0)[1]:
            theirs.reset()
        return theirs.state()

    alone = steps_per_second(step, 1, 1)
    print(f"{ours:.3g} steps a second, MinAtar {alone:.3g}")
    assert ours >= 3 * alone


# ---- Bad input ----


@pytest.mark.parametrize("call", [
    lambda: make("minatar-breakout", level=99), lambda: make("minatar-breakout", mode=7),
    lambda: make("minatar-breakout", actions="all"), lambda: make("minatar-breakout", sticky=2.0),
    lambda: qgraft.envs.Game("minatar/breakout", render_mode="human"),
    lambda: make("minatar-breakout", frame_skip=-1), lambda: make("minatar-breakout", frame_skip=1.5),
    lambda: make("minatar-breakout", noop_max=-3), lambda: make("minatar-breakout", noop_max=2**40),
    lambda: make("minatar-breakout", sticky=-0.5), lambda: make("minatar-breakout", sticky=np.nan),
    lambda: make("minatar-breakout", max_episode_frames=-1), lambda: make("minatar-breakout", actions=3),
    lambda: make("minatar-breakout", max_episode_frames="atari"),
    lambda: qgraft.envs.Games("minatar/breakout", num_envs=2.5),
    lambda: qgraft.envs.Games("minatar/breakout", noop_max=-1),
    lambda: qgraft.envs.Games("minatar/breakout", num_envs=2).reset(seed=-1),
    lambda: qgraft.envs.Games("minatar/breakout", num_envs=2).reset(seed=[1, 0.5]),
    lambda: qgraft.envs.Game("minatar/tetris"),
    lambda: qgraft.envs.Games("minatar/breakout", num_envs=0),
    lambda: qgraft.envs.Games("minatar/breakout").step([0]),
    lambda: qgraft.envs.Games("minatar/breakout", num_envs=2).reset(seed=[1]),
    lambda: qgraft.envs.Game("minatar/breakout").step(0)])
def test_wrong_environments(call):
    with pytest.raises(qgraft.UsageError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()
    assert "\n" not in str(caught.value)


def test_a_reset_that_fails(monkeypatch):
    """The game is none until another reset; nothing is asserted."""
    import pathlib

    monkeypatch.syspath_prepend(pathlib.Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))
    name = "gym:gym_envs:Odd-v0[length=3,trouble=reset]"
    game = qgraft.envs.Game(name, noop_max=0)
    game.reset(seed=1)
    game.step(0)
    with pytest.raises(qgraft.DataError, match="no more"):
        game.reset()
    with pytest.raises(qgraft.UsageError, match="reset it"):
        game.step(0)
    assert game.reset()[0].shape == (3,)
    games = qgraft.envs.Games(name, num_envs=2, noop_max=0)
    games.reset(seed=1)
    for _ in range(3):
        games.step([0, 0])
    with pytest.raises(qgraft.DataError, match="no more"):
        games.step([0, 0])
    with pytest.raises(qgraft.DataError, match="no more"):
        games.step([0, 0])  # of the other game
    assert games.step([0, 0])[0].shape == (2, 3)


def test_a_picture_of_no_game():
    env = qgraft.envs.Game("minatar/breakout", render_mode="rgb_array")
    with pytest.raises(qgraft.UsageError, match="no game has begun"):
        env.render()


@pytest.mark.parametrize("action", [3, -1, 1.0, None, "left"])
def test_wrong_action(action):
    env = qgraft.envs.Game("minatar/breakout")
    env.reset(seed=1)
    with pytest.raises(qgraft.UsageError, match="0 to 2"):
        env.step(action)


@pytest.mark.parametrize("actions", [[0], [0, 3], [0, -1], [0.0, 1.0], None, [[0, 1]]])
def test_wrong_actions(actions):
    games = qgraft.envs.Games("minatar/breakout", num_envs=2)
    games.reset(seed=1)
    with pytest.raises(qgraft.UsageError):
        games.step(actions)


def test_closed():
    env, games = qgraft.envs.Game("minatar/breakout"), qgraft.envs.Games("minatar/breakout")
    for closed in (env, games):
        closed.reset(seed=1)
        closed.close()
        closed.close()
        with pytest.raises(qgraft.UsageError, match="closed"):
            closed.reset()
    env = qgraft.envs.Game("minatar/breakout", render_mode="rgb_array")
    env.close()
    with pytest.raises(qgraft.UsageError, match="closed"):
        env.render()
