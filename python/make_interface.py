"""Tells cffi what the public headers declare: make_interface.py OUT.py HEADER... -- CC [OPTION...]

Writes a module whose `ffi` knows every type and function of them (cffi's out-of-line ABI mode: there
is nothing to compile), so that no layout is written down a second time in Python.
"""

import os
import re
import subprocess
import sys

import cffi

out, *words = sys.argv[1:]
headers, compiler = words[: words.index("--")], words[words.index("--") + 1 :]
folder = os.path.realpath(os.path.dirname(headers[0]))


def declarations():
    """The text of the public headers alone, preprocessed."""
    text = "".join(f"#include <qgraft/{os.path.basename(h)}>\n" for h in headers)
    command = [*compiler, "-E", "-D__attribute__(x)=", "-x", "c", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    lines, ours = [], False
    for line in result.splitlines():
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            ours = os.path.realpath(os.path.dirname(marker[1])) == folder
        elif ours:
            lines.append(line)
    return "\n".join(lines)


def constants():
    """Whole numbers that are #defined."""
    for header in headers:
        with open(header) as file:
            yield from re.findall(r"^#define (QG_\w+) +(\(?-?\d+\)?)(?= |$)", file.read(), re.M)


text = re.sub(r"static inline [^{;]*\{.*?^\}", "", declarations(), flags=re.S | re.M)
ffi = cffi.FFI()
ffi.cdef("typedef int sig_atomic_t; void free(void *);" + text)
ffi.cdef("".join(f"#define {name} {value.strip('()')}\n" for name, value in constants()))
ffi.set_source("qgraft._interface", None)
ffi.emit_python_code(out)
