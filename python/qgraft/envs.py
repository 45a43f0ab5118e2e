"""qgraft's games as environments of Gymnasium.

    gymnasium.make("qgraft/minatar-breakout-v0")
    gymnasium.make_vec("qgraft/minatar-breakout-v0", num_envs=64)    # all are stepped in one C call

Observations are uint8 [height, width, channels]: MinAtar's bits [10, 10, 4 to 10], Atari's grey values
[84, 84, 1]; vectors of a Gymnasium environment are float32 [values]. Actions are indices; `action_names`
says what they are called. info of a step has "life_lost".

Of a game of a plugin: `qgraft.envs.Game(NAME)`, `qgraft.envs.Games(NAME, num_envs=64)`.

Keywords: mode, difficulty, level (what the game has: `qgraft games NAME`), frame_skip, sticky (a
probability), max_episode_frames (0: no limit; "xitari": DQN 3.0's), actions ("minimal", "full",
"xitari"), noop_max (1 to so many no-op frames begin an episode; 0: none). None is the game's default,
of the last three no limit, "minimal" and 0. Of `level`, say, two values make two domains.
"""

import gymnasium
import numpy as np
from gymnasium import spaces

from ._arguments import real, whole
from ._library import UsageError, call, error_of, ffi, lib, path_bytes, text, with_points

_STEP = np.dtype({"names": ["reward", "end", "life_lost", "truncated"],
                  "formats": [np.float32, np.bool_, np.bool_, np.bool_],
                  "offsets": [ffi.offsetof("qg_step", f)
                              for f in ("reward", "end", "life_lost", "truncated")],
                  "itemsize": ffi.sizeof("qg_step")})


def _domain_name(game, mode, difficulty, level):
    given = {"mode": mode, "difficulty": difficulty, "level": level}
    words = [f"{key}={value}" for key, value in given.items() if value is not None]
    return f"{game}:{','.join(words)}" if words else game


class _Played:
    """The domain of one or many games, and how it is opened: what both environments share."""

    def __init__(self, game, mode=None, difficulty=None, level=None, frame_skip=None, sticky=None,
                 max_episode_frames=None, actions=None, noop_max=None):
        self.name = _domain_name(game, mode, difficulty, level)
        self.noop_max = 0 if noop_max is None else whole("noop_max", noop_max, 0, 10_000)
        o = self._options = ffi.new("qg_domain_options *")
        o.frame_skip = 0 if frame_skip is None else whole("frame_skip", frame_skip, 0, 2**31 - 1)
        o.sticky = -1 if sticky is None else real("sticky", sticky, 0, 1)
        if isinstance(max_episode_frames, str) and max_episode_frames == "xitari":
            o.max_episode_frames = lib.QG_XITARI_LIMIT
        elif max_episode_frames is not None:
            o.max_episode_frames = whole("max_episode_frames", max_episode_frames, 0, 10**15)
        if actions is not None:
            chosen = ffi.new("qg_action_set *")
            if not lib.qg_action_set_find(path_bytes(str(actions)), chosen):
                raise UsageError(f"actions: {actions!r} is none of minimal, full, xitari")
            o.actions = chosen[0]

    def open(self, seed):
        self._options.seed = int(seed) % 2**32
        made = ffi.new("qg_domain **")
        try:
            call(lib.qg_domain_open, path_bytes(self.name), self._options, made)
        except Exception:
            lib.qg_domains_release()  # its process, if it was only named
            raise
        return ffi.gc(made[0], lib.qg_domain_close)

    def draw_noops(self, generator, count):
        """Numbers of no-op frames, int32 [count]."""
        if self.noop_max < 1:
            return np.zeros(count, np.int32)
        return generator.integers(1, self.noop_max + 1, count, dtype=np.int32)


def _observation_space(domain):
    shape = domain.shape
    if shape.max == 0:
        return spaces.Box(-np.inf, np.inf, (shape.channels,), np.float32)
    return spaces.Box(0, shape.max, (shape.height, shape.width, shape.channels), np.uint8)


def _action_names(domain):
    return [text(domain.actions[i]) for i in range(domain.action_count)]


