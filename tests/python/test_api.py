"""The library from outside: the public headers in C and C++, an installed copy, the examples,
and games of the user's own as plugins."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load_file

from test_cli import QGRAFT, qgraft

SOURCE = Path(__file__).parents[2]
BUILD = Path(QGRAFT).resolve().parents[2]
EXAMPLES = BUILD / "examples"
PLUGIN = EXAMPLES / "my_game.so"
WITH_CATCH = {**os.environ, "QGRAFT_PLUGINS": str(PLUGIN)}
QUICK = [f"--set={setting}" for setting in (
    "learn_start=500", "epsilon_steps=3k", "update_every=1", "target_every=300", "discount=0.95",
    "sticky=0", "eval_every=6k", "eval_steps=2k")]


def run(*command, code=0, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            timeout=1200, **options)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def refusal(*arguments, code=2, **options):
    """The error of a command that must fail with exactly one line."""
    error = qgraft(*arguments, code=code, **options).stderr
    assert error.startswith("qgraft: ") and error.count("\n") == 1, error
    return error


def compile_game(folder, *changes, include=SOURCE / "include"):
    """my_game.c with texts replaced, as a plugin."""
    text = (SOURCE / "examples" / "my_game.c").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "game.c").write_text(text)
    run("cc", "-std=c17", "-shared", "-fPIC", f"-I{include}", "-o", folder / "game.so",
        folder / "game.c")
    return folder / "game.so"


def rollout(path, *arguments):
    qgraft("rollout", "catch", "--random", 500, *arguments, "--out", path, env=WITH_CATCH)
    return load_file(path)


@pytest.fixture(scope="module")
def breakout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("breakout") / "run"
    qgraft("train", "minatar/breakout", "--steps", 0, "--out", folder, "--quiet")
    return folder / "last.safetensors"


@pytest.fixture(scope="module")
def catcher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catch") / "run"
    qgraft("train", "catch", "--domain-plugin", PLUGIN, "--steps", "6k", "--out", folder, "--quiet",
           *QUICK)
    return folder


# ------------------------------------------------------------------------------ the examples


def test_the_embedded_agent_plays(breakout):
    assert len((SOURCE / "examples" / "embed_agent.c").read_text().splitlines()) <= 60
    text = run(EXAMPLES / "embed_agent", breakout).stdout
    assert text.startswith("minatar/breakout: score ") and text.endswith(" steps\n")
    assert run(EXAMPLES / "embed_agent", breakout).stdout == text


def test_the_embedded_agent_says_what_is_wrong(tmp_path, breakout):
    assert "name a network" in run(EXAMPLES / "embed_agent", code=1).stderr
    assert "No such file" in run(EXAMPLES / "embed_agent", tmp_path / "none", code=1).stderr
    assert "not a shared object" in run(EXAMPLES / "embed_agent", breakout, breakout, code=1).stderr


def test_the_embedded_graft_trains(tmp_path, breakout):
    target, folder = "minatar/space_invaders", tmp_path / "run"
    text = run(EXAMPLES / "embed_graft", breakout, target, "first 2 frozen", folder, 0).stdout
    assert "conv2: conv2, frozen" in text and "conv3: fresh, free" in text
    qgraft("graft", breakout, "--to", target, "--first", 2, "--freeze", "--steps", 0, "--out",
           tmp_path / "same", "--quiet")
    for name in ("last.safetensors", "run.yaml"):  # the pedigree is in both
        assert (folder / name).read_bytes() == (tmp_path / "same" / name).read_bytes()
    for words, message in ((("first 6", "x"), "`first` 6: the networks have 5 and 5"),
                           (("some", "x"), "'some' is no choice of layers")):
        assert message in run(EXAMPLES / "embed_graft", breakout, target, *words, code=1).stderr


def test_the_game_is_in_the_catalogue():
    listed = json.loads(qgraft("games", "--json", "--domain-plugin", PLUGIN).stdout)
    game, = (game for game in listed if game["name"] == "catch")
    assert game["actions"] == ["noop", "left", "right"] and game["family"] == "paddle and ball"
    assert "catch" in qgraft(f"--domain-plugin={PLUGIN}", "games").stdout
    assert "catch" in qgraft("games", "--domain-plugin", PLUGIN, "--domain-plugin", PLUGIN).stdout
    assert "unknown game 'catch'" in refusal("train", "catch")
    assert "did you mean 'catch'" in refusal("train", "catsh", env=WITH_CATCH)


def test_rollouts_are_functions_of_the_seed(tmp_path):
    first, again, other = (rollout(tmp_path / "r", "--seed", seed) for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert not (first["observations"] == other["observations"]).all()
    assert first["observations"].shape == (500, 10, 10, 2) and first["observations"].max() == 1
    assert set(numpy.flatnonzero(first["ends"]) % 90) == {89}  # ten balls of nine rows


def test_the_library_plays_sticky_actions_and_skipped_frames(tmp_path):
    plain = rollout(tmp_path / "r", "--seed", 1, "--set", "sticky=0")
    default = rollout(tmp_path / "r", "--seed", 1)
    assert all((plain[name] == default[name]).all() for name in plain)
    sticky = rollout(tmp_path / "r", "--seed", 1, "--set", "sticky=1")
    assert (sticky["observations"][:, 9, 4:7, 0] == 1).all()  # the paddle never moves
    skipped = rollout(tmp_path / "r", "--seed", 1, "--set", "frame_skip=9")
    assert set(numpy.flatnonzero(skipped["ends"]) % 10) == {9}
    assert 0 < skipped["rewards"].mean() < 1


def test_an_agent_learns_the_game(catcher):
    scores = numpy.genfromtxt(catcher / "evaluations.csv", delimiter=",", names=True)["score"]
    assert scores[0] < 5 < 6 < scores[-1]
    text = run(EXAMPLES / "embed_agent", catcher / "best.safetensors", PLUGIN).stdout
    assert text.startswith("catch: score ") and text.endswith(" in 90 steps\n")


def test_other_commands_play_the_game(catcher):
    network = catcher / "best.safetensors"
    result = qgraft("evaluate", network, "--steps", 900, "--json", "--domain-plugin", PLUGIN)
    assert json.loads(result.stdout)["episodes"] == 10
    assert qgraft("play", network, "--episodes", 2, env=WITH_CATCH).stdout.count("episode") == 2
    assert "unknown game 'catch'" in refusal("evaluate", network)


@pytest.mark.parametrize("freeze", [[], ["--freeze"]])
def test_layers_of_another_game_are_grafted(tmp_path, breakout, freeze):
    qgraft("graft", breakout, "--to", "catch", "--first", 3, *freeze, "--steps", 700, "--out",
           tmp_path / "run", "--quiet", *QUICK, "--domain-plugin", PLUGIN)
    source, grafted = load_file(breakout), load_file(tmp_path / "run" / "last.safetensors")
    for name in ("conv1.weight", "conv2.bias", "conv3.weight"):
        assert (source[name] == grafted[name]).all() == bool(freeze)
    assert grafted["fc2.weight"].shape[0] == 3


def test_a_game_that_cuts_itself_off(tmp_path, catcher):
    plugin = compile_game(tmp_path, ("frame->end = true;", "frame->truncated = true;"))
    qgraft("rollout", "catch", "--random", 500, "--seed", 1, "--set", "max_episode_frames=1000",
           "--out", tmp_path / "r", "--domain-plugin", plugin)
    played = load_file(tmp_path / "r")
    assert not played["ends"].any() and played["truncations"].sum() == 500 // 90
    text = run(EXAMPLES / "embed_agent", catcher / "best.safetensors", plugin).stdout
    assert text.endswith(" in 90 steps\n")


@pytest.mark.parametrize("saves", [True, False])
def test_what_a_stopped_run_says_of_going_on(tmp_path, saves):
    """A game that cannot be saved has no checkpoint to go on from."""
    without = [] if saves else [(".save = save,", ".save = NULL,"), (".restore = restore,", ".restore = NULL,")]
    game = compile_game(tmp_path, *without)
    process = subprocess.Popen([QGRAFT, "train", "catch", "--domain-plugin", game, "--steps=100M", "--quiet",
                                *QUICK, "--out", tmp_path / "run"], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run/best.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=1200)[1]
    assert process.returncode == 130 and ("--resume goes on with it" in said) == saves, said
    assert ("it has no checkpoint: --resume begins anew, and removes what is in" in said) != saves


def test_ram_that_shrinks(tmp_path):
    """A recording has room for as much as there was at first."""
    plugin = compile_game(tmp_path, (".picture = picture", ".picture = picture, .ram = ram"), (
        "static void picture(", """static const uint8_t *ram(void *self, size_t *size)
{
    static const uint8_t bytes[4];
    *size = ((catch_domain *)self)->game.ball_y > 4 ? 2 : 4;
    return bytes;
}

