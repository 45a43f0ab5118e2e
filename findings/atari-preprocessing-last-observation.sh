#!/bin/sh
# Package:   gymnasium 1.4.0, ale-py 0.12.1 (Python, numpy 2.4.6, opencv-python-headless 5.0.0.93)
# Behaviour: the last observation of an episode by AtariPreprocessing is not the screen where it ended
#            but, bit for bit, the observation of the step before: a step that meets the end leaves
#            its loop before it takes a screen, and pools the two of the step before again. It is so
#            at the end of a game and at its limit of frames (truncated), where learners
#            bootstrap from this observation, and with ale-py's AtariVectorEnv, too. The same frames
#            played without the wrapper show another screen.
# Seen:      Breakout: 10 games ended, 10 last observations are those of the step before
#            SpaceInvaders: 10 games truncated, 10 last observations are those of the step before; 10 screens are others
#            AtariVectorEnv, space_invaders: 10 games truncated, 10 last screens are those of the step before
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import ale_py
import cv2
import gymnasium
import numpy
from ale_py.vector_env import AtariVectorEnv
from gymnasium.wrappers import AtariPreprocessing

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
gymnasium.register_envs(ale_py)
GAMES, LIMIT = 10, 1003  # frames, so that the limit is met in the third frame of a step


def wrapped(game, **settings):
    """How many games ended, were truncated, repeated their last observation, and showed something else then."""
    raw = gymnasium.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0, **settings)
    env = AtariPreprocessing(raw, noop_max=0)
    actions = numpy.random.default_rng(0)
    counts = numpy.zeros(4, int)
    for seed in range(GAMES):
        observation, _ = env.reset(seed=seed)
        ended = truncated = False
        while not (ended or truncated):
            before = observation
            observation, _, ended, truncated, _ = env.step(int(actions.integers(env.action_space.n)))
        screen = cv2.resize(raw.unwrapped.ale.getScreenGrayscale(), (84, 84), interpolation=cv2.INTER_AREA)
        counts += (ended, truncated, numpy.array_equal(observation, before), not numpy.array_equal(screen, observation))
    return counts


def vectorised(game):
    env = AtariVectorEnv(game, 1, noop_max=0, use_fire_reset=False, max_num_frames_per_episode=LIMIT)
    actions = numpy.random.default_rng(0)
    counts = numpy.zeros(2, int)
    for seed in range(GAMES):
        stack, _ = env.reset(seed=numpy.array([seed]))
        truncated = [False]
        while not truncated[0]:
            before = stack[0, -1].copy()
            stack, _, _, truncated, _ = env.step(actions.integers(env.single_action_space.n, size=1))
        counts += (1, numpy.array_equal(stack[0, -1], before))
    return counts


ended, _, repeated, _ = wrapped("Breakout")
print(f"Breakout: {ended} games ended, {repeated} last observations are those of the step before")
_, truncated, repeated, others = wrapped("SpaceInvaders", max_num_frames_per_episode=LIMIT)
print(f"SpaceInvaders: {truncated} games truncated, {repeated} last observations are those of the step before;",
      f"{others} screens are others")
truncated, repeated = vectorised("space_invaders")
print(f"AtariVectorEnv, space_invaders: {truncated} games truncated, {repeated} last screens are those of the step before")
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gymnasium==1.4.0 ale-py==0.12.1 numpy==2.4.6 \
    opencv-python-headless==5.0.0.93
"$work/venv/bin/python" "$work/look.py" 2> "$work/errors" | tee "$work/seen"

cat > "$work/expected" << 'END'
Breakout: 10 games ended, 10 last observations are those of the step before
SpaceInvaders: 10 games truncated, 10 last observations are those of the step before; 10 screens are others
AtariVectorEnv, space_invaders: 10 games truncated, 10 last screens are those of the step before
END
if cmp -s "$work/seen" "$work/expected"; then
    echo 'as before: an episode ends with the observation of the step before'
else
    cat "$work/errors" >&2
    echo 'changed: not what was seen before' >&2
    exit 1
fi
