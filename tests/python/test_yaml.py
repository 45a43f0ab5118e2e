"""YAML as people write it: what a file means is what PyYAML says it means. A study's plan holds a hash
of all that its file determines, so that a file and its expansion by PyYAML have one plan."""

import itertools
import json
import os
import random
import subprocess

import pytest
import yaml

QGRAFT = os.environ["QGRAFT"]


def plan(folder, text, code=0):
    """Each run with its tasks, of which a hash tells all; or the refusal."""
    (folder / "study.yaml").write_text(text)
    result = subprocess.run([QGRAFT, "run", "study.yaml", "--plan", "--json"], cwd=folder, timeout=1200,
                            capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    if code:
        return result.stderr
    return {run["run"]: (run["what"], run["tasks"]) for run in json.loads(result.stdout)["runs"]}


def settings(folder, text):
    (folder / "settings.yaml").write_text(text)
    result = subprocess.run([QGRAFT, "train", "minatar/breakout", "--settings", "--config",
                             folder / "settings.yaml"], capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    lines = [line.split("#")[0].split(":", 1) for line in result.stdout.splitlines()]
    return {key: value.strip() for key, value in lines}


def assert_same(folder, text):
    """The plan of a file is that of what PyYAML makes of it. (JSON is YAML.)"""
    assert plan(folder, text) == plan(folder, json.dumps(yaml.safe_load(text)))


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes", "YES",
                                  "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"])
def test_booleans(tmp_path, word):
    value = yaml.safe_load(word)
    assert isinstance(value, bool)
    assert settings(tmp_path, f"clip_reward: {word}")["clip_reward"] == str(value).lower()


@pytest.mark.parametrize("word", ["1000000", "1_000_000", "+10_000", "12_3456", "100_0"])
def test_counts(tmp_path, word):
    assert int(settings(tmp_path, f"replay: {word}")["replay"]) == yaml.safe_load(word)


@pytest.mark.parametrize("word", ["0.5", "1.5e-3", "0.000_25", "1.", "1.0e-2", "+0.25", "0.1_2e+0"])
def test_reals(tmp_path, word):
    value = yaml.safe_load(word)
    assert isinstance(value, float)
    assert float(settings(tmp_path, f"learning_rate: {word}")["learning_rate"]) == value


@pytest.mark.parametrize("word", ["010", "0_10", "-017", "00"])
def test_leading_zeros_are_refused(tmp_path, word):
    """In YAML 1.1 they are octal, in 1.2 they are not."""
    assert yaml.safe_load("010") == 8
    assert "a number begins with 0" in plan(
        tmp_path, f"seeds: 1\nsteps: {word}\nruns: [{{game: minatar/breakout}}]", code=2)


STUDY = """
study: anchors
steps: 1_000
seeds: &seeds [1, 2]
x-settings: &usual {learn_start: 500, replay: 6_000, clip_reward: Yes, eval_every: &every 400}
settings: {<<: *usual, sticky: 0.2}
sources:
  b: &breakout {game: minatar/breakout, settings: {<<: *usual, eval_every: 200}}
  f:
    <<: *breakout
    game: minatar/freeway
  seaquest: {seeds: *seeds, <<: [{game: minatar/seaquest}, *breakout]}
runs:
  - &asterix {game: minatar/asterix, seeds: *seeds}
  - {<<: *asterix, from: &from [b, f], first: 2, freeze: On}
  - {<<: *asterix, name: slow, settings: &slow {target_every: *every, noop_max: 3}}
  - {<<: [*asterix, {first: 3, settings: *slow}], from: *from}
"""


def test_anchors_aliases_and_merge_keys(tmp_path):
    text = yaml.safe_load(STUDY)
    del text["x-settings"]  # holds an anchor, and means nothing
    assert plan(tmp_path, STUDY) == plan(tmp_path, json.dumps(text))
    assert len(plan(tmp_path, STUDY)) > 6


@pytest.mark.parametrize("change, message", [
    (("first: 2", "first: 2, first: 3"), "study.yaml:15: first: stands twice, on line 15 first"),
    (("*usual, sticky", "*usual, <<: *usual, sticky"), "study.yaml:6: <<: stands twice"),
    (("*slow", "*fast"), "study.yaml:17: *fast: there is no anchor &fast before"),
    (("x-settings", "y-settings"), "study.yaml:5: study: there is no key 'y-settings'"),
    (("clip_reward: Yes", "clip_reward: maybe"), "study.yaml:5: clip_reward: 'maybe' is neither"),
])
def test_refusals_name_the_line_where_it_stands(tmp_path, change, message):
    said = plan(tmp_path, STUDY.replace(*change), code=2)
    assert message in said and said.count("\n") == 1


LAUGHS = "".join(f"x-{c}: &{c} [{', '.join(['*' + chr(ord(c) - 1)] * 9) if c > 'a' else 'lol'}]\n"
                 for c in "abcdefg")


@pytest.mark.parametrize("text, message", [
    (LAUGHS, "the aliases (*name) make too many values"),
    ("x-a: &a [lol, *a]\n", "*a stands in what it names"),
    ("x-a: &a {<<: *a}\n", "*a stands in what it names"),
    ("x-a: [" + "&a 1, " * 2000 + "]\n", "too many anchors"),
    ("x-a: &a '" + "x" * 100_000 + "'\nx-b: [" + "*a, " * 50 + "]\n", "make too many values"),
    ("x-a: &a " + "[" * 7 + "]" * 7 + "\nx-b: [[[*a]]]\n", "nested too deeply"),
])
def test_expansion_has_limits(tmp_path, text, message):
    said = plan(tmp_path, text + "runs: [{game: minatar/breakout}]\n", code=2)
    assert message in said and said.count("\n") == 1 and len(said) < 600


def test_random_files(tmp_path):
    """Studies with anchors, aliases and merge keys thrown in at random."""
    dice = random.Random(3)
    games = ["minatar/asterix", "minatar/breakout", "minatar/freeway"]
    values = {"history": [1, 2, 3], "replay": ["6_000", "7000", "0.8e4"], "clip_reward": ["On", "no"],
              "sticky": [0.1, "0.2_5"], "learn_start": [600, "1_000"], "discount": ["0.9", "1."]}

    number = itertools.count()  # no two runs are the same

    def mapping(names):
        keys = dice.sample(sorted(values), dice.randint(1, 3))
        items = [f"{k}: {dice.choice(values[k])}" for k in keys] + [f"log_every: {100 + next(number)}"]
        if names and dice.random() < 0.7:
            some = dice.sample(names, dice.randint(1, min(2, len(names))))
            merge = f"*{some[0]}" if len(some) == 1 else f"[*{', *'.join(some)}]"
            items.insert(dice.randint(0, len(items)), f"<<: {merge}")
        return "{" + ", ".join(items) + "}"

    for _ in range(8):
        names, lines = [], ["study: dice", "steps: 2k", "seeds: 1", "runs:"]
        for i, game in enumerate(dice.choices(games, k=5)):
            text = mapping(names)
            if dice.random() < 0.6:
                text = f"&a{i} {text}"
                names.append(f"a{i}")
            lines.append(f"  - {{game: {game}, name: r{i}, settings: {text}}}")
        assert_same(tmp_path, "\n".join(lines))