static void picture("""))
    words = ["rollout", "catch", "--seed", 1, "--raw", "--domain-plugin", plugin, "--out", tmp_path / "r"]
    qgraft(*words, "--random", 3)
    assert load_file(tmp_path / "r")["ram"].shape == (3, 4)
    assert "its RAM is 2 bytes after step 5, before 4" in refusal(*words, "--random", 9, code=1)


# ------------------------------------------------------------------------------------ errors


def refused(plugin, *words, code=1):
    line = refusal("games", "--domain-plugin", plugin, code=code)
    assert all(word in line for word in words), line
    return line


def test_files_that_are_no_plugins(tmp_path, breakout):
    refused(tmp_path / "none.so", "none.so", "No such file")
    refused(tmp_path, "not a file")
    refused(breakout, "not a shared object", "a safetensors file")
    refused("", "name the plugin's file", code=2)
    assert "name the plugin's file" in refusal("games", "--domain-plugin")
    (tmp_path / "empty.so").touch()
    refused(tmp_path / "empty.so", "not a shared object", "an empty file")
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", "not a file")
    assert "No such file" in refusal("games", code=1, env={"QGRAFT_PLUGINS": "/none.so"})
    assert qgraft("--version", env={"QGRAFT_PLUGINS": "/none.so"})


def test_plugins_that_are_cut_off(tmp_path):
    """The dynamic linker would die of them."""
    whole, refusals = PLUGIN.read_bytes(), 0
    for part in range(1, 25):
        cut = tmp_path / "cut.so"
        cut.write_bytes(whole[:len(whole) * part // 25])
        result = subprocess.run([QGRAFT, "games", "--domain-plugin", cut], capture_output=True,
                                text=True, timeout=1200)
        assert result.returncode in (0, 1), result  # what nothing of is mapped may be missing
        if result.returncode:
            refusals += 1
            assert "cannot be loaded" in result.stderr and result.stderr.count("\n") == 1
    assert refusals > 2


def test_objects_that_are_no_plugins(tmp_path):
    refused(compile_game(tmp_path, ("qg_plugin qg_plugin_entry", "qg_plugin other_entry")),
            "does not export 'qg_plugin_entry'")
    refused(compile_game(tmp_path, ('snprintf(error->message, sizeof error->message, "no memory")',
                                    'qg_fail(error, QG_ERROR_MEMORY, "no memory")')),
            "undefined symbol: qg_fail")
    for other in (1, 2):
        refused(compile_game(tmp_path, ("= QG_PLUGIN_VERSION", f"= {other}")),
                f"version {other}, but", "version 4", "compile it with this qgraft's headers")


@pytest.mark.parametrize("old, new, words", [
    ('"catch"', '"../catch"', "a-z, 0-9 and _"),
    ('"catch"', '"Catch"', "a-z, 0-9 and _"),
    ('"catch"', '"c' + 40 * "a" + '"', "1 to 40"),
    ('"catch"', "NULL", "name must be"),
    ('"left"', '"le,ft"', "action 1"),
    ('"left"', '"noop"', "both 'noop'"),
    ('"paddle and ball"', "NULL", "family"),
    ('"paddle and ball"', '"\\033[31m"', "family"),
    (".action_count = 3", ".action_count = 0", "0 actions; 1 to 256"),
    (".action_count = 3", ".action_count = 257", "257 actions; 1 to 256"),
    (".levels = 1", ".levels = 0", "0 levels"),
    (".levels = 1", ".levels = 1, .mode_count = 1", "modes"),
    (".max = 1", ".max = 7", "up to 7"),
    (".height = SIDE", ".height = 0", "0x10x2"),
    (".height = SIDE, .width = SIDE, .channels = CHANNELS",
     ".height = 1024, .width = 1024, .channels = 1024", "4194304 in all"),
    (".levels = 1", ".levels = 1, .defaults = &(const qg_game_defaults){0}", "preset's name"),
    (".levels = 1", '.levels = 1, .defaults = &(const qg_game_defaults){"grid", 0, 1, 1, 10}',
     "1 to 1000000000000 steps"),
    (".picture = picture", ".picture = NULL", "are needed"),
    (".restore = restore,", "", "together"),
])
def test_descriptions_that_are_not_possible(tmp_path, old, new, words):
    refused(compile_game(tmp_path, (old, new)), words)


def test_defaults_of_its_own(tmp_path):
    def trained(preset):
        plugin = compile_game(tmp_path, (".levels = 1", ".levels = 1, .defaults = &(const "
                              f'qg_game_defaults){{"{preset}", 400, 100, 1, 10}}'))
        return subprocess.run([QGRAFT, "train", "catch", "--quiet", "--out", tmp_path / preset, *QUICK,
                               "--domain-plugin", plugin], capture_output=True, text=True)
    assert trained("grid").returncode == 0
    assert "\nsteps: 400\n" in (tmp_path / "grid" / "run.yaml").read_text()
    unknown = trained("tiny")
    assert unknown.returncode == 2 and "there is no 'tiny'; allowed: dqn3, machado, grid, cleanrl, sb3, vector" in unknown.stderr


def test_a_name_that_is_taken(tmp_path):
    refused(compile_game(tmp_path, ('"catch"', '"pong"')), "a game 'pong' already", code=2)
    copy = shutil.copy(PLUGIN, tmp_path / "copy.so")
    assert "a game 'catch' already" in refusal("games", "--domain-plugin", copy, env=WITH_CATCH)


@pytest.mark.parametrize("old, new, words", [
    ("CHANNELS + 1] = 1;", "CHANNELS + 1] = 7;", "the value 7"),
    ("frame->reward = 1;", "frame->reward = 0.0f / 0.0f;", "no number"),
    ("return QG_OK;\n}\n\nstatic qg_status save",
     'strcpy(error->message, "lost the ball\\033");return QG_ERROR_IO;}\nstatic qg_status save',
     "catch: lost the ball?"),
    ("*self = domain;\n    return QG_OK;", "free(domain);\n    return QG_ERROR_USAGE;",
     "does not say why"),
])
def test_what_a_game_does_wrong(tmp_path, old, new, words):
    plugin = compile_game(tmp_path, (old, new))
    result = subprocess.run([QGRAFT, "rollout", "catch", "--random", "500", "--seed", "1", "--out",
                             tmp_path / "r", "--domain-plugin", plugin],
                            capture_output=True, text=True)
    assert result.returncode in (1, 2) and result.stderr.count("\n") == 1
    assert words in result.stderr and not (tmp_path / "r").exists()


# ------------------------------------------------------------------------- the installed copy


def test_headers_are_cpp_clean(tmp_path):
    headers = sorted((SOURCE / "include" / "qgraft").glob("*.h"))
    for name, language, compiler in (("c", "c", "cc"), ("cpp", "c++", "c++")):
        if not shutil.which(compiler):
            pytest.skip(f"there is no {compiler}")
        for chosen in [headers, *([header] for header in headers)]:  # each stands alone
            text = "".join(f"#include <qgraft/{header.name}>\n" for header in chosen)
            run(compiler, "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                f"-I{SOURCE / 'include'}", "-x", language, "-", input=text)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An installed copy, and the environment in which pkg-config finds it."""
    folder = tmp_path_factory.mktemp("installed")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--tags", "devel,runtime",
        "--destdir", folder)
    description, = folder.rglob("qgraft.pc")
    return folder, {**os.environ, "PKG_CONFIG_PATH": str(description.parent),
                    "PKG_CONFIG_SYSROOT_DIR": str(folder)}