class Game(gymnasium.Env):
    """One game of qgraft's."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, game, render_mode=None, **options):
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"render_mode: {render_mode!r} is none of None, 'rgb_array'")
        self.render_mode = render_mode
        self._played = _Played(game, **options)
        self._domain = self._played.open(0)
        self.action_names = _action_names(self._domain)
        self.metadata = {**self.metadata, "render_fps": self._domain.game.defaults.fps}
        self.observation_space = _observation_space(self._domain)
        self.action_space = spaces.Discrete(len(self.action_names))
        self._opened = self._begun = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self._domain is None:
            raise UsageError("reset: the environment is closed")
        if seed is not None or not self._opened:
            self._domain = self._played.open(self.np_random.integers(2**32))
            self._opened = True
        noops = int(self._played.draw_noops(self.np_random, 1)[0])
        seen = np.empty(self.observation_space.shape, self.observation_space.dtype)
        self._begun = False
        lib.qg_domain_abandon(self._domain)
        call(lib.qg_domain_reset, self._domain, noops, ffi.cast("uint8_t *", seen.ctypes.data))
        self._begun = True
        return seen, {}

    def step(self, action):
        if not self._begun:
            raise UsageError("step: the game is over, or none has begun: reset it")
        if not self.action_space.contains(action):
            raise UsageError(f"step: {action!r} is no action; they are 0 to "
                             f"{self.action_space.n - 1}")
        step = ffi.new("qg_step *")
        seen = np.empty(self.observation_space.shape, self.observation_space.dtype)
        self._begun = False  # also where the step fails
        call(lib.qg_domain_step, self._domain, int(action), step,
             ffi.cast("uint8_t *", seen.ctypes.data))
        self._begun = not (step.end or step.truncated)
        return seen, step.reward, step.end, step.truncated, {"life_lost": step.life_lost}

    def render(self):
        """The full screen of the last frame, uint8 [height, width, 3]."""
        if self.render_mode is None:
            return None
        if self._domain is None:
            raise UsageError("render: the environment is closed")
        if not self._opened:
            raise UsageError("render: no game has begun: reset it")
        if not lib.qg_domain_has_picture(self._domain):
            raise UsageError(f"render: {text(self._domain.name)} has no picture")
        picture = ffi.new("qg_picture *")
        lib.qg_domain_picture(self._domain, picture)
        pixels = np.frombuffer(ffi.buffer(picture.pixels, picture.height * picture.width), np.uint8)
        palette = np.frombuffer(ffi.buffer(picture.palette, 3 * picture.colors), np.uint8)
        return palette.reshape(-1, 3)[pixels.reshape(picture.height, picture.width)]

    def close(self):
        self._domain, self._begun = None, False


class Games(gymnasium.vector.VectorEnv):
    """Many copies of one game, stepped together by one call into C, on one core.

    A game that has ended is begun anew by the step after it (Gymnasium's NEXT_STEP), whose reward is
    0. info of a step has "life_lost", bool [num_envs]. Copy i is seeded by `seed` + i.
    """

    def __init__(self, game, num_envs=1, **options):
        num_envs = whole("num_envs", num_envs, 1, 2**24)
        if options.pop("render_mode", None) is not None:
            raise UsageError("render_mode: a vector environment has no pictures")
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}
        self._played = _Played(game, **options)
        self._domains = []
        first = self._played.open(0)
        self.action_names = _action_names(first)
        self.single_observation_space = _observation_space(first)
        self.single_action_space = spaces.Discrete(len(self.action_names))
        batch = gymnasium.vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space, num_envs)
        self.action_space = batch(self.single_action_space, num_envs)
        self._make_room()

    def _make_room(self):
        """What a step writes to: made once, as are the pointers to it."""
        self._steps = np.zeros(self.num_envs, _STEP)
        self._actions = np.zeros(self.num_envs, np.int32)
        self._noops = np.zeros(self.num_envs, np.int32)
        self._error = ffi.new("qg_error *")
        self._room = (ffi.cast("int *", self._actions.ctypes.data),
                      ffi.cast("int *", self._noops.ctypes.data),
                      ffi.cast("qg_step *", self._steps.ctypes.data))
        self._pointers = None

    def _seeds(self, seed):
        """A seed of each game, None where it is not given."""
        if seed is None:
            return [None] * self.num_envs
        if not np.iterable(seed):
            first = whole("seed", seed, 0, 2**63)
            seed = range(first, first + self.num_envs)
        if len(seed) != self.num_envs:
            raise UsageError(f"seed: {len(seed)} seeds for {self.num_envs} games")
        return [None if s is None else whole("seed", s, 0, 2**64) for s in seed]

    def reset(self, *, seed=None, options=None):
        if self._domains is None:
            raise UsageError("reset: the environment is closed")
        if options:
            raise UsageError("reset: no options are known: all games begin anew")
        if seed is not None or self._pointers is None:
            seeds = self._seeds(seed)
            super().reset(seed=seeds[0])
            for i, s in enumerate(seeds):
                s = int(self.np_random.integers(2**32)) if s is None else s
                seeds[i] = gymnasium.utils.seeding.np_random(s)[0].integers(2**32)
            domains = [self._played.open(s) for s in seeds]
            pointers = ffi.new("qg_domain *[]", domains)
            self._pointers = None  # at no time does it lead to games that are closed
            self._domains = domains
            self._pointers = pointers
        for domain in self._domains:
            lib.qg_domain_abandon(domain)
        self._steps["end"] = True  # so that the next step begins all games
        return self._step(), {}

    def _step(self):
        if self._played.noop_max > 0 and (self._steps["end"] | self._steps["truncated"]).any():
            self._noops[:] = self._played.draw_noops(self.np_random, self.num_envs)
        seen = np.empty(self.observation_space.shape, self.observation_space.dtype)
        if with_points(lib.qg_domains_step, self._pointers, self.num_envs, self._room[0],
                       self._room[1], self._room[2], ffi.cast("uint8_t *", seen.ctypes.data), self._error):
            raise error_of(self._error.code, self._error)
        return seen

    def step(self, actions):
        if self._pointers is None:
            raise UsageError("step: no game has begun: reset them")
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise UsageError(f"step: integers [{self.num_envs}] are expected, not {actions.dtype} "
                             f"{list(actions.shape)}")
        if actions.min() < 0 or actions.max() >= len(self.action_names):
            raise UsageError(f"step: actions are 0 to {len(self.action_names) - 1}")
        self._actions[:] = actions
        seen, s = self._step(), self._steps
        return (seen, s["reward"].copy(), s["end"].copy(), s["truncated"].copy(),
                {"life_lost": s["life_lost"].copy()})

    def close_extras(self, **kwargs):
        self._domains, self._pointers = None, None
