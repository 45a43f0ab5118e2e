#!/usr/bin/env python3
"""Writes src/domain/atari/games.c and palette.c from the emulator itself.

usage: make-atari-table.py FOLDER DESTINATION

FOLDER is what fetch-atari.sh made. The two files were generated once and are in the repository;
this script is kept to show where every number comes from. Each game is asked in a process of its
own, because the emulator ends the process on a two-player game. The families are chosen here, by
hand, by the objective of the game.
"""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

ACTIONS = """noop fire up right left down upright upleft downright downleft upfire rightfire leftfire
downfire uprightfire upleftfire downrightfire downleftfire""".split()

OWN = "qgraft's own reading of the objective"
WIKIPEDIA = "Wikipedia genre"

# Games whose genre Wikipedia's article names so.
FAMILIES_OF_WIKIPEDIA = {
    "fixed shooter": "space_invaders galaxian centipede phoenix demon_attack",
    "multidirectional shooter": "asteroids gravitar time_pilot",
    "scrolling shooter": "defender riverraid zaxxon chopper_command",
    "platform": "donkey_kong mario_bros pitfall kangaroo",
    "maze (Pac-Man family)": "pacman ms_pacman",
    "beat 'em up": "kung_fu_master",
}

FAMILIES_OF_OUR_OWN = {
    "fixed shooter": "air_raid assault beam_rider carnival name_this_game pooyan turmoil",
    "multidirectional shooter": "space_war yars_revenge",
    "scrolling shooter": "jamesbond laser_gates star_gunner",
    "submarine shooter": "seaquest",
    "first-person shooter": "battle_zone robotank solaris",
    "maze shooter": "berzerk tutankham wizard_of_wor",
    "arena shooter": "trondead",
    "shooting gallery": "crossbow",
    "defence of a base": "atlantis atlantis2 gopher",
    "paddle and ball": "breakout pong warlords",
    "pinball": "video_pinball",
    "catching": "kaboom lost_luggage",
    "collect and avoid": "asterix journey_escape koolaid road_runner",
    "road crossing": "freeway frogger",
    "maze (Pac-Man family)": "alien amidar bank_heist",
    "maze (digging)": "mr_do",
    "maze (escape)": "entombed",
    "maze (trails)": "surround",
    "tile painting": "qbert",
    "platform": """elevator_action frostbite hero joust keystone_kapers king_kong montezuma_revenge
        pitfall2 sir_lancelot""",
    "climbing": "crazy_climber",
    "driving": "enduro up_n_down",
    "sports": """bowling boxing double_dunk fishing_derby ice_hockey miniature_golf skiing
        tennis""",
    "ballistics": "human_cannonball",
    "adventure": "adventure earthworld et haunted_house krull private_eye superman",
    "dungeon crawl": "darkchambers venture",
    "board game": "backgammon othello tic_tac_toe_3d video_checkers video_chess",
    "card game": "blackjack casino",
    "falling blocks": "klax tetris",
    "puzzle": "flag_capture video_cube",
    "words and numbers": "basic_math hangman word_zapper",
}

LEVELS = {"qbert": 2}


def families():
    table = {}
    for source, group in ((WIKIPEDIA, FAMILIES_OF_WIKIPEDIA), (OWN, FAMILIES_OF_OUR_OWN)):
        for family, games in group.items():
            for game in games.split():
                assert game not in table, game
                table[game] = (family, source)
    return table


def library(folder):
    lib = ctypes.CDLL(str(folder / "libale_c.so"))
    lib.ALE_new.restype = ctypes.c_void_p
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, arguments in {
        "setInt": [pointer, ctypes.c_char_p, number],
        "setFloat": [pointer, ctypes.c_char_p, ctypes.c_float],
        "loadROM": [pointer, ctypes.c_char_p],
        "act": [pointer, number],
        "getScreenHeight": [pointer],
        "getScreen": [pointer, pointer],
        "getScreenRGB": [pointer, pointer],
        "getAvailableModesSize": [pointer, number],
        "getAvailableModes": [pointer, pointer, number],
        "getAvailableDifficultiesSize": [pointer],
        "getAvailableDifficulties": [pointer, pointer],
        "getMinimalActionSize": [pointer],
        "getMinimalActionSet": [pointer, pointer],
    }.items():
        getattr(lib, name).argtypes = arguments
    return lib


def palettes(lib):
    """The emulator's own tables: 256 numbers 0xRRGGBB each; the odd entries are greys."""
    return {
        name: list((ctypes.c_uint32 * 256).in_dll(lib, f"_ZN3ale{len(name) + 7}{name}PaletteE"))
        for name in ("NTSC", "PAL")
    }