def pkg_config(installed, *options):
    return run("pkg-config", *options, "qgraft", env=installed[1]).stdout.split()


def test_the_installed_program_runs(installed):
    program, = (path for path in installed[0].rglob("bin/qgraft"))
    assert run(program, "--version").stdout == qgraft("--version").stdout


def test_examples_build_against_the_installed_copy(installed, tmp_path, breakout, catcher):
    agent = tmp_path / "embed_agent"
    shutil.copy(SOURCE / "examples" / "embed_agent.c", tmp_path)
    run("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", agent, tmp_path / "embed_agent.c",
        *pkg_config(installed, "--cflags", "--libs"))
    assert run(agent, breakout).stdout == run(EXAMPLES / "embed_agent", breakout).stdout
    run("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "embed_graft",
        SOURCE / "examples" / "embed_graft.c", *pkg_config(installed, "--cflags", "--libs"))
    include, = (path.parent for path in installed[0].rglob("include/qgraft"))
    game = compile_game(tmp_path, include=include)
    assert "in 90 steps" in run(agent, catcher / "best.safetensors", game).stdout


def test_the_installed_archive_is_complete(installed, tmp_path):
    """Every object of it links with what qgraft.pc names."""
    libraries = pkg_config(installed, "--libs")
    place = libraries.index("-lqgraft")
    libraries[place:place + 1] = ["-Wl,--whole-archive", "-lqgraft", "-Wl,--no-whole-archive"]
    run("cc", "-x", "c", "-", "-x", "none", "-o", tmp_path / "all", *libraries,
        input="int main(void) { return 0; }")


def test_a_palette_that_changes(tmp_path):
    """Its first one would colour all pictures."""
    static = "static const uint8_t palette[][3] = {{0, 0, 0},"
    plugin = compile_game(tmp_path, (static, "static uint8_t palette[][3] = {{0, 0, 0},"), (
        "    *picture = (qg_picture)", "    palette[1][0]++;\n    *picture = (qg_picture)"))
    words = ["similarity", "catch", "minatar/breakout", "--domain-plugin"]
    qgraft(*words, PLUGIN)
    assert "of the same size and palette" in refusal(*words, plugin, code=1)
