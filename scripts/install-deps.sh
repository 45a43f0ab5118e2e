#!/bin/bash
# Installs what is missing of the packages that a target needs: install-deps.sh GROUP...
# Groups: build, atari, test, browser, slurm, lint, fuzz, soak, peers, demo. Quick and silent when all is there; asks
# apt otherwise.
set -euo pipefail

# PACKAGE CHECK pairs; the checks look for the thing itself, so that other ways to have it count.
declare -A groups=(
    [build]="gcc cmd:cc libc6-dev header:stdio.h meson cmd:meson ninja-build cmd:ninja
        pkg-config cmd:pkg-config libcmocka-dev lib:cmocka libjansson-dev lib:jansson
        libgif-dev header:gif_lib.h libmd-dev lib:libmd libyaml-dev lib:yaml-0.1
        zlib1g-dev lib:zlib"
    [atari]="python3 cmd:python3 python3-pip python:pip ca-certificates file:/etc/ssl/certs"
    [test]="libsimde-dev header:simde/x86/avx512.h g++ cmd:c++ python3 cmd:python3 python3-venv python:ensurepip ca-certificates file:/etc/ssl/certs
        gnuplot-nox cmd:gnuplot"
    [browser]="chromium cmd:chromium"
    [slurm]="slurm-wlm sbin:slurmctld slurm-wlm sbin:slurmd slurm-client cmd:sbatch munge sbin:munged
        python3 cmd:python3 python3-venv python:ensurepip ca-certificates file:/etc/ssl/certs
        gnuplot-nox cmd:gnuplot"
    [lint]="clang-format cmd:clang-format clang-tidy cmd:clang-tidy cppcheck cmd:cppcheck
        shellcheck cmd:shellcheck"
    [fuzz]="clang cmd:clang libclang-rt-14-dev fuzzer:"
    [soak]="valgrind cmd:valgrind"
    [peers]="g++ cmd:c++ libdnnl-dev header:dnnl.h python3 cmd:python3 python3-venv python:ensurepip
        ca-certificates file:/etc/ssl/certs"
    [demo]="gnuplot-nox cmd:gnuplot"
)

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

find_missing() {
    missing=()
    local group pairs i
    for group in "$@"; do
        read -r -d '' -a pairs <<<"${groups[$group]}" || true # the end of the text ends it
        for ((i = 0; i < ${#pairs[@]}; i += 2)); do
            have "${pairs[i + 1]}" || missing+=("${pairs[i]}")
        done
    done
}

for group in "$@"; do
    if [[ -z ${groups[$group]-} ]]; then
        echo "install-deps.sh: there is no group '$group': build, atari, test, browser, slurm, lint, fuzz, soak, peers, demo" >&2
        exit 2
    fi
done

find_missing "$@"
((${#missing[@]} == 0)) && exit 0

explain() {
    echo "$1. Debian's names of what is missing:" >&2
    echo "    ${missing[*]}" >&2
    exit 1
}
command -v apt-get >/dev/null || explain "Some tools are missing and there is no apt-get here"
root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null || explain "Some tools are missing; root (or sudo) is needed to install them"
    root=(sudo)
    [[ -t 0 ]] || root=(sudo -n) # nobody is there to type a password
fi

echo "Installing: ${missing[*]}"
quiet=(-qq -o=Dpkg::Use-Pty=0)
"${root[@]}" apt-get "${quiet[@]}" update || explain "apt-get update failed"
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" install -y \
    --no-install-recommends "${missing[@]}" >/dev/null || explain "apt-get install failed"
find_missing "$@"
((${#missing[@]} == 0)) || explain "Some tools are still missing after the installation"
