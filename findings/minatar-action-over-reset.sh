#!/bin/sh
# Package:   MinAtar 1.0.15, gymnasium 1.4.0 (Python, numpy 2.4.6)
# Behaviour: reset(seed=...) of MinAtar's environments does not make a game a function of its seed and
#            actions: the action that was done last in the game before stays, and where the first action
#            of the new game is replaced by it (sticky actions, one in ten), that game begins otherwise
#            than in a new environment, whose last action is none.
# Seen:      Breakout: of 200 seeds, 17 games differ from a new environment's after a game that ended with right
#            the same after a game that ended with none: 0
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import gymnasium
import minatar.gym
import numpy

minatar.gym.register_envs()
NONE, LEFT, RIGHT = range(3)  # of the minimal actions
SEEDS = 200


def make():
    return gymnasium.make("MinAtar/Breakout-v1", disable_env_checker=True)


def screens(env, seed):
    """Those of a game that goes left, as numbers."""
    screen, _ = env.reset(seed=seed)
    seen, ended = [screen], False
    while not ended and len(seen) < 20:
        screen, _, ended, _, _ = env.step(LEFT)
        seen.append(screen)
    return numpy.array(seen)


def differ(action):
    """Of how many seeds the game differs from a new environment's when `action` was done before."""
    count = 0
    for seed in range(SEEDS):
        used = make()
        used.reset(seed=1000)
        for _ in range(40):  # also where some of them are replaced
            used.step(action)
        count += not numpy.array_equal(screens(used, seed), screens(make(), seed))
    return count


print(f"Breakout: of {SEEDS} seeds, {differ(RIGHT)} games differ from a new environment's after a game that ended with right")
print(f"the same after a game that ended with none: {differ(NONE)}")
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check MinAtar==1.0.15 gymnasium==1.4.0 numpy==2.4.6
"$work/venv/bin/python" "$work/look.py" 2> "$work/errors" | tee "$work/seen"

cat > "$work/expected" << 'END'
Breakout: of 200 seeds, 17 games differ from a new environment's after a game that ended with right
the same after a game that ended with none: 0
END
if cmp -s "$work/seen" "$work/expected"; then
    echo 'as before: the last action outlives reset(seed=...)'
else
    cat "$work/errors" >&2
    echo 'changed: not what was seen before' >&2
    exit 1
fi
