#!/usr/bin/env python3
"""Writes src/domain/atari/games.c from ale-py, the emulator's own Python package.

usage: make-atari-table.py DESTINATION

The file was generated once and is in the repository; this script is kept to show where every number
comes from. The families are chosen here, by hand, by the objective of the game; the palettes are
those of palette.c beside the file, of which each game's own screens say which is theirs.
"""

import json
import re
import sys
from pathlib import Path

import ale_py
import ale_py.roms
import numpy as np

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
    "paddle and ball": "breakout pong",
    "pinball": "video_pinball",
    "catching": "kaboom lost_luggage",
    "collect and avoid": "asterix journey_escape koolaid road_runner",
    "road crossing": "freeway frogger",
    "maze (Pac-Man family)": "alien amidar bank_heist",
    "maze (digging)": "mr_do",
    "maze (escape)": "entombed",
    "maze (trails)": "surround",
    "tile painting": "qbert",
    "platform": """elevator_action frostbite hero keystone_kapers king_kong montezuma_revenge
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

# Of the library of multi-agent-ale-py 0.1.12, which was qgraft's emulator before.
MODES_MOVED = """backgammon basic_math boxing entombed fishing_derby lost_luggage mario_bros othello pong
    space_invaders surround tennis""".split()


def families():
    table = {}
    for source, group in ((WIKIPEDIA, FAMILIES_OF_WIKIPEDIA), (OWN, FAMILIES_OF_OUR_OWN)):
        for family, games in group.items():
            for game in games.split():
                assert game not in table, game
                table[game] = (family, source)
    return table


def palettes(path):
    """Of palette.c: 256 colours each; the odd entries are greys."""
    found = {}
    for name, body in re.findall(r"qg_atari_(\w+)\[256\]\[3\] = \{(.*?)\};", path.read_text(), re.S):
        numbers = [int(n) for n in re.findall(r"\d+", body)]
        found[name] = [tuple(numbers[at : at + 3]) for at in range(0, len(numbers), 3)]
    return found


def ask(game, tables):
    """What the emulator says about one game."""
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", 1)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(game))
    codes = ale.getMinimalActionSet()
    answer = {  # the default mode is the first of the list (RomSettings::getDefaultMode)
        "modes": [int(m) for m in ale.getAvailableModes()],
        "difficulties": [int(d) for d in ale.getAvailableDifficulties()],
        "actions": [int(code.value) for code in codes],
    }
    seen = {}
    for frame in range(120):
        ale.act(codes[frame % len(codes)])
        indices, places = np.unique(ale.getScreen(), return_index=True)
        for index, color in zip(indices, ale.getScreenRGB().reshape(-1, 3)[places]):
            seen[int(index)] = tuple(int(c) for c in color)
    fitting = [
        name
        for name, table in tables.items()
        if all(table[index] == color for index, color in seen.items())
    ]
    assert len(fitting) == 1, (game, fitting)
    answer["palette"] = fitting[0]
    return answer


def c_string(text):
    return '"' + text.replace('"', '\\"') + '"'


def write_games(path):
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    listed = Path(ale_py.roms.__file__).parent / "md5.json"
    md5 = {name[:-4]: value for name, value in json.loads(listed.read_text()).items()}
    tables = palettes(path.parent / "palette.c")
    family = families()
    supported = {
        game
        for game in md5
        if ale_py.ALEInterface.isSupportedROM(str(listed.parent / f"{game}.bin")) == game
    }
    games = {game: ask(game, tables) for game in sorted(supported)}
    unplayable = sorted(set(md5) - supported)
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
                *[".modes_moved = true"] * (game in MODES_MOVED),
                "QG_ATARI_COMMON",
            ]
        )
        rows.append(f"    {{{row}}},")
        details.append(f'    {{"{md5[game]}", qg_atari_{answer["palette"]}}}, /* {game} */')

    lines = [
        "/* The catalogue of the Atari 2600 games: written by scripts/make-atari-table.py from the",
        f" * emulator itself (ale-py {ale_py.__version__}) and the MD5 list of its ROMs; not edited by hand. Modes and",
        " * difficulties are ALE's numbers, the default first. ROMs that ALE does not play (games for two):",
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


if __name__ == "__main__":
    write_games(Path(sys.argv[1]) / "games.c")
