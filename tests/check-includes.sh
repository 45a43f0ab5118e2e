#!/bin/bash
# Checks that no #include points the other way: each room of src/ may include only itself and the
# rooms before it, and the public headers only each other and the C standard library.
#   check-includes.sh [ROOT]        prints every violation; exit 1 if there is one
#   check-includes.sh --self-test   proves that each kind of violation is found
set -euo pipefail

rooms=(base domain network agent transfer study report cli)
standard=" assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal \
stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads \
time uchar wchar wctype "

declare -A rank # of a room: its place in the order
for i in "${!rooms[@]}"; do
    rank[${rooms[i]}]=$i
done

# No process is started per line: the answer goes into $other, -1 for "no such room".
find_public_room() { # of the public header NAME: its namesake, or where NAME.c lies
    local name=$1 room
    other=${rank[$name]:--1}
    ((other >= 0)) && return
    other=0
    for room in "${rooms[@]}"; do
        [[ -e src/$room/$name.c ]] && other=${rank[$room]} && return
    done
    return 0
}

find_room() { # FILE INCLUDE: the room of a header in quotes
    local path=${2//\"/}
    other=${rank[${path%%/*}]:--1}
    [[ $path != */* && -e ${1%/*}/$path ]] && other=0 # beside the file
    return 0
}

check_source() { # FILE LINE INCLUDE: a file of src/
    local file=$1 line=$2 include=$3 other own room=${1#src/}
    own=${rank[${room%%/*}]:--1}
    case $include in
    *..*) echo "$file:$line: $include: name the file from its room on" && return ;;
    '<qgraft/'*)
        include=${include#<qgraft/}
        find_public_room "${include%.h>}"
        include="<qgraft/$include"
        ;;
    '<'*) return ;;
    *) find_room "$file" "$include" ;;
    esac
    if ((other < 0)); then
        echo "$file:$line: $include: no such room"
    elif ((other > own)); then
        echo "$file:$line: $include: ${rooms[own]} must not know ${rooms[other]}"
    fi
}

check_public() { # FILE LINE INCLUDE: a public header
    local file=$1 line=$2 include=$3
    [[ $include == '<qgraft/'*'.h>' ]] && return
    local name=${include#<}
    [[ $standard == *" ${name%.h>} "* ]] && return
    echo "$file:$line: $include: public headers include only <qgraft/...> and the standard library"
}

check_tree() {
    local file line include
    find src include -name '*.[ch]' -exec grep -nHE '^[[:space:]]*#[[:space:]]*include' {} + |
        sed -E 's/:[[:space:]]*#[[:space:]]*include[[:space:]]*/:/; s,[[:space:]]*/[/*].*$,,' |
        while IFS=: read -r file line include; do
            if [[ $file == include/* ]]; then
                check_public "$file" "$line" "$include"
            elif [[ $file == src/*/* ]]; then
                check_source "$file" "$line" "$include"
            fi
        done
}

expect() { # FILE INCLUDE WANTED-TEXT ("" = allowed): one small tree
    local tree found
    tree=$(mktemp -d)
    mkdir -p "$tree"/src/{base,domain/minatar,network,agent,transfer,study,report,cli}
    mkdir -p "$tree/include/qgraft"
    touch "$tree/src/base/error.c" "$tree/src/agent/settings.c" "$tree/src/domain/minatar/rules.h"
    touch "$tree/src/report/statistics.c"
    echo "$2" >"$tree/$1"
    found=$(cd "$tree" && check_tree)
    rm -rf "$tree"
    if [[ -z $3 && -n $found ]] || [[ -n $3 && $found != *"$3"* ]]; then
        echo "self-test: $1 with $2: expected '$3', found '$found'"
        exit 1
    fi
}

self_test() {
    expect src/base/a.c '#include "network/n.h"' 'base must not know network'
    expect src/base/a.c '  #  include   "agent/n.h" // why' 'base must not know agent'
    expect src/base/a.c '#include <qgraft/settings.h>' 'base must not know agent'
    expect src/domain/minatar/a.h '#include "network/n.h"' 'domain must not know network'
    expect src/agent/a.c '#include "cli/cli.h"' 'agent must not know cli'
    expect src/transfer/a.c '#include "study/s.h"' 'transfer must not know study'
    expect src/study/a.c '#include <qgraft/statistics.h>' 'study must not know report'
    expect src/report/a.c '#include "cli/cli.h"' 'report must not know cli'
    expect src/agent/a.c '#include "../base/text.h"' 'from its room on'
    expect src/agent/a.c '#include "elsewhere/text.h"' 'no such room'
    expect src/agent/a.c '#include "text.h"' 'no such room'
    expect include/qgraft/a.h '#include "base/text.h"' 'public headers'
    expect include/qgraft/a.h '#include <jansson.h>' 'public headers'
    expect include/qgraft/a.h '#include <unistd.h>' 'public headers'
    expect include/qgraft/a.h '#include <qgraft/error.h>' ''
    expect include/qgraft/a.h '#include <stdint.h> /* why */' ''
    expect src/base/a.c '#include <qgraft/error.h>' ''
    expect src/base/a.c '#include <unistd.h>' ''
    expect src/agent/a.c '#include "network/n.h"' ''
    expect src/domain/minatar/a.c '#include "rules.h"' ''
    expect src/report/a.c '#include "study/s.h"' ''
    expect src/cli/a.c '#include "agent/a.h"' ''
    expect src/cli/a.c '#include <qgraft/statistics.h>' ''
}

if [[ ${1-} == --self-test ]]; then
    self_test
    echo "check-includes: every kind of violation is found"
    exit 0
fi
cd "${1:-$(dirname "$0")/..}"
violations=$(check_tree)
[[ -z $violations ]] && exit 0
echo "$violations"
exit 1
