"""The built-in MinAtar games against the Python package itself, frame for frame.

Random play is a weak test: it never clears the bricks, hardly ever crosses the road, never holds
six divers. So scripted players, who look into the package's own state, play their way to the deep
states with sticky actions on; what they did is replayed by `qgraft rollout`.
"""

import os
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file

Environment = pytest.importorskip("minatar").Environment

QGRAFT = os.environ.get("QGRAFT")
pytestmark = pytest.mark.skipif(not QGRAFT, reason="QGRAFT does not name the program")

GAMES = ["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
NONE, LEFT, UP, RIGHT, DOWN, FIRE = range(6)


class Player:
    """Plays the package and records what it gave: the expected side of every comparison."""

    def __init__(self, game, seed, at_reset=None):
        self.env = Environment(game)
        self.at_reset = at_reset  # called with the game: makes a level of its start
        self.codes = self.env.minimal_action_set()
        self.actions, self.observations, self.rewards, self.ends = [], [], [], []
        self.env.seed(seed)
        self.reset()

    @property
    def game(self):
        return self.env.env

    def reset(self):
        self.score = 0
        self.env.reset()
        if self.at_reset:
            self.at_reset(self.game)

    def play(self, action, look=None):
        reward, end = self.env.act(self.codes[action])
        self.actions.append(action)
        self.observations.append(self.env.state())
        self.rewards.append(reward)
        self.ends.append(end)
        self.score += reward
        if look:
            look(self)
        if end:
            self.reset()

    def play_script(self, script, acts, look=None):
        for _ in range(acts):
            self.play(self.codes.index(script(self.game)), look)


def rollout(tmp_path, domain, seed, *how):
    out = tmp_path / "rollout.safetensors"
    subprocess.run(
        [QGRAFT, "rollout", domain, *how, "--seed", str(seed), "--out", str(out)], check=True
    )
    return load_file(out)


def replay(tmp_path, domain, seed, actions):
    path = tmp_path / "actions.txt"
    path.write_text("".join(f"{action}\n" for action in actions))
    return rollout(tmp_path, domain, seed, "--actions", str(path))


def assert_same(got, player):
    """Compares in the order of time, so that a failure names the first act that differs."""
    expected = np.array(player.observations, dtype=np.uint8)
    assert got["observations"].dtype == np.uint8
    assert got["observations"].shape == expected.shape
    assert got["actions"].tolist() == player.actions
    differs = (got["observations"] != expected).any(axis=(1, 2, 3))
    differs |= got["rewards"] != np.array(player.rewards, dtype=np.float32)
    differs |= got["ends"] != np.array(player.ends, dtype=np.uint8)
    assert not differs.any(), f"first difference after act {differs.argmax()}"


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
@pytest.mark.parametrize("game", GAMES)
def test_random_play(tmp_path, game, seed):
    got = rollout(tmp_path, f"minatar/{game}", seed, "--random", "6000")
    player = Player(game, seed)
    assert set(got["actions"].tolist()) == set(range(len(player.codes)))
    for action in got["actions"].tolist():
        player.play(action)
    assert_same(got, player)


# Scripted players: one act of each, from the package's state.


def approach(now, target, back, on):
    return NONE if now == target else on if now < target else back


def play_breakout(game):
    """Foresees where the ball comes down, and mostly stands there: now and then it takes the ball
    with the corner instead, which breaks the cycles that the ball can fall into."""
    x, y, direction, strike = game.ball_x, game.ball_y, game.ball_dir, game.strike
    bricks = game.brick_map.copy()
    while True:
        old_x = x
        dx, dy = [(-1, -1), (1, -1), (1, 1), (-1, 1)][direction]
        x, next_y = x + dx, y + dy
        if not 0 <= x <= 9:
            x = min(max(x, 0), 9)
            direction = [1, 0, 3, 2][direction]
        hit = False
        if next_y < 0:
            next_y, direction = 0, [3, 2, 1, 0][direction]
        elif bricks[next_y, x]:
            hit = True
            if not strike:
                strike, bricks[next_y, x] = True, 0
                next_y, direction = y, [3, 2, 1, 0][direction]
        elif next_y == 9:
            break
        strike = strike and hit
        y = next_y
    target = x if (game.ball_x // 2 + int(game.brick_map.sum())) % 3 == 0 else old_x
    return approach(game.pos, target, LEFT, RIGHT)


def play_freeway(game):
    """Walks up when no car is about to come to the chicken's column in the row above."""
    if game.pos > 1:
        x, _, timer, speed = game.cars[game.pos - 2]
        cells, next_x = {x}, x
        for _ in range(4):
            if timer == 0:
                timer = abs(speed)
                next_x = (next_x + (1 if speed > 0 else -1)) % 10
                cells.add(next_x)
            else:
                timer -= 1
        if 4 in cells:
            return NONE
    return UP


def dangers(objects, moves_in):
    """The cells that objects [x, y, right, ...] hold in the coming act or enter in it."""
    cells = set()
    for thing in objects:
        cells.add((thing[0], thing[1]))
        if moves_in(thing) <= 1:
            step = 1 if thing[2] else -1
            cells.add((thing[0] + step, thing[1]))
            cells.add((thing[0] + 2 * step, thing[1]))
    return cells


def moved(x, y, code, top, bottom):
    return {
        LEFT: (max(0, x - 1), y),
        RIGHT: (min(9, x + 1), y),
        UP: (x, max(top, y - 1)),
        DOWN: (x, min(bottom, y + 1)),
    }.get(code, (x, y))


def play_asterix(game):
    """Stays where the next enemy needs longest, takes gold that is near, keeps off the borders."""

    def time_to_hit(x, y):
        entity = game.entities[y - 1]
        if entity is None or entity[3]:
            return 12
        ahead = (x - entity[0]) * (1 if entity[2] else -1)
        if ahead < 0:
            return 12
        if ahead == 0:
            return -100
        return game.move_timer + (ahead - 1) * game.move_speed

    def value(code):
        x, y = moved(game.player_x, game.player_y, code, 1, 8)
        return min(time_to_hit(x, y), 12) - 0.3 * abs(x - 4.5) - 0.05 * abs(y - 4.5)

    return max([NONE, LEFT, UP, RIGHT, DOWN], key=value)


def play_seaquest(game):
    """Keeps out of the way, picks up divers, goes up with six of them; once that has left -1 divers
    aboard, bobs at the surface, which makes the game harder each time."""
    cells = dangers(game.e_fish + game.e_subs, lambda thing: thing[3])
    cells |= dangers(game.e_bullets, lambda thing: 0)
    crew, oxygen = game.diver_count, game.oxygen
    if crew < 0:
        target = (game.sub_x, 0 if game.sub_y else 1)
    elif crew == 6 or (crew > 0 and oxygen < 10 + 3 * game.sub_y):
        target = (game.sub_x, 0)
    elif game.divers:
        near = min(game.divers, key=lambda d: abs(d[0] - game.sub_x) + abs(d[1] - game.sub_y))
        target = (min(max(near[0] + (2 if near[2] else -2), 0), 9), near[1])
        if abs(near[0] - game.sub_x) <= 2 or near[1] != game.sub_y:
            target = (near[0], near[1])
    else:
        target = (4, 4)

    def value(code):
        x, y = moved(game.sub_x, game.sub_y, code, 0, 8)
        far = abs(x - target[0]) + abs(y - target[1])
        if y == 0 and game.sub_y > 0 and (crew == 0 or target[1] > 0):
            return -1000 - far
        border = 4 if x in (0, 9) else 0
        return -(100 if (x, y) in cells else 0) - far - border

    if game.shot_timer == 0 and (game.sub_x, game.sub_y) not in cells:
        for thing in game.e_fish + game.e_subs:
            if thing[1] == game.sub_y and (thing[0] > game.sub_x) == game.sub_or:
                return FIRE
    return max([NONE, LEFT, UP, RIGHT, DOWN], key=value)


def play_submerged(game):
    """As play_seaquest, but never goes up: the oxygen runs out."""
    crew, oxygen, game.diver_count, game.oxygen = game.diver_count, game.oxygen, 0, 200
    code = play_seaquest(game)
    game.diver_count, game.oxygen = crew, oxygen
    return code


def shots(game):
    """Where to fire from and when: (acts from now, column) of the shots that will hit, if no alien
    dies before. A shot in an act is in row 8 after it, one row higher after each further act."""
    boards, aliens, direction = [], game.alien_map, game.alien_dir
    timer = game.alien_move_timer
    for _ in range(18):
        if timer == 0:
            timer = min(np.count_nonzero(aliens), game.enemy_move_interval)
            if aliens[:, 0 if direction < 0 else 9].any():
                direction = -direction
                aliens = np.roll(aliens, 1, axis=0)
            else:
                aliens = np.roll(aliens, direction, axis=1)
        timer -= 1
        boards.append(aliens)
    for wait in range(10):
        for x in range(10):
            if any(boards[wait + flight][8 - flight, x] for flight in range(9)):
                yield wait, x


def play_space_invaders(game):
    """Keeps out of the bullets' columns, goes where it can soonest fire a shot that will hit."""
    bullets = game.e_bullet_map

    def falls(x):
        return 100 * bullets[8, x] + 20 * bullets[7, x] + 5 * bullets[6, x] + 2 * bullets[5, x]

    in_time = [
        shot
        for shot in shots(game)
        if shot[0] >= max(game.shot_timer, abs(shot[1] - game.pos))
    ]
    wait, target = min(
        in_time, key=lambda shot: (shot[0], abs(shot[1] - game.pos)), default=(9, 4)
    )

    def value(code):
        x, _ = moved(game.pos, 9, code, 9, 9)
        return -falls(x) - abs(x - target) + 0.5 * (code == FIRE and wait == 0 and x == target)

    return max([NONE, LEFT, RIGHT, FIRE], key=value)


def play_hidden(game):
    """Shortens the aliens' rightmost column, then only keeps out of the bullets' way, in the right
    corner: so that the aliens can come down beside the cannon and march off in its row."""
    bullets, aliens = game.e_bullet_map, game.alien_map
    rows, columns = np.nonzero(aliens)
    last = columns.max()
    short = rows[columns == last].max() < rows.max() - 1
    target = 9 if short else min(max(last + game.alien_dir, 0), 9)
    fire = not short and game.pos == target and game.shot_timer == 0

    def value(code):
        x, _ = moved(game.pos, 9, code, 9, 9)
        falls = sum(bullets[y, x] * 2.0**y for y in range(9))
        return -falls - 1000 * aliens[9, x] - 0.1 * abs(x - target) + 0.05 * (code == FIRE and fire)

    return max([NONE, LEFT, RIGHT, FIRE] if fire else [NONE, LEFT, RIGHT], key=value)


# game, script, acts, and what it must reach at least once (looked at before a reset).
SCRIPTS = {
    "asterix: all ramps": (
        "asterix", play_asterix, 6000, [lambda p: p.game.ramp_index == 9]),
    "breakout: new bricks": (
        "breakout", play_breakout, 6000, [lambda p: p.score > 30]),
    "freeway: crossings": (
        "freeway", play_freeway, 5500, [lambda p: p.score > 10, lambda p: p.ends[-1]]),
    "seaquest: six divers, all ramps": (
        "seaquest", play_seaquest, 6000,
        [lambda p: p.rewards[-1] > 1 and p.game.diver_count == -1,
         lambda p: p.game.diver_count < -1,
         lambda p: p.game.ramp_index == 19 and len(p.game.e_fish + p.game.e_subs) > 15]),
    "seaquest: no oxygen": (
        "seaquest", play_submerged, 2000, [lambda p: p.game.oxygen < 0 and p.ends[-1]]),
    "space_invaders: all ramps": (
        "space_invaders", play_space_invaders, 2500,
        [lambda p: p.game.enemy_move_interval == 6 and p.score > 7 * 24]),
    "space_invaders: landing": (
        "space_invaders", play_hidden, 4000,
        [lambda p: p.game.alien_map[9].any(),
         lambda p: p.game.alien_map[0].any() and p.game.alien_map[8].any()]),
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripted_play(tmp_path, name, seed):
    game, script, acts, marks = SCRIPTS[name]
    reached = [False] * len(marks)

    def look(player):
        for i, mark in enumerate(marks):
            reached[i] = reached[i] or bool(mark(player))

    player = Player(game, seed)
    player.play_script(script, acts, look)
    assert all(reached), "the script did not get as deep as it should"
    assert_same(replay(tmp_path, f"minatar/{game}", seed, player.actions), player)


# Levels: the package has none, but its games can be put where k ramps would have put them.


def ramp_asterix(game, ramps):
    for k in range(ramps):
        game.move_speed -= game.move_speed > 1 and k % 2
        game.spawn_speed -= game.spawn_speed > 1
    game.ramp_index = ramps
    game.move_timer, game.spawn_timer = game.move_speed, game.spawn_speed


def ramp_seaquest(game, ramps):
    for k in range(ramps):
        game.move_speed -= game.move_speed > 2 and k % 2
        game.e_spawn_speed -= game.e_spawn_speed > 1
    game.ramp_index = ramps
    game.e_spawn_timer = game.e_spawn_speed


def ramp_space_invaders(game, ramps):
    game.enemy_move_interval -= ramps
    game.ramp_index = ramps
    game.alien_move_timer = game.enemy_move_interval


@pytest.mark.parametrize(
    "game, ramp, script, levels",
    [
        ("asterix", ramp_asterix, play_asterix, 10),
        ("seaquest", ramp_seaquest, play_seaquest, 20),
        ("space_invaders", ramp_space_invaders, play_space_invaders, 7),
    ],
)
def test_levels(tmp_path, game, ramp, script, levels):
    for level in sorted({2, (levels + 1) // 2, levels}):
        player = Player(game, level, lambda start: ramp(start, level - 1))
        player.play_script(script, 1500)
        name = f"minatar/{game}:level={level}"
        assert_same(replay(tmp_path, name, level, player.actions), player)
