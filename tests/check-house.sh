#!/bin/bash
# Checks what keeps the files of src/ and include/ apart, beside the rooms (check-includes.sh), and
# that each is tested:
#   - no two files have one base name, but for a .c and its .h in one folder;
#   - no two types have one name;
#   - there are no circles: not among headers by #include, not among .c files by what they call or
#     read of each other, as the symbols of their objects say;
#   - every .c file has a unit test of its name, or a row in tests/README.md.
#   check-house.sh ROOT BUILD       prints every violation; exit 1 if there is one
#   check-house.sh --self-test      proves that each kind of violation is found
set -euo pipefail

check_file_names() {
    find src -name '*.[ch]' -printf '%f %h\n' | sort | awk '
        { sub(/\.[ch]$/, "", $1) }
        ($1 in folder) && folder[$1] != $2 {
            print $2 "/" $1 ": another file of this name lies in " folder[$1] }
        { folder[$1] = $2 }'
}

# A type is where its body stands, or a typedef for something else than a struct of the same name.
check_type_names() {
    grep -rnE '^(typedef )?(struct|union|enum)( \w+)? \{|^\} \w+;|^typedef ' \
        --include='*.[ch]' src include | sort | sed -nE '
        /:typedef (struct|union|enum) (\w+) \2;/d
        s/^([^:]*:[0-9]+):(typedef )?(struct|union|enum) (\w+) \{.*/\4 \1/p; t
        s/ __attribute__.*;/;/
        s/^([^:]*:[0-9]+):typedef [^(]*\W(\w+)\(.*/\2 \1/p; t # a function
        s/^([^:]*:[0-9]+):typedef [^(]*\(\*(\w+)\)\(.*/\2 \1/p; t
        s/^([^:]*:[0-9]+):(typedef .*\W|\} )(\w+)(\[.*\])?;.*/\3 \1/p' | awk '
        { file = $2; sub(/:.*/, "", file) }
        ($1 in home) && home[$1] != file { print $2 ": another type " $1 " stands in " home[$1] }
        { home[$1] = file }'
}

list_header_includes() { # prints HEADER OTHER WORD: the first includes the other
    local file include
    find include src -name '*.h' -exec grep -HoE '^#include ("[^"]*"|<qgraft/[^>]*>)' {} + |
        sed -E 's/:#include / /; s/[<>"]//g' | while read -r file include; do
        case $include in
        qgraft/*) echo "$file include/$include includes" ;;
        */*) echo "$file src/$include includes" ;;
        *) echo "$file ${file%/*}/$include includes" ;;
        esac
    done
}

list_calls() { # BUILD: prints FILE OTHER SYMBOL: the first uses what the other defines
    find "$1/src" -name '*.c.o' -exec nm -AgP {} + | awk '
        {
            sub(/:$/, "", $1); sub(/\.o$/, "", $1)
            sub(/.*\/src\//, "", $1); sub(/\/[^\/]*\.p\//, "/", $1)
        }
        $3 == "U" { use[$1 " " $2] }
        $3 != "U" { home[$2] = $1 }
        END {
            for (pair in use) {
                split(pair, part, " ")
                if (part[2] in home && home[part[2]] != part[1])
                    print part[1], home[part[2]], part[2]
            }
        }'
}

# Reads lines FROM TO WHY and prints those between files that are left when again and again all
# are taken away that nothing points to, or that point to nothing.
find_circles() {
    awk '
        NF == 3 && !(($1, $2) in why) { why[$1, $2] = $3 }
        END {
            do {
                removed = 0
                delete out; delete into
                for (edge in why) { split(edge, end, SUBSEP); out[end[1]]; into[end[2]] }
                for (edge in why) {
                    split(edge, end, SUBSEP)
                    if (!(end[1] in into) || !(end[2] in out)) { delete why[edge]; removed = 1 }
                }
            } while (removed)
            for (edge in why) { split(edge, end, SUBSEP); print end[1], end[2], why[edge] }
        }' | sort
}

check_calls() { # BUILD
    local calls
    calls=$(list_calls "$1")
    [[ -n $calls ]] || echo "$1: there are no objects: build first"
    find_circles <<<"$calls" | sed -E 's/(.*) (.*) (.*)/circle: \1 uses \3 of \2/'
}

check_tests() {
    local left right files tests pattern found name file listed=' '
    while IFS='|' read -r _ left right _; do
        read -ra files <<<"$left"
        read -ra tests <<<"$right"
        for pattern in "${files[@]}"; do
            found=$(compgen -G "src/$pattern") || echo "tests/README.md: there is no src/$pattern"
            listed+="${found//$'\n'/ } "
        done
        for name in "${tests[@]}"; do
            [[ -e tests/$name ]] || echo "tests/README.md: there is no tests/$name"
        done
    done < <(sed -e '0,/^| files of/d' -e 's/[`,]//g' tests/README.md | tail -n +2)
    find src -name '*.c' | sort | while read -r file; do
        name=test_${file##*/}
        [[ -e tests/unit/$name || $listed == *" $file "* ]] ||
            echo "$file: there is no tests/unit/$name, and no row in tests/README.md"
    done
}

check_all() { # BUILD
    check_file_names
    check_type_names
    list_header_includes | find_circles | sed -E 's/(.*) (.*) .*/circle: \1 includes \2/'
    check_calls "$1"
    check_tests
}

# Writes files, and builds those of the room base.
write() { # FILE TEXT [FILE TEXT]...
    local objects=build/src/base/libbase.a.p
    mkdir -p src/{base,agent} include/qgraft tests/unit $objects
    while (($# > 0)); do
        printf '%b' "$2" >"$1"
        [[ $1 != src/base/*.c ]] || cc -c "$1" -o "$objects/${1##*/}.o"
        shift 2
    done
}

# What is found in a small tree of two files when some are changed.
expect() { # WANTED-TEXT ("" = nothing) FILE TEXT [FILE TEXT]...
    local found
    rm -rf "$tree/changed"
    cp -r "$tree/clean" "$tree/changed"
    found=$(cd "$tree/changed" && write "${@:2}" && check_all build)
    if [[ -z $1 && -n $found ]] || [[ -n $1 && $found != *"$1"* ]]; then
        echo "self-test: $2: expected '$1', found '$found'"
        exit 1
    fi
}

self_test() {
    local tree
    tree=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder's name as it is now
    trap "rm -rf '$tree'" EXIT
    mkdir "$tree/clean"
    (cd "$tree/clean" && write src/base/one.c 'int one(void) { return 1; }' \
        src/base/two.c 'int one(void); int two(void) { return one(); }' \
        src/base/one.h '#include "base/two.h"\nstruct one {\n};\ntypedef int (*call)(void);\n' \
        src/base/two.h 'typedef struct one one;\n' tests/unit/test_one.c '' \
        tests/README.md '| files of |\n|---|---|\n| base/t*.c, agent/*.c | unit/test_one.c |\n' \
        src/agent/fine.c '')
    expect '' src/base/three.c 'int three;'
    expect '' src/base/four.c '' tests/unit/test_four.c ''
    expect 'another file' src/agent/one.c 'int other;'
    expect 'another file' src/agent/two.h ''
    expect 'another type one' src/agent/a.h 'typedef struct one {\n} b;\n'
    expect 'another type one' src/agent/a.c 'typedef struct {\n} one;\n'
    expect 'another type one' include/qgraft/a.h 'typedef enum { A } one;\n'
    expect 'another type call' src/agent/a.c 'typedef int call[3];\n'
    expect 'another type call' src/agent/a.c 'typedef void (*call)(int);\n'
    expect 'another type call' src/agent/a.c 'typedef long int call(int,\n   int);\n'
    expect 'src/base/two.h includes src/base/one.h' src/base/two.h '#include "base/one.h"\n'
    expect 'includes include/qgraft/a.h' include/qgraft/a.h '#include <qgraft/b.h>\n' \
        include/qgraft/b.h '#include <qgraft/a.h>\n'
    expect 'base/one.c uses two of base/two.c' \
        src/base/one.c 'int two(void); int one(void) { return two(); }'
    expect 'base/one.c uses table of base/two.c' \
        src/base/one.c 'extern int table[]; int one(void) { return table[0]; }' \
        src/base/two.c 'int one(void); int table[3]; int two(void) { return one(); }'
    expect 'base/four.c: there is no tests/unit/test_four.c' src/base/four.c ''
    expect 'README.md: there is no src/a.c' tests/README.md '| files of\n|---|---|\n| a.c | |\n'
    expect 'README.md: there is no tests/a.c' tests/README.md '| files of\n|---|---|\n| | a.c |\n'
}

if [[ ${1-} == --self-test ]]; then
    self_test
    echo "check-house: every kind of violation is found"
    exit 0
fi
build=$(realpath "$2")
cd "$1"
violations=$(check_all "$build")
[[ -z $violations ]] && exit 0
echo "$violations"
exit 1