def ask(folder, game):
    """What the emulator says about one game; ends the process on a two-player game."""
    lib = library(folder)
    lib.setLoggerMode(2)
    ale = lib.ALE_new()
    lib.setInt(ale, b"random_seed", 1)
    lib.setFloat(ale, b"repeat_action_probability", 0)
    lib.loadROM(ale, str(folder / "roms" / f"{game}.bin").encode())

    def numbers(count, fill):
        block = (ctypes.c_int * max(count, 1))()
        fill(block)
        return list(block)[:count]

    answer = {
        "modes": numbers(
            lib.getAvailableModesSize(ale, 1), lambda b: lib.getAvailableModes(ale, b, 1)
        ),
        "difficulties": numbers(
            lib.getAvailableDifficultiesSize(ale), lambda b: lib.getAvailableDifficulties(ale, b)
        ),
        "actions": numbers(
            lib.getMinimalActionSize(ale), lambda b: lib.getMinimalActionSet(ale, b)
        ),
    }
    size = 160 * lib.getScreenHeight(ale)
    screen, rgb = (ctypes.c_ubyte * size)(), (ctypes.c_ubyte * (3 * size))()
    seen = {}
    for frame in range(120):
        lib.act(ale, answer["actions"][frame % len(answer["actions"])])
        lib.getScreen(ale, screen)
        lib.getScreenRGB(ale, rgb)
        indices, colors = bytes(screen), bytes(rgb)
        for index in set(indices):
            at = 3 * indices.index(index)
            seen[index] = int.from_bytes(colors[at : at + 3], "big")
    fitting = [
        name
        for name, table in palettes(lib).items()
        if all(table[index] == color for index, color in seen.items())
    ]
    assert len(fitting) == 1, (game, fitting)
    answer["palette"] = fitting[0]
    print(json.dumps(answer))


def c_string(text):
    return '"' + text.replace('"', '\\"') + '"'


def write_games(folder, path):
    md5 = {name[:-4]: value for name, value in json.loads((folder / "md5.json").read_text()).items()}
    family = families()
    games, unplayable = {}, []
    for game in sorted(md5):
        child = subprocess.run(
            [sys.executable, __file__, "--ask", folder, game], capture_output=True, text=True
        )
        if child.returncode == 0:
            games[game] = json.loads(child.stdout)
        else:
            unplayable.append(game)
    assert set(family) == set(games), set(family) ^ set(games)

    arrays = {}  # contents -> name, so that games share what is equal

    def array(kind, values):
        return arrays.setdefault((kind, tuple(values)), f"{kind}_{len(arrays)}")

    rows, details = [], []
    for game, answer in games.items():
        names = [ACTIONS[code] for code in answer["actions"]]
        row = ", ".join(
            [
                f".name = {c_string(game)}",
                f".family = {c_string(family[game][0])}",
                ".family_source = " + ("wikipedia" if family[game][1] == WIKIPEDIA else "own"),
                f".actions = {array('actions', names)}",
                f".action_count = {len(names)}",
                f".modes = {array('numbers', answer['modes'])}",
                f".mode_count = {len(answer['modes'])}",
                f".difficulties = {array('numbers', answer['difficulties'])}",
                f".difficulty_count = {len(answer['difficulties'])}",
                f".levels = {LEVELS.get(game, 1)}",
                "QG_ATARI_COMMON",
            ]
        )
        rows.append(f"    {{{row}}},")
        details.append(f'    {{"{md5[game]}", qg_atari_{answer["palette"].lower()}}}, /* {game} */')

    lines = [
        "/* The catalogue of the Atari 2600 games: written by scripts/make-atari-table.py from the",
        " * emulator itself and the MD5 list of its ROMs; not edited by hand. Modes and difficulties are",
        " * the emulator's numbers, the default first. Not playable by one player, and so not listed:",
        f" * {', '.join(unplayable)}. */",
        '#include "domain/atari/catalogue.h"',
        "",
        f"static const char wikipedia[] = {c_string(WIKIPEDIA)};",
        f"static const char own[] = {c_string(OWN)};",
        "",
    ]
    for (kind, values), name in arrays.items():
        if kind == "actions":
            lines.append(
                f"static const char *const {name}[] = {{{', '.join(map(c_string, values))}}};"
            )
        else:
            lines.append(f"static const int {name}[] = {{{', '.join(map(str, values))}}};")
    lines += ["", "const qg_game qg_atari_games[QG_ATARI_GAMES] = {", *rows, "};", ""]
    lines += ["const qg_atari_detail qg_atari_details[QG_ATARI_GAMES] = {", *details, "};"]
    path.write_text("\n".join(lines) + "\n")
    print(f"{len(games)} games; not playable: {', '.join(unplayable)}")


def write_palettes(folder, path):
    lines = [
        "/* The emulator's two palettes: written by scripts/make-atari-table.py from the emulator",
        " * itself; not edited by hand. Odd entries are greys: a PAL screen with an odd number of lines",
        " * loses its colours. */",
        '#include "domain/atari/catalogue.h"',
    ]
    for name, table in palettes(library(folder)).items():
        lines += ["", f"const uint8_t qg_atari_{name.lower()}[256][3] = {{"]
        for at in range(0, 256, 4):
            lines.append(
                "    "
                + " ".join(
                    "{%d, %d, %d}," % (c >> 16 & 255, c >> 8 & 255, c & 255)
                    for c in table[at : at + 4]
                )
            )
        lines.append("};")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        ask(Path(sys.argv[2]), sys.argv[3])
    else:
        source, destination = Path(sys.argv[1]), Path(sys.argv[2])
        write_games(source, destination / "games.c")
        write_palettes(source, destination / "palette.c")
