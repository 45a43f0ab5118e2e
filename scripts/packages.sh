#!/bin/bash
# Debian's packages that targets of the Makefile need.
#   packages.sh check TARGET...     says what is missing and the command that installs it; exit 1 then
#   packages.sh install TARGET...   installs what is missing, as root or with sudo
# A TARGET is a word of the table's last column. Quick and silent when all is there.
set -euo pipefail

# PACKAGE CHECK TARGETS: the check looks for the thing itself, so that other ways to have it count.
# The target setup is what `make setup` installs beside build.
table='
    gcc                 cmd:cc                     build
    libc6-dev           header:stdio.h             build
    meson               cmd:meson                  build
    ninja-build         cmd:ninja                  build
    pkg-config          cmd:pkg-config             build
    libjansson-dev      lib:jansson                build
    libgif-dev          header:gif_lib.h           build
    libmd-dev           lib:libmd                  build
    libyaml-dev         lib:yaml-0.1               build
    libzstd-dev         lib:libzstd                build
    zlib1g-dev          lib:zlib                   build
    gnuplot-nox         cmd:gnuplot                setup demo test slurm soak
    python3             cmd:python3                setup atari wheel test slurm soak peers
    ca-certificates     file:/etc/ssl/certs        setup atari wheel test slurm soak peers
    python3-pip         python:pip                 setup atari test soak
    python3-venv        python:ensurepip           setup wheel test slurm soak peers
    libcmocka-dev       lib:cmocka                 test soak
    locales             file:/usr/share/i18n/locales/de_DE test
    git                 cmd:git                    lint soak
    libsimde-dev        header:simde/x86/avx512.h  test
    g++                 cmd:g++                    setup atari test soak peers
    chromium            cmd:chromium               test
    slurmctld           sbin:slurmctld             slurm
    slurmd              sbin:slurmd                slurm
    slurm-client        cmd:sbatch                 slurm
    munge               sbin:munged                slurm
    clang-format        cmd:clang-format           lint
    clang-tidy          cmd:clang-tidy             lint
    cppcheck            cmd:cppcheck               lint
    shellcheck          cmd:shellcheck             lint
    clang               cmd:clang                  fuzz
    libclang-rt-14-dev  fuzzer:                    fuzz
    valgrind            cmd:valgrind               soak
    libdnnl-dev         header:dnnl.h              peers
'

have() {
    local what=${1#*:}
    case $1 in
    cmd:*) command -v "$what" ;;
    sbin:*) PATH=$PATH:/usr/sbin:/sbin command -v "$what" ;;
    fuzzer:*) echo "int LLVMFuzzerTestOneInput(void) { return 0; }" |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null ;;
    file:*) test -e "$what" ;;
    header:*) echo "#include <$what>" | cc -E - ;;
    lib:*) pkg-config --exists "$what" ;;
    python:*) python3 -c "import $what" ;;
    esac >/dev/null 2>&1
}

find_missing() { # TARGET...
    local package check targets target
    missing=()
    while read -r package check targets; do
        for target in "$@"; do
            [[ " $targets " == *" $target "* ]] || continue
            have "$check" || missing+=("$package")
            break
        done
    done < <(grep : <<<"$table")
}

fail() {
    echo "$*" >&2
    exit 1
}

action=${1-}
if (($# < 2)) || [[ $action != check && $action != install ]]; then
    echo "usage: packages.sh check|install TARGET..." >&2
    exit 2
fi
shift
for target in "$@"; do
    grep -qE ":.* $target( |\$)" <<<"$table" || fail "packages.sh: there is no target '$target'"
done
find_missing "$@"
((${#missing[@]} == 0)) && exit 0

if [[ $action == check ]]; then
    command=setup-$target # the last one named
    [[ $target == build || $target == atari ]] && command=setup
    fail "Missing: ${missing[*]}. \`make $command\` installs what is missing."
fi

command -v apt-get >/dev/null ||
    fail "There is no apt-get here to install what is missing; its names in Debian: ${missing[*]}"
root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "Only root can install what is missing; as root:" \
        "apt-get install ${missing[*]}"
    root=(sudo)
    [[ -t 0 ]] || root=(sudo -n) # nobody is there to type a password
fi

echo "Installing: ${missing[*]}"
quiet=(-qq -o=Dpkg::Use-Pty=0)
"${root[@]}" apt-get "${quiet[@]}" update || fail "apt-get update failed; missing: ${missing[*]}"
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" install -y \
    --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get install failed; missing: ${missing[*]}"
find_missing "$@"
((${#missing[@]} == 0)) || fail "Still missing after the installation: ${missing[*]}"
