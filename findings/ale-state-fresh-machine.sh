#!/bin/sh
# Package:   ale-py 0.12.1 (Python, numpy 2.4.6)
# Behaviour: a state of Q*bert (cloneSystemState) that is restored into a new ALEInterface with the
#            same ROM goes on otherwise than it does in the one that it was cloned from: the RAM
#            differs from the first frame on. Breakout's does not.
# Seen:      breakout: 0 of 100 frames have other RAM
#            qbert: 100 of 100 frames have other RAM
# Exits 0 as long as this is so, 1 when it changes. Needs python3 with venv, and PyPI.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

cat > "$work/look.py" << 'END'
import ale_py
import ale_py.roms

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def machine(game):
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", 1)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(game))
    return ale


for game in ("breakout", "qbert"):
    one, other = machine(game), machine(game)
    actions = one.getMinimalActionSet()
    for frame in range(400):
        one.act(actions[frame // 4 % len(actions)])
    other.restoreSystemState(one.cloneSystemState())
    differ = 0
    for frame in range(100):
        one.act(actions[frame // 4 % len(actions)])
        other.act(actions[frame // 4 % len(actions)])
        differ += (one.getRAM() != other.getRAM()).any()
    print(f"{game}: {differ} of 100 frames have other RAM")
END

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ale-py==0.12.1 numpy==2.4.6
"$work/venv/bin/python" "$work/look.py" | tee "$work/seen"

if grep -qFx 'breakout: 0 of 100 frames have other RAM' "$work/seen" &&
    grep -qE '^qbert: [1-9][0-9]* of 100 frames have other RAM$' "$work/seen"; then
    echo 'as before: a state of Q*bert goes on otherwise in a new machine'
else
    echo 'changed: not what was seen before' >&2
    exit 1
fi
